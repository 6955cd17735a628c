import Clockwork
import GatewayModel
import IKECore
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// Packets that ask for a child, and children that leave a trap for them.
@Suite struct AcquireTests {
    private let acquire = Input.plane(.acquire(connection: "net", child: "net"))

    private func initiations(_ pair: Pair) -> Int {
        pair.left.kinds.filter { if case .ikeStateChanged(_, .connecting) = $0 { true } else { false } }.count
    }

    @Test func aPacketBringsTheChildUpOnce() {
        let pair = Pair()
        for _ in 0..<100 { pair.left.handle(acquire) }
        pair.run()
        for _ in 0..<100 { pair.left.handle(acquire) }
        pair.run()
        #expect(initiations(pair) == 1)
        #expect(pair.left.summary?.children.map(\.state) == [.installed])
        #expect(pair.left.endpoint.counts.ikeSAs == 1)
    }

    @Test func aStormAgainstAPeerThatRefusesIsAnsweredEverMoreSeldom() {
        let pair = Pair(right: Pair.connection(isLeft: false, ike: "aes256gcm16-prfsha384-ecp384"))
        var count = 0
        for _ in 0..<120 * 4 {
            pair.left.handle(acquire)
            pair.advance(.milliseconds(250))
            count += 1
        }
        // At 0, 1, 3, 7, 15, 31, 63 seconds.
        #expect(initiations(pair) == 7)
        // A configuration may have mended it.
        pair.left.handle(.configuration(Configuration(connections: [Pair.connection()])))
        pair.left.handle(acquire)
        pair.run()
        #expect(initiations(pair) == 8)
    }

    @Test func successWipesTheSlateClean() {
        let pair = Pair()
        for round in 1...5 {
            pair.left.handle(acquire)
            pair.run()
            #expect(pair.left.summary?.state == .established)
            #expect(initiations(pair) == round)
            pair.left.handle(.command(.terminate(.connection("net"))))
            pair.run()
            #expect(pair.left.endpoint.counts.ikeSAs == 0)
        }
    }

    @Test func whatIsNotConfiguredIsNotStarted() {
        let pair = Pair()
        pair.left.handle(.plane(.acquire(connection: "net", child: "gone")))
        pair.left.handle(.plane(.acquire(connection: "gone", child: "net")))
        #expect(pair.left.effects.isEmpty)
        #expect(pair.left.endpoint.tables.acquires.count == 0)
    }

    @Test func aDeadPeersChildLeavesATrapBeforeItsProtectionEnds() throws {
        var left = Pair.connection()
        left.dpdDelay = .seconds(30)
        left.children[0].dpdAction = .trap
        let pair = Pair(left: left)
        pair.connect()
        pair.wire = { _, _ in [] }
        pair.advance(.seconds(300))
        #expect(pair.left.closeReasons.first == .peerDead)
        let trap = try #require(pair.left.plane.firstIndex { if case .trap = $0 { true } else { false } })
        let end = try #require(pair.left.plane.firstIndex { if case .unprotect(_, true) = $0 { true } else { false } })
        #expect(trap < end)
        guard case .trap(let policy) = pair.left.plane[trap] else { return }
        #expect(policy.connection == "net" && policy.child == "net" && policy.action == .trap)
        #expect(policy.local == [TrafficSelector(Pair.prefix("10.1.0.0/16"))])
        #expect(policy.remote == [TrafficSelector(Pair.prefix("10.2.0.0/16"))])
        // The next packet brings it up again.
        pair.wire = { datagram, _ in [datagram] }
        pair.left.handle(acquire)
        pair.run()
        #expect(pair.left.summary?.children.map(\.state) == [.installed])
    }

    @Test(arguments: [true, false])
    func aChildThatThePeerClosesLeavesATrapWhereConfigured(isConfigured: Bool) {
        var left = Pair.connection()
        left.children[0].closeAction = isConfigured ? .trap : .none
        let pair = Pair(left: left)
        pair.connect()
        pair.right.handle(.command(.terminate(.child("net", connection: nil))))
        pair.run()
        let traps = pair.left.plane.filter { if case .trap = $0 { true } else { false } }
        #expect(traps.count == (isConfigured ? 1 : 0))
        #expect(pair.left.summary?.children.isEmpty == true)
    }

    @Test func whoeverAsksForTheEndGetsIt() {
        var left = Pair.connection()
        left.children[0].closeAction = .trap
        left.children[0].dpdAction = .trap
        let pair = Pair(left: left)
        pair.connect()
        pair.left.handle(.command(.terminate(.child("net", connection: nil))))
        pair.run()
        #expect(!pair.left.plane.contains { if case .trap = $0 { true } else { false } })
    }

    @Test func policiesAreNotNegotiated() {
        var left = Pair.connection()
        var pass = Pair.child("pass")
        pass.shunt = .pass
        left.children.insert(pass, at: 0)
        let pair = Pair(left: left)
        pair.connect()
        #expect(pair.left.summary?.children.map(\.name) == ["net"])
        pair.initiate("pass")
        #expect(pair.left.refusals == [.noPath(remote: "net", reason: "pass is a policy and no tunnel")])
        // Nor are they what a peer can mean.
        var right = Pair.connection(isLeft: false)
        right.children[0].shunt = .drop
        let other = Pair(right: right)
        other.connect()
        #expect(other.left.endpoint.counts.ikeSAs == 0)
        #expect(other.right.endpoint.counts.ikeSAs == 0)
    }
}
