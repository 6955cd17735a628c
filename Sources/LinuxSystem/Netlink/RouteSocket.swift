internal import NetworkTypes
internal import WireFormat

/// A link: something that packets come and go by.
public struct Link: Hashable, Sendable {
    /// Its number in its namespace.
    public let index: UInt32
    /// Its name.
    public let name: String
    /// Its largest packet in octets.
    public let mtu: Int
    /// Whether it is switched on.
    public let isUp: Bool
    /// Whether it can carry packets now.
    public let isRunning: Bool
    /// Whether it is the loopback.
    public let isLoopback: Bool
    /// What drives it (`veth`, `tun`); nil for hardware and loopback.
    public let kind: String?
    /// What somebody has written on it (`ip link set … alias`); nil for nothing.
    public let alias: String?

    init(parsing message: NetlinkMessage) throws(WireError) {
        var reader = NetlinkReader(message.payload)
        try reader.skip(4, "link family and type")
        index = try reader.uint32("link index")
        let flags = try reader.uint32("link flags")
        try reader.skip(4, "link change mask")
        let attributes = try reader.attributes()
        name = attributes.text(3) ?? ""
        mtu = Int(attributes.uint32(4) ?? 0)
        isUp = flags & 0x1 != 0
        isRunning = flags & 0x40 != 0
        isLoopback = flags & 0x8 != 0
        kind = attributes.nested(18)?.text(1)
        alias = attributes.text(20)
    }
}

/// What to change about a link; nil leaves it as it is.
public struct LinkChange: Sendable {
    /// Its largest packet in octets.
    public var mtu: Int?
    /// Whether it is switched on.
    public var up: Bool?
    /// Its name; it must be off.
    public var name: String?
    /// The namespace to move it to; it loses its addresses and routes.
    public var namespace: NetworkNamespace?
    /// The largest train of segments that it is given, in octets.
    public var largestTrain: UInt32?
    /// How many packets may wait for it.
    public var queueLength: UInt32?
    /// What is written on it, 255 octets at most.
    public var alias: String?

    /// The longest ``alias``, in octets.
    public static let longestAlias = 255

    /// Nothing but what is named.
    public init(
        mtu: Int? = nil, up: Bool? = nil, name: String? = nil, namespace: NetworkNamespace? = nil,
        largestTrain: UInt32? = nil, queueLength: UInt32? = nil, alias: String? = nil
    ) {
        self.mtu = mtu
        self.up = up
        self.name = name
        self.namespace = namespace
        self.largestTrain = largestTrain
        self.queueLength = queueLength
        self.alias = alias
    }

    /// The request for link `index` (RTM_NEWLINK).
    func request(_ index: UInt32) -> NetlinkRequest {
        NetlinkRequest(16) { body in
            body.linkHeader(index: index, up: up)
            if let name { body.attribute(3, text: name) }
            if let mtu { body.attribute(4, UInt32(clamping: mtu)) }
            if let queueLength { body.attribute(13, queueLength) }
            if let alias { body.attribute(20, text: alias) }
            if let namespace { body.attribute(28, UInt32(bitPattern: namespace.descriptor.number)) }
            if let largestTrain { body.attribute(41, largestTrain) }
        }
    }
}

/// What a deletion did.
public enum Removal: Hashable, Sendable {
    /// It was there and is gone.
    case removed
    /// It was not there.
    case absent
}

/// Links, addresses, routes and rules of one network namespace (rtnetlink).
///
/// It owns a netlink socket and belongs to one thread; it works on the namespace where it was made. Each call is one
/// request with its answer. Adding with `replace` makes it so, whatever was there; deleting what is not there is no
/// error.
public final class RouteSocket {
    let netlink: NetlinkSocket

    /// For the calling thread's network namespace.
    public init() throws(SystemError) { netlink = try NetlinkSocket(family: 0) }

    /// All links.
    public func links() throws(SystemError) -> [Link] {
        let request = NetlinkRequest(18) { $0.linkHeader(index: 0, up: nil) }
        return try parseAll(netlink.list(request, call: "RTM_GETLINK"), type: 16, Link.init(parsing:))
    }

    /// The link with this name; ENODEV when there is none.
    public func link(named name: String) throws(SystemError) -> Link {
        try Self.checkName(name)
        let request = NetlinkRequest(18) { body in
            body.linkHeader(index: 0, up: nil)
            body.attribute(3, text: name)
        }
        return try oneLink(request, "link \(name)")
    }

    /// The link with this number; ENODEV when there is none.
    public func link(_ index: UInt32) throws(SystemError) -> Link {
        try oneLink(NetlinkRequest(18) { $0.linkHeader(index: index, up: nil) }, "link \(index)")
    }

