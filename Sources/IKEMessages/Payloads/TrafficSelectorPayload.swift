public import NetworkTypes
public import WireFormat

/// What one end of a Child SA carries (RFC 7296 §3.13, figures 19 and 20).
public struct TrafficSelectorPayload: PayloadBody {
    /// One selector.
    public enum Element: Hashable, Sendable {
        /// A range of IPv4 or IPv6 addresses.
        case range(TrafficSelector)
        /// A type that is not understood: it selects nothing for us, and can't be answered with.
        case unknown(type: UInt8, body: [UInt8])
    }

    /// The number of a range of IPv4 addresses.
    static let ipv4Range: UInt8 = 7
    /// The number of a range of IPv6 addresses.
    static let ipv6Range: UInt8 = 8

    /// The selectors in their order; 1 to 255.
    public var elements: [Element]

    /// A list of selectors.
    public init(_ selectors: [TrafficSelector]) { elements = selectors.map { .range($0) } }

    /// The selectors that are understood, in their order.
    public var selectors: [TrafficSelector] {
        elements.compactMap { if case .range(let selector) = $0 { selector } else { nil } }
    }

    /// Reads the body; fails when there is no selector, when the count is wrong, or when a range ends before it starts
    /// (but for OPAQUE ports).
    public init(parsing reader: inout WireReader) throws(WireError) {
        let count = try reader.uint8("number of traffic selectors")
        guard count > 0 else { throw .forbidden(field: "number of traffic selectors", value: 0) }
        try reader.skip(3, "reserved")
        elements = []
        for _ in 0..<count { elements.append(try Self.element(&reader)) }
    }

    private static func element(_ reader: inout WireReader) throws(WireError) -> Element {
        let type = try reader.uint8("traffic selector type")
        let ipProtocol = IPProtocolNumber(rawValue: try reader.uint8("IP protocol"))
        let length = Int(try reader.uint16("selector length"))
        var body = try reader.child(length - 4, "traffic selector")
        let family: IPAddress.Family
        switch type {
        case ipv4Range: family = .v4
        case ipv6Range: family = .v6
        default:
            // The octet that is a protocol in the known types belongs to the body of an unknown one.
            return .unknown(type: type, body: [ipProtocol.rawValue] + (try body.rest("traffic selector")))
        }
        let start = try body.uint16("start port")
        let end = try body.uint16("end port")
        let lower = try address(family, &body, "starting address")
        let upper = try address(family, &body, "ending address")
        try body.finish("traffic selector")
        guard let addresses = AddressRange(lower, upper) else {
            throw .forbidden(field: "range from \(lower) to \(upper) in a selector of type", value: UInt64(type))
        }
        let ports: TrafficSelector.Ports
        if start <= end {
            ports = .range(start...end)
        } else if start == 0xffff, end == 0 {
            ports = .opaque
        } else {
            throw .forbidden(field: "end port below start port \(start)", value: UInt64(end))
        }
        return .range(TrafficSelector(addresses, ipProtocol: ipProtocol, ports: ports))
    }

    private static func address(
        _ family: IPAddress.Family, _ reader: inout WireReader, _ field: StaticString
    ) throws(WireError) -> IPAddress {
        if family == .v4 { return IPAddress(v4: try reader.uint32(field)) }
        let high = try reader.uint64(field)
        return IPAddress(.v6, bits: UInt128(high) << 64 | UInt128(try reader.uint64(field)))
    }

    /// Appends the body. More than 255 selectors can't be counted: the rest is left out.
    public func write(into writer: inout WireWriter) {
        let sent = elements.prefix(255)
        writer.uint8(UInt8(truncatingIfNeeded: sent.count))
        writer.uint8(0)
        writer.uint16(0)
        for element in sent {
            switch element {
            case .range(let selector):
                writer.uint8(selector.family == .v4 ? Self.ipv4Range : Self.ipv6Range)
                writer.uint8(selector.ipProtocol.rawValue)
                writer.uint16(UInt16(8 + 2 * selector.family.byteCount))
                switch selector.ports {
                case .range(let ports):
                    writer.uint16(ports.lowerBound)
                    writer.uint16(ports.upperBound)
                case .opaque:
                    writer.uint16(0xffff)
                    writer.uint16(0)
                }
                writer.address(selector.addresses.lower)
                writer.address(selector.addresses.upper)
            case .unknown(let type, let body):
                writer.uint8(type)
                writer.uint8(body.first ?? 0)
                writer.lengthPrefixed16(overhead: 4) { $0.append(body.dropFirst()) }
            }
        }
    }
}

extension WireWriter {
    /// Appends an address: 4 or 16 octets.
    public mutating func address(_ address: IPAddress) {
        if address.family == .v6 {
            uint64(UInt64(truncatingIfNeeded: address.bits >> 64))
            uint64(UInt64(truncatingIfNeeded: address.bits))
        } else {
            uint32(UInt32(truncatingIfNeeded: address.bits))
        }
    }
}
