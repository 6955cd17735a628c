import ESPEngine
import GatewayModel
import LinuxSystem
import NetworkTypes

/// Leads packets for protected blocks into the TUN, and keeps them from leaving in clear when that is gone.
///
/// Every protected block has two routes in our table: one through the TUN, and a worse one that refuses. The kernel
/// removes the first with the device, whatever ended the process; the second stays. What is not for a tunnel although it
/// lies within such a block has a route that sends it back to the other tables (`throw`): networks on our own side, and
/// blocks that the configuration lets through. Blocks of several Child SAs are counted. It belongs to the control
/// thread. Changes are gathered, and are in force after ``flush()`` only: many of them cost little more than one.
final class RouteKeeper {
    /// What somebody wants for one block.
    private struct Claim {
        let child: ChildSAID
        /// That its packets go nowhere, and not through the device.
        let isBlock: Bool
    }

    /// Who wants what for one block. There are as many as there are tunnels, most of them wanted by one.
    private struct Block {
        // The large first: they lie closer together.
        private var others: [Claim] = []
        /// The route through the device; nil while there is none.
        var way: Way?
        private var first: Claim?
        /// Found at the start, and nobody has taken it over yet.
        var isFound = false
        /// Asked for by the configuration: it stays whatever becomes of Child SAs.
        var isConfigured = false
        /// Whether the route that refuses is there, or on its way.
        var isRefused = false
        /// Something about it could not be done: whoever wants it next asks for all of it.
        var isUncertain = false

        /// A route through the device, as it was asked for.
        struct Way: Equatable {
            /// The address that the host speaks from; nil lets the kernel choose.
            let source: IPAddress?
        }

        init(isConfigured: Bool = false, isRefused: Bool = false, way: Way? = nil) {
            (self.isConfigured, self.isRefused, self.way) = (isConfigured, isRefused, way)
        }

        var isWanted: Bool { first != nil || isFound || isConfigured }
        var isProtected: Bool { first?.isBlock == false || others.contains { !$0.isBlock } }

        /// This is what its child wants, and nothing else any more.
        mutating func claim(_ claim: Claim) {
            release(claim.child)
            if first == nil { first = claim } else { others.append(claim) }
        }

        /// Its packets go through the device for this child: whether the route that refuses has to be made, and whether
        /// the other one.
        mutating func lead(_ wanted: Way, for child: ChildSAID) -> (refusal: Bool, way: Bool) {
            let missing = (isUncertain || !isRefused, isUncertain || way != wanted)
            claim(Claim(child: child, isBlock: false))
            (way, isRefused, isUncertain) = (wanted, true, false)
            // Whoever found it has handed it over.
            isFound = false
            return missing
        }

        mutating func release(_ child: ChildSAID) {
            if !others.isEmpty { others.removeAll { $0.child == child } }
            if first?.child == child { first = others.popLast() }
        }
    }

    /// What is to be changed, and for whom.
    private struct Changes {
        var batch = RouteBatch()
        var owners: [ChildSAID?] = []

        mutating func add(_ route: Route, for child: ChildSAID?) {
            batch.add(route)
            owners.append(child)
        }

        mutating func delete(_ route: Route, for child: ChildSAID?) {
            batch.delete(route)
            owners.append(child)
        }
    }

