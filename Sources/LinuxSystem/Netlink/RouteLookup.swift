public import NetworkTypes
internal import WireFormat

/// What the kernel would do with a packet.
public enum RouteLookup: Hashable, Sendable {
    /// It would go out this way.
    case reachable(ReachableRoute)
    /// It would not go: why.
    case unreachable(ErrorNumber)
}

/// The way that a packet would take.
public struct ReachableRoute: Hashable, Sendable {
    /// Whether it goes out, or is for this machine.
    public let kind: Route.Kind
    /// The link.
    public let interface: UInt32
    /// The next router; nil when the destination is a neighbour.
    public let gateway: IPAddress?
    /// The source address that the kernel would take.
    public let preferredSource: IPAddress?
    /// The largest packet that gets through as far as the kernel knows: the route's, or else the link's.
    public let mtu: Int
    /// The table that had the route.
    public let table: UInt32
}

extension RouteSocket {
    /// Asks how a packet to `destination` would go, optionally with this source, mark or link.
    public func lookup(
        _ destination: IPAddress, from source: IPAddress? = nil, mark: UInt32? = nil, interface: UInt32? = nil
    ) throws(SystemError) -> RouteLookup {
        let width = UInt8(destination.family.bitWidth)
        let request = NetlinkRequest(26) { body in
            body.uint8(destination.family.kernelNumber)
            body.uint8(width)
            body.uint8(source == nil ? 0 : width)
            body.zeros(9)
            body.attribute(1, destination)
            if let source { body.attribute(2, source) }
            if let interface { body.attribute(4, interface) }
            if let mark { body.attribute(16, mark) }
        }
        let context = "route to \(destination)"
        let answers: [NetlinkMessage]
        do { answers = try netlink.perform(request, call: "RTM_GETROUTE", context: context) } catch {
            // EACCES: prohibited; EINVAL: a blackhole.
            let verdicts: [ErrorNumber] = [
                .networkUnreachable, .hostUnreachable, .accessDenied, .invalidArgument, .networkDown, .noSuchDevice,
            ]
            if verdicts.contains(error.errno) { return .unreachable(error.errno) }
            throw error
        }
        guard let message = answers.first(where: { $0.type == 24 }),
            let found = try parseAll([message], type: 24, AnsweredRoute.init(parsing:)).first
        else { throw SystemError(call: "RTM_GETROUTE", errno: .badMessage, context: context) }
        switch found.kind {
        case .blackhole: return .unreachable(.invalidArgument)
        case .unreachable: return .unreachable(.hostUnreachable)
        case .prohibit: return .unreachable(.accessDenied)
        default: break
        }
        var mtu = found.mtu ?? 0
        if mtu == 0 { mtu = try link(found.interface).mtu }
        return .reachable(
            ReachableRoute(
                kind: found.kind, interface: found.interface, gateway: found.gateway,
                preferredSource: found.preferredSource, mtu: mtu, table: found.table))
    }
}

/// The answer to a lookup: a route that is always an entry of the cache.
private struct AnsweredRoute {
    let kind: Route.Kind
    let interface: UInt32
    let gateway: IPAddress?
    let preferredSource: IPAddress?
    let mtu: Int?
    let table: UInt32

    init(parsing message: NetlinkMessage) throws(WireError) {
        var reader = NetlinkReader(message.payload)
        try reader.skip(4, "route family and lengths")
        let shortTable = UInt32(try reader.uint8("route table"))
        try reader.skip(2, "route protocol and scope")
        kind = Route.Kind(rawValue: try reader.uint8("route type"))
        try reader.skip(4, "route flags")
        let attributes = try reader.attributes()
        interface = attributes.uint32(4) ?? 0
        let via = attributes.bytes(18).flatMap { $0.count > 2 ? IPAddress(bytes: $0.dropFirst(2)) : nil }
        gateway = attributes.address(5) ?? via
        preferredSource = attributes.address(7)
        mtu = attributes.nested(8)?.uint32(2).flatMap { $0 > 0 ? Int($0) : nil }
        table = attributes.uint32(15) ?? shortTable
    }
}
