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
    case install(OutboundSA, slot: Int32, Way, TunnelBehaviour, PathFit)
    case remove(OutboundHandle)
    case move(slot: Int32, Way, PathFit)
    /// Packets to somebody may have so many octets, headers included.
    case pathMTU(IPAddress, Int)
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
    private var tunnels = TunnelTable()
    private var keepAlives = KeepAliveSchedule()
    private let orders: OrderQueue<TransmitOrder>
    private let inbox: ControlInbox
    private let sockets: PlaneSockets
    private let port: any PacketPort
    /// Where the port writes a packet to, uncut.
    private let staging = PacketMemory(Self.stagingSize)
    private var train: OutboundTrain
    private var report: InnerReport
    /// Where a packet lies that is to be looked at piece by piece.
    private let scratch = PacketMemory(Self.stagingSize)
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
        report = InnerReport(to: port, now: MonotonicClock.now())
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
            if let next = tunnels.next, next <= now { tunnels.forget(now: now) }
            let pause = [keepAlives.next, tunnels.next].compactMap { $0 }.min().map { $0 - now }
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
            case .install(let association, let slot, let way, let behaviour, let fit):
                // The control thread gives out slots below the table's limit only.
                do { try associations.install(association, at: slot) } catch { assertionFailure("\(error)") }
                while ways.count <= Int(slot) {
                    ways.append(way)
                    children.append(association.child)
                }
                ways[Int(slot)] = way
                tunnels.install(
                    Int(slot), behaviour, fit, association.shape, remote: way.path.remote.address)
                train.forgive(Int(slot))
                children[Int(slot)] = association.child
            case .remove(let handle): associations.remove(handle)
            case .move(let slot, let way, let fit):
                ways[Int(slot)] = way
                tunnels.move(Int(slot), fit, remote: way.path.remote.address)
                train.forgive(Int(slot))
            case .protect(let child, let local, let remote, let handle):
                // The control thread has counted the entries.
                do {
                    try policies.set(child, local: local, remote: remote, action: .protect(handle))
                } catch { assertionFailure("\(error)") }
            case .block(let child): policies.setAction(child, .block)
            case .unprotect(let child): policies.remove(child)
            case .pathMTU(let remote, let mtu): tunnels.learn(remote, mtu, now: MonotonicClock.now())
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
        while let socket = train.takeTooLong() {
            for said in sockets.entries[socket].pathReports() { tunnels.learn(said.remote, said.mtu, now: now) }
        }
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
        let rules = tunnels[place]
        guard plan.length(of: 0) <= rules.innerMTU else {
            refit(packet, fields, plan, handle, shape, now)
            return
        }
        let way = ways[place]
        guard let skipped = skippedHeader(packet, shape) else { return }
        let outer = OuterMarks(
            // In transport mode there is no other header to tell.
            trafficClass: shape.isTransport
                ? fields.trafficClass : rules.trafficClass.outer(forInner: fields.trafficClass),
            mayFragment: !(rules.copiesDF && packet.doesNotFragment))
        let opening = rules.clamp.isOn ? SegmentSizeClamp.opening(packet, fields) : nil
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
            guard seal(&slot, body..<(body + inner), handle, now) else { return }
        }
    }

    /// Octets of the header that stays behind in transport mode; nil when the packet cannot go so, which is counted.
    @inline(__always)
    private func skippedHeader(_ packet: RawSpan, _ shape: SealedShape) -> Int? {
        guard shape.isTransport else { return 0 }
        do throws(DropReason) { return try TransportHeader(parsing: packet).length } catch {
            associations.drops.count(error)
            return nil
        }
    }

    /// Seals an inner packet where it leaves from; false when its SA takes no more.
    @inline(__always)
    private mutating func seal(
        _ slot: inout MutableRawSpan, _ inner: Range<Int>, _ handle: OutboundHandle, _ now: Instant
    ) -> Bool {
        do throws(DropReason) {
            let sealed = try associations.seal(&slot, inner: inner, by: handle, now: now)
            train.append(sealed.packet.count)
            if sealed.isRunningOut { inbox.put(.sequenceExhausted(children[Int(handle.slot)])) }
            if let mark = sealed.mark {
                inbox.put(.volumeReached(children[Int(handle.slot)], mark), always: mark == .hard)
            }
            return true
        } catch { return false }
    }

    // MARK: What is too long

    /// Does with a packet that is too long for its tunnel, or would be cut into such, what is to be done with each piece.
    @inline(never)
    private mutating func refit(
        _ packet: RawSpan, _ fields: PacketSelectorFields, _ plan: SegmentationPlan, _ handle: OutboundHandle,
        _ shape: SealedShape, _ now: Instant
    ) {
        let rules = tunnels[Int(handle.slot)]
        for index in 0..<plan.count {
            // The worker's own memory, and nothing else uses it meanwhile.
            var memory = unsafe MutableRawSpan(_unsafeBytes: scratch.all)
            guard plan.write(index, of: packet, into: &memory, at: 0) else {
                associations.drops.count(.noRoom)
                return
            }
            // As above.
            let piece = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(scratch.all))
                .extracting(0..<plan.length(of: index))
            let fate =
                piece.byteCount <= rules.innerMTU
                ? .whole
                : rules.fate(
                    isV6: fields.family == .v6, doesNotFragment: packet.doesNotFragment, length: piece.byteCount)
            switch fate {
            case .whole:
                guard let skipped = skippedHeader(piece, shape) else { return }
                let isCarried = carry(piece.byteCount, skipped, fields, handle, shape, now) { slot, place in
                    slot.copy(piece, at: place)
                }
                guard isCarried else { return }
            case .cut:
                guard let cuts = FragmentPlan(piece, mtu: rules.innerMTU) else {
                    associations.drops.count(.tooBig)
                    continue
                }
                for cut in 0..<cuts.count {
                    let isCarried = carry(cuts.length(of: cut), 0, fields, handle, shape, now) { slot, place in
                        _ = cuts.write(cut, of: piece, into: &slot, at: place)
                    }
                    guard isCarried else { return }
                }
            case .refused(let mtu):
                // The others are as long, and their sender the same.
                for _ in index..<plan.count { associations.drops.count(.tooBig) }
                report.tooBig(piece, fields, mtu: mtu, now: now)
                return
            }
        }
    }

    /// Carries one inner packet of `length` octets that `write` puts in its place, by what may be cut on its way; false
    /// when its SA takes no more.
    private mutating func carry(
        _ length: Int, _ skipped: Int, _ fields: PacketSelectorFields, _ handle: OutboundHandle,
        _ shape: SealedShape, _ now: Instant, _ write: (inout MutableRawSpan, Int) -> Void
    ) -> Bool {
        let place = Int(handle.slot)
        let rules = tunnels[place]
        let outer = OuterMarks(
            trafficClass: shape.isTransport
                ? fields.trafficClass : rules.trafficClass.outer(forInner: fields.trafficClass))
        let inner = max(length, rules.paddedLength)
        guard let start = train.makeRoom(for: shape.length(around: inner - skipped), place, ways[place], outer) else {
            associations.drops.count(.noRoom)
            return false
        }
        // The train owns this memory, and nothing else uses it until it is sent. There is room, as was just made sure.
        var slot = unsafe MutableRawSpan(_unsafeBytes: train.memory)
        let body = start + shape.headroom
        write(&slot, body)
        if inner > length { slot.clear((body + length)..<(body + inner)) }
        return seal(&slot, body..<(body + inner), handle, now)
    }

    private func sendKeepAlive(_ way: Way) {
        // One that does not go is followed by others.
        _ = try? sockets.entries[way.socket].socket.send([EncapsulatedDatagram.keepAliveOctet], along: way.path)
    }
}

extension RawSpan {
    /// Whether the IP packet may not be cut: an IPv6 packet never is by anybody but its sender.
    @inline(__always)
    fileprivate var doesNotFragment: Bool { uint8(at: 0) >> 4 == 6 || uint8(at: 6) & 0x40 != 0 }
}

extension MutableRawSpan {
    /// Zeros, which is what traffic flow confidentiality padding may be (RFC 4303 §2.7).
    @inline(never)
    fileprivate mutating func clear(_ range: Range<Int>) {
        for offset in range { storeBytes(of: 0, toByteOffset: offset, as: UInt8.self) }
    }
}
