public import IPsecCrypto

/// One way to sign with a key.
public enum SignatureScheme: Hashable, Sendable {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2).
    case rsaPKCS1(HashFunction)
    /// RSASSA-PSS (RFC 8017 §8.1), with a salt of so many octets.
    case rsaPSS(HashFunction, mask: HashFunction, salt: Int)
    /// ECDSA, r and s one after the other, each as long as the curve's order (RFC 4754).
    case ecdsaPlain(HashFunction)
    /// ECDSA, r and s in DER (RFC 7427, RFC 3279).
    case ecdsaDER(HashFunction)
    /// Ed25519 or Ed448, whichever the key is (RFC 8420).
    case eddsa

    /// RSASSA-PSS as RFC 7427 recommends it: the same hash for the mask, a salt as long as the hash.
    public static func rsaPSS(_ hash: HashFunction) -> SignatureScheme {
        .rsaPSS(hash, mask: hash, salt: hash.outputLength)
    }

    /// The hash; nil where the scheme has its own.
    public var hash: HashFunction? {
        switch self {
        case .rsaPKCS1(let hash), .rsaPSS(let hash, _, _), .ecdsaPlain(let hash), .ecdsaDER(let hash): hash
        case .eddsa: nil
        }
    }

    /// Whether keys of this kind can sign so.
    public func suits(_ kind: KeyKind) -> Bool {
        switch self {
        case .rsaPKCS1, .rsaPSS: if case .rsa = kind { true } else { false }
        case .ecdsaPlain, .ecdsaDER: kind.isECDSA
        case .eddsa: kind == .ed25519 || kind == .ed448
        }
    }
}

extension SignatureScheme: CustomStringConvertible {
    /// `RSA-PSS with SHA-256`.
    public var description: String {
        switch self {
        case .rsaPKCS1(let hash): "RSA PKCS #1 with \(hash.readableName)"
        case .rsaPSS(let hash, let mask, let salt):
            "RSA-PSS with \(hash.readableName)"
                + (mask == hash && salt == hash.outputLength ? "" : " (mask \(mask.readableName), salt \(salt))")
        case .ecdsaPlain(let hash), .ecdsaDER(let hash): "ECDSA with \(hash.readableName)"
        case .eddsa: "EdDSA"
        }
    }
}

extension HashFunction {
    /// `SHA-256`.
    var readableName: String {
        switch self {
        case .md5: "MD5"
        case .sha1: "SHA-1"
        case .sha256: "SHA-256"
        case .sha384: "SHA-384"
        case .sha512: "SHA-512"
        }
    }

    /// The hash whose output has so many bits.
    init?(bits: Int32) {
        switch bits {
        case 160: self = .sha1
        case 256: self = .sha256
        case 384: self = .sha384
        case 512: self = .sha512
        default: return nil
        }
    }
}
