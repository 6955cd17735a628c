import SimulatedNetwork
import Testing

/// The fuzzer's driver with octets from dice: it must reach deep states, find nothing, and find what is there.
@Suite struct SessionFuzzTests {
    static func octets(_ seed: UInt64) -> [UInt8] {
        var dice = Dice(seed: seed)
        return (0..<300).map { _ in UInt8(dice.below(256)) }
    }

    @Test func randomSchedulesOfTheToyEndWell() {
        for seed in UInt64(0)..<300 {
            let fuzz = SessionFuzz(seed: seed % 16) { configuration, _ in ToyEngine(configuration) }
            let result = fuzz.run(Self.octets(seed))
            #expect(result.problem == nil, "seed \(seed)")
        }
    }

    @Test func aLeakIsFound() {
        let problems = (UInt64(0)..<50).compactMap { seed in
            SessionFuzz(seed: seed % 16) { configuration, host in
                SpoiltEngine(.leavesInboundInPlane, host: host, configuration) { ToyEngine($0) }
            }.run(Self.octets(seed)).problem
        }
        #expect(!problems.isEmpty)
    }
}
