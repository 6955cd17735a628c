/// Who wants to be woken when, for few keys: at most one deadline for each.
///
/// It does what a ``DeadlineQueue`` does, in the same order, for an owner that has a handful of keys and changes them with
/// every message: looking through a short list costs a fraction of what hashing a key does, and the list is a fraction of
/// the memory. It owns no clock.
public struct DeadlineList<Key: Equatable & Sendable>: Sendable {
    @usableFromInline
    struct Entry: Sendable {
        @usableFromInline let key: Key
        @usableFromInline let deadline: Instant

        @inlinable
        init(key: Key, deadline: Instant) {
            self.key = key
            self.deadline = deadline
        }
    }

    /// In the order in which they come due, equal ones in the order in which they were set.
    @usableFromInline var entries: [Entry] = []

    /// Starts empty.
    @inlinable
    public init() {}

    /// Keys that have a deadline.
    @inlinable
    public var count: Int { entries.count }

    /// The earliest deadline.
    @inlinable
    public var earliest: Instant? { entries.first?.deadline }

    /// The deadline of `key`.
    @inlinable
    public func deadline(of key: Key) -> Instant? { place(of: key).map { entries[$0].deadline } }

    /// Gives `key` a deadline in place of the one that it had; nil takes it away.
    @inlinable
    public mutating func set(_ key: Key, to deadline: Instant?) {
        if let place = place(of: key) {
            guard entries[place].deadline != deadline else { return }
            entries.remove(at: place)
        }
        guard let deadline else { return }
        var next = entries.count
        while next > 0, entries[next - 1].deadline > deadline { next -= 1 }
        entries.insert(Entry(key: key, deadline: deadline), at: next)
    }

    /// Takes away the deadline of `key`.
    @inlinable
    public mutating func remove(_ key: Key) {
        if let place = place(of: key) { entries.remove(at: place) }
    }

    /// Takes out one key whose deadline is not after `now`, the earliest first; nil when there is none.
    @inlinable
    public mutating func popDue(_ now: Instant) -> Key? {
        guard let first = entries.first, first.deadline <= now else { return nil }
        return entries.removeFirst().key
    }

    @inlinable
    func place(of key: Key) -> Int? {
        for place in entries.indices where entries[place].key == key { return place }
        return nil
    }
}
