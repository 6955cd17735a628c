public import NetworkTypes
public import WireFormat

/// What a configuration payload asks or tells (RFC 7296 §3.15; IANA's registry, open-ended).
public struct ConfigurationType: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt8
    /// The type with this number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// CFG_REQUEST: values are asked for.
    public static let request = Self(rawValue: 1)
    /// CFG_REPLY: the answer to a request.
    public static let reply = Self(rawValue: 2)
    /// CFG_SET: values are given unasked.
    public static let set = Self(rawValue: 3)
    /// CFG_ACK: the answer to a set.
    public static let acknowledgement = Self(rawValue: 4)
}

extension ConfigurationType: CustomStringConvertible {
    /// `CPRQ`, `CPRP`, `CPS`, `CPA`, as logs write it; else the number.
    public var description: String {
        switch self {
        case .request: "CPRQ"
        case .reply: "CPRP"
        case .set: "CPS"
        case .acknowledgement: "CPA"
        default: "CP\(rawValue)"
        }
    }
}

/// One value of a host's configuration (RFC 7296 §3.15.1, figure 23).
///
/// Lengths are not judged here: an attribute whose value makes no sense has no ``address``, and is passed over.
public struct ConfigurationAttribute: Hashable, Sendable {
    /// What it is.
    public var type: ConfigurationAttributeType
    /// Its value; empty where one is asked for.
    public var value: [UInt8]

    /// An attribute.
    public init(_ type: ConfigurationAttributeType, _ value: [UInt8] = []) {
        self.type = type
        self.value = value
    }

    /// An address: INTERNAL_IP4_ADDRESS, INTERNAL_IP6_ADDRESS with its prefix length, or a server's of either family.
    public init(_ type: ConfigurationAttributeType, _ address: IPAddress) {
        self.init(type, type == .internalIP6Address ? address.bytes + [128] : address.bytes)
    }

    /// A network: INTERNAL_IP4_SUBNET (address and mask) or INTERNAL_IP6_SUBNET (address and prefix length).
    public init(_ prefix: IPPrefix) {
        switch prefix.address.family {
        case .v4:
            let mask = prefix.length == 0 ? 0 : UInt32.max << UInt32(32 - prefix.length)
            self.init(.internalIP4Subnet, prefix.address.bytes + IPAddress(v4: mask).bytes)
        case .v6:
            self.init(.internalIP6Subnet, prefix.address.bytes + [UInt8(truncatingIfNeeded: prefix.length)])
        }
    }

    /// INTERNAL_IP6_PREFIX (RFC 5739 §5.2).
    public init(lending prefix: IPPrefix) {
        self.init(.internalIP6Prefix, prefix.address.bytes + [UInt8(truncatingIfNeeded: prefix.length)])
    }

    /// The address that the value is or begins with; nil for other attributes, an empty value or a wrong length.
    public var address: IPAddress? {
        switch type {
        case .internalIP4Address, .internalIP4Netmask, .internalIP4DNS, .internalIP4NBNS, .internalIP4DHCP,
            .pcscfIP4Address:
            value.count == 4 ? IPAddress(bytes: value) : nil
        case .internalIP6DNS, .internalIP6DHCP, .pcscfIP6Address:
            value.count == 16 ? IPAddress(bytes: value) : nil
        // The prefix length is left out by some clients.
        case .internalIP6Address: value.count == 16 || value.count == 17 ? IPAddress(bytes: value.prefix(16)) : nil
        default: nil
        }
    }

    /// The network that the value is; nil for other attributes, a wrong length, or a mask with holes.
    public var prefix: IPPrefix? {
        switch type {
        case .internalIP4Subnet where value.count == 8:
            let mask = value[4...].reduce(0) { $0 << 8 | UInt32($1) }
            guard ~mask & (~mask &+ 1) == 0, let address = IPAddress(bytes: value.prefix(4)) else { return nil }
            return IPPrefix(address, length: mask.nonzeroBitCount)
        case .internalIP6Subnet where value.count == 17, .internalIP6Address where value.count == 17,
            .internalIP6Prefix where value.count == 17:
            guard let address = IPAddress(bytes: value.prefix(16)) else { return nil }
            return IPPrefix(address, length: Int(value[16]))
        default: return nil
        }
    }

    init(parsing reader: inout WireReader) throws(WireError) {
        type = ConfigurationAttributeType(rawValue: try reader.uint16("attribute type") & 0x7fff)
        value = try reader.bytes(Int(try reader.uint16("attribute length")), "attribute value")
    }

    func write(into writer: inout WireWriter) {
        writer.uint16(type.rawValue & 0x7fff)
        writer.lengthPrefixed16 { $0.append(value) }
    }
}

/// Values of a host's configuration, asked for or given (RFC 7296 §3.15, figure 22).
public struct ConfigurationPayload: PayloadBody {
    /// What it asks or tells.
    public var type: ConfigurationType
    /// The values.
    public var attributes: [ConfigurationAttribute]

    /// A configuration.
    public init(_ type: ConfigurationType, _ attributes: [ConfigurationAttribute]) {
        self.type = type
        self.attributes = attributes
    }

    /// Reads the body; fails when an attribute is short.
    public init(parsing reader: inout WireReader) throws(WireError) {
        type = ConfigurationType(rawValue: try reader.uint8("configuration type"))
        try reader.skip(3, "reserved")
        attributes = []
        while !reader.isAtEnd { attributes.append(try ConfigurationAttribute(parsing: &reader)) }
    }

    /// Appends the body.
    public func write(into writer: inout WireWriter) {
        writer.uint8(type.rawValue)
        writer.zeros(3)
        for attribute in attributes { attribute.write(into: &writer) }
    }

    /// The first attribute of a type.
    public func first(_ type: ConfigurationAttributeType) -> ConfigurationAttribute? {
        attributes.first { $0.type == type }
    }
    /// All attributes of a type.
    public func all(_ type: ConfigurationAttributeType) -> [ConfigurationAttribute] {
        attributes.filter { $0.type == type }
    }
}
