import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import IPsecCrypto
import LinuxSystem
import NetworkTypes

/// The transmitting thread: inner packets from the port, looked up, sealed, and out by a socket; and keep-alives.
///
/// It owns the outbound SAs, the policies and its buffers; everything is done by the one thread that runs it. A packet
/// is read to where it is sealed and sent from there.
struct TransmitWorker: ~Copyable {
    var associations: OutboundSADatabase
    var authenticated: OutboundAHDatabase
    var policies = PolicyDatabase()
    /// Devices of children's own, by the poller's token, and whose policies are theirs.
    var domains: [UInt64: PolicyDomain] = [:]
    var owners: [ChildSAID: UInt64] = [:]
    /// By slot.
    private var children: [ChildSAID] = []
    var tunnels = TunnelTable()
    private var keepAlives = KeepAliveSchedule()
    var dummies = DummySchedule()
    var held = HeldPackets()
    /// Until when the packet in hand may wait, when it waited before.
    var heldUntil: Instant?
    private let orders: OrderQueue<TransmitOrder>
    /// All workers' orders, where there are several, and which of them this one is.
    let crew: [OrderQueue<TransmitOrder>]
    let index: Int
    let inbox: ControlInbox
    private let sockets: PlaneSockets
    let port: any PacketPort
    /// Where the port writes a packet to, uncut.
    private let staging = PacketMemory(Self.stagingSize)
    /// The same for several at a time, where there are many SAs.
    let ahead = PacketMemory(Self.stagingSize * LookAhead.depth)
    var train: OutboundTrain
    /// What is sealed together, before the train is sent; nil where that gains nothing.
    private let batch: PacketBatch?
    private let lentBatch: LentBatch?
    var report: InnerReport
    /// Where a packet lies that is to be looked at piece by piece.
    let scratch = PacketMemory(Self.stagingSize)
    /// Where a packet lies that leaves with its own IP header, and before it is cut.
    let whole = PacketMemory(65_536 + 512)
    /// What the fragments of one IPv6 packet have in common.
    var identification = UInt32.random(in: .min ... .max)
    /// Packets that the kernel cut before it could know that they go in transport mode.
    var assembly = FragmentAssembly()
    /// What was decided about the first fragments of packets.
    var fragments = FragmentMemory()
    private var exit: BypassExit
    let poller: Poller
    let failure: PlaneFailure

    /// What the port can give at once: any packet and what stands before it.
    static let stagingSize = (65_535 + 63) / 64 * 64 + 64
    /// Packets, and octets of them, that are read before they are sent.
    static let (mostReads, mostOctets) = (64, 384 << 10)
    private static let orderToken = UInt64.max

    init(
        orders fan: OrderFan<TransmitOrder>, index: Int, inbox: ControlInbox, sockets: PlaneSockets,
        port: any PacketPort, drops: DropCounters, makesTrains: Bool, bypassMark: UInt32?, failure: PlaneFailure
    ) throws(SystemError) {
        let orders = fan.queues[index]
        let poller = try Poller(capacity: 64)
        try poller.add(orders.wakeup.descriptor, token: Self.orderToken, .readable)
        try poller.add(port.descriptor, token: 0, .readable)
        // Everything that can fail comes before the first property.
        let batch = PacketBatch()
        // Both live as long as this does.
        let lent = batch.map { unsafe $0.lent }
        train = try OutboundTrain(sockets, drops: drops, makesTrains: makesTrains, batch: lent)
        self.batch = batch
        lentBatch = lent
        exit = BypassExit(mark: bypassMark)
        associations = OutboundSADatabase(drops: drops, entropy: SystemEntropy())
        authenticated = OutboundAHDatabase(drops: drops)
        report = InnerReport(to: port, now: MonotonicClock.now())
        self.poller = poller
        self.orders = orders
        crew = fan.queues.count > 1 ? fan.queues : []
        self.index = index
        self.inbox = inbox
        self.sockets = sockets
        self.port = port
        self.failure = failure
    }

