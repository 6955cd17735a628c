import GatewayModel
import Testing
import ViciServer

@testable import Gateway

@Suite struct PendingCommandsTests {
    private static func ticket(_ number: UInt64) -> ViciTicket { ViciTicket(rawValue: number) }
    private let refusal = Refusal.noSecret(local: .fqdn("a"), remote: .fqdn("b"))

    private func waiting(_ children: Set<String> = ["net"], others: Set<IKESAID> = []) -> PendingCommands {
        var pending = PendingCommands()
        pending.wait(Self.ticket(1), connection: "branch", children: children, others: others)
        return pending
    }

    @Test func aChildThatIsInstalledIsSuccess() {
        var pending = waiting()
        #expect(pending.settle(Fixtures.event(.ikeEstablished(Fixtures.summary(1, "branch")))).isEmpty)
        #expect(pending.settle(Fixtures.event(.childInstalled(Fixtures.child("net")), "elsewhere")).isEmpty)
        let settled = pending.settle(Fixtures.event(.childInstalled(Fixtures.child("net"))))
        #expect(settled.map(\.0) == [Self.ticket(1)])
        #expect(settled.map(\.1) == [.success])
        #expect(!pending.isInitiating)
        #expect(pending.settle(Fixtures.event(.childInstalled(Fixtures.child("net")))).isEmpty)
    }

    @Test func allChildrenAreWaitedFor() {
        var pending = waiting(["net", "voice"])
        #expect(pending.settle(Fixtures.event(.childInstalled(Fixtures.child("voice")))).isEmpty)
        #expect(pending.settle(Fixtures.event(.childInstalled(Fixtures.child("net")))).map(\.1) == [.success])
    }

    @Test func withoutChildrenTheIKESAIsEnough() {
        var pending = waiting([])
        #expect(
            pending.settle(Fixtures.event(.ikeEstablished(Fixtures.summary(1, "branch")))).map(\.1) == [.success])
    }

    @Test func aRefusalIsTheFailureWithItsCode() throws {
        var pending = waiting()
        let outcome = try #require(pending.settle(Fixtures.event(.refused(refusal, child: nil))).first?.1)
        #expect(!outcome.succeeded)
        #expect(outcome.message?.hasPrefix("E-NO-SECRET: There is no shared secret") == true)
        #expect(!pending.isInitiating)
    }

    @Test func onlyTheRefusalOfAChildOfOursCounts() {
        var pending = waiting(["net"])
        #expect(pending.settle(Fixtures.event(.refused(refusal, child: "voice"))).isEmpty)
        #expect(pending.settle(Fixtures.event(.refused(refusal, child: "net"))).map(\.1.succeeded) == [false])
    }

    @Test func anEndWithoutARefusalIsAFailureToo() throws {
        var pending = waiting()
        let outcome = try #require(pending.settle(Fixtures.event(.ikeClosed(.byPeer))).first?.1)
        #expect(outcome.message == "the IKE SA was closed: deleted by the peer")
    }

    /// An old IKE SA that is leaving, or a peer that tries at the same time, is not what one waits for.
    @Test func otherIKESAsDoNotMatter() {
        var pending = waiting(others: [IKESAID(rawValue: 7)])
        pending.disregard(IKESAID(rawValue: 8), of: "branch")
        for other in [UInt32(7), 8] {
            #expect(pending.listeners(Fixtures.event(.refused(refusal, child: nil), "branch", other)).isEmpty)
            #expect(pending.settle(Fixtures.event(.refused(refusal, child: nil), "branch", other)).isEmpty)
            #expect(pending.settle(Fixtures.event(.ikeClosed(.asked), "branch", other)).isEmpty)
        }
        // But whoever brings the child up has brought it up.
        #expect(
            pending.settle(Fixtures.event(.childInstalled(Fixtures.child("net")), "branch", 8)).map(\.1) == [.success])
    }

    @Test func severalWaitForTheSame() {
        var pending = waiting()
        pending.wait(Self.ticket(2), connection: "branch", children: ["net"])
        pending.wait(Self.ticket(3), connection: "branch", children: ["net", "voice"])
        pending.wait(Self.ticket(4), connection: "elsewhere", children: ["net"])
        let event = Fixtures.event(.childInstalled(Fixtures.child("net")))
        #expect(pending.listeners(event) == [Self.ticket(1), Self.ticket(2), Self.ticket(3)])
        #expect(pending.settle(event).map(\.0) == [Self.ticket(1), Self.ticket(2)])
        #expect(pending.settle(Fixtures.event(.ikeClosed(.peerDead))).map(\.0) == [Self.ticket(3)])
        #expect(pending.isInitiating)
    }

    @Test func aTerminationWaitsForAllThatWasMeant() {
        var pending = PendingCommands()
        pending.wait(Self.ticket(1), ikeSAs: [IKESAID(rawValue: 1), IKESAID(rawValue: 2)], children: [])
        pending.wait(Self.ticket(2), ikeSAs: [], children: [ChildSAID(rawValue: 5)])
        #expect(pending.listeners(Fixtures.event(.peerAlive, "branch", 2)) == [Self.ticket(1)])
        #expect(pending.settle(Fixtures.event(.ikeClosed(.asked), "branch", 1)).isEmpty)
        #expect(
            pending.settle(Fixtures.event(.childClosed(Fixtures.child("net", 5), .asked))).map(\.1)
                == [.terminated(1, of: 1)])
        let settled = pending.settle(Fixtures.event(.ikeClosed(.asked), "branch", 2))
        #expect(settled.map(\.1) == [.terminated(2, of: 2)])
    }
}
