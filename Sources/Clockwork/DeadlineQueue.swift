/// Who wants to be woken when: at most one deadline for each key, the earliest on top.
///
/// It owns no clock. Deadlines that are equal come out in the order in which they were set, so that two runs with the
/// same inputs wake in the same order.
public struct DeadlineQueue<Key: Hashable & Sendable>: Sendable {
    private struct Entry: Sendable {
        var deadline: Instant
        var order: UInt64
        var key: Key

        func isBefore(_ other: Entry) -> Bool { (deadline, order) < (other.deadline, other.order) }
    }

    private var heap: [Entry] = []
    private var positions: [Key: Int] = [:]
    private var nextOrder: UInt64 = 0

    /// Starts empty.
    public init() {}

    /// Keys that have a deadline.
    public var count: Int { heap.count }

    /// The earliest deadline.
    public var earliest: Instant? { heap.first?.deadline }

    /// The deadline of `key`.
    public func deadline(of key: Key) -> Instant? { positions[key].map { heap[$0].deadline } }

    /// Gives `key` a deadline in place of the one that it had; nil takes it away.
    public mutating func set(_ key: Key, to deadline: Instant?) {
        guard let deadline else {
            remove(key)
            return
        }
        if let position = positions[key] {
            guard heap[position].deadline != deadline else { return }
            heap[position].deadline = deadline
            heap[position].order = takeOrder()
            siftDown(position)
            siftUp(positions[key] ?? position)
        } else {
            heap.append(Entry(deadline: deadline, order: takeOrder(), key: key))
            positions[key] = heap.count - 1
            siftUp(heap.count - 1)
        }
    }

    /// Takes away the deadline of `key`.
    public mutating func remove(_ key: Key) {
        guard let position = positions.removeValue(forKey: key) else { return }
        let last = heap.removeLast()
        guard position < heap.count else { return }
        heap[position] = last
        positions[last.key] = position
        siftDown(position)
        siftUp(positions[last.key] ?? position)
    }

    /// Takes out one key whose deadline is not after `now`, the earliest first; nil when there is none.
    public mutating func popDue(_ now: Instant) -> Key? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        remove(first.key)
        return first.key
    }

    private mutating func takeOrder() -> UInt64 {
        defer { nextOrder &+= 1 }
        return nextOrder
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { return }
            swap(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].isBefore(heap[least]) { least = child }
            }
            guard least != parent else { return }
            swap(parent, least)
            parent = least
        }
    }

    private mutating func swap(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        positions[heap[a].key] = a
        positions[heap[b].key] = b
    }
}
