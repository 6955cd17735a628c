import Clockwork
import EAPEngine
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// Who answers a gateway's questions about EAP in a test.
final class Voice: EAPSecrets {
    var passwords: [String: String]
    var servers: [EAPQuestion.Conversation: EAPServer] = [:]
    var peers: [EAPQuestion.Conversation: EAPPeer] = [:]
    var questions: [EAPQuestion] = []
    var entropy: SeededEntropy

    init(_ passwords: [String: String], seed: UInt64) {
        self.passwords = passwords
        entropy = SeededEntropy(seed: seed)
    }

    func password(of name: [UInt8]) -> EAPPassword? {
        passwords[String(decoding: name, as: UTF8.self)].map { .text(SecretBytes(Array($0.utf8))) }
    }

    func answer(_ question: EAPQuestion) -> EAPStep {
        questions.append(question)
        var surroundings = EAPSurroundings(entropy: entropy, secrets: self)
        defer { entropy = SeededEntropy(seed: UInt64(questions.count)) }
        let key = question.conversation
        if question.isAuthenticator {
            let terms = EAPServer.Terms(
                rules: question.required.eap, asked: question.required.eapIdentity,
                name: question.otherIdentity.eapName, ownName: [1])
            return servers[key, default: EAPServer(terms)].step(question.message, &surroundings)
        }
        let name = (question.own.eapIdentity ?? question.ownIdentity).eapName
        return peers[key, default: EAPPeer(question.own.eap, name: name)].step(question.message ?? [], &surroundings)
    }
}

/// EAP in IKE_AUTH (RFC 7296 §2.16), both ends ours, and against liars.
@Suite struct EAPTests {
    private static func pair(
        _ method: EAPMethod = .mschapv2, password: String = "carol's", asked: IdentityPattern? = .any,
        change: (inout Connection, inout Connection) -> Void = { _, _ in }
    ) -> Pair {
        var left = Pair.connection()
        var right = Pair.connection(isLeft: false)
        left.local.method = .eap
        left.local.eap = EAPRules(methods: [method])
        left.local.eapIdentity = .fqdn("carol")
        right.remote.method = .eap
        right.remote.eap = EAPRules(methods: [method])
        right.remote.eapIdentity = asked
        right.remote.identity = .any
        change(&left, &right)
        let pair = Pair(left: left, right: right)
        let (mine, theirs) = (Voice(["carol": password], seed: 1), Voice(["carol": "carol's"], seed: 2))
        pair.left.converse = mine.answer
        pair.right.converse = theirs.answer
        return pair
    }

    private func forgotten(_ gateway: Gateway) -> Int {
        gateway.effects.count { if case .forget = $0 { true } else { false } }
    }

    @Test(arguments: [EAPMethod.mschapv2, .md5, .gtc])
    func comesUp(_ method: EAPMethod) {
        let pair = Self.pair(method)
        pair.connect()
        #expect(pair.left.summary?.state == .established && pair.right.summary?.state == .established)
        #expect(pair.left.endpoint.counts.childSAs == 1 && pair.right.endpoint.counts.childSAs == 1)
        #expect(pair.right.summary?.remoteEAPIdentity == .fqdn("carol"))
        #expect(pair.left.summary?.remoteEAPIdentity == nil)
        #expect(pair.left.refusals.isEmpty && pair.right.refusals.isEmpty)
        // Whoever kept the conversation is told that it is over.
        #expect(forgotten(pair.left) == 1 && forgotten(pair.right) == 1)
        // The SAs are the same on both sides, and go when they should.
        #expect(Set(pair.left.liveSPIs) == Set(pair.right.liveSPIs))
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(pair.left.isEmpty && pair.right.isEmpty)
    }

