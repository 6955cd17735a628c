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

    /// Datagrams come twice, and after their own repetitions.
    @Test func theWayMayRepeatAndDelay() {
        let operations = [
            ScheduledOperation(kind: .rekeyChild, host: 0), ScheduledOperation(kind: .deleteChild, host: 1),
        ]
        func runs(_ chances: ScheduleExplorer.Chances) -> Int {
            let explorer = ScheduleExplorer(depth: 4, chances: chances) { configuration, _ in
                IKEv2Endpoint(configuration: configuration)
            }
            let outcome = explorer.explore(operations)
            #expect(outcome.failures.isEmpty)
            return outcome.runs
        }
        let plain = runs(.init(losses: 1, copies: 0, delays: 0))
        #expect(runs(.init(losses: 1, copies: 1, delays: 0)) > plain)
        #expect(runs(.init(losses: 1, copies: 0, delays: 1)) > plain)
    }

    /// A Child SA that was there and was closed is gone, whatever replaced it meanwhile.
    @Test func aClosedChildThatLivesOnIsFound() {
        let operations = [
            ScheduledOperation(kind: .rekeyChild, host: 0), ScheduledOperation(kind: .deleteChild, host: 0),
        ]
        let explorer = ScheduleExplorer(depth: 2) { configuration, host in
            SpoiltEngine(.ignoresTerminate, host: host, configuration) { IKEv2Endpoint(configuration: $0) }
        }
        #expect(explorer.explore(operations).failures.contains { $0.problem.contains("still holds `net`") })
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
