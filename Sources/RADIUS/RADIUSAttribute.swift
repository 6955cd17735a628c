public import NetworkTypes
import WireFormat

/// One attribute of a RADIUS packet (RFC 2865 §5).
///
/// ```
///  0                   1
///  |     Type      |    Length     |  Value ...
/// ```
///
/// It owns the form and the numbers. It never decides what a value means to a gateway.
public struct RADIUSAttribute: Hashable, Sendable {
    /// What it is about (IANA's registry, open-ended).
    public struct Kind: RawRepresentable, Hashable, Sendable {
        /// The number on the wire.
        public let rawValue: UInt8
        /// The kind with this number.
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        // RFC 2865 §5.
        /// User-Name.
        public static let userName = Self(rawValue: 1)
        /// NAS-IP-Address.
        public static let nasIPAddress = Self(rawValue: 4)
        /// NAS-Port.
        public static let nasPort = Self(rawValue: 5)
        /// Service-Type.
        public static let serviceType = Self(rawValue: 6)
        /// Framed-IP-Address.
        public static let framedIPAddress = Self(rawValue: 8)
        /// Filter-Id.
        public static let filterID = Self(rawValue: 11)
        /// Framed-MTU.
        public static let framedMTU = Self(rawValue: 12)
        /// Reply-Message.
        public static let replyMessage = Self(rawValue: 18)
        /// State.
        public static let state = Self(rawValue: 24)
        /// Class.
        public static let classAttribute = Self(rawValue: 25)
        /// Vendor-Specific.
        public static let vendorSpecific = Self(rawValue: 26)
        /// Session-Timeout, in seconds.
        public static let sessionTimeout = Self(rawValue: 27)
        /// Called-Station-Id.
        public static let calledStationID = Self(rawValue: 30)
        /// Calling-Station-Id.
        public static let callingStationID = Self(rawValue: 31)
        /// NAS-Identifier.
        public static let nasIdentifier = Self(rawValue: 32)
        /// Proxy-State.
        public static let proxyState = Self(rawValue: 33)
        /// NAS-Port-Type.
        public static let nasPortType = Self(rawValue: 61)
        // RFC 2866 §5.
        /// Acct-Status-Type.
        public static let acctStatusType = Self(rawValue: 40)
        /// Acct-Input-Octets.
        public static let acctInputOctets = Self(rawValue: 42)
        /// Acct-Output-Octets.
        public static let acctOutputOctets = Self(rawValue: 43)
        /// Acct-Session-Id.
        public static let acctSessionID = Self(rawValue: 44)
        /// Acct-Authentic.
        public static let acctAuthentic = Self(rawValue: 45)
        /// Acct-Session-Time, in seconds.
        public static let acctSessionTime = Self(rawValue: 46)
        /// Acct-Input-Packets.
        public static let acctInputPackets = Self(rawValue: 47)
        /// Acct-Output-Packets.
        public static let acctOutputPackets = Self(rawValue: 48)
        /// Acct-Terminate-Cause.
        public static let acctTerminateCause = Self(rawValue: 49)
        // RFC 2868 §3.1.
        /// Tunnel-Type.
        public static let tunnelType = Self(rawValue: 64)
        // RFC 2869 §5.
        /// Acct-Input-Gigawords.
        public static let acctInputGigawords = Self(rawValue: 52)
        /// Acct-Output-Gigawords.
        public static let acctOutputGigawords = Self(rawValue: 53)
        /// Event-Timestamp, in seconds since 1970.
        public static let eventTimestamp = Self(rawValue: 55)
        /// EAP-Message.
        public static let eapMessage = Self(rawValue: 79)
        /// Message-Authenticator.
        public static let messageAuthenticator = Self(rawValue: 80)
        /// Acct-Interim-Interval, in seconds.
        public static let acctInterimInterval = Self(rawValue: 85)
        /// NAS-Port-Id.
        public static let nasPortID = Self(rawValue: 87)
        // RFC 3162 §2.
        /// NAS-IPv6-Address.
        public static let nasIPv6Address = Self(rawValue: 95)
        /// Framed-Interface-Id.
        public static let framedInterfaceID = Self(rawValue: 96)
        /// Framed-IPv6-Prefix.
        public static let framedIPv6Prefix = Self(rawValue: 97)
        // RFC 5176 §3.5.
        /// Error-Cause.
        public static let errorCause = Self(rawValue: 101)
        // RFC 6911 §3.
        /// Framed-IPv6-Address.
        public static let framedIPv6Address = Self(rawValue: 168)
        /// DNS-Server-IPv6-Address.
        public static let dnsServerIPv6Address = Self(rawValue: 169)
    }

    /// Octets of the longest value.
    public static let longestValue = 253

    /// What it is about.
    public var kind: Kind
    /// Its value as it travels; at most ``longestValue`` octets, the rest of a longer one is left out.
    public let value: [UInt8]

    /// An attribute.
    public init(_ kind: Kind, _ value: some Sequence<UInt8>) {
        self.kind = kind
        self.value = Array(value.prefix(Self.longestValue))
    }

    /// A number of four octets.
    public init(_ kind: Kind, number: UInt32) {
        self.init(kind, (0..<4).reversed().map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) })
    }

    /// A text in UTF-8.
    public init(_ kind: Kind, text: String) { self.init(kind, text.utf8) }

    /// An address as its octets.
    public init(_ kind: Kind, _ address: IPAddress) { self.init(kind, address.bytes) }

    /// The value as a number; nil when it has not four octets.
    public var number: UInt32? {
        value.count == 4 ? value.reduce(0) { $0 << 8 | UInt32($1) } : nil
    }

    /// The value as an address of this family; nil when it has another length.
    public func address(_ family: IPAddress.Family) -> IPAddress? {
        value.count == family.byteCount ? IPAddress(bytes: value) : nil
    }

    /// The attributes of a vendor's inside a Vendor-Specific one, in their order (RFC 2865 §5.26); empty when it is
    /// another vendor's, or not made of attributes.
    public func vendorValues(of vendor: UInt32) -> [(kind: UInt8, value: [UInt8])] {
        guard kind == .vendorSpecific else { return [] }
        var reader = WireReader(value.span)
        var found: [(kind: UInt8, value: [UInt8])] = []
        do throws(WireError) {
            guard try reader.uint32("vendor") == vendor else { return [] }
            while !reader.isAtEnd {
                let kind = try reader.uint8("vendor type")
                let length = Int(try reader.uint8("vendor length"))
                found.append((kind, try reader.bytes(length - 2, "vendor value")))
            }
        } catch { return [] }
        return found
    }
}

/// Microsoft's attributes (RFC 2548).
enum MicrosoftAttribute {
    /// The vendor's number.
    static let vendor: UInt32 = 311
    /// MS-MPPE-Send-Key (§2.4.2).
    static let sendKey: UInt8 = 16
    /// MS-MPPE-Recv-Key (§2.4.3).
    static let receiveKey: UInt8 = 17
    /// MS-Primary-DNS-Server and MS-Secondary-DNS-Server (§2.7.5, §2.7.6).
    static let nameServers: [UInt8] = [28, 29]
    /// MS-Primary-NBNS-Server and MS-Secondary-NBNS-Server (§2.7.7, §2.7.8).
    static let netBIOSServers: [UInt8] = [30, 31]
}
