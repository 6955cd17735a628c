import Clockwork
public import ESPEngine
public import GatewayModel
import IPPackets
import IPsecCrypto
public import LinuxSystem
public import NetworkTypes

/// The data plane in user space: inner packets by a TUN device or a ``PacketPort``, ESP by sockets, on two threads.
///
/// It owns the sockets, the threads and what it put into the kernel's routing tables. It belongs to the control thread:
/// every method is to be called from there. What packet threads work with is theirs alone; they are told of changes by
/// ordered queues, and what they tell comes back by ``takeMessages()`` and ``takeEvents()``. IKE is no
/// packet thread's where the kernel tells it from ESP: ``readMessages(_:)`` reads it. It never negotiates.
///
/// Packets that no policy speaks of but that a route led into the TUN are dropped: a route cannot tell ports.
public final class UserspacePlane: DataPlane {
    let sockets: PlaneSockets
    let receiveOrders: OrderFan<ReceiveOrder>
    let transmitOrders: OrderFan<TransmitOrder>
    let inbox: ControlInbox
    let listener: IKEListener
    let failures = PlaneFailure()
    /// Of each packet thread.
    var dropCounters: [DropCounters] = []
    let routes: RouteKeeper?
    let clear: ClearGuard?
    /// Devices of children's own.
    let interfaces: VirtualInterfaces
    /// Child SAs that have one, and its number there.
    private var domains: [ChildSAID: UInt64] = [:]
    private let links: LinkFit
    /// Policies that are no Child SA's.
    var standing = StandingRegister()
    /// What an earlier process left closed, until it is taken over or the configuration changes.
    var dormant: [ChildSAID: PolicySelectors] = [:]
    /// How often that had changed when the guard was told.
    var sparedChanges = 0
    /// Of Child SAs that have a priority of their own.
    private var precedences: [ChildSAID: UInt32] = [:]
    /// Whether an outbound SA was ever to send dummies.
    private var sendsDummies = false
    let addresses: AddressKeeper?
    var threads: [WorkerThread] = []
    /// Each worker's port and sockets.
    private(set) var crew: [(port: any PacketPort, sockets: PlaneSockets)] = []
    /// What the plane was configured to be.
    let shape: String
    /// Where packet threads stay at the moment.
    var rests: [Rest] = []
    private var register: AssociationRegister
    /// Whether changes of the kernel's wait for ``commitChanges()``.
    var gathersChanges = false
    /// Whether what is blocked stays so, whatever ends: nobody is there any more who would protect it.
    private var leavesBlocks = false
    private var protecting = CompactTable<ChildSAID, (selectors: PolicySelectors, handle: OutboundHandle)>()
    private var blocked = BlockedSelectors()
    /// Our own side as it was protected last. Most tunnels have the same, and keep one copy of it.
    private var ownSide: [TrafficSelector] = []
    var entropy = EntropyReserve()
    /// Whether commands were obeyed since ``wakeWorkers()``.
    public internal(set) var hasNewOrders = false
    /// An IKE message of so many octets goes through every path uncut.
    static let largestUncut = 500

