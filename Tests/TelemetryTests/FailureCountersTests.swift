import Clockwork
import GatewayModel
import NetworkTypes
import Testing

@testable import Telemetry

/// Failures by connection and cause.
@Suite struct FailureCountersTests {
    private func failure(_ connection: String?, _ refusal: Refusal) -> Event {
        Event(time: .zero, ikeSA: nil, connection: connection, kind: .refused(refusal, child: nil))
    }

    @Test func causesAreCountedApart() {
        var counters = FailureCounters()
        for _ in 0..<3 { counters.count(failure("a", .notMet(demand: "x"))) }
        counters.count(failure("a", .noPath(remote: "b", reason: "c")))
        counters.count(failure(nil, .notMet(demand: "x")))
        counters.count(Event(time: .zero, ikeSA: nil, connection: "a", kind: .peerAlive))
        #expect(
            counters.counts == [
                .init(connection: "", code: "E-DEMAND", count: 1), .init(connection: "a", code: "E-DEMAND", count: 3),
                .init(connection: "a", code: "E-NO-PATH", count: 1),
            ])
    }

    @Test func namesWithoutEndAreCountedTogether() {
        var counters = FailureCounters()
        for number in 0..<10_000 { counters.count(failure("c\(number)", .notMet(demand: "x"))) }
        #expect(counters.counts.count <= FailureCounters.limit + 1)
        #expect(counters.counts.reduce(0) { $0 + $1.count } == 10_000)
    }
}
