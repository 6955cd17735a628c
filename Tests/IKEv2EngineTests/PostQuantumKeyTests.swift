import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// Post-quantum preshared keys (RFC 8784).
@Suite struct PostQuantumKeyTests {
    private func pair(
        leftRequires: Bool = false, rightRequires: Bool = false, names: Bool = true, rightHasKeys: Bool = true,
        ike: String = "aes128gcm16-prfsha256-x25519"
    ) -> Pair {
        var left = Pair.connection(ike: ike)
        var right = Pair.connection(isLeft: false, ike: ike)
        if names { left.ppkIdentity = .fqdn("ppk.example") }
        left.ppkRequired = leftRequires
        left.knowsPPKs = true
        right.ppkRequired = rightRequires
        right.knowsPPKs = rightHasKeys
        let pair = Pair(left: left, right: right)
        pair.left.ppks = [("ppk.example", Array("a key that no quantum computer finds".utf8))]
        if rightHasKeys { pair.right.ppks = pair.left.ppks }
        return pair
    }

    private func isUp(_ pair: Pair) -> Bool {
        let sent = pair.left.installed.last { $0.direction == .outbound }
        let received = pair.right.installed.last { $0.direction == .inbound }
        return pair.left.summary?.state == .established && pair.right.summary?.state == .established
            && sent != nil && sent?.encryptionKey == received?.encryptionKey
    }

    private func isDown(_ pair: Pair) -> Bool { pair.left.isEmpty && pair.right.isEmpty }

    @Test(arguments: [true, false], [true, false])
    func theKeyIsUsedWhereBothHaveIt(leftRequires: Bool, rightRequires: Bool) {
        let pair = pair(leftRequires: leftRequires, rightRequires: rightRequires)
        pair.connect()
        #expect(isUp(pair))
        #expect(pair.left.endpoint.inOrder.first?.context.ppkInUse == Array("ppk.example".utf8))
        // What comes later hangs on the same keys.
        for target in [
            Command.Target.child("net", connection: nil), .connection("net"), .child("net", connection: nil),
        ] {
            pair.right.handle(.command(.rekey(target)))
            pair.run()
            #expect(isUp(pair))
        }
        #expect(pair.left.refusals == [] && pair.right.refusals == [])
    }

    @Test func itGoesTogetherWithAdditionalKeyExchanges() {
        let pair = pair(leftRequires: true, rightRequires: true, ike: "aes128gcm16-prfsha256-x25519-ke1_mlkem768")
        pair.connect()
        #expect(isUp(pair))
    }

    @Test func theKeyChangesTheKeys() throws {
        let with = pair(leftRequires: true)
        with.connect()
        let other = pair(leftRequires: true)
        other.left.ppks = [("ppk.example", Array("another key".utf8))]
        other.right.ppks = other.left.ppks
        other.connect()
        // The seeds are the same, so nothing else is different.
        #expect(isUp(with) && isUp(other))
        #expect(
            try #require(with.left.installed.last).encryptionKey != #require(other.left.installed.last).encryptionKey)
    }

    @Test func bothGoOnWithoutWhereNobodyDemandsIt() {
        // The responder knows such keys, but not this one.
        let unknown = pair()
        unknown.right.ppks = [("other.example", [1, 2, 3])]
        unknown.connect()
        #expect(isUp(unknown))
        #expect(unknown.left.endpoint.inOrder.first?.context.ppkInUse == nil)
        unknown.right.handle(.command(.rekey(.child("net", connection: nil))))
        unknown.run()
        #expect(isUp(unknown))
        // The responder knows none at all, or the initiator names none.
        for each in [pair(rightHasKeys: false), pair(names: false)] {
            each.connect()
            #expect(isUp(each))
        }
    }

    @Test func whoDemandsItGetsItOrNothing() {
        let unknown = pair(leftRequires: true)
        unknown.right.ppks = []
        unknown.connect()
        #expect(isDown(unknown))
        #expect(unknown.right.refusals.contains(.notMet(demand: "the post-quantum preshared key that the peer names")))
        let responder = pair(rightRequires: true, names: false)
        responder.connect()
        #expect(isDown(responder))
        #expect(responder.right.refusals.contains(.notMet(demand: SessionContext.ppkDemand)))
        let initiator = pair(leftRequires: true, rightHasKeys: false)
        initiator.connect()
        // The responder waits for an IKE_AUTH that never comes.
        initiator.advance(.seconds(31))
        #expect(isDown(initiator))
        #expect(initiator.left.refusals == [.notMet(demand: SessionContext.ppkDemand)])
        let fallback = pair(rightRequires: true)
        fallback.right.ppks = []
        fallback.connect()
        #expect(isDown(fallback))
    }

