import Clockwork
import Fetching
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import SwanctlConfig
import Synchronization
import Testing
import Trust

@testable import Gateway

/// Who is asked about a certificate, in which order, and what follows from what they say.
@Suite struct RevocationClerkTests {
    /// What cases came to.
    private final class Told: Sendable {
        let answers = Mutex<[Answer]>([])
    }

    /// An authority, a peer of it whose certificate says where to ask, and a clerk whose fetches the test answers.
    final class Desk {
        let authority: CertifiedTunnelTests.Authority
        let peer: Certificate
        let key: PrivateKey
        var now = Instant.zero + .seconds(100)
        var moment: Int64 = 1_800_000_000
        var asked: [(source: RevocationClerk.Source, request: FetchRequest)] = []
        private let told = Told()
        private(set) var clerk: RevocationClerk?

        init(_ extensions: [CertificateIssuer.Extension]) throws {
            authority = try CertifiedTunnelTests.Authority()
            key = try PrivateKey(generating: .p256)
            let name = try #require(DistinguishedName(text: "O=Lab, CN=peer"))
            peer = try #require(
                CertificateIssuer(authority.certificate, authority.key).issue(
                    name, key.publicKey, serial: [7], validity: 0...4_000_000_000, extensions: extensions))
            clerk = RevocationClerk(moment: { [unowned self] in moment }, clock: { [unowned self] in now }) {
                [unowned self] source, request in asked.append((source, request))
            }
        }

        func judge(_ policy: RevocationPolicy, lists: [RevocationList] = [], private: Bool = true) {
            let facts = PeerCertificate(
                chain: [], serial: "07", ends: nil, key: "", signature: "", revocation: .notChecked)
            var settings = RevocationSettings()
            settings.mayBePrivate = `private`
            let question = RevocationCase(
                chain: [peer, authority.certificate], facts: facts, policy: policy, lists: lists, settings: settings)
            clerk?.judge(question) { [told] answer in told.answers.withLock { $0.append(answer) } }
        }

        func list(_ serials: [[UInt8]], ends: Int64 = 4_000_000_000, by other: PrivateKey? = nil) throws -> [UInt8] {
            let entries = serials.map { RevocationList.Entry(serial: $0, moment: 1, reason: nil) }
            let list = CertificateIssuer(authority.certificate, other ?? authority.key).revocationList(
                entries, validity: 1...ends, number: 1)
            return try #require(list).der
        }

        func answer(_ outcome: FetchOutcome, at place: Int = 0) {
            let asked = asked.remove(at: place)
            clerk?.fetched(asked.source, outcome)
        }

