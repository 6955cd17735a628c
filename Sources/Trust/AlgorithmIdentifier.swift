import CTrust
import IPsecCrypto

/// The AlgorithmIdentifier in front of a signature of AUTH method 14 (RFC 7427 §3).
///
/// It owns the octets that we write (RFC 7427 appendix A, RFC 8420 appendix A); what a peer writes is read by libcrypto.
public enum AlgorithmIdentifier {
    /// The DER for a scheme; nil for those that method 14 has no identifier for.
    public static func der(_ scheme: SignatureScheme, _ kind: KeyKind) -> [UInt8]? {
        switch scheme {
        case .rsaPKCS1(let hash): rsa[hash]
        case .ecdsaDER(let hash): ecdsa[hash]
        case .rsaPSS(let hash, let mask, let salt):
            mask == hash && salt == hash.outputLength ? pss[hash] : nil
        case .eddsa:
            switch kind {
            case .ed25519: [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70]
            case .ed448: [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71]
            default: nil
            }
        case .ecdsaPlain: nil
        }
    }

    /// The scheme that an identifier names, for a key of this kind; nil when it is not understood or does not suit it.
    public static func scheme(_ der: [UInt8], _ kind: KeyKind) -> SignatureScheme? {
        var (number, bits, maskBits, salt): (Int32, Int32, Int32, Int32) = (0, 0, 0, 0)
        let length = unsafe der.lend { octets, count in
            // Read during the call only.
            unsafe martlet_algorithm_read(octets, count, &number, &bits, &maskBits, &salt)
        }
        guard length == der.count, length > 0 else { return nil }
        let scheme: SignatureScheme?
        switch number {
        case 1: scheme = HashFunction(bits: bits).map { .rsaPKCS1($0) }
        case 2:
            guard let hash = HashFunction(bits: bits), let mask = HashFunction(bits: maskBits) else { return nil }
            scheme = .rsaPSS(hash, mask: mask, salt: Int(salt))
        case 3: scheme = HashFunction(bits: bits).map { .ecdsaDER($0) }
        case 4: scheme = kind == .ed25519 ? .eddsa : nil
        case 5: scheme = kind == .ed448 ? .eddsa : nil
        default: scheme = nil
        }
        guard let scheme, scheme.suits(kind) else { return nil }
        return scheme
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
