import GatewayModel
import IKECore
import IKEMessages

/// What an IKE SA knows about its peer's signatures before the peer has signed anything.
///
/// It owns what the peer announced: hashes (RFC 7427 §4), authorities (RFC 7296 §3.7). It never looks into a certificate.
struct SignatureAgreement {
    /// The hashes in the peer's SIGNATURE_HASH_ALGORITHMS; nil when it sent none.
    var peerHashes: [UInt16]?
    /// What the peer said that it takes (RFC 9593), the preferred first; nil when it said nothing.
    var peerMethods: [AuthenticationAnnouncement]?
    /// Whether we sent ours.
    var saidHashes = false
    /// Whether the peer asked for a certificate.
    var isAsked = false
    /// Whether the peer asked for OCSP answers (RFC 4806).
    var wantsStatus = false
    /// The authorities that it would like, 20 octets each; empty for any.
    var authorities: [[UInt8]] = []

    /// SHA-256, SHA-384, SHA-512 and Ed25519's and Ed448's own (RFC 7427 §7, RFC 8420 §3). Never SHA-1.
    static let hashes: [UInt16] = [2, 3, 4, 5]
    /// Authorities that one CERTREQ names: beyond that any will do, since IKE_SA_INIT can't be cut into fragments.
    static let mostAuthorities = 40
    /// Responders that one CERTREQ names: without them the peer's issuer decides who may answer.
    static let mostResponders = 8
    /// Hashes and authorities of a peer's that are looked at.
    private static let mostAnnounced = 256
    /// How many of a peer's certificates are looked at: no honest chain, with what helps to judge it, is longer.
    static let mostCertificates = 32

    /// Takes over what a message of the peer's announces.
    mutating func learn(_ notifies: [NotifyPayload]) {
        guard let data = notifies.first(.signatureHashAlgorithms)?.data.prefix(2 * Self.mostAnnounced) else { return }
        peerHashes = stride(from: 0, to: data.count - data.count % 2, by: 2).map {
            UInt16(data[$0]) << 8 | UInt16(data[$0 + 1])
        }
    }

    /// Takes over which proofs of ours the peer says that it takes. An empty list promises one later (RFC 9593 §3.1).
    mutating func learnMethods(_ notifies: [NotifyPayload]) {
        guard let data = notifies.first(.supportedAuthMethods)?.data, !data.isEmpty else { return }
        peerMethods = AuthenticationAnnouncement.list(data) ?? peerMethods
    }

    /// Takes over what a message of the peer's asks for.
    mutating func learn(_ requests: [CertificateRequestPayload]) {
        for request in requests {
            switch request.encoding {
            case .x509Signature:
                isAsked = true
                authorities += request.authorities.prefix(max(0, Self.mostAnnounced - authorities.count))
            case .rawPublicKey: isAsked = true
            case .ocsp: wantsStatus = true
            default: break
            }
        }
    }

    /// The same after `change`.
    func after(_ change: (inout SignatureAgreement) -> Void) -> SignatureAgreement {
        var next = self
        change(&next)
        return next
    }

    /// SIGNATURE_HASH_ALGORITHMS of ours.
    static var notify: NotifyPayload {
        NotifyPayload(
            .signatureHashAlgorithms,
            hashes.flatMap { [UInt8(truncatingIfNeeded: $0 >> 8), UInt8(truncatingIfNeeded: $0)] })
    }

    /// CERTREQ for what these rounds trust; none where nothing needs to be asked for.
    static func requests(_ candidates: [ConfiguredConnection]) -> [CertificateRequestPayload] {
        guard candidates.contains(where: \.demandsSignatures) else { return [] }
        let connections = candidates.map(\.connection)
        var identifiers: [[UInt8]] = []
        var (wantsRawKeys, trustsAny) = (false, false)
        let status = statusRequest(connections)
        for connection in connections where connection.requestsCertificate {
            for round in connection.remoteRounds where round.method == .publicKey {
                wantsRawKeys = wantsRawKeys || !round.rawKeys.isEmpty
                for authority in round.authorities
                where !trustsAny && !identifiers.contains(authority.keyIdentifier) {
                    identifiers.append(authority.keyIdentifier)
                    // Any will do, then: what comes is judged all the same.
                    trustsAny = identifiers.count > mostAuthorities
                }
            }
        }
        if trustsAny { return [CertificateRequestPayload(authorities: [])] + status }
        return (identifiers.isEmpty ? [] : [CertificateRequestPayload(authorities: identifiers)])
            + (wantsRawKeys ? [CertificateRequestPayload(.rawPublicKey, [])] : []) + status
    }

    /// The same in fewer octets: certificates of any authority, and OCSP answers of any responder. What comes is judged all
    /// the same.
    static func shortened(_ requests: [CertificateRequestPayload]) -> [CertificateRequestPayload] {
        requests.map { request in
            switch request.encoding {
            case .x509Signature: CertificateRequestPayload(authorities: [])
            case .ocsp: CertificateRequestPayload(responders: [])
            default: request
            }
        }
    }

