public import GatewayModel
public import NetworkTypes

/// A dictionary for what there is one of for each SA: its entries lie side by side, and between two thirds and five sixths
/// of the places are in use. A `Dictionary` of 100,000 entries uses three eighths of its own.
///
/// Linear probing, so that a look costs a few neighbours; what is taken out leaves no trace. Keys and values lie apart:
/// a look goes over keys alone. It is for control threads: whoever looks for each packet has tables of its own. All of it
/// can be inlined: without that each look from another module asks the runtime for the types of keys and values, which is
/// most of its cost.
public struct CompactTable<Key: CompactKey, Value> {
    @usableFromInline var slots: [Key?] = []
    /// What the keys in these places have.
    @usableFromInline var contents: [Value?] = []
    @usableFromInline var entries = 0

    /// How many entries there are.
    @inlinable public var count: Int { entries }

    /// Starts empty.
    @inlinable public init() {}

    /// Whether there is none.
    @inlinable public var isEmpty: Bool { entries == 0 }

    /// The value of a key; nil for none, and to take it out.
    @inlinable public subscript(_ key: Key) -> Value? {
        get { entries > 0 ? contents[place(of: key)] : nil }
        set {
            if let newValue { updateValue(newValue, forKey: key) } else { removeValue(forKey: key) }
        }
    }

    /// Takes a key out and returns what it had; nil for nothing.
    @discardableResult @inlinable
    public mutating func removeValue(forKey key: Key) -> Value? {
        guard entries > 0 else { return nil }
        let place = place(of: key)
        let value = contents[place].take()
        if value != nil { vacate(place) }
        return value
    }

    /// Puts a value in and returns what the key had before; nil for nothing.
    @discardableResult @inlinable
    public mutating func updateValue(_ value: Value, forKey key: Key) -> Value? {
        let place = room(for: key)
        let former = contents[place].take()
        contents[place] = value
        if former == nil { fill(place, key) }
        return former
    }

    /// Changes what a key has where it lies, with one look; nil stands for nothing, before and after. Returns what `body`
    /// does.
    @discardableResult @inlinable
    public mutating func change<Result>(_ key: Key, _ body: (inout Value?) -> Result) -> Result {
        let place = room(for: key)
        let result = body(&contents[place])
        switch (slots[place] != nil, contents[place] != nil) {
        case (false, true): fill(place, key)
        case (true, false): vacate(place)
        default: break
        }
        return result
    }

    /// All keys, in no order; nothing is copied.
    @inlinable public var keys: some Sequence<Key> { slots.lazy.compactMap { $0 } }
    /// All values, in no order; nothing is copied.
    @inlinable public var values: some Sequence<Value> { contents.lazy.compactMap { $0 } }

    // MARK: Slots

    /// The slot of a key, or the empty one where it would be. There is always an empty one.
    @inlinable func place(of key: Key) -> Int {
        var index = home(key)
        while let there = slots[index], there != key { index = next(index) }
        return index
    }

    /// The same, where one more entry may be put.
    @inlinable mutating func room(for key: Key) -> Int {
        if (entries + 1) * 6 > slots.count * 5 { grow() }
        return place(of: key)
    }

    /// Where a key would like to be.
    @inlinable func home(_ key: Key) -> Int { Int(key.spread.multipliedFullWidth(by: UInt(slots.count)).high) }

    @inlinable func next(_ index: Int) -> Int { index + 1 == slots.count ? 0 : index + 1 }

    /// Gives an empty slot, whose value is there already, its key.
    @inlinable mutating func fill(_ place: Int, _ key: Key) {
        slots[place] = key
        entries += 1
    }

    /// Empties a slot whose value was taken out.
    @inlinable mutating func vacate(_ place: Int) {
        var hole = place
        slots[hole] = nil
        entries -= 1
        // What had to give way to it may come nearer to where it would like to be.
        var index = next(hole)
        while let key = slots[index] {
            let distance = (index - home(key) + slots.count) % slots.count
            if distance >= (index - hole + slots.count) % slots.count {
                slots.swapAt(hole, index)
                contents.swapAt(hole, index)
                hole = index
            }
            index = next(index)
        }
    }

    /// Moves all entries into a table that is a quarter larger: no two of them are the same, so none are compared.
    @inlinable mutating func grow() {
        let (keys, size) = (slots, max(8, slots.count + slots.count / 4))
        var values: [Value?] = []
        swap(&values, &contents)
        slots = Array(repeating: nil, count: size)
        contents.reserveCapacity(size)
        for _ in 0..<size { contents.append(nil) }
        for place in keys.indices {
            guard let key = keys[place], let value = values[place].take() else { continue }
            var index = home(key)
            while slots[index] != nil { index = next(index) }
            slots[index] = key
            contents[index] = value
        }
    }
}

extension CompactTable: Sendable where Key: Sendable, Value: Sendable {}

/// What entries of a ``CompactTable`` are found by.
public protocol CompactKey: Hashable {
    /// A number that is spread over everything that one can be, and that nobody can foresee who may choose keys.
    var spread: UInt { get }
}

extension CompactKey {
    /// Its hash value.
    @inlinable public var spread: UInt { UInt(bitPattern: hashValue) }
}

/// Spreads numbers: a hasher for each of them would be most of a look.
public enum CompactSpread {
    /// Nobody outside the process knows them, so nobody can choose numbers that meet in one slot.
    @usableFromInline static let seeds = (
        UInt(bitPattern: 0x7461_626c.hashValue), UInt(bitPattern: 0x6b65_7973.hashValue) | 1
    )

    /// A number for this one, and for what stands before it.
    @inlinable
    public static func of(_ number: UInt, after former: UInt = 0) -> UInt {
        let (first, second) = seeds
        let product = (number ^ former ^ first).multipliedFullWidth(by: second)
        let folded = product.high ^ product.low
        // Numbers that follow each other keep no distance: else some seeds would put them all close together.
        return (folded ^ folded >> 32) &* golden
    }

    /// A number for one of those that are counted up, and that nobody outside chooses: they lie as far apart as can be.
    @inlinable
    public static func of(counted number: UInt) -> UInt { number &* golden }

    /// The golden ratio's part of all numbers.
    @usableFromInline static var golden: UInt { 0x9e37_79b9_7f4a_7c15 }
}

extension UInt32: CompactKey {
    /// A number for it.
    @inlinable public var spread: UInt { CompactSpread.of(UInt(self)) }
}

extension ChildSAID: CompactKey {
    /// A number for it.
    @inlinable public var spread: UInt { CompactSpread.of(counted: UInt(rawValue)) }
}

extension IPPrefix: CompactKey {
    /// A number for it.
    @inlinable public var spread: UInt {
        let bits = address.bits
        // Neighbours of other lengths begin with the same address.
        let upper = CompactSpread.of(UInt(truncatingIfNeeded: bits >> 64), after: UInt(length))
        return CompactSpread.of(UInt(truncatingIfNeeded: bits), after: upper)
    }
}
