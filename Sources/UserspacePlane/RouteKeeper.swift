import GatewayModel
import LinuxSystem
import NetworkTypes

/// Leads packets for protected blocks into the TUN, and keeps them from leaving in clear when that is gone.
///
/// Every protected block has two routes in our table: one through the TUN, and a worse one that refuses. The kernel
/// removes the first with the device, whatever ended the process; the second stays. Blocks of several Child SAs are
/// counted. It belongs to the control thread.
final class RouteKeeper {
    /// Who wants what for one block.
    private struct Block {
        var protectors: [ChildSAID] = []
        var blockers: [ChildSAID] = []
        /// Found at the start, or asked for by the configuration.
        var isKept = false
        var hasRoute = false

        var isWanted: Bool { !protectors.isEmpty || !blockers.isEmpty || isKept }
    }

    private let socket: RouteSocket
    private let addresses: OwnAddresses
    private let interface: UInt32
    private let configuration: PlaneConfiguration
    private var blocks: [IPPrefix: Block] = [:]
    private var prefixes: [ChildSAID: [IPPrefix]] = [:]
    private var families: Set<IPAddress.Family> = []

    private static let routeMetric: UInt32 = 220
    private static let blockMetric: UInt32 = 32_767

    /// For the TUN with number `interface`. Blocks that an earlier process left behind are adopted at once: they are
    /// kept until somebody takes them over or ``adopt(keeping:making:)`` says that nobody will.
    init(_ socket: RouteSocket, interface: UInt32, _ configuration: PlaneConfiguration) throws(SystemError) {
        self.socket = socket
        addresses = OwnAddresses(socket)
        self.interface = interface
        self.configuration = configuration
        for family in IPAddress.Family.allCases {
            for route in try socket.routes(family, table: configuration.routeTable) where isBlock(route) {
                blocks[route.destination, default: Block()].isKept = true
                try addRule(family)
            }
        }
    }

    /// Leads all blocks of these selectors into the TUN for this Child SA, and no others any more.
    func protect(_ child: ChildSAID, local: [TrafficSelector], remote: [TrafficSelector]) throws(SystemError) {
        let before = prefixes[child] ?? []
        var wanted: [IPPrefix] = []
        for selector in remote where local.contains(where: { $0.family == selector.family }) {
            for prefix in selector.addresses.prefixes where !wanted.contains(prefix) { wanted.append(prefix) }
        }
        prefixes[child] = wanted
        for prefix in wanted {
            var block = blocks[prefix] ?? Block()
            block.protectors = block.protectors.filter { $0 != child } + [child]
            block.blockers.removeAll { $0 == child }
            // Whoever found it has handed it over.
            block.isKept = false
            blocks[prefix] = block
            try addRule(prefix.family)
            // First the refusal, then the way: there is no moment without one of them.
            try socket.add(refusal(prefix), replace: true)
            try addRoute(prefix, source: preferredSource(prefix.family, local))
            blocks[prefix]?.hasRoute = true
        }
        for prefix in before where !wanted.contains(prefix) { try release(child, prefix, staysBlocked: false) }
    }

    /// Ends this Child SA's part in its blocks.
    func unprotect(_ child: ChildSAID, staysBlocked: Bool) throws(SystemError) {
        let held = prefixes[child] ?? []
        if !staysBlocked { prefixes[child] = nil }
        for prefix in held { try release(child, prefix, staysBlocked: staysBlocked) }
    }

    /// Removes blocks that were found at the start, or made here before, and are neither of `kept` nor of `made`; makes
    /// those of `made` that are not there.
    func adopt(keeping kept: [IPPrefix], making made: [IPPrefix]) throws(SystemError) {
        let wanted = Set(kept).union(made)
        for prefix in blocks.keys.sorted() where blocks[prefix]?.isKept == true && !wanted.contains(prefix) {
            blocks[prefix]?.isKept = false
            try settle(prefix)
        }
        for prefix in made where blocks[prefix] == nil {
            blocks[prefix] = Block(isKept: true)
            try addRule(prefix.family)
            try socket.add(refusal(prefix), replace: true)
        }
    }

    /// Removes all that is ours.
    func removeAll() throws(SystemError) {
        for prefix in blocks.keys.sorted() {
            blocks[prefix] = Block(hasRoute: blocks[prefix]?.hasRoute ?? false)
            try settle(prefix)
        }
        prefixes = [:]
        for family in IPAddress.Family.allCases where families.contains(family) { try socket.delete(rule(family)) }
        families = []
    }

    // MARK: One block

    private func release(_ child: ChildSAID, _ prefix: IPPrefix, staysBlocked: Bool) throws(SystemError) {
        blocks[prefix]?.protectors.removeAll { $0 == child }
        blocks[prefix]?.blockers.removeAll { $0 == child }
        if staysBlocked { blocks[prefix]?.blockers.append(child) }
        try settle(prefix)
    }

    /// Removes what nobody wants any more.
    private func settle(_ prefix: IPPrefix) throws(SystemError) {
        guard let block = blocks[prefix] else { return }
        if block.protectors.isEmpty, block.hasRoute {
            try socket.delete(way(prefix, source: nil))
            blocks[prefix]?.hasRoute = false
        }
        if !block.isWanted {
            try socket.delete(refusal(prefix))
            blocks[prefix] = nil
        }
    }

    private func addRoute(_ prefix: IPPrefix, source: IPAddress?) throws(SystemError) {
        do { try socket.add(way(prefix, source: source), replace: true) } catch {
            // The address may have gone, or not be usable yet: then the kernel chooses.
            guard source != nil, error.errno == .invalidArgument else { throw error }
            try socket.add(way(prefix, source: nil), replace: true)
        }
    }

    private func addRule(_ family: IPAddress.Family) throws(SystemError) {
        guard !families.contains(family) else { return }
        try socket.add(rule(family), replace: true)
        families.insert(family)
    }

    /// An address of ours that may speak for the local side; nil when there is none.
    private func preferredSource(
        _ family: IPAddress.Family, _ local: [TrafficSelector]
    ) throws(SystemError) -> IPAddress? {
        let selectors = local.filter { $0.family == family }
        return try addresses.current().filter { !$0.isTentative }.map(\.address).filter { address in
            address.family == family && !address.isLinkLocal && selectors.contains { $0.addresses.contains(address) }
        }.min()
    }

    private func way(_ prefix: IPPrefix, source: IPAddress?) -> Route {
        Route(
            to: prefix, table: configuration.routeTable, interface: interface, preferredSource: source,
            metric: Self.routeMetric, protocolNumber: configuration.routeProtocol)
    }

    private func refusal(_ prefix: IPPrefix) -> Route {
        Route(
            to: prefix, kind: .unreachable, table: configuration.routeTable, metric: Self.blockMetric,
            protocolNumber: configuration.routeProtocol)
    }

    private func isBlock(_ route: Route) -> Bool {
        route.kind == .unreachable && route.protocolNumber == configuration.routeProtocol
            && route.metric == Self.blockMetric
    }

    /// All packets but our own outer ones look into our table.
    private func rule(_ family: IPAddress.Family) -> Rule {
        Rule(
            family, priority: configuration.rulePriority, table: configuration.routeTable, mark: configuration.mark,
            inverted: configuration.mark != nil, protocolNumber: configuration.routeProtocol)
    }
}
