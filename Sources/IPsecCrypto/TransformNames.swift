extension TransformType: CustomStringConvertible {
    /// What the field calls the type in a sentence; for an unknown one, its number.
    public var description: String {
        switch self {
        case .encryption: "encryption"
        case .prf: "PRF"
        case .integrity: "integrity"
        case .keyExchange: "key exchange"
        case .sequenceNumbers: "sequence numbers"
        case _ where additionalKeyExchange != nil: "additional key exchange \(additionalKeyExchange ?? 0)"
        default: "transform type \(rawValue)"
        }
    }

    /// The short form that stands before a number: IANA's prefix.
    fileprivate var prefix: String {
        switch self {
        case .encryption: "ENCR"
        case .prf: "PRF"
        case .integrity: "AUTH"
        case .keyExchange: "KE"
        case .sequenceNumbers: "ESN"
        case _ where additionalKeyExchange != nil: "KE\(additionalKeyExchange ?? 0)"
        default: "TYPE\(rawValue)"
        }
    }
}

extension Transform: CustomStringConvertible {
    /// Its canonical keyword, as in swanctl.conf; for one that Martlet does not have, its numbers (`ENCR#23_128`).
    public var description: String {
        guard let keyword = AlgorithmRegistry.algorithm(for: self)?.keyword else { return numbers }
        return type.additionalKeyExchange.map { "ke\($0)_\(keyword)" } ?? keyword
    }

    /// What status output and VICI call it, without the key length (`AES_CBC`); else its numbers.
    public var displayName: String { AlgorithmRegistry.algorithm(for: self)?.displayName ?? numbers }

    /// The same with the key length in bits where there is one: `AES_CBC-128`.
    public var displayNameWithKeyLength: String {
        guard let keyBits, AlgorithmRegistry.algorithm(for: self) != nil else { return displayName }
        return "\(displayName)-\(keyBits)"
    }

    private var numbers: String { "\(type.prefix)#\(id)" + (keyBits.map { "_\($0)" } ?? "") }
}

/// The algorithms that code names; a configuration may name every other one.
extension Transform {
    /// AES-CBC, 128 bits.
    public static let aes128 = Self(.encryption, 12, keyBits: 128)
    /// AES-CBC, 256 bits.
    public static let aes256 = Self(.encryption, 12, keyBits: 256)
    /// AES-GCM with a tag of 16 octets, 128 bits.
    public static let aes128gcm16 = Self(.encryption, 20, keyBits: 128)
    /// AES-GCM with a tag of 16 octets, 256 bits.
    public static let aes256gcm16 = Self(.encryption, 20, keyBits: 256)
    /// ChaCha20-Poly1305.
    public static let chacha20poly1305 = Self(.encryption, 28)
    /// No encryption.
    public static let nullEncryption = Self(.encryption, 11)
    /// HMAC-SHA1-96.
    public static let sha1 = Self(.integrity, 2)
    /// HMAC-SHA2-256-128.
    public static let sha256 = Self(.integrity, 12)
    /// HMAC-SHA2-256 cut to 96 bits: what a child with `sha256_96` uses in place of the negotiated ``sha256``. The number
    /// is from the range for private use.
    public static let sha256Truncated96 = Self(.integrity, 1026)
    /// HMAC-SHA2-384-192.
    public static let sha384 = Self(.integrity, 13)
    /// HMAC-SHA2-512-256.
    public static let sha512 = Self(.integrity, 14)
    /// PRF HMAC-SHA1.
    public static let prfsha1 = Self(.prf, 2)
    /// PRF HMAC-SHA2-256.
    public static let prfsha256 = Self(.prf, 5)
    /// PRF HMAC-SHA2-384.
    public static let prfsha384 = Self(.prf, 6)
    /// PRF HMAC-SHA2-512.
    public static let prfsha512 = Self(.prf, 7)
    /// X25519.
    public static let x25519 = Self(.keyExchange, 31)
    /// NIST P-256.
    public static let ecp256 = Self(.keyExchange, 19)
    /// NIST P-384.
    public static let ecp384 = Self(.keyExchange, 20)
    /// NIST P-521.
    public static let ecp521 = Self(.keyExchange, 21)
    /// The 2048-bit group of RFC 3526.
    public static let modp2048 = Self(.keyExchange, 14)
    /// The 3072-bit group of RFC 3526.
    public static let modp3072 = Self(.keyExchange, 15)
    /// The 4096-bit group of RFC 3526.
    public static let modp4096 = Self(.keyExchange, 16)
    /// No key exchange.
    public static let noKeyExchange = Self(.keyExchange, 0)
    /// Sequence numbers of 64 bits.
    public static let esn = Self(.sequenceNumbers, 1)
    /// Sequence numbers of 32 bits.
    public static let noesn = Self(.sequenceNumbers, 0)
}
