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

    private static let ciphers: [String: Fetched] = {
        var found: [String: Fetched] = [:]
        for algorithm in AlgorithmRegistry.algorithms {
            let name: String
            switch algorithm.specification {
            case .cipher(let cipher): name = cipher.library
            case .aead(let aead): name = aead.library
            default: continue
            }
            // The pointer that comes back is used as an opaque handle only.
            if let pointer = unsafe martlet_cipher_fetch(name) { unsafe found[name] = Fetched(pointer: pointer) }
        }
        return found
    }()

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

    /// HMAC over whichever hash.
    static let hmac: Fetched? = {
        // As above: a handle.
        unsafe martlet_mac_fetch("HMAC").map { unsafe Fetched(pointer: $0) }
    }()

    /// The cipher with this name; nil when libcrypto does not have it.
    static func cipher(_ name: String) -> Fetched? { ciphers[name] }

    /// This hash function; nil when libcrypto's policy forbids it.
    static func digest(_ hash: HashFunction) -> Fetched? { digests[hash] }
}
