import Clockwork
import Testing

@testable import ESPEngine

/// The ring against the plainest window that there can be: a set of all numbers that were accepted.
@Suite struct ReplayRingTests {
    @Test(arguments: [1, 63, 64, 65, 127, 128, 2048, 2050]) func agreesWithASet(size: Int) throws {
        var window = try #require(ReplayWindow(size: size))
        var seen: Set<UInt64> = []
        var highest: UInt64 = 0
        var entropy = SeededEntropy(seed: UInt64(size))
        for _ in 0..<20_000 {
            let chance = entropy.uint64()
            // Mostly near the end of the window on either side, now and then a leap, sometimes far.
            let leap = chance & 0xff == 0 ? chance >> 40 : chance >> 8 & 7
            let back = (chance >> 16) % UInt64(2 * size + 3)
            let sequence = chance & 1 << 62 == 0 ? highest + leap : highest > back ? highest - back : 0
            let isFresh =
                sequence > 0 && !seen.contains(sequence)
                && (sequence > highest || highest - sequence < UInt64(size))
            try #require(window.isFresh(sequence) == isFresh)
            guard isFresh else { continue }
            let advances = window.accept(sequence)
            try #require(advances == (sequence > highest))
            seen.insert(sequence)
            highest = max(highest, sequence)
        }
        #expect(window.highest == highest)
    }
}
