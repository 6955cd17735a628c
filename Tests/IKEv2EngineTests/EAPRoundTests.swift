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

/// EAP as one of several authentications of a client's (RFC 4739), and with a post-quantum preshared key (RFC 8784).
@Suite struct EAPRoundTests {
    /// How a client proves itself, one round after the other.
    struct Shape: CustomTestStringConvertible, Sendable {
        let rounds: [Connection.AuthenticationMethod]
        var testDescription: String { rounds.map(\.rawValue).joined(separator: ", ") }
    }

    static let shapes: [Shape] = [
        [.sharedKey, .eap], [.eap, .sharedKey], [.eap, .eap], [.sharedKey, .eap, .sharedKey],
        [.sharedKey, .sharedKey, .eap], [.eap, .sharedKey, .eap],
    ].map(Shape.init)

    private static func name(_ round: Int) -> Identity {
        .fqdn(round == 0 ? "left.example" : "left-\(round).example")
    }

    /// Carol's name in the EAP of a round.
    private static func user(_ round: Int) -> String { "carol-\(round)" }

    private static func pair(
        _ shape: Shape, method: EAPMethod = .mschapv2, passwords: (String, String) = ("carol's", "carol's"),
        change: (inout Connection, inout Connection) -> Void = { _, _ in }
    ) -> Pair {
        var left = Pair.connection()
        var right = Pair.connection(isLeft: false)
        for (index, kind) in shape.rounds.enumerated() {
            var own = Connection.Authentication(method: kind, identity: name(index))
            var peer = Connection.PeerAuthentication(method: kind, identity: .exactly(name(index)))
            if kind == .eap {
                own.eap = EAPRules(methods: [method])
                own.eapIdentity = .fqdn(user(index))
                peer.eap = EAPRules(methods: [method])
                peer.eapIdentity = .any
            }
            if index == 0 { (left.local, right.remote) = (own, peer) }
            if index > 0 {
                left.furtherLocal.append(own)
                right.furtherRemote.append(peer)
            }
        }
        change(&left, &right)
        let pair = Pair(left: left, right: right)
        let all = { (word: String) in
            Dictionary(uniqueKeysWithValues: (0..<3).map { (user($0), "\(word) \($0)") })
        }
        let (mine, theirs) = (Voice(all(passwords.0), seed: 1), Voice(all(passwords.1), seed: 2))
        pair.left.converse = mine.answer
        pair.right.converse = theirs.answer
        return pair
    }

    private static func isUp(_ pair: Pair) -> Bool {
        let sent = pair.left.installed.last { $0.direction == .outbound }
        let received = pair.right.installed.last { $0.direction == .inbound }
        return pair.left.summary?.state == .established && pair.right.summary?.state == .established
            && pair.left.endpoint.counts.childSAs == 1 && pair.right.endpoint.counts.childSAs == 1
            && sent != nil && sent?.encryptionKey == received?.encryptionKey
    }

    private static func isRefused(_ pair: Pair) -> Bool {
        !(pair.left.kinds + pair.right.kinds).contains { if case .ikeEstablished = $0 { true } else { false } }
            && pair.left.installed.isEmpty && pair.right.installed.isEmpty && pair.left.isEmpty && pair.right.isEmpty
    }

    private static func words(_ pair: Pair) -> String { "\(pair.left.refusals) \(pair.right.refusals)" }

    @Test(arguments: shapes, [EAPMethod.mschapv2, .md5]) func comesUp(_ shape: Shape, _ method: EAPMethod) throws {
        let pair = Self.pair(shape, method: method)
        pair.connect()
        #expect(Self.isUp(pair), "\(Self.words(pair))")
        #expect(pair.left.refusals.isEmpty && pair.right.refusals.isEmpty)
        // Who is connected goes by the first identities, and by the last name in EAP.
        let (left, right) = (try #require(pair.left.summary), try #require(pair.right.summary))
        #expect(left.localIdentity == Self.name(0) && right.remoteIdentity == Self.name(0))
        #expect(left.remoteIdentity == .fqdn("right.example") && right.localIdentity == .fqdn("right.example"))
        let last = try #require(shape.rounds.lastIndex(of: .eap))
        #expect(right.remoteEAPIdentity == .fqdn(Self.user(last)))
        for gateway in [pair.left, pair.right] {
            let forgotten = gateway.effects.count { if case .forget = $0 { true } else { false } }
            #expect(forgotten == shape.rounds.count { $0 == .eap })
            #expect(gateway.endpoint.counts.openTickets == 0)
        }
        pair.left.handle(.command(.rekey(.connection("net"))))
        pair.run()
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(pair.left.isEmpty && pair.right.isEmpty)
    }

    /// Each message lost once, and each delivered twice.
    @Test(arguments: 0..<18, [true, false]) func lossAndRepetitionChangeNothing(place: Int, isLost: Bool) {
        let pair = Self.pair(Shape(rounds: [.sharedKey, .eap]))
        var sent = 0
        pair.wire = { datagram, _ in
            sent += 1
            guard sent == place + 1 else { return [datagram] }
            return isLost ? [] : [datagram, datagram]
        }
        pair.connect()
        pair.advance(.seconds(12))
        #expect(Self.isUp(pair))
    }

    @Test(arguments: shapes) func aWrongPasswordInAnyRoundIsTheEnd(_ shape: Shape) {
        for round in shape.rounds.indices where shape.rounds[round] == .eap {
            let pair = Self.pair(shape)
            let wrong = Voice(
                Dictionary(
                    uniqueKeysWithValues: (0..<3).map { (Self.user($0), $0 == round ? "another" : "carol's \($0)") }),
                seed: 5)
            pair.left.converse = wrong.answer
            pair.connect()
            #expect(Self.isRefused(pair), "\(Self.words(pair))")
            #expect(
                pair.right.refusals.last
                    == .eapFailed(identity: Self.name(round), isPeer: true, .wrongPassword(Self.user(round))))
        }
    }

