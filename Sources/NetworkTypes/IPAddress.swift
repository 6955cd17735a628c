/// An IPv4 or IPv6 address as a value.
///
/// It owns 128 bits and a family. It never resolves a name; its text is RFC 4291's on the way in and RFC 5952's on the
/// way out. A zone (`%eth0`) is not part of it.
public struct IPAddress: Hashable, Comparable, Sendable {
    /// Which of the two.
    public enum Family: UInt8, Hashable, Sendable, CaseIterable {
        case v4 = 4
        case v6 = 6

        /// Bits in an address: 32 or 128.
        public var bitWidth: Int { self == .v4 ? 32 : 128 }
        /// Octets in an address: 4 or 16.
        public var byteCount: Int { bitWidth / 8 }
    }

    // Two words, not a number of 128 bits: that would want to lie at a multiple of 16 octets, and everything with an
    // address in it would be a third larger.
    @usableFromInline let high: UInt64
    @usableFromInline let low: UInt64
    /// The address as a number; for IPv4 only the low 32 bits are used.
    @inlinable public var bits: UInt128 { UInt128(high) << 64 | UInt128(low) }
    /// Which of the two.
    public let family: Family

    /// The address of `family` whose number is `bits`; higher bits than the family has are dropped.
    @inlinable
    public init(_ family: Family, bits: UInt128) {
        self.family = family
        high = family == .v4 ? 0 : UInt64(truncatingIfNeeded: bits >> 64)
        low = UInt64(truncatingIfNeeded: family == .v4 ? bits & 0xffff_ffff : bits)
    }

    @inlinable
    init(_ family: Family, high: UInt64, low: UInt64) {
        self.family = family
        self.high = high
        self.low = low
    }

    /// The IPv4 address with these four octets, first octet highest.
    @inlinable
    public init(v4 word: UInt32) { self.init(.v4, bits: UInt128(word)) }

    /// The address in 4 or 16 octets; nil for any other number.
    public init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self.init(.v4, bits: bytes.reduce(0) { $0 << 8 | UInt128($1) })
        case 16: self.init(.v6, bits: bytes.reduce(0) { $0 << 8 | UInt128($1) })
        default: return nil
        }
    }

    /// 0.0.0.0 or ::.
    public static func unspecified(_ family: Family) -> IPAddress { IPAddress(family, bits: 0) }

    /// 127.0.0.1 or ::1.
    public static func loopback(_ family: Family) -> IPAddress {
        IPAddress(family, bits: family == .v4 ? 0x7f00_0001 : 1)
    }

    /// Whether it is 0.0.0.0 or ::.
    public var isUnspecified: Bool { bits == 0 }

    /// Whether it belongs to fe80::/10 or 169.254.0.0/16.
    public var isLinkLocal: Bool { family == .v4 ? bits >> 16 == 0xa9fe : bits >> 118 == 0x3fa }

    /// Whether it belongs to 127.0.0.0/8, or is ::1.
    public var isLoopback: Bool { family == .v4 ? bits >> 24 == 0x7f : bits == 1 }

    /// Whether it is a multicast address.
    public var isMulticast: Bool { family == .v4 ? bits >> 28 == 0xe : bits >> 120 == 0xff }

    /// The 4 or 16 octets in network order.
    public var bytes: [UInt8] {
        guard family == .v6 else {
            return [
                UInt8(truncatingIfNeeded: low >> 24), UInt8(truncatingIfNeeded: low >> 16),
                UInt8(truncatingIfNeeded: low >> 8), UInt8(truncatingIfNeeded: low),
            ]
        }
        return (0..<16).reversed().map { UInt8(truncatingIfNeeded: bits >> (8 * UInt128($0))) }
    }

    /// One word for the hasher, or two: tables are keyed by these.
    public func hash(into hasher: inout Hasher) {
        if family == .v6 { hasher.combine(high) }
        hasher.combine(low)
    }

    /// IPv4 before IPv6, then by number.
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        (left.family.rawValue, left.bits) < (right.family.rawValue, right.bits)
    }
}

extension IPAddress: LosslessStringConvertible {
    /// Parses dotted IPv4 (four decimal numbers without leading zeros) or RFC 4291 IPv6; nil for anything else.
    public init?(_ text: String) {
        if text.utf8.contains(UInt8(ascii: ":")) {
            guard let bits = Self.parseV6(text) else { return nil }
            self.init(.v6, bits: bits)
        } else {
            guard let word = Self.parseV4(Substring(text)) else { return nil }
            self.init(v4: word)
        }
    }

    /// The canonical text (RFC 5952 for IPv6).
    public var description: String {
        family == .v4
            ? bytes.map { String($0) }.joined(separator: ".")
            : Self.describeV6((0..<8).map { UInt16(truncatingIfNeeded: bits >> (112 - 16 * UInt128($0))) })
    }

    private static func parseV4(_ text: Substring) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var word: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                part.utf8.count == 1 || part.first != "0", let octet = UInt8(part)
            else { return nil }
            word = word << 8 | UInt32(octet)
        }
        return word
    }

    private static func parseV6(_ text: String) -> UInt128? {
        var head = groups(of: text[...])
        var tail: [UInt16]? = []
        if let gap = text.firstRange(ofDoubleColon: ()) {
            head = groups(of: text[..<gap.lowerBound], mayEndDotted: false)
            tail = groups(of: text[gap.upperBound...])
            guard let front = head, let back = tail, front.count + back.count <= 7 else { return nil }
            head = front + [UInt16](repeating: 0, count: 8 - front.count - back.count)
        }
        guard let front = head, let back = tail, front.count + back.count == 8 else { return nil }
        return (front + back).reduce(0) { $0 << 16 | UInt128($1) }
    }

    /// The 16-bit groups that `text` spells, the last two possibly as dotted IPv4; nil when one is malformed.
    private static func groups(of text: Substring, mayEndDotted: Bool = true) -> [UInt16]? {
        if text.isEmpty { return [] }
        var groups: [UInt16] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 8 else { return nil }
        for (index, part) in parts.enumerated() {
            if mayEndDotted, index == parts.count - 1, part.utf8.contains(UInt8(ascii: ".")) {
                guard let word = parseV4(part) else { return nil }
                groups += [UInt16(word >> 16), UInt16(word & 0xffff)]
            } else {
                guard (1...4).contains(part.utf8.count), part.first != "+", part.first != "-",
                    let group = UInt16(part, radix: 16)
                else { return nil }
                groups.append(group)
            }
        }
        return groups
    }

    private static func describeV6(_ groups: [UInt16]) -> String {
        var best = 0..<0
        var index = 0
        while index < 8 {
            var end = index
            while end < 8, groups[end] == 0 { end += 1 }
            if end - index > max(1, best.count) { best = index..<end }
            index = max(end, index + 1)
        }
        func text(_ part: some Sequence<UInt16>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        return best.isEmpty ? text(groups) : text(groups[..<best.lowerBound]) + "::" + text(groups[best.upperBound...])
    }
}

extension String {
    /// Where the only `::` is; nil when there is none. Two of them leave one in a part, which then fails to parse.
    fileprivate func firstRange(ofDoubleColon: Void) -> Range<String.Index>? {
        var previous: String.Index?
        for index in indices {
            if self[index] == ":", let before = previous, self[before] == ":" {
                return before..<self.index(after: index)
            }
            previous = index
        }
        return nil
    }
}
