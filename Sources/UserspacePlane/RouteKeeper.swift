import GatewayModel
import LinuxSystem
import NetworkTypes

/// Leads packets for protected blocks into the TUN, and keeps them from leaving in clear when that is gone.
///
/// Every protected block has two routes in our table: one through the TUN, and a worse one that refuses. The kernel
/// removes the first with the device, whatever ended the process; the second stays. What is not for a tunnel although it
/// lies within such a block has a route that sends it back to the other tables (`throw`): networks on our own side, and
/// blocks that the configuration lets through. Blocks of several Child SAs are counted. It belongs to the control
/// thread.
final class RouteKeeper {
    /// Who wants what for one block.
    private struct Block {
        var protectors: [ChildSAID] = []
        var blockers: [ChildSAID] = []
        /// Found at the start, and nobody has taken it over yet.
        var isFound = false
        /// Asked for by the configuration: it stays whatever becomes of Child SAs.
        var isConfigured = false
        var hasRoute = false

        var isWanted: Bool { !protectors.isEmpty || !blockers.isEmpty || isFound || isConfigured }
    }

    private let socket: RouteSocket
    private let addresses: OwnAddresses
    private let interface: UInt32
    private let configuration: PlaneConfiguration
    private var blocks: [IPPrefix: Block] = [:]
    private var prefixes: [ChildSAID: [IPPrefix]] = [:]
    /// What is sent back to the other tables, and for whom; for nobody when it was found at the start.
    private var spared: [IPPrefix: [ChildSAID]] = [:]
    /// How often that changed.
    private(set) var sparedChanges = 0
    private var families: Set<IPAddress.Family> = []

    /// What is sent back to the other tables, in order.
    var sparedPrefixes: [IPPrefix] { spared.keys.sorted() }

    /// Whether an earlier process has blocked this, and nobody has taken it over yet.
    func isFound(_ prefix: IPPrefix) -> Bool { blocks[prefix]?.isFound == true }

    private static let routeMetric: UInt32 = 220
    private static let blockMetric: UInt32 = 32_767
    /// Worse than both: where the same block is to be protected, it is.
    private static let spareMetric: UInt32 = 32_768

    /// For the TUN with number `interface`. Blocks that an earlier process left behind are adopted at once: they are
    /// kept until somebody takes them over or ``adopt(keeping:making:)`` says that nobody will.
    init(_ socket: RouteSocket, interface: UInt32, _ configuration: PlaneConfiguration) throws(SystemError) {
        self.socket = socket
        addresses = OwnAddresses(socket)
        self.interface = interface
        self.configuration = configuration
        for family in IPAddress.Family.allCases {
            for route in try socket.routes(family, table: configuration.routeTable) {
                if isBlock(route) {
                    blocks[route.destination, default: Block()].isFound = true
                    try addRule(family)
                } else if isSpare(route) {
                    spared[route.destination] = []
                }
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
        // Before anything could lead our own side's packets to the peer.
        try spare(child, Self.within(wanted, local))
        for prefix in wanted {
            var block = blocks[prefix] ?? Block()
            block.protectors = block.protectors.filter { $0 != child } + [child]
            block.blockers.removeAll { $0 == child }
            // Whoever found it has handed it over.
            block.isFound = false
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
        if !staysBlocked { try spare(child, []) }
    }

    /// Sends these blocks back to the other tables for this Child SA, and no others any more.
    func spare(_ child: ChildSAID, _ wanted: [IPPrefix]) throws(SystemError) {
        for prefix in wanted where spared[prefix]?.contains(child) != true {
            if spared[prefix]?.isEmpty ?? true { try socket.add(wayBack(prefix), replace: true) }
            sparedChanges += 1
            spared[prefix, default: []].append(child)
        }
        for prefix in spared.keys.sorted() where !wanted.contains(prefix) && spared[prefix]?.contains(child) == true {
            spared[prefix]?.removeAll { $0 == child }
            if spared[prefix]?.isEmpty == true { try stopSparing(prefix) }
        }
    }

    /// Removes blocks that were found at the start, or made here before, and are neither of `kept` nor of `made`; makes
    /// those of `made` that are not there.
    func adopt(keeping kept: [IPPrefix], making made: [IPPrefix]) throws(SystemError) {
        let configured = Set(made)
        let wanted = configured.union(kept)
        for prefix in blocks.keys.sorted() {
            guard let block = blocks[prefix] else { continue }
            blocks[prefix]?.isConfigured = configured.contains(prefix)
            // What is no longer to be made, but still somebody's, waits for that one as if it had been found.
            blocks[prefix]?.isFound = (block.isFound || block.isConfigured) && wanted.contains(prefix)
            try settle(prefix)
        }
        for prefix in made where blocks[prefix] == nil {
            blocks[prefix] = Block(isConfigured: true)
            try addRule(prefix.family)
            try socket.add(refusal(prefix), replace: true)
        }
        for prefix in spared.keys.sorted() where spared[prefix]?.isEmpty == true {
            if !blocks.keys.contains(where: { $0.contains(prefix) }) { try stopSparing(prefix) }
        }
    }

    /// Removes all that is ours.
    func removeAll() throws(SystemError) {
        for prefix in blocks.keys.sorted() {
            blocks[prefix] = Block(hasRoute: blocks[prefix]?.hasRoute ?? false)
            try settle(prefix)
        }
        for prefix in spared.keys.sorted() { try stopSparing(prefix) }
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

    private func stopSparing(_ prefix: IPPrefix) throws(SystemError) {
        spared[prefix] = nil
        sparedChanges += 1
        try socket.delete(wayBack(prefix))
    }

    /// The blocks of our own side that lie within one of the peer's, and are not all of it.
    private static func within(_ remote: [IPPrefix], _ local: [TrafficSelector]) -> [IPPrefix] {
        var found: [IPPrefix] = []
        for prefix in local.flatMap({ $0.addresses.prefixes }) where !found.contains(prefix) {
            if remote.contains(where: { $0 != prefix && $0.contains(prefix) }) { found.append(prefix) }
        }
        return found
    }

    private func wayBack(_ prefix: IPPrefix) -> Route {
        Route(
            to: prefix, kind: .throw, table: configuration.routeTable, metric: Self.spareMetric,
            protocolNumber: configuration.routeProtocol)
    }

    private func isSpare(_ route: Route) -> Bool {
        route.kind == .throw && route.protocolNumber == configuration.routeProtocol
            && route.metric == Self.spareMetric
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