    @Test(arguments: shapes) func whoLeavesOutTheLastRoundIsRefused(_ shape: Shape) {
        let pair = Self.pair(shape) { left, _ in left.furtherLocal.removeLast() }
        pair.connect()
        pair.advance(.seconds(400))
        #expect(Self.isRefused(pair), "\(Self.words(pair))")
        #expect(pair.right.refusals.contains { if case .notMet = $0 { true } else { false } })
    }

    @Test(arguments: shapes) func whoProvesMoreThanIsAskedIsRefused(_ shape: Shape) {
        let pair = Self.pair(shape) { _, right in right.furtherRemote.removeLast() }
        pair.connect()
        pair.advance(.seconds(400))
        #expect(Self.isRefused(pair), "\(Self.words(pair))")
    }

    @Test("Attack 3: an identity in a later round that another one is expected as, or a proof in place of EAP")
    func attack3LaterRound() throws {
        let rows: [(Identity, AuthenticationPayload?)] = [
            (.fqdn("somebody.else"), nil),
            (Self.name(1), AuthenticationPayload(.sharedKey, [UInt8](repeating: 0, count: 32))),
            (Self.name(1), AuthenticationPayload(.init(rawValue: 13), [])),
        ]
        for (identity, proof) in rows {
            let pair = Self.pair(Shape(rounds: [.sharedKey, .eap]))
            let rogue = try #require(RoguePeer(pair))
            let first = rogue.authenticate {
                $0.notifies = [NotifyPayload(.multipleAuthSupported), NotifyPayload(.anotherAuthFollows)]
            }
            #expect(first.first?.payloads.contains { $0.type == .authentication } == true)
            let request = IKEAuth.Request.Identified(
                identity: IdentificationPayload(identity), authentication: proof)
            let answer = rogue.ask(.ikeAuth, 2, IKEAuth.Request.identified(request).payloads)
            #expect(answer.first?.payloads == [.notify(NotifyPayload(.authenticationFailed))])
            #expect(Self.isRefused(pair) && pair.right.isEmpty)
        }
    }

    @Test("Attack 3: in a later round nothing stands in for the proof with EAP's key")
    func attack3NoFinalProof() throws {
        for payloads: [Payload] in [
            [], [.authentication(AuthenticationPayload(.sharedKey, [UInt8](repeating: 0, count: 32)))],
            [.eap(EAPPayload([2, 9, 0, 4]))], [.initiatorIdentification(IdentificationPayload(Self.name(1)))],
        ] {
            let pair = Self.pair(Shape(rounds: [.sharedKey, .eap]), method: .gtc)
            pair.right.converse = { question in
                question.message == nil
                    ? .send([1, 1, 0, 5, 6])
                    : .success([3, 1, 0, 4], EAPOutcome(method: 6, identity: .fqdn("carol-1"), key: nil))
            }
            let rogue = try #require(RoguePeer(pair))
            _ = rogue.authenticate {
                $0.notifies = [NotifyPayload(.multipleAuthSupported), NotifyPayload(.anotherAuthFollows)]
            }
            let request = IKEAuth.Request.Identified(identity: IdentificationPayload(Self.name(1)))
            let asked = rogue.ask(.ikeAuth, 2, IKEAuth.Request.identified(request).payloads)
            #expect(asked.first?.payloads == [.eap(EAPPayload([1, 1, 0, 5, 6]))])
            let done = rogue.ask(.ikeAuth, 3, [.eap(EAPPayload([2, 1, 0, 6, 6, 65]))])
            #expect(done.first?.payloads == [.eap(EAPPayload([3, 1, 0, 4]))])
            let last = rogue.ask(.ikeAuth, 4, payloads)
            #expect(last.first?.payloads.contains { $0.type == .authentication } == false)
            #expect(Self.isRefused(pair) && pair.right.isEmpty)
        }
    }

