import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

@Suite struct RekeyIKETests {
    /// Both ends have one IKE SA, the same, and it works: what one asks, the other answers.
    private func onlySA(_ pair: Pair) throws -> (left: IKESASummary, right: IKESASummary) {
        let left = pair.left.endpoint.summaries()
        let right = pair.right.endpoint.summaries()
        #expect(left.map(\.state) == [.established])
        #expect(right.map(\.state) == [.established])
        let ours = try #require(left.first)
        let theirs = try #require(right.first)
        #expect(ours.initiatorSPI == theirs.initiatorSPI && ours.responderSPI == theirs.responderSPI)
        #expect(ours.isInitiator != theirs.isInitiator)
        #expect(ours.children.map(\.inboundSPI) == theirs.children.map(\.outboundSPI))
        for gateway in [pair.left, pair.right] {
            #expect(gateway.refusals == [])
            #expect(gateway.endpoint.counts.spis == gateway.endpoint.counts.childSAs)
        }
        return (ours, theirs)
    }

    private func rekey(_ gateway: Gateway) { gateway.handle(.command(.rekey(.connection("net")))) }

    /// Nothing but a Child SA that is replaced in both directions shows that both ends have the same SK_d.
    private func childrenCanBeReplaced(_ pair: Pair) throws {
        for gateway in [pair.left, pair.right] {
            let before = try onlySA(pair).left.children
            gateway.handle(.command(.rekey(.child("net", connection: nil))))
            pair.run()
            let after = try onlySA(pair).left.children
            #expect(after.count == 1 && after != before)
            let sent = pair.left.installed.last { $0.direction == .outbound }
            let received = pair.right.installed.last { $0.direction == .inbound }
            #expect(try #require(sent).encryptionKey == #require(received).encryptionKey)
        }
    }

    /// A peer that never replaces an IKE SA says NO_ADDITIONAL_SAS (RFC 7296 §1.3): there is a new one from the start then,
    /// before the old one's time is over, with the same children.
    @Test func aPeerThatDoesNotReplaceGetsANewIKESA() throws {
        var left = Pair.connection()
        left.rekeyTime = .hours(1)
        left.randTime = .zero
        left.overTime = .minutes(6)
        left.children[0].rekeyTime = .zero
        var right = Pair.connection(isLeft: false)
        right.children[0].rekeyTime = .zero
        let pair = Pair(left: left, right: right)
        pair.connect()
        let before = try onlySA(pair)
        // Who is about to stop makes nothing new.
        pair.right.endpoint.tables.isShuttingDown = true
        pair.wire = { datagram, fromLeft in
            if !fromLeft { pair.right.endpoint.tables.isShuttingDown = false }
            return [datagram]
        }
        pair.advance(.hours(1) + .seconds(1))
        let told = pair.left.refusals.compactMap { refusal -> UInt16? in
            if case .byPeer(let notify, _, _, _) = refusal { notify } else { nil }
        }
        #expect(told == [NotifyType.noAdditionalSAs.rawValue])
        let after = try #require(pair.left.endpoint.summaries().first)
        #expect(pair.left.endpoint.counts.ikeSAs == 1 && pair.right.endpoint.counts.ikeSAs == 1)
        #expect(after.initiatorSPI != before.left.initiatorSPI && after.state == .established)
        #expect(after.children.map(\.state) == [.installed])
        #expect(pair.left.closeReasons == [.replaced])
        // The tunnel goes on past the end of the old one's lifetime.
        pair.advance(.minutes(10))
        #expect(pair.left.summary?.state == .established && pair.right.summary?.children.count == 1)
    }

