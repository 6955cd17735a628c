public import GatewayModel
public import IKEMessages

/// Whether a peer's signature, and the certificates that came with it, prove its identity.
///
/// It owns the order: which key, does it belong to the identity, is it trusted, is the signature true. Revocation comes
/// after all that, and elsewhere. It never looks at a clock.
public struct PeerVerifier: Sendable {
    /// Certificates that are the peer's, whoever issued them; when there are any, no other is accepted.
    public var pinned: [Certificate]
    /// Raw public keys that are the peer's (RFC 7670).
    public var rawKeys: [PublicKey]
    /// The chain's rules.
    public var validator: ChainValidator
    /// An identity that one authority of the chain must have; nil for any.
    public var authority: IdentityPattern?

    /// What is known about a peer.
    public init(
        pinned: [Certificate], rawKeys: [PublicKey], validator: ChainValidator, authority: IdentityPattern? = nil
    ) {
        self.pinned = pinned
        self.rawKeys = rawKeys
        self.validator = validator
        self.authority = authority
    }

    /// Why a peer is not believed.
    public enum Failure: Error, Hashable, Sendable {
        /// Something about the certificate or the key.
        case problem(CertificateProblem)
        /// The signature is not the key's.
        case falseProof
        /// The method does not suit the key, or is not understood.
        case method
    }

    /// A peer that is believed.
    public struct Trusted: Sendable {
        /// The chain, the peer's own first; empty for a raw public key.
        public let chain: [Certificate]
        /// The certificate's facts, revocation not looked at.
        public let facts: PeerCertificate
        /// What the peer sent besides: revocation lists and OCSP answers (RFC 4806).
        public let attachments: [CertificatePayload]
    }

    /// Certificate payloads that are looked at, and octets of all of them together: RFC 7296 asks for four at least.
    static let mostPayloads = 24
    static let mostOctets = 256 * 1024

    /// Checks a proof.
    ///
    /// - Parameters:
    ///   - identity: Who the peer says it is.
    ///   - octets: What it has signed.
    ///   - agreedHashes: Whether RFC 7427 was agreed on, so that SHA-1 has no excuse.
    ///   - moment: Seconds since 1970.
    public func verify(
        _ identity: Identity, signed octets: [UInt8], _ authentication: AuthenticationPayload,
        _ payloads: [CertificatePayload], agreedHashes: Bool, at moment: Int64
    ) throws(Failure) -> Trusted {
        guard payloads.count <= Self.mostPayloads, payloads.reduce(0, { $0 + $1.data.count }) <= Self.mostOctets else {
            throw .problem(.malformed("too many certificates"))
        }
        let attachments = payloads.filter { $0.encoding == .ocsp || $0.encoding == .revocationList }
        if !rawKeys.isEmpty, let key = try rawKey(payloads) {
            let scheme = try check(authentication, key, "raw public key", octets, agreedHashes)
            let facts = PeerCertificate(
                chain: ["a raw public key"], serial: "", ends: nil, key: key.kind.description,
                signature: scheme.description, revocation: .notChecked)
            return Trusted(chain: [], facts: facts, attachments: attachments)
        }
        let (leaf, helpers) = try certificates(payloads, identity)
        let chain: [Certificate]
        do throws(CertificateProblem) {
            chain = try trusted(leaf, helpers, at: moment)
            guard IdentityBinding.holds(identity, leaf) else {
                throw .wrongName(claimed: identity, subject: leaf.name, names: IdentityBinding.names(of: leaf))
            }
        } catch {
            throw .problem(error)
        }
        let scheme = try check(authentication, leaf.key, leaf.name, octets, agreedHashes)
        let facts = PeerCertificate(
            chain: chain.map(\.name), serial: Self.hex(leaf.serial), ends: leaf.validity.ends,
            key: leaf.key.kind.description, signature: scheme.description, revocation: .notChecked)
        return Trusted(chain: chain, facts: facts, attachments: attachments)
    }

    /// Checks the signature itself.
    private func check(
        _ authentication: AuthenticationPayload, _ key: PublicKey, _ name: String, _ octets: [UInt8],
        _ agreedHashes: Bool
    ) throws(Failure) -> SignatureScheme {
        guard let (scheme, signature) = SignatureChoice.read(authentication, key.kind) else { throw .method }
        guard validator.policy.allows(scheme, key.kind, allowsSHA1: !agreedHashes) else {
            throw .problem(
                .weakSignature(
                    subject: name, signature: "\(scheme) by \(key.kind)", wanted: validator.policy.wanted))
        }
        guard key.accepts(signature, over: octets, scheme) else { throw .falseProof }
        return scheme
    }

    /// The configured key that the peer sent, or the only one where it sent nothing; nil when it sent certificates.
    private func rawKey(_ payloads: [CertificatePayload]) throws(Failure) -> PublicKey? {
        let sent = payloads.filter { $0.encoding == .rawPublicKey }
        if sent.isEmpty {
            return payloads.contains { $0.encoding == .x509Signature } ? nil : rawKeys.count == 1 ? rawKeys.first : nil
        }
        let known = rawKeys.first { key in sent.contains { $0.data == key.info } }
        guard let known else { throw .problem(.notConfigured(subject: "the peer's raw public key")) }
        return known
    }

    /// The peer's certificate and those that help; one that we have where it sent none.
    private func certificates(
        _ payloads: [CertificatePayload], _ identity: Identity
    ) throws(Failure) -> (Certificate, [Certificate]) {
        let sent = payloads.filter { $0.encoding == .x509Signature }
        guard let first = sent.first else {
            if let known = pinned.first(where: { IdentityBinding.holds(identity, $0) }) { return (known, []) }
            throw .problem(.none)
        }
        let leaf: Certificate
        do throws(TrustError) {
            leaf = try Certificate(der: first.data)
        } catch {
            throw .problem(.malformed(error.description))
        }
        // What only helps, and can't be read, does not help.
        return (leaf, sent.dropFirst().compactMap { try? Certificate(der: $0.data) })
    }

    private func trusted(
        _ leaf: Certificate, _ helpers: [Certificate], at moment: Int64
    ) throws(CertificateProblem) -> [Certificate] {
        if !pinned.isEmpty {
            guard pinned.contains(leaf) else { throw .notConfigured(subject: leaf.name) }
            // It was put here by hand: nobody needs to vouch for it. Its own limits hold.
            try ChainValidator.checkTime(leaf, moment)
            try ChainValidator.checkUsage(leaf)
            try validator.policy.check([leaf])
            return [leaf]
        }
        let chain = try validator.chain(of: leaf, helpers: helpers, at: moment)
        if let authority {
            let names = chain.dropFirst().compactMap(\.subject).map { Identity($0) }
            guard names.contains(where: authority.matches) else {
                throw .untrustedIssuer(subject: leaf.name, issuer: leaf.issuerName)
            }
        }
        return chain
    }

    private static func hex(_ octets: [UInt8]) -> String {
        octets.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}
