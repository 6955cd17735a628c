/// An address block: the addresses that share their first `length` bits.
public struct IPPrefix: Hashable, Comparable, Sendable {
    /// The lowest address: all bits after the first `length` are zero.
    public let address: IPAddress
    /// How many bits are fixed: 0 to 32 or 128.
    public var length: Int { Int(fixed) }
    // Small: tables for many tunnels are keyed by these.
    private let fixed: UInt8

    /// The block of `length` bits that `address` lies in; nil when the family has fewer bits.
    public init?(_ address: IPAddress, length: Int) {
        guard (0...address.family.bitWidth).contains(length) else { return nil }
        self.address = IPAddress(address.family, bits: address.bits & ~Self.hostMask(address.family, length))
        fixed = UInt8(length)
    }

    /// The block that holds `address` alone.
    public init(host address: IPAddress) {
        self.address = address
        fixed = UInt8(address.family.bitWidth)
    }

    /// Few words for the hasher: tables are keyed by these.
    public func hash(into hasher: inout Hasher) {
        guard family == .v4 else {
            hasher.combine(address)
            hasher.combine(UInt64(fixed))
            return
        }
        hasher.combine(UInt64(fixed) << 32 | address.low)
    }

    /// 0.0.0.0/0 or ::/0.
    public static func everything(_ family: IPAddress.Family) -> IPPrefix {
        IPPrefix(unchecked: .unspecified(family), length: 0)
    }

    private init(unchecked address: IPAddress, length: Int) {
        self.address = address
        fixed = UInt8(length)
    }

    /// Which family.
    public var family: IPAddress.Family { address.family }

    /// The highest address.
    public var last: IPAddress { IPAddress(family, bits: address.bits | Self.hostMask(family, length)) }

    /// Whether it holds one address only.
    public var isHost: Bool { length == family.bitWidth }

    /// The block as a range.
    public var range: AddressRange { AddressRange(unchecked: address, last) }

    /// Whether `other` lies in the block.
    public func contains(_ other: IPAddress) -> Bool {
        other.family == family && other.bits & ~Self.hostMask(family, length) == address.bits
    }

    /// Whether all of `other` lies in the block.
    public func contains(_ other: IPPrefix) -> Bool { other.length >= length && contains(other.address) }

    /// By lowest address, then the larger block first.
    public static func < (left: IPPrefix, right: IPPrefix) -> Bool {
        (left.address, left.length) < (right.address, right.length)
    }

    private static func hostMask(_ family: IPAddress.Family, _ length: Int) -> UInt128 {
        let width = family.bitWidth - length
        return width == 128 ? .max : (UInt128(1) << UInt128(width)) - 1
    }
}

extension IPPrefix: LosslessStringConvertible {
    /// Parses `address/length`, or an address alone as a host. Bits after the length are dropped, as the field's
    /// configuration files expect.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(String(first)) else { return nil }
        switch parts.count {
        case 1: self.init(host: address)
        case 2:
            guard parts[1].utf8.count <= 3, parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let length = Int(parts[1])
            else { return nil }
            self.init(address, length: length)
        default: return nil
        }
    }

    /// `10.1.0.0/16`; a host keeps its length.
    public var description: String { "\(address)/\(length)" }
}