    private let socket: RouteSocket
    /// What has not been changed yet.
    private var pending = Changes()
    private let addresses: OwnAddresses
    private let interface: UInt32
    private let configuration: PlaneConfiguration
    private var blocks = CompactTable<IPPrefix, Block>()
    /// The peers' sides, whose blocks are wanted.
    private var sides = CompactTable<ChildSAID, [TrafficSelector]>()
    /// Of those that have some, the blocks that are refused: our side has no address of their family.
    private var closedBlocks: [ChildSAID: [IPPrefix]] = [:]
    /// What is sent back to the other tables, and for whom; for nobody when it was found at the start.
    private var spared: [IPPrefix: [ChildSAID]] = [:]
    /// How often that changed.
    private(set) var sparedChanges = 0
    private var families: [IPAddress.Family] = []

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
                    if blocks[route.destination] == nil { blocks[route.destination] = Block() }
                    blocks[route.destination]?.isFound = true
                    blocks[route.destination]?.isRefused = true
                    try addRule(family)
                } else if isSpare(route) {
                    spared[route.destination] = []
                } else if isWay(route) {
                    // The device outlived the process that made it: it was handed over.
                    if blocks[route.destination] == nil { blocks[route.destination] = Block() }
                    blocks[route.destination]?.way = Block.Way(source: route.preferredSource)
                }
            }
        }
    }

    /// Leads all blocks of these selectors into the TUN for this Child SA, and no others any more. Blocks of a family that
    /// our side has no address of in it are refused: they are the peer's side, and nothing of ours may go there in clear.
    func protect(_ child: ChildSAID, local: [TrafficSelector], remote: [TrafficSelector]) throws(SystemError) {
        let all = Self.blocks(of: remote)
        let refused = all.filter { prefix in !local.contains { $0.family == prefix.family } }
        let wanted = refused.isEmpty ? all : all.filter { !refused.contains($0) }
        // What can fail comes first.
        for prefix in all { try addRule(prefix.family) }
        let known = try wanted.isEmpty ? [] : addresses.current()
        let before = Self.blocks(of: sides.updateValue(remote, forKey: child) ?? [])
        if refused.isEmpty { closedBlocks.drop(child) } else { closedBlocks[child] = refused }
        // Before anything could lead our own side's packets to the peer.
        spare(child, Self.within(wanted, local))
        for prefix in wanted {
            let source = Self.preferredSource(prefix.family, local, known)
            let missing = blocks.change(prefix) { block in
                if block == nil { block = Block() }
                return block?.lead(Block.Way(source: source), for: child)
            }
            // First the refusal, then the way: there is no moment without one of them.
            if missing?.refusal == true { pending.add(refusal(prefix), for: child) }
            if missing?.way == true { pending.add(way(prefix, source: source), for: child) }
        }
        for prefix in refused {
            blocks.change(prefix) { there in
                var block = there ?? Block()
                block.isFound = false
                refuse(prefix, &block, for: child)
                block.claim(Claim(child: child, isBlock: true))
                there = settled(block, prefix, for: child)
            }
        }
        for prefix in before where !all.contains(prefix) { release(child, prefix, staysBlocked: false) }
    }

    /// The blocks of a protecting Child SA that are refused, since our side has no address of their family in it.
    func closed(_ child: ChildSAID) -> [IPPrefix] { closedBlocks[child] ?? [] }

    /// Ends this Child SA's part in its blocks.
    func unprotect(_ child: ChildSAID, staysBlocked: Bool) {
        let side = staysBlocked ? sides[child] : sides.removeValue(forKey: child)
        for prefix in Self.blocks(of: side ?? []) { release(child, prefix, staysBlocked: staysBlocked) }
        if staysBlocked { return }
        closedBlocks.drop(child)
        spare(child, [])
    }

    /// Sends these blocks back to the other tables for this Child SA, and no others any more.
    func spare(_ child: ChildSAID, _ wanted: [IPPrefix]) {
        for prefix in wanted where spared[prefix]?.contains(child) != true {
            if spared[prefix]?.isEmpty ?? true { pending.add(wayBack(prefix), for: child) }
            sparedChanges += 1
            spared[prefix, default: []].append(child)
        }
        if spared.isEmpty { return }
        for prefix in spared.keys.sorted() where !wanted.contains(prefix) && spared[prefix]?.contains(child) == true {
            spared[prefix]?.removeAll { $0 == child }
            if spared[prefix]?.isEmpty == true { stopSparing(prefix) }
        }
    }

    /// This host's addresses are others than a moment ago.
    func addressesChanged() { addresses.expire() }

    /// Whether changes were asked for that are not made yet.
    var hasChanges: Bool { !pending.batch.isEmpty }

    /// Makes all changes that were asked for. The Child SAs for which something could not be done, and what; nil where it
    /// was for none.
    func flush() throws(SystemError) -> [(child: ChildSAID?, error: SystemError)] {
        addresses.expire()
        guard hasChanges else { return [] }
        let (batch, children) = (pending.batch, pending.owners)
        pending = Changes()
        var failures: [(child: ChildSAID?, error: SystemError)] = []
        for (place, error) in try socket.make(batch) {
            let child = children[place]
            guard error.errno == .invalidArgument, batch[place].preferredSource != nil else {
                failures.append((child, error))
                continue
            }
            // The address may have gone, or not be usable yet: then the kernel chooses.
            do { try socket.add(way(batch[place].destination, source: nil), replace: true) } catch {
                failures.append((child, error))
            }
        }
        // What is not there has to be asked for again.
        for place in 0..<(failures.isEmpty ? 0 : batch.count) { blocks[batch[place].destination]?.isUncertain = true }
        return failures
    }

    /// Removes blocks that were found at the start, or made here before, and are neither of `kept` nor of `made`; makes
    /// those of `made` that are not there.
    func adopt(keeping kept: [IPPrefix], making made: [IPPrefix]) throws(SystemError) {
        let configured = Set(made)
        let wanted = configured.union(kept)
        for prefix in blocks.keys.sorted() {
            blocks.change(prefix) { there in
                guard var block = there else { return }
                // What is no longer to be made, but still somebody's, waits for that one as if it had been found.
                block.isFound = (block.isFound || block.isConfigured) && wanted.contains(prefix)
                block.isConfigured = configured.contains(prefix)
                there = settled(block, prefix, for: nil)
            }
        }
        for prefix in made where blocks[prefix] == nil {
            try addRule(prefix.family)
            var block = Block(isConfigured: true)
            refuse(prefix, &block, for: nil)
            blocks[prefix] = block
        }
        for prefix in spared.keys.sorted() where spared[prefix]?.isEmpty == true {
            if !blocks.keys.contains(where: { $0.contains(prefix) }) { stopSparing(prefix) }
        }
    }

    /// Removes all that is ours.
    func removeAll() throws(SystemError) {
        for prefix in blocks.keys.sorted() {
            blocks[prefix] = settled(Block(isRefused: true, way: blocks[prefix]?.way), prefix, for: nil)
        }
        for prefix in spared.keys.sorted() { stopSparing(prefix) }
        sides = CompactTable()
        closedBlocks = [:]
        if let failure = try flush().first { throw failure.error }
        for family in IPAddress.Family.allCases where families.contains(family) { try socket.delete(rule(family)) }
        families = []
    }

    // MARK: One block

    private func release(_ child: ChildSAID, _ prefix: IPPrefix, staysBlocked: Bool) {
        blocks.change(prefix) { there in
            guard var block = there else { return }
            if staysBlocked { block.claim(Claim(child: child, isBlock: true)) } else { block.release(child) }
            there = settled(block, prefix, for: child)
        }
    }

    /// A block without what nobody wants of it any more; nil when that is all of it.
    private func settled(_ block: Block, _ prefix: IPPrefix, for child: ChildSAID?) -> Block? {
        var block = block
        if !block.isProtected, block.way != nil {
            pending.delete(way(prefix, source: nil), for: child)
            block.way = nil
        }
        if block.isWanted { return block }
        pending.delete(refusal(prefix), for: child)
        return nil
    }

    private func refuse(_ prefix: IPPrefix, _ block: inout Block, for child: ChildSAID?) {
        guard !block.isRefused || block.isUncertain else { return }
        pending.add(refusal(prefix), for: child)
        block.isRefused = true
    }

    private func addRule(_ family: IPAddress.Family) throws(SystemError) {
        guard !families.contains(family) else { return }
        try socket.add(rule(family), replace: true)
        families.append(family)
    }

    /// The lowest address of ours that may speak for the local side; nil when there is none.
    private static func preferredSource(
        _ family: IPAddress.Family, _ local: [TrafficSelector], _ addresses: [InterfaceAddress]
    ) -> IPAddress? {
        var best: IPAddress?
        for one in addresses where one.address.family == family && !one.isTentative && !one.address.isLinkLocal {
            if let best, best <= one.address { continue }
            if local.contains(where: { $0.addresses.contains(one.address) }) { best = one.address }
        }
        return best
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

    private func stopSparing(_ prefix: IPPrefix) {
        spared[prefix] = nil
        sparedChanges += 1
        pending.delete(wayBack(prefix), for: nil)
    }

    /// The blocks of a side, each once.
    private static func blocks(of side: [TrafficSelector]) -> [IPPrefix] {
        var found: [IPPrefix] = []
        for selector in side {
            selector.addresses.forEachPrefix { if !found.contains($0) { found.append($0) } }
        }
        return found
    }

    /// The blocks of our own side that lie within one of the peer's, and are not all of it.
    private static func within(_ remote: [IPPrefix], _ local: [TrafficSelector]) -> [IPPrefix] {
        var found: [IPPrefix] = []
        for selector in local {
            selector.addresses.forEachPrefix { prefix in
                let isWithin = remote.contains { $0 != prefix && $0.contains(prefix) }
                if isWithin, !found.contains(prefix) { found.append(prefix) }
            }
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

    private func isWay(_ route: Route) -> Bool {
        route.interface == interface && route.protocolNumber == configuration.routeProtocol
            && route.metric == Self.routeMetric
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
