import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import LinuxSystem
import Synchronization

/// The sockets that carry nothing but IKE, read by the control thread itself.
///
/// What arrives there concerns no packet thread: handing it over would cost two threads' waking up for every message,
/// which is more than a tenth of a handshake. It owns the memory that messages are read into, the sockets for messages with
/// a marker, and belongs to the control thread. What it does not take waits in the sockets' buffers.
final class IKEListener {
    private var entries: [PlaneSockets.Entry]
    private let batch: DatagramBatch
    /// Where packets go that came here by mistake.
    private let workers: OrderFan<ReceiveOrder>
    private let drops: DropCounters
    /// When it last heard something.
    let echo: IKEEcho

    /// Messages that one socket brings at a time. The rest comes with the next round: data and commands have their turn.
    private static let most = 32

    /// With sockets of its own for messages with a marker, those of an earlier process where there is one: it may have had
    /// none.
    init(
        _ sockets: PlaneSockets, _ configuration: PlaneConfiguration, adopting numbers: [Int32]?,
        workers: OrderFan<ReceiveOrder>, drops: DropCounters
    ) throws(SystemError) {
        self.workers = workers
        self.drops = drops
        var entries = sockets.entries.filter { $0.use == .ike }
        if let numbers {
            for number in numbers {
                entries.append(
                    PlaneSockets.Entry(socket: try UDPSocket.adopt(Descriptor(owning: number)), use: .marked))
            }
        } else if configuration.separatesIKE {
            entries += try sockets.besidesForIKE(configuration)
        }
        self.entries = entries
        batch = try DatagramBatch(capacity: Self.most, slotSize: 65_536)
        echo = IKEEcho(entries)
    }

    /// Readable when there are messages.
    var descriptors: [Descriptor] { entries.map(\.socket.descriptor) }

    /// Whether messages with a marker come here.
    var hasMarked: Bool { entries.contains { $0.use == .marked } }

    /// The sockets by which they do.
    var markedNumbers: [Int32] { entries.filter { $0.use == .marked }.map(\.socket.number) }

    /// The kernel does not tell messages with a marker apart: they come where ESP does.
    func leaveMarked() {
        entries.removeAll { $0.use == .marked }
        echo.watch(entries)
    }

    /// Some of the messages that are there, those of each socket in the order in which they came.
    func read(_ descriptor: Descriptor? = nil) -> [IKEDatagram] {
        var messages: [IKEDatagram] = []
        for entry in entries where descriptor == nil || entry.socket.descriptor === descriptor {
            // Before they are taken out: nobody finds them neither there nor heard of.
            echo.hear(MonotonicClock.now())
            // What a datagram of ours met on its way is no message; the rest would come again at once.
            let count = (try? entry.socket.receive(into: batch)) ?? 0
            messages.reserveCapacity(messages.count + count)
            for index in 0..<count {
                if let message = message(index, hasMarker: entry.use == .marked) { messages.append(message) }
            }
        }
        return messages
    }

    private func message(_ index: Int, hasMarker: Bool) -> IKEDatagram? {
        let information = batch[index]
        guard !information.truncated else {
            drops.count(.truncated)
            return nil
        }
        var bytes = batch.bytes(index)
        guard hasMarker else { return IKEDatagram(bytes: bytes, path: information.path, hadMarker: false) }
        // Octets have no padding: a span of them is a raw span.
        switch EncapsulatedDatagram(unsafe bytes.span.bytes) {
        case .ike: break
        case .esp:
            pass(bytes, information)
            return nil
        case .keepAlive, .malformed:
            drops.count(.malformedDatagram)
            return nil
        }
        bytes.removeFirst(EncapsulatedDatagram.markerLength)
        return IKEDatagram(bytes: bytes, path: information.path, hadMarker: true)
    }

    /// Gives a packet to the worker whose it is: the kernel joins datagrams of one sender that come together, and takes
    /// them where the first belongs; and before it is told what belongs here, anything may come.
    private func pass(_ bytes: [UInt8], _ information: DatagramInformation) {
        // As above.
        let packet = unsafe bytes.span.bytes
        guard let spi = try? ESPHeader(parsing: packet).spi else { return }
        let arrival = PacketArrival(path: information.path, trafficClass: information.trafficClass)
        let owner = workers.queues[SPILayout.index(of: spi) % workers.queues.count]
        if !owner.offer(.stray(EarlyPackets.Kept(packet, arrival))) { drops.count(.truncated) }
    }
}

/// When an IKE message was last heard, whichever thread heard it.
///
/// The peer that sent it may use an SA that is only just being made (RFC 7296 §2.8): packets for SAs that nobody knows
/// wait a moment then, see ``EarlyPackets``.
final class IKEEcho: Sendable {
    private let entries: Mutex<[PlaneSockets.Entry]>
    private let last = Atomic<Int64>(.min)

    init(_ entries: [PlaneSockets.Entry]) { self.entries = Mutex(entries) }

    /// Messages come by these sockets, and by those of the packet threads.
    func watch(_ others: [PlaneSockets.Entry]) { entries.withLock { $0 = others } }

    /// A message is taken out of a socket.
    func hear(_ now: Instant) { last.store(now.nanoseconds, ordering: .releasing) }

    /// When a message was last heard. One that still lies in a socket is heard now.
    func lastHeard(_ now: Instant) -> Instant {
        for entry in entries.withLock({ $0 }) {
            if (try? entry.socket.descriptor.wait(milliseconds: 0)) == true { return now }
        }
        return Instant(nanoseconds: last.load(ordering: .acquiring))
    }
}
