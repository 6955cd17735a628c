/// All addresses from one to another of the same family, both included.
public struct AddressRange: Hashable, Sendable {
    // Words, and the family once: there are several of these for each tunnel.
    @usableFromInline let lowerHigh, lowerLow, upperHigh, upperLow: UInt64
    /// Which family.
    public let family: IPAddress.Family

    /// The lowest address.
    @inlinable public var lower: IPAddress { IPAddress(family, high: lowerHigh, low: lowerLow) }
    /// The highest address.
    @inlinable public var upper: IPAddress { IPAddress(family, high: upperHigh, low: upperLow) }

    /// The range; nil when the families differ or the ends are the wrong way round.
    public init?(_ lower: IPAddress, _ upper: IPAddress) {
        guard lower.family == upper.family, lower <= upper else { return nil }
        self.init(unchecked: lower, upper)
    }

    init(unchecked lower: IPAddress, _ upper: IPAddress) {
        family = lower.family
        (lowerHigh, lowerLow) = (lower.high, lower.low)
        (upperHigh, upperLow) = (upper.high, upper.low)
    }

    /// The range that holds `address` alone.
    public init(host address: IPAddress) { self.init(unchecked: address, address) }

    /// Whether `address` lies in the range. It is asked for each packet.
    @inlinable @inline(__always)
    public func contains(_ address: IPAddress) -> Bool {
        address.family == family && lower.bits <= address.bits && address.bits <= upper.bits
    }

    /// Whether all of `other` lies in the range.
    public func contains(_ other: AddressRange) -> Bool { contains(other.lower) && contains(other.upper) }

    /// What both have in common; nil when that is nothing.
    public func intersection(_ other: AddressRange) -> AddressRange? {
        guard family == other.family else { return nil }
        return AddressRange(max(lower, other.lower), min(upper, other.upper))
    }

    /// Few words for the hasher: tables are keyed by these.
    public func hash(into hasher: inout Hasher) {
        if family == .v6 {
            hasher.combine(lowerHigh)
            hasher.combine(upperHigh)
            hasher.combine(lowerLow)
            hasher.combine(upperLow)
        } else {
            hasher.combine(lowerLow << 32 | upperLow)
        }
    }

    /// The fewest blocks that cover the range exactly, in order.
    public var prefixes: [IPPrefix] {
        var prefixes: [IPPrefix] = []
        forEachPrefix { prefixes.append($0) }
        return prefixes
    }

    /// The same blocks, one by one.
    public func forEachPrefix(_ body: (IPPrefix) -> Void) {
        if let prefix { return body(prefix) }
        var start = lower.bits
        while true {
            var length = family.bitWidth
            // Grow the block while it stays aligned and inside.
            while length > 0 {
                let size = UInt128(family.bitWidth - length + 1)
                let mask = size == 128 ? UInt128.max : (UInt128(1) << size) - 1
                guard start & mask == 0, start | mask <= upper.bits else { break }
                length -= 1
            }
            guard let prefix = IPPrefix(IPAddress(family, bits: start), length: length) else { return }
            body(prefix)
            guard prefix.last.bits < upper.bits else { return }
            start = prefix.last.bits + 1
        }
    }

    /// The one block that the range is; nil when it takes more than one.
    public var prefix: IPPrefix? {
        let difference = lower.bits ^ upper.bits
        guard difference & (difference &+ 1) == 0, lower.bits & difference == 0 else { return nil }
        return IPPrefix(lower, length: family.bitWidth - (128 - difference.leadingZeroBitCount))
    }
}

extension AddressRange: CustomStringConvertible {
    /// The block when it is one, else `from..to`, as the field writes it.
    public var description: String { prefix.map { $0.description } ?? "\(lower)..\(upper)" }
}
