internal import WireFormat

/// A change of links, addresses, routes or rules.
public enum RouteEvent: Hashable, Sendable {
    /// A link came or changed.
    case link(Link)
    /// A link is gone.
    case linkRemoved(Link)
    /// A link has an address, or something about it changed.
    case address(InterfaceAddress)
    /// A link lost an address.
    case addressRemoved(InterfaceAddress)
    /// A route came or changed.
    case route(Route)
    /// A route is gone.
    case routeRemoved(Route)
    /// Changes were lost: read the state anew.
    case missed
}

/// Reports changes of links, addresses and routes in one network namespace as they happen.
///
/// It owns a netlink socket and belongs to one thread. It never waits and never asks for the state: use a
/// ``RouteSocket`` for that, after the monitor is there.
public final class RouteMonitor {
    private let netlink: NetlinkSocket

    /// Becomes readable when something has changed.
    public var descriptor: Descriptor { netlink.descriptor }

    /// What a monitor reports.
    public enum Scope: Sendable {
        /// Links, addresses and routes.
        case everything
        /// Addresses alone: who makes many routes does not want to hear of each.
        case addresses
    }

    /// For the calling thread's network namespace. Routes of the protocol `ignored` are no changes: who makes many of
    /// them does not want to be woken for each.
    public init(_ scope: Scope = .everything, ignoringRoutesOf ignored: UInt8? = nil) throws(SystemError) {
        netlink = try NetlinkSocket(family: 0)
        if let ignored { try netlink.ignoreRoutes(of: ignored) }
        try netlink.setReceiveBuffer(1 << 20)
        // IPv4 addresses, IPv6 addresses; links, IPv4 routes, IPv6 routes.
        let groups: [UInt32] = scope == .addresses ? [5, 9] : [5, 9, 1, 7, 11]
        for group in groups { try netlink.join(group: group) }
    }

    /// The changes since the last call; empty when there are none.
    public func changes() throws(SystemError) -> [RouteEvent] {
        let messages: [NetlinkMessage]
        do { messages = try netlink.events() } catch {
            guard error.errno == .noBufferSpace else { throw error }
            return [.missed]
        }
        var events: [RouteEvent] = []
        for message in messages {
            do { if let event = try Self.event(message) { events.append(event) } } catch {
                // A message that we cannot read is a change that we missed.
                events.append(.missed)
            }
        }
        return events
    }

    static func event(_ message: NetlinkMessage) throws(WireError) -> RouteEvent? {
        switch message.type {
        case 16: return .link(try Link(parsing: message))
        case 17: return .linkRemoved(try Link(parsing: message))
        case 20: return try InterfaceAddress(parsing: message).map { .address($0) }
        case 21: return try InterfaceAddress(parsing: message).map { .addressRemoved($0) }
        case 24: return try Route(parsing: message).map { .route($0) }
        case 25: return try Route(parsing: message).map { .routeRemoved($0) }
        default: return nil
        }
    }
}