    @Test("Attack 1: a gateway that ends a later round before EAP is done gets nowhere")
    func attack1LaterRound() {
        let pair = Self.pair(Shape(rounds: [.sharedKey, .eap]))
        let outcome = EAPOutcome(
            method: 26, identity: .fqdn("carol-1"), key: SecretBytes([UInt8](repeating: 0, count: 64)))
        pair.right.converse = { _ in .success([3, 1, 0, 4], outcome) }
        pair.connect()
        #expect(pair.left.isEmpty)
        #expect(!pair.left.kinds.contains { if case .ikeEstablished = $0 { true } else { false } })
        #expect(
            pair.left.refusals == [
                .eapFailed(identity: Self.name(1), isPeer: false, .malformed("EAP-Success before any method"))
            ])
    }

    @Test(arguments: 0..<10) func answersThatNeverCome(which: Int) {
        let pair = Self.pair(Shape(rounds: [.sharedKey, .eap]))
        pair.initiate(answering: which)
        pair.advance(.seconds(500))
        #expect(pair.left.isEmpty && pair.right.isEmpty)
    }

    @Test(arguments: 1..<14) func whoeverLeavesInTheMiddleLeavesNothing(step: Int) {
        let pair = Self.pair(Shape(rounds: [.sharedKey, .eap]))
        var sent = 0
        pair.wire = { datagram, fromLeft in
            sent += 1
            if sent == step { pair.left.handle(.command(.terminate(.connection("net")))) }
            return [datagram]
        }
        pair.connect()
        pair.advance(.minutes(5))
        #expect(pair.left.isEmpty && pair.right.isEmpty, "step \(step)")
    }

    // MARK: Post-quantum preshared keys

    private static func keyed(
        _ shape: Shape, method: EAPMethod = .mschapv2, left: Bool = false, right: Bool = false
    ) -> Pair {
        let pair = Self.pair(shape, method: method) { one, other in
            one.ppkIdentity = .fqdn("ppk.example")
            (one.knowsPPKs, other.knowsPPKs) = (true, true)
            (one.ppkRequired, other.ppkRequired) = (left, right)
        }
        pair.left.ppks = [("ppk.example", Array("a key that no quantum computer finds".utf8))]
        pair.right.ppks = pair.left.ppks
        return pair
    }

    private static let alone = Shape(rounds: [.eap])

    @Test("The key goes with the proof after EAP, and never with the first request (RFC 8784 §3)")
    func aPostQuantumKeyGoesWithEAP() throws {
        for shape in [Self.alone] + Self.shapes {
            for (method, isRequired) in [(EAPMethod.mschapv2, true), (.md5, false)] {
                let pair = Self.keyed(shape, method: method, left: isRequired, right: isRequired)
                pair.connect()
                #expect(Self.isUp(pair), "\(shape.testDescription): \(Self.words(pair))")
                for gateway in [pair.left, pair.right] {
                    #expect(gateway.endpoint.inOrder.first?.context.ppkInUse == Array("ppk.example".utf8))
                }
            }
        }
    }

    @Test func thePostQuantumKeyChangesTheKeys() throws {
        let one = Self.keyed(Self.alone, left: true)
        let other = Self.keyed(Self.alone, left: true)
        other.left.ppks = [("ppk.example", Array("another key".utf8))]
        other.right.ppks = other.left.ppks
        one.connect()
        other.connect()
        #expect(Self.isUp(one) && Self.isUp(other))
        #expect(
            try #require(one.left.installed.last).encryptionKey != #require(other.left.installed.last).encryptionKey)
    }

    @Test func withoutThePostQuantumKeyBothGoOnWhereNobodyDemandsIt() {
        for method in [EAPMethod.mschapv2, .md5] {
            // The responder does not know this one; the initiator does not have it; nobody has.
            for (isLeft, isRight) in [(true, false), (false, true), (false, false)] {
                let pair = Self.keyed(Self.alone, method: method)
                if !isLeft { pair.left.ppks = [] }
                if !isRight { pair.right.ppks = [] }
                pair.connect()
                #expect(Self.isUp(pair), "\(Self.words(pair))")
                #expect(pair.left.endpoint.inOrder.first?.context.ppkInUse == nil)
                #expect(pair.right.endpoint.inOrder.first?.context.ppkInUse == nil)
            }
        }
    }

    @Test func whoDemandsThePostQuantumKeyGetsItOrNothing() {
        for (left, right, isLeft, isRight) in [
            (true, false, true, false), (true, false, false, true), (false, true, false, true),
            (false, true, true, false),
        ] {
            let pair = Self.keyed(Self.alone, left: left, right: right)
            if !isLeft { pair.left.ppks = [] }
            if !isRight { pair.right.ppks = [] }
            pair.connect()
            #expect(Self.isRefused(pair), "\(left) \(right) \(isLeft) \(isRight): \(Self.words(pair))")
        }
        // The keys have one name and are different ones.
        let pair = Self.keyed(Self.alone, left: true)
        pair.right.ppks = [("ppk.example", Array("another key".utf8))]
        pair.connect()
        #expect(Self.isRefused(pair))
        // The responder demands it, and the initiator knows nothing of such keys.
        let ignorant = Self.pair(Self.alone) { _, right in (right.ppkRequired, right.knowsPPKs) = (true, true) }
        ignorant.connect()
        #expect(Self.isRefused(ignorant))
    }
}
