import Clockwork
import Testing

@testable import ESPEngine

/// The window against a plain set of numbers, and at its edges.
struct ReplayWindowTests {
    @Test(arguments: [0, 1, 32, 63, 64, 65, 128, 1000, 2048, 32_768])
    func agreesWithASet(size: Int) throws {
        var window = try #require(ReplayWindow(size: size))
        var seen: Set<UInt64> = []
        var highest: UInt64 = 0
        var random = SeededEntropy(seed: UInt64(size))
        for _ in 0..<40_000 {
            let sequence: UInt64
            switch random.below(20) {
            case 0: sequence = highest + random.below(UInt64(size) * 3 + 5)
            case 1: sequence = random.below(highest + 10)
            default:
                let back = random.below(UInt64(size) + 3)
                sequence = highest + 2 > back ? highest + 2 - back : 0
            }
            let inside = sequence > highest || highest - sequence < UInt64(size)
            let expected = size == 0 || (sequence > 0 && inside && !seen.contains(sequence))
            try #require(window.isFresh(sequence) == expected, "\(sequence) after \(highest)")
            if expected {
                #expect(window.accept(sequence) == (sequence > highest))
                seen.insert(sequence)
                highest = max(highest, sequence)
            }
            #expect(window.highest == highest)
        }
    }

    @Test func refusesImpossibleSizes() {
        #expect(ReplayWindow(size: -1) == nil)
        #expect(ReplayWindow(size: 32_769) == nil)
    }

    @Test func edges() throws {
        var window = try #require(ReplayWindow(size: 64))
        #expect(!window.isFresh(0))
        #expect(window.isFresh(1))
        window.accept(100)
        #expect(window.isFresh(37))
        #expect(!window.isFresh(36))
        window.accept(37)
        #expect(!window.isFresh(37))
        // A jump by far more than the window leaves nothing of the old numbers behind.
        window.accept(100 + 1 << 31)
        #expect(!window.isFresh(100))
        #expect(window.isFresh((100 + 1 << 31) - 63))
        window.accept(.max)
        #expect(!window.isFresh(.max))
        #expect(window.isFresh(.max - 63))
    }

    @Test func startsInTheMiddle() throws {
        let window = try #require(ReplayWindow(size: 128, highest: 1000))
        #expect(!window.isFresh(1000))
        #expect(!window.isFresh(900))
        for sequence in 1001...1200 as ClosedRange<UInt64> { #expect(window.isFresh(sequence)) }
    }
}
