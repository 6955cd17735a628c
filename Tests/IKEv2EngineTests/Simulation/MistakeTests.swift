import GatewayModel
import IKECore
import SimulatedNetwork
import Testing

/// Every mistake that an engine, or what answers it, is made to make must be reported: properties that let a mistake
/// live prove nothing.
@Suite struct MistakeTests {
    /// The properties that a mistake must break, at least one of them.
    static func properties(_ mistake: Mistake) -> Set<String> {
        switch mistake {
        case .doesNotRepeatAnswers, .repeatsOtherAnswers, .ignoresAnswers, .answersHalfTheRequests: ["answers"]
        // Who falls silent on leaving does not answer either.
        case .forgetsToTellThePeer: ["settlement", "answers"]
        case .ignoresTerminate, .neverProbes, .leaksTickets: ["settlement"]
        case .leavesInboundInPlane: ["plane and engine agree", "plane order", "settlement"]
        case .unprotectsBeforeRemoving, .installsInboundLast: ["plane order"]
        case .hasOtherKeys, .hasOtherSelectors, .hidesChildren: ["plane and engine agree"]
        case .hidesOutcomes: ["commands end"]
        case .startsForEveryPacket: ["acquires are bounded"]
        case .sleeps: ["settlement", "commands end", "answers"]
        case .sendsTwice: ["four messages"]
        case .wantsToWakeForEver: ["time goes on"]
        case .usesChanceOfItsOwn: []
        }
    }

    static func firstViolation(
        _ mistake: Mistake, seeds: Range<UInt64> = 0..<200, make: @escaping (Configuration) -> any SimulatedEngine
    ) -> Report.Violation? {
        let profile: Scenario.Profile =
            switch mistake {
            case .sendsTwice: .calm
            case .hidesOutcomes, .startsForEveryPacket: .refusal
            case .neverProbes: .restart
            default: .storm
            }
        for seed in seeds {
            let run = ScenarioRun(seed: seed, profile: profile) { configuration, host in
                SpoiltEngine(mistake, host: host, configuration, make: make)
            }
            let violations = run.outcome().violations
            if let first = violations.first(where: { properties(mistake).contains($0.property) }) { return first }
            if let other = violations.first { Issue.record("seed \(seed): \(other)") }
        }
        return nil
    }

    @Test(arguments: Mistake.allCases.filter { $0 != .usesChanceOfItsOwn })
    func aMistakeOfTheToyIsFound(_ mistake: Mistake) {
        #expect(Self.firstViolation(mistake) { ToyEngine($0) } != nil)
    }

    @Test func aTraceTellsChanceFromOutside() {
        let digests = (0..<2).map { _ in
            ScenarioRun(seed: 1, profile: .storm) { configuration, host in
                SpoiltEngine(.usesChanceOfItsOwn, host: host, configuration) { ToyEngine($0) }
            }.outcome(trace: .digest).digest
        }
        #expect(digests[0] != digests[1])
    }

    @Test func aCredulousProviderIsFound() {
        var found = 0
        for seed in UInt64(0)..<60 {
            let plain = ScenarioRun(seed: seed, profile: .refusal) { configuration, _ in ToyEngine(configuration) }
            guard plain.scenario.pairs[0].defect == "other secret" else { continue }
            let provider = CredulousProvider(inner: SharedKeyProvider(keys: plain.scenario.keys))
            let run = ScenarioRun(seed: seed, profile: .refusal, provider: provider) { configuration, _ in
                ToyEngine(configuration)
            }
            #expect(plain.outcome().isGood)
            if run.outcome().violations.first?.property == "no entry" { found += 1 }
        }
        #expect(found > 5)
    }
}
