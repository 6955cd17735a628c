import IPPackets
import NetworkTypes

/// A traffic selector in the shape that a packet is compared with: numbers only, nothing to count references of.
struct CompiledSelector {
    private let lower: IPAddress
    private let upper: IPAddress
    private let ipProtocol: UInt8
    private let portLower: UInt16
    private let portUpper: UInt16
    private let needsHiddenPorts: Bool

    init(_ selector: TrafficSelector) {
        lower = selector.addresses.lower
        upper = selector.addresses.upper
        ipProtocol = selector.ipProtocol.rawValue
        switch selector.ports {
        case .range(let range):
            (portLower, portUpper, needsHiddenPorts) = (range.lowerBound, range.upperBound, false)
        case .opaque:
            (portLower, portUpper, needsHiddenPorts) = (0, 0, true)
        }
    }

    /// Whether it takes packets of any protocol.
    var takesAnyProtocol: Bool { ipProtocol == 0 }

    /// Whether it takes any ports, hidden ones included.
    var takesAnyPort: Bool { portLower == 0 && portUpper == .max && !needsHiddenPorts }

    /// Whether one end of a packet is selected.
    @inline(__always)
    func matches(_ address: IPAddress, _ packetProtocol: UInt8, _ port: UInt16?) -> Bool {
        guard address.family == lower.family, lower.bits <= address.bits, address.bits <= upper.bits,
            ipProtocol == 0 || ipProtocol == packetProtocol
        else { return false }
        if takesAnyPort { return true }
        guard let port else { return needsHiddenPorts }
        return !needsHiddenPorts && portLower <= port && port <= portUpper
    }
}

/// What the packets of an inbound SA may be (RFC 4301 §5.2).
struct InboundSelectors {
    private let local: [CompiledSelector]
    private let remote: [CompiledSelector]

    init(local: [TrafficSelector], remote: [TrafficSelector]) {
        self.local = local.map { CompiledSelector($0) }
        self.remote = remote.map { CompiledSelector($0) }
    }

    /// Whether the SA may carry such a packet.
    func admit(_ fields: PacketSelectorFields) -> Bool {
        let ipProtocol = fields.ipProtocol.rawValue
        return remote.contains { $0.matches(fields.source, ipProtocol, fields.sourcePort) }
            && local.contains { $0.matches(fields.destination, ipProtocol, fields.destinationPort) }
    }
}