    @Test func wrongPasswordIsRefused() {
        let pair = Self.pair(password: "another")
        pair.connect()
        #expect(pair.left.isEmpty && pair.right.isEmpty)
        #expect(
            pair.right.refusals == [
                .eapFailed(identity: .fqdn("left.example"), isPeer: true, .wrongPassword("carol"))
            ])
        #expect(
            pair.left.refusals == [
                .eapFailed(identity: .fqdn("left.example"), isPeer: false, .refused(method: 26))
            ])
        #expect(forgotten(pair.left) == 1 && forgotten(pair.right) == 1)
    }

    @Test func survivesLossAndRepetition() {
        // Every datagram is lost the first time, and comes twice the second.
        let pair = Self.pair()
        var seen: Set<[UInt8]> = []
        pair.wire = { datagram, _ in
            seen.insert(datagram.bytes).inserted ? [] : [datagram, datagram]
        }
        pair.initiate()
        pair.advance(.seconds(120))
        #expect(pair.left.summary?.state == .established && pair.right.summary?.state == .established)
        #expect(pair.right.endpoint.counts.childSAs == 1)
    }

    @Test func silentClientIsForgotten() {
        let pair = Self.pair()
        // The client's second IKE_AUTH request and all after it are lost.
        var requests = 0
        pair.wire = { datagram, fromLeft in
            guard fromLeft, datagram.bytes.count > 18, datagram.bytes[18] == 35 else { return [datagram] }
            requests += 1
            return requests > 1 ? [] : [datagram]
        }
        pair.initiate()
        pair.advance(.minutes(4))
        #expect(pair.right.isEmpty && pair.left.isEmpty)
        #expect(forgotten(pair.right) == 1)
    }

    @Test func answersThatNeverComeEndIt() {
        let pair = Self.pair()
        pair.right.answersAtOnce = false
        pair.initiate()
        pair.advance(.minutes(4))
        #expect(pair.right.isEmpty && pair.left.isEmpty)
    }

    @Test func uniquenessGoesByTheNameInEAP() {
        // Two clients that say they are the same address, as behind two NATs.
        let pair = Self.pair { _, right in right.uniqueness = .replace }
        pair.connect()
        pair.left.endpoint.summaries().first.map { _ in
            pair.left.handle(.command(.initiate(connection: "net", child: nil)))
        }
        pair.run()
        #expect(pair.right.endpoint.counts.ikeSAs == 1)
        #expect(pair.right.summary?.remoteEAPIdentity == .fqdn("carol"))
    }

    // MARK: Attack 1: early EAP-Success

    @Test func attack1SuccessAsTheFirstMessage() {
        let pair = Self.pair()
        let outcome = EAPOutcome(
            method: 26, identity: .fqdn("carol"), key: SecretBytes([UInt8](repeating: 0, count: 64)))
        pair.right.converse = { _ in .success([3, 1, 0, 4], outcome) }
        pair.connect()
        #expect(pair.left.isEmpty)
        #expect(!pair.left.kinds.contains { if case .ikeEstablished = $0 { true } else { false } })
        #expect(
            pair.left.refusals == [
                .eapFailed(
                    identity: .fqdn("left.example"), isPeer: false, .malformed("EAP-Success before any method"))
            ])
    }

    @Test func attack1ResponderSkipsEAP() {
        // The responder answers the first request, which asks for EAP, with its proof and the Child SA.
        let pair = Self.pair { _, right in
            right.remote.method = .sharedKey
            right.remote.identity = .any
        }
        pair.connect()
        #expect(pair.left.isEmpty && pair.right.isEmpty)
        #expect(!pair.left.kinds.contains { if case .ikeEstablished = $0 { true } else { false } })
    }

    // MARK: Attack 3: AUTH is skipped

    @Test func attack3EAPWithoutAFinalProof() throws {
        let pair = Self.pair(asked: nil) { _, right in right.remote.eap = EAPRules(methods: [.gtc]) }
        pair.right.converse = { question in
            question.message == nil
                ? .send([1, 1, 0, 5, 6])
                : .success([3, 1, 0, 4], EAPOutcome(method: 6, identity: .fqdn("carol"), key: nil))
        }
        for payloads: [Payload] in [
            [], [.notify(NotifyPayload(.initialContact))], [.eap(EAPPayload([2, 2, 0, 4]))],
            [.authentication(AuthenticationPayload(.sharedKey, []))],
            [.authentication(AuthenticationPayload(.sharedKey, [UInt8](repeating: 0, count: 32)))],
            [.authentication(AuthenticationPayload(.init(rawValue: 13), []))],
        ] {
            let rogue = try #require(RoguePeer(pair))
            let first = try #require(rogue.authenticate { $0.authentication = nil }.first)
            #expect(first.payloads.map(\.type).contains(.eap))
            let second = rogue.ask(.ikeAuth, 2, [.eap(EAPPayload([2, 1, 0, 6, 6, 65]))])
            #expect(second.first?.payloads == [.eap(EAPPayload([3, 1, 0, 4]))])
            let last = rogue.ask(.ikeAuth, 3, payloads)
            #expect(last.count == 1)
            #expect(last.first?.payloads.contains { $0.type == .authentication } == false)
            #expect(pair.right.isEmpty)
            #expect(!pair.right.kinds.contains { if case .ikeEstablished = $0 { true } else { false } })
        }
    }

    @Test func attack3ProofInTheMiddle() throws {
        let pair = Self.pair()
        let rogue = try #require(RoguePeer(pair))
        _ = rogue.authenticate { $0.authentication = nil }
        let answer = rogue.ask(
            .ikeAuth, 2, [.authentication(AuthenticationPayload(.sharedKey, [UInt8](repeating: 1, count: 32)))])
        #expect(answer.first?.payloads == [.notify(NotifyPayload(.invalidSyntax))])
        #expect(pair.right.isEmpty)
    }

    @Test func attack3SharedKeyInPlaceOfEAP() throws {
        // The gateway has a shared key of its own to prove itself with: it does not let a client in.
        let pair = Self.pair()
        let rogue = try #require(RoguePeer(pair))
        let answer = rogue.authenticate()
        #expect(answer.first?.payloads == [.notify(NotifyPayload(.authenticationFailed))])
        #expect(pair.right.isEmpty)
    }

    // MARK: Attack 2: other exchanges before IKE_AUTH ends

    @Test func attack2OtherExchangesBetweenTheRounds() throws {
        let pair = Self.pair()
        let rogue = try #require(RoguePeer(pair))
        _ = rogue.authenticate { $0.authentication = nil }
        #expect(rogue.ask(.createChildSA, 2, []).isEmpty)
        #expect(pair.right.summary?.state == .connecting)
        // The initiator may say that it has had enough.
        #expect(rogue.ask(.informational, 2, [.notify(NotifyPayload(.authenticationFailed))]).first?.payloads == [])
        #expect(pair.right.isEmpty)
    }

    // MARK: Attack 5: credentials to the wrong server

    @Test func attack5NothingIsSaidToAServerThatDoesNotProveItself() {
        let pair = Self.pair()
        pair.right.secrets = [(nil, nil, Array("another key".utf8))]
        let voice = Voice(["carol": "carol's"], seed: 3)
        pair.left.converse = voice.answer
        pair.connect()
        #expect(pair.left.isEmpty)
        // Not even the name was asked for.
        #expect(voice.questions.isEmpty)
        guard case .wrongProof? = pair.left.refusals.first else {
            Issue.record("\(pair.left.refusals)")
            return
        }
    }

    @Test func attack5NothingIsSaidToAServerWithoutAProof() {
        // A responder that would let EAP prove both; the initiator did not ask for that.
        let pair = Self.pair { _, right in right.local.method = .eap }
        let voice = Voice(["carol": "carol's"], seed: 3)
        pair.left.converse = voice.answer
        pair.connect()
        #expect(pair.left.isEmpty && pair.right.isEmpty)
        #expect(voice.questions.isEmpty)
    }

    // MARK: EAP alone (RFC 5998)

    @Test func methodThatProvesOnlyOneEndDoesNotStandAlone() {
        let pair = Self.pair { left, right in
            left.remote.method = .eap
            right.local.method = .eap
        }
        pair.connect()
        #expect(pair.left.isEmpty && pair.right.isEmpty)
        #expect(
            pair.right.refusals.contains(
                .notMet(demand: "an EAP method that proves both ends and makes a key (RFC 5998)")))
    }

    @Test func methodThatProvesBothStandsAlone() {
        let pair = Self.pair { left, right in
            left.remote.method = .eap
            right.local.method = .eap
        }
        let key = SecretBytes([UInt8](repeating: 7, count: 64))
        let outcome = EAPOutcome(method: 13, identity: .fqdn("carol"), key: key, provesServer: true)
        pair.right.converse = { $0.message == nil ? .send([1, 1, 0, 6, 13, 32]) : .success([3, 1, 0, 4], outcome) }
        pair.left.converse = { $0.message?.first == 3 ? .success([], outcome) : .send([2, 1, 0, 6, 13, 0]) }
        pair.connect()
        #expect(pair.left.summary?.state == .established && pair.right.summary?.state == .established)
        // Nothing but EAP: neither key was asked for.
        #expect(!pair.right.effects.contains { if case .ask(_, .prove) = $0 { true } else { false } })
    }

    @Test func differentKeysAreFoundOut() {
        let pair = Self.pair()
        let (ours, theirs) = (
            EAPOutcome(method: 26, identity: nil, key: SecretBytes([1])), [UInt8](repeating: 2, count: 64)
        )
        pair.right.converse = {
            $0.message == nil
                ? .send([1, 1, 0, 6, 26, 1])
                : .success([3, 1, 0, 4], EAPOutcome(method: 26, identity: nil, key: SecretBytes(theirs)))
        }
        pair.left.converse = { $0.message?.first == 3 ? .success([], ours) : .send([2, 1, 0, 6, 26, 0]) }
        pair.connect()
        #expect(pair.left.isEmpty && pair.right.isEmpty)
        #expect(
            pair.right.refusals == [
                .eapFailed(
                    identity: .fqdn("left.example"), isPeer: true,
                    .malformed("its AUTH is not made with the key that EAP left"))
            ])
    }

    @Test func endlessRoundsEnd() {
        let pair = Self.pair()
        pair.right.converse = { _ in .send([1, 1, 0, 5, 2]) }
        pair.left.converse = { _ in .send([2, 1, 0, 5, 2]) }
        pair.initiate()
        pair.run(limit: 2000)
        #expect(pair.left.isEmpty && pair.right.isEmpty)
        #expect(
            (pair.left.refusals + pair.right.refusals).contains {
                if case .eapFailed(_, _, .tooManyRounds(let count)) = $0 { count == 101 } else { false }
            })
    }
}
