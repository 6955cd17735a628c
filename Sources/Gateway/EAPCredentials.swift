import EAPEngine
import GatewayModel
import IKECore
import IPsecCrypto
import SwanctlConfig
import Trust
import WireFormat

/// The keys and certificates of one EAP conversation, out of a gateway's: ours as the connection names them, and the
/// authorities that it trusts.
///
/// It owns whose certificate the other end has to show. The keys stay in the store.
struct EAPCredentials: EAPCertificates {
    private let store: SignatureStore
    private let question: EAPQuestion
    private let moment: Int64
    private let doubts: Doubts

    /// What is still to be asked about the certificate that a step has seen. One step has it, on one thread.
    final class Doubts {
        var open: RevocationCase?
    }

    /// For one step; `moment` is in seconds since 1970. Whether a certificate is revoked is left to whoever has `doubts`.
    init(_ store: SignatureStore, _ question: EAPQuestion, at moment: Int64, _ doubts: Doubts) {
        self.store = store
        self.question = question
        self.moment = moment
        self.doubts = doubts
    }

    func session(isServer: Bool, mutual: Bool) -> TLSSession? {
        let showsOwn = isServer || mutual
        let own = showsOwn ? store.tlsCredential(question.own, question.ownIdentity) : nil
        // A client trusts somebody, and a server that wants a certificate as well.
        let anchors = !isServer || mutual ? store.anchors(question.required) : []
        if showsOwn, own == nil { return nil }
        if !isServer || mutual, anchors.isEmpty { return nil }
        return TLSSession(isServer: isServer, own: own, anchors: anchors, at: moment)
    }

    func judge(_ chain: [Certificate], name: [UInt8]?) throws(CertificateProblem) -> PeerCertificate {
        guard let leaf = chain.first else { throw .none }
        let open = try store.judgeTLS(leaf, Array(chain.dropFirst()), question.required, at: moment)
        if question.isAuthenticator {
            let claimed = name.map { Identity(eapName: $0) } ?? question.otherIdentity
            // A name without a domain is nobody's host name: it may be the identity in IKE that the certificate bears.
            guard IdentityBinding.holds(claimed, leaf) || belongs(leaf, claimed) else {
                throw .wrongName(claimed: claimed, subject: leaf.name, names: IdentityBinding.names(of: leaf))
            }
        } else {
            let pattern = question.own.eapServer ?? .exactly(question.otherIdentity)
            guard matches(leaf, pattern) else {
                throw .wrongName(
                    claimed: question.otherIdentity, subject: leaf.name, names: IdentityBinding.names(of: leaf))
            }
        }
        if !open.isIdle { doubts.open = open }
        return open.facts
    }

    /// Whether the peer is in EAP who it is in IKE, by an identity of another kind: a distinguished name, an address.
    private func belongs(_ leaf: Certificate, _ claimed: Identity) -> Bool {
        claimed.eapName == question.otherIdentity.eapName && IdentityBinding.holds(question.otherIdentity, leaf)
    }

    /// Whether a server's certificate bears a name that the pattern allows.
    private func matches(_ leaf: Certificate, _ pattern: IdentityPattern) -> Bool {
        switch pattern {
        case .any: return true
        case .exactly(let identity): return IdentityBinding.holds(identity, leaf)
        case .distinguishedName, .suffix:
            var names = leaf.subject.map { [Identity($0)] } ?? []
            for name in leaf.alternativeNames {
                switch name {
                case .host(let host): names.append(.fqdn(host))
                case .email(let address): names.append(.rfc822(address))
                default: break
                }
            }
            return names.contains(where: pattern.matches)
        }
    }
}

extension SignatureStore {
    /// What a connection shows in TLS; nil when it has no certificate with a key.
    func tlsCredential(_ own: Connection.Authentication, _ identity: Identity) -> TLSSession.Credential? {
        let wish = Query.Proof.Wish(own: own, peerHashes: nil, authorities: [], sendsCertificates: true)
        for candidate in candidates(wish, own.eapIdentity ?? identity) {
            guard let certificate = candidate.certificate else { continue }
            let between = candidate.chain.filter { !$0.isSelfIssued }
            return TLSSession.Credential(key: candidate.key, chain: [certificate] + between)
        }
        return nil
    }

    /// The authorities that a round trusts.
    func anchors(_ required: Connection.PeerAuthentication) -> [Certificate] {
        required.authorities.compactMap { parsed[$0.certificate] ?? (try? Certificate(der: $0.certificate)) }
    }

    /// Judges what the other end showed in TLS, once libssl has found its signature true. Revocation is left open.
    func judgeTLS(
        _ leaf: Certificate, _ helpers: [Certificate], _ required: Connection.PeerAuthentication, at moment: Int64
    ) throws(CertificateProblem) -> RevocationCase {
        let validator = ChainValidator(
            anchors: anchors(required), policies: required.policies, policy: SignaturePolicy(required.rules))
        let chain = try validator.chain(of: leaf, helpers: helpers, at: moment)
        let facts = PeerCertificate(
            chain: chain.map(\.name), serial: Hex.encode(leaf.serial), ends: leaf.validity.ends,
            key: leaf.key.kind.description, signature: "TLS", revocation: .notChecked)
        return RevocationCase(chain: chain, facts, required.revocation, credentials, authorities, settings)
    }
}