    /// Works until it is told to stop.
    mutating func run() {
        var ready: [PollEvent] = []
        while true {
            let now = MonotonicClock.now()
            if let next = keepAlives.next, next <= now {
                for way in keepAlives.due(now) { sendKeepAlive(way) }
            }
            if let next = tunnels.next, next <= now { tunnels.forget(now: now) }
            if let next = held.nextExpiry, next <= now {
                for _ in 0..<held.expire(now) { associations.drops.count(.holdExpired) }
            }
            if let next = dummies.next, next <= now { sendDummies(now) }
            let pause = earliest(
                earliest(keepAlives.next, tunnels.next), earliest(held.nextExpiry, dummies.next)
            ).map { $0 - now }
            // Only a broken poller throws, and then nothing can be awaited any more.
            do { try poller.wait(timeout: pause, into: &ready) } catch { return }
            if ready.contains(where: { $0.token == Self.orderToken }) { orders.acknowledge() }
            guard obey() else { return }
            if ready.contains(where: { $0.token == 0 }) { transmit(port, nil) }
            guard !domains.isEmpty else { continue }
            for event in ready where event.token > 0 && event.token != Self.orderToken {
                if let domain = domains[event.token] { transmit(domain.port, domain) }
            }
        }
    }

    /// The earlier of what there is: no array for it, this is asked before every wait.
    private func earliest(_ one: Instant?, _ other: Instant?) -> Instant? {
        guard let one, let other else { return one ?? other }
        return min(one, other)
    }

    /// Carries out what was asked; false when that was to stop.
    private mutating func obey() -> Bool {
        guard orders.hasOrders else { return true }
        var hasRested = false
        for order in orders.take() {
            switch order {
            case .install(let association, let slot, let way, let behaviour, let fit):
                // The control thread gives out slots below the table's limit only.
                do { try associations.install(association, at: slot) } catch { assertionFailure("\(error)") }
                lead(association.child, slot)
                tunnels.install(Int(slot), behaviour, fit, association.shape, way)
            case .authenticate(let association, let slot, let way, let behaviour, let fit):
                do { try authenticated.install(association, at: slot) } catch { assertionFailure("\(error)") }
                lead(association.child, slot)
                tunnels.install(Int(slot), behaviour, fit, association.shape(along: way.path), way)
            case .remove(let handle):
                if associations.remove(handle) == nil { authenticated.remove(handle) }
                dummies.remove(handle)
            case .move(let slot, let way, let fit):
                tunnels.move(Int(slot), fit, way)
                train.forgive(Int(slot))
            case .protect(let child, let selectors, let handle, let precedence, let domain):
                set(child, selectors, .protect(handle), precedence, domain)
                startDummies(handle)
                release()
            case .stand(let key, let policy, let domain): stand(key, policy, domain)
            case .openDomain(let number, let port): open(number, port)
            case .closeDomain(let number): close(number)
            case .block(let child):
                fragments.forgetUnprotected()
                if let domain = owners[child] {
                    domains[domain]?.policies.setAction(child, .block)
                } else {
                    policies.setAction(child, .block)
                }
            case .unprotect(let child):
                fragments.forgetUnprotected()
                if let domain = owners.drop(child) { domains[domain]?.policies.remove(child) }
                policies.remove(child)
                for _ in 0..<held.remove(child.rawValue) { associations.drops.count(.blocked) }
            case .pathMTU(let remote, let mtu): tunnels.learn(remote, mtu, now: MonotonicClock.now())
            case .keepAlive(let way, let interval): keepAlives.set(way, every: interval, now: MonotonicClock.now())
            case .relayed(let bytes):
                // Octets have no padding: a span of them is a raw span. SAs change between trains only.
                carry(unsafe bytes.span.bytes, port.headerSize, nil, MonotonicClock.now())
                train.send()
            case .reach(let milestone): milestone.reach()
            case .rest(let rest):
                rest.take()
                hasRested = true
            case .stop: return false
            }
        }
        // What was asked for meanwhile comes before any packet.
        return hasRested ? obey() : true
    }

    /// The SA at this place is this child's.
    private mutating func lead(_ child: ChildSAID, _ slot: Int32) {
        while children.count <= Int(slot) { children.append(child) }
        train.forgive(Int(slot))
        children[Int(slot)] = child
    }

