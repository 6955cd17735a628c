import CTrust
public import WireFormat

/// A private key that signs and is never seen.
///
/// It owns libcrypto's form of the key, which is wiped when this object goes. It gives out signatures and the public half,
/// nothing else, except to ``pem(password:)``, which makes a file of it.
@safe
public final class PrivateKey: @unchecked Sendable {
    // `@unchecked`: libcrypto's key is never changed once made, and its reference count is atomic.
    let key: OpaquePointer
    /// The public half.
    public let publicKey: PublicKey

    /// The key in a file: PEM or DER; PKCS #8, encrypted too, or the older forms of RSA and EC keys. The caller's octets
    /// remain the caller's to forget.
    public convenience init(file: SecretBytes, password: SecretBytes? = nil) throws(TrustError) {
        var outcome: Int32 = 0
        let read = unsafe file.lend { octets, count -> OpaquePointer? in
            guard let password else { return unsafe martlet_private_key(octets, count, nil, 0, &outcome) }
            return unsafe password.lend { word, length in
                // Both are read during the call only.
                unsafe martlet_private_key(octets, count, word, length, &outcome)
            }
        }
        guard let read = unsafe read else { throw Self.error(outcome, else: .noPrivateKey) }
        try unsafe self.init(adopting: read)
    }

    /// A new key. RSA takes from 100 ms to seconds.
    public convenience init(generating kind: KeyKind) throws(TrustError) {
        let number =
            switch kind {
            case .rsa: MARTLET_KEY_RSA
            case .p256: MARTLET_KEY_P256
            case .p384: MARTLET_KEY_P384
            case .p521: MARTLET_KEY_P521
            case .ed25519: MARTLET_KEY_ED25519
            case .ed448: MARTLET_KEY_ED448
            case .curve: MARTLET_KEY_OTHER
            }
        guard let made = unsafe martlet_pkey_generate(Int32(number), Int32(clamping: kind.bits)) else {
            throw .unsupportedKey
        }
        try unsafe self.init(adopting: made)
    }

    /// Takes over libcrypto's key.
    init(adopting key: OpaquePointer) throws(TrustError) {
        // libcrypto has one object for both halves; the public one gets a copy of its own.
        let info = unsafe LibraryBytes.written { out, room in unsafe martlet_pkey_info(key, out, room) }
        do throws(TrustError) {
            publicKey = try PublicKey(file: info ?? [])
        } catch {
            unsafe martlet_pkey_free(key)
            throw .unsupportedKey
        }
        unsafe self.key = key
    }

    deinit {
        // Made or taken over by `init`; libcrypto wipes what is secret in it.
        unsafe martlet_pkey_free(key)
    }

    static func error(_ outcome: Int32, else other: TrustError) -> TrustError {
        switch outcome {
        case Int32(MARTLET_READ_NEEDS_PASSWORD): .needsPassword
        case Int32(MARTLET_READ_WRONG_PASSWORD): .wrongPassword
        default: other
        }
    }

    /// A signature over `message`; nil for a scheme that does not suit the key. RSA takes milliseconds.
    public func signature(over message: [UInt8], _ scheme: SignatureScheme) -> [UInt8]? {
        guard scheme.suits(publicKey.kind) else { return nil }
        let form = LibraryScheme(scheme)
        let (done, signature) = unsafe LibraryBytes.filled(room: 4096) { out, length in
            unsafe message.lend { text, count in
                // Reads the message during the call only.
                unsafe martlet_sign(
                    key, form.hash, form.padding, form.mask, form.salt, text, count, out, &length)
            }
        }
        guard done == 1 else { return nil }
        if case .ecdsaPlain = scheme { return Self.split(signature, part: publicKey.kind.orderLength) }
        return signature
    }

    /// The key as PKCS #8 in PEM, encrypted with AES-256 when there is a password; nil when libcrypto refuses.
    public func pem(password: SecretBytes? = nil) -> SecretBytes? {
        var length = 0
        let text = SecretBytes(count: 32_768) { span in
            unsafe span.withUnsafeMutableBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                let room = buffer.count
                guard let password else {
                    unsafe length = martlet_pkey_pem(key, nil, 0, base, room)
                    return
                }
                unsafe password.lend { word, count in
                    // Writes no more than the room.
                    unsafe length = martlet_pkey_pem(key, word, count, base, room)
                }
            }
        }
        return length > 0 ? text.slice(0..<length) : nil
    }

    /// DER as r and s of equal length (RFC 4754 §7).
    private static func split(_ der: [UInt8], part: Int) -> [UInt8]? {
        var plain = [UInt8](repeating: 0, count: 2 * part)
        let done = unsafe der.lend { octets, count in
            unsafe plain.withUnsafeMutableBufferPointer { buffer -> Int32 in
                guard let base = buffer.baseAddress else { return 0 }
                // Writes twice `part` octets.
                return unsafe martlet_ecdsa_split(octets, count, base, part)
            }
        }
        return done == 1 ? plain : nil
    }
}
