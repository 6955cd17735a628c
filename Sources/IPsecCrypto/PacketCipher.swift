import CIPsecCrypto
import WireFormat

/// Protects the packets of one direction of one SA: ESP (RFC 4303), or IKE's Encrypted payload (RFC 7296 §3.14).
///
/// It owns keyed contexts of libcrypto's and works in place on a buffer that is its caller's; it allocates nothing per
/// packet. It never pads, never chooses an IV, never counts: the caller lays the packet out and says where what is.
/// No combination of ranges makes it touch memory outside of the buffer: what does not fit is refused.
@safe
public final class PacketCipher: @unchecked Sendable {
    // `@unchecked`: confined to one thread at a time by its owner; it may be handed over, never shared.

    /// Which way packets go through.
    public enum Direction: Hashable, Sendable {
        /// Outbound.
        case seal
        /// Inbound.
        case open
    }

    /// Octets of the IV that each packet carries.
    public var ivLength: Int { Int(octets.iv) }
    /// Octets of the ICV that each packet carries.
    public var icvLength: Int { Int(octets.icv) }
    /// What the text's length must be a multiple of; 1 for a stream cipher. (ESP wants 4 at least: the caller's matter.)
    public var blockLength: Int { Int(octets.block) }
    /// Whether one algorithm does both encryption and integrity.
    public let isAEAD: Bool
    /// Which way packets go through.
    public let direction: Direction

    private let hasImplicitIV: Bool
    // There may be as many of these as there are SAs: small fields are kept small.
    private let octets: (iv: UInt8, icv: UInt8, block: UInt8, salt: UInt8)
    private var saltLength: Int { Int(octets.salt) }
    /// AES-GCM by ipsec-mb, which then does all there is to do, and keeps the salt.
    private let accelerated: OpaquePointer?
    private let cipher: OpaquePointer?
    private let mac: OpaquePointer?
    /// Keys for a ``PacketBatch``, where this cipher can be a part of one.
    private let lane: OpaquePointer?
    /// Salt and IV put together (16 octets), then the associated data of an AEAD with the high half of an extended
    /// sequence number put in (12 octets). Its own memory, so that no packet costs an allocation.
    private let scratch: UnsafeMutablePointer<UInt8>
    private static let scratchLength = 28

    /// Makes the contexts and gives them their keys. An AEAD takes no integrity algorithm: one that is given does
    /// nothing. GMAC as an integrity algorithm is AH's (RFC 4543 §5.3) and makes no packet cipher.
    public convenience init(
        encryption: Transform, integrity: Transform?, keys: PacketKeys, direction: Direction
    ) throws(CryptoError) {
        try self.init(
            encryption: encryption, integrity: integrity, keys: keys, direction: direction, accelerated: nil)
    }

    /// The same with `accelerated` in place of what ``PacketAcceleration`` says.
    convenience init(
        encryption: Transform, integrity: Transform?, keys: PacketKeys, direction: Direction, accelerated: Bool?
    ) throws(CryptoError) {
        guard let shape = AlgorithmRegistry.packetShape(of: encryption) else { throw .unknownAlgorithm(encryption) }
        var mac: IntegritySpecification?
        if !shape.isAEAD {
            guard let integrity else { throw .integrityMissing(encryption) }
            guard case .integrity(let found) = AlgorithmRegistry.specification(of: integrity), !found.needsNonce else {
                throw .unknownAlgorithm(integrity)
            }
            mac = found
        }
        try self.init(
            shape, mac, keys: keys, direction: direction, names: (encryption, integrity), accelerated: accelerated)
    }

