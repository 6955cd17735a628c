import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

@Suite struct LifecycleTests {
    private func unprotects(_ gateway: Gateway) -> [Bool] {
        gateway.plane.compactMap { if case .unprotect(_, let blocked) = $0 { blocked } else { nil } }
    }

    @Test func statesAndOrderOfThePlane() {
        let pair = Pair()
        pair.connect()
        let states = pair.left.kinds.compactMap { kind -> IKESAState? in
            if case .ikeStateChanged(_, let to) = kind { to } else { nil }
        }
        #expect(states == [.connecting, .established])
        // The responder: all of it before the answer, which may bring packets at once that are to be answered.
        let order = pair.right.effects.compactMap { effect -> String? in
            switch effect {
            case .plane(.install(let association)): association.direction.rawValue
            case .plane(.protect): "protect"
            case .send: "send"
            default: nil
            }
        }
        #expect(order == ["send", "inbound", "outbound", "protect", "send"])
    }

    @Test(arguments: [true, false])
    func closingTheIKESAClosesBothEnds(fromLeft: Bool) throws {
        let pair = Pair()
        pair.connect()
        let closer = fromLeft ? pair.left : pair.right
        let other = fromLeft ? pair.right : pair.left
        closer.handle(.command(.terminate(.ikeSA(try #require(closer.summary).id))))
        #expect(closer.summary?.state == .deleting)
        pair.run()
        #expect(pair.trace.count == 6)
        #expect(closer.closeReasons == [.asked])
        #expect(other.closeReasons == [.byPeer])
        #expect(unprotects(closer) == [false])
        #expect(unprotects(other) == [false])
        #expect(pair.left.isEmpty)
        #expect(pair.right.isEmpty)
        #expect(closer.endpoint.nextDeadline == nil)
    }

    @Test func bothCloseTheIKESAAtOnce() {
        let pair = Pair()
        pair.connect()
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.right.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(pair.left.closeReasons == [.asked])
        #expect(pair.right.closeReasons == [.asked])
        #expect(pair.left.isEmpty)
        #expect(pair.right.isEmpty)
    }

    @Test func theConfirmationOfADeletionMayBeLost() {
        let pair = Pair()
        pair.connect()
        var lost = 0
        pair.wire = { datagram, fromLeft in
            guard !fromLeft, lost == 0 else { return [datagram] }
            lost += 1
            return []
        }
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(pair.right.isEmpty)
        #expect(pair.left.endpoint.counts.ikeSAs == 1)
        // The right side has nothing left but its last words.
        pair.advance(.seconds(5))
        #expect(pair.left.isEmpty)
        #expect(pair.trace.count == 8)
    }

    @Test func aDeadPeerIsNotWaitedForLong() {
        let pair = Pair()
        pair.connect()
        pair.wire = { _, _ in [] }
        pair.left.handle(.command(.shutdown))
        pair.advance(.seconds(30))
        #expect(pair.left.isEmpty)
        #expect(pair.left.closeReasons == [.shutdown])
        pair.initiate()
        #expect(pair.left.isEmpty)
    }

    @Test func shutdownDoesNotWaitForARequestThatNobodyAnswers() {
        var left = Pair.connection()
        left.dpdDelay = .seconds(10)
        let pair = Pair(left: left)
        pair.connect()
        pair.wire = { _, _ in [] }
        pair.advance(.seconds(60))
        #expect(pair.left.summary?.activeTasks == ["INFORMATIONAL"])
        pair.left.handle(.command(.shutdown))
        pair.advance(.seconds(5))
        #expect(pair.left.isEmpty)
        #expect(pair.left.closeReasons == [.shutdown])
    }

    @Test func aChildIsClosedOnBothEndsAndTheIKESAStays() throws {
        let pair = Pair()
        pair.connect()
        let child = try #require(pair.left.summary?.children.first)
        pair.left.handle(.command(.terminate(.childSA(child.id))))
        #expect(pair.left.summary?.children.first?.state == .deleting)
        pair.run()
        #expect(pair.left.liveSPIs == [])
        #expect(pair.right.liveSPIs == [])
        #expect(pair.left.endpoint.counts.spis == 0)
        #expect(pair.right.endpoint.counts.spis == 0)
        #expect(pair.left.summary?.state == .established)
        #expect(pair.right.summary?.state == .established)
        // The answer names the other direction.
        #expect(pair.left.kinds.contains { if case .childClosed(_, .asked) = $0 { true } else { false } })
        #expect(pair.right.kinds.contains { if case .childClosed(_, .byPeer) = $0 { true } else { false } })
    }

    @Test func bothCloseTheChildAtOnce() {
        let pair = Pair()
        pair.connect()
        pair.left.handle(.command(.terminate(.child("net", connection: "net"))))
        pair.right.handle(.command(.terminate(.child("net", connection: nil))))
        pair.run()
        for gateway in [pair.left, pair.right] {
            #expect(gateway.liveSPIs == [])
            #expect(gateway.endpoint.counts.spis == 0)
            #expect(gateway.summary?.state == .established)
            #expect(gateway.kinds.filter { if case .childClosed = $0 { true } else { false } }.count == 1)
            #expect(gateway.summary?.queuedTasks == [])
            #expect(gateway.summary?.activeTasks == [])
        }
    }

    @Test func silenceIsAskedAboutAndAnswered() {
        var left = Pair.connection()
        left.dpdDelay = .seconds(30)
        let pair = Pair(left: left)
        pair.connect()
        pair.advance(.seconds(100))
        #expect(pair.left.kinds.filter { $0 == .peerAlive }.count == 3)
        #expect(pair.left.summary?.state == .established)
        #expect(pair.trace.count == 4 + 6)
        #expect(pair.trace[4].datagram.bytes.count < 100)
    }

    @Test func theDeadAreBuriedAndReplacedWhereConfigured() {
        var left = Pair.connection()
        left.dpdDelay = .seconds(30)
        left.children[0].dpdAction = .start
        let pair = Pair(left: left)
        pair.connect()
        var isCut = true
        pair.wire = { datagram, _ in isCut ? [] : [datagram] }
        pair.advance(.seconds(200))
        #expect(pair.left.closeReasons.first == .peerDead)
        #expect(unprotects(pair.left) == [true])
        #expect(pair.left.endpoint.counts.ikeSAs == 1)
        isCut = false
        pair.advance(.seconds(60))
        #expect(pair.left.summary?.state == .established)
        #expect(pair.left.endpoint.counts.childSAs == 1)
        // The right side was told that there is no other IKE SA and keeps the new one only.
        #expect(pair.right.endpoint.counts.ikeSAs == 1)
        #expect(pair.right.endpoint.counts.childSAs == 1)
        #expect(pair.right.closeReasons == [.replaced])
    }

    @Test func aPeerThatClosesIsCalledAgainWhereConfigured() {
        var left = Pair.connection()
        left.children[0].closeAction = .start
        let pair = Pair(left: left)
        pair.connect()
        pair.right.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(pair.left.closeReasons == [.byPeer])
        #expect(unprotects(pair.left) == [true])
        #expect(pair.left.summary?.state == .established)
        #expect(pair.left.endpoint.counts.childSAs == 1)
        pair.right.handle(.command(.terminate(.child("net", connection: nil))))
        pair.run()
        // Not right behind the answer.
        pair.advance(.milliseconds(199))
        #expect(pair.left.endpoint.counts.childSAs == 0)
        pair.advance(.milliseconds(1))
        #expect(pair.left.endpoint.counts.childSAs == 1)
        #expect(pair.right.endpoint.counts.childSAs == 1)
        #expect(pair.left.closeReasons == [.byPeer])
    }

    @Test func aLifetimeEndsAndBeginsAnew() {
        var left = Pair.connection()
        left.children[0].lifeTime = .seconds(100)
        left.children[0].startAction = .start
        let pair = Pair(left: left)
        pair.connect()
        let first = pair.left.summary?.children.first?.id
        pair.advance(.seconds(101))
        #expect(pair.left.kinds.contains { if case .childClosed(_, .expired) = $0 { true } else { false } })
        let second = pair.left.summary?.children.first
        #expect(second != nil)
        #expect(second?.id != first)
        #expect(pair.right.endpoint.counts.childSAs == 1)
    }

    @Test(arguments: 1...10)
    func bothStartAtOnce(seed: UInt64) {
        let pair = Pair(seed: seed)
        // The order in which the messages of both arrive is chance.
        var entropy = SeededEntropy(seed: seed)
        pair.left.handle(.command(.initiate(connection: "net", child: nil)))
        pair.right.handle(.command(.initiate(connection: "net", child: nil)))
        var waiting: [(fromLeft: Bool, datagram: Datagram)] = []
        for _ in 0..<60 {
            waiting += pair.left.takeOutbox().map { (true, $0) } + pair.right.takeOutbox().map { (false, $0) }
            guard !waiting.isEmpty else { break }
            let (fromLeft, datagram) = waiting.remove(at: Int(entropy.below(UInt64(waiting.count))))
            (fromLeft ? pair.right : pair.left).handle(
                .datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: datagram.socket)))
        }
        pair.advance(.seconds(60))
        // One or two are left, and both ends have the same ones, with the same children.
        let left = pair.left.endpoint.summaries()
        let right = pair.right.endpoint.summaries()
        #expect((1...2).contains(left.count))
        #expect(Set(left.map(\.initiatorSPI)) == Set(right.map(\.initiatorSPI)))
        #expect(left.allSatisfy { $0.state == .established && $0.children.count == 1 })
        #expect(right.allSatisfy { $0.state == .established && $0.children.count == 1 })
        #expect(Set(pair.left.liveSPIs) == Set(pair.right.liveSPIs))
    }

    /// What is wanted while the end of an IKE SA waits for another request is wanted of the next one.
    @Test func wantedWhileTheEndComesNext() {
        let pair = Pair()
        pair.connect()
        pair.advance(.seconds(60))
        pair.wire = { _, _ in [] }
        pair.left.handle(.command(.rekey(.child("net", connection: nil))))
        pair.run()
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.left.handle(.command(.initiate(connection: "net", child: "net")))
        pair.wire = { datagram, _ in [datagram] }
        pair.advance(.seconds(60))
        #expect(pair.left.endpoint.counts.ikeSAs == 1 && pair.right.endpoint.counts.ikeSAs == 1)
        #expect(pair.left.summary?.state == .established)
        #expect(pair.left.summary?.children.map(\.state) == [.installed])
    }

    /// Who is told to end it does not begin it anew when its proof gets too old in the meantime.
    @Test func noNewProofOfWhatIsToEnd() {
        var left = Pair.connection()
        left.reauthTime = .seconds(60)
        left.randTime = .zero
        let pair = Pair(left: left)
        pair.connect()
        pair.advance(.seconds(59))
        pair.wire = { _, _ in [] }
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.advance(.seconds(3))
        #expect(pair.left.endpoint.summaries().map(\.state) == [.deleting])
        pair.advance(.minutes(5))
        #expect(pair.left.isEmpty)
    }

    /// Somebody waits for the end of what never came up: three seconds, wherever it stands, and no more.
    @Test(arguments: [0, 1])
    func givenUpWhileThePeerIsSilent(_ answered: Int) {
        let pair = Pair()
        var answers = 0
        pair.wire = { datagram, fromLeft in
            if !fromLeft { answers += 1 }
            return fromLeft || answers <= answered ? [datagram] : []
        }
        pair.connect()
        pair.advance(.seconds(1))
        #expect(pair.left.summary?.state == .connecting)
        let asked = pair.now
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.advance(.milliseconds(3_100))
        #expect(pair.left.closeReasons.count == 1, "\(pair.left.closeReasons)")
        let closed = pair.left.events.last { if case .ikeClosed = $0.kind { true } else { false } }
        #expect(closed.map { $0.time - asked <= .seconds(3) } ?? false)
        #expect(pair.left.isEmpty)
    }

    @Test func givenUpWhileTheLastProofIsLookedAt() {
        let pair = Pair()
        pair.left.answersAtOnce = false
        pair.initiate()
        for _ in 0..<2 {
            let (ticket, query) = pair.left.questions.removeFirst()
            pair.left.handle(.answer(ticket, pair.left.answer(query)))
            pair.run()
        }
        #expect(pair.right.summary?.state == .established)
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(pair.left.isEmpty)
        #expect(pair.right.isEmpty)
        #expect(pair.right.closeReasons == [.byPeer])
    }

    @Test(arguments: [Connection.Uniqueness.never, .no, .replace, .keep])
    func aSecondIKESABetweenTheSameIdentities(policy: Connection.Uniqueness) {
        var right = Pair.connection(isLeft: false)
        right.uniqueness = policy
        let pair = Pair(right: right)
        pair.connect()
        pair.advance(.seconds(60))
        // Another gateway that claims the same identity, and does not know the first.
        let second = Pair(seed: 77)
        if policy == .replace || policy == .keep { second.left.endpoint.handleWithoutInitialContact() }
        second.left.path = pair.left.path
        second.initiate()
        for _ in 0..<6 {
            for datagram in second.left.takeOutbox() { pair.right.handle(.datagram(datagram.asSeenByTheOther)) }
            for datagram in pair.right.takeOutbox() { second.left.handle(.datagram(datagram.asSeenByTheOther)) }
        }
        switch policy {
        case .never: #expect(pair.right.endpoint.counts.ikeSAs == 2)
        case .no:
            #expect(pair.right.endpoint.counts.ikeSAs == 1)
            #expect(pair.right.closeReasons == [.replaced])
        case .replace:
            #expect(pair.right.endpoint.summaries().map(\.state) == [.deleting, .established])
        case .keep:
            #expect(pair.right.endpoint.counts.ikeSAs == 1)
            #expect(
                pair.right.refusals == [
                    .alreadyConnected(local: .fqdn("right.example"), remote: .fqdn("left.example"))
                ])
        }
    }
}

extension IKEv2Endpoint {
    /// Makes this endpoint believe that the identities are connected already.
    fileprivate func handleWithoutInitialContact() {
        tables.enter(IKESAID(rawValue: 999), local: .fqdn("left.example"), remote: .fqdn("right.example"))
    }
}

@Suite struct CreateChildTests {
    private func twoChildren(esp: String = "aes128gcm16", rightESP: String? = nil) -> Pair {
        var left = Pair.connection()
        var right = Pair.connection(isLeft: false)
        var ours = Pair.child("second", esp: esp)
        var theirs = Pair.child("second", isLeft: false, esp: rightESP ?? esp)
        ours.localSelectors = [SelectorTemplate(Pair.prefix("10.3.0.0/16"))]
        theirs.remoteSelectors = [SelectorTemplate(Pair.prefix("10.3.0.0/16"))]
        left.children.append(ours)
        right.children.append(theirs)
        return Pair(left: left, right: right)
    }

