import CIPsecCrypto
import WireFormat

/// What a packet cipher needs to know of its encryption algorithm, AEAD or not; sizes in octets.
///
/// It owns no key: ``makeContext(key:_:)`` lends one to libcrypto. There is one for each algorithm
/// (``AlgorithmRegistry/packetShape(of:)``): whoever makes a cipher takes what is there.
final class PacketShape: Sendable {
    private let cipher: CipherSpecification?
    private let aead: AEADSpecification?
    /// Whether one algorithm does both encryption and integrity.
    let isAEAD: Bool
    /// Whether there is nothing to encrypt with.
    let isNull: Bool
    let isCounter: Bool
    let hasImplicitIV: Bool
    let keyLength: Int
    let saltLength: Int
    let ivLength: Int
    /// Of an AEAD; 0 for other ciphers.
    let icvLength: Int
    let blockLength: Int
    /// Whether ipsec-mb does it where it is to be had.
    private let isAcceleratedGCM: Bool

    /// Nil for what encrypts nothing, not even with NULL.
    init?(_ specification: AlgorithmSpecification) {
        switch specification {
        case .aead(let aead):
            (self.aead, cipher) = (aead, nil)
            (isAEAD, isNull, isCounter, hasImplicitIV) = (true, false, false, aead.hasImplicitIV)
            (keyLength, saltLength, ivLength) = (aead.keyLength, aead.saltLength, aead.ivLength)
            (icvLength, blockLength) = (aead.icvLength, 1)
            isAcceleratedGCM = aead.mode == .stream && aead.library.hasSuffix("-GCM")
        case .cipher(let cipher):
            (self.cipher, aead) = (cipher, nil)
            (isAEAD, isNull, isCounter) = (false, cipher.mode == .null, cipher.mode == .counter)
            (keyLength, saltLength, ivLength) = (cipher.keyLength, cipher.saltLength, cipher.ivLength)
            (icvLength, blockLength, hasImplicitIV) = (0, cipher.blockLength, false)
            isAcceleratedGCM = false
        default: return nil
        }
    }

    /// Octets of salt and IV together, which go into a packet cipher's own 16.
    var nonceLength: Int { saltLength + (hasImplicitIV ? 8 : ivLength) }

    /// AES-GCM by ipsec-mb; nil where this is another algorithm, or ipsec-mb not to be had. The caller frees it.
    func makeAccelerated(key: SecretBytes, _ direction: PacketCipher.Direction) -> OpaquePointer? {
        guard isAcceleratedGCM else { return nil }
        return unsafe key.withSpan { span in
            unsafe span.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress, buffer.count == keyLength + saltLength else { return nil }
                // The library takes what it needs of key and salt during the call.
                return unsafe martlet_gcm_new(
                    direction == .seal ? 1 : 0, base, Int32(keyLength), base + keyLength, Int32(saltLength),
                    Int32(hasImplicitIV ? 8 : ivLength), Int32(icvLength))
            }
        }
    }

    /// A keyed context; nil for NULL encryption or when the library refuses. The caller frees it.
    func makeContext(key: SecretBytes, _ direction: PacketCipher.Direction) -> OpaquePointer? {
        guard nonceLength <= 16, !isAEAD || nonceLength > 0, !isNull else { return nil }
        let seal: Int32 = direction == .seal ? 1 : 0
        return unsafe key.withSpan { span in
            unsafe span.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress, buffer.count == keyLength + saltLength else { return nil }
                // Each library copies the key's `keyLength` octets, or what it makes of them, during the call.
                if let aead { return unsafe makeAEAD(aead, base, seal) }
                guard let cipher else { return nil }
                let length = Int32(keyLength)
                switch (cipher.provider, cipher.library) {
                case (.nettle, "serpent"): return unsafe martlet_serpent_new(seal, base, length)
                case (.nettle, "twofish"): return unsafe martlet_twofish_new(seal, base, length)
                case (.nettle, _): return nil
                case (.standard, _), (.legacy, _):
                    guard let algorithm = LibraryAlgorithms.cipher(cipher.library, cipher.provider) else { return nil }
                    return unsafe martlet_cipher_new(
                        algorithm.pointer, Int32(MARTLET_PLAIN), seal, base, length, 0, 0)
                }
            }
        }
    }

    /// Keys for a batch; nil where this is not AES-CBC with an HMAC, or ipsec-mb not to be had. The caller frees them.
    func makeLane(_ keys: PacketKeys, _ integrity: IntegritySpecification) -> OpaquePointer? {
        guard let cipher, cipher.library.hasPrefix("AES-"), cipher.library.hasSuffix("-CBC"),
            case .hmac(let hash) = integrity.function
        else { return nil }
        return unsafe keys.encryption.withSpan { key in
            unsafe key.withUnsafeBufferPointer { key in
                unsafe keys.integrity.withSpan { mac in
                    unsafe mac.withUnsafeBufferPointer { mac in
                        guard let first = key.baseAddress, let second = mac.baseAddress else { return nil }
                        // The library takes what it needs of both during the call.
                        return unsafe martlet_lane_new(
                            first, Int32(key.count), Int32(hash.outputLength), second, Int32(mac.count),
                            Int32(integrity.icvLength))
                    }
                }
            }
        }
    }

    /// Unsafe: `key` must point at `keyLength` octets.
    private func makeAEAD(_ aead: AEADSpecification, _ key: UnsafePointer<UInt8>, _ seal: Int32) -> OpaquePointer? {
        let algorithms = aead.libraryNames.compactMap { LibraryAlgorithms.cipher($0) }
        let (nonce, tag) = (Int32(nonceLength), Int32(icvLength))
        guard algorithms.count == aead.libraryNames.count, let algorithm = algorithms.first else { return nil }
        let kind: Int
        switch aead.mode {
        case .composedCCM:
            return algorithms.count == 2
                ? unsafe martlet_ccm_new(algorithm.pointer, algorithms[1].pointer, seal, key, nonce, tag) : nil
        case .stream:
            kind = MARTLET_AEAD
        case .ccm: kind = MARTLET_CCM
        case .gmac: kind = MARTLET_GMAC
        }
        return unsafe martlet_cipher_new(
            algorithm.pointer, Int32(kind), seal, key, Int32(keyLength), nonce, tag)
    }
}
