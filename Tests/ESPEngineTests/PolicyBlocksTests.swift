import NetworkTypes
import Testing

@testable import ESPEngine

/// Blocks against a list that is searched from end to end.
struct PolicyBlocksTests {
    private struct Block: Hashable {
        let key: UInt128
        let length: Int
    }

    /// The same numbers in every run.
    private struct Chance {
        var state: UInt64

        mutating func next(below limit: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % limit
        }
    }

    private static func cut(_ key: UInt128, _ length: Int) -> UInt128 {
        length == 0 ? 0 : key & (.max << UInt128(128 - length))
    }

    /// What is put in is found, what was taken out is not, and a walk sees the blocks that hold an address from the
    /// shortest to the longest, while the table grows and holes are closed.
    @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8])
    func theSameAsAListOfAllBlocks(seed: UInt64) {
        var chance = Chance(state: seed)
        var blocks = PolicyBlocks()
        var model: [Block: Int32] = [:]
        // Few addresses and lengths, so that blocks hold each other, and are taken out and put in again.
        let lengths = [0, 8, 24, 25, 31, 32, 64, 127, 128]
        for number in 0..<4000 {
            let length = lengths[Int(chance.next(below: UInt64(lengths.count)))]
            let address = UInt128(chance.next(below: 40)) << 96 | UInt128(chance.next(below: 6))
            let block = Block(key: Self.cut(address, length), length: length)
            // More are put in than taken out at first, then the other way round.
            let isIn = chance.next(below: 10) < (number < 2000 ? 7 : 2)
            blocks.setHead(address, length, isIn ? Int32(number) : -1)
            model[block] = isIn ? Int32(number) : nil
            #expect(blocks.count == model.count)
            #expect(blocks.head(address, length) == model[block] ?? -1)
            let asked = UInt128(chance.next(below: 40)) << 96 | UInt128(chance.next(below: 6))
            let found = (0..<blocks.steps).map { blocks.head(asked, step: $0) }.filter { $0 >= 0 }
            let expected = model.filter { Self.cut(asked, $0.key.length) == $0.key.key }
                .sorted { $0.key.length < $1.key.length }.map(\.value)
            #expect(found == expected)
        }
        for block in model.keys { blocks.setHead(block.key, block.length, -1) }
        #expect(blocks.count == 0)
        #expect(blocks.steps == 0)
    }

    /// Blocks of one length are one step, however many there are.
    @Test func oneLookForEachLength() {
        var blocks = PolicyBlocks()
        for number in 0..<20_000 { blocks.setHead(PolicyBlocks.key(IPAddress(v4: UInt32(number))), 32, Int32(number)) }
        #expect(blocks.steps == 1)
        for number in 0..<20_000 {
            #expect(blocks.head(PolicyBlocks.key(IPAddress(v4: UInt32(number))), step: 0) == Int32(number))
        }
        #expect(blocks.head(PolicyBlocks.key(IPAddress(v4: 20_000)), step: 0) == -1)
        for number in 0..<20_000 { blocks.setHead(PolicyBlocks.key(IPAddress(v4: UInt32(number))), 32, -1) }
        #expect(blocks.steps == 0)
    }
}
