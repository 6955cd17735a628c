import GatewayModel
import IKECore
import Testing

@testable import IKEv2Engine

/// An IKE SA that is given up by command: the peer hears of it, and nobody waits for its answer.
@Suite struct AbandonTests {
    @Test func thePeerIsToldAndNotWaitedFor() throws {
        let pair = Pair()
        pair.connect()
        let id = try #require(pair.left.summary?.id)
        pair.left.handle(.command(.abandon(id)))
        #expect(pair.left.isEmpty)
        #expect(pair.left.closeReasons == [.asked])
        pair.run()
        #expect(pair.right.closeReasons == [.byPeer])
    }

    @Test func whoIsLeavingAlreadyGoesAtOnce() throws {
        let pair = Pair()
        pair.connect()
        let id = try #require(pair.left.summary?.id)
        pair.wire = { _, _ in [] }
        pair.left.handle(.command(.terminate(.ikeSA(id))))
        #expect(pair.left.summary?.state == .deleting)
        pair.left.handle(.command(.abandon(id)))
        #expect(pair.left.isEmpty)
        #expect(pair.left.endpoint.nextDeadline == nil)
    }
}
