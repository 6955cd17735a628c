public import GatewayModel
public import NetworkTypes

/// A dictionary for what there is one of for each SA: its entries lie in one piece of memory, of which between two thirds
/// and five sixths are in use. A `Dictionary` of 100,000 entries uses three eighths of its own.
///
/// Slots with linear probing, so that a look costs a few neighbours; what is taken out leaves no trace. It is for control
/// threads: whoever looks for each packet has tables of its own. All of it can be inlined: without that each look from
/// another module asks the runtime for the types of keys and values, which is most of its cost.
public struct CompactTable<Key: CompactKey, Value> {
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
            if let newValue { updateValue(newValue, forKey: key) } else { removeValue(forKey: key) }
        }
    }

    /// Takes a key out and returns what it had; nil for nothing.
    @discardableResult @inlinable
    public mutating func removeValue(forKey key: Key) -> Value? {
        guard entries > 0 else { return nil }
        let place = place(of: key)
        guard let entry = slots[place] else { return nil }
        vacate(place)
        return entry.value
    }

    /// Puts a value in and returns what the key had before; nil for nothing.
    @discardableResult @inlinable
    public mutating func updateValue(_ value: Value, forKey key: Key) -> Value? {
        if (entries + 1) * 6 > slots.count * 5 { grow() }
        let place = place(of: key)
        let former = slots[place]
        slots[place] = (key, value)
        if former == nil { entries += 1 }
        return former?.value
    }

    /// Changes what a key has with one look; nil stands for nothing, before and after.
    @inlinable
    public mutating func change(_ key: Key, _ body: (inout Value?) -> Void) {
        if (entries + 1) * 6 > slots.count * 5 { grow() }
        let place = place(of: key)
        let wasThere = slots[place] != nil
        var value = slots[place]?.value
        // Nobody else holds the value while it is changed.
        if wasThere { slots[place] = nil }
        body(&value)
        if let value {
            slots[place] = (key, value)
            if !wasThere { entries += 1 }
        } else if wasThere {
            vacate(place)
        }
    }

    /// All keys, in no order; nothing is copied.
    @inlinable public var keys: some Sequence<Key> { slots.lazy.compactMap { $0?.key } }
    /// All values, in no order; nothing is copied.
    @inlinable public var values: some Sequence<Value> { slots.lazy.compactMap { $0?.value } }

    // MARK: Slots

    /// The slot of a key, or the empty one where it would be. There is always an empty one.
    @inlinable func place(of key: Key) -> Int {
        var index = home(key)
        while let there = slots[index]?.key, there != key { index = next(index) }
        return index
    }

    /// Where a key would like to be.
    @inlinable func home(_ key: Key) -> Int { Int(key.spread.multipliedFullWidth(by: UInt(slots.count)).high) }

    @inlinable func next(_ index: Int) -> Int { index + 1 == slots.count ? 0 : index + 1 }

    /// Empties a slot that was in use.
    @inlinable mutating func vacate(_ place: Int) {
        var hole = place
        slots[hole] = nil
        entries -= 1
        // What had to give way to it may come nearer to where it would like to be.
        var index = next(hole)
        while let key = slots[index]?.key {
            let distance = (index - home(key) + slots.count) % slots.count
            if distance >= (index - hole + slots.count) % slots.count {
                slots.swapAt(hole, index)
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

/// What entries of a ``CompactTable`` are found by.
public protocol CompactKey: Hashable {
    /// A number that is spread over everything that one can be, and that nobody outside of the process can foresee.
    var spread: UInt { get }
}

extension CompactKey {
    /// Its hash value.
    @inlinable public var spread: UInt { UInt(bitPattern: hashValue) }
}

/// Spreads numbers: a hasher for each of them would be most of a look.
@usableFromInline
enum CompactSpread {
    /// Nobody outside the process knows them, so nobody can choose numbers that meet in one slot.
    @usableFromInline static let seeds = (
        UInt(bitPattern: 0x7461_626c.hashValue), UInt(bitPattern: 0x6b65_7973.hashValue) | 1
    )

    @inlinable
    static func of(_ number: UInt) -> UInt {
        let (first, second) = seeds
        let product = (number ^ first).multipliedFullWidth(by: second)
        return product.high ^ product.low
    }
}

extension Int: CompactKey {
    /// A number for it.
    @inlinable public var spread: UInt { CompactSpread.of(UInt(bitPattern: self)) }
}

extension UInt32: CompactKey {
    /// A number for it.
    @inlinable public var spread: UInt { CompactSpread.of(UInt(self)) }
}

extension ChildSAID: CompactKey {
    /// A number for it.
    @inlinable public var spread: UInt { CompactSpread.of(UInt(rawValue)) }
}

extension IPPrefix: CompactKey {}
