import CTrust
public import GatewayModel
import IPsecCrypto

/// Builds and checks the chain from a certificate to an authority that is trusted (RFC 5280 §6, by libcrypto).
///
/// It owns what IKE asks beyond that (RFC 4945 §5.1.3): key usage and purpose. It looks at no clock: the moment comes in.
/// It never asks whether something is revoked: ``RevocationCheck`` does, when the chain is trusted.
public struct ChainValidator: Sendable {
    /// The authorities that are trusted.
    public var anchors: [Certificate]
    /// Certificate policies, one of which the chain must have; empty for any.
    public var policies: [String]
    /// How strong keys and signatures must be.
    public var policy: SignaturePolicy

    /// Certificates that a peer may send to help: more would only cost time.
    public static let mostHelpers = 16

    /// A validator.
    public init(anchors: [Certificate], policies: [String] = [], policy: SignaturePolicy) {
        self.anchors = anchors
        self.policies = policies
        self.policy = policy
    }

    /// The chain of `leaf`, itself first, the trusted authority last; `moment` is in seconds since 1970.
    public func chain(
        of leaf: Certificate, helpers: [Certificate], at moment: Int64
    ) throws(CertificateProblem) -> [Certificate] {
        try Self.checkUsage(leaf)
        let helpers = Array(helpers.prefix(Self.mostHelpers))
        guard let anchorList = CertificateList(anchors), let helperList = CertificateList(helpers) else {
            throw .invalid(subject: leaf.name, reason: "out of memory")
        }
        var found: OpaquePointer?
        var depth: Int32 = 0
        let wanted = policies.isEmpty ? nil : policies.joined(separator: ",")
        // All lists live until after the call, which changes none.
        let result = unsafe martlet_chain_check(
            leaf.library, helperList.list, anchorList.list, moment, wanted, policy.level, &found, &depth)
        guard result == X509_V_OK, let found = unsafe found else {
            throw problem(result, depth, leaf, helpers)
        }
        let chain: [Certificate]
        do throws(TrustError) {
            chain = try unsafe CertificateList(adopting: found).certificates()
        } catch {
            throw .malformed(error.description)
        }
        try policy.check(chain)
        return chain
    }

    /// Purposes for which an IKE peer's certificate may be made, if it names any: any at all, a TLS server or client (what
    /// Windows, Apple and Android ask for), IPsec's own (RFC 4945 §5.1.3.12) and its forerunner.
    static let purposes: Set<String> = [
        "2.5.29.37.0", "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.17", "1.3.6.1.5.5.8.2.2",
        "1.3.6.1.5.5.7.3.5", "1.3.6.1.5.5.7.3.6", "1.3.6.1.5.5.7.3.7",
    ]

    /// Whether the certificate's key may sign IKE's proofs.
    static func checkUsage(_ leaf: Certificate) throws(CertificateProblem) {
        if let usage = leaf.keyUsage, usage & 0xc0 == 0 { throw .keyMayNotSign(subject: leaf.name) }
        if let purposes = leaf.purposes, !purposes.contains(where: Self.purposes.contains) {
            throw .wrongPurpose(subject: leaf.name, has: purposes)
        }
    }

    /// Whether `certificate` holds at a moment.
    static func checkTime(_ certificate: Certificate, _ moment: Int64) throws(CertificateProblem) {
        if moment > certificate.validity.ends {
            throw .expired(subject: certificate.name, ended: certificate.validity.ends)
        }
        if moment < certificate.validity.begins {
            throw .notYetValid(subject: certificate.name, begins: certificate.validity.begins)
        }
    }

    /// libcrypto's result in our terms. `depth` counts from the leaf along a chain that it keeps to itself: who stands
    /// there is found again by issuers' names.
    private func problem(
        _ result: Int32, _ depth: Int32, _ leaf: Certificate, _ helpers: [Certificate]
    ) -> CertificateProblem {
        var culprit = leaf
        for _ in 0..<max(0, min(depth, 10)) {
            guard let issuer = culprit.issuer else { break }
            let next = (helpers + anchors).first { other in
                other != culprit && other.subject.map { $0.isSame(as: issuer) } == true
            }
            guard let next else { break }
            culprit = next
        }
        let name = culprit.name
        switch result {
        case X509_V_ERR_CERT_HAS_EXPIRED: return .expired(subject: name, ended: culprit.validity.ends)
        case X509_V_ERR_CERT_NOT_YET_VALID: return .notYetValid(subject: name, begins: culprit.validity.begins)
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_CERT_UNTRUSTED, X509_V_ERR_AKID_SKID_MISMATCH,
            X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH:
            return .untrustedIssuer(subject: name, issuer: culprit.issuerName)
        case X509_V_ERR_CERT_SIGNATURE_FAILURE: return .falseSignature(subject: name)
        case X509_V_ERR_INVALID_CA, X509_V_ERR_KEYUSAGE_NO_CERTSIGN: return .issuerIsNoAuthority(subject: name)
        case X509_V_ERR_PATH_LENGTH_EXCEEDED, X509_V_ERR_CERT_CHAIN_TOO_LONG: return .pathTooLong(subject: name)
        case X509_V_ERR_PERMITTED_VIOLATION, X509_V_ERR_EXCLUDED_VIOLATION, X509_V_ERR_SUBTREE_MINMAX,
            X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE, X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX,
            X509_V_ERR_UNSUPPORTED_NAME_SYNTAX:
            return .forbiddenName(subject: name)
        case X509_V_ERR_NO_EXPLICIT_POLICY, X509_V_ERR_INVALID_POLICY_EXTENSION:
            return .wrongPolicy(subject: name, wanted: policies)
        case X509_V_ERR_EE_KEY_TOO_SMALL, X509_V_ERR_CA_KEY_TOO_SMALL:
            return .weakKey(subject: name, key: culprit.key.kind.description, wanted: policy.wanted)
        case X509_V_ERR_CA_MD_TOO_WEAK:
            return .weakSignature(
                subject: name, signature: "a hash of \(culprit.signatureBits) bits", wanted: policy.wanted)
        default:
            // libcrypto's words are a constant that ends in a zero octet.
            return .invalid(subject: name, reason: unsafe String(cString: martlet_chain_words(result)))
        }
    }
}
