import CTrust

/// The kinds of keys that sign and are signed.
public enum KeyKind: Hashable, Sendable {
    /// RSA with so many bits.
    case rsa(bits: Int)
    /// The NIST curve P-256.
    case p256
    /// The NIST curve P-384.
    case p384
    /// The NIST curve P-521.
    case p521
    /// Another curve (Brainpool) of so many bits.
    case curve(bits: Int)
    /// Ed25519 (RFC 8032).
    case ed25519
    /// Ed448 (RFC 8032).
    case ed448

    init?(library number: Int32, bits: Int) {
        switch number {
        case Int32(MARTLET_KEY_RSA): self = .rsa(bits: bits)
        case Int32(MARTLET_KEY_P256): self = .p256
        case Int32(MARTLET_KEY_P384): self = .p384
        case Int32(MARTLET_KEY_P521): self = .p521
        case Int32(MARTLET_KEY_EC): self = .curve(bits: bits)
        case Int32(MARTLET_KEY_ED25519): self = .ed25519
        case Int32(MARTLET_KEY_ED448): self = .ed448
        default: return nil
        }
    }

    /// The size in bits: RSA's modulus, a curve's field.
    public var bits: Int {
        switch self {
        case .rsa(let bits), .curve(let bits): bits
        case .p256: 256
        case .p384: 384
        case .p521: 521
        case .ed25519: 256
        case .ed448: 448
        }
    }

    /// Whether it signs with ECDSA.
    public var isECDSA: Bool {
        switch self {
        case .p256, .p384, .p521, .curve: true
        case .rsa, .ed25519, .ed448: false
        }
    }
}

extension KeyKind: CustomStringConvertible {
    /// `RSA 3072`, `ECDSA P-256`.
    public var description: String {
        switch self {
        case .rsa(let bits): "RSA \(bits)"
        case .p256: "ECDSA P-256"
        case .p384: "ECDSA P-384"
        case .p521: "ECDSA P-521"
        case .curve(let bits): "ECDSA with \(bits) bits"
        case .ed25519: "Ed25519"
        case .ed448: "Ed448"
        }
    }
}
