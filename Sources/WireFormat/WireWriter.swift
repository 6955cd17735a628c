/// Builds a message in network order, patching lengths when their contents are known.
///
/// It owns the bytes being built. It never reads from the network and never fails: lengths that do not fit are our own
/// mistake, and are caught by ``overflowed``, which a caller checks once at the end.
public struct WireWriter: Sendable {
    /// What has been written.
    public private(set) var bytes: [UInt8]

    /// Whether a length prefix was too small for its contents; the message must then not be sent.
    public private(set) var overflowed = false

    /// Starts empty, with room for `capacity` octets.
    public init(capacity: Int = 256) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// Octets written so far.
    public var count: Int { bytes.count }

    /// Appends one octet.
    public mutating func uint8(_ value: UInt8) { bytes.append(value) }

    /// Appends two octets, most significant first.
    public mutating func uint16(_ value: UInt16) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    /// Appends four octets, most significant first.
    public mutating func uint32(_ value: UInt32) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 24))
        bytes.append(UInt8(truncatingIfNeeded: value >> 16))
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    /// Appends eight octets, most significant first.
    public mutating func uint64(_ value: UInt64) {
        uint32(UInt32(truncatingIfNeeded: value >> 32))
        uint32(UInt32(truncatingIfNeeded: value))
    }

    /// Appends octets as they are.
    public mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    /// Appends a span's octets.
    public mutating func append(_ more: Span<UInt8>) { bytes.append(copying: more) }

    /// Appends `count` octets of zero.
    public mutating func zeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }

    /// Appends a 16-bit length, then the body. The length counts the body and `overhead` octets more (negative to count
    /// fewer): a payload header's own four octets, for example.
    @inlinable
    public mutating func lengthPrefixed16(overhead: Int = 0, _ body: (inout WireWriter) -> Void) {
        let position = count
        uint16(0)
        body(&self)
        patch16(at: position, count - position - 2 + overhead)
    }

    /// Overwrites the two octets at `position`; remembers when `value` does not fit.
    public mutating func patch16(at position: Int, _ value: Int) {
        guard let fitting = UInt16(exactly: value) else {
            overflowed = true
            return
        }
        bytes[position] = UInt8(truncatingIfNeeded: fitting >> 8)
        bytes[position + 1] = UInt8(truncatingIfNeeded: fitting)
    }

    /// Overwrites the four octets at `position`; remembers when `value` does not fit.
    public mutating func patch32(at position: Int, _ value: Int) {
        guard let fitting = UInt32(exactly: value) else {
            overflowed = true
            return
        }
        for index in 0..<4 { bytes[position + index] = UInt8(truncatingIfNeeded: fitting >> (24 - 8 * UInt32(index))) }
    }

    /// Overwrites one octet that was written before.
    public mutating func patch8(at position: Int, _ value: UInt8) { bytes[position] = value }
}
