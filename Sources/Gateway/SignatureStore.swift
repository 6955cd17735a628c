import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import SwanctlConfig
import Trust

/// The private keys and certificates of one gateway, and the only code that uses them.
///
/// It answers an engine's questions about signatures: prove that we are somebody, tell whether a peer's signature and
/// certificate are good. It never hands a key out, and is not changed once made: another thread may use it.
final class SignatureStore: Sendable {
    let credentials: Credentials
    let authorities: [AuthoritySection]
    let settings: RevocationSettings
    /// Certificates by their DER, so that a connection's need not be parsed each time. Never gone through.
    let parsed: [[UInt8]: Certificate]
    private let passwords: EAPPasswords
    private let conversations: EAPStore

    /// A store with what a configuration holds. `conversations` outlive it.
    convenience init(_ loaded: LoadedConfiguration, _ conversations: EAPStore = EAPStore()) {
        self.init(
            loaded.credentials, connections: loaded.connections, secrets: loaded.secrets, conversations: conversations,
            authorities: loaded.authorities, settings: loaded.settings.revocation)
    }

    /// A store with the credentials of a configuration.
    init(
        _ credentials: Credentials = Credentials(), connections: [Connection] = [], secrets: [Secret] = [],
        conversations: EAPStore = EAPStore(), authorities: [AuthoritySection] = [],
        settings: RevocationSettings = RevocationSettings()
    ) {
        self.credentials = credentials
        self.authorities = authorities
        self.settings = settings
        passwords = EAPPasswords(secrets)
        self.conversations = conversations
        var parsed: [[UInt8]: Certificate] = [:]
        for certificate in credentials.authorities + credentials.intermediates + credentials.certificates {
            parsed[certificate.der] = certificate
        }
        for connection in connections {
            for round in [connection.remote] + connection.furtherRemote {
                for der in round.certificates + round.authorities.map(\.certificate) where parsed[der] == nil {
                    parsed[der] = try? Certificate(der: der)
                }
            }
            for round in [connection.local] + connection.furtherLocal {
                for der in round.certificates where parsed[der] == nil { parsed[der] = try? Certificate(der: der) }
            }
        }
        self.parsed = parsed
    }

    /// Whether a question is about a signature, or about EAP, whose methods may sign.
    static func concerns(_ query: Query) -> Bool {
        switch query {
        case .prove(let proof), .verify(let proof, _): proof.method == .publicKey
        case .eap: true
        default: false
        }
    }

    /// What looking into a question gives.
    enum Finding {
        /// This, or nothing.
        case answer(Answer?)
        /// The peer is believed, unless its certificates are revoked: somebody has to ask.
        case open(RevocationCase)
        /// This is our proof, and the peer would like to see that the certificates of this chain are not revoked.
        case staple(AuthenticationPayload, [CertificatePayload], RevocationCase)
        /// This is the next step of EAP, unless the certificate that the other end showed is revoked.
        case doubtful(EAPStep, EAPQuestion.Conversation, RevocationCase)
    }

    /// Looks into a question about a signature; `moment` is the time of day in seconds since 1970. Takes milliseconds.
    func consider(_ query: Query, at moment: Int64) -> Finding {
        switch query {
        case .prove(let proof): prove(proof)
        case .verify(let proof, _): verify(proof, at: moment)
        case .eap(let question): converse(question, at: moment)
        default: .answer(nil)
        }
    }

    /// Answers a question from what is loaded, and asks nobody.
    func answer(_ query: Query, at moment: Int64) -> Answer? {
        switch consider(query, at: moment) {
        case .answer(let answer): return answer
        case .staple(let authentication, let certificates, _):
            return .signed(authentication, certificates: certificates)
        case .open(let open): return Self.judge(open, at: moment)
        case .doubtful(let step, let conversation, let open):
            return resolve(step, conversation, Self.judge(open, at: moment))
        }
    }

    /// What the lists say that are there.
    private static func judge(_ open: RevocationCase, at moment: Int64) -> Answer {
        var facts = open.facts
        do throws(CertificateProblem) {
            facts.revocation = try RevocationCheck(lists: open.lists).judge(open.chain, open.policy, moment: moment)
            return .certified(facts)
        } catch {
            return .untrusted(error)
        }
    }

    // MARK: EAP

    private func converse(_ question: EAPQuestion, at moment: Int64) -> Finding {
        let doubts = EAPCredentials.Doubts()
        let credentials = EAPCredentials(self, question, at: moment, doubts)
        let step = conversations.answer(question, passwords, credentials)
        if case .failure = step { return .answer(.eap(step)) }
        return doubts.open.map { .doubtful(step, question.conversation, $0) } ?? .answer(.eap(step))
    }

    /// A step of EAP once it is known whether the certificate in it is revoked, which ends the conversation.
    func resolve(_ step: EAPStep, _ conversation: EAPQuestion.Conversation, _ verdict: Answer) -> Answer {
        switch verdict {
        case .certified(let facts): return .eap(conversations.certified(step, conversation, facts))
        case .untrusted(let problem):
            conversations.forget(conversation)
            return .eap(EAPStore.failure(instead: step, .untrusted(problem)))
        default: return .eap(step)
        }
    }

    // MARK: Ours

