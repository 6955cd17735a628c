import CIPsecCrypto
import WireFormat

/// What a packet cipher needs to know of its encryption algorithm, AEAD or not; sizes in octets.
///
/// It owns no key: ``makeContext(key:_:)`` lends one to libcrypto.
struct PacketShape {
    var library: String?
    var isAEAD = false
    var isCCM = false
    var isCounter = false
    var keyLength = 0
    var saltLength = 0
    var ivLength = 0
    var icvLength = 0
    var blockLength = 1

    init(_ specification: AlgorithmSpecification) {
        switch specification {
        case .aead(let aead):
            library = aead.library
            isAEAD = true
            isCCM = aead.isCCM
            keyLength = aead.keyLength
            saltLength = aead.saltLength
            ivLength = aead.ivLength
            icvLength = aead.icvLength
        case .cipher(let cipher):
            library = cipher.mode == .null ? nil : cipher.library
            isCounter = cipher.mode == .counter
            keyLength = cipher.keyLength
            saltLength = cipher.saltLength
            ivLength = cipher.ivLength
            blockLength = cipher.blockLength
        default: break
        }
    }

    /// Octets of salt and IV together, which go into a packet cipher's own 16.
    var nonceLength: Int { saltLength + ivLength }

    /// A keyed context; nil for NULL encryption or when libcrypto refuses. The caller frees it.
    func makeContext(key: SecretBytes, _ direction: PacketCipher.Direction) -> OpaquePointer? {
        guard nonceLength <= 16, !isAEAD || nonceLength > 0, let library,
            let algorithm = LibraryAlgorithms.cipher(library)
        else { return nil }
        return unsafe key.withSpan { span in
            unsafe span.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress, buffer.count == keyLength + saltLength else { return nil }
                // libcrypto copies the key's `keyLength` octets during the call.
                return unsafe martlet_cipher_new(
                    algorithm.pointer, direction == .seal ? 1 : 0, base,
                    isAEAD ? Int32(nonceLength) : 0, Int32(icvLength))
            }
        }
    }
}
