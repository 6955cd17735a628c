internal import NetworkTypes

/// Changes of routes that are asked for together: one call of the system for many.
///
/// It owns the requests in their order. Adding makes it so, whatever was there; deleting what is not there is no error.
public struct RouteBatch: Sendable {
    private var changes: [(route: Route, isAddition: Bool)] = []
    /// What a few tunnels ask for.
    private static let usual = 16

    /// No changes yet.
    public init() {}

    /// How many changes.
    public var count: Int { changes.count }

    /// Whether there is nothing to do.
    public var isEmpty: Bool { changes.isEmpty }

    /// Makes a route, in the place of the one with the same destination, table and metric.
    public mutating func add(_ route: Route) {
        if isEmpty { changes.reserveCapacity(Self.usual) }
        changes.append((route, true))
    }

    /// Removes the route that agrees in all that `route` names.
    public mutating func delete(_ route: Route) { changes.append((route, false)) }

    /// The route of a change.
    public subscript(place: Int) -> Route { changes[place].route }

    fileprivate func isAddition(_ place: Int) -> Bool { changes[place].isAddition }

    fileprivate var requests: NetlinkBatch {
        var requests = NetlinkBatch()
        for (route, isAddition) in changes {
            let type: UInt16 = isAddition ? 24 : 25
            requests.append(type, isAddition ? [.create, .replace] : []) { route.write(into: &$0, type) }
        }
        return requests
    }
}

extension RouteSocket {
    /// Makes all changes in their order. What the kernel refuses keeps it from none of the others; the refused ones by
    /// their places.
    public func make(_ batch: RouteBatch) throws(SystemError) -> [(place: Int, error: SystemError)] {
        let refused = try netlink.performEach(batch.requests, call: "RTM_NEWROUTE, RTM_DELROUTE") {
            batch[$0].description
        }
        return refused.filter { batch.isAddition($0.place) || !Self.absent.contains($0.error.errno) }
    }

    /// What says that a route was not there: ENODEV, ENOENT: the link or the table went away, and the route with it.
    static let absent: [ErrorNumber] = [.noSuchProcess, .noSuchEntry, .noSuchDevice]
}
