public import GatewayModel
import IPsecCrypto

/// Whether keys and signatures are good enough for a round's ``SignatureRules``.
///
/// It owns the comparison and the defaults: RSA from 2048 bits on, curves from 256 bits on, no SHA-1 and no MD5.
public struct SignaturePolicy: Sendable {
    private let rules: SignatureRules

    /// The smallest RSA key that is good enough where no rule says otherwise.
    public static let smallestRSA = 2048
    /// The same for curves.
    public static let smallestCurve = 256

    /// The policy of a round.
    public init(_ rules: SignatureRules) { self.rules = rules }

    /// Whether a proof in IKE_AUTH may be signed so. SHA-1 only where `allowsSHA1` says that nothing better was agreed on
    /// (method 1 without RFC 7427), and no rule names other hashes.
    public func allows(_ scheme: SignatureScheme, _ kind: KeyKind, allowsSHA1: Bool = false) -> Bool {
        let rules = rules.signatures
        if rules.isEmpty { return Self.isStrong(kind) && Self.isStrong(scheme.hash, allowsSHA1) }
        return rules.contains { rule in
            guard Self.covers(rule, kind), Self.covers(rule, scheme), kind.bits >= Self.minimum(rule, kind) else {
                return false
            }
            guard let hash = scheme.hash else { return true }
            return rule.hashes.isEmpty ? Self.isStrong(hash, allowsSHA1) : rule.hashes.contains(hash)
        }
    }

    /// Checks the keys of a chain, and the signatures in it but for the anchor's own.
    public func check(_ chain: [Certificate]) throws(CertificateProblem) {
        for (index, certificate) in chain.enumerated() {
            let kind = certificate.key.kind
            let fitting = rules.chain.filter { Self.covers($0, kind) }
            let keyIsGood =
                if fitting.isEmpty {
                    // Rules for one kind of key bind the peer's own; its authorities may have another kind.
                    Self.isStrong(kind) && (index > 0 || rules.chain.isEmpty)
                } else {
                    fitting.contains { kind.bits >= Self.minimum($0, kind) }
                }
            guard keyIsGood else {
                throw .weakKey(subject: certificate.name, key: kind.description, wanted: wanted)
            }
            guard index + 1 < chain.count, certificate.signatureBits > 0 else { continue }
            let hash = HashFunction(bits: Int32(clamping: certificate.signatureBits))
            let named = rules.chain.flatMap(\.hashes)
            let hashIsGood =
                named.isEmpty ? Self.isStrong(hash, false) && hash != nil : hash.map(named.contains) ?? false
            guard hashIsGood else {
                throw .weakSignature(
                    subject: certificate.name, signature: "a hash of \(certificate.signatureBits) bits", wanted: wanted)
            }
        }
    }

    /// libcrypto's security level for chains: what it refuses by itself. Rules that name something weak lower it.
    var level: Int32 {
        let isWeak = rules.chain.contains { rule in
            rule.hashes.contains(.sha1) || rule.minimumBits > 0 && rule.minimumBits < 224
                || (rule.scheme == .rsa || rule.scheme == .rsaPSS) && rule.minimumBits > 0
                    && rule.minimumBits < Self.smallestRSA
        }
        return isWeak ? 0 : 2
    }

    /// What is asked for, in words.
    public var wanted: String {
        rules.chain.isEmpty && rules.exchange.isEmpty
            ? "RSA from \(Self.smallestRSA) bits, curves from \(Self.smallestCurve) bits, SHA-256 or better"
            : rules.description
    }

    private static func minimum(_ rule: SignatureRules.Rule, _ kind: KeyKind) -> Int {
        if rule.minimumBits > 0, rule.scheme != .any { return rule.minimumBits }
        if case .rsa = kind { return smallestRSA }
        return smallestCurve
    }

    private static func isStrong(_ kind: KeyKind) -> Bool {
        if case .rsa(let bits) = kind { bits >= smallestRSA } else { kind.bits >= smallestCurve }
    }

    private static func isStrong(_ hash: HashFunction?, _ allowsSHA1: Bool) -> Bool {
        switch hash {
        case .md5?: false
        case .sha1?: allowsSHA1
        default: true
        }
    }

    /// Whether a rule is about keys of this kind.
    private static func covers(_ rule: SignatureRules.Rule, _ kind: KeyKind) -> Bool {
        switch rule.scheme {
        case .any: true
        case .rsa, .rsaPSS: if case .rsa = kind { true } else { false }
        case .ecdsa: kind.isECDSA
        case .ed25519: kind == .ed25519
        case .ed448: kind == .ed448
        }
    }

    private static func covers(_ rule: SignatureRules.Rule, _ scheme: SignatureScheme) -> Bool {
        guard rule.scheme == .rsaPSS else { return true }
        if case .rsaPSS = scheme { return true }
        return false
    }
}