    /// The same for an algorithm of any sizes, up to a nonce of 16 octets; `names` are for errors.
    init(
        _ shape: PacketShape, _ integrity: IntegritySpecification?, keys: PacketKeys, direction: Direction,
        names: (encryption: Transform, integrity: Transform?), accelerated: Bool? = nil
    ) throws(CryptoError) {
        let material = shape.keyLength + shape.saltLength
        guard keys.encryption.count == material else {
            throw .keyLength(names.encryption, expected: material, had: keys.encryption.count)
        }
        guard keys.integrity.count == integrity?.keyLength ?? 0 else {
            throw .keyLength(
                names.integrity ?? names.encryption, expected: integrity?.keyLength ?? 0, had: keys.integrity.count)
        }
        octets = (
            UInt8(clamping: shape.ivLength), UInt8(clamping: integrity?.icvLength ?? shape.icvLength),
            UInt8(clamping: shape.blockLength), UInt8(clamping: shape.saltLength)
        )
        isAEAD = shape.isAEAD
        hasImplicitIV = shape.hasImplicitIV
        self.direction = direction

        let usesAccelerator = accelerated ?? PacketAcceleration.isInUse
        if usesAccelerator, let made = unsafe shape.makeAccelerated(key: keys.encryption, direction) {
            unsafe self.accelerated = made
            // It builds its nonces elsewhere: what stands for the memory is never used.
            unsafe (cipher, mac, lane, scratch) = (nil, nil, nil, UnsafeMutablePointer(made))
            return
        }
        unsafe self.accelerated = nil
        // Freed in `deinit`; overwritten there, since it holds the salt.
        unsafe scratch = .allocate(capacity: Self.scratchLength)
        unsafe scratch.initialize(repeating: 0, count: Self.scratchLength)
        unsafe cipher = shape.makeContext(key: keys.encryption, direction)
        unsafe mac = integrity.flatMap { unsafe KeyedHash.makeContext($0.function, key: keys.integrity) }
        // A context that was not made may mean a nonce too long for `scratch`: nothing is written before this.
        unsafe lane =
            usesAccelerator && direction == .seal ? integrity.flatMap { unsafe shape.makeLane(keys, $0) } : nil
        if unsafe !shape.isNull && cipher == nil { throw .libraryRefused(names.encryption) }
        if unsafe integrity != nil && mac == nil { throw .libraryRefused(names.integrity ?? names.encryption) }
        keys.encryption.withSpan { material in
            // The salt follows the key; both lengths were checked.
            for index in 0..<saltLength { unsafe scratch[index] = material[shape.keyLength + index] }
        }
        // Counter mode starts each packet's counter at 1 (RFC 3686 §4).
        if shape.isCounter { unsafe scratch[15] = 1 }
    }

    deinit {
        // Everything here was made by `init` and belongs to nobody else.
        if let accelerated = unsafe accelerated {
            unsafe martlet_gcm_free(accelerated)
            return
        }
        unsafe scratch.update(repeating: 0, count: Self.scratchLength)
        unsafe scratch.deallocate()
        if let cipher = unsafe cipher { unsafe martlet_cipher_free(cipher) }
        if let mac = unsafe mac { unsafe martlet_mac_free(mac) }
        if let lane = unsafe lane { unsafe martlet_lane_free(lane) }
    }

    /// Asks the processor to have the keys at hand soon, where that gains something: among many SAs, they are far away.
    @inline(__always)
    public func anticipate() {
        if let accelerated = unsafe accelerated { unsafe martlet_gcm_prefetch(accelerated) }
    }

    /// The same for what lies at `address`, which is never read. Unsafe as every raw address is.
    @unsafe
    @inline(__always)
    public static func anticipate(_ address: UnsafeRawPointer) { unsafe martlet_prefetch(address) }

    /// The same for so many octets from `address` on.
    @unsafe
    public static func anticipate(_ address: UnsafeRawPointer, octets: Int) {
        for line in stride(from: 0, to: octets, by: 64) { unsafe martlet_prefetch(address + line) }
    }

    /// Where the keys lie, as far as this object knows, for ``anticipateKeys(at:)``; good while it lives.
    @unsafe
    public var keyAddress: UnsafeRawPointer? { unsafe accelerated.map { unsafe UnsafeRawPointer($0) } }

    /// Asks the processor for keys that are about to be used. Unsafe: `address` must be the ``keyAddress`` of a cipher that
    /// lives.
    @unsafe
    @inline(__always)
    public static func anticipateKeys(at address: UnsafeRawPointer) {
        unsafe martlet_gcm_prefetch(OpaquePointer(address))
    }

    /// Whether ``hasKeys(of:)`` can tell without the keys that this was made with.
    public var remembersKeys: Bool { unsafe accelerated != nil }

    /// Whether both were made with the same keys, for the same way; false when one of them does not remember its own.
    public func hasKeys(of other: PacketCipher) -> Bool {
        guard let own = unsafe accelerated, let others = unsafe other.accelerated else { return false }
        return unsafe martlet_gcm_equal(own, others) == 1
    }

    /// The keys that it was made with, for another process to go on with; nil when it does not remember them, or is not
    /// of this algorithm.
    public func recallKeys(_ encryption: Transform) -> PacketKeys? {
        guard let accelerated = unsafe accelerated,
            case .aead(let shape) = AlgorithmRegistry.specification(of: encryption),
            [16, 24, 32].contains(shape.keyLength), shape.saltLength <= 4
        else { return nil }
        let material = SecretBytes(count: shape.keyLength + shape.saltLength) { span in
            unsafe span.withUnsafeMutableBufferPointer { buffer in
                // As many octets as the two lengths come to; the context was made with the same.
                guard let base = buffer.baseAddress else { return }
                unsafe martlet_gcm_recall(accelerated, base, Int32(shape.keyLength), base + shape.keyLength)
            }
        }
        return PacketKeys(encryption: material, integrity: SecretBytes([]))
    }

