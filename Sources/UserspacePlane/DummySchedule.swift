import Clockwork
import ESPEngine

/// Which outbound SAs send dummy packets while nothing else leaves by them, and when it is each one's turn.
///
/// It belongs to the transmitting thread, and hears of no packet: when an SA's turn comes, its owner looks at when it was
/// last used.
struct DummySchedule {
    private var intervals: [OutboundHandle: Interval] = [:]
    private var deadlines = DeadlineQueue<OutboundHandle>()

    /// The next turn of anyone. Kept beside the queue: it is asked for every time that the thread wakes.
    private(set) var next: Instant?

    /// An SA sends a dummy after so long without another packet.
    mutating func start(_ handle: OutboundHandle, every interval: Interval, now: Instant) {
        guard intervals[handle] == nil else { return }
        intervals[handle] = interval
        deadlines.set(handle, to: now + interval)
        next = deadlines.earliest
    }

    /// An SA is gone.
    mutating func remove(_ handle: OutboundHandle) {
        guard intervals.removeValue(forKey: handle) != nil else { return }
        deadlines.remove(handle)
        next = deadlines.earliest
    }

    /// Takes out one SA whose turn it is; nil when there is none. ``wait(_:since:)`` is to be called for it.
    mutating func takeDue(_ now: Instant) -> (handle: OutboundHandle, interval: Interval)? {
        defer { next = deadlines.earliest }
        while let handle = deadlines.popDue(now) {
            if let interval = intervals[handle] { return (handle, interval) }
        }
        return nil
    }

    /// A packet, or a dummy, of this SA left then.
    mutating func wait(_ handle: OutboundHandle, since moment: Instant) {
        guard let interval = intervals[handle] else { return }
        deadlines.set(handle, to: moment + interval)
        next = deadlines.earliest
    }
}
