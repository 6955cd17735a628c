import CIPsecCrypto
public import WireFormat

/// Authenticates whole packets without encrypting anything: AH (RFC 4302 §3.3.3).
///
/// It owns a keyed context of the library's and works on a buffer that is its caller's. It never zeroes the fields that
/// change on the way: the caller hands over a packet in which that was done. No range makes it touch memory outside of
/// the buffer: what does not fit is refused.
@safe
public final class PacketAuthenticator: @unchecked Sendable {
    // `@unchecked`: confined to one thread at a time by its owner; it may be handed over, never shared.

    /// Octets of the ICV field, with the IV that GMAC keeps in front of its tag.
    public let icvLength: Int
    /// Octets at the ICV's beginning that the sender chooses and must never choose twice under one key: 8 for GMAC,
    /// 0 for every other algorithm.
    public let ivLength: Int

    @safe
    private enum Function {
        // Opaque handles, used and freed by this object alone.
        case mac(OpaquePointer)
        case gmac(OpaquePointer)
    }
    private let function: Function
    /// GMAC's salt (4 octets), behind it the packet's IV.
    private let nonce: UnsafeMutablePointer<UInt8>
    private static let nonceLength = 12
    /// The tag that was computed, behind it the one that came. Its own memory, so that no packet costs an allocation.
    private let tag: UnsafeMutablePointer<UInt8>
    private static let tagLength = 64

    /// Octets of keying material that one direction takes; nil when this is no integrity algorithm.
    public static func keyLength(of integrity: Transform) -> Int? {
        guard case .integrity(let specification) = AlgorithmRegistry.specification(of: integrity) else { return nil }
        return specification.keyLength
    }

    /// Makes the context and gives it its key, for GMAC with the salt behind it.
    public init(integrity: Transform, key: SecretBytes) throws(CryptoError) {
        guard case .integrity(let specification) = AlgorithmRegistry.specification(of: integrity) else {
            throw .unknownAlgorithm(integrity)
        }
        guard key.count == specification.keyLength else {
            throw .keyLength(integrity, expected: specification.keyLength, had: key.count)
        }
        guard let function = Self.makeFunction(specification.function, key) else {
            throw .libraryRefused(integrity)
        }
        icvLength = specification.icvLength
        ivLength = specification.needsNonce ? 8 : 0
        self.function = function
        // Freed in `deinit`.
        unsafe nonce = .allocate(capacity: Self.nonceLength)
        unsafe nonce.initialize(repeating: 0, count: Self.nonceLength)
        unsafe tag = .allocate(capacity: 2 * Self.tagLength)
        unsafe tag.initialize(repeating: 0, count: 2 * Self.tagLength)
        guard specification.needsNonce else { return }
        key.withSpan { octets in
            // The salt is the key's last four octets; its length was checked.
            for index in 0..<4 { unsafe nonce[index] = octets[octets.count - 4 + index] }
        }
    }

    deinit {
        unsafe nonce.update(repeating: 0, count: Self.nonceLength)
        unsafe nonce.deallocate()
        unsafe tag.deallocate()
        // Made by `init`, never handed out.
        switch function {
        case .mac(let mac): unsafe martlet_mac_free(mac)
        case .gmac(let cipher): unsafe martlet_cipher_free(cipher)
        }
    }

    /// Writes the ICV of the whole buffer at `icv`.
    /// - Parameters:
    ///   - icv: Where the ICV field begins; GMAC expects the packet's IV there already. The tag's octets are zeroed
    ///     before they are counted in.
    ///   - extraAuthenticatedData: The high half of an extended sequence number; nil without ESN.
    /// - Returns: false when the field does not lie in the buffer; the packet must then not be sent.
    public func seal(_ buffer: inout MutableRawSpan, icv: Int, extraAuthenticatedData: UInt32?) -> Bool {
        let whole = 0..<buffer.byteCount
        return seal(&buffer, packet: whole, icv: icv, extraAuthenticatedData: extraAuthenticatedData)
    }

