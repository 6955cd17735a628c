import ESPEngine
import GatewayModel
import LinuxSystem
import NetworkTypes

/// One pair of selectors as nftables compares a packet with it: ranges of addresses, protocol and ports.
struct ClearSelector: CompactKey, Comparable {
    let source: AddressRange
    let destination: AddressRange
    /// 0 for any.
    let ipProtocol: UInt8
    /// For ICMP the type and the code.
    let sourcePorts: ClosedRange<UInt16>
    let destinationPorts: ClosedRange<UInt16>

    /// Packets that come in for these selectors, or that leave by them: every pair that has something in common. Selectors
    /// that want ports to be hidden are left out: what comes in clear shows them.
    static func pairs(from sources: [TrafficSelector], to destinations: [TrafficSelector]) -> [ClearSelector] {
        var found: [ClearSelector] = []
        for here in sources {
            for there in destinations {
                if let pair = ClearSelector(here, there), !found.contains(pair) { found.append(pair) }
            }
        }
        return found
    }

    private init?(_ from: TrafficSelector, _ to: TrafficSelector) {
        guard from.family == to.family,
            from.ipProtocol == .any || to.ipProtocol == .any || from.ipProtocol == to.ipProtocol,
            case .range(let fromPorts) = from.ports, case .range(let toPorts) = to.ports
        else { return nil }
        source = from.addresses
        destination = to.addresses
        let common = from.ipProtocol == .any ? to.ipProtocol : from.ipProtocol
        ipProtocol = common.rawValue
        guard common.isICMP else {
            sourcePorts = fromPorts
            destinationPorts = toPorts
            return
        }
        // Both ends mean the one type and code that there is, where a header has its first port.
        let (lower, upper) = (
            max(fromPorts.lowerBound, toPorts.lowerBound), min(fromPorts.upperBound, toPorts.upperBound)
        )
        guard lower <= upper else { return nil }
        sourcePorts = lower...upper
        destinationPorts = 0...UInt16.max
    }

    /// In an order that is the same everywhere: by addresses, protocol and ports.
    static func < (left: ClearSelector, right: ClearSelector) -> Bool { left.key < right.key }

    private var key: (IPAddress, IPAddress, UInt8, UInt16, UInt16) {
        (
            source.lower, destination.lower, ipProtocol, sourcePorts.lowerBound, destinationPorts.lowerBound
        )
    }

    /// Few steps: each change of a tunnel looks for some of these.
    var spread: UInt {
        let ports =
            UInt(sourcePorts.lowerBound) << 48 | UInt(sourcePorts.upperBound) << 32
            | UInt(destinationPorts.lowerBound) << 16 | UInt(destinationPorts.upperBound)
        let former = CompactSpread.of(ports, after: UInt(ipProtocol))
        return Self.spread(destination, after: Self.spread(source, after: former))
    }

    private static func spread(_ range: AddressRange, after former: UInt) -> UInt {
        let (lower, upper) = (range.lower.bits, range.upper.bits)
        if range.family == .v4 { return CompactSpread.of(UInt(truncatingIfNeeded: lower << 32 | upper), after: former) }
        return Self.spread(upper, after: Self.spread(lower, after: former))
    }

    private static func spread(_ bits: UInt128, after former: UInt) -> UInt {
        let high = CompactSpread.of(UInt(truncatingIfNeeded: bits >> 64), after: former)
        return CompactSpread.of(UInt(truncatingIfNeeded: bits), after: high)
    }

    private var family: IPAddress.Family { source.lower.family }
    private var takesAnyPort: Bool { sourcePorts == 0...UInt16.max && destinationPorts == 0...UInt16.max }
    /// Whether protocol and ports do not matter.
    var isAddressesOnly: Bool { ipProtocol == 0 && takesAnyPort }

    // MARK: As an element of a set

    /// The set that it belongs to.
    var set: String { Self.set(family, isAddressesOnly: isAddressesOnly) }

    /// Itself.
    var element: NetfilterBatch.Element {
        var element = NetfilterBatch.Element()
        element.append(source.lower.bytes, source.upper.bytes)
        element.append(destination.lower.bytes, destination.upper.bytes)
        guard !isAddressesOnly else { return element }
        element.append([ipProtocol], [ipProtocol == 0 ? .max : ipProtocol])
        for ports in [sourcePorts, destinationPorts] {
            element.append(Self.octets(ports.lowerBound), Self.octets(ports.upperBound))
        }
        return element
    }

    /// The sets of both families, for addresses alone and for ports as well.
    static func addSets(to batch: inout NetfilterBatch) {
        for family in IPAddress.Family.allCases {
            let address = family == .v4 ? NetfilterBatch.Field.v4Address : .v6Address
            batch.addSet(set(family, isAddressesOnly: true), [address, address])
            batch.addSet(set(family, isAddressesOnly: false), [address, address, .ipProtocol, .port, .port])
        }
    }

    /// For each set, the rule that drops what is in it.
    static func addLookups(to batch: inout NetfilterBatch, chain: String) {
        for family in IPAddress.Family.allCases {
            // Source and destination follow each other.
            let (offset, length) = family == .v4 ? (12, 8) : (8, 32)
            let addresses = isFamily(family) + [.payload(.network, offset: offset, length: length, register: 0)]
            let next = length / 4
            batch.addRule(
                to: chain,
                addresses + [.isIn(set(family, isAddressesOnly: true), register: 0), .counter, .verdict(.drop)])
            batch.addRule(
                to: chain,
                addresses + [
                    .meta(.upperProtocol, register: next),
                    .payload(.transport, offset: 0, length: 2, register: next + 1),
                    .payload(.transport, offset: 2, length: 2, register: next + 2),
                    .isIn(set(family, isAddressesOnly: false), register: 0), .counter, .verdict(.drop),
                ])
        }
    }

    // MARK: As a rule of its own

    /// The steps that go on only with a packet that it selects.
    var steps: [NetfilterExpression] {
        let (first, length) = family == .v4 ? (12, 4) : (8, 16)
        var steps = Self.isFamily(family)
        for (index, range) in [source, destination].enumerated()
        where range != IPPrefix.everything(family).range {
            steps.append(.payload(.network, offset: first + index * length, length: length, register: 0))
            steps.append(.within(range.lower.bytes, range.upper.bytes, register: 0))
        }
        if ipProtocol != 0 {
            steps.append(.meta(.upperProtocol, register: 0))
            steps.append(.equals([ipProtocol], register: 0))
        }
        for (index, ports) in [sourcePorts, destinationPorts].enumerated() where ports != 0...UInt16.max {
            steps.append(.payload(.transport, offset: index * 2, length: 2, register: 0))
            steps.append(.within(Self.octets(ports.lowerBound), Self.octets(ports.upperBound), register: 0))
        }
        return steps
    }

    /// Goes on only with packets of this family.
    static func isFamily(_ family: IPAddress.Family) -> [NetfilterExpression] {
        [.meta(.family, register: 0), .equals([family == .v4 ? 2 : 10], register: 0)]
    }

    /// A port in network order.
    static func octets(_ port: UInt16) -> [UInt8] { [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)] }

    private static func set(_ family: IPAddress.Family, isAddressesOnly: Bool) -> String {
        (isAddressesOnly ? "networks" : "flows") + (family == .v4 ? "4" : "6")
    }
}
