public import IKEv2Engine

extension IKEv2Endpoint: SimulatedEngine {
    /// The endpoint's own counts.
    public var census: Census {
        let counts = counts
        return Census(
            ikeSAs: counts.ikeSAs, halfOpen: counts.halfOpen, childSAs: counts.childSAs, deadlines: counts.deadlines,
            openTickets: counts.openTickets, spis: counts.spis)
    }
}

extension ScenarioRun {
    /// A run of the IKEv2 engine.
    public static func ikev2(seed: UInt64, profile: Scenario.Profile = .mixed, loss: Double = 0.3) -> ScenarioRun {
        ScenarioRun(seed: seed, profile: profile, loss: loss) { configuration, _ in
            IKEv2Endpoint(configuration: configuration)
        }
    }
}

extension SessionFuzz {
    /// Two endpoints of the IKEv2 engine.
    public static func ikev2(seed: UInt64) -> SessionFuzz {
        SessionFuzz(seed: seed) { configuration, _ in IKEv2Endpoint(configuration: configuration) }
    }
}
