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

    private static let digests: [HashFunction: Fetched] = {
        var found: [HashFunction: Fetched] = [:]
        for hash in HashFunction.allCases {
            // As above: a handle.
            if let pointer = unsafe martlet_digest_fetch(hash.rawValue) {
                unsafe found[hash] = Fetched(pointer: pointer)
            }
        }
        return found
    }()

    // The string is read during the call only.
    private static let hmacs = Set(HashFunction.allCases.filter { unsafe martlet_hmac_allowed($0.rawValue) == 1 })

    /// Whether libcrypto's policy allows HMAC over this hash.
    static func allowsHMAC(_ hash: HashFunction) -> Bool { hmacs.contains(hash) }

    /// CMAC over whichever cipher.
    static let cmac: Fetched? = {
        // As above: a handle.
        unsafe martlet_mac_fetch("CMAC").map { unsafe Fetched(pointer: $0) }
    }()

    /// The cipher with this name; nil when libcrypto does not have it.
    static func cipher(_ name: String, _ provider: CipherProvider = .standard) -> Fetched? {
        provider == .legacy ? legacyCiphers[name] : ciphers[name]
    }

    /// This hash function; nil when libcrypto's policy forbids it.
    static func digest(_ hash: HashFunction) -> Fetched? { digests[hash] }
}

extension AEADSpecification {
    /// What libcrypto is asked for: the algorithm itself, or the modes from which it is put together.
    var libraryNames: [String] { mode == .composedCCM ? ["\(library)-CTR", "\(library)-CBC"] : [library] }
}
