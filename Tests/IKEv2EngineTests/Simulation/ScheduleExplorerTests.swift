import GatewayModel
import IKECore
import IKEv2Engine
import SimulatedNetwork
import Testing

/// Orders in which operations and messages meet. The deep run is `martlet-simulate explore`.
@Suite struct ScheduleExplorerTests {
    private func explorer(depth: Int) -> ScheduleExplorer {
        ScheduleExplorer(depth: depth) { configuration, _ in IKEv2Endpoint(configuration: configuration) }
    }

    @Test func everyTwoOperationsAreCombined() {
        #expect(ScheduleExplorer.combinations(of: 2).count == 55)
        #expect(ScheduleExplorer.combinations(of: 3).count == 220)
        #expect(Set(ScheduleExplorer.combinations(of: 2)).count == 55)
    }

    @Test(arguments: ScheduleExplorer.combinations(of: 2))
    func noOrderLeavesTheEndsApart(_ operations: [ScheduledOperation]) {
        let outcome = explorer(depth: 3).explore(operations)
        #expect(outcome.runs > 5)
        #expect(outcome.failures.isEmpty)
    }

    /// A peer that has replaced a Child SA, and replaces the new one before we know of it, is asked to wait: that the
    /// Child SA is unknown would make it forget one that we are about to hold.
    @Test func aReplacementThatWeDoNotKnowYetIsNotDenied() {
        let operations = [
            ScheduledOperation(kind: .rekeyChild, host: 0), ScheduledOperation(kind: .rekeyChild, host: 1),
        ]
        let outcome = explorer(depth: 5).explore(operations)
        #expect(outcome.failures.isEmpty)
    }

    /// A request that was lost must not keep the end of the IKE SA from the peer.
    @Test func theEndReachesThePeerAlthoughTheRequestBeforeItWasLost() {
        let operations = [
            ScheduledOperation(kind: .create, host: 0), ScheduledOperation(kind: .deleteIKE, host: 0),
            ScheduledOperation(kind: .deleteIKE, host: 0),
        ]
        let outcome = explorer(depth: 4).explore(operations)
        #expect(outcome.failures.isEmpty)
    }

    /// The explorer sees what it is there for.
    @Test(arguments: [Mistake.leavesInboundInPlane, .forgetsToTellThePeer, .ignoresTerminate, .hasOtherKeys])
    func mistakesAreFound(_ mistake: Mistake) {
        let explorer = ScheduleExplorer(depth: 2) { configuration, host in
            SpoiltEngine(mistake, host: host, configuration) { IKEv2Endpoint(configuration: $0) }
        }
        let outcomes = ScheduleExplorer.combinations(of: 2).map { explorer.explore($0) }
        #expect(outcomes.contains { !$0.failures.isEmpty })
    }
}