    /// Reads what the port has, a batch at most, and sends it.
    private mutating func transmit(_ port: any PacketPort, _ domain: PolicyDomain?) {
        let now = MonotonicClock.now()
        let header = port.headerSize
        if report.port !== port { report.port = port }
        // The caller keeps the domain, and orders are carried out between batches only.
        let lent = domain.map { unsafe LentDomain($0) }
        var octets = 0
        if associations.isCrowded, lent == nil {
            transmitAhead(port, now)
        } else {
            // The limits keep a flood from holding up orders.
            for _ in 0..<Self.mostReads where octets < Self.mostOctets {
                guard let length = unsafe read(port, into: staging.all, isShared: lent == nil) else { break }
                octets += length
                // The worker owns this memory; the port has said how much it wrote.
                carry(unsafe RawSpan(_unsafeBytes: staging.all[0..<length]), header, lent, now)
            }
        }
        train.send()
        while let socket = train.takeTooLong() {
            for said in sockets.entries[socket].pathReports() { tunnels.learn(said.remote, said.mtu, now: now) }
        }
    }

    /// Reads a packet into memory of the worker's own; nil when there is none.
    @inline(__always)
    func read(_ port: any PacketPort, into memory: UnsafeMutableRawBufferPointer, isShared: Bool) -> Int? {
        // Nobody else uses this memory.
        var memory = unsafe MutableRawSpan(_unsafeBytes: memory)
        do { return try port.read(into: &memory) } catch {
            // The device is gone: nothing more comes from it, and a poller would say so for ever.
            // One child's own device concerns nobody else.
            if isShared { failure.record(error) }
            try? poller.remove(port.descriptor)
            return nil
        }
    }

    /// Finds the SA for a packet, cuts it where it is to be cut, and seals each piece to where it leaves from.
    @inline(__always)
    mutating func carry(_ bytes: RawSpan, _ header: Int, _ domain: LentDomain?, _ now: Instant) {
        guard bytes.byteCount > header else {
            associations.drops.count(.malformedPacket)
            return
        }
        let fields: PacketSelectorFields
        let plan: SegmentationPlan
        var packet = bytes.extracting(header..<bytes.byteCount)
        do throws(PacketFault) {
            fields = try PacketSelectorFields(parsing: packet)
            packet = packet.extracting(0..<fields.length)
            plan = try SegmentationPlan(packet, header > 0 ? VirtioHeader(parsing: bytes) : VirtioHeader())
        } catch {
            associations.drops.count(.malformedPacket)
            return
        }
        let handle: OutboundHandle
        var verdict = domain == nil ? policies.verdict(for: fields) : domain?.verdict(for: fields) ?? .none
        if fields.isFragment {
            guard let followed = follow(packet, fields, verdict, domain, now) else { return }
            verdict = followed
        }
        switch verdict {
        case .protect(let found):
            handle = found
            guard owns(found) else {
                relay(bytes, to: OutboundOwner.worker(slot: found.slot, among: crew.count))
                return
            }
        case .block:
            associations.drops.count(.blocked)
            return
        case .trap(let number):
            hold(bytes, number, now)
            return
        case .bypass:
            for _ in 0..<exit.send(packet, plan, fields) { associations.drops.count(.bypassFailed) }
            return
        case .none:
            associations.drops.count(.noPolicy)
            return
        }
        guard let shape = associations.shape(of: handle) else {
            authenticate(packet, fields, plan, handle, now)
            return
        }
        if shape.isTransport, FragmentAssembly.isFragment(packet) {
            assemble(packet, fields, handle, shape, now)
            return
        }
        if shape.isTransport, TransportHeader.hasOptions(packet) {
            carryWhole(packet, fields, plan, handle, shape, now)
            return
        }
        let place = Int(handle.slot)
        let rules = tunnels[place]
        guard plan.length(of: 0) <= rules.innerMTU else {
            refit(packet, fields, plan, handle, shape, now)
            return
        }
        let way = tunnels.ways[place]
        guard let skipped = skippedHeader(packet, shape) else { return }
        let outer = OuterMarks(
            // In transport mode there is no other header to tell.
            trafficClass: shape.isTransport
                ? fields.trafficClass : rules.trafficClass.outer(forInner: fields.trafficClass),
            mayFragment: !(rules.copiesDF && packet.doesNotFragment))
        let opening = rules.clamp.isOn ? SegmentSizeClamp.opening(packet, fields) : nil
        let batch = plan.count >= PacketBatch.worthwhile ? lentBatch : nil
        for index in 0..<plan.count {
            let length = plan.length(of: index)
            let inner = max(length, rules.paddedLength)
            guard let start = train.makeRoom(for: shape.length(around: inner - skipped), place, way, outer) else {
                associations.drops.count(.noRoom)
                return
            }
            // The train owns this memory, and nothing else uses it until it is sent.
            var slot = unsafe MutableRawSpan(_unsafeBytes: train.memory)
            let body = start + shape.headroom
            guard plan.write(index, of: packet, into: &slot, at: body) else {
                associations.drops.count(.noRoom)
                return
            }
            if let opening { rules.clamp.apply(to: &slot, packet: body..<(body + length), tcp: opening) }
            if inner > length { slot.clear((body + length)..<(body + inner)) }
            guard seal(&slot, body..<(body + inner), handle, now, batch) else { return }
        }
    }