        /// What each case came to, in order.
        var outcomes: [String] {
            told.answers.withLock { answers in
                answers.map { answer in
                    switch answer {
                    case .certified(let facts):
                        switch facts.revocation {
                        case .good: "good"
                        case .unknown(let reason): "unknown: \(reason)"
                        case .notChecked: "not checked"
                        }
                    case .untrusted(.revoked): "revoked"
                    case .untrusted(.revocationUnknown(_, let reason)): "refused: \(reason)"
                    default: "something else"
                    }
                }
            }
        }
    }

    private static let listed = [CertificateIssuer.Extension("crlDistributionPoints", "URI:http://pki.lab/a.crl")]
    private static let both = listed + [.init("authorityInfoAccess", "OCSP;URI:http://ocsp.lab/")]

    @Test("A list is fetched once for all who need it, and holds for those who come later")
    func fetchedOnce() throws {
        let desk = try Desk(Self.listed)
        for _ in 0..<500 { desk.judge(.strict) }
        #expect(desk.asked.map(\.request.url) == ["http://pki.lab/a.crl"])
        desk.answer(.success(try desk.list([[9]])))
        #expect(desk.outcomes == Array(repeating: "good", count: 500))
        desk.judge(.strict)
        #expect(desk.asked.isEmpty && desk.outcomes.count == 501)
        // Out of date, it is fetched again, but counts until then for what it holds.
        desk.moment = 4_000_000_001
        desk.judge(.strict)
        #expect(desk.asked.count == 1)
    }

    @Test("What a fetched list holds is revoked; what can't be had counts by the policy")
    func policies() throws {
        for policy in [RevocationPolicy.strict, .ifURI, .relaxed] {
            let desk = try Desk(Self.listed)
            desk.judge(policy)
            desk.answer(.success(try desk.list([[7]])))
            #expect(desk.outcomes == ["revoked"])
            let mute = try Desk(Self.listed)
            mute.judge(policy)
            mute.answer(.failure(.timedOut(milliseconds: 10_000)))
            let words = "http://pki.lab/a.crl: there was no answer in 10 s"
            #expect(mute.outcomes.first?.contains(words) == true)
            #expect(mute.outcomes.first?.hasPrefix("refused") == (policy != .relaxed))
            // Nobody knocks again at once.
            mute.judge(policy)
            #expect(mute.asked.isEmpty && mute.outcomes.count == 2)
            mute.now = mute.now + .seconds(11)
            mute.judge(policy)
            #expect(mute.asked.count == 1)
        }
    }

    @Test("Attack 18: a list that somebody else has signed, that is stale, or none at all, says nothing")
    func badLists() throws {
        let stranger = try PrivateKey(generating: .p256)
        let desk = try Desk(Self.listed)
        let rows: [([UInt8], String)] = [
            (try desk.list([[7]], by: stranger), "not signed by the certificate's issuer"),
            ([1, 2, 3], "not a revocation list"), (try desk.list([[9]], ends: 1_700_000_000), "out of date"),
        ]
        for (octets, words) in rows {
            desk.now = desk.now + .seconds(60)
            desk.judge(.strict)
            desk.answer(.success(octets))
            #expect(desk.outcomes.last?.contains(words) == true, "\(desk.outcomes.last ?? "")")
            #expect(desk.outcomes.last?.hasPrefix("refused") == true)
        }
    }

    @Test("A responder is asked before a list is fetched, and an answer that is none leads to the list")
    func responderFirst() throws {
        let desk = try Desk(Self.both)
        desk.judge(.strict)
        desk.judge(.strict)
        let first = try #require(desk.asked.first)
        #expect(desk.asked.count == 1 && first.request.url == "http://ocsp.lab/")
        #expect(first.request.bodyType == "application/ocsp-request" && first.request.body != nil)
        #expect(first.request.limit <= 1 << 18)
        desk.answer(.success(Array("no".utf8)))
        #expect(desk.asked.map(\.request.url) == ["http://pki.lab/a.crl"])
        desk.answer(.success(try desk.list([])))
        #expect(desk.outcomes == ["good", "good"])
    }

    @Test("Attack 19: time is over for a case whose servers say nothing, and a late answer harms nobody")
    func patience() throws {
        let desk = try Desk(Self.both)
        desk.judge(.strict)
        desk.judge(.relaxed)
        #expect(desk.clerk?.nextDeadline == desk.now + .seconds(20))
        desk.now = desk.now + .seconds(20)
        desk.clerk?.expire()
        #expect(desk.outcomes.map { $0.prefix(7) } == ["refused", "unknown"])
        #expect(desk.outcomes.allSatisfy { $0.contains("nobody answered in time") })
        desk.answer(.failure(.stopped))
        #expect(desk.outcomes.count == 2 && desk.asked.isEmpty)
    }

    @Test("Attack 19: a certificate does not send us to private addresses, unless the configuration lets it")
    func reach() throws {
        for allowed in [true, false] {
            let desk = try Desk(Self.listed)
            desk.judge(.relaxed, private: allowed)
            #expect(desk.asked.first?.request.mayBePrivate == allowed)
        }
    }

    @Test("Attack 19: nobody is asked about a chain that nobody trusts, nor where a URL stands for a certificate")
    func trustFirst() throws {
        let (desk, stranger) = (try Desk(Self.both), try CertifiedTunnelTests.Authority("Stranger"))
        func finding(_ authority: Certificate, _ payloads: [CertificatePayload]) throws -> SignatureStore.Finding {
            var required = Connection.PeerAuthentication(method: .publicKey, identity: .any)
            required.authorities = [
                CertificateAuthority(certificate: authority.der, keyIdentifier: authority.key.identifier)
            ]
            required.revocation = .strict
            var proof = Query.Proof(
                connection: "c", method: .publicKey, signer: Identity(try #require(desk.peer.subject)),
                other: .fqdn("us"), prf: .prfsha256, octets: [1])
            let choice = try #require(SignatureChoice.choose(.p256, peerHashes: [2], SignatureRules()))
            proof.evidence = .init(
                required: required, authentication: try #require(choice.authentication([1], desk.key)),
                certificates: payloads, hashesAgreed: true)
            return SignatureStore().consider(.verify(proof, received: []), at: desk.moment)
        }
        let own = CertificatePayload(.x509Signature, desk.peer.der)
        guard case .open = try finding(desk.authority.certificate, [own]) else {
            Issue.record("nobody is asked about a chain that is trusted")
            return
        }
        guard case .answer(.untrusted(.untrustedIssuer)) = try finding(stranger.certificate, [own]) else {
            Issue.record("somebody may be asked about a stranger")
            return
        }
        let url = [UInt8](repeating: 1, count: 20) + Array("http://10.0.0.1/a.der".utf8)
        for encoding in [CertificateEncoding.hashAndURLCertificate, .hashAndURLBundle] {
            let hashed = CertificatePayload(encoding, url)
            guard case .answer(.untrusted(.none)) = try finding(desk.authority.certificate, [hashed]) else {
                Issue.record("a URL is taken for a certificate")
                return
            }
        }
    }

    @Test("A delta list is fetched beside its base, and what it adds counts")
    func deltas() throws {
        let desk = try Desk(Self.listed + [.init("freshestCRL", "URI:http://pki.lab/delta.crl")])
        desk.judge(.strict)
        desk.answer(.success(try desk.list([])))
        let asked = desk.asked.map(\.request.url)
        #expect(asked == ["http://pki.lab/delta.crl"], "\(asked)")
        let entry = RevocationList.Entry(serial: [7], moment: 1, reason: nil)
        let delta = CertificateIssuer(desk.authority.certificate, desk.authority.key).revocationList(
            [entry], validity: 1...4_000_000_000, number: 2, base: 1)
        desk.answer(.success(try #require(delta).der))
        #expect(desk.outcomes == ["revoked"])
    }

    @Test("What is loaded and says 'revoked' needs nobody to be asked")
    func loaded() throws {
        let desk = try Desk(Self.both)
        desk.judge(.relaxed, lists: [try RevocationList(file: try desk.list([[7]]))])
        #expect(desk.asked.isEmpty && desk.outcomes == ["revoked"])
    }
}
