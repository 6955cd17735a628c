public import NetworkTypes
internal import WireFormat

/// A route.
public struct Route: Hashable, Sendable, CustomStringConvertible {
    /// What becomes of packets that take a route (RTN_…).
    public struct Kind: RawRepresentable, Hashable, Sendable {
        /// The kernel's number.
        public let rawValue: UInt8

        /// The kernel's number.
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// They go out by a link.
        public static let unicast = Kind(rawValue: 1)
        /// They are for this machine.
        public static let local = Kind(rawValue: 2)
        /// They go to all neighbours.
        public static let broadcast = Kind(rawValue: 3)
        /// They go to a group.
        public static let multicast = Kind(rawValue: 5)
        /// They vanish.
        public static let blackhole = Kind(rawValue: 6)
        /// They are answered by "no route to host".
        public static let unreachable = Kind(rawValue: 7)
        /// They are answered by "prohibited".
        public static let prohibit = Kind(rawValue: 8)
        /// The next rule decides.
        public static let `throw` = Kind(rawValue: 9)
    }

    /// The main routing table.
    public static let mainTable: UInt32 = 254

    /// Where to.
    public var destination: IPPrefix
    /// What becomes of the packets.
    public var kind: Kind
    /// The table.
    public var table: UInt32
    /// The link.
    public var interface: UInt32?
    /// The next router; nil when the destination is a neighbour. A route over several routers shows its first.
    public var gateway: IPAddress?
    /// The source address of what starts here.
    public var preferredSource: IPAddress?
    /// The lower, the better; nil lets the kernel choose (0 for IPv4, 1024 for IPv6).
    public var metric: UInt32?
    /// Who made it (RTPROT_…): a number of our own tells our routes from others.
    public var protocolNumber: UInt8
    /// The largest packet on this route; nil for the link's.
    public var mtu: Int?

    /// A route to `destination`.
    public init(
        to destination: IPPrefix, kind: Kind = .unicast, table: UInt32 = Route.mainTable, interface: UInt32? = nil,
        gateway: IPAddress? = nil, preferredSource: IPAddress? = nil, metric: UInt32? = nil,
        protocolNumber: UInt8 = 4, mtu: Int? = nil
    ) {
        self.destination = destination
        self.kind = kind
        self.table = table
        self.interface = interface
        self.gateway = gateway
        self.preferredSource = preferredSource
        self.metric = metric
        self.protocolNumber = protocolNumber
        self.mtu = mtu
    }

    /// Nil for a family that is not IP, and for an entry of a cache.
    init?(parsing message: NetlinkMessage) throws(WireError) {
        var reader = NetlinkReader(message.payload)
        let family = IPAddress.Family(kernelNumber: try reader.uint8("route family"))
        let length = Int(try reader.uint8("route prefix length"))
        try reader.skip(2, "route source length and TOS")
        let shortTable = UInt32(try reader.uint8("route table"))
        protocolNumber = try reader.uint8("route protocol")
        try reader.skip(1, "route scope")
        kind = Kind(rawValue: try reader.uint8("route type"))
        let flags = try reader.uint32("route flags")
        let attributes = try reader.attributes()
        guard let family, flags & 0x200 == 0,
            let destination = IPPrefix(attributes.address(1) ?? .unspecified(family), length: length)
        else { return nil }
        self.destination = destination
        table = attributes.uint32(15) ?? shortTable
        let hop = attributes.bytes(9).flatMap { Self.firstHop($0) }
        interface = attributes.uint32(4) ?? hop?.interface
        gateway = attributes.address(5) ?? Self.via(attributes.bytes(18)) ?? hop?.gateway
        preferredSource = attributes.address(7)
        metric = attributes.uint32(6)
        mtu = attributes.nested(8)?.uint32(2).map { Int($0) }
    }

    /// struct rtnexthop, of which the first is enough.
    private static func firstHop(_ bytes: ArraySlice<UInt8>) -> (interface: UInt32, gateway: IPAddress?)? {
        var reader = NetlinkReader(bytes)
        guard let length = try? reader.uint16("next hop length"), (try? reader.skip(2, "next hop flags")) != nil,
            let interface = try? reader.uint32("next hop link"),
            let rest = try? reader.bytes(Int(length) - 8, "next hop attributes")
        else { return nil }
        var inner = NetlinkReader(rest)
        let attributes = try? inner.attributes()
        return (interface, attributes?.address(5) ?? via(attributes?.bytes(18)))
    }

