import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// What a peer that has proved who it is can make a gateway keep and do (attack 32 of the project's list).
@Suite struct TenantAttackTests {
    private static func connected() throws -> (Pair, RoguePeer) {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        _ = rogue.authenticate { $0.notifies.append(NotifyPayload(.mobikeSupported)) }
        try #require(pair.right.summary?.state == .established)
        return (pair, rogue)
    }

    private static func octets(_ spi: UInt32) -> [UInt8] {
        (0..<4).reversed().map { UInt8(truncatingIfNeeded: spi >> (8 * UInt32($0))) }
    }

    @Test("Attack 32: a flood of rekeyings without deletions is bounded, and every request is answered")
    func attack32Rekeyings() throws {
        let (pair, rogue) = try Self.connected()
        var spi: UInt32 = 0xc0ff_ee00
        var answers = 0
        for index in 0..<600 {
            let request = CreateChildSA.Request.child(
                CreateChildSA.Child(
                    negotiation: RoguePeer.child(spi: 0x1000_0000 + UInt32(index)),
                    nonce: NoncePayload([UInt8](repeating: 7, count: 32)),
                    notifies: [NotifyPayload(.rekeySA, .esp, spi: spi)]))
            let answer = rogue.ask(.createChildSA, UInt32(index + 2), request.payloads)
            answers += answer.count
            let isMade = answer.first?.payloads.contains { if case .securityAssociation = $0 { true } else { false } }
            if isMade ?? false { spi = 0x1000_0000 + UInt32(index) }
        }
        #expect(answers == 600)
        #expect(pair.right.endpoint.counts.childSAs <= ChildTable.capacity)
        #expect(pair.right.endpoint.counts.spis <= ChildTable.capacity + 1)
        _ = rogue.ask(.informational, 602, [.delete(DeletePayload(.ikeSA))])
        #expect(pair.right.isEmpty)
    }

    @Test(
        "Attack 32: a thousand addresses are remembered as sixteen, and moving about is followed by one question each")
    func attack32Addresses() throws {
        let (pair, rogue) = try Self.connected()
        for round: UInt32 in 0..<10 {
            let list = (0..<100).map { index in
                Payload.notify(
                    NotifyPayload(.additionalIP4Address, IPAddress(v4: 0x0a00_0000 + round << 16 + index).bytes))
            }
            #expect(rogue.ask(.informational, round + 2, list).count == 1)
        }
        let session = try #require(pair.right.endpoint.inOrder.first)
        #expect(session.context.mobility.peerAddresses.count == MobilityState.limit)
        for id: UInt32 in 12..<212 { _ = rogue.ask(.informational, id, [.notify(NotifyPayload(.updateSAAddresses))]) }
        #expect(session.context.agenda.intents.count <= 1)
        let moves = pair.right.plane.count { if case .move = $0 { true } else { false } }
        #expect(moves == 0, "it has not shown that it receives there")
    }

    @Test("Attack 32: a flood of liveness requests costs an answer each and leaves nothing")
    func attack32Liveness() throws {
        let (pair, rogue) = try Self.connected()
        let before = pair.right.endpoint.counts
        for id: UInt32 in 2..<2_002 { #expect(rogue.ask(.informational, id, []).count == 1) }
        #expect(pair.right.endpoint.counts == before)
        #expect(pair.right.plane.count { if case .install = $0 { true } else { false } } == 2)
    }
}