    /// Octets of keying material that one direction takes; nil when the two do not make a protection: an unknown
    /// algorithm, or a cipher without integrity. An AEAD takes no integrity key, whatever `integrity` says.
    public static func keyMaterialLength(encryption: Transform, integrity: Transform?) -> KeyMaterialLength? {
        guard let shape = AlgorithmRegistry.packetShape(of: encryption) else { return nil }
        let length = shape.keyLength + shape.saltLength
        if shape.isAEAD { return KeyMaterialLength(encryption: length, integrity: 0) }
        guard let integrity, case .integrity(let mac) = AlgorithmRegistry.specification(of: integrity), !mac.needsNonce
        else { return nil }
        return KeyMaterialLength(encryption: length, integrity: mac.keyLength)
    }

    /// Encrypts `text` in place and writes the ICV at `icv`.
    ///
    /// All positions count from the start of `buffer`. The ICV of a cipher with a MAC covers associated data, IV and
    /// text, then `extraAssociatedData` (RFC 4303 §2.8). An AEAD authenticates the associated data; with
    /// `extraAssociatedData` these are ESP's 8 octets, and the four are put between SPI and sequence number
    /// (RFC 4106 §5).
    /// - Parameters:
    ///   - associatedData: ESP's SPI and sequence number; in IKE, everything up to and with the Encrypted payload's
    ///     generic header (RFC 5282 §5.1).
    ///   - extraAssociatedData: The high half of an extended sequence number; nil without ESN.
    ///   - iv: Where the caller has put the IV: never used before with this key, and for CBC not to be predicted.
    ///   - text: What is encrypted, padding included.
    ///   - icv: Where the ICV begins.
    /// - Returns: false when the ranges do not fit the buffer or the algorithm, or this object opens; the buffer must
    ///   then not be sent.
    public func seal(
        _ buffer: inout MutableRawSpan, associatedData: Range<Int>, extraAssociatedData: UInt32?, iv: Range<Int>,
        text: Range<Int>, icv: Int
    ) -> Bool {
        let count = buffer.byteCount
        guard direction == .seal, fits(count, associatedData, extraAssociatedData, iv, text, icv) else { return false }
        return unsafe buffer.withUnsafeMutableBytes { raw in
            // All ranges were checked against the buffer, which outlives the closure.
            guard let base = unsafe raw.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
            let words = unsafe base + text.lowerBound
            if let gcm = unsafe accelerated {
                let data = unsafe base + associatedData.lowerBound
                let high = extraAssociatedData.map { Int64($0) } ?? -1
                guard hasImplicitIV else {
                    unsafe martlet_gcm_seal(
                        gcm, base + iv.lowerBound, data, associatedData.count, high, words, text.count, base + icv)
                    return true
                }
                var number = unsafe implicitIV(data, extraAssociatedData)
                unsafe withUnsafeBytes(of: &number) { octets in
                    guard let octets = unsafe octets.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
                    unsafe martlet_gcm_seal(
                        gcm, octets, data, associatedData.count, high, words, text.count, base + icv)
                }
                return true
            }
            if isAEAD {
                guard let cipher = unsafe cipher else { return false }
                unsafe makeNonce(base + iv.lowerBound)
                let (data, length) = unsafe makeAssociatedData(base, associatedData, extraAssociatedData)
                if hasImplicitIV { unsafe makeImplicitNonce(base + associatedData.lowerBound, extraAssociatedData) }
                return unsafe martlet_aead_seal(
                    cipher, scratch, data, length, base + iv.lowerBound, Int32(ivLength), words, Int32(text.count),
                    base + icv) == 1
            }
            guard unsafe encipher(base + iv.lowerBound, words, text.count) else { return false }
            guard let mac = unsafe authenticate(base, associatedData, iv, text, extraAssociatedData) else {
                return false
            }
            return unsafe martlet_mac_finish(mac, base + icv, icvLength) == 1
        }
    }

    /// Whether ``seal(_:associatedData:extraAssociatedData:iv:text:in:)`` puts packets off.
    public var takesBatches: Bool { unsafe lane != nil }