    /// Changes a link.
    public func change(_ index: UInt32, _ change: LinkChange) throws(SystemError) {
        if let name = change.name { try Self.checkName(name) }
        try netlink.perform(change.request(index), call: "RTM_NEWLINK", context: "link \(index)")
    }

    /// Makes a pair of links that are each other's other end. Each may be born in another namespace.
    public func addPair(
        _ first: String, _ second: String, firstIn firstNamespace: NetworkNamespace? = nil,
        secondIn secondNamespace: NetworkNamespace? = nil
    ) throws(SystemError) {
        try Self.checkName(first)
        try Self.checkName(second)
        let request = NetlinkRequest(16, [.create, .exclusive]) { body in
            body.linkHeader(index: 0, up: nil)
            body.attribute(3, text: first)
            if let firstNamespace { body.attribute(28, UInt32(bitPattern: firstNamespace.descriptor.number)) }
            body.nested(18) { information in
                information.attribute(1, text: "veth")
                information.nested(2) { data in
                    data.nested(1) { peer in
                        peer.linkHeader(index: 0, up: nil)
                        peer.attribute(3, text: second)
                        if let secondNamespace {
                            peer.attribute(28, UInt32(bitPattern: secondNamespace.descriptor.number))
                        }
                    }
                }
            }
        }
        try netlink.perform(request, call: "RTM_NEWLINK", context: "veth \(first) and \(second)")
    }

    /// Makes a link of `kind` (`dummy`, `bridge`, `xfrm`), whose own settings `data` writes.
    public func addLink(
        _ name: String, kind: String, data: (inout NetlinkBody) -> Void = { _ in }
    ) throws(SystemError) {
        try Self.checkName(name)
        let request = NetlinkRequest(16, [.create, .exclusive]) { body in
            body.linkHeader(index: 0, up: nil)
            body.attribute(3, text: name)
            body.nested(18) { information in
                information.attribute(1, text: kind)
                information.nested(2, data)
            }
        }
        try netlink.perform(request, call: "RTM_NEWLINK", context: "\(kind) \(name)")
    }

    /// Removes a link.
    @discardableResult
    public func deleteLink(named name: String) throws(SystemError) -> Removal {
        try Self.checkName(name)
        let request = NetlinkRequest(17) { body in
            body.linkHeader(index: 0, up: nil)
            body.attribute(3, text: name)
        }
        return try remove(request, call: "RTM_DELLINK", context: "link \(name)", absent: [.noSuchDevice])
    }

    private func oneLink(_ request: NetlinkRequest, _ context: String) throws(SystemError) -> Link {
        let found = try parseAll(
            netlink.perform(request, call: "RTM_GETLINK", context: context), type: 16, Link.init(parsing:))
        guard let link = found.first else {
            throw SystemError(call: "RTM_GETLINK", errno: .noSuchDevice, context: context)
        }
        return link
    }

    private static func checkName(_ name: String) throws(SystemError) {
        try checkedText(name, "link")
        guard name.utf8.count < 16 else {
            throw SystemError(
                call: "link", errno: .invalidArgument, context: "\(name): a name has 15 octets at most")
        }
    }

    /// Sends a deletion; any of `absent` means that there was nothing to delete.
    func remove(
        _ request: NetlinkRequest, call: String, context: @autoclosure () -> String, absent: [ErrorNumber]
    ) throws(SystemError) -> Removal {
        do { try netlink.perform(request, call: call, context: context()) } catch {
            if absent.contains(error.errno) { return .absent }
            throw error
        }
        return .removed
    }

    /// The messages of `type`, parsed.
    func parseAll<Value>(
        _ messages: [NetlinkMessage], type: UInt16, _ parse: (NetlinkMessage) throws(WireError) -> Value
    ) throws(SystemError) -> [Value] {
        var values: [Value] = []
        for message in messages where message.type == type {
            do { values.append(try parse(message)) } catch {
                throw SystemError(call: "netlink answer", errno: .badMessage, context: "\(error)")
            }
        }
        return values
    }
}

extension NetlinkBody {
    /// struct ifinfomsg.
    mutating func linkHeader(index: UInt32, up: Bool?) {
        zeros(4)
        uint32(index)
        uint32(up == true ? 1 : 0)
        uint32(up == nil ? 0 : 1)
    }
}

extension IPAddress.Family {
    /// AF_INET or AF_INET6.
    var kernelNumber: UInt8 { self == .v4 ? 2 : 10 }

    init?(kernelNumber: UInt8) {
        switch kernelNumber {
        case 2: self = .v4
        case 10: self = .v6
        default: return nil
        }
    }
}
