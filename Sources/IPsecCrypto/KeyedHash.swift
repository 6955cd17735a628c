import CIPsecCrypto
import WireFormat

/// An HMAC that was keyed once and is restarted after every message.
///
/// It owns libcrypto's context and with it the key, which libcrypto wipes. It is used by one thread at a time. Failures
/// of libcrypto here are lack of memory or a policy that forbids the hash, never a matter of the data: they stop the
/// process rather than yield a wrong tag.
@safe
final class KeyedHash {
    let hash: HashFunction
    private let context: OpaquePointer
    private var isFresh = true

    init(_ hash: HashFunction, key: SecretBytes) {
        self.hash = hash
        guard let context = unsafe Self.makeContext(hash, key: key) else {
            fatalError("libcrypto cannot compute HMAC-\(hash.rawValue)")
        }
        // Ours from here on: an opaque handle, freed in `deinit` and nowhere else.
        unsafe self.context = context
    }

    deinit {
        // Made by `init`, never handed out.
        unsafe martlet_mac_free(context)
    }

    /// A keyed context of libcrypto's; the caller frees it.
    static func makeContext(_ hash: HashFunction, key: SecretBytes) -> OpaquePointer? {
        guard let hmac = LibraryAlgorithms.hmac else { return nil }
        return unsafe key.withSpan { span in
            unsafe span.withUnsafeBufferPointer { buffer in
                // libcrypto copies the key during the call.
                unsafe martlet_hmac_new(hmac.pointer, hash.rawValue, buffer.baseAddress, buffer.count)
            }
        }
    }

    func update(_ bytes: Span<UInt8>) {
        restartIfFinished()
        let done = unsafe bytes.withUnsafeBufferPointer { buffer in
            // Read during the call only.
            unsafe martlet_mac_update(context, buffer.baseAddress, buffer.count)
        }
        guard done == 1 else { fatalError("libcrypto cannot compute HMAC-\(hash.rawValue)") }
    }

    func finish(_ output: inout MutableSpan<UInt8>) {
        restartIfFinished()
        let done = unsafe output.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return Int32(0) }
            // Writes exactly `count` octets or none.
            return unsafe martlet_mac_finish(context, base, buffer.count)
        }
        guard done == 1 else { fatalError("libcrypto cannot compute HMAC-\(hash.rawValue)") }
        isFresh = false
    }

    func finishSecret() -> SecretBytes {
        SecretBytes(count: hash.outputLength) { finish(&$0) }
    }

    private func restartIfFinished() {
        guard !isFresh else { return }
        isFresh = true
        // The same key again.
        guard unsafe martlet_mac_restart(context) == 1 else {
            fatalError("libcrypto cannot compute HMAC-\(hash.rawValue)")
        }
    }
}