    /// Opens sockets and device in the calling thread's network namespace and starts the threads.
    public init(_ configuration: PlaneConfiguration) throws(SystemError) {
        let inheritance = configuration.inheritance
        shape = configuration.shape
        let adopted = inheritance?.workers.first?.sockets
        sockets = try PlaneSockets(
            configuration, adopting: adopted.map { Array($0.prefix(PlaneSockets.count(configuration))) })
        let workers = max(configuration.workers, 1)
        // Who takes over has all orders waiting before the threads look at the first.
        let capacity = inheritance == nil ? 4096 : 1 << 22
        receiveOrders = try OrderFan(workers: workers, capacity: capacity)
        transmitOrders = try OrderFan(workers: workers, capacity: capacity)
        register = AssociationRegister(workers: workers)
        inbox = try ControlInbox()
        let listenerDrops = DropCounters()
        dropCounters = [listenerDrops]
        listener = try IKEListener(
            sockets, configuration, adopting: adopted.map { Array($0.dropFirst(PlaneSockets.count(configuration))) },
            workers: receiveOrders, drops: listenerDrops)
        interfaces = VirtualInterfaces(configuration)
        var ports: [any PacketPort]
        switch configuration.inside {
        case .port, .ports:
            ports = configuration.inside.ports(workers)
            routes = nil
            clear = nil
            addresses = nil
            links = LinkFit(try? RouteSocket(), mark: configuration.mark)
        case .tun(let name):
            let device = inheritance?.workers.first?.queue.adopt()
            let tun: TunDevice
            if let device {
                tun = device
            } else {
                tun = try Self.device(name, configuration.offload, multiQueue: workers > 1)
            }
            let socket = try RouteSocket()
            if device == nil { try tun.setMTU(configuration.mtu ?? LinkFit.startMTU, using: socket) }
            if tun.hasVirtioHeader, device == nil {
                // Uncut packets that still fit one send when they are sealed; without it they are sent in two.
                try? socket.change(
                    try tun.index(using: socket), LinkChange(largestTrain: UInt32(OutboundTrain.largestInner)))
            }
            try tun.bringUp(using: socket)
            let interface = try tun.index(using: socket)
            routes = try RouteKeeper(socket, interface: interface, configuration)
            let home = try configuration.virtualAddressDevice.map { name throws(SystemError) in
                try socket.link(named: name).index
            }
            addresses = AddressKeeper(socket, interface: home ?? interface)
            links = LinkFit(
                try? RouteSocket(), mark: configuration.mark, device: configuration.mtu == nil ? interface : nil,
                deviceMTU: device == nil ? nil : try? socket.link(named: tun.name).mtu)
            ports = [tun]
            for index in 1..<workers {
                if let inheritance {
                    ports.append(inheritance.workers[index].queue.adopt())
                } else {
                    ports.append(try tun.openQueue())
                }
            }
            clear = configuration.discardsClear ? ClearGuard(configuration, devices: [tun.name]) : nil
        }
        for (index, port) in ports.enumerated() {
            let own =
                index == 0
                ? sockets
                : try PlaneSockets(
                    besides: sockets, worker: index, configuration, adopting: inheritance?.workers[index].sockets)
            if inheritance != nil { try restFirst(index) }
            crew.append((port, own))
            try start(index, port, own, configuration)
        }
        // Where it cannot be, the workers pass packets to each other, and IKE to the control thread.
        if workers > 1 || listener.hasMarked {
            do { try sockets.spread(over: workers, ikeApart: listener.hasMarked) } catch { listener.leaveMarked() }
        }
    }

    deinit { stopThreads() }

    /// What the plane has to tell, the oldest first.
    public func takeEvents() -> [PlaneEvent] { inbox.takeEvents() }

    /// Why no more packets come from the device; nil while all is well.
    public var failure: SystemError? { failures.error }

    /// Why packets that come in clear are not discarded although policies protect them; nil while they are.
    public var clearFailure: SystemError? { clear?.failure }

    /// How many packets were dropped for a reason.
    public func drops(_ reason: DropReason) -> UInt64 { dropCounters.reduce(0) { $0 + $1[reason] } }

    /// How many packets were dropped, by reason.
    public func dropCounts() -> [DropCount] {
        DropReason.allCases.compactMap { reason in
            let count = drops(reason)
            return count > 0 ? DropCount(reason: "\(reason)", count: count) : nil
        }
    }

    /// Decides on blocks that belong to no Child SA yet. Those that an earlier process left behind stay where they are of
    /// `kept` or `made`, and go elsewhere; those of `made` that are not there are made: what is meant to be protected
    /// at all times does not leave in clear before its SAs are up.
    public func adoptBlocks(keeping kept: [IPPrefix], making made: [IPPrefix]) throws(PlaneError) {
        do { try routes?.adopt(keeping: kept, making: made) } catch { throw .system(error) }
        try commitPolicies()
    }

