import GatewayModel
import IKECore
import IKEv2Engine
import SimulatedNetwork
import Testing

/// The IKEv2 engine in the simulator: few seeds of each kind, on every test run. `martlet-simulate` runs many.
@Suite struct SimulationTests {
    private static let profiles: [Scenario.Profile] = [
        .mixed, .calm, .echo, .storm, .nat, .restart, .refusal, .collision, .triangle, .rekey, .hybrid,
        .extended, .redirect, .handover, .roaming,
    ]

    @Test func processesAreReplacedAtAnyMoment() {
        var handovers = 0
        for seed in UInt64(2000)..<2040 {
            let outcome = ScenarioRun.ikev2(seed: seed, profile: .handover).outcome()
            handovers += outcome.handovers
            #expect(outcome.isGood, "martlet-simulate --seed \(seed) --trace --profile handover: \(outcome.violations)")
        }
        #expect(handovers > 100)
    }

    @Test(arguments: profiles) func twentyFiveSeeds(_ profile: Scenario.Profile) {
        var packets = 0
        for seed in UInt64(1000)..<1025 {
            let outcome = ScenarioRun.ikev2(seed: seed, profile: profile).outcome()
            packets += outcome.packets
            #expect(
                outcome.isGood,
                "martlet-simulate --seed \(seed) --trace --profile \(profile.rawValue): \(outcome.violations)")
        }
        if profile != .refusal { #expect(packets >= 25) }
    }

    @Test func oneSeedHasOneTrace() {
        for seed in UInt64(0)..<10 {
            let first = ScenarioRun.ikev2(seed: seed).outcome(trace: .lines)
            let second = ScenarioRun.ikev2(seed: seed).outcome(trace: .lines)
            #expect(first.lines == second.lines)
            #expect(first.digest == second.digest)
        }
    }

    @Test(arguments: Mistake.allCases.filter { $0 != .usesChanceOfItsOwn })
    func aMistakeIsFound(_ mistake: Mistake) {
        #expect(MistakeTests.firstViolation(mistake) { IKEv2Endpoint(configuration: $0) } != nil)
    }

    @Test func randomSchedulesEndWell() {
        for seed in UInt64(0)..<100 {
            let result = SessionFuzz.ikev2(seed: seed % 32).run(SessionFuzzTests.octets(seed))
            #expect(result.problem == nil, "seed \(seed)")
        }
    }
}
