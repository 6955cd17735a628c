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
        let place = positions[key] ?? heap.count
        if place == heap.count {
            heap.append(Entry(deadline: deadline, order: takeOrder(), key: key))
        } else {
            guard heap[place].deadline != deadline else { return }
            heap[place].deadline = deadline
            heap[place].order = takeOrder()
        }
        sift(place)
    }

    /// Takes away the deadline of `key`.
    @inlinable
    public mutating func remove(_ key: Key) {
        guard let position = positions.removeValue(forKey: key) else { return }
        let last = heap.removeLast()
        guard position < heap.count else { return }
        heap[position] = last
        sift(position)
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

    /// Brings the entry at `start` to where it belongs, up or else down. Each one that gives way to it is noted once.
    @inlinable
    mutating func sift(_ start: Int) {
        let entry = heap[start]
        var place = start
        while place > 0, entry.isBefore(heap[(place - 1) / 2]) {
            put(heap[(place - 1) / 2], at: place)
            place = (place - 1) / 2
        }
        while 2 * place + 1 < heap.count {
            var child = 2 * place + 1
            if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
            guard heap[child].isBefore(entry) else { break }
            put(heap[child], at: place)
            place = child
        }
        put(entry, at: place)
    }

    @inlinable
    mutating func put(_ entry: Entry, at place: Int) {
        heap[place] = entry
        positions[entry.key] = place
    }
}
