public import IPsecCrypto

/// The AlgorithmIdentifiers in DER that IKE names signatures by: before a signature (RFC 7427 §3), and where an end says
/// which it takes (RFC 9593 §3.2.3).
///
/// It owns the octets that we write (RFC 7427 appendix A, RFC 8420 appendix A). It reads none: there is more than one way
/// to write some of them, and libcrypto knows them all.
public enum SignatureIdentifier: Hashable, Sendable {
    /// RSASSA-PKCS1-v1_5.
    case rsaPKCS1(HashFunction)
    /// RSASSA-PSS with the same hash for the mask and a salt as long as the hash.
    case rsaPSS(HashFunction)
    /// ECDSA on any curve, r and s in DER.
    case ecdsa(HashFunction)
    /// Ed25519.
    case ed25519
    /// Ed448.
    case ed448

    /// The octets; nil for a hash that has none.
    public var der: [UInt8]? {
        switch self {
        case .rsaPKCS1(let hash): Self.rsa[hash]
        case .rsaPSS(let hash): Self.pss[hash]
        case .ecdsa(let hash): Self.ecdsa[hash]
        case .ed25519: [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70]
        case .ed448: [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71]
        }
    }

    /// `sha1WithRSAEncryption` and its siblings, 1.2.840.113549.1.1.x with a NULL.
    private static let rsa: [HashFunction: [UInt8]] = [
        .sha1: rsaNumber(5), .sha256: rsaNumber(11), .sha384: rsaNumber(12), .sha512: rsaNumber(13),
    ]

    private static func rsaNumber(_ last: UInt8) -> [UInt8] {
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last, 0x05, 0x00]
    }

    /// `ecdsa-with-SHA1` (1.2.840.10045.4.1) and `ecdsa-with-SHA256` (…4.3.2) and its siblings, without parameters.
    private static let ecdsa: [HashFunction: [UInt8]] = [
        .sha1: [0x30, 0x09, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01], .sha256: ecdsaNumber(2),
        .sha384: ecdsaNumber(3), .sha512: ecdsaNumber(4),
    ]

    private static func ecdsaNumber(_ last: UInt8) -> [UInt8] {
        [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last]
    }

    /// `id-RSASSA-PSS` with its parameters: the hash, MGF1 with the same hash, a salt as long as the hash.
    private static let pss: [HashFunction: [UInt8]] = [
        .sha256: pssNumber(1, salt: 32), .sha384: pssNumber(2, salt: 48), .sha512: pssNumber(3, salt: 64),
    ]

    private static func pssNumber(_ last: UInt8, salt: UInt8) -> [UInt8] {
        let hash: [UInt8] = [0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last, 0x05, 0x00]
        let mask: [UInt8] = [0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08] + hash
        let head: [UInt8] = [0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x34]
        return head + [0xa0, 0x0f] + hash + [0xa1, 0x1c] + mask + [0xa2, 0x03, 0x02, 0x01, salt]
    }
}
