/// How an algorithm is carried out: sizes in octets, and the name by which libcrypto knows it.
///
/// It owns the facts about an algorithm that code needs; what configurations and logs call it is ``Algorithm``'s.
public enum AlgorithmSpecification: Hashable, Sendable {
    /// Encryption that needs an integrity algorithm beside it.
    case cipher(CipherSpecification)
    /// Encryption with integrity of its own (RFC 5116).
    case aead(AEADSpecification)
    /// A truncated MAC over each packet.
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

    /// The library's name for it.
    public let library: String
    /// Which library has it.
    public var provider: CipherProvider = .standard
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

/// Which library carries a cipher out.
public enum CipherProvider: Hashable, Sendable {
    /// libcrypto.
    case standard
    /// libcrypto's part for old algorithms, which is loaded when one of them is first asked for.
    case legacy
    /// nettle.
    case nettle
}

/// A cipher with integrity of its own.
public struct AEADSpecification: Hashable, Sendable {
    /// How it makes its tag.
    public enum Mode: Hashable, Sendable {
        /// As it goes along: GCM (RFC 4106), ChaCha20-Poly1305 (RFC 7634).
        case stream
        /// CCM (RFC 4309), which must know the text's length before it starts.
        case ccm
        /// CCM over a block cipher for which libcrypto has no CCM; `library` is then the stem of its names (RFC 5529).
        case composedCCM
        /// GMAC: associated data, IV and text are authenticated and nothing is encrypted (RFC 4543 §3).
        case gmac
    }

    /// libcrypto's name.
    public let library: String
    /// How it makes its tag.
    public let mode: Mode
    /// The key alone.
    public let keyLength: Int
    /// What follows the key in the keying material and opens every nonce.
    public let saltLength: Int
    /// The IV in each packet, the nonce's rest.
    public let ivLength: Int
    /// The tag in each packet.
    public let icvLength: Int
    /// Whether the packet carries no IV and the sequence number is in its place (RFC 8750); `ivLength` is then 0.
    public var hasImplicitIV = false
}

/// A hash function, as a MAC or a PRF builds on it.
public enum HashFunction: String, Hashable, Sendable, CaseIterable {
    /// MD5: only inside an HMAC, for old peers.
    case md5 = "MD5"
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
        case .md5: 16
        case .sha1: 20
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }
}

/// A keyed function over a message, as integrity and PRFs build on it.
public enum MACFunction: Hashable, Sendable {
    /// HMAC (RFC 2104); its key has as many octets as the hash puts out.
    case hmac(HashFunction)
    /// AES-XCBC-MAC (RFC 3566).
    case aesXCBC
    /// AES-CMAC (RFC 4493).
    case aesCMAC
    /// AES-GMAC with an AES key of so many octets (RFC 4543 §4): it needs a nonce for each packet, of which four octets
    /// follow the key in the keying material and eight travel in front of the tag.
    case aesGMAC(keyLength: Int)

    /// Octets of the whole tag.
    public var outputLength: Int {
        switch self {
        case .hmac(let hash): hash.outputLength
        case .aesXCBC, .aesCMAC, .aesGMAC: 16
        }
    }

    /// Octets of the key that IKE derives for it.
    public var keyLength: Int {
        switch self {
        case .hmac(let hash): hash.outputLength
        case .aesXCBC, .aesCMAC: 16
        case .aesGMAC(let length): length + 4
        }
    }
}

/// A MAC truncated for packets (RFC 2404, RFC 3566, RFC 4494, RFC 4868).
public struct IntegritySpecification: Hashable, Sendable {
    /// The function.
    public let function: MACFunction
    /// Octets of the ICV.
    public let icvLength: Int
    /// Octets of the key.
    public var keyLength: Int { function.keyLength }
    /// Whether each packet needs a nonce of its own: GMAC.
    public var needsNonce: Bool { if case .aesGMAC = function { true } else { false } }
}

/// A MAC as a pseudorandom function (RFC 2104, RFC 4434, RFC 4615, RFC 4868).
public struct PRFSpecification: Hashable, Sendable {
    /// The function.
    public let function: MACFunction
    /// Octets of the key that IKE derives for it.
    public var keyLength: Int { function.keyLength }
    /// Octets that it puts out.
    public var outputLength: Int { function.outputLength }
    /// How many octets of each nonce make the key of SKEYSEED; nil for all of them. The functions over AES take 64 bits
    /// of each (RFC 7296 §2.14).
    public var seedNonceLength: Int? {
        switch function {
        case .hmac: nil
        case .aesXCBC, .aesCMAC, .aesGMAC: 8
        }
    }
}

/// A key exchange method.
public enum KeyExchangeSpecification: Hashable, Sendable {
    /// No key exchange.
    case none
    /// A group of numbers, by the bits of its modulus: a safe prime (RFC 2409, RFC 3526), or one with a subgroup
    /// (RFC 5114). The private exponent has `exponentLength` octets, at least twice the group's strength.
    case modp(bits: Int, library: String, exponentLength: Int)
    /// A curve (RFC 5903, RFC 6954); a coordinate and the private scalar have `length` octets, the first of the scalar's
    /// holds as many bits as `topMask` lets through.
    case ecp(library: String, length: Int, topMask: UInt8)
    /// X25519 (RFC 8031).
    case x25519
    /// X448 (RFC 8031).
    case x448
    /// ML-KEM (FIPS 203): the initiator sends a key, the responder a ciphertext. Only beside another method (RFC 9370).
    case mlkem(MLKEMParameters)

    /// Octets of the public value in a KE payload.
    public var publicValueLength: Int {
        switch self {
        case .none: 0
        case .modp(let bits, _, _): bits / 8
        case .ecp(_, let length, _): 2 * length
        case .x25519: 32
        case .x448: 56
        case .mlkem(let parameters): parameters.publicKeyLength
        }
    }

    /// Octets of the shared secret.
    public var sharedSecretLength: Int {
        switch self {
        case .none: 0
        case .modp(let bits, _, _): bits / 8
        case .ecp(_, let length, _): length
        case .x25519: 32
        case .x448: 56
        case .mlkem: 32
        }
    }
}

/// A parameter set of ML-KEM (FIPS 203 §8).
public enum MLKEMParameters: Hashable, Sendable {
    /// ML-KEM-768: as hard to break as AES-192.
    case mlkem768
    /// ML-KEM-1024: as hard to break as AES-256.
    case mlkem1024

    /// Octets of an encapsulation key.
    public var publicKeyLength: Int { self == .mlkem768 ? 1184 : 1568 }
    /// Octets of a ciphertext.
    public var ciphertextLength: Int { self == .mlkem768 ? 1088 : 1568 }
}
