import IPPackets
import NetworkTypes

/// A traffic selector in the shape that a packet is compared with: numbers only, nothing to count references of.
struct CompiledSelector {
    private let lower: UInt128
    private let upper: UInt128
    private let family: IPAddress.Family
    private let ipProtocol: UInt8
    private let portLower: UInt16
    private let portUpper: UInt16
    private let needsHiddenPorts: Bool

    init(_ selector: TrafficSelector) {
        lower = selector.addresses.lower.bits
        upper = selector.addresses.upper.bits
        family = selector.family
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
        guard address.family == family, lower <= address.bits, address.bits <= upper,
            ipProtocol == 0 || ipProtocol == packetProtocol
        else { return false }
        if takesAnyPort { return true }
        guard let port else { return needsHiddenPorts }
        return !needsHiddenPorts && portLower <= port && port <= portUpper
    }
}
