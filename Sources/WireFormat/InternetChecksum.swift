/// The Internet checksum (RFC 1071): the one's complement sum of 16-bit words.
public struct InternetChecksum: Sendable {
    private var sum: UInt64 = 0

    /// Starts at zero.
    public init() {}

    /// Adds octets. An odd number of them is padded with a zero, so only the last piece may be odd.
    public mutating func add(_ bytes: Span<UInt8>) {
        var index = 0
        let even = bytes.count & ~1
        while index < even {
            sum &+= UInt64(bytes[index]) << 8 | UInt64(bytes[index + 1])
            index += 2
        }
        if even < bytes.count { sum &+= UInt64(bytes[even]) << 8 }
    }

    /// Adds one 16-bit word.
    public mutating func add(_ word: UInt16) { sum &+= UInt64(word) }

    /// Adds a 32-bit word.
    public mutating func add(_ word: UInt32) { sum &+= UInt64(word >> 16) &+ UInt64(word & 0xffff) }

    /// The folded, complemented sum: what the header's field holds.
    public var value: UInt16 {
        var folded = sum
        while folded > 0xffff { folded = (folded & 0xffff) &+ (folded >> 16) }
        return ~UInt16(truncatingIfNeeded: folded)
    }
}
