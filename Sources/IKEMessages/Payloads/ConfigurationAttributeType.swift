/// What a configuration attribute is (RFC 7296 §3.15.1; IANA's registry, open-ended): 15 bits.
public struct ConfigurationAttributeType: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt16
    /// The type with this number.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// INTERNAL_IP4_ADDRESS: an IPv4 address for the host.
    public static let internalIP4Address = Self(rawValue: 1)
    /// INTERNAL_IP4_NETMASK: its network mask.
    public static let internalIP4Netmask = Self(rawValue: 2)
    /// INTERNAL_IP4_DNS: a name server's IPv4 address.
    public static let internalIP4DNS = Self(rawValue: 3)
    /// INTERNAL_IP4_NBNS: a NetBIOS name server's IPv4 address.
    public static let internalIP4NBNS = Self(rawValue: 4)
    /// INTERNAL_IP4_DHCP: a DHCP server's IPv4 address.
    public static let internalIP4DHCP = Self(rawValue: 6)
    /// APPLICATION_VERSION: the version of the software, as text.
    public static let applicationVersion = Self(rawValue: 7)
    /// INTERNAL_IP6_ADDRESS: an IPv6 address for the host, and its prefix length.
    public static let internalIP6Address = Self(rawValue: 8)
    /// INTERNAL_IP6_DNS: a name server's IPv6 address.
    public static let internalIP6DNS = Self(rawValue: 10)
    /// INTERNAL_IP6_DHCP: a DHCP server's IPv6 address.
    public static let internalIP6DHCP = Self(rawValue: 12)
    /// INTERNAL_IP4_SUBNET: a network behind the gateway: address and mask.
    public static let internalIP4Subnet = Self(rawValue: 13)
    /// SUPPORTED_ATTRIBUTES: the attributes that the sender understands.
    public static let supportedAttributes = Self(rawValue: 14)
    /// INTERNAL_IP6_SUBNET: a network behind the gateway: address and prefix length.
    public static let internalIP6Subnet = Self(rawValue: 15)
    /// MIP6_HOME_PREFIX: a Mobile IPv6 home prefix (RFC 5026).
    public static let mipHomePrefix = Self(rawValue: 16)
    /// INTERNAL_IP6_LINK: a virtual link (RFC 5739).
    public static let internalIP6Link = Self(rawValue: 17)
    /// INTERNAL_IP6_PREFIX: a prefix of a virtual link (RFC 5739).
    public static let internalIP6Prefix = Self(rawValue: 18)
    /// HOME_AGENT_ADDRESS: a home agent's address (3GPP).
    public static let homeAgentAddress = Self(rawValue: 19)
    /// P_CSCF_IP4_ADDRESS: a P-CSCF's IPv4 address (RFC 7651).
    public static let pcscfIP4Address = Self(rawValue: 20)
    /// P_CSCF_IP6_ADDRESS: a P-CSCF's IPv6 address (RFC 7651).
    public static let pcscfIP6Address = Self(rawValue: 21)
    /// FTT_KAT: a keepalive interval (3GPP).
    public static let fttKeepalive = Self(rawValue: 22)
    /// EXTERNAL_SOURCE_IP4_NAT_INFO: what a NAT shows of the host (3GPP).
    public static let externalSourceIP4NATInfo = Self(rawValue: 23)
    /// TIMEOUT_PERIOD_FOR_LIVENESS_CHECK: seconds between liveness checks (3GPP).
    public static let timeoutPeriodForLivenessCheck = Self(rawValue: 24)
    /// INTERNAL_DNS_DOMAIN: a domain whose names the internal servers answer (RFC 8598).
    public static let internalDNSDomain = Self(rawValue: 25)
    /// INTERNAL_DNSSEC_TA: a trust anchor of such a domain (RFC 8598).
    public static let internalDNSSECTrustAnchor = Self(rawValue: 26)
    /// ENCDNS_IP4: an encrypted name server with IPv4 addresses (RFC 9464).
    public static let encryptedDNSIP4 = Self(rawValue: 27)
    /// ENCDNS_IP6: an encrypted name server with IPv6 addresses (RFC 9464).
    public static let encryptedDNSIP6 = Self(rawValue: 28)
    /// ENCDNS_DIGEST_INFO: digests of an encrypted name server's certificate (RFC 9464).
    public static let encryptedDNSDigestInfo = Self(rawValue: 29)
}

extension ConfigurationAttributeType: CustomStringConvertible {
    /// The short form that logs of this field use in a message's summary; else the number.
    public var description: String {
        switch self {
        case .internalIP4Address: "ADDR"
        case .internalIP4Netmask: "MASK"
        case .internalIP4DNS: "DNS"
        case .internalIP4NBNS: "NBNS"
        case .internalIP4DHCP: "DHCP"
        case .applicationVersion: "VER"
        case .internalIP6Address: "ADDR6"
        case .internalIP6DNS: "DNS6"
        case .internalIP6DHCP: "DHCP6"
        case .internalIP4Subnet: "SUBNET"
        case .supportedAttributes: "SUP"
        case .internalIP6Subnet: "SUBNET6"
        case .mipHomePrefix: "MIP6HPFX"
        case .internalIP6Link: "LINK6"
        case .internalIP6Prefix: "PFX6"
        case .homeAgentAddress: "HOA"
        case .pcscfIP4Address: "PCSCF4"
        case .pcscfIP6Address: "PCSCF6"
        case .fttKeepalive: "FTT"
        case .externalSourceIP4NATInfo: "EXTNAT"
        case .timeoutPeriodForLivenessCheck: "LIVENESS"
        case .internalDNSDomain: "DOMAIN"
        case .internalDNSSECTrustAnchor: "DNSSEC_TA"
        case .encryptedDNSIP4: "ENCDNS4"
        case .encryptedDNSIP6: "ENCDNS6"
        case .encryptedDNSDigestInfo: "ENCDNS_DI"
        default: String(rawValue)
        }
    }
}
