import CIPsecCrypto

/// libcrypto's algorithm objects, fetched once in the life of the process and never given back.
///
/// It owns nothing else. A fetch costs a microsecond and takes locks, so it has no place where packets pass.
enum LibraryAlgorithms {
    /// An object of libcrypto's that nobody changes once it is fetched.
    @safe
    struct Fetched: @unchecked Sendable {
        // `@unchecked`: fetched algorithm objects are immutable and reference-counted with atomics.
        let pointer: OpaquePointer
    }

    private static let ciphers: [String: Fetched] = unsafe fetch(.standard, from: nil)

    /// Fetched when the first of them is asked for: a gateway without old peers never loads that code.
    private static let legacyCiphers: [String: Fetched] = {
        // The library's context stays for the life of the process, as what is fetched from it does.
        guard let library = unsafe martlet_legacy_library() else { return [:] }
        return unsafe fetch(.legacy, from: library)
    }()

    private static func fetch(_ provider: CipherProvider, from library: OpaquePointer?) -> [String: Fetched] {
        var found: [String: Fetched] = [:]
        for algorithm in AlgorithmRegistry.algorithms {
            let names: [String]
            switch algorithm.specification {
            case .cipher(let cipher) where cipher.provider == provider: names = [cipher.library]
            case .aead(let aead) where provider == .standard: names = aead.libraryNames
            default: continue
            }
            for name in names {
                // The pointer that comes back is used as an opaque handle only.
                if let pointer = unsafe martlet_cipher_fetch(library, name) {
                    unsafe found[name] = Fetched(pointer: pointer)
                }
            }
        }
        return found
    }

    // The names are read during the calls only.
    private static let digests = HashFunction.bits { unsafe martlet_digest_allowed($0.rawValue) == 1 }
    private static let hmacs = HashFunction.bits { unsafe martlet_hmac_allowed($0.rawValue) == 1 }

    /// Whether libcrypto's policy allows this hash.
    static func allowsDigest(_ hash: HashFunction) -> Bool { digests & hash.bit != 0 }

    /// Whether libcrypto's policy allows HMAC over this hash.
    static func allowsHMAC(_ hash: HashFunction) -> Bool { hmacs & hash.bit != 0 }

    /// CMAC over whichever cipher.
    static let cmac: Fetched? = {
        // As above: a handle.
        unsafe martlet_mac_fetch("CMAC").map { unsafe Fetched(pointer: $0) }
    }()

    /// The cipher with this name; nil when libcrypto does not have it.
    static func cipher(_ name: String, _ provider: CipherProvider = .standard) -> Fetched? {
        provider == .legacy ? legacyCiphers[name] : ciphers[name]
    }
}

extension HashFunction {
    /// Its number in the C shim.
    var number: Int32 {
        switch self {
        case .md5: Int32(MARTLET_MD5)
        case .sha1: Int32(MARTLET_SHA1)
        case .sha256: Int32(MARTLET_SHA256)
        case .sha384: Int32(MARTLET_SHA384)
        case .sha512: Int32(MARTLET_SHA512)
        }
    }

    fileprivate var bit: UInt32 { 1 << UInt32(number) }

    /// The bits of those that are meant.
    fileprivate static func bits(where isMeant: (HashFunction) -> Bool) -> UInt32 {
        allCases.reduce(0) { isMeant($1) ? $0 | $1.bit : $0 }
    }
}

extension AEADSpecification {
    /// What libcrypto is asked for: the algorithm itself, or the modes from which it is put together.
    var libraryNames: [String] { mode == .composedCCM ? ["\(library)-CTR", "\(library)-CBC"] : [library] }
}