    /// Something is broken, and ``stop()`` comes next: from now on what is protected stays blocked, as after a crash, and
    /// devices of children's own stay where they are.
    public func leaveBlocks() { leavesBlocks = true }

    /// Removes routes, rules and blocks, and ends the threads. The device and the sockets close with the plane.
    public func stop() throws(PlaneError) {
        defer { stopThreads() }
        if leavesBlocks { return }
        interfaces.removeAll()
        clear?.removeAll()
        do {
            try routes?.removeAll()
            try addresses?.removeAll()
        } catch { throw .system(error) }
    }

    /// Wakes the packet threads if they have orders. Every packet after a command is treated as the command says, woken
    /// or not; but keys that are gone stay in memory until then. To be called now and then, and not for every command.
    public func wakeWorkers() {
        hasNewOrders = false
        receiveOrders.wake()
        transmitOrders.wake()
    }

    // MARK: DataPlane

    /// Obeys one command; throws ``PlaneError``.
    public func obey(_ command: PlaneCommand) throws {
        try carryOut(command)
        try commit(command)
    }

    private func carryOut(_ command: PlaneCommand) throws {
        hasNewOrders = true
        switch command {
        case .install(let association):
            switch association.direction {
            case .inbound: try installInbound(association)
            case .outbound: try installOutbound(association)
            }
        case .remove(.inbound, let spi, _):
            guard register.removeInbound(spi) != nil else { throw PlaneError.noSuchSA(.inbound, spi: spi) }
            receiveOrders.append(.remove(spi: spi))
        case .retire(let spi, let child):
            guard register.removeInbound(spi) != nil else { throw PlaneError.noSuchSA(.inbound, spi: spi) }
            receiveOrders.append(.retire(spi: spi, of: child))
        case .remove(.outbound, let spi, let child): try removeOutbound(spi, child)
        case .protect(let child, let local, let remote, let spi):
            if local != ownSide { ownSide = local }
            try protect(child, PolicySelectors(local: ownSide, remote: remote), spi)
        case .unprotect(let child, let staysBlocked): unprotect(child, staysBlocked: staysBlocked)
        case .trap(let policy): try leaveTrap(policy)
        case .move(let child, let path, let encapsulation): try move(child, path, encapsulation)
        case .keepAlive(let path, let interval):
            transmitOrders.append(.keepAlive(try way(path, .udp), every: interval))
            // It has something to do without any packet.
            transmitOrders.wake()
        case .addAddress(let address, _):
            defer { routes?.addressesChanged() }
            try addresses?.add(address)
        case .removeAddress(let address, _):
            defer { routes?.addressesChanged() }
            try addresses?.remove(address)
        }
    }

    /// The traffic of an SA's direction; nil when there is no such SA.
    public func counters(_ direction: SecurityAssociation.Direction, spi: UInt32) -> SACounters? {
        switch direction {
        case .inbound: register.inbound(spi)?.counters
        case .outbound: register.firstOutbound(spi)?.association.counters
        }
    }

    /// An SA as it was made here.
    func found(_ association: SecurityAssociation) -> (any InstalledAssociation)? {
        switch association.direction {
        case .inbound: register.inbound(association.spi).flatMap { $0.child == association.child ? $0 : nil }
        case .outbound: register.outbound(association.spi, association.child)?.association
        }
    }

    // MARK: Commands

    /// Notes which device a Child SA has for itself.
    private func direct(_ association: SecurityAssociation) throws(PlaneError) {
        guard let key = association.interface else { return }
        guard let entry = interfaces.entries[key] else { throw .noInterface(key) }
        domains[association.child] = entry.domain
        receiveOrders.append(.direct(association.child, to: entry.domain))
    }

