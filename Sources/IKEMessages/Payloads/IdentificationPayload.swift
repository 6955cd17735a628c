public import NetworkTypes
public import WireFormat

/// What kind of name an identity is (RFC 7296 §3.5; IANA's registry, open-ended).
public struct IdentificationType: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt8
    /// The type with this number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// An IPv4 address, 4 octets.
    public static let ipv4Address = Self(rawValue: 1)
    /// A domain name.
    public static let fullyQualifiedDomainName = Self(rawValue: 2)
    /// An e-mail address.
    public static let emailAddress = Self(rawValue: 3)
    /// An IPv6 address, 16 octets.
    public static let ipv6Address = Self(rawValue: 5)
    /// A distinguished name in DER.
    public static let distinguishedName = Self(rawValue: 9)
    /// A GeneralName in DER.
    public static let generalName = Self(rawValue: 10)
    /// Octets with a meaning that the peers agreed on.
    public static let keyID = Self(rawValue: 11)
    /// A Fibre Channel name (RFC 4595).
    public static let fibreChannelName = Self(rawValue: 12)
    /// No name at all (RFC 7619).
    public static let null = Self(rawValue: 13)
}

extension IdentificationType: CustomStringConvertible {
    /// The registry's name, else the number.
    public var description: String {
        switch self {
        case .ipv4Address: "ID_IPV4_ADDR"
        case .fullyQualifiedDomainName: "ID_FQDN"
        case .emailAddress: "ID_RFC822_ADDR"
        case .ipv6Address: "ID_IPV6_ADDR"
        case .distinguishedName: "ID_DER_ASN1_DN"
        case .generalName: "ID_DER_ASN1_GN"
        case .keyID: "ID_KEY_ID"
        case .fibreChannelName: "ID_FC_NAME"
        case .null: "ID_NULL"
        default: "identification type \(rawValue)"
        }
    }
}

/// Who a peer says it is, or whom it wants to talk to (RFC 7296 §3.5, figure 11).
///
/// The AUTH calculation covers the body as it was sent, reserved octets included (RFC 7296 §2.15): ``reserved`` keeps
/// them, so that ``PayloadBody/body`` is what the peer signed.
public struct IdentificationPayload: PayloadBody {
    /// What kind of name.
    public var type: IdentificationType
    /// The name.
    public var data: [UInt8]
    /// The three reserved octets: zero from us, as they came from a peer.
    public private(set) var reserved: UInt32 = 0

    /// An identity.
    public init(_ type: IdentificationType, _ data: [UInt8]) {
        self.type = type
        self.data = data
    }

    /// An address as an identity.
    public init(_ address: IPAddress) {
        self.init(address.family == .v4 ? .ipv4Address : .ipv6Address, address.bytes)
    }

    /// Reads the body; fails when it is short, or when an address doesn't have its family's length.
    public init(parsing reader: inout WireReader) throws(WireError) {
        let head = try reader.uint32("identification type")
        type = IdentificationType(rawValue: UInt8(truncatingIfNeeded: head >> 24))
        reserved = head & 0xff_ffff
        data = try reader.rest("identification data")
        let expected: Int? = type == .ipv4Address ? 4 : type == .ipv6Address ? 16 : nil
        if let expected, data.count != expected {
            throw .forbidden(field: "length of an \(type)", value: UInt64(data.count))
        }
    }

    /// Appends the body.
    public func write(into writer: inout WireWriter) {
        writer.uint32(UInt32(type.rawValue) << 24 | reserved)
        writer.append(data)
    }

    /// The address that it is; nil for other kinds of names.
    public var address: IPAddress? {
        type == .ipv4Address || type == .ipv6Address ? IPAddress(bytes: data) : nil
    }
}