    /// Whether the SA belongs to this worker, which alone may number its packets.
    @inline(__always)
    func owns(_ handle: OutboundHandle) -> Bool {
        crew.isEmpty || OutboundOwner.worker(slot: handle.slot, among: crew.count) == index
    }

    /// The SA belongs to another worker.
    @inline(never)
    private func relay(_ bytes: RawSpan, to worker: Int) {
        let octets = Span<UInt8>(_bytes: bytes)
        var copy: [UInt8] = []
        copy.reserveCapacity(octets.count)
        for index in octets.indices { copy.append(octets[index]) }
        if !crew[worker].offer(.relayed(copy)) { associations.drops.count(.noRoom) }
    }

    /// Octets of the header that stays behind in transport mode; nil when the packet cannot go so, which is counted.
    @inline(__always)
    func skippedHeader(_ packet: RawSpan, _ shape: SealedShape) -> Int? {
        guard shape.isTransport else { return 0 }
        do throws(DropReason) { return try TransportHeader(parsing: packet).length } catch {
            associations.drops.count(error)
            return nil
        }
    }

    /// Seals an inner packet where it leaves from; false when its SA takes no more.
    @inline(__always)
    mutating func seal(
        _ slot: inout MutableRawSpan, _ inner: Range<Int>, _ handle: OutboundHandle, _ now: Instant,
        _ batch: LentBatch? = nil
    ) -> Bool {
        do throws(DropReason) {
            // The train keeps the memory until it has finished the batch; SAs change between trains only.
            take(unsafe try associations.seal(&slot, inner: inner, by: handle, now: now, in: batch), handle)
            return true
        } catch { return false }
    }

    /// A sealed packet is in its place; who should know of its SA's state is told.
    @inline(__always)
    mutating func take(_ sealed: OutboundSADatabase.Sealed, _ handle: OutboundHandle) {
        train.append(sealed.packet.count)
        note(sealed, handle)
    }

    /// Who should know of an SA's state is told.
    @inline(__always)
    mutating func note(_ sealed: OutboundSADatabase.Sealed, _ handle: OutboundHandle) {
        if sealed.isRunningOut { inbox.put(.sequenceExhausted(children[Int(handle.slot)])) }
        if let mark = sealed.mark {
            inbox.put(.volumeReached(children[Int(handle.slot)], mark), always: mark == .hard)
        }
    }

    /// The socket for packets that have their IP headers.
    func headerSocket(_ local: Endpoint) -> Int? { sockets.index(forAHFrom: local) }

    private func sendKeepAlive(_ way: Way) {
        // One that does not go is followed by others.
        _ = try? sockets.entries[way.socket].socket.send([EncapsulatedDatagram.keepAliveOctet], along: way.path)
    }
}
