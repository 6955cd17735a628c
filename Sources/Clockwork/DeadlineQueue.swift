/// Who wants to be woken when: at most one deadline for each key, the earliest on top.
///
/// It owns no clock. Deadlines that are equal come out in the order in which they were set, so that two runs with the
/// same inputs wake in the same order. A deadline that has been replaced stays in the heap, passed over, until it is on
/// top or such are the most: nobody needs to know where in the heap a key's deadline is. Its code is open to other
/// modules, so that they get one made for their keys.
public struct DeadlineQueue<Key: Hashable & Sendable>: Sendable {
    @usableFromInline
    struct Entry: Sendable {
        @usableFromInline let deadline: Instant
        @usableFromInline let order: UInt64
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

    /// Earliest first; the first one is always current.
    @usableFromInline var heap: [Entry] = []
    /// What is current: of each key its deadline, and the number under which it was set.
    @usableFromInline var current: [Key: (deadline: Instant, order: UInt64)] = [:]
    @usableFromInline var nextOrder: UInt64 = 0

    /// Starts empty.
    @inlinable
    public init() {}

    /// Keys that have a deadline.
    @inlinable
    public var count: Int { current.count }

    /// The earliest deadline.
    @inlinable
    public var earliest: Instant? { heap.first?.deadline }

    /// The deadline of `key`.
    @inlinable
    public func deadline(of key: Key) -> Instant? { current[key]?.deadline }

    /// Gives `key` a deadline in place of the one that it had; nil takes it away.
    @inlinable
    public mutating func set(_ key: Key, to deadline: Instant?) {
        guard let deadline else {
            remove(key)
            return
        }
        let entry = Entry(deadline: deadline, order: nextOrder, key: key)
        var former: UInt64?
        if let place = current.index(forKey: key) {
            guard current.values[place].deadline != deadline else { return }
            former = current.values[place].order
            current.values[place] = (deadline, entry.order)
        } else {
            current[key] = (deadline, entry.order)
        }
        nextOrder &+= 1
        heap.append(entry)
        rise(heap.count - 1)
        if let former { passOver(former) }
    }

    /// Takes away the deadline of `key`.
    @inlinable
    public mutating func remove(_ key: Key) {
        if let former = current.removeValue(forKey: key) { passOver(former.order) }
    }

    /// Takes out one key whose deadline is not after `now`, the earliest first; nil when there is none.
    @inlinable
    public mutating func popDue(_ now: Instant) -> Key? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        remove(first.key)
        return first.key
    }

    @inlinable
    func isCurrent(_ entry: Entry) -> Bool { current[entry.key]?.order == entry.order }

    /// The entry of this number is current no more.
    @inlinable
    mutating func passOver(_ order: UInt64) {
        if heap.count > 2 * current.count + 64 {
            heap = heap.filter(isCurrent)
            for place in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(place) }
        } else if heap[0].order == order {
            repeat { dropFirst() } while !heap.isEmpty && !isCurrent(heap[0])
        }
    }

    @inlinable
    mutating func dropFirst() {
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        heap[0] = last
        sink(0)
    }

    /// Brings the entry at `start` up to where it belongs.
    @inlinable
    mutating func rise(_ start: Int) {
        let entry = heap[start]
        var place = start
        while place > 0, entry.isBefore(heap[(place - 1) / 2]) {
            heap[place] = heap[(place - 1) / 2]
            place = (place - 1) / 2
        }
        heap[place] = entry
    }

    /// Brings the entry at `start` down to where it belongs.
    @inlinable
    mutating func sink(_ start: Int) {
        let entry = heap[start]
        var place = start
        while 2 * place + 1 < heap.count {
            var child = 2 * place + 1
            if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
            guard heap[child].isBefore(entry) else { break }
            heap[place] = heap[child]
            place = child
        }
        heap[place] = entry
    }
}