    @Test func anotherKeyOfTheSameNameProvesNothing() {
        let pair = pair()
        pair.right.ppks = [("ppk.example", [9, 9, 9])]
        pair.connect()
        #expect(isDown(pair))
        #expect(pair.right.closeReasons.count == 1)
        // Both are told that there was such a key.
        guard case .wrongProof(_, _, _, nil, true)? = pair.right.refusals.first,
            case .byPeer(_, _, _, let offer)? = pair.left.refusals.first
        else {
            Issue.record("\(pair.right.refusals) and \(pair.left.refusals)")
            return
        }
        #expect(offer.usesPPK)
    }

    /// Somebody in the middle takes the notification out (attack: downgrade).
    @Test func whatIsTakenOutOnTheWayIsNoticed() {
        let pair = pair()
        pair.wire = { datagram, fromLeft in
            guard fromLeft, let message = try? Message(parsing: datagram.bytes) else { return [datagram] }
            var changed = datagram
            let payloads = message.payloads.filter { $0 != .notify(NotifyPayload(.usePPK)) }
            changed.bytes = (try? Message(message.header, payloads).encoded()) ?? []
            return [changed]
        }
        pair.connect()
        #expect(isDown(pair))
    }
}

/// IKE SAs that begin without a child (RFC 6023).
@Suite struct ChildlessTests {
    private func pair(_ left: Connection.Childless, _ right: Connection.Childless) -> Pair {
        var ours = Pair.connection()
        var theirs = Pair.connection(isLeft: false)
        ours.childless = left
        theirs.childless = right
        return Pair(left: ours, right: theirs)
    }

    private func createdLater(_ pair: Pair) -> Bool {
        pair.trace.contains { (try? IKEHeader(peeking: $0.datagram.bytes))?.exchange == .createChildSA }
    }

    @Test(
        arguments: [
            (Connection.Childless.allow, Connection.Childless.allow, false), (.prefer, .allow, true),
            (.prefer, .never, false), (.force, .force, true), (.force, .allow, true), (.never, .never, false),
            (.prefer, .force, true),
        ])
    func theChildComesWithTheIKESAOrLater(left: Connection.Childless, right: Connection.Childless, later: Bool) {
        let pair = pair(left, right)
        pair.connect()
        #expect(pair.left.summary?.children.count == 1 && pair.right.summary?.children.count == 1)
        #expect(createdLater(pair) == later)
        #expect(pair.left.refusals == [] && pair.right.refusals == [])
    }

    /// The IKE SA stays without a child until somebody at either end asks for it, again and again.
    @Test(arguments: [true, false]) func theChildComesByHand(fromLeft: Bool) {
        let pair = pair(.force, .force)
        pair.connect()
        let before = pair.left.summary?.initiatorSPI
        for _ in 0..<2 {
            pair.left.handle(.command(.terminate(.child("net", connection: nil))))
            pair.run()
            #expect(pair.left.endpoint.counts.childSAs == 0 && pair.right.endpoint.counts.childSAs == 0)
            pair.advance(.minutes(5))
            #expect(pair.left.endpoint.counts.childSAs == 0 && pair.left.summary?.state == .established)
            (fromLeft ? pair.left : pair.right).handle(.command(.initiate(connection: "net", child: "net")))
            pair.run()
            #expect(pair.left.summary?.children.count == 1 && pair.right.summary?.children.count == 1)
        }
        #expect(pair.left.summary?.initiatorSPI == before && pair.right.endpoint.counts.ikeSAs == 1)
        #expect(pair.left.refusals == [] && pair.right.refusals == [])
    }

    @Test(arguments: [(Connection.Childless.force, Connection.Childless.never), (.allow, .force), (.never, .force)])
    func endsThatDemandOppositesDoNotMeet(left: Connection.Childless, right: Connection.Childless) {
        let pair = pair(left, right)
        pair.connect()
        pair.advance(.seconds(60))
        #expect(pair.left.isEmpty && pair.right.isEmpty)
        let refusals = pair.left.refusals + pair.right.refusals
        #expect(refusals.contains { if case .notMet = $0 { true } else { false } })
    }
}
