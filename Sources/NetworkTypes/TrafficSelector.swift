/// Which packets an SA carries at one of its ends: an address range, a protocol, a port range (RFC 7296 §3.13.1).
///
/// For ICMP the "ports" are a type in the high octet and a code in the low one.
public struct TrafficSelector: Hashable, Sendable {
    /// The addresses.
    public var addresses: AddressRange
    /// The protocol; ``IPProtocolNumber/any`` for all of them.
    public var ipProtocol: IPProtocolNumber
    /// The ports: which of them, or that they must be hidden.
    public var ports: Ports

    /// Ports of a selector (RFC 7296 §3.13.1, RFC 4301 §4.4.1.1).
    public enum Ports: Hashable, Sendable {
        /// From one to another, both included; all of them is 0 to 65535.
        case range(ClosedRange<UInt16>)
        /// OPAQUE: packets whose ports can't be seen (65535 to 0 on the wire).
        case opaque

        /// All ports.
        public static let any = Ports.range(0...65535)

        /// The one port.
        public static func only(_ port: UInt16) -> Ports { .range(port...port) }

        /// What both allow; nil when that is nothing.
        public func intersection(_ other: Ports) -> Ports? {
            switch (self, other) {
            case (.range(let a), .range(let b)):
                let lower = max(a.lowerBound, b.lowerBound)
                let upper = min(a.upperBound, b.upperBound)
                return lower <= upper ? .range(lower...upper) : nil
            case (.opaque, .opaque): return .opaque
            // "Any" includes packets whose ports are hidden.
            case (.opaque, .range(0...65535)), (.range(0...65535), .opaque): return .opaque
            default: return nil
            }
        }
    }

    /// A selector.
    public init(_ addresses: AddressRange, ipProtocol: IPProtocolNumber = .any, ports: Ports = .any) {
        self.addresses = addresses
        self.ipProtocol = ipProtocol
        self.ports = ports
    }

    /// Few words for the hasher: tables are keyed by these.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(addresses)
        switch ports {
        case .range(let range):
            hasher.combine(
                UInt64(ipProtocol.rawValue) << 32 | UInt64(range.lowerBound) << 16 | UInt64(range.upperBound))
        case .opaque: hasher.combine(UInt64(ipProtocol.rawValue) | 1 << 63)
        }
    }

    /// All packets of an address block.
    public init(_ prefix: IPPrefix) { self.init(prefix.range) }

    /// Which family.
    public var family: IPAddress.Family { addresses.family }

    /// Whether it takes some ports only, so that a packet has to show its own.
    public var namesPorts: Bool {
        switch ports {
        case .range(0...65535), .opaque: false
        case .range: true
        }
    }

    /// What both select; nil when that is nothing.
    public func intersection(_ other: TrafficSelector) -> TrafficSelector? {
        guard let addresses = addresses.intersection(other.addresses), let ports = ports.intersection(other.ports)
        else { return nil }
        switch (ipProtocol, other.ipProtocol) {
        case (.any, let shared), (let shared, .any):
            return TrafficSelector(addresses, ipProtocol: shared, ports: ports)
        case (let a, let b):
            return a == b ? TrafficSelector(addresses, ipProtocol: a, ports: ports) : nil
        }
    }

    /// Whether every packet of `other` is selected.
    public func contains(_ other: TrafficSelector) -> Bool { intersection(other) == other }

    /// Whether a packet's address, protocol and port (nil when hidden) are selected.
    public func matches(_ address: IPAddress, _ packetProtocol: IPProtocolNumber, port: UInt16?) -> Bool {
        guard addresses.contains(address), ipProtocol == .any || ipProtocol == packetProtocol else { return false }
        switch ports {
        case .range(0...65535): return true
        case .range(let range): return port.map(range.contains) ?? false
        case .opaque: return port == nil
        }
    }
}

extension TrafficSelector: CustomStringConvertible {
    /// As swanctl prints it: `10.1.0.0/16`, `10.1.0.1/32[tcp/80]`, `10.1.0.0/16[udp/1000-2000]`, `…[icmp/8]`.
    public var description: String {
        let base = addresses.description
        if ipProtocol == .any, ports == .any { return base }
        let name = ipProtocol == .any ? "0" : ipProtocol.description
        switch ports {
        case .range(0...65535): return "\(base)[\(name)]"
        case .range(let range) where ipProtocol.isICMP:
            let (type, code) = (range.lowerBound >> 8, range.lowerBound & 0xff)
            if range.count == 1 { return "\(base)[\(name)/\(type)(\(code))]" }
            if range.upperBound == range.lowerBound | 0xff, code == 0 { return "\(base)[\(name)/\(type)]" }
            return "\(base)[\(name)/\(type)(\(code))-\(range.upperBound >> 8)(\(range.upperBound & 0xff))]"
        case .range(let range):
            let text = range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)"
            return "\(base)[\(name)/\(text)]"
        case .opaque: return "\(base)[\(name)/OPAQUE]"
        }
    }
}