    @Test(
        arguments: [true, false],
        ["aes128gcm16-prfsha256-x25519", "aes256-sha256-prfsha384-ecp256,aes128gcm16-prfsha256-x25519"])
    func anIKESAIsReplacedAndItsChildrenStay(fromLeft: Bool, ike: String) throws {
        let pair = Pair(left: Pair.connection(ike: ike), right: Pair.connection(isLeft: false, ike: ike))
        pair.connect()
        let before = try onlySA(pair)
        let plane = pair.left.plane.count
        rekey(fromLeft ? pair.left : pair.right)
        #expect((fromLeft ? pair.left : pair.right).summary?.state == .rekeying)
        pair.run()
        let after = try onlySA(pair)
        #expect(pair.trace.count == 8)
        #expect(after.left.initiatorSPI != before.left.initiatorSPI)
        #expect(after.left.responderSPI != before.left.responderSPI)
        #expect(after.left.isInitiator == fromLeft)
        #expect(after.left.children == before.left.children)
        // The data plane never hears of it.
        #expect(pair.left.plane.count == plane)
        #expect(pair.left.closeReasons == [.replaced])
        #expect(pair.right.closeReasons == [.replaced])
        try childrenCanBeReplaced(pair)
        rekey(fromLeft ? pair.right : pair.left)
        pair.run()
        try childrenCanBeReplaced(pair)
    }

    @Test func messageIDsBeginAgain() throws {
        let pair = Pair()
        pair.connect()
        rekey(pair.left)
        pair.run()
        let count = pair.trace.count
        pair.right.handle(.command(.rekey(.child("net", connection: nil))))
        pair.run()
        let header = try IKEHeader(peeking: Array(pair.trace[count].datagram.bytes))
        #expect(header.messageID == 0)
        #expect(!header.isFromInitiator)
    }

    @Test func theResponderMayWantAnotherGroup() throws {
        let pair = Pair(
            left: Pair.connection(ike: "aes128gcm16-prfsha256-ecp256-x25519"),
            right: Pair.connection(isLeft: false, ike: "aes128gcm16-prfsha256-x25519-ecp256"))
        pair.connect()
        rekey(pair.left)
        pair.run()
        _ = try onlySA(pair)
        rekey(pair.right)
        pair.run()
        _ = try onlySA(pair)
        try childrenCanBeReplaced(pair)
    }

    @Test func rekeyTimeTriggersIt() throws {
        var left = Pair.connection()
        left.rekeyTime = .minutes(10)
        left.randTime = .minutes(1)
        let pair = Pair(left: left)
        pair.connect()
        let first = try onlySA(pair).left
        let due = try #require(first.rekeyDue)
        #expect(due > pair.now + .minutes(9) && due < pair.now + .minutes(10))
        pair.advance(.minutes(10))
        #expect(try onlySA(pair).left.id != first.id)
    }

    @Test func overTimeEndsAnIKESAThatCannotBeReplaced() {
        var left = Pair.connection()
        left.rekeyTime = .minutes(10)
        left.overTime = .minutes(2)
        let pair = Pair(left: left)
        pair.connect()
        // From now on nothing suits.
        pair.wire = { datagram, fromLeft in
            let isRekeying = (try? IKEHeader(peeking: datagram.bytes))?.exchange == .createChildSA
            return fromLeft && isRekeying ? [] : [datagram]
        }
        pair.advance(.minutes(13))
        #expect(pair.left.isEmpty)
    }

    @Test(arguments: 1...12)
    func bothReplaceTheIKESAAtOnce(seed: Int) throws {
        let pair = Pair(seed: UInt64(seed))
        pair.connect()
        let before = try onlySA(pair)
        rekey(pair.left)
        rekey(pair.right)
        pair.advance(.minutes(3))
        let after = try onlySA(pair)
        #expect(after.left.initiatorSPI != before.left.initiatorSPI)
        #expect(after.left.children.map(\.id) == before.left.children.map(\.id))
        try childrenCanBeReplaced(pair)
    }

