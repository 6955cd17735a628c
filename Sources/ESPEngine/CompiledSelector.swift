import IPPackets
import IPsecCrypto
import NetworkTypes

/// A traffic selector in the shape that a packet is compared with: numbers only, nothing to count references of.
struct CompiledSelector {
    private let addresses: AddressRange
    private let ipProtocol: UInt8
    private let portLower: UInt16
    private let portUpper: UInt16
    private let needsHiddenPorts: Bool
    /// Whether it takes any ports, hidden ones included.
    let takesAnyPort: Bool

    init(_ selector: TrafficSelector) {
        addresses = selector.addresses
        ipProtocol = selector.ipProtocol.rawValue
        switch selector.ports {
        case .range(let range):
            (portLower, portUpper, needsHiddenPorts) = (range.lowerBound, range.upperBound, false)
        case .opaque:
            (portLower, portUpper, needsHiddenPorts) = (0, 0, true)
        }
        takesAnyPort = selector.ports == .any
    }

    /// Whether it takes packets of any protocol.
    var takesAnyProtocol: Bool { ipProtocol == 0 }

    /// Whether one end of a packet is selected.
    @inline(__always)
    func matches(_ address: IPAddress, _ packetProtocol: UInt8, _ port: UInt16?) -> Bool {
        guard addresses.contains(address), ipProtocol == 0 || ipProtocol == packetProtocol else { return false }
        if takesAnyPort { return true }
        guard let port else { return needsHiddenPorts }
        return !needsHiddenPorts && portLower <= port && port <= portUpper
    }
}

/// What the packets of an inbound SA may be (RFC 4301 §5.2).
struct InboundSelectors {
    /// The peer's, then ours: one piece of memory.
    private let selectors: [CompiledSelector]
    private let remoteCount: Int

    init(local: [TrafficSelector], remote: [TrafficSelector]) {
        var selectors: [CompiledSelector] = []
        selectors.reserveCapacity(remote.count + local.count)
        for selector in remote { selectors.append(CompiledSelector(selector)) }
        for selector in local { selectors.append(CompiledSelector(selector)) }
        self.selectors = selectors
        remoteCount = remote.count
    }

    /// Asks the processor for the first ones, which are about to be used; nothing of them is read.
    @inline(__always)
    func anticipate() {
        unsafe selectors.withUnsafeBufferPointer { selectors in
            // An address within the array, which is not read.
            guard let base = selectors.baseAddress else { return }
            let octets = min(selectors.count, 2) * MemoryLayout<CompiledSelector>.stride
            unsafe PacketCipher.anticipate(UnsafeRawPointer(base), octets: octets)
        }
    }

    /// Whether the SA may carry such a packet.
    @inline(__always)
    func admit(_ fields: PacketSelectorFields) -> Bool {
        let ipProtocol = fields.ipProtocol.rawValue
        let selectors = selectors.span
        return Self.hasMatch(selectors.extracting(first: remoteCount), fields.source, ipProtocol, fields.sourcePort)
            && Self.hasMatch(
                selectors.extracting(droppingFirst: remoteCount), fields.destination, ipProtocol, fields.destinationPort
            )
    }

    @inline(__always)
    private static func hasMatch(
        _ selectors: Span<CompiledSelector>, _ address: IPAddress, _ ipProtocol: UInt8, _ port: UInt16?
    ) -> Bool {
        for index in selectors.indices where selectors[index].matches(address, ipProtocol, port) { return true }
        return false
    }
}
