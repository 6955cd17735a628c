import Clockwork
import NetworkTypes

/// Which NAT mappings are kept alive, and when it is each one's turn.
struct KeepAliveSchedule {
    private var ways: [Path: (way: Way, interval: Interval)] = [:]
    private var deadlines = DeadlineQueue<Path>()

    /// The next turn of anyone. Kept beside the queue: it is asked for every time that the thread wakes.
    private(set) var next: Instant?

    /// Keeps a path's mapping alive from now on; zero stops it.
    mutating func set(_ way: Way, every interval: Interval, now: Instant) {
        defer { next = deadlines.earliest }
        guard interval > .zero else {
            ways[way.path] = nil
            deadlines.remove(way.path)
            return
        }
        ways[way.path] = (way, interval)
        deadlines.set(way.path, to: now + interval)
    }

    /// Those whose turn it is.
    mutating func due(_ now: Instant) -> [Way] {
        defer { next = deadlines.earliest }
        var due: [Way] = []
        while let path = deadlines.popDue(now) {
            guard let (way, interval) = ways[path] else { continue }
            due.append(way)
            deadlines.set(path, to: now + interval)
        }
        return due
    }
}