    @Test(arguments: 0..<8, 1...4)
    func bothReplaceTheIKESAAtOnceAndAMessageIsLost(lost: Int, seed: Int) throws {
        let pair = Pair(seed: UInt64(seed))
        pair.connect()
        let before = try onlySA(pair)
        var count = 0
        pair.wire = { datagram, _ in
            defer { count += 1 }
            return count == lost ? [] : [datagram]
        }
        rekey(pair.left)
        rekey(pair.right)
        pair.advance(.minutes(5))
        let after = try onlySA(pair)
        #expect(after.left.initiatorSPI != before.left.initiatorSPI)
        #expect(after.left.children.count == 1)
        try childrenCanBeReplaced(pair)
    }

    /// Our own replacement needs an answer that never comes, while the peer's is there and the peer answers on it.
    @Test func thePeersReplacementOutlivesOurUnansweredOne() throws {
        let ike = "aes128gcm16-prfsha256-x25519-ke1_ecp384"
        var left = Pair.connection(ike: ike)
        left.dpdDelay = .seconds(30)
        let pair = Pair(left: left, right: Pair.connection(isLeft: false, ike: ike))
        pair.connect()
        let before = try onlySA(pair)
        // Of the old one's the peer's requests arrive until it closes it, and no answer of the peer's.
        pair.wire = { datagram, fromLeft in
            guard !fromLeft, let header = try? IKEHeader(peeking: datagram.bytes),
                header.initiatorSPI == before.left.initiatorSPI
            else { return [datagram] }
            return header.isResponse || header.exchange == .informational ? [] : [datagram]
        }
        rekey(pair.left)
        rekey(pair.right)
        pair.advance(.minutes(5))
        pair.wire = { datagram, _ in [datagram] }
        pair.advance(.minutes(1))
        let after = try onlySA(pair)
        #expect(after.left.initiatorSPI != before.left.initiatorSPI)
        #expect(after.left.isInitiator == false)
        #expect(after.left.children.map(\.id) == before.left.children.map(\.id))
        try childrenCanBeReplaced(pair)
    }

    /// TEMPORARY_FAILURE puts both off; in the end both are done.
    @Test func theIKESAAndAChildAreReplacedAtOnce() throws {
        let pair = Pair()
        pair.connect()
        let before = try onlySA(pair).left
        rekey(pair.left)
        pair.right.handle(.command(.rekey(.child("net", connection: nil))))
        pair.run()
        #expect(try onlySA(pair).left.children.map(\.id) == before.children.map(\.id))
        pair.advance(.minutes(2))
        let after = try onlySA(pair).left
        #expect(after.id != before.id)
        #expect(after.children.map(\.id) != before.children.map(\.id))
        try childrenCanBeReplaced(pair)
    }

    @Test(arguments: [true, false])
    func anIKESAThatIsClosedWhileItIsReplacedIsGone(here: Bool) {
        let pair = Pair()
        pair.connect()
        rekey(pair.left)
        (here ? pair.left : pair.right).handle(.command(.terminate(.connection("net"))))
        pair.advance(.minutes(2))
        #expect(pair.left.isEmpty)
        #expect(pair.right.isEmpty)
    }

    @Test func aChildThatIsWantedMeanwhileComesUpOnTheNewOne() throws {
        let both = [true, false].map { isLeft -> Connection in
            var connection = Pair.connection(isLeft: isLeft)
            var second = Pair.child("second", isLeft: isLeft)
            let (near, far) = (Pair.prefix("10.3.0.0/16"), Pair.prefix("10.4.0.0/16"))
            second.localSelectors = [SelectorTemplate(isLeft ? near : far)]
            second.remoteSelectors = [SelectorTemplate(isLeft ? far : near)]
            connection.children.append(second)
            return connection
        }
        let pair = Pair(left: both[0], right: both[1])
        pair.initiate("net")
        pair.run()
        rekey(pair.left)
        pair.initiate("second")
        pair.run()
        #expect(try onlySA(pair).right.children.map(\.name) == ["net", "second"])
    }
}
