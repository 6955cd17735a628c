public import Clockwork
import GatewayModel
public import IKECore

/// Runs one seed from the first message to the last trace of it, and says what was not true.
public struct ScenarioRun {
    /// Makes a host's engine: the real one, or one that was spoilt on purpose.
    public typealias EngineMaker = (Configuration, _ host: Int) -> any SimulatedEngine

    /// What came of a run.
    public struct Outcome: Sendable {
        /// The seed.
        public var seed: UInt64
        /// The kind of run.
        public var profile: Scenario.Profile
        /// What was not true.
        public var violations: [Report.Violation]
        /// The digest of the trace; of nothing when no trace was wanted.
        public var digest: TraceDigest
        /// The trace, when it was wanted.
        public var lines: [String]
        /// Datagrams that left a host.
        public var datagrams: Int
        /// Inputs that engines took.
        public var inputs: Int
        /// Virtual packets that planes accepted.
        public var packets: Int
        /// How often a process was replaced by another one.
        public var handovers: Int
        /// How long it took in virtual time.
        public var duration: Interval

        /// Whether every property held.
        public var isGood: Bool { violations.isEmpty }
    }

    /// What is run.
    public let scenario: Scenario
    private let provider: any Provider
    private let makeEngine: EngineMaker

    /// A run of `seed`. The provider is the shared keys' own unless a test brings another.
    public init(
        seed: UInt64, profile: Scenario.Profile = .mixed, loss: Double = 0.3, provider: (any Provider)? = nil,
        makeEngine: @escaping EngineMaker
    ) {
        var generator = ScenarioGenerator(seed: seed, profile: profile, loss: loss)
        scenario = generator.scenario()
        self.provider = provider ?? SharedKeyProvider(keys: scenario.keys)
        self.makeEngine = makeEngine
    }

    /// Runs it.
    public func outcome(trace: Trace.Detail = .none) -> Outcome {
        let simulation = simulation(trace)
        play(simulation)
        return Outcome(
            seed: scenario.seed, profile: scenario.profile, violations: simulation.report.violations,
            digest: simulation.trace.digest, lines: simulation.trace.lines, datagrams: simulation.datagramsSent,
            inputs: simulation.inputs, packets: simulation.packetsAccepted, handovers: simulation.handovers,
            duration: simulation.now - .zero)
    }

    /// The simulation before anything has happened: for who wants to drive it by hand.
    public func simulation(_ trace: Trace.Detail) -> Simulation {
        var dice = scenario.dice
        let hosts = scenario.gateways.enumerated().map { index, gateway in
            SimulatedHost(
                index: index, name: gateway.name, address: gateway.address, publicAddress: gateway.publicAddress,
                configuration: gateway.configuration, engine: makeEngine(gateway.configuration, index),
                dice: dice.split(), entropy: SeededEntropy(seed: dice.next()), link: scenario.weather)
        }
        for (host, gateway) in zip(hosts, scenario.gateways) { host.translatedAddress = gateway.box?.outside }
        let forbidden = scenario.pairs.filter { $0.outcome == .neverEstablished }.map { $0.connection }
        let childless = scenario.pairs.filter { $0.outcome == .neverAChild }.map { $0.connection }
        var properties: [any Property] = [
            AnswerProperty(
                patience: scenario.answerTimeout.scaled(by: scenario.profile == .extended ? 4 : 2)
                    + scenario.halfOpenTimeout + .seconds(1)),
            PlaneProperty(hosts: hosts),
            CommandProperty(bound: scenario.initiationBound),
            AcquireProperty(),
            SecretProperty(forbidden: Set(forbidden), childless: Set(childless)),
            SettlementProperty(pairs: scenario.pairs),
        ]
        if scenario.profile == .extended || scenario.profile == .handover { properties.append(LeaseProperty()) }
        if scenario.profile == .rekey { properties.append(VolumeProperty()) }
        if scenario.profile == .roaming { properties.append(PathProperty(pairs: scenario.pairs)) }
        if scenario.profile == .calm { properties.append(CalmProperty()) }
        if scenario.profile == .echo { properties.append(EchoProperty(pairs: scenario.pairs)) }
        return Simulation(
            hosts: hosts, boxes: scenario.gateways.compactMap(\.box), provider: provider, timing: scenario.timing,
            properties: properties, dice: dice.split(), trace: trace,
            makeEngine: { [makeEngine] host in makeEngine(host.configuration, host.index) })
    }

    private func play(_ simulation: Simulation) {
        simulation.trace.note(.zero, "*", "seed \(scenario.seed) profile \(scenario.profile.rawValue)")
        for pair in scenario.pairs {
            simulation.trace.note(.zero, "*", "\(pair.connection): defect \(pair.defect), both ways \(pair.bothWays)")
        }
        for step in scenario.steps { simulation.schedule(step.action, at: step.time) }
        guard simulation.run(until: scenario.faultsEnd) else { return }

        // The faults stop; answers that were on their way, half-open SAs and dead peers get their time.
        simulation.perform(.weather(LinkBehaviour(), .prompt))
        // An end counts its failure period from the last message that it heard, or from its beginning: that may be one
        // which was under way when the faults stopped, or a pause later.
        let failurePeriod = scenario.failurePeriod + scenario.longestPause + scenario.latestArrival
        guard simulation.run(until: simulation.now + failurePeriod) else { return }
        settle(simulation)
        simulation.reach(.failurePeriodOver)
        guard simulation.run(until: simulation.now + scenario.initiationBound) else { return }
        settle(simulation)
        simulation.reach(.settled)

        for pair in scenario.pairs {
            let initiate = Command.initiate(connection: pair.connection, child: "net")
            simulation.perform(.command(host: pair.left, initiate))
        }
        guard simulation.run(until: simulation.now + .seconds(15)) else { return }
        simulation.perform(.traffic)
        guard simulation.run(until: simulation.now + .seconds(2)) else { return }
        settle(simulation, wantsTunnels: true)
        simulation.reach(.triedAgain)
        guard simulation.report.violations.isEmpty else { return }

        terminate(simulation)
        guard simulation.run(until: simulation.now + .seconds(8)) else { return }
        simulation.reach(.terminated)
        guard simulation.run(until: simulation.now + scenario.initiationBound) else { return }
        simulation.reach(.over)
    }

    /// Ends everything, each connection from one end or from both at once.
    private func terminate(_ simulation: Simulation) {
        for pair in scenario.pairs {
            let terminate = Command.terminate(.connection(pair.connection))
            let whose = scenario.seed % 3
            if whose != 1 { simulation.perform(.command(host: pair.left, terminate)) }
            if whose != 0 { simulation.perform(.command(host: pair.right, terminate)) }
        }
    }

    /// Waits a little longer while an exchange is under way at both ends: a rekeying is no disagreement, and between the
    /// two halves of a reauthentication that breaks before it makes there is no tunnel.
    private func settle(_ simulation: Simulation, wantsTunnels: Bool = false) {
        guard scenario.profile.isRestless else { return }
        for _ in 0..<10 {
            let isUnderWay = scenario.pairs.contains { pair in
                SettlementProperty.disagreement(pair, simulation) != nil
                    || wantsTunnels && SettlementProperty.lacksTunnel(pair, simulation)
            }
            guard isUnderWay, simulation.run(until: simulation.now + .milliseconds(700)) else { return }
        }
    }
}
