import GatewayModel
import LinuxSystem
public import NetworkTypes
import Synchronization

/// An IKE message as it came in, its marker taken off.
public struct IKEDatagram: Hashable, Sendable {
    /// The message.
    public let bytes: [UInt8]
    /// Between whom.
    public let path: Path
    /// Whether it had the non-ESP marker, so that the answer needs one too.
    public let hadMarker: Bool

    /// A message between two ends.
    public init(bytes: [UInt8], path: Path, hadMarker: Bool) {
        self.bytes = bytes
        self.path = path
        self.hadMarker = hadMarker
    }
}

/// What the packet threads hand to the control thread: IKE messages and events.
///
/// Both queues are bounded by number, the messages by octets too: however much comes in, memory stays where it is, and
/// data is not held up. One wake-up serves both.
final class ControlInbox: Sendable {
    private struct Messages: Sendable {
        var waiting: [IKEDatagram] = []
        var octets = 0
    }

    private let messages = Mutex(Messages())
    private let events = Mutex<[PlaneEvent]>([])
    /// Whether a signal is on its way that was not taken back: one is enough for all that comes meanwhile.
    private let isSignalled = Atomic(false)
    /// Wakes the control thread.
    let wakeup: Wakeup
    private let messageCapacity: Int
    private let octetCapacity: Int
    private let eventCapacity: Int

    init(messages: Int = 4096, octets: Int = 8 << 20, events: Int = 4096) throws(SystemError) {
        messageCapacity = messages
        octetCapacity = octets
        eventCapacity = events
        wakeup = try Wakeup()
    }

    /// Adds a message; false when there is no room.
    func put(_ message: IKEDatagram) -> Bool {
        let isIn = messages.withLock { messages in
            guard messages.waiting.count < messageCapacity, messages.octets + message.bytes.count <= octetCapacity
            else { return false }
            messages.octets += message.bytes.count
            messages.waiting.append(message)
            return true
        }
        wake()
        return isIn
    }

    /// Adds an event. When there is no room it is lost: those that matter come again with the packets that caused them.
    /// What is told once for each SA may be told `always`: there are never more of them than SAs.
    func put(_ event: PlaneEvent, always: Bool = false) {
        events.withLock { events in
            if always || events.count < eventCapacity { events.append(event) }
        }
        wake()
    }

    /// Takes the signal back. To be called before the messages and events are taken.
    func acknowledge() {
        // First the signal, then the flag: the other way round, a signal that came between the two would be lost, and the
        // flag would keep everybody from giving another. An exchange, so that what was put in by those who relied on
        // this signal is seen.
        wakeup.drain()
        _ = isSignalled.exchange(false, ordering: .acquiringAndReleasing)
    }

    private func wake() {
        if !isSignalled.exchange(true, ordering: .acquiringAndReleasing) { wakeup.signal() }
    }

    /// Takes all messages out, the oldest first.
    func takeMessages() -> [IKEDatagram] {
        messages.withLock { messages in
            let taken = messages.waiting
            messages = Messages()
            return taken
        }
    }

    /// Takes all events out, the oldest first.
    func takeEvents() -> [PlaneEvent] {
        events.withLock { events in
            let taken = events
            events = []
            return taken
        }
    }
}
