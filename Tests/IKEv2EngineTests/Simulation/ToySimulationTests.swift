import Clockwork
import GatewayModel
import IKECore
import SimulatedNetwork
import Testing

/// The simulator with engines of a toy protocol: good ones pass, so that a failure of the real engine is its own.
@Suite struct ToySimulationTests {
    static func outcome(
        _ seed: UInt64, _ profile: Scenario.Profile, trace: Trace.Detail = .none
    ) -> ScenarioRun.Outcome {
        ScenarioRun(seed: seed, profile: profile) { configuration, _ in ToyEngine(configuration) }
            .outcome(trace: trace)
    }

    static let profiles: [Scenario.Profile] = [.mixed, .calm, .storm, .nat, .restart, .refusal, .collision, .triangle]

    @Test(arguments: profiles) func aGoodEnginePasses(_ profile: Scenario.Profile) {
        var packets = 0
        for seed in UInt64(0)..<40 {
            let outcome = Self.outcome(seed, profile)
            packets += outcome.packets
            #expect(outcome.violations == [], "seed \(seed), profile \(profile.rawValue)")
        }
        if profile != .refusal { #expect(packets > 40) }
    }

    @Test func oneSeedHasOneTrace() {
        for seed in UInt64(0)..<20 {
            let first = Self.outcome(seed, .mixed, trace: .lines)
            let second = Self.outcome(seed, .mixed, trace: .lines)
            #expect(first.lines == second.lines)
            #expect(first.digest == second.digest)
            #expect(first.lines.count > 20)
            #expect(first.digest != Self.outcome(seed + 1, .mixed, trace: .digest).digest)
        }
    }
}
