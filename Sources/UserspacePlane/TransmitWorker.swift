import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import IPsecCrypto
import LinuxSystem
import NetworkTypes

/// How an outbound SA's packets leave.
struct Way: Hashable, Sendable {
    /// The outer addresses and ports.
    var path: Path
    /// The socket, as an index into ``PlaneSockets/entries``.
    var socket: Int
}

/// What the transmitting thread is asked to do.
enum TransmitOrder: Sendable {
    case install(OutboundSA, slot: Int32, Way)
    case remove(OutboundHandle)
    case move(slot: Int32, Way)
    case protect(ChildSAID, local: [TrafficSelector], remote: [TrafficSelector], OutboundHandle)
    case block(ChildSAID)
    case unprotect(ChildSAID)
    case keepAlive(Way, every: Interval)
    case reach(Milestone)
    case stop
}

/// The transmitting thread: inner packets from the port, looked up, sealed, and out by a socket; and keep-alives.
///
/// It owns the outbound SAs, the policies and its buffers; everything is done by the one thread that runs it. A packet
/// is read to where it is sealed and sent from there.
struct TransmitWorker: ~Copyable {
    private var associations: OutboundSADatabase
    private var policies = PolicyDatabase()
    /// By slot.
    private var ways: [Way] = []
    private var children: [ChildSAID] = []
    private var keepAlives = KeepAliveSchedule()
    private let orders: OrderQueue<TransmitOrder>
    private let inbox: ControlInbox
    private let sockets: PlaneSockets
    private let port: any PacketPort
    /// Where the port writes a packet to, uncut.
    private let staging = PacketMemory(Self.stagingSize)
    private var train: OutboundTrain
    private let poller: Poller
    private let failure: PlaneFailure

    /// What the port can give at once: any packet and what stands before it.
    private static let stagingSize = 65_535 + 64
    /// Packets, and octets of them, that are read before they are sent.
    private static let (mostReads, mostOctets) = (64, 384 << 10)
    private static let orderToken = UInt64.max

    init(
        orders: OrderQueue<TransmitOrder>, inbox: ControlInbox, sockets: PlaneSockets, port: any PacketPort,
        drops: DropCounters, makesTrains: Bool, failure: PlaneFailure
    ) throws(SystemError) {
        let poller = try Poller(capacity: 4)
        try poller.add(orders.wakeup.descriptor, token: Self.orderToken, .readable)
        try poller.add(port.descriptor, token: 0, .readable)
        train = try OutboundTrain(sockets, drops: drops, makesTrains: makesTrains)
        associations = OutboundSADatabase(drops: drops, entropy: SystemEntropy())
        self.poller = poller
        self.orders = orders
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
            let pause = keepAlives.next.map { $0 - now }
            // Only a broken poller throws, and then nothing can be awaited any more.
            do { try poller.wait(timeout: pause, into: &ready) } catch { return }
            if ready.contains(where: { $0.token == Self.orderToken }) { orders.acknowledge() }
            guard obey() else { return }
            if ready.contains(where: { $0.token == 0 }) { transmit() }
        }
    }

    /// Carries out what was asked; false when that was to stop.
    private mutating func obey() -> Bool {
        guard orders.hasOrders else { return true }
        for order in orders.take() {
            switch order {
            case .install(let association, let slot, let way):
                // The control thread gives out slots below the table's limit only.
                do { try associations.install(association, at: slot) } catch { assertionFailure("\(error)") }
                while ways.count <= Int(slot) {
                    ways.append(way)
                    children.append(association.child)
                }
                ways[Int(slot)] = way
                train.forgive(Int(slot))
                children[Int(slot)] = association.child
            case .remove(let handle): associations.remove(handle)
            case .move(let slot, let way):
                ways[Int(slot)] = way
                train.forgive(Int(slot))
            case .protect(let child, let local, let remote, let handle):
                // The control thread has counted the entries.
                do {
                    try policies.set(child, local: local, remote: remote, action: .protect(handle))
                } catch { assertionFailure("\(error)") }
            case .block(let child): policies.setAction(child, .block)
            case .unprotect(let child): policies.remove(child)
            case .keepAlive(let way, let interval): keepAlives.set(way, every: interval, now: MonotonicClock.now())
            case .reach(let milestone): milestone.reach()
            case .stop: return false
            }
        }
        return true
    }

    /// Reads what the port has, a batch at most, and sends it.
    private mutating func transmit() {
        let now = MonotonicClock.now()
        let header = port.headerSize
        var octets = 0
        // The limits keep a flood from holding up orders.
        for _ in 0..<Self.mostReads where octets < Self.mostOctets {
            // The worker owns this memory, and nobody else uses it.
            var memory = unsafe MutableRawSpan(_unsafeBytes: staging.all)
            let length: Int
            do {
                guard let count = try port.read(into: &memory) else { break }
                length = count
            } catch {
                // The device is gone: nothing more comes from it, and a poller would say so for ever.
                failure.record(error)
                try? poller.remove(port.descriptor)
                break
            }
            octets += length
            // As above; the port has said how much it wrote.
            let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(staging.all)).extracting(0..<length)
            guard length > header else {
                associations.drops.count(.malformedPacket)
                continue
            }
            carry(bytes, header, now)
        }
        train.send()
    }

    /// Finds the SA for a packet, cuts it where it is to be cut, and seals each piece to where it leaves from.
    @inline(__always)
    private mutating func carry(_ bytes: RawSpan, _ header: Int, _ now: Instant) {
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
        switch policies.verdict(for: fields) {
        case .protect(let found): handle = found
        case .block:
            associations.drops.count(.blocked)
            return
        case .none:
            associations.drops.count(.noPolicy)
            return
        }
        guard let shape = associations.shape(of: handle) else {
            associations.drops.count(.noSA)
            return
        }
        let place = Int(handle.slot)
        let way = ways[place]
        var outerClass = TrafficClass.outer(forInner: fields.trafficClass)
        var skipped = 0
        if shape.isTransport {
            do throws(DropReason) { skipped = try TransportHeader(parsing: packet).length } catch {
                associations.drops.count(error)
                return
            }
            // There is no other header to tell.
            outerClass = fields.trafficClass
        }
        for index in 0..<plan.count {
            let inner = plan.length(of: index)
            let length = shape.length(around: inner - skipped)
            guard let start = train.makeRoom(for: length, place, way, outerClass) else {
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
            do throws(DropReason) {
                let sealed = try associations.seal(&slot, inner: body..<(body + inner), by: handle, now: now)
                train.append(sealed.packet.count)
                if sealed.isRunningOut { inbox.put(.sequenceExhausted(children[place])) }
            } catch { return }
        }
    }

    private func sendKeepAlive(_ way: Way) {
        // One that does not go is followed by others.
        _ = try? sockets.entries[way.socket].socket.send([EncapsulatedDatagram.keepAliveOctet], along: way.path)
    }
}
