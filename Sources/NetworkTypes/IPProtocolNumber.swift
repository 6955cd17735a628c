/// The protocol that an IP packet carries (IANA's registry, open-ended). Zero stands for "any" in a selector.
public struct IPProtocolNumber: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt8

    /// The protocol with this number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Every protocol (in a selector); IPv6's hop-by-hop options (in a packet).
    public static let any = Self(rawValue: 0)
    /// ICMP.
    public static let icmp = Self(rawValue: 1)
    /// IPv4 in IP.
    public static let ipv4 = Self(rawValue: 4)
    /// TCP.
    public static let tcp = Self(rawValue: 6)
    /// UDP.
    public static let udp = Self(rawValue: 17)
    /// IPv6 in IP.
    public static let ipv6 = Self(rawValue: 41)
    /// GRE.
    public static let gre = Self(rawValue: 47)
    /// ESP.
    public static let esp = Self(rawValue: 50)
    /// AH.
    public static let ah = Self(rawValue: 51)
    /// ICMPv6.
    public static let icmpv6 = Self(rawValue: 58)
    /// No next header.
    public static let none = Self(rawValue: 59)
    /// IPComp: a compressed payload.
    public static let compression = Self(rawValue: 108)
    /// SCTP.
    public static let sctp = Self(rawValue: 132)

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