    /// struct rtvia: a router of the other family.
    private static func via(_ bytes: ArraySlice<UInt8>?) -> IPAddress? {
        bytes.flatMap { $0.count > 2 ? IPAddress(bytes: $0.dropFirst(2)) : nil }
    }

    /// RTM_NEWROUTE (24) or RTM_DELROUTE (25).
    func request(_ type: UInt16, _ flags: NetlinkFlags) -> NetlinkRequest {
        NetlinkRequest(type, flags) { write(into: &$0, type) }
    }

    /// struct rtmsg.
    private struct Header {
        var family: UInt8
        var length: UInt8
        var sourceLength: UInt8 = 0
        var typeOfService: UInt8 = 0
        var table: UInt8
        var protocolNumber: UInt8
        var scope: UInt8
        var kind: UInt8
        var flags: UInt32 = 0
    }

    /// struct rtmsg and what follows.
    func write(into body: inout NetlinkBody, _ type: UInt16) {
        body.structure(
            Header(
                family: destination.family.kernelNumber, length: UInt8(destination.length),
                table: table < 256 ? UInt8(table) : 0, protocolNumber: protocolNumber,
                scope: scope(deleting: type == 25), kind: kind.rawValue))
        body.attribute(1, destination.address)
        body.attribute(15, table)
        if let interface { body.attribute(4, interface) }
        if let gateway {
            if gateway.family == destination.family {
                body.attribute(5, gateway)
            } else {
                body.attribute(18) { via in
                    via.uint16(UInt16(gateway.family.kernelNumber))
                    via.append(gateway)
                }
            }
        }
        if let preferredSource { body.attribute(7, preferredSource) }
        if let metric { body.attribute(6, metric) }
        if let mtu, type == 24 { body.nested(8) { $0.attribute(2, UInt32(clamping: mtu)) } }
    }

    /// IPv4 wants to know how far a destination is: a neighbour (link), or beyond (universe). Deleting takes any.
    private func scope(deleting: Bool) -> UInt8 {
        if deleting { return 255 }
        if destination.family == .v6 { return 0 }
        switch kind {
        case .local: return 254
        case .unicast: return gateway == nil ? 253 : 0
        default: return 0
        }
    }

    /// `10.1.0.0/16 via 192.0.2.1 link 3 table 220`
    public var description: String {
        var text = "\(destination)"
        if kind != .unicast { text = "\(Self.names[kind] ?? "kind \(kind.rawValue)") " + text }
        if let gateway { text += " via \(gateway)" }
        if let interface { text += " link \(interface)" }
        if let metric { text += " metric \(metric)" }
        return text + " table \(table)"
    }

    private static let names: [Kind: String] = [
        .local: "local", .broadcast: "broadcast", .multicast: "multicast", .blackhole: "blackhole",
        .unreachable: "unreachable", .prohibit: "prohibit", .throw: "throw",
    ]
}

extension RouteSocket {
    /// The routes of a family, of one table or of all, without caches.
    public func routes(_ family: IPAddress.Family, table: UInt32? = nil) throws(SystemError) -> [Route] {
        let request = NetlinkRequest(26) { body in
            body.uint8(family.kernelNumber)
            body.zeros(11)
            if let table { body.attribute(15, table) }
        }
        let messages: [NetlinkMessage]
        do { messages = try netlink.list(request, call: "RTM_GETROUTE") } catch {
            // A table that nobody has put anything in does not exist.
            if table != nil, error.errno == .noSuchEntry { return [] }
            throw error
        }
        // Kernels that cannot choose by table give all.
        return try parseAll(messages, type: 24, Route.init(parsing:)).compactMap { $0 }.filter {
            table == nil || $0.table == table
        }
    }

    /// Makes a route. With `replace`, in the place of the one with the same destination, table and metric.
    public func add(_ route: Route, replace: Bool = false) throws(SystemError) {
        try netlink.perform(
            route.request(24, replace ? [.create, .replace] : [.create, .exclusive]), call: "RTM_NEWROUTE",
            context: route.description)
    }

    /// Removes the route that agrees in all that `route` names.
    @discardableResult
    public func delete(_ route: Route) throws(SystemError) -> Removal {
        try remove(route.request(25, []), call: "RTM_DELROUTE", context: route.description, absent: Self.absent)
    }
}
