/// A dictionary for what there is one of for each SA: its entries lie in one piece of memory, of which between two thirds
/// and five sixths are in use. A `Dictionary` of 100,000 entries uses three eighths of its own.
///
/// Slots with linear probing, so that a look costs a few neighbours; what is taken out leaves no trace. It is for control
/// threads: whoever looks for each packet has tables of its own. All of it can be inlined: without that each look from
/// another module asks the runtime for the types of keys and values, which is most of its cost.
public struct CompactTable<Key: Hashable, Value> {
    @usableFromInline var slots: [(key: Key, value: Value)?] = []
    @usableFromInline var entries = 0

    /// How many entries there are.
    @inlinable public var count: Int { entries }

    /// Starts empty.
    @inlinable public init() {}

    /// Whether there is none.
    @inlinable public var isEmpty: Bool { entries == 0 }

    /// The value of a key; nil for none, and to take it out.
    @inlinable public subscript(_ key: Key) -> Value? {
        get {
            guard entries > 0 else { return nil }
            return slots[place(of: key)]?.value
        }
        set {
            guard let newValue else {
                remove(key)
                return
            }
            if (entries + 1) * 6 > slots.count * 5 { grow() }
            let place = place(of: key)
            if slots[place] == nil { entries += 1 }
            slots[place] = (key, newValue)
        }
    }

    /// Takes a key out and returns what it had; nil for nothing.
    @discardableResult @inlinable
    public mutating func removeValue(forKey key: Key) -> Value? {
        defer { remove(key) }
        return self[key]
    }

    /// Puts a value in and returns what the key had before; nil for nothing.
    @discardableResult @inlinable
    public mutating func updateValue(_ value: Value, forKey key: Key) -> Value? {
        defer { self[key] = value }
        return self[key]
    }

    /// All keys, in no order; nothing is copied.
    @inlinable public var keys: some Sequence<Key> { slots.lazy.compactMap { $0?.key } }
    /// All values, in no order; nothing is copied.
    @inlinable public var values: some Sequence<Value> { slots.lazy.compactMap { $0?.value } }

    // MARK: Slots

    /// The slot of a key, or the empty one where it would be. There is always an empty one.
    @inlinable func place(of key: Key) -> Int {
        var index = home(key)
        while let entry = slots[index], entry.key != key { index = next(index) }
        return index
    }

    /// Where a key would like to be: hash values are spread over everything that a number can be.
    @inlinable func home(_ key: Key) -> Int {
        Int(UInt(bitPattern: key.hashValue).multipliedFullWidth(by: UInt(slots.count)).high)
    }

    @inlinable func next(_ index: Int) -> Int { index + 1 == slots.count ? 0 : index + 1 }

    @inlinable mutating func remove(_ key: Key) {
        guard entries > 0 else { return }
        var hole = place(of: key)
        guard slots[hole] != nil else { return }
        slots[hole] = nil
        entries -= 1
        // What had to give way to it may come nearer to where it would like to be.
        var index = next(hole)
        while let entry = slots[index] {
            let distance = (index - home(entry.key) + slots.count) % slots.count
            if distance >= (index - hole + slots.count) % slots.count {
                slots[hole] = entry
                slots[index] = nil
                hole = index
            }
            index = next(index)
        }
    }

    @inlinable mutating func grow() {
        let former = slots
        slots = Array(repeating: nil, count: max(8, former.count + former.count / 4))
        for case let entry? in former { slots[place(of: entry.key)] = entry }
    }
}

extension CompactTable: Sendable where Key: Sendable, Value: Sendable {}