    /// The same for the part of the buffer that the packet fills; `icv` counts from the buffer's start as well.
    public func seal(
        _ buffer: inout MutableRawSpan, packet: Range<Int>, icv: Int, extraAuthenticatedData: UInt32?
    ) -> Bool {
        guard fits(buffer.byteCount, packet, icv) else { return false }
        return unsafe buffer.withUnsafeMutableBytes { raw in
            // Packet and field were checked against the buffer, which outlives the closure.
            guard let base = unsafe raw.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
            let place = unsafe base + icv + ivLength
            unsafe place.update(repeating: 0, count: icvLength - ivLength)
            guard unsafe compute(base + packet.lowerBound, packet.count, base + icv, extraAuthenticatedData) else {
                return false
            }
            unsafe place.update(from: tag, count: icvLength - ivLength)
            return true
        }
    }

    /// Whether the ICV at `icv` is that of the whole buffer; in constant time. The tag's octets are zero afterwards.
    public func verify(_ buffer: inout MutableRawSpan, icv: Int, extraAuthenticatedData: UInt32?) -> Bool {
        let whole = 0..<buffer.byteCount
        return verify(&buffer, packet: whole, icv: icv, extraAuthenticatedData: extraAuthenticatedData)
    }

    /// The same for the part of the buffer that the packet fills; `icv` counts from the buffer's start as well.
    public func verify(
        _ buffer: inout MutableRawSpan, packet: Range<Int>, icv: Int, extraAuthenticatedData: UInt32?
    ) -> Bool {
        guard fits(buffer.byteCount, packet, icv) else { return false }
        return unsafe buffer.withUnsafeMutableBytes { raw in
            // As above. `tag` has room for the received tag behind the computed one.
            guard let base = unsafe raw.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
            let place = unsafe base + icv + ivLength
            let count = icvLength - ivLength
            unsafe (tag + Self.tagLength).update(from: place, count: count)
            unsafe place.update(repeating: 0, count: count)
            guard unsafe compute(base + packet.lowerBound, packet.count, base + icv, extraAuthenticatedData) else {
                return false
            }
            return unsafe martlet_equal(tag, tag + Self.tagLength, count) == 1
        }
    }

    private func fits(_ count: Int, _ packet: Range<Int>, _ icv: Int) -> Bool {
        packet.lowerBound >= 0 && packet.upperBound <= count && packet.count <= Int(Int32.max) - 4
            && icv >= packet.lowerBound && icv <= packet.upperBound && icvLength <= packet.upperBound - icv
    }

    /// Computes the tag of a packet whose own is zeroed into ``tag``. Unsafe: `base` must be good for `count` octets, and
    /// `field`, where the ICV begins, must lie among them.
    private func compute(
        _ base: UnsafePointer<UInt8>, _ count: Int, _ field: UnsafePointer<UInt8>, _ high: UInt32?
    ) -> Bool {
        var extra = (high ?? 0).bigEndian
        let extraLength = high == nil ? 0 : 4
        // `tag` has room for the longest tag, `extra` is four octets of this frame: used during the calls only.
        switch function {
        case .mac(let mac):
            return unsafe martlet_mac_restart(mac) == 1 && martlet_mac_update(mac, base, count) == 1
                && martlet_mac_update(mac, &extra, extraLength) == 1
                && martlet_mac_finish(mac, tag, icvLength - ivLength) == 1
        case .gmac(let cipher):
            unsafe (nonce + 4).update(from: field, count: 8)
            return unsafe withUnsafeMutableBytes(of: &extra) { octets in
                guard let end = unsafe octets.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
                // GMAC authenticates data and then text, and leaves the text as it is.
                return unsafe martlet_aead_seal(
                    cipher, nonce, base, Int32(count), end, 0, end, Int32(extraLength), tag) == 1
            }
        }
    }

    /// Unsafe: the caller frees what is in it.
    private static func makeFunction(_ function: MACFunction, _ key: SecretBytes) -> Function? {
        guard case .aesGMAC(let length) = function else {
            return unsafe KeyedHash.makeContext(function, key: key).map { unsafe .mac($0) }
        }
        guard let algorithm = LibraryAlgorithms.cipher("AES-\(length * 8)-GCM") else { return nil }
        return key.withSpan { span in
            unsafe span.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress, buffer.count == length + 4 else { return nil }
                // libcrypto copies the key's `length` octets during the call.
                let cipher = unsafe martlet_cipher_new(
                    algorithm.pointer, Int32(MARTLET_GMAC), 1, base, Int32(length), Int32(nonceLength), 16)
                return unsafe cipher.map { unsafe .gmac($0) }
            }
        }
    }
}
