import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import LinuxSystem
import NetworkTypes

/// What the receiving thread is asked to do.
enum ReceiveOrder: Sendable {
    case install(InboundSA)
    case authenticate(InboundAH)
    case remove(spi: UInt32)
    /// It was replaced: it goes when what was sent before that has arrived.
    case retire(spi: UInt32, of: ChildSAID)
    case move(spi: UInt32, remote: Endpoint)
    /// A child has a device of its own from now on.
    case openDomain(UInt64, any PacketPort)
    case closeDomain(UInt64)
    /// What this Child SA carries goes there.
    case direct(ChildSAID, to: UInt64)
    /// It is gone.
    case forget(ChildSAID)
    /// A packet of this worker's that came to another.
    case stray(EarlyPackets.Kept)
    case reach(Milestone)
    /// Stays where it is until somebody ends that.
    case rest(Rest)
    case stop
}

/// The receiving thread: datagrams in, inner packets to the port, IKE messages to the control thread.
///
/// It owns the inbound SAs and its buffers; everything is done by the one thread that runs it. A packet is opened in the
/// buffer that the kernel wrote it to.
struct ReceiveWorker: ~Copyable {
    private var associations: InboundSADatabase
    var authenticated: InboundAHDatabase
    /// What was dropped; those of `associations`, without a reference to count for each packet.
    private let drops: DropCounters
    private let orders: OrderQueue<ReceiveOrder>
    /// All workers' orders, where there are several, and which of them this one is.
    private let crew: [OrderQueue<ReceiveOrder>]
    private let index: Int
    /// Where what is heard about paths goes.
    private let sender: OrderFan<TransmitOrder>
    let inbox: ControlInbox
    private let echo: IKEEcho
    private let sockets: PlaneSockets
    let batch: DatagramBatch
    var delivery: Delivery
    /// Devices of children's own, and which Child SAs' packets go there.
    private var exits: [UInt64: VirtualExit] = [:]
    var directions: [ChildSAID: UInt64] = [:]
    private var dirty: [VirtualExit] = []
    private let poller: Poller
    var unknownSPIs: TokenBucket
    var early = EarlyPackets()
    /// When it was last asked whether IKE was heard.
    private var lastEcho = Instant(nanoseconds: .min)
    private var retired = RetiredAssociations()
    /// The same for AH; whether it is the time for them, `early` knows.
    var earlyAuthenticated = EarlyPackets()

    /// Datagrams, or trains of them, that one system call takes.
    private static let batchSize = 8
    /// A slot holds any datagram or train, and room before it.
    private static let slotSize = 65_536 + headroom
    /// Room for the IP header that a packet in transport mode is given again.
    private static let headroom = (InboundSADatabase.headroom + 63) / 64 * 64
    /// How many batches one socket may bring before the others and the orders have their turn.
    static let turns = 16
    private static let orderToken = UInt64.max

    init(
        orders fan: OrderFan<ReceiveOrder>, index worker: Int, sender: OrderFan<TransmitOrder>, inbox: ControlInbox,
        echo: IKEEcho, sockets: PlaneSockets, port: any PacketPort,
        drops: DropCounters, now: Instant
    ) throws(SystemError) {
        let orders = fan.queues[worker]
        let poller = try Poller(capacity: 16)
        try poller.add(orders.wakeup.descriptor, token: Self.orderToken, .readable)
        // What only one can read, the first reads; what carries nothing but IKE, the control thread does.
        for (index, entry) in sockets.entries.enumerated()
        where entry.use == .shared || (worker == 0 && entry.use != .ike) {
            try poller.add(entry.socket.descriptor, token: UInt64(index), .readable)
        }
        batch = try DatagramBatch(capacity: Self.batchSize, slotSize: Self.slotSize)
        associations = InboundSADatabase(drops: drops)
        authenticated = InboundAHDatabase(drops: drops)
        self.drops = drops
        self.poller = poller
        self.orders = orders
        crew = fan.queues.count > 1 ? fan.queues : []
        index = worker
        self.sender = sender
        self.inbox = inbox
        self.echo = echo
        self.sockets = sockets
        delivery = Delivery(to: port, drops: drops)
        unknownSPIs = TokenBucket(rate: 10, burst: 20, now: now)
    }

