import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// Both ends say which proofs they take (RFC 9593): the responder in IKE_SA_INIT, the initiator in IKE_AUTH.
@Suite struct AnnouncedMethodsTests {
    /// Both ends of a pair are to sign; `rules` are those of the peer of each.
    private static func pair(left: SignatureRules, right: SignatureRules) -> Pair {
        func connection(isLeft: Bool, _ rules: SignatureRules) -> Connection {
            var connection = Pair.connection(isLeft: isLeft)
            connection.local.method = .publicKey
            connection.remote.method = .publicKey
            connection.remote.rules = rules
            return connection
        }
        let pair = Pair(
            left: connection(isLeft: true, left), right: connection(isLeft: false, right))
        pair.left.answersAtOnce = false
        pair.right.answersAtOnce = false
        return pair
    }

    /// Answers the question that waits: where the peer is, or with a signature that everybody believes.
    private static func step(_ gateway: Gateway) -> Query? {
        guard !gateway.questions.isEmpty else { return nil }
        let (ticket, query) = gateway.questions.removeFirst()
        let answer: Answer =
            switch query {
            case .prove: .signed(AuthenticationPayload(.digitalSignature, [1, 2, 3]), certificates: [])
            case .verify:
                .certified(
                    PeerCertificate(
                        chain: ["CN=peer"], serial: "01", ends: nil, key: "P-256", signature: "any",
                        revocation: .notChecked))
            default: gateway.answer(query)
            }
        gateway.handle(.answer(ticket, answer))
        return query
    }

    /// What each end was told to prove itself with, and what the responder announced on the wire.
    private static func run(_ pair: Pair) -> (left: Query.Proof.Wish?, right: Query.Proof.Wish?) {
        var wishes: (left: Query.Proof.Wish?, right: Query.Proof.Wish?) = (nil, nil)
        pair.left.handle(.command(.initiate(connection: "net", child: nil)))
        for _ in 0..<20 {
            if case .prove(let proof)? = step(pair.left) { wishes.left = proof.wish }
            for datagram in pair.left.takeOutbox() {
                pair.right.handle(
                    .datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: datagram.socket)))
            }
            if case .prove(let proof)? = step(pair.right) { wishes.right = proof.wish }
            for datagram in pair.right.takeOutbox() {
                pair.left.handle(
                    .datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: datagram.socket)))
            }
        }
        return wishes
    }

    @Test func eachEndLearnsWhatTheOtherTakes() throws {
        let pss = SignatureRules(chain: [.init(.rsaPSS, hashes: [.sha384])])
        let curves = SignatureRules(chain: [.init(.ed25519), .init(.ecdsa, hashes: [.sha256])])
        let pair = Self.pair(left: pss, right: curves)
        let wishes = Self.run(pair)
        #expect(pair.left.summary?.state == .established)
        #expect(pair.right.summary?.state == .established)
        #expect(
            wishes.left?.peerMethods == [
                try #require(AuthenticationAnnouncement(.ed25519)),
                try #require(AuthenticationAnnouncement(.ecdsa(.sha256))), AuthenticationAnnouncement(.ecdsa256),
            ])
        #expect(wishes.right?.peerMethods == [try #require(AuthenticationAnnouncement(.rsaPSS(.sha384)))])
    }

    @Test func withoutRulesEverythingStrongIsNamed() throws {
        let pair = Self.pair(left: SignatureRules(), right: SignatureRules())
        let wishes = Self.run(pair)
        let list = try #require(wishes.left?.peerMethods)
        #expect(list.count == 14)
        #expect(list.first == AuthenticationAnnouncement(.ed25519))
        #expect(!list.contains { $0.method == .rsaSignature || $0.method == .sharedKey })
        // The answer to IKE_SA_INIT has to travel in one piece.
        let data = AuthenticationAnnouncement.notify(list).data
        #expect(data.count < 400)
        #expect(list == wishes.right?.peerMethods)
    }

    /// Where nobody signs there is nothing to choose from, and nothing is said: not even a peer that can't stand unknown
    /// notifications sees a difference.
    @Test func sharedKeysAreNotAnnounced() throws {
        let pair = Pair()
        pair.connect()
        #expect(pair.left.summary?.state == .established)
        let answer = try #require(pair.trace.first { !$0.fromLeft }?.datagram.bytes)
        let message = try Message(parsing: answer)
        guard case .complete(let parts) = try IKESAInit.Response(message) else {
            Issue.record("no answer")
            return
        }
        #expect(!parts.notifies.contains(.supportedAuthMethods))
        #expect(AnnouncedMethods.notifies([ConfiguredConnection(Pair.connection())]).isEmpty)
    }

    @Test func aSharedKeyBesideSignaturesIsAnnounced() throws {
        var second = Pair.connection()
        second.remote.method = .publicKey
        second.remote.rules = SignatureRules(chain: [.init(.ed448)])
        let candidates = ConfiguredConnection.list([Pair.connection(), second])
        let notify = try #require(AnnouncedMethods.notifies(candidates).first)
        #expect(notify.data == [2, 2, 10, 14, 0, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71])
    }

    @Test func manyAuthoritiesLeaveNoRoom() {
        var connection = Pair.connection()
        connection.remote.method = .publicKey
        let configured = ConfiguredConnection(connection)
        let few = [CertificateRequestPayload(authorities: [[UInt8](repeating: 1, count: 20)])]
        let many = [
            CertificateRequestPayload(authorities: (0..<21).map { [UInt8](repeating: $0, count: 20) })
        ]
        #expect(!AnnouncedMethods.notifies([configured], beside: few).isEmpty)
        #expect(AnnouncedMethods.notifies([configured], beside: many).isEmpty)
    }

    /// Nonsense counts as silence, an empty list as a promise (RFC 9593 §3.1).
    @Test func whatCanNotBeReadIsNotHeeded() {
        var agreement = SignatureAgreement()
        agreement.learnMethods([NotifyPayload(.supportedAuthMethods, [])])
        #expect(agreement.peerMethods == nil)
        agreement.learnMethods([NotifyPayload(.supportedAuthMethods, [9, 9])])
        #expect(agreement.peerMethods == nil)
        agreement.learnMethods([NotifyPayload(.supportedAuthMethods, [2, 2])])
        #expect(agreement.peerMethods == [AuthenticationAnnouncement(.sharedKey)])
        agreement.learnMethods([NotifyPayload(.supportedAuthMethods, [0])])
        #expect(agreement.peerMethods == [AuthenticationAnnouncement(.sharedKey)])
    }
}
