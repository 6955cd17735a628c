/// The protocol that an IP packet carries (IANA's registry, open-ended). Zero stands for "any" in a selector.
public struct IPProtocolNumber: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt8

    /// The protocol with this number.
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Every protocol (in a selector); IPv6's hop-by-hop options (in a packet).
    @inlinable public static var any: Self { Self(rawValue: 0) }
    /// ICMP.
    @inlinable public static var icmp: Self { Self(rawValue: 1) }
    /// IPv4 in IP.
    @inlinable public static var ipv4: Self { Self(rawValue: 4) }
    /// TCP.
    @inlinable public static var tcp: Self { Self(rawValue: 6) }
    /// UDP.
    @inlinable public static var udp: Self { Self(rawValue: 17) }
    /// IPv6 in IP.
    @inlinable public static var ipv6: Self { Self(rawValue: 41) }
    /// GRE.
    @inlinable public static var gre: Self { Self(rawValue: 47) }
    /// ESP.
    @inlinable public static var esp: Self { Self(rawValue: 50) }
    /// AH.
    @inlinable public static var ah: Self { Self(rawValue: 51) }
    /// ICMPv6.
    @inlinable public static var icmpv6: Self { Self(rawValue: 58) }
    /// No next header.
    @inlinable public static var none: Self { Self(rawValue: 59) }
    /// IPComp: a compressed payload.
    @inlinable public static var compression: Self { Self(rawValue: 108) }
    /// SCTP.
    @inlinable public static var sctp: Self { Self(rawValue: 132) }

    private static let names: [(String, IPProtocolNumber)] = [
        ("icmp", icmp), ("ipencap", ipv4), ("tcp", tcp), ("udp", udp), ("ipv6", ipv6), ("gre", gre), ("esp", esp),
        ("ah", ah), ("ipv6-icmp", icmpv6), ("icmpv6", icmpv6), ("sctp", sctp),
        ("ipcomp", compression),
    ]

    /// The protocol that a configuration file names, by name or number; nil when there is none.
    public init?(named text: String) {
        if let known = Self.names.first(where: { $0.0 == text.lowercased() }) {
            self = known.1
        } else if let number = UInt8(text) {
            self.init(rawValue: number)
        } else {
            return nil
        }
    }

    /// Whether its packets begin with two ports.
    public var hasPorts: Bool { self == .tcp || self == .udp || self == .sctp }

    /// Whether its packets begin with a type and a code.
    public var isICMP: Bool { self == .icmp || self == .icmpv6 }
}

extension IPProtocolNumber: CustomStringConvertible {
    /// The name, else the number.
    public var description: String { Self.names.first { $0.1 == self }?.0 ?? String(rawValue) }
}
