import Clockwork
import GatewayModel
import Testing

@testable import ESPEngine

/// A table against a dictionary that is told the same.
@Suite struct CompactTableTests {
    @Test("After any number of changes it has what a dictionary has, and nothing else")
    func agrees() {
        var random = SeededEntropy(seed: 7)
        var table = CompactTable<UInt32, Int>()
        var dictionary: [UInt32: Int] = [:]
        for step in 0..<60_000 {
            // It fills, empties to nothing and fills again; few keys, so that many of them are there already.
            let key = random.uint32() % 700
            let isFilling = (step / 10_000).isMultiple(of: 2)
            if random.uint32() % 3 == 0 {
                var former: Int?
                table.change(key) { value in
                    former = value
                    value = isFilling ? (value ?? 0) + step : nil
                }
                #expect(former == dictionary[key])
                dictionary[key] = isFilling ? (former ?? 0) + step : nil
            } else if random.uint32() % 4 == 0 ? !isFilling : isFilling {
                #expect(table.updateValue(step, forKey: key) == dictionary.updateValue(step, forKey: key))
            } else {
                #expect(table.removeValue(forKey: key) == dictionary.removeValue(forKey: key))
            }
            #expect(table.count == dictionary.count)
            guard step.isMultiple(of: 500) else { continue }
            for key in 0..<700 as Range<UInt32> where table[key] != dictionary[key] {
                Issue.record("\(key): \(String(describing: table[key])), not \(String(describing: dictionary[key]))")
            }
            #expect(table.keys.sorted() == dictionary.keys.sorted())
            #expect(table.values.sorted() == dictionary.values.sorted())
        }
        for key in dictionary.keys { table[key] = nil }
        #expect(table.isEmpty)
        #expect(table.keys.sorted() == [])
    }

    /// Whose hash values are all alike.
    private struct Alike: CompactKey {
        let number: Int
        func hash(into hasher: inout Hasher) {}
    }

    @Test("Keys that meet in one slot, at the end of the table too, are found when any of them goes")
    func meets() {
        for gone in 0..<40 {
            var table = CompactTable<Alike, Int>()
            for number in 0..<40 { table[Alike(number: number)] = number }
            table[Alike(number: gone)] = nil
            #expect(table[Alike(number: gone)] == nil)
            #expect((0..<40).allSatisfy { $0 == gone || table[Alike(number: $0)] == $0 })
            #expect(table.count == 39)
        }
    }

    @Test("Keys that follow each other lie near where they would like to be", arguments: [1, 2, 3, 256, 1 << 12])
    func spreads(step: UInt32) {
        var numbers = CompactTable<UInt32, Int>()
        var counted = CompactTable<ChildSAID, Int>()
        for number in 0..<20_000 as Range<UInt32> {
            numbers[number &* step] = 0
            counted[ChildSAID(rawValue: number &* step)] = 0
        }
        // Chance alone would make it 2.5 at five sixths; a seed that puts them all together, thousands.
        #expect(Self.meanDistance(numbers) < 10)
        #expect(Self.meanDistance(counted) < 10)
    }

    private static func meanDistance<Key>(_ table: CompactTable<Key, Int>) -> Double {
        let count = table.slots.count
        let distances = table.keys.map { (table.place(of: $0) - table.home($0) + count) % count }
        return Double(distances.reduce(0, +)) / Double(table.count)
    }

    /// How many values there are.
    private final class Tally { var alive = 0 }

    private final class Counted {
        let tally: Tally

        init(_ tally: Tally) {
            self.tally = tally
            tally.alive += 1
        }

        deinit { tally.alive -= 1 }
    }

    @Test("A value is there once however often the table grows, and gone when its key is")
    func moves() {
        let tally = Tally()
        var table = CompactTable<UInt32, Counted>()
        for key in 0..<1000 as Range<UInt32> { table[key] = Counted(tally) }
        #expect(tally.alive == 1000)
        for key in 0..<1000 as Range<UInt32> where key % 3 == 0 { table[key] = Counted(tally) }
        #expect(tally.alive == 1000)
        for key in 0..<1000 as Range<UInt32> where key % 2 == 0 { table.change(key) { $0 = nil } }
        #expect(tally.alive == 500 && table.count == 500)
        table = CompactTable()
        #expect(tally.alive == 0)
    }
}
