public import IPsecCrypto

/// Which keys and signatures are good enough: swanctl's `auth = rsa-3072-sha256-ecdsa-256`.
///
/// It owns the rules of one authentication round, for signatures in IKE_AUTH and for those in certificates. It never
/// looks at a key itself. Without rules the defaults hold: RSA from 2048 bits on, curves from 256 bits on, no SHA-1.
public struct SignatureRules: Hashable, Sendable {
    /// A kind of key with a way to sign.
    public enum Scheme: String, Hashable, Sendable {
        /// Any.
        case any = "pubkey"
        /// RSA, whichever padding.
        case rsa
        /// RSA with RSASSA-PSS.
        case rsaPSS = "rsa/pss"
        /// ECDSA on any curve.
        case ecdsa
        /// Ed25519 (RFC 8420).
        case ed25519
        /// Ed448 (RFC 8420).
        case ed448
    }

    /// One alternative: a scheme, the smallest key, the hashes.
    public struct Rule: Hashable, Sendable {
        /// The scheme.
        public var scheme: Scheme
        /// The smallest key in bits; zero for the default's.
        public var minimumBits: Int
        /// The hashes that may be used; empty for any but SHA-1.
        public var hashes: [HashFunction]

        /// One alternative.
        public init(_ scheme: Scheme, minimumBits: Int = 0, hashes: [HashFunction] = []) {
            self.scheme = scheme
            self.minimumBits = minimumBits
            self.hashes = hashes
        }
    }

    /// What holds for certificates, and for signatures in IKE_AUTH when ``exchange`` is empty; empty for the defaults.
    public var chain: [Rule]
    /// What holds for signatures in IKE_AUTH (`ike:rsa/pss-sha256`).
    public var exchange: [Rule]

    /// Rules; none for the defaults.
    public init(chain: [Rule] = [], exchange: [Rule] = []) {
        self.chain = chain
        self.exchange = exchange
    }

    /// The rules for signatures in IKE_AUTH.
    public var signatures: [Rule] { exchange.isEmpty ? chain : exchange }

    /// As a configuration writes them.
    public var description: String {
        let words =
            chain.map { Self.text($0) } + exchange.map { "ike:" + Self.text($0) }
        return words.isEmpty ? "pubkey" : words.joined(separator: "-")
    }

    private static func text(_ rule: Rule) -> String {
        ([rule.scheme.rawValue] + (rule.minimumBits > 0 ? [String(rule.minimumBits)] : [])
            + rule.hashes.map { hash in
                switch hash {
                case .md5: "md5"
                case .sha1: "sha1"
                case .sha256: "sha256"
                case .sha384: "sha384"
                case .sha512: "sha512"
                }
            }).joined(separator: "-")
    }
}

extension SignatureRules: CustomStringConvertible {}