    /// CERTREQ for OCSP answers, where one of these connections wants them with certificates.
    private static func statusRequest(_ connections: [Connection]) -> [CertificateRequestPayload] {
        let rounds = connections.lazy.filter(\.statusExchange.isAsked).flatMap(\.remoteRounds)
            .filter { $0.method == .publicKey }
        var responders: [[UInt8]] = []
        for round in rounds {
            for responder in round.responders where !responders.contains(responder) { responders.append(responder) }
        }
        return rounds.isEmpty
            ? [] : [CertificateRequestPayload(responders: Array(responders.prefix(mostResponders)))]
    }
}

/// Our proof as it travels.
struct OwnProof {
    /// AUTH.
    let authentication: AuthenticationPayload
    /// CERT, our own first.
    let certificates: [CertificatePayload]
}

extension Connection {
    /// All that we prove, in order.
    var localRounds: [Authentication] { [local] + furtherLocal }
    /// All that the peer has to prove, in order.
    var remoteRounds: [PeerAuthentication] { [remote] + furtherRemote }

    /// What a signature of ours is to be like, with a peer that has announced this.
    func wish(_ own: Authentication, _ signatures: SignatureAgreement) -> Query.Proof.Wish? {
        guard own.method == .publicKey else { return nil }
        let sends =
            switch sendsCertificate {
            case .always: true
            case .never: false
            case .ifAsked: signatures.isAsked
            }
        var wish = Query.Proof.Wish(
            own: own, peerHashes: signatures.saidHashes ? signatures.peerHashes : nil,
            authorities: signatures.authorities, sendsCertificates: sends)
        wish.peerMethods = signatures.peerMethods
        wish.bringsStatus = sends && signatures.wantsStatus && statusExchange.isBrought
        return wish
    }
}

extension Connection.AuthenticationMethod {
    /// Whether an AUTH payload of this method is of this kind.
    func covers(_ method: IKEMessages.AuthenticationMethod) -> Bool {
        switch self {
        case .sharedKey: method == .sharedKey
        // It begins without an AUTH payload.
        case .eap: false
        case .publicKey:
            [.rsaSignature, .ecdsa256, .ecdsa384, .ecdsa521, .digitalSignature].contains(method)
        }
    }
}

extension SessionContext {
    /// SIGNATURE_HASH_ALGORITHMS for our IKE_SA_INIT request; nothing where nobody signs.
    var hashNotifies: [NotifyPayload] { hashNotifies(for: [configured]) }

    /// The same for our response, which may become one of several connections'.
    func hashNotifies(for candidates: [ConfiguredConnection]) -> [NotifyPayload] {
        guard candidates.contains(where: \.usesSignatures) else { return [] }
        signatures.saidHashes = true
        return [SignatureAgreement.notify]
    }

    /// What a signature of ours is to be like.
    func wish(_ own: Connection.Authentication) -> Query.Proof.Wish? { connection.wish(own, signatures) }

    /// What the peer proves itself with.
    func evidence(
        _ required: Connection.PeerAuthentication, _ authentication: AuthenticationPayload?,
        _ certificates: [CertificatePayload]
    ) -> Query.Proof.Evidence? {
        guard required.method == .publicKey, let authentication else { return nil }
        return Query.Proof.Evidence(
            required: required, authentication: authentication,
            certificates: Array(certificates.prefix(SignatureAgreement.mostCertificates)),
            hashesAgreed: signatures.saidHashes && signatures.peerHashes != nil)
    }

    /// Why an answer about the peer's proof means no; nil where it means yes, which is noted.
    func objection(
        _ verdict: Answer, local: Identity, remote: Identity, by method: Connection.AuthenticationMethod? = nil,
        _ turn: inout Turn
    ) -> Refusal? {
        let method = method ?? connection.remote.method
        switch verdict {
        // A yes must be of the kind that was asked for.
        case .verified where method == .sharedKey, .verifiedInReturn where method == .sharedKey: return nil
        case .certified(let certificate) where method == .publicKey:
            remoteCertificate = certificate
            publish(.peerCertified(certificate), &turn)
            return nil
        case .noSecret: return .noSecret(local: local, remote: remote)
        case .untrusted(let problem): return .untrusted(remote: remote, problem)
        default:
            return .wrongProof(
                local: local, remote: remote, method: method, nearMiss: verdict.nearMiss, withPPK: ppkInUse != nil)
        }
    }

    /// Our proof as an AUTH payload with its certificates, or why there is none. `method` is that of another round than
    /// the first.
    func proof(
        _ answer: Answer, local: Identity, remote: Identity, by method: Connection.AuthenticationMethod? = nil
    ) throws(Refusal) -> OwnProof {
        let method = method ?? connection.local.method
        switch answer {
        case .proof(let data) where method == .sharedKey:
            return OwnProof(authentication: AuthenticationPayload(.sharedKey, data), certificates: [])
        case .signed(let authentication, let certificates) where method == .publicKey:
            return OwnProof(authentication: authentication, certificates: certificates)
        case .noPrivateKey(let reason): throw .noPrivateKey(local: local, reason: reason)
        default: throw .noSecret(local: local, remote: remote)
        }
    }
}