    /// The same for a packet whose parts follow each other, the ICV behind the text, to be done by
    /// ``LentBatch/finish()``; at once for a cipher that does not take batches. Unsafe: what `buffer` lends must stay
    /// where it is until then, and so must this object.
    @unsafe
    public func seal(
        _ buffer: inout MutableRawSpan, associatedData: Range<Int>, extraAssociatedData: UInt32?, iv: Range<Int>,
        text: Range<Int>, in batch: LentBatch
    ) -> Bool {
        guard let lane = unsafe lane, associatedData.upperBound == iv.lowerBound, iv.upperBound == text.lowerBound,
            iv.count == 16, !text.isEmpty
        else {
            return seal(
                &buffer, associatedData: associatedData, extraAssociatedData: extraAssociatedData, iv: iv, text: text,
                icv: text.upperBound)
        }
        let count = buffer.byteCount
        guard direction == .seal, fits(count, associatedData, extraAssociatedData, iv, text, text.upperBound) else {
            return false
        }
        return unsafe buffer.withUnsafeMutableBytes { raw in
            // All ranges were checked against the buffer; that it stays is the caller's promise.
            guard let base = raw.baseAddress else { return false }
            let packet = unsafe (base + associatedData.lowerBound).assumingMemoryBound(to: UInt8.self)
            let covered = text.upperBound - associatedData.lowerBound
            let tag = unsafe packet + covered
            // The high half is covered behind the text, where the tag goes afterwards (RFC 4303 §2.8).
            if let high = extraAssociatedData {
                unsafe (base + text.upperBound).storeBytes(of: high.bigEndian, as: UInt32.self)
            }
            unsafe martlet_batch_seal(
                batch.queue, lane, packet, text.lowerBound - associatedData.lowerBound, text.count,
                covered + (extraAssociatedData == nil ? 0 : 4), tag)
            return true
        }
    }

