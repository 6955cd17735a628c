public import Clockwork

/// What happened, as lines of text: time, host, event.
///
/// It owns the lines, when they are wanted, and a digest over them. Two runs of one seed have the same digest, whatever
/// the process; it never holds a secret.
public struct Trace: Sendable {
    /// How much of a trace is wanted.
    public enum Detail: Sendable {
        /// Nothing: the fastest.
        case none
        /// The digest only.
        case digest
        /// The digest and the lines.
        case lines
    }

    /// How much is wanted.
    public let detail: Detail
    /// The lines so far.
    public private(set) var lines: [String] = []
    /// The digest so far.
    public private(set) var digest = TraceDigest()

    /// Starts empty.
    public init(_ detail: Detail) { self.detail = detail }

    /// Adds a line, which is made only when it is wanted.
    public mutating func note(_ time: Instant, _ host: String, _ event: @autoclosure () -> String) {
        guard detail != .none else { return }
        let line = "\(time) \(host) \(event())"
        digest.absorb(line.utf8)
        digest.absorb(CollectionOfOne(UInt8(ascii: "\n")))
        if detail == .lines { lines.append(line) }
    }
}

/// A 64-bit digest (FNV-1a) that tells runs apart; it is no protection against anybody.
public struct TraceDigest: Hashable, Sendable, CustomStringConvertible {
    /// The digest's value.
    public private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    /// The digest of nothing.
    public init() {}

    /// Goes on with these octets.
    public mutating func absorb(_ octets: some Sequence<UInt8>) {
        for octet in octets { value = (value ^ UInt64(octet)) &* 0x0000_0100_0000_01b3 }
    }

    /// Goes on with a number.
    public mutating func absorb(_ number: UInt64) {
        for shift in 0..<UInt64(8) { absorb(CollectionOfOne(UInt8(truncatingIfNeeded: number >> (8 * shift)))) }
    }

    /// The digest of `octets`.
    public static func of(_ octets: [UInt8]) -> TraceDigest {
        var digest = TraceDigest()
        digest.absorb(octets)
        return digest
    }

    /// Sixteen hexadecimal digits.
    public var description: String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }
}
