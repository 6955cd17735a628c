import IPsecCrypto
import NetworkTypes

/// Address blocks of one family, each with a list of entries, found by one look for each length that is in use.
///
/// A table of slots with linear probing, where a walk down a tree of 100,000 blocks would wait for memory at each of its
/// levels. Policies have few lengths, most of them one; however many there are, a lookup looks once for each, at most 129
/// times. It never allocates while it looks. It holds numbers only and knows nothing of what they mean.
struct PolicyBlocks {
    private struct Slot {
        /// The block's bits, aligned to the left, zero after its length.
        var high: UInt64 = 0
        var low: UInt64 = 0
        /// The first of the block's entries; -1 for an empty slot.
        var head: Int32 = -1
        var length: UInt8 = 0
    }

    /// A power of two of them, four fifths in use at most.
    private var slots: [Slot] = []
    /// Blocks that there are.
    private(set) var count = 0
    /// The lengths in use, the shortest first, and how many blocks have each.
    private var lengths: [UInt8] = []
    private var uses: [Int32] = []
    /// Nobody outside the process knows them, so nobody can choose blocks that meet in one slot.
    private let seeds: (UInt64, UInt64)

    init() {
        seeds = (
            UInt64(truncatingIfNeeded: 0x6d61_7274.hashValue), UInt64(truncatingIfNeeded: 0x6c65_7421.hashValue)
        )
    }

    /// An address as the table wants it: its bits aligned to the left.
    @inline(__always)
    static func key(_ address: IPAddress) -> UInt128 {
        address.family == .v4 ? address.bits << 96 : address.bits
    }

    /// How many lengths there are to look for: the steps of a lookup.
    @inline(__always)
    var steps: Int { lengths.count }

    /// The first entry of the block that holds the address and has the length of this step; -1 when there is none. The
    /// first step has the shortest length.
    @inline(__always)
    func head(_ key: UInt128, step: Int) -> Int32 { head(key, Int(lengths[step])) }

    /// The first entry of a block; -1 when it has none. Bits after its length do not matter.
    @inline(__always)
    func head(_ key: UInt128, _ length: Int) -> Int32 {
        guard count > 0 else { return -1 }
        let slot = slots[place(Self.cut(key, length), length)]
        return slot.head
    }

    /// Has the processor fetch what a lookup of this address reads first.
    @inline(__always)
    func anticipate(_ key: UInt128) {
        guard count > 0 else { return }
        unsafe slots.withUnsafeBufferPointer { slots in
            guard let base = slots.baseAddress else { return }
            // Longer lists of lengths are not those of many tunnels.
            for length in lengths.prefix(4) {
                let (high, low) = Self.cut(key, Int(length))
                // An address within the array, which is not read.
                unsafe PacketCipher.anticipate(UnsafeRawPointer(base + home(high, low, Int(length))))
            }
        }
    }

    /// Gives a block its first entry; -1 takes the block away. Bits after its length do not matter.
    mutating func setHead(_ key: UInt128, _ length: Int, _ head: Int32) {
        let cut = Self.cut(key, length)
        guard head >= 0 else {
            remove(cut, length)
            return
        }
        if (count + 1) * 5 > slots.count * 4 { grow() }
        let place = place(cut, length)
        if slots[place].head < 0 {
            count += 1
            note(length, 1)
        }
        slots[place] = Slot(high: cut.high, low: cut.low, head: head, length: UInt8(length))
    }

    // MARK: Slots

    /// The slot of a block, or the empty one where it would be. There is always an empty one.
    @inline(__always)
    private func place(_ key: (high: UInt64, low: UInt64), _ length: Int) -> Int {
        let slots = slots.span
        var index = home(key.high, key.low, length)
        while slots[index].head >= 0 {
            if slots[index].low == key.low, slots[index].high == key.high, Int(slots[index].length) == length { break }
            index = (index + 1) & (slots.count - 1)
        }
        return index
    }

    /// Where a block would like to be.
    @inline(__always)
    private func home(_ high: UInt64, _ low: UInt64, _ length: Int) -> Int {
        let first = (high ^ seeds.0).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15 ^ UInt64(length) << 1)
        let second = (low ^ first.low ^ first.high).multipliedFullWidth(by: seeds.1 | 1)
        return Int(truncatingIfNeeded: second.low ^ second.high) & (slots.count - 1)
    }

    private mutating func remove(_ key: (high: UInt64, low: UInt64), _ length: Int) {
        guard count > 0 else { return }
        var hole = place(key, length)
        guard slots[hole].head >= 0 else { return }
        count -= 1
        note(length, -1)
        // What had to give way to it may come nearer to where it would like to be.
        var index = hole
        while true {
            index = (index + 1) & (slots.count - 1)
            let slot = slots[index]
            guard slot.head >= 0 else { break }
            let home = home(slot.high, slot.low, Int(slot.length))
            guard (index - home) & (slots.count - 1) >= (index - hole) & (slots.count - 1) else { continue }
            slots[hole] = slot
            hole = index
        }
        slots[hole] = Slot()
    }

    private mutating func grow() {
        let former = slots
        slots = [Slot](repeating: Slot(), count: max(16, former.count * 2))
        for slot in former where slot.head >= 0 { slots[place((slot.high, slot.low), Int(slot.length))] = slot }
    }

    /// One block more or less has this length.
    private mutating func note(_ length: Int, _ change: Int32) {
        let place = lengths.firstIndex { $0 >= length } ?? lengths.count
        if place == lengths.count || lengths[place] != length {
            lengths.insert(UInt8(length), at: place)
            uses.insert(0, at: place)
        }
        uses[place] += change
        guard uses[place] == 0 else { return }
        lengths.remove(at: place)
        uses.remove(at: place)
    }

    @inline(__always)
    private static func cut(_ key: UInt128, _ length: Int) -> (high: UInt64, low: UInt64) {
        let kept = length == 0 ? 0 : key & (.max << UInt128(128 - length))
        return (UInt64(truncatingIfNeeded: kept >> 64), UInt64(truncatingIfNeeded: kept))
    }
}