    /// Verifies the ICV at `icv` and, only when it is right, leaves the decrypted `text` in place.
    ///
    /// The parameters are those of ``seal(_:associatedData:extraAssociatedData:iv:text:icv:)``.
    /// - Returns: false when the packet is not authentic, when the ranges do not fit, or this object seals. The text
    ///   is then either untouched or overwritten with zeros: plaintext that is not authentic is never left behind.
    public func open(
        _ buffer: inout MutableRawSpan, associatedData: Range<Int>, extraAssociatedData: UInt32?, iv: Range<Int>,
        text: Range<Int>, icv: Int
    ) -> Bool {
        let count = buffer.byteCount
        guard direction == .open, fits(count, associatedData, extraAssociatedData, iv, text, icv) else { return false }
        return unsafe buffer.withUnsafeMutableBytes { raw in
            // All ranges were checked against the buffer, which outlives the closure.
            guard let base = unsafe raw.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
            let words = unsafe base + text.lowerBound
            if let gcm = unsafe accelerated {
                let data = unsafe base + associatedData.lowerBound
                let high = extraAssociatedData.map { Int64($0) } ?? -1
                guard hasImplicitIV else {
                    return unsafe martlet_gcm_open(
                        gcm, base + iv.lowerBound, data, associatedData.count, high, words, text.count, base + icv) == 1
                }
                var number = unsafe implicitIV(data, extraAssociatedData)
                return unsafe withUnsafeBytes(of: &number) { octets in
                    guard let octets = unsafe octets.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
                        return false
                    }
                    return unsafe martlet_gcm_open(
                        gcm, octets, data, associatedData.count, high, words, text.count, base + icv) == 1
                }
            }
            if isAEAD {
                guard let cipher = unsafe cipher else { return false }
                unsafe makeNonce(base + iv.lowerBound)
                let (data, length) = unsafe makeAssociatedData(base, associatedData, extraAssociatedData)
                if hasImplicitIV { unsafe makeImplicitNonce(base + associatedData.lowerBound, extraAssociatedData) }
                return unsafe martlet_aead_open(
                    cipher, scratch, data, length, base + iv.lowerBound, Int32(ivLength), words, Int32(text.count),
                    base + icv) == 1
            }
            guard let mac = unsafe authenticate(base, associatedData, iv, text, extraAssociatedData),
                unsafe martlet_mac_verify(mac, base + icv, icvLength) == 1
            else { return false }
            return unsafe encipher(base + iv.lowerBound, words, text.count)
        }
    }

    // MARK: Parts of a packet

    /// Whether every range lies in a buffer of `count` octets and suits the algorithm.
    @inline(__always)
    private func fits(
        _ count: Int, _ associatedData: Range<Int>, _ extra: UInt32?, _ iv: Range<Int>, _ text: Range<Int>,
        _ icv: Int
    ) -> Bool {
        guard count <= Int(Int32.max), associatedData.lowerBound >= 0, associatedData.upperBound <= count,
            iv.lowerBound >= 0, iv.upperBound <= count, text.lowerBound >= 0, text.upperBound <= count, icv >= 0,
            icv <= count, icvLength <= count - icv, iv.count == ivLength
        else { return false }
        guard blockLength == 1 || text.count & (blockLength - 1) == 0 else { return false }
        return !isAEAD || (extra == nil && !hasImplicitIV) || associatedData.count == 8
    }

    /// Puts the packet's IV behind the salt. Unsafe: `iv` must point at `ivLength` octets, which with the salt are at
    /// most 16.
    @inline(__always)
    private func makeNonce(_ iv: UnsafePointer<UInt8>) {
        unsafe (scratch + saltLength).update(from: iv, count: ivLength)
    }

    /// The sequence number, of 64 bits, in network order (RFC 8750 §4). Unsafe: `header` must point at ESP's 8 octets.
    @inline(__always)
    private func implicitIV(_ header: UnsafePointer<UInt8>, _ high: UInt32?) -> UInt64 {
        let low = unsafe UnsafeRawPointer(header + 4).loadUnaligned(as: UInt32.self).bigEndian
        return (UInt64(high ?? 0) << 32 | UInt64(low)).bigEndian
    }

    /// Puts the sequence number, of 64 bits, behind the salt (RFC 8750 §4). Unsafe: `header` must point at ESP's 8 octets.
    @inline(__always)
    private func makeImplicitNonce(_ header: UnsafePointer<UInt8>, _ high: UInt32?) {
        let place = unsafe UnsafeMutableRawPointer(scratch + saltLength)
        unsafe place.storeBytes(of: (high ?? 0).bigEndian, as: UInt32.self)
        unsafe (scratch + saltLength + 4).update(from: header + 4, count: 4)
    }

    /// The associated data as an AEAD wants them. Unsafe: `range` must lie within `base`, and hold 8 octets if there
    /// is a high half.
    @inline(__always)
    private func makeAssociatedData(
        _ base: UnsafePointer<UInt8>, _ range: Range<Int>, _ high: UInt32?
    ) -> (UnsafePointer<UInt8>, Int32) {
        let start = unsafe base + range.lowerBound
        guard let high else { return unsafe (start, Int32(range.count)) }
        let data = unsafe scratch + 16
        unsafe data.update(from: start, count: 4)
        unsafe UnsafeMutableRawPointer(data + 4).storeBytes(of: high.bigEndian, as: UInt32.self)
        unsafe (data + 8).update(from: start + 4, count: 4)
        return unsafe (UnsafePointer(data), 12)
    }

    /// CBC, counter mode, or nothing. Unsafe: both pointers must be good for the lengths that were checked.
    @inline(__always)
    private func encipher(_ iv: UnsafePointer<UInt8>, _ text: UnsafeMutablePointer<UInt8>, _ count: Int) -> Bool {
        guard let cipher = unsafe cipher else { return true }
        unsafe makeNonce(iv)
        return unsafe martlet_cipher_apply(cipher, scratch, text, Int32(count)) == 1
    }

    /// Feeds the MAC with what it covers. Unsafe: the ranges must lie within `base`.
    @inline(__always)
    private func authenticate(
        _ base: UnsafePointer<UInt8>, _ associatedData: Range<Int>, _ iv: Range<Int>, _ text: Range<Int>,
        _ high: UInt32?
    ) -> OpaquePointer? {
        guard let mac = unsafe mac, unsafe martlet_mac_restart(mac) == 1 else { return nil }
        var done: Bool
        if associatedData.upperBound == iv.lowerBound, iv.upperBound == text.lowerBound {
            let length = text.upperBound - associatedData.lowerBound
            done = unsafe martlet_mac_update(mac, base + associatedData.lowerBound, length) == 1
        } else {
            done = unsafe martlet_mac_update(mac, base + associatedData.lowerBound, associatedData.count) == 1
            done = unsafe done && martlet_mac_update(mac, base + iv.lowerBound, iv.count) == 1
            done = unsafe done && martlet_mac_update(mac, base + text.lowerBound, text.count) == 1
        }
        if var high = high?.bigEndian {
            // Four octets of this frame, read during the call only.
            done = unsafe done && martlet_mac_update(mac, &high, 4) == 1
        }
        return unsafe done ? mac : nil
    }
}