    @Test(arguments: ["aes128gcm16", "aes128gcm16-x25519", "aes256-sha256-modp2048"])
    func furtherChildrenFollowTheFirst(esp: String) {
        let pair = twoChildren(esp: esp)
        pair.connect()
        #expect(pair.trace.count == 6)
        #expect(pair.left.refusals == [])
        #expect(pair.left.summary?.children.map(\.name) == ["net", "second"])
        #expect(pair.right.summary?.children.map(\.name) == ["net", "second"])
        #expect(pair.left.installed.count == 4)
        for association in pair.left.installed {
            let other = pair.right.installed.first {
                $0.spi == association.spi && $0.direction != association.direction
            }
            #expect(other?.encryptionKey == association.encryptionKey)
            #expect(other?.integrityKey == association.integrityKey)
        }
        #expect(Set(pair.left.installed.map { $0.encryptionKey.exposed }).count == 4)
    }

    @Test func thePeerMayStartThemToo() {
        let pair = twoChildren()
        pair.initiate("net")
        pair.run()
        pair.right.handle(.command(.initiate(connection: "net", child: "second")))
        pair.run()
        #expect(pair.right.endpoint.counts.ikeSAs == 1)
        #expect(pair.left.endpoint.counts.childSAs == 2)
        #expect(pair.right.endpoint.counts.childSAs == 2)
        // Once more changes nothing.
        pair.right.handle(.command(.initiate(connection: "net", child: "second")))
        pair.run()
        #expect(pair.right.endpoint.counts.childSAs == 2)
        #expect(pair.trace.count == 6)
    }

