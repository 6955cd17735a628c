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
    private let batch: DatagramBatch
    /// For each slot of the batch, the socket that it leaves by.
    private var exits: [Int]
    private let poller: Poller
    private let failure: PlaneFailure

    /// Packets that one system call sends.
    private static let batchSize = 64
    /// Any inner packet, and what ESP adds.
    private static let slotSize = 65_536
    private static let orderToken = UInt64.max
    /// How long a full socket is waited for before its packets are dropped, in milliseconds.
    private static let patience: Int32 = 20

    init(
        orders: OrderQueue<TransmitOrder>, inbox: ControlInbox, sockets: PlaneSockets, port: any PacketPort,
        drops: DropCounters, failure: PlaneFailure
    ) throws(SystemError) {
        let poller = try Poller(capacity: 4)
        try poller.add(orders.wakeup.descriptor, token: Self.orderToken, .readable)
        try poller.add(port.descriptor, token: 0, .readable)
        batch = try DatagramBatch(capacity: Self.batchSize, slotSize: Self.slotSize)
        exits = [Int](repeating: 0, count: Self.batchSize)
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
            for way in keepAlives.due(now) { sendKeepAlive(way) }
            let pause = keepAlives.next.map { $0 - now }
            // Only a broken poller throws, and then nothing can be awaited any more.
            do { try poller.wait(timeout: pause, into: &ready) } catch { return }
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
                children[Int(slot)] = association.child
            case .remove(let handle): associations.remove(handle)
            case .move(let slot, let way): ways[Int(slot)] = way
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

    /// Reads what the port has, one batch at most, and sends it.
    private mutating func transmit() {
        let now = MonotonicClock.now()
        var filled = 0
        // Packets that are dropped fill no slot; the limit keeps a flood of them from holding up orders.
        for _ in 0..<(2 * batch.capacity) where filled < batch.capacity {
            let head = OutboundSADatabase.headroom
            // The batch owns this memory, and nothing else uses the slot until it is sent.
            let memory = unsafe batch.memory(of: filled)
            let room = head..<(memory.count - OutboundSADatabase.tailroom)
            var body = unsafe MutableRawSpan(_unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: memory[room]))
            let length: Int
            do {
                guard let count = try port.read(into: &body) else { break }
                length = count
            } catch {
                // The device is gone: nothing more comes from it, and a poller would say so for ever.
                failure.record(error)
                try? poller.remove(port.descriptor)
                break
            }
            var slot = unsafe MutableRawSpan(_unsafeBytes: memory)
            if seal(&slot, head..<(head + length), into: filled, now) { filled += 1 }
        }
        send(0..<filled)
    }

    /// Seals a packet where it is and addresses its slot; false when it is dropped.
    @inline(__always)
    private mutating func seal(
        _ slot: inout MutableRawSpan, _ inner: Range<Int>, into index: Int, _ now: Instant
    ) -> Bool {
        let fields: PacketSelectorFields
        do { fields = try PacketSelectorFields(parsing: slot.bytes.extracting(inner)) } catch {
            associations.drops.count(.malformedPacket)
            return false
        }
        let handle: OutboundHandle
        switch policies.verdict(for: fields) {
        case .protect(let found): handle = found
        case .block:
            associations.drops.count(.blocked)
            return false
        case .none:
            associations.drops.count(.noPolicy)
            return false
        }
        do throws(DropReason) {
            let packet = inner.lowerBound..<(inner.lowerBound + fields.length)
            let sealed = try associations.seal(&slot, inner: packet, by: handle, now: now)
            let place = Int(handle.slot)
            if sealed.isRunningOut { inbox.put(.sequenceExhausted(children[place])) }
            let way = ways[place]
            batch[index] = DatagramInformation(
                path: way.path, start: sealed.packet.lowerBound, length: sealed.packet.count,
                trafficClass: TrafficClass.outer(forInner: fields.trafficClass))
            exits[index] = way.socket
            return true
        } catch { return false }
    }

    /// Sends slots in order, in runs that leave by one socket.
    private mutating func send(_ range: Range<Int>) {
        var start = range.lowerBound
        while start < range.upperBound {
            var end = start + 1
            while end < range.upperBound, exits[end] == exits[start] { end += 1 }
            let socket = sockets.entries[exits[start]].socket
            var next = start
            while next < end {
                let report = socket.send(batch, next..<end)
                for _ in 0..<report.dropped { associations.drops.count(.sendFailed) }
                next = report.next
                if next < end {
                    let hasRoom = (try? socket.descriptor.wait(writing: true, milliseconds: Self.patience)) ?? false
                    if !hasRoom {
                        for _ in next..<end { associations.drops.count(.sendFailed) }
                        next = end
                    }
                }
            }
            start = end
        }
    }

    private func sendKeepAlive(_ way: Way) {
        // One that does not go is followed by others.
        _ = try? sockets.entries[way.socket].socket.send([EncapsulatedDatagram.keepAliveOctet], along: way.path)
    }
}
