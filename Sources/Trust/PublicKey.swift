import CTrust
import IPsecCrypto

/// A public key, and what can be checked with it.
///
/// It owns libcrypto's form of the key. It never decides whether the key may be believed.
@safe
public final class PublicKey: @unchecked Sendable {
    // `@unchecked`: libcrypto's key is never changed once made, and its reference count is atomic.
    let key: OpaquePointer
    /// What kind of key it is.
    public let kind: KeyKind
    /// The DER of its SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
    public let info: [UInt8]

    /// The key in a file: a SubjectPublicKeyInfo in PEM or DER.
    public convenience init(file: [UInt8]) throws(TrustError) {
        let read = unsafe file.lend { octets, count in unsafe martlet_public_key(octets, count) }
        guard let read = unsafe read else { throw .noPublicKey }
        try unsafe self.init(adopting: read)
    }

    /// Takes over libcrypto's key.
    init(adopting key: OpaquePointer) throws(TrustError) {
        var bits: Int32 = 0
        let number = unsafe martlet_pkey_kind(key, &bits)
        let info = unsafe LibraryBytes.written { out, room in unsafe martlet_pkey_info(key, out, room) }
        guard let kind = KeyKind(library: number, bits: Int(bits)), let info else {
            unsafe martlet_pkey_free(key)
            throw .unsupportedKey
        }
        unsafe self.key = key
        self.kind = kind
        self.info = info
    }

    deinit {
        // Made or taken over by `init`.
        unsafe martlet_pkey_free(key)
    }

    /// The SHA-1 hash of the SubjectPublicKeyInfo, 20 octets: how CERTREQ names an authority (RFC 7296 §3.7).
    public var identifier: [UInt8] { Digest.sha1([info]) }

    /// The SHA-1 hash of the key's bits alone, 20 octets: its usual name elsewhere (RFC 5280 §4.2.1.2, method 1), and how
    /// control clients name private keys.
    public var subjectKeyIdentifier: [UInt8] {
        let bits = unsafe LibraryBytes.written { out, room in unsafe martlet_pkey_bits(key, out, room) }
        return Digest.sha1([bits ?? []])
    }

    /// Whether `signature` is this key's over `message`. False for a scheme that does not suit the key.
    public func accepts(_ signature: [UInt8], over message: [UInt8], _ scheme: SignatureScheme) -> Bool {
        guard scheme.suits(kind), signature.count <= 4096 else { return false }
        var encoded = signature
        if case .ecdsaPlain = scheme {
            guard let joined = Self.joined(signature, part: kind.orderLength) else { return false }
            encoded = joined
        }
        let form = LibraryScheme(scheme)
        return unsafe message.lend { text, count in
            unsafe encoded.lend { octets, length in
                // Both are read during the call only.
                unsafe martlet_verify(
                    key, form.hash, form.padding, form.mask, form.salt, text, count, octets, length) == 1
            }
        }
    }

    /// r and s of equal length (RFC 4754 §7) as DER; nil when their length is wrong.
    private static func joined(_ plain: [UInt8], part: Int) -> [UInt8]? {
        guard plain.count == 2 * part else { return nil }
        var room = [UInt8](repeating: 0, count: 2 * part + 16)
        let length = unsafe plain.lend { octets, _ in
            unsafe room.withUnsafeMutableBufferPointer { buffer -> Int in
                guard let base = buffer.baseAddress else { return 0 }
                // Reads twice `part` octets, writes no more than the room.
                return unsafe martlet_ecdsa_join(octets, part, base, buffer.count)
            }
        }
        return length > 0 ? Array(room.prefix(length)) : nil
    }
}

extension KeyKind {
    /// Octets of a curve's order: of r and of s.
    var orderLength: Int { (bits + 7) / 8 }
}

/// A scheme as the shim takes it.
struct LibraryScheme {
    let hash: String?
    let padding: Int32
    let mask: String?
    let salt: Int32

    init(_ scheme: SignatureScheme) {
        hash = scheme.hash?.rawValue
        switch scheme {
        case .rsaPKCS1:
            (padding, mask, salt) = (Int32(MARTLET_PADDING_PKCS1), nil, 0)
        case .rsaPSS(_, let mask, let salt):
            (padding, self.mask, self.salt) = (Int32(MARTLET_PADDING_PSS), mask.rawValue, Int32(clamping: salt))
        case .ecdsaPlain, .ecdsaDER, .eddsa:
            (padding, mask, salt) = (Int32(MARTLET_PADDING_NONE), nil, 0)
        }
    }
}