    private func prove(_ proof: Query.Proof) -> Finding {
        guard let wish = proof.wish else { return .answer(.noPrivateKey("the connection does not sign")) }
        let candidates = candidates(wish, proof.signer)
        guard !candidates.isEmpty else {
            return .answer(
                .noPrivateKey("there is no private key for any certificate or key of this connection's"))
        }
        // What the peer announced comes first. It may take more than that: without anything of it, we try our best.
        let passes = wish.peerMethods == nil ? [false] : [true, false]
        for (isAnnounced, candidate) in passes.flatMap({ pass in candidates.map { (pass, $0) } }) {
            let kind = candidate.key.publicKey.kind
            let announced = isAnnounced ? candidate.methods(wish) : nil
            let choice = SignatureChoice.choose(
                kind, peerHashes: wish.peerHashes, announced: announced, wish.own.rules)
            guard let choice else { continue }
            guard let authentication = choice.authentication(proof.octets, candidate.key) else { continue }
            let certificates = wish.sendsCertificates ? payloads(candidate) : []
            if wish.bringsStatus, let certificate = candidate.certificate, !candidate.chain.isEmpty {
                let chain = RevocationCase(own: [certificate] + candidate.chain, credentials, authorities, settings)
                return .staple(authentication, certificates, chain)
            }
            return .answer(.signed(authentication, certificates: certificates))
        }
        return .answer(.noPrivateKey("no key of this connection's can sign in a way that the peer and 'auth' allow"))
    }

    /// A key of ours, and what makes it known.
    struct Candidate {
        let key: PrivateKey
        /// nil for a raw public key.
        let certificate: Certificate?
        /// Those between the certificate and an authority that issued itself.
        var chain: [Certificate] = []

        /// What the peer takes from this one: an announcement may be bound to an authority of the peer's, counted from 1.
        func methods(_ wish: Query.Proof.Wish) -> [AuthenticationAnnouncement] {
            (wish.peerMethods ?? []).filter { announcement in
                guard announcement.authority > 0 else { return true }
                let place = Int(announcement.authority) - 1
                guard place < wish.authorities.count else { return false }
                return chain.contains { $0.key.identifier == wish.authorities[place] }
            }
        }
    }

    /// What we may sign with, the best first: those that the peer's authorities lead to and that bear the identity.
    func candidates(_ wish: Query.Proof.Wish, _ signer: Identity) -> [Candidate] {
        var ranked: [(rank: Int, candidate: Candidate)] = []
        for der in wish.own.certificates {
            guard let certificate = parsed[der], let key = credentials.key(of: certificate) else { continue }
            var candidate = Candidate(key: key, certificate: certificate)
            candidate.chain = chain(above: certificate)
            let isWanted =
                wish.authorities.isEmpty
                || candidate.chain.contains { wish.authorities.contains($0.key.identifier) }
            let isBound = IdentityBinding.holds(signer, certificate)
            ranked.append(((isBound ? 0 : 2) + (isWanted ? 0 : 1), candidate))
        }
        let keys = wish.own.rawKeys.compactMap { credentials.key(ofInfo: $0) }.map {
            Candidate(key: $0, certificate: nil)
        }
        // Stable: the configuration's order among equals.
        let sorted = (0...3).flatMap { rank in ranked.filter { $0.rank == rank }.map(\.candidate) }
        return sorted + keys
    }

    /// The authorities above a certificate, the lowest first, as far as they are loaded.
    private func chain(above certificate: Certificate) -> [Certificate] {
        var chain: [Certificate] = []
        var last = certificate
        while chain.count < 8, !last.isSelfIssued {
            let issuer = (credentials.authorities + credentials.intermediates).first { authority in
                guard let subject = authority.subject, let wanted = last.issuer else { return false }
                return authority != last && subject.isSame(as: wanted) && last.isSigned(by: authority)
            }
            guard let issuer else { break }
            chain.append(issuer)
            last = issuer
        }
        return chain
    }

    /// The certificate and those that lead to an authority, without the one at the top: who trusts it has it.
    private func payloads(_ candidate: Candidate) -> [CertificatePayload] {
        guard let certificate = candidate.certificate else {
            return [CertificatePayload(.rawPublicKey, candidate.key.publicKey.info)]
        }
        let between = candidate.chain.filter { !$0.isSelfIssued }
        return ([certificate] + between).map { CertificatePayload(.x509Signature, $0.der) }
    }

    // MARK: The peer's

    private func verify(_ proof: Query.Proof, at moment: Int64) -> Finding {
        guard let evidence = proof.evidence else { return .answer(.falseProof) }
        let required = evidence.required
        let verifier = PeerVerifier(
            pinned: required.certificates.compactMap { parsed[$0] ?? (try? Certificate(der: $0)) },
            rawKeys: required.rawKeys.compactMap { try? PublicKey(file: $0) },
            validator: ChainValidator(
                anchors: required.authorities.compactMap {
                    parsed[$0.certificate] ?? (try? Certificate(der: $0.certificate))
                },
                policies: required.policies, policy: SignaturePolicy(required.rules)),
            authority: required.authority)
        do throws(PeerVerifier.Failure) {
            let trusted = try verifier.verify(
                proof.signer, signed: proof.octets, evidence.authentication, evidence.certificates,
                agreedHashes: evidence.hashesAgreed, at: moment)
            let open = RevocationCase(trusted, required.revocation, credentials, authorities, settings)
            return open.isIdle ? .answer(.certified(trusted.facts)) : .open(open)
        } catch {
            switch error {
            case .problem(let problem): return .answer(.untrusted(problem))
            case .falseProof, .method: return .answer(.falseProof)
            }
        }
    }
}
