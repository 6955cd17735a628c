import Clockwork
import SimulatedNetwork

/// Many seeds, several at a time; the result does not depend on which ended first.
struct Campaign {
    /// A seed whose run broke a property.
    struct Failure: Sendable {
        var seed: UInt64
        var profile: Scenario.Profile
        var violations: [Report.Violation]
    }

    /// What came of the seeds so far.
    struct Tally: Sendable {
        var runs = 0
        var failures: [Failure] = []
        var datagrams = 0
        var packets = 0
        var virtualSeconds = 0.0
        var profiles: [(profile: Scenario.Profile, count: Int)] = []
        var digest = TraceDigest()

        var hours: Int { Int(virtualSeconds / 3600) }

        mutating func add(_ outcome: ScenarioRun.Outcome) {
            runs += 1
            datagrams += outcome.datagrams
            packets += outcome.packets
            virtualSeconds += outcome.duration.seconds
            digest.absorb(outcome.digest.value)
            if let index = profiles.firstIndex(where: { $0.profile == outcome.profile }) {
                profiles[index].count += 1
            } else {
                profiles.append((outcome.profile, 1))
            }
            if !outcome.isGood {
                failures.append(
                    Failure(seed: outcome.seed, profile: outcome.profile, violations: outcome.violations))
            }
        }
    }

    private static let batch = 50

    let first: UInt64
    let count: Int
    let profile: Scenario.Profile
    let loss: Double
    let jobs: Int
    let wantsDigest: Bool

    /// Runs everything. `progress` hears of it about ten times.
    func run(_ progress: (Tally) -> Void) async -> Tally {
        let batches = (count + Self.batch - 1) / Self.batch
        return await withTaskGroup(of: (Int, [ScenarioRun.Outcome]).self) { group in
            var tally = Tally()
            var waiting: [Int: [ScenarioRun.Outcome]] = [:]
            var nextBatch = 0
            var nextTold = 0
            func startOne() {
                guard nextBatch < batches else { return }
                let batch = nextBatch
                nextBatch += 1
                group.addTask { (batch, self.outcomes(batch)) }
            }
            for _ in 0..<jobs { startOne() }
            for await (batch, outcomes) in group {
                waiting[batch] = outcomes
                startOne()
                // Batches are counted in their order, so that the digest is the same with any number of jobs.
                while let outcomes = waiting.removeValue(forKey: nextTold) {
                    for outcome in outcomes { tally.add(outcome) }
                    nextTold += 1
                    if nextTold % max(1, batches / 10) == 0 { progress(tally) }
                }
            }
            return tally
        }
    }

    private func outcomes(_ batch: Int) -> [ScenarioRun.Outcome] {
        let start = batch * Self.batch
        return (start..<min(count, start + Self.batch)).map { index in
            ScenarioRun.ikev2(seed: first &+ UInt64(index), profile: profile, loss: loss)
                .outcome(trace: wantsDigest ? .digest : .none)
        }
    }
}