    @Test func aChildThatIsClosedBeforeItsAnswerArrivesNeverComesUp() {
        let pair = twoChildren()
        pair.initiate("net")
        pair.run()
        pair.left.handle(.command(.initiate(connection: "net", child: "second")))
        var isCut = true
        pair.wire = { datagram, fromLeft in
            // The answer to CREATE_CHILD_SA is lost; the deletion after it is not.
            let isAnswer = !fromLeft && header(datagram)?.exchange == .createChildSA
            return isAnswer && isCut ? [] : [datagram]
        }
        pair.run()
        #expect(pair.right.endpoint.counts.childSAs == 2)
        pair.right.handle(.command(.terminate(.child("second", connection: nil))))
        pair.run()
        #expect(pair.right.endpoint.counts.childSAs == 1)
        isCut = false
        pair.advance(.seconds(5))
        #expect(pair.left.endpoint.counts.childSAs == 1)
        #expect(pair.left.endpoint.counts.spis == 1)
        #expect(pair.left.refusals.count == 1)
    }

    @Test func anotherGroupIsTriedOnce() {
        let pair = twoChildren(esp: "aes128gcm16-x25519-ecp256", rightESP: "aes128gcm16-ecp256")
        pair.connect()
        #expect(pair.left.endpoint.counts.childSAs == 2)
        #expect(pair.right.endpoint.counts.childSAs == 2)
        #expect(pair.right.refusals == [])
        #expect(pair.right.endpoint.counts.spis == 2)
    }

    @Test func aRefusedChildLeavesTheOthers() {
        let pair = twoChildren(esp: "aes128gcm16", rightESP: "aes256gcm16")
        pair.connect()
        #expect(pair.left.endpoint.counts.childSAs == 1)
        #expect(pair.left.endpoint.counts.spis == 1)
        #expect(pair.right.endpoint.counts.spis == 1)
        #expect(pair.left.refusals.count == 1)
        #expect(pair.right.refusals.count == 1)
    }
}

extension SecretBytes {
    fileprivate var exposed: [UInt8] { exposedBytes() }
}
