import CIPsecCrypto
import WireFormat

/// A MAC that was keyed once and is restarted after every message.
///
/// It owns the library's context and with it the key, which is wiped with it. It is used by one thread at a time. Failures
/// of libcrypto here are lack of memory or a policy that forbids the hash, never a matter of the data: they stop the
/// process rather than yield a wrong tag.
@safe
struct KeyedHash: ~Copyable {
    let function: MACFunction
    private let context: OpaquePointer

    /// A key of any length for HMAC, of 16 octets for the MACs over AES.
    init(_ function: MACFunction, key: SecretBytes) {
        self.function = function
        guard let context = unsafe Self.makeContext(function, key: key) else { Self.stop(function) }
        // Ours from here on: an opaque handle, freed in `deinit` and nowhere else.
        unsafe self.context = context
    }

    deinit {
        // Made by `init`, never handed out.
        unsafe martlet_mac_free(context)
    }

    /// Whether the library makes this function at all. The library's policy does not change while a process lives.
    static func isAvailable(_ function: MACFunction) -> Bool {
        switch function {
        case .hmac(let hash): LibraryAlgorithms.allowsHMAC(hash)
        case .aesXCBC: hasXCBC
        case .aesCMAC: hasCMAC
        case .aesGMAC: false
        }
    }

    private static let hasXCBC = tries(.aesXCBC)
    private static let hasCMAC = tries(.aesCMAC)

    private static func tries(_ function: MACFunction) -> Bool {
        guard let context = unsafe makeContext(function, key: SecretBytes([UInt8](repeating: 1, count: 16))) else {
            return false
        }
        // Made just now, and nobody else has it.
        unsafe martlet_mac_free(context)
        return true
    }

    /// A keyed context; nil when the key's length is wrong or the library refuses. The caller frees it.
    static func makeContext(_ function: MACFunction, key: SecretBytes) -> OpaquePointer? {
        unsafe key.withSpan { span in
            unsafe span.withUnsafeBufferPointer { buffer in
                // Each call copies the key, or what it makes of it; those over AES read 16 octets.
                switch function {
                case .hmac(let hash):
                    guard LibraryAlgorithms.allowsHMAC(hash) else { return nil }
                    return unsafe martlet_hmac_new(hash.number, buffer.baseAddress, buffer.count)
                case .aesXCBC:
                    guard let cbc = LibraryAlgorithms.cipher("AES-128-CBC"), let base = buffer.baseAddress,
                        buffer.count == 16
                    else { return nil }
                    return unsafe martlet_xcbc_new(cbc.pointer, base)
                case .aesCMAC:
                    guard let cmac = LibraryAlgorithms.cmac, let base = buffer.baseAddress, buffer.count == 16 else {
                        return nil
                    }
                    return unsafe martlet_cmac_new(cmac.pointer, base)
                case .aesGMAC: return nil
                }
            }
        }
    }

    func update(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer { unsafe update($0) }
    }

    func update(_ octet: UInt8) {
        unsafe withUnsafeBytes(of: octet) { unsafe update($0.bindMemory(to: UInt8.self)) }
    }

    /// Unsafe as every buffer is; it is read during the call only.
    private func update(_ buffer: UnsafeBufferPointer<UInt8>) {
        guard unsafe martlet_mac_update(context, buffer.baseAddress, buffer.count) == 1 else { Self.stop(function) }
    }

    /// Writes the tag, or its beginning where there is less room, and begins the next message.
    func finish(_ output: inout MutableSpan<UInt8>) { finish(&output, at: 0..<output.count) }

    /// The same at a part of `output`.
    func finish(_ output: inout MutableSpan<UInt8>, at place: Range<Int>) {
        let done = unsafe output.withUnsafeMutableBufferPointer { buffer in
            let part = unsafe UnsafeMutableBufferPointer(rebasing: buffer[place])
            guard let base = part.baseAddress else { return false }
            // Writes exactly `count` octets or none; the key stays.
            return unsafe martlet_mac_finish(context, base, part.count) == 1 && martlet_mac_restart(context) == 1
        }
        guard done else { Self.stop(function) }
    }

    func finishSecret() -> SecretBytes {
        SecretBytes(count: function.outputLength) { finish(&$0) }
    }

    /// No octet of a message leads here: no memory, or a policy of the library's, as the type says.
    private static func stop(_ function: MACFunction) -> Never { fatalError("libcrypto cannot compute \(function)") }
}
