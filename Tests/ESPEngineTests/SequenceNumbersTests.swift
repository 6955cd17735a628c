import Testing

@testable import ESPEngine

/// RFC 4303 appendix A2.2, against a search for the nearest number; and the end of the numbers.
struct SequenceNumbersTests {
    @Test(arguments: [1, 64, 2048, 32_768])
    func findsTheHighHalf(window: Int) {
        let size = UInt64(window)
        let tops: [UInt64] = [
            0, 1, size, 1 << 31, 1 << 32 - 1, 1 << 32, 1 << 32 + 5, 3 << 32 - 1, 3 << 32 + size - 1, 7 << 32 + 1 << 31,
        ]
        for top in tops {
            // All within the window, and nearly 2³² ahead, are found from their low half alone.
            for back in [0, 1, size / 2, size - 1] where back < min(top, size) {
                let sequence = top - back
                #expect(
                    SequenceRecovery.sequence(low: UInt32(truncatingIfNeeded: sequence), highest: top, window: window)
                        == sequence)
            }
            for ahead in [1, 2, size, 1 << 31, 1 << 32 - size] {
                let sequence = top + ahead
                #expect(
                    SequenceRecovery.sequence(low: UInt32(truncatingIfNeeded: sequence), highest: top, window: window)
                        == sequence, "\(ahead) after \(top)")
            }
        }
    }

    @Test func refusesWhatLiesBeforeTheFirstAndAfterTheLast() {
        #expect(SequenceRecovery.sequence(low: .max, highest: 10, window: 64) == nil)
        #expect(SequenceRecovery.sequence(low: 5, highest: .max, window: 64) == nil)
        #expect(SequenceRecovery.sequence(low: .max - 1, highest: .max, window: 64) == UInt64.max - 1)
    }

    @Test func withoutAWindowHalfOfTheNumbersAreLate() {
        let top: UInt64 = 5 << 32 + 100
        #expect(SequenceRecovery.sequence(low: 50, highest: top, window: 0) == 5 << 32 + 50)
        #expect(SequenceRecovery.sequence(low: .max, highest: top, window: 0) == 5 << 32 - 1)
        #expect(SequenceRecovery.sequence(low: 1 << 31, highest: top, window: 0) == 5 << 32 + 1 << 31)
    }

    @Test(arguments: [false, true]) func stopsAtTheLast(extended: Bool) {
        let limit: UInt64 = extended ? .max : UInt64(UInt32.max)
        var sequence = OutboundSequence(extended: extended, last: limit - 2)
        #expect(sequence.isRunningOut)
        #expect(sequence.take() == limit - 1)
        #expect(sequence.take() == limit)
        #expect(sequence.take() == nil)
        #expect(sequence.take() == nil)
        var fresh = OutboundSequence(extended: extended)
        #expect(fresh.take() == 1)
        #expect(!fresh.isRunningOut)
    }
}
