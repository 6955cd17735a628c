import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

@Suite struct RefusalTests {
    private static let leftIdentity = Identity.fqdn("left.example")
    private static let rightIdentity = Identity.fqdn("right.example")

    private func byPeer(_ refusal: Refusal?) -> (name: String, exchange: String, offer: Refusal.Offer)? {
        if case .byPeer(_, let name, let exchange, let offer)? = refusal { (name, exchange, offer) } else { nil }
    }

    @Test func differentKeys() throws {
        let pair = Pair()
        pair.right.secrets = [(nil, nil, Array("another key".utf8))]
        pair.connect()
        #expect(
            pair.right.refusals == [
                .wrongProof(local: Self.rightIdentity, remote: Self.leftIdentity, method: .sharedKey)
            ])
        let told = try #require(byPeer(pair.left.refusals.first))
        #expect(told.name == "AUTHENTICATION_FAILED")
        #expect(told.exchange == "IKE_AUTH")
        #expect(told.offer.localIdentity == Self.leftIdentity)
        #expect(pair.left.isEmpty)
        #expect(pair.right.isEmpty)
        #expect(pair.left.endpoint.lastRefusal(ofConnection: "net")?.refusal == pair.left.refusals.first)
        #expect(pair.right.endpoint.lastRefusal(ofConnection: "net")?.refusal == pair.right.refusals.first)
    }

    @Test func aRefusedAuthenticationIsAnsweredAgainInTheSameWords() {
        let pair = Pair()
        pair.right.secrets = [(nil, nil, Array("another key".utf8))]
        pair.connect()
        let request = pair.trace[2].datagram
        let response = pair.trace[3].datagram
        pair.right.handle(.datagram(Datagram(request.bytes, path: request.path.reversed, socket: request.socket)))
        #expect(pair.right.takeOutbox() == [response])
        for _ in 0..<20 {
            pair.right.handle(.datagram(Datagram(request.bytes, path: request.path.reversed, socket: request.socket)))
        }
        #expect(pair.right.takeOutbox().count == Tombstones.answers - 1)
        #expect(pair.right.isEmpty)
    }

    @Test func strangersGetTheSameAnswerAsFalseProofs() {
        var sizes: [[Int]] = []
        var refusals: [Refusal] = []
        for variant in 0..<3 {
            var left = Pair.connection()
            if variant == 0 { left.local.identity = .fqdn("elsewhere.org") }
            let pair = Pair(left: left)
            if variant == 1 { pair.right.secrets = [(nil, nil, Array("another key".utf8))] }
            if variant == 2 { pair.right.secrets = [] }
            var asked = 0
            pair.connect()
            for effect in pair.right.effects { if case .ask = effect { asked += 1 } }
            #expect(asked == 1)
            sizes.append(pair.trace.filter { !$0.fromLeft }.map { $0.datagram.bytes.count })
            refusals += pair.right.refusals
        }
        #expect(sizes[0] == sizes[1])
        #expect(sizes[1] == sizes[2])
        #expect(
            refusals == [
                .identityMismatch(expected: [.exactly(Self.leftIdentity)], received: .fqdn("elsewhere.org")),
                .wrongProof(local: Self.rightIdentity, remote: Self.leftIdentity, method: .sharedKey),
                .noSecret(local: Self.rightIdentity, remote: Self.leftIdentity),
            ])
    }

    @Test func theResponderIsSomebodyElse() {
        var left = Pair.connection()
        left.remote.identity = .suffix(.fqdn, ".example.net")
        let pair = Pair(left: left)
        pair.connect()
        #expect(
            pair.left.refusals.first
                == .identityMismatch(expected: [.suffix(.fqdn, ".example.net")], received: Self.rightIdentity))
        // The responder believed that the IKE SA was up and is told.
        #expect(byPeer(pair.right.refusals.first)?.name == "AUTHENTICATION_FAILED")
        #expect(pair.left.isEmpty)
        #expect(pair.right.isEmpty)
    }

    @Test func theInitiatorAsksForSomebodyElse() {
        var left = Pair.connection()
        left.remote.identity = .exactly(.fqdn("third.example"))
        let pair = Pair(left: left)
        pair.connect()
        #expect(pair.right.refusals == [.notUs(asked: .fqdn("third.example"), ours: [Self.rightIdentity])])
        let told = byPeer(pair.left.refusals.first)
        #expect(told?.name == "AUTHENTICATION_FAILED")
        #expect((told?.offer.method, told?.offer.expectedMethod) == (.sharedKey, .sharedKey))
    }

    @Test func theResponderHasTheWrongKey() {
        // The responder takes our key for us and another one for itself.
        let pair = Pair()
        pair.right.answersAtOnce = false
        pair.initiate()
        pair.run()
        pair.right.handle(.answer(pair.right.questions.removeFirst().ticket, .verified))
        pair.right.handle(.answer(pair.right.questions.removeFirst().ticket, .proof([1, 2, 3])))
        pair.run()
        #expect(
            pair.left.refusals.first
                == .wrongProof(local: Self.leftIdentity, remote: Self.rightIdentity, method: .sharedKey))
        #expect(pair.left.isEmpty)
        #expect(pair.right.isEmpty)
        #expect(pair.left.installed.isEmpty)
    }

    @Test func weHaveNoSecretOurselves() {
        let pair = Pair()
        pair.left.secrets = []
        pair.connect()
        #expect(pair.left.refusals == [.noSecret(local: Self.leftIdentity, remote: Self.rightIdentity)])
        #expect(pair.left.isEmpty)
    }

    @Test func noCommonIKEProposal() throws {
        let ours = Pair.connection(isLeft: false, ike: "aes256-sha512-modp3072")
        let pair = Pair(right: ours)
        pair.connect()
        let offered = Pair.connection().proposals
        #expect(pair.right.refusals == [.noIKEProposal(ours: ours.proposals, theirs: offered)])
        let told = try #require(byPeer(pair.left.refusals.first))
        #expect(told.name == "NO_PROPOSAL_CHOSEN")
        #expect(told.exchange == "IKE_SA_INIT")
        #expect(told.offer.proposals == offered)
        #expect(pair.trace.count == 2)
        #expect(pair.left.isEmpty)
        #expect(pair.right.isEmpty)
    }

    /// Whose algorithms are fixed, that is part of what is said.
    @Test func fixedAlgorithmsAreToldApart() {
        var ours = Pair.connection(isLeft: false, ike: "aes256-sha512-modp3072")
        ours.hasFixedAlgorithms = true
        let pair = Pair(right: ours)
        pair.connect()
        let offered = Pair.connection().proposals
        #expect(pair.right.refusals == [.noIKEProposal(ours: ours.proposals, theirs: offered, isFixed: true)])
        var children = Pair.connection(isLeft: false, esp: "aes256-sha512")
        children.hasFixedAlgorithms = true
        let second = Pair(right: children)
        second.connect()
        let (esp, theirs) = (Pair.proposals("aes256-sha512", .esp), Pair.proposals("aes128gcm16", .esp))
        #expect(
            second.right.refusals == [.noChildProposal(child: "net", ours: esp, theirs: theirs, isFixed: true)])
    }

    @Test func noConnection() {
        var right = Pair.connection(isLeft: false)
        right.remoteAddresses = [.prefix(Pair.prefix("203.0.113.0/24"))]
        let pair = Pair(right: right)
        pair.connect()
        #expect(pair.right.endpoint.recentRefusals.count == 1)
        guard case .noConnection? = pair.right.refusals.first else {
            Issue.record("\(pair.right.refusals)")
            return
        }
        #expect(byPeer(pair.left.refusals.first)?.name == "NO_PROPOSAL_CHOSEN")
    }

    @Test func noCommonESPProposalLeavesTheIKESA() throws {
        let pair = Pair(right: Pair.connection(isLeft: false, esp: "aes256-sha512"))
        pair.connect()
        let ours = Pair.proposals("aes256-sha512", .esp)
        let theirs = Pair.proposals("aes128gcm16", .esp)
        #expect(pair.right.refusals == [.noChildProposal(child: "net", ours: ours, theirs: theirs)])
        let told = try #require(byPeer(pair.left.refusals.first))
        #expect(told.name == "NO_PROPOSAL_CHOSEN")
        #expect(told.offer.proposals == theirs)
        #expect(pair.left.summary?.state == .established)
        #expect(pair.right.summary?.state == .established)
        #expect(pair.left.endpoint.counts.spis == 0)
        #expect(pair.right.endpoint.counts.spis == 0)
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(pair.left.isEmpty)
        #expect(pair.right.isEmpty)
    }

    @Test func disjointSelectors() throws {
        var right = Pair.connection(isLeft: false)
        right.children[0].localSelectors = [SelectorTemplate(Pair.prefix("10.9.0.0/16"))]
        let pair = Pair(right: right)
        pair.connect()
        func selectors(_ text: String) -> [TrafficSelector] { [TrafficSelector(Pair.prefix(text))] }
        #expect(
            pair.right.refusals == [
                .selectorsDisjoint(
                    oursLocal: selectors("10.9.0.0/16"), oursRemote: selectors("10.1.0.0/16"),
                    theirsLocal: selectors("10.2.0.0/16"), theirsRemote: selectors("10.1.0.0/16"))
            ])
        let told = try #require(byPeer(pair.left.refusals.first))
        #expect(told.name == "TS_UNACCEPTABLE")
        #expect(told.offer.localSelectors == selectors("10.1.0.0/16"))
        #expect(told.offer.remoteSelectors == selectors("10.2.0.0/16"))
        #expect(pair.left.summary?.state == .established)
    }

    @Test func selectorsAreNarrowedOnBothEnds() {
        var right = Pair.connection(isLeft: false)
        right.children[0].localSelectors = [
            SelectorTemplate(Pair.prefix("10.2.5.0/24")), SelectorTemplate(Pair.prefix("10.2.6.0/24")),
            SelectorTemplate(Pair.prefix("10.3.0.0/16")),
        ]
        let pair = Pair(right: right)
        pair.connect()
        let expected = [
            TrafficSelector(Pair.prefix("10.2.5.0/24")), TrafficSelector(Pair.prefix("10.2.6.0/24")),
        ]
        #expect(pair.left.summary?.children.first?.remoteSelectors == expected)
        #expect(pair.right.summary?.children.first?.localSelectors == expected)
    }

    @Test func noPath() {
        let pair = Pair()
        pair.left.path = nil
        pair.connect()
        #expect(pair.left.refusals == [.noPath(remote: "198.51.100.1", reason: "no route to host")])
        #expect(pair.left.isEmpty)
    }

    @Test func unknownNames() {
        let pair = Pair()
        pair.left.handle(.command(.initiate(connection: "nobody", child: nil)))
        pair.left.handle(.command(.initiate(connection: "net", child: "nothing")))
        #expect(pair.left.refusals.count == 2)
        #expect(pair.left.isEmpty)
    }

    @Test func aLaterMajorVersionIsToldOurs() throws {
        let pair = Pair()
        pair.initiate()
        var request = try #require(pair.left.takeOutbox().first)
        request.bytes[17] = 0x30
        pair.right.handle(.datagram(Datagram(request.bytes, path: request.path.reversed, socket: .plain)))
        let answer = try Message(parsing: try #require(pair.right.takeOutbox().first).bytes)
        #expect(answer.header.version == .v2)
        #expect(answer.payloads == [.notify(NotifyPayload(.invalidMajorVersion))])
        request.bytes[17] = 0x10
        pair.right.handle(.datagram(Datagram(request.bytes, path: request.path.reversed, socket: .plain)))
        #expect(pair.right.takeOutbox() == [])
    }

    @Test func malformedAndCriticalInitiations() throws {
        let pair = Pair()
        pair.initiate()
        let request = try #require(pair.left.takeOutbox().first)
        let original = try Message(parsing: request.bytes)
        let withoutNonce = Message(original.header, original.payloads.filter { $0.type != .nonce })
        pair.right.handle(.datagram(Datagram(try withoutNonce.encoded(), path: request.path.reversed, socket: .plain)))
        let first = try Message(parsing: try #require(pair.right.takeOutbox().first).bytes)
        #expect(first.payloads == [.notify(NotifyPayload(.invalidSyntax))])
        var critical = request.bytes
        critical[16] = 99
        critical[29] = 0x80
        pair.right.handle(.datagram(Datagram(critical, path: request.path.reversed, socket: .plain)))
        let second = try Message(parsing: try #require(pair.right.takeOutbox().first).bytes)
        #expect(second.payloads == [.notify(NotifyPayload(.unsupportedCriticalPayload, [99]))])
        #expect(pair.right.isEmpty)
        #expect(pair.right.endpoint.recentRefusals.count == 2)
    }

    @Test func answersToNonsenseAreRare() throws {
        let pair = Pair()
        pair.initiate()
        var request = try #require(pair.left.takeOutbox().first)
        request.bytes[17] = 0x30
        for _ in 0..<500 {
            pair.right.handle(.datagram(Datagram(request.bytes, path: request.path.reversed, socket: .plain)))
        }
        #expect(pair.right.takeOutbox().count == 100)
        #expect(pair.right.drops.filter { $0 == .rateLimited }.count == 400)
    }

    @Test func theMemoryOfStrangersIsBounded() throws {
        var right = Pair.connection(isLeft: false)
        right.remoteAddresses = [.prefix(Pair.prefix("203.0.113.0/24"))]
        let pair = Pair(right: right)
        for seed in 0..<60 {
            let stranger = Pair(seed: UInt64(seed))
            stranger.initiate()
            let request = try #require(stranger.left.takeOutbox().first)
            pair.right.handle(.datagram(Datagram(request.bytes, path: request.path.reversed, socket: .plain)))
        }
        #expect(pair.right.endpoint.recentRefusals.count == 32)
    }
}
