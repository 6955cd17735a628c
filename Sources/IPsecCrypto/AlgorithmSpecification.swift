/// How an algorithm is carried out: sizes in octets, and the name by which libcrypto knows it.
///
/// It owns the facts about an algorithm that code needs; what configurations and logs call it is ``Algorithm``'s.
public enum AlgorithmSpecification: Hashable, Sendable {
    /// Encryption that needs an integrity algorithm beside it.
    case cipher(CipherSpecification)
    /// Encryption with integrity of its own (RFC 5116).
    case aead(AEADSpecification)
    /// A truncated HMAC over each packet.
    case integrity(IntegritySpecification)
    /// A pseudorandom function.
    case prf(PRFSpecification)
    /// A key exchange method.
    case keyExchange(KeyExchangeSpecification)
    /// Sequence numbers of 64 bits (true) or of 32.
    case sequenceNumbers(extended: Bool)
}

/// A cipher without integrity.
public struct CipherSpecification: Hashable, Sendable {
    /// How the cipher uses its block function.
    public enum Mode: Hashable, Sendable {
        /// Cipher block chaining (RFC 3602): the text is whole blocks.
        case cbc
        /// Counter mode (RFC 3686): the counter block is nonce, IV and a counter that starts at 1.
        case counter
        /// No encryption (RFC 2410).
        case null
    }

    /// libcrypto's name.
    public let library: String
    /// What it does with the block function.
    public let mode: Mode
    /// The key alone.
    public let keyLength: Int
    /// What follows the key in the keying material: the nonce of counter mode.
    public let saltLength: Int
    /// The IV in each packet.
    public let ivLength: Int
    /// What the text must be a multiple of.
    public let blockLength: Int
}

/// A cipher with integrity of its own.
public struct AEADSpecification: Hashable, Sendable {
    /// libcrypto's name.
    public let library: String
    /// Whether it is CCM, which must know the text's length before it starts.
    public let isCCM: Bool
    /// The key alone.
    public let keyLength: Int
    /// What follows the key in the keying material and opens every nonce.
    public let saltLength: Int
    /// The IV in each packet, the nonce's rest.
    public let ivLength: Int
    /// The tag in each packet.
    public let icvLength: Int
}

/// A hash function, as a MAC or a PRF builds on it.
public enum HashFunction: String, Hashable, Sendable, CaseIterable {
    /// SHA-1: only inside an HMAC, and where IKE's NAT detection demands it.
    case sha1 = "SHA1"
    /// SHA-256.
    case sha256 = "SHA2-256"
    /// SHA-384.
    case sha384 = "SHA2-384"
    /// SHA-512.
    case sha512 = "SHA2-512"

    /// Octets of its output.
    public var outputLength: Int {
        switch self {
        case .sha1: 20
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }
}

/// An HMAC truncated for packets (RFC 2404, RFC 4868).
public struct IntegritySpecification: Hashable, Sendable {
    /// The hash function inside.
    public let hash: HashFunction
    /// Octets of the ICV.
    public let icvLength: Int
    /// Octets of the key: as many as the hash puts out.
    public var keyLength: Int { hash.outputLength }
}

/// An HMAC as a pseudorandom function (RFC 2104, RFC 4868).
public struct PRFSpecification: Hashable, Sendable {
    /// The hash function inside.
    public let hash: HashFunction
    /// Octets of the key that IKE derives for it: as many as it puts out.
    public var keyLength: Int { hash.outputLength }
    /// Octets that it puts out.
    public var outputLength: Int { hash.outputLength }
}

/// A key exchange method.
public enum KeyExchangeSpecification: Hashable, Sendable {
    /// No key exchange.
    case none
    /// A safe-prime group of RFC 3526, by the bits of its modulus; the private exponent has `exponentLength` octets, at
    /// least twice the group's strength.
    case modp(bits: Int, library: String, exponentLength: Int)
    /// A curve of RFC 5903; a coordinate and the private scalar have `length` octets, the first of the scalar's holds
    /// as many bits as `topMask` lets through.
    case ecp(library: String, length: Int, topMask: UInt8)
    /// X25519 (RFC 8031).
    case x25519

    /// Octets of the public value in a KE payload.
    public var publicValueLength: Int {
        switch self {
        case .none: 0
        case .modp(let bits, _, _): bits / 8
        case .ecp(_, let length, _): 2 * length
        case .x25519: 32
        }
    }

    /// Octets of the shared secret.
    public var sharedSecretLength: Int {
        switch self {
        case .none: 0
        case .modp(let bits, _, _): bits / 8
        case .ecp(_, let length, _): length
        case .x25519: 32
        }
    }
}
