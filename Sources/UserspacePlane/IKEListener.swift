import Clockwork
import LinuxSystem
import Synchronization

/// The sockets that carry nothing but IKE, read by the control thread itself.
///
/// What arrives there concerns no packet thread: handing it over would cost two threads' waking up for every message,
/// which is more than a tenth of a handshake. It owns the memory that messages are read into, and belongs to the control
/// thread. What it does not take waits in the sockets' buffers.
final class IKEListener {
    private let entries: [PlaneSockets.Entry]
    private let batch: DatagramBatch
    private let echo: IKEEcho

    /// Messages that one socket brings at a time. The rest comes with the next round: data and commands have their turn.
    private static let most = 32

    init(_ sockets: PlaneSockets, _ echo: IKEEcho) throws(SystemError) {
        entries = sockets.entries.filter { $0.use == .ike }
        batch = try DatagramBatch(capacity: Self.most, slotSize: 65_536)
        self.echo = echo
    }

    /// Readable when there are messages.
    var descriptors: [Descriptor] { entries.map(\.socket.descriptor) }

    /// Some of the messages that are there, those of each socket in the order in which they came.
    func read(_ descriptor: Descriptor? = nil) -> [IKEDatagram] {
        var messages: [IKEDatagram] = []
        for entry in entries where descriptor == nil || entry.socket.descriptor === descriptor {
            // Before they are taken out: nobody finds them neither there nor heard of.
            echo.hear(MonotonicClock.now())
            // What a datagram of ours met on its way is no message; the rest would come again at once.
            let count = (try? entry.socket.receive(into: batch)) ?? 0
            for index in 0..<count {
                let information = batch[index]
                guard !information.truncated else { continue }
                messages.append(IKEDatagram(bytes: batch.bytes(index), path: information.path, hadMarker: false))
            }
        }
        return messages
    }
}

/// When an IKE message was last heard, whichever thread heard it.
///
/// The peer that sent it may use an SA that is only just being made (RFC 7296 §2.8): packets for SAs that nobody knows
/// wait a moment then, see ``EarlyPackets``.
final class IKEEcho: Sendable {
    private let sockets: PlaneSockets
    private let last = Atomic<Int64>(.min)

    init(_ sockets: PlaneSockets) { self.sockets = sockets }

    /// A message is taken out of a socket.
    func hear(_ now: Instant) { last.store(now.nanoseconds, ordering: .releasing) }

    /// When a message was last heard. One that still lies in a socket is heard now.
    func lastHeard(_ now: Instant) -> Instant {
        for entry in sockets.entries where entry.use == .ike {
            if (try? entry.socket.descriptor.wait(milliseconds: 0)) == true { return now }
        }
        return Instant(nanoseconds: last.load(ordering: .acquiring))
    }
}