    /// One that another process has carried goes on from its state.
    func installInbound(
        _ association: SecurityAssociation, resuming state: AssociationState? = nil
    ) throws(PlaneError) {
        try direct(association)
        do throws(SAError) {
            if association.securityProtocol == .ah {
                let pathMTU = links.pathMTU(association.path)
                let made: InboundAH
                if let state, let heir = try InboundAH(resuming: association, state, pathMTU: pathMTU) {
                    made = heir
                } else {
                    made = try InboundAH(association, pathMTU: pathMTU)
                }
                try register.add(made)
                receiveOrders.append(.authenticate(made))
                return
            }
            let pathMTU = links.pathMTU(association.path)
            let made: InboundSA
            if let state, let heir = try InboundSA(resuming: association, state, pathMTU: pathMTU) {
                made = heir
            } else {
                made = try InboundSA(association, pathMTU: pathMTU)
            }
            try register.add(made)
            receiveOrders.append(.install(made))
        } catch { throw .association(error) }
    }

    /// One that another process has carried goes on from its state.
    func installOutbound(
        _ association: SecurityAssociation, resuming state: AssociationState? = nil
    ) throws(PlaneError) {
        let way = try way(association.path, association.encapsulation, association.securityProtocol)
        let fit = links.fit(association.path, association.encapsulation)
        let behaviour = association.tunnel.withoutHiddenPorts(association)
        do throws(SAError) {
            // Its own worker's, where it has one; but a device of a child's own is the first worker's.
            let worker = association.interface == nil ? association.resource ?? 0 : 0
            let handle = try register.makeHandle(
                association.spi, association.child, worker: worker % transmitOrders.queues.count)
            let shape: SealedShape
            do throws(SAError) {
                if association.securityProtocol == .ah {
                    let made = try makeAH(association, state, handle.serial)
                    register.add(made, handle)
                    shape = made.shape(along: way.path)
                    transmitOrders.append(.authenticate(made, slot: handle.slot, way, behaviour, fit))
                } else {
                    let made = try makeESP(association, state, handle.serial)
                    register.add(made, handle)
                    shape = made.shape
                    transmitOrders.append(.install(made, slot: handle.slot, way, behaviour, fit))
                }
            } catch {
                register.discard(handle, association.spi, association.child)
                throw error
            }
            if association.tunnel.dummyInterval > .zero { sendsDummies = true }
            if association.policyPriority > 0 { precedences[association.child] = association.policyPriority }
            links.makeRoom(for: TunnelRules(association, shape: shape, pathMTU: fit.mtu).innerMTU)
            // What was protected by the one that it replaces is protected by this one.
            if let now = protecting[association.child], now.handle.slot == handle.slot {
                protecting[association.child] = (now.selectors, handle)
                transmitOrders.append(
                    .protect(
                        association.child, now.selectors, handle, precedence: precedence(association.child),
                        domain: domains[association.child] ?? 0))
                if sendsDummies { transmitOrders.wake() }
            }
        } catch { throw .association(error) }
    }

    private func removeOutbound(_ spi: UInt32, _ child: ChildSAID) throws(PlaneError) {
        guard let found = register.outbound(spi, child) else { throw .noSuchSA(.outbound, spi: spi) }
        register.remove(found)
        transmitOrders.append(.remove(found.handle))
    }

