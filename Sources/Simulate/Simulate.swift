import ArgumentParser
import SimulatedNetwork

/// Runs simulated gateways through seeded scenarios and reports what was not true. The exit status is 0 only when every
/// property held in every run.
@main
struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet-simulate",
        abstract: "Runs IKE gateways against each other in virtual time, through loss, delay, NAT and restarts.",
        discussion: """
            Each seed draws a scenario: gateways, configurations, faults, commands. The same seed makes the same run, on \
            every machine. A failure names its seed; `martlet-simulate --seed N --trace` shows what happened.
            """,
        subcommands: [Explore.self])

    @Option(help: "How many seeds.")
    var seeds = 10_000

    @Option(help: "The first seed.")
    var first: UInt64 = 0

    @Option(help: "Only this seed.")
    var seed: UInt64?

    @Option(help: "Datagrams that links lose while there are faults, in percent, each way.")
    var loss = 30.0

    @Option(
        help: "The kind of run: \(Scenario.Profile.allCases.map(\.rawValue).joined(separator: ", ")).",
        transform: { name in
            guard let profile = Scenario.Profile(rawValue: name) else { throw ValidationError("No kind is called so.") }
            return profile
        })
    var profile = Scenario.Profile.mixed

    @Option(help: "Runs at the same time.")
    var jobs = 2

    @Flag(help: "Print every line of the trace of one seed.")
    var trace = false

    @Flag(help: "Print one digest over the traces of all seeds.")
    var digest = false

    func validate() throws {
        guard (0...100).contains(loss) else { throw ValidationError("--loss is a percentage.") }
        guard seeds > 0, jobs > 0 else { throw ValidationError("--seeds and --jobs are above zero.") }
    }

    func run() async throws {
        if let seed {
            try runOne(seed)
        } else if trace {
            try runOne(first)
        } else {
            try await runAll()
        }
    }

    private func runOne(_ seed: UInt64) throws {
        let run = ScenarioRun.ikev2(seed: seed, profile: profile, loss: loss / 100)
        let outcome = run.outcome(trace: trace ? .lines : .digest)
        for line in outcome.lines { print(line) }
        for violation in outcome.violations { print("FAILED \(violation)") }
        print(
            "seed \(seed), \(outcome.profile.rawValue): \(outcome.isGood ? "good" : "FAILED"), "
                + "\(outcome.datagrams) datagrams, \(outcome.packets) packets, \(outcome.duration), "
                + "digest \(outcome.digest)")
        if !outcome.isGood { throw ExitCode.failure }
    }

    private func runAll() async throws {
        let clock = ContinuousClock()
        let start = clock.now
        let tally = await Campaign(
            first: first, count: seeds, profile: profile, loss: loss / 100, jobs: jobs, wantsDigest: digest
        ).run { tally in
            print("\(tally.runs) of \(seeds) seeds, \(tally.failures.count) failures")
        }
        let elapsed = start.duration(to: clock.now)
        for failure in tally.failures.prefix(20) { report(failure) }
        if tally.failures.count > 20 { print("… and \(tally.failures.count - 20) more failures") }
        print(
            "\(tally.runs) runs in \(elapsed): \(tally.datagrams) datagrams, \(tally.packets) packets, "
                + "\(tally.hours) hours of virtual time, \(tally.failures.count) failures")
        print("kinds: " + tally.profiles.map { "\($0.profile.rawValue) \($0.count)" }.joined(separator: ", "))
        if digest { print("digest \(tally.digest)") }
        if !tally.failures.isEmpty { throw ExitCode.failure }
    }

    private func report(_ failure: Campaign.Failure) {
        print("seed \(failure.seed) (\(failure.profile.rawValue)) FAILED")
        for violation in failure.violations { print("    \(violation)") }
        let kind = profile == .mixed ? "" : " --profile \(profile.rawValue)"
        let weather = loss == 30 ? "" : " --loss \(loss)"
        print("    replay: martlet-simulate --seed \(failure.seed) --trace\(kind)\(weather)")
    }
}
