import ArgumentParser
import IKEv2Engine
import SimulatedNetwork

/// Tries every order in which operations on a tunnel can meet.
struct Explore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tries every order in which operations on a tunnel and their messages can meet.",
        discussion: """
            The operations are \(ScheduledOperation.Kind.allCases.map(\.rawValue).joined(separator: ", ")), each by either \
            end, every one with every one. For each combination all choices of what happens next are tried, a datagram that is \
            lost, comes twice or is late among them, up to the depth; then everything happens in turn, and both ends must agree and leave nothing behind.
            """)

    @Option(help: "Choices that are tried in every way.")
    var depth = 6

    @Option(help: "Datagrams that may be lost in one run.")
    var losses = 1

    @Option(help: "Datagrams that may arrive twice in one run.")
    var copies = 1

    @Option(help: "How often in one run everything on its way may be later than a repetition.")
    var delays = 1

    @Option(help: "Operations in one run.")
    var operations = 2

    @Option(help: "Runs at the same time.")
    var jobs = 2

    func validate() throws {
        guard depth > 0, losses >= 0, copies >= 0, delays >= 0, jobs > 0, (1...4).contains(operations) else {
            throw ValidationError("These are counts; 1 to 4 operations.")
        }
    }

    func run() async throws {
        let start = ContinuousClock.now
        let outcomes = await outcomes()
        for outcome in outcomes {
            let names = outcome.operations.map(\.description).joined(separator: " + ")
            print("\(outcome.failures.isEmpty ? "good  " : "FAILED") \(names): \(outcome.runs) orders")
            for failure in outcome.failures { print("    \(failure)") }
        }
        let failed = outcomes.filter { !$0.failures.isEmpty }.count
        let runs = outcomes.map(\.runs).reduce(0, +)
        print(
            "\(runs) orders of \(outcomes.count) combinations in \(start.duration(to: .now)), depth \(depth): \(failed) failed"
        )
        if failed > 0 { throw ExitCode.failure }
    }

    private func outcomes() async -> [ScheduleExplorer.Outcome] {
        let combinations = ScheduleExplorer.combinations(of: operations)
        return await withTaskGroup(of: (Int, ScheduleExplorer.Outcome).self) { group in
            var found: [Int: ScheduleExplorer.Outcome] = [:]
            var next = 0
            func startOne() {
                guard next < combinations.count else { return }
                let index = next
                next += 1
                let chances = ScheduleExplorer.Chances(losses: losses, copies: copies, delays: delays)
                group.addTask { [depth] in
                    let explorer = ScheduleExplorer(depth: depth, chances: chances) { configuration, _ in
                        IKEv2Endpoint(configuration: configuration)
                    }
                    return (index, explorer.explore(combinations[index]))
                }
            }
            for _ in 0..<jobs { startOne() }
            for await (index, outcome) in group {
                found[index] = outcome
                startOne()
            }
            return combinations.indices.compactMap { found[$0] }
        }
    }
}
