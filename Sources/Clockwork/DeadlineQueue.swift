/// Who wants to be woken when: at most one deadline for each key, the earliest on top.
///
/// It owns no clock. Deadlines that are equal come out in the order in which they were set, so that two runs with the
/// same inputs wake in the same order. Its code is open to other modules, so that they get one made for their keys.
public struct DeadlineQueue<Key: Hashable & Sendable>: Sendable {
    @usableFromInline
    struct Entry: Sendable {
        @usableFromInline var deadline: Instant
        @usableFromInline var order: UInt64
        @usableFromInline let key: Key

        @inlinable
        init(deadline: Instant, order: UInt64, key: Key) {
            self.deadline = deadline
            self.order = order
            self.key = key
        }

        @inlinable
        func isBefore(_ other: Entry) -> Bool { (deadline, order) < (other.deadline, other.order) }
    }

    @usableFromInline var heap: [Entry] = []
    @usableFromInline var positions: [Key: Int] = [:]
    @usableFromInline var nextOrder: UInt64 = 0

    /// Starts empty.
    @inlinable
    public init() {}

    /// Keys that have a deadline.
    @inlinable
    public var count: Int { heap.count }

    /// The earliest deadline.
    @inlinable
    public var earliest: Instant? { heap.first?.deadline }

    /// The deadline of `key`.
    @inlinable
    public func deadline(of key: Key) -> Instant? { positions[key].map { heap[$0].deadline } }

    /// Gives `key` a deadline in place of the one that it had; nil takes it away.
    @inlinable
    public mutating func set(_ key: Key, to deadline: Instant?) {
        guard let deadline else {
            remove(key)
            return
        }
        if let position = positions[key] {
            guard heap[position].deadline != deadline else { return }
            heap[position].deadline = deadline
            heap[position].order = takeOrder()
            siftUp(siftDown(position))
        } else {
            heap.append(Entry(deadline: deadline, order: takeOrder(), key: key))
            positions[key] = heap.count - 1
            siftUp(heap.count - 1)
        }
    }

    /// Takes away the deadline of `key`.
    @inlinable
    public mutating func remove(_ key: Key) {
        guard let position = positions.removeValue(forKey: key) else { return }
        let last = heap.removeLast()
        guard position < heap.count else { return }
        heap[position] = last
        positions[last.key] = position
        siftUp(siftDown(position))
    }

    /// Takes out one key whose deadline is not after `now`, the earliest first; nil when there is none.
    @inlinable
    public mutating func popDue(_ now: Instant) -> Key? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        remove(first.key)
        return first.key
    }

    @inlinable
    mutating func takeOrder() -> UInt64 {
        defer { nextOrder &+= 1 }
        return nextOrder
    }

    @inlinable
    mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { return }
            swap(child, parent)
            child = parent
        }
    }

    @inlinable
    mutating func siftDown(_ start: Int) -> Int {
        var parent = start
        while true {
            var least = parent
            for child in (2 * parent + 1)...(2 * parent + 2) where child < heap.count {
                if heap[child].isBefore(heap[least]) { least = child }
            }
            guard least != parent else { return parent }
            swap(parent, least)
            parent = least
        }
    }

    @inlinable
    mutating func swap(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        positions[heap[a].key] = a
        positions[heap[b].key] = b
    }
}