    private func protect(_ child: ChildSAID, _ selectors: PolicySelectors, _ spi: UInt32) throws(PlaneError) {
        guard let found = register.outbound(spi, child) else { throw .noSuchSA(.outbound, spi: spi) }
        let count = PolicyDatabase.entryCount(local: selectors.local, remote: selectors.remote)
        guard count <= PolicyDatabase.maximumEntries else {
            throw .association(.tooManySelectors(count, limit: PolicyDatabase.maximumEntries))
        }
        let domain = domains[child]
        transmitOrders.append(
            .protect(child, selectors, found.handle, precedence: precedence(child), domain: domain ?? 0))
        // Packets may be held for it, or it has something to do without any packet.
        if !standing.entries.isEmpty || sendsDummies { transmitOrders.wake() }
        if domain != nil {
            // Whoever routes packets into its device decides which; nothing else in the kernel changes.
            protecting[child] = (selectors, found.handle)
            return
        }
        do { try routes?.protect(child, local: selectors.local, remote: selectors.remote) } catch {
            abandon(child)
            throw .system(error)
        }
        protecting[child] = (selectors, found.handle)
        clear?.protect(child, local: selectors.local, remote: selectors.remote)
        refreshSpared()
        if let former = blocked.takeOver(selectors, by: child) { unblock(former) }
    }

    /// Takes back what was done for a Child SA whose protection failed.
    func abandon(_ child: ChildSAID) {
        routes?.unprotect(child, staysBlocked: false)
        clear?.release(child)
        transmitOrders.append(.unprotect(child))
        protecting[child] = nil
    }

    private func unprotect(_ child: ChildSAID, staysBlocked: Bool) {
        let staysBlocked = staysBlocked || leavesBlocks
        if domains.drop(child) != nil {
            // What is routed into the device goes nowhere else, blocked or not.
            protecting[child] = nil
            precedences[child] = nil
            transmitOrders.append(.unprotect(child))
            receiveOrders.append(.forget(child))
            return
        }
        routes?.unprotect(child, staysBlocked: staysBlocked)
        if staysBlocked {
            // What protects nothing has nothing that could stay blocked, or stays so already.
            guard let was = protecting.removeValue(forKey: child) else { return }
            transmitOrders.append(.block(child))
            if let former = blocked.block(was.selectors, by: child) { unblock(former) }
        } else {
            if let was = protecting.removeValue(forKey: child) { wakeFromDormancy(was.selectors) }
            clear?.release(child)
            refreshSpared()
            precedences.drop(child)
            blocked.release(child)
            transmitOrders.append(.unprotect(child))
        }
    }

    private func precedence(_ child: ChildSAID) -> UInt32 { precedences[child] ?? StandingPolicy.protectPriority }

    /// Another Child SA blocks or protects the same from now on.
    private func unblock(_ former: ChildSAID) {
        transmitOrders.append(.unprotect(former))
        clear?.release(former)
        routes?.unprotect(former, staysBlocked: false)
    }

    private func move(
        _ child: ChildSAID, _ path: Path, _ encapsulation: SecurityAssociation.Encapsulation
    ) throws(PlaneError) {
        let moved = register.outbound(of: child)
        let way = try way(path, encapsulation, moved.contains { $0.association is OutboundAH } ? .ah : .esp)
        let fit = links.fit(path, encapsulation)
        for found in moved { transmitOrders.append(.move(slot: found.handle.slot, way, fit)) }
        for found in register.inbound(of: child) {
            receiveOrders.append(.move(spi: found.spi, remote: path.remote))
        }
    }

    private func way(
        _ path: Path, _ encapsulation: SecurityAssociation.Encapsulation, _ securityProtocol: SecurityProtocol = .esp
    ) throws(PlaneError) -> Way {
        if securityProtocol == .ah, encapsulation == .udp { throw .association(.authenticationHeaderInUDP) }
        let found =
            securityProtocol == .ah
            ? sockets.index(forAHFrom: path.local)
            : sockets.index(forESPFrom: path.local, inUDP: encapsulation == .udp)
        guard let socket = found else {
            throw securityProtocol == .ah ? .noAHSocket(path.local) : .noSocket(path.local, encapsulation)
        }
        guard encapsulation == SecurityAssociation.Encapsulation.none else { return Way(path: path, socket: socket) }
        // Raw sockets know no ports.
        return Way(
            path: Path(local: Endpoint(path.local.address, 0), remote: Endpoint(path.remote.address, 0)),
            socket: socket)
    }
}