    /// Works until it is told to stop.
    mutating func run() {
        var ready: [PollEvent] = []
        while true {
            // Only a broken poller throws, and then nothing can be awaited any more.
            let pause = retired.isEmpty ? nil : retired.pause(MonotonicClock.now())
            do { try poller.wait(timeout: pause, into: &ready) } catch { return }
            if !retired.isEmpty { expire(MonotonicClock.now()) }
            if ready.contains(where: { $0.token == Self.orderToken }) { orders.acknowledge() }
            guard obey() else { return }
            for event in ready where event.token != Self.orderToken {
                // `sockets` lives as long as this does, and its list never changes: no reference is counted.
                let entry = unsafe Unmanaged.passUnretained(sockets.entries[Int(event.token)])
                let goesOn = unsafe entry._withUnsafeGuaranteedRef { entry in
                    if event.readiness.contains(.failed) { hear(entry) }
                    return receive(entry)
                }
                guard goesOn else { return }
            }
        }
    }

    /// Carries out what was asked; false when that was to stop.
    mutating func obey() -> Bool {
        guard orders.hasOrders else { return true }
        var hasRested = false
        for order in orders.take() {
            switch order {
            case .install(let association):
                // The control thread gives every place to one SA at a time.
                do { try associations.install(association) } catch { assertionFailure("\(error)") }
                if !early.isEmpty { openEarly(association.spi) }
            case .authenticate(let association):
                do { try authenticated.install(association) } catch { assertionFailure("\(error)") }
                if !earlyAuthenticated.isEmpty { checkEarly(association.spi) }
            case .remove(let spi): remove(spi)
            case .retire(let spi, let child): retired.add(spi, child, now: MonotonicClock.now())
            case .move(let spi, let remote):
                associations.move(spi: spi, remote: remote)
                authenticated.move(spi: spi, remote: remote)
            case .openDomain(let number, let port):
                exits[number] = VirtualExit(port, drops: associations.drops)
            case .closeDomain(let number): exits[number] = nil
            case .direct(let child, let number): directions[child] = number
            case .forget(let child): if !retired.forget(child) { directions[child] = nil }
            case .stray(var kept):
                unsafe kept.bytes.withUnsafeMutableBytes { bytes in
                    // The array's own memory, which stays where it is until what was opened has been delivered.
                    unsafe open(bytes, kept.packet, kept.arrival, MonotonicClock.now())
                    flush()
                }
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

    private mutating func remove(_ spi: UInt32) {
        if associations.remove(spi: spi) == nil { authenticated.remove(spi: spi) }
    }

    /// Takes away what was replaced long enough ago.
    private mutating func expire(_ now: Instant) {
        for gone in retired.expire(now) {
            remove(gone.spi)
            if gone.isForgotten { directions[gone.child] = nil }
        }
    }

    /// Takes some batches from a socket; false when it is time to stop.
    private mutating func receive(_ entry: PlaneSockets.Entry) -> Bool {
        if let socket = entry.headers { return receivePackets(by: socket) }
        for _ in 0..<Self.turns {
            let count: Int
            // What a datagram of ours met on its way is no reason to stop; the rest would come again at once.
            do { count = try entry.socket.receive(into: batch, headroom: Self.headroom) } catch { return true }
            // After receiving and before opening: an SA that was ordered before the peer was told of it is there.
            guard obey() else { return false }
            let now = MonotonicClock.now()
            if !early.isEmpty { for _ in 0..<early.expire(now) { associations.drops.count(.unknownSPI) } }
            if entry.use == .shared, associations.count > OutboundSADatabase.few { anticipate(count) }
            for index in 0..<count { take(index, entry, now) }
            // What is joined lies in the batch.
            flush()
            if count < batch.capacity { break }
        }
        return true
    }

    /// Has the processor fetch what so many datagrams of the batch need, all at the same time.
    @inline(never)
    private func anticipate(_ count: Int) {
        for step in 0..<InboundSADatabase.steps {
            for index in 0..<count where batch[index].length >= ESPHeader.length && !batch[index].truncated {
                // The batch owns this memory, and nothing else uses the slot until the next receive call.
                let slot = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(batch.memory(of: index)))
                guard batch[index].start + ESPHeader.length <= slot.byteCount else { continue }
                let packet = slot.extracting(batch[index].start..<(batch[index].start + ESPHeader.length))
                associations.anticipate(spi: packet.spi, step: step)
            }
        }
    }

    /// Takes what routers say about our packets, so that the poller does not tell of it for ever.
    private func hear(_ entry: PlaneSockets.Entry) {
        for report in entry.pathReports() { sender.append(.pathMTU(report.remote, report.mtu)) }
    }

    private mutating func take(_ index: Int, _ entry: PlaneSockets.Entry, _ now: Instant) {
        let information = batch[index]
        guard !information.truncated, information.start + information.length <= batch.slotSize else {
            drops.count(.truncated)
            return
        }
        // The batch owns this memory, and nothing else uses the slot until the next receive call.
        let memory = unsafe batch.memory(of: index)
        let whole = information.start..<(information.start + information.length)
        let size = information.segmentSize > 0 ? information.segmentSize : max(whole.count, 1)
        var start = whole.lowerBound
        repeat {
            let end = min(start + size, whole.upperBound)
            // An IPv6 header is longer than ESP's: it may reach into what was opened before and is still to be delivered.
            if start > whole.lowerBound, associations.hasTransport { flush() }
            let arrival = PacketArrival(path: information.path, trafficClass: information.trafficClass)
            unsafe take(memory, start..<end, arrival, entry, now)
            start = end
        } while start < whole.upperBound
    }

    /// Takes one datagram.
    @inline(__always)
    private mutating func take(
        _ memory: UnsafeMutableRawBufferPointer, _ datagram: Range<Int>, _ arrival: PacketArrival,
        _ entry: PlaneSockets.Entry, _ now: Instant
    ) {
        // As above; the caller has checked the range.
        let slot = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(memory))
        var packet = datagram
        switch entry.use {
        case .shared:
            switch EncapsulatedDatagram(slot.extracting(packet)) {
            case .keepAlive: drops.count(.keepAlive)
            case .malformed: drops.count(.malformedDatagram)
            case .ike:
                hand(
                    slot.extracting((packet.lowerBound + EncapsulatedDatagram.markerLength)..<packet.upperBound),
                    arrival.path, now)
            case .esp: unsafe open(memory, packet, arrival, now)
            }
        // Others read these.
        case .ike, .marked, .authenticated: drops.count(.malformedDatagram)
        case .plainESP:
            var arrival = arrival
            if entry.socket.family == .v4 {
                // Raw IPv4 sockets show the IP header too.
                do {
                    let header = try IPv4Header(parsing: slot.extracting(packet))
                    arrival.header = packet.lowerBound..<(packet.lowerBound + header.headerLength)
                    packet = (packet.lowerBound + header.headerLength)..<(packet.lowerBound + header.totalLength)
                } catch {
                    drops.count(.malformedDatagram)
                    return
                }
            }
            unsafe open(memory, packet, arrival, now)
        }
    }

    @inline(__always)
    private mutating func open(
        _ memory: UnsafeMutableRawBufferPointer, _ packet: Range<Int>, _ arrival: PacketArrival, _ now: Instant
    ) {
        // As above.
        var slot = unsafe MutableRawSpan(_unsafeBytes: memory)
        if !crew.isEmpty, pass(slot.bytes.extracting(packet), arrival) { return }
        if keepEarly(slot.bytes.extracting(packet), arrival, now) { return }
        if associations.wantsReclaim { flush() }
        do throws(DropReason) {
            let opened = try associations.open(&slot, packet: packet, arrival, now: now)
            if opened.hasMoved { inbox.put(.mappingChanged(opened.child, arrival.path)) }
            if let mark = opened.mark { inbox.put(.volumeReached(opened.child, mark), always: mark == .hard) }
            // The inner packet lies within the slot, or where it was decompressed, and stays there until the batch is used
            // again.
            let place = opened.isExpanded ? unsafe associations.expanded : unsafe memory
            let inner = unsafe UnsafeMutableRawBufferPointer(rebasing: place[opened.inner])
            if !directions.isEmpty, let number = directions[opened.child] {
                unsafe deliver(inner, number)
            } else {
                unsafe delivery.deliver(inner)
            }
        } catch {
            guard error == .unknownSPI, unknownSPIs.take(now: now) else { return }
            inbox.put(.unknownSPI(slot.bytes.extracting(packet).spi, arrival.path))
        }
    }

    /// Whether the packet's SA belongs to another worker, which has it now: the kernel joins packets of several SAs, and
    /// raw sockets are the first worker's.
    @inline(never)
    private func pass(_ packet: RawSpan, _ arrival: PacketArrival) -> Bool {
        guard packet.byteCount >= ESPHeader.length else { return false }
        let owner = SPILayout.index(of: packet.spi) % crew.count
        guard owner != index else { return false }
        if !crew[owner].offer(.stray(EarlyPackets.Kept(packet, arrival))) { drops.count(.truncated) }
        return true
    }

    /// Hands a packet to a child's own device, with the next ``flush()`` at the latest.
    @inline(never)
    mutating func deliver(_ inner: UnsafeMutableRawBufferPointer, _ number: UInt64) {
        guard let exit = exits[number] else {
            associations.drops.count(.deliveryFailed)
            return
        }
        if !exit.isDirty {
            exit.isDirty = true
            dirty.append(exit)
        }
        unsafe exit.delivery.deliver(inner)
    }

    /// Hands over what is held back, by all devices.
    @inline(__always)
    mutating func flush() {
        delivery.flush()
        associations.reclaim()
        guard !dirty.isEmpty else { return }
        for exit in dirty {
            exit.delivery.flush()
            exit.isDirty = false
        }
        dirty.removeAll(keepingCapacity: true)
    }

    /// Whether the packet is one for an SA that may be on its way, and waits for it now.
    @inline(__always)
    private mutating func keepEarly(_ packet: RawSpan, _ arrival: PacketArrival, _ now: Instant) -> Bool {
        guard packet.byteCount >= ESPHeader.length, !associations.has(spi: packet.spi) else { return false }
        return expectsMore(now) && early.keep(packet, packet.spi, arrival)
    }

    /// Whether an SA may be on its way: an IKE message was heard a moment ago, by whomever, or is about to be read. To be
    /// asked when a packet's SA is not known; asks the system once for all that came together.
    @inline(never)
    mutating func expectsMore(_ now: Instant) -> Bool {
        if early.isOpen(now) { return true }
        guard now > lastEcho else { return false }
        lastEcho = now
        early.open(echo.lastHeard(now))
        return early.isOpen(now)
    }

    /// An SA has come: what came before it is opened before anything that comes later.
    private mutating func openEarly(_ spi: UInt32) {
        let now = MonotonicClock.now()
        for var kept in early.take(spi) {
            unsafe kept.bytes.withUnsafeMutableBytes { bytes in
                // The array's own memory, which stays where it is until what was opened has been delivered.
                unsafe open(bytes, kept.packet, kept.arrival, now)
                flush()
            }
        }
    }

    /// Hands an IKE message that had a marker to the control thread, or drops it when that has too much to do.
    private mutating func hand(_ message: RawSpan, _ path: Path, _ now: Instant) {
        early.open(now)
        echo.hear(now)
        // The datagram's own memory, copied here.
        let bytes = unsafe message.withUnsafeBytes { unsafe [UInt8]($0) }
        if !inbox.put(IKEDatagram(bytes: bytes, path: path, hadMarker: true)) {
            drops.count(.controlQueueFull)
        }
    }
}

extension RawSpan {
    /// The SPI at the start of an ESP packet, which has its header.
    fileprivate var spi: UInt32 { (try? ESPHeader(parsing: self).spi) ?? 0 }
}
