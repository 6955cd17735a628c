import CTrust
import IKEMessages
import IPsecCrypto

/// The AlgorithmIdentifier in front of a signature of AUTH method 14 (RFC 7427 §3).
///
/// What we write is in ``SignatureIdentifier``; what a peer writes is read by libcrypto.
public enum AlgorithmIdentifier {
    /// The DER for a scheme; nil for those that method 14 has no identifier for.
    public static func der(_ scheme: SignatureScheme, _ kind: KeyKind) -> [UInt8]? {
        switch scheme {
        case .rsaPKCS1(let hash): SignatureIdentifier.rsaPKCS1(hash).der
        case .ecdsaDER(let hash): SignatureIdentifier.ecdsa(hash).der
        case .rsaPSS(let hash, let mask, let salt):
            mask == hash && salt == hash.outputLength ? SignatureIdentifier.rsaPSS(hash).der : nil
        case .eddsa:
            switch kind {
            case .ed25519: SignatureIdentifier.ed25519.der
            case .ed448: SignatureIdentifier.ed448.der
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
}
