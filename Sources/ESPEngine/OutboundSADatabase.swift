public import Clockwork
public import GatewayModel
public import IPsecCrypto

/// Which outbound SA a policy means: a place, and which of all SAs that were ever there.
public struct OutboundHandle: Hashable, Sendable {
    /// The place in the database.
    public let slot: Int32
    /// The SA's ``OutboundSA/serial``.
    public let serial: UInt32

    /// A place and an SA.
    public init(slot: Int32, serial: UInt32) {
        self.slot = slot
        self.serial = serial
    }
}

/// The outbound SAs by slot, and the one `seal` of the project.
///
/// It belongs to the thread that transmits. SAs come and go between packets; a packet costs no allocation, no lock and no
/// reference count.
@safe
public struct OutboundSADatabase: ~Copyable {
    // `places[i]` points into `owners[i]`, which keeps it alive: both are only ever changed together.
    private var places: UnsafeMutableBufferPointer<UnsafeMutablePointer<Encapsulator>?>
    private var owners: [OutboundSA?]
    private var random: UnpredictableOctets
    private var compressor = PayloadCompressor()
    /// What was dropped, by reason.
    public let drops: DropCounters
    /// How many SAs there are.
    public private(set) var count = 0

    /// The most slots.
    public static let capacity = 1 << 20

    /// Starts empty. `entropy` makes the IVs that must not be predicted.
    public init(drops: DropCounters = DropCounters(), entropy: any Entropy & Sendable) {
        self.drops = drops
        owners = []
        random = UnpredictableOctets(entropy)
        unsafe places = .allocate(capacity: 0)
    }

    deinit { unsafe places.deallocate() }

    /// A packet that was sealed.
    public struct Sealed: Sendable {
        /// Where the ESP packet is.
        public let packet: Range<Int>
        /// Whether the SA should be replaced since its sequence numbers run out. Told once.
        public let isRunningOut: Bool
        /// A limit of its volume that the SA has come to with this packet. Told once, the soft one now and then again.
        public let mark: VolumeMark?
    }

    /// Adds an SA at a slot, in place of what was there. If that has the same SPI and keys, the new one goes on with its
    /// sequence numbers and IVs.
    public mutating func install(_ association: OutboundSA, at slot: Int32) throws(SAError) {
        guard slot >= 0, Int(slot) < Self.capacity else { throw .tableFull }
        let index = Int(slot)
        grow(to: index + 1)
        if let there = owners[index] {
            if there.spi == association.spi, there.hasKeys(of: association) {
                unsafe association.encapsulator.pointee.proceed(from: there.encapsulator.pointee)
            }
        } else {
            count += 1
        }
        owners[index] = association
        unsafe places[index] = association.encapsulator
        if association.compresses { compressor.prepare() }
    }

    /// Takes the SA at a slot away, if it is still the one that the handle means.
    @discardableResult
    public mutating func remove(_ handle: OutboundHandle) -> OutboundSA? {
        let index = Int(handle.slot)
        guard owners.indices.contains(index), let association = owners[index], association.serial == handle.serial
        else { return nil }
        unsafe places[index] = nil
        owners[index] = nil
        count -= 1
        return association
    }

    /// The SA that `handle` means; nil when it is gone. The pointer is to be used before anything can change the table.
    @inline(__always)
    private func found(_ handle: OutboundHandle) -> UnsafeMutablePointer<Encapsulator>? {
        let index = Int(handle.slot)
        guard index >= 0, index < owners.count, let found = unsafe places[index],
            unsafe found.pointee.serial == handle.serial
        else { return nil }
        return unsafe found
    }

    /// How large the packets of the SA are that `handle` means; nil when it is gone.
    public func shape(of handle: OutboundHandle) -> SealedShape? {
        unsafe found(handle)?.pointee.shape
    }

    /// When the SA that `handle` means last carried a packet; nil when it never did, or is gone.
    public func lastUse(of handle: OutboundHandle) -> Instant? {
        unsafe found(handle)?.pointee.lastUse
    }

    /// Makes a dummy packet around the octets at `payload`, in place, which the peer drops (RFC 4303 §2.6); `buffer` needs
    /// room around them (see ``headroom``, ``tailroom``). Whatever goes wrong is counted.
    public mutating func sealDummy(
        _ buffer: inout MutableRawSpan, payload: Range<Int>, by handle: OutboundHandle
    ) throws(DropReason) -> Sealed {
        do throws(DropReason) {
            guard let found = unsafe found(handle) else { throw .noSA }
            let packet = unsafe try found.pointee.sealDummy(&buffer, payload: payload, random: &random)
            return Sealed(packet: packet, isRunningOut: unsafe found.pointee.takeExhaustionWarning(), mark: nil)
        } catch {
            drops.count(error)
            throw error
        }
    }

    /// So many SAs and their keys stay in a processor's cache by themselves.
    public static let few = 64

    /// Whether there are more, so that it is worth while to fetch what a packet needs before it is sealed.
    public var isCrowded: Bool { count > Self.few }

    /// An SA is about to be used: what it needs is fetched meanwhile, in three steps some time apart, each of which reads
    /// what the one before has fetched: where it is, itself, its keys.
    @inline(__always)
    public func anticipate(_ handle: OutboundHandle, step: Int) {
        let index = Int(handle.slot)
        // The addresses are not read.
        guard index >= 0, index < owners.count, let base = unsafe places.baseAddress else { return }
        if step == 0 {
            unsafe PacketCipher.anticipate(UnsafeRawPointer(base + index))
            return
        }
        guard let found = unsafe places[index] else { return }
        if step == 1 {
            unsafe PacketCipher.anticipate(UnsafeRawPointer(found), octets: MemoryLayout<Encapsulator>.size)
        } else {
            unsafe found.pointee.anticipate()
        }
    }

    /// Seals the inner packet at `inner` in place; `buffer` needs room around it (see ``headroom``, ``tailroom``).
    /// Whatever is dropped is counted.
    public mutating func seal(
        _ buffer: inout MutableRawSpan, inner: Range<Int>, by handle: OutboundHandle, now: Instant
    ) throws(DropReason) -> Sealed {
        // Without a batch nothing is put off.
        try unsafe seal(&buffer, inner: inner, by: handle, now: now, in: nil)
    }

    /// The same, but what `batch` can do sooner for many packets is done by its ``LentBatch/finish()``. Unsafe: until
    /// then what `buffer` lends must stay where it is, and the SA must not be removed or replaced.
    @unsafe
    @inline(__always)
    public mutating func seal(
        _ buffer: inout MutableRawSpan, inner: Range<Int>, by handle: OutboundHandle, now: Instant,
        in batch: LentBatch?
    ) throws(DropReason) -> Sealed {
        do throws(DropReason) {
            guard let found = unsafe found(handle) else { throw .noSA }
            let packet = unsafe try found.pointee.seal(
                &buffer, inner: inner, by: &compressor, random: &random, now: now, in: batch)
            return Sealed(
                packet: packet, isRunningOut: unsafe found.pointee.takeExhaustionWarning(),
                mark: unsafe found.pointee.takeVolumeMark())
        } catch {
            drops.count(error)
            throw error
        }
    }

    /// Seals what follows the headers of the whole packet at `packet`, for SAs in transport mode; `buffer` needs room
    /// before and behind it (see ``headroom``, ``tailroom``). What comes out is a whole IP packet again. Whatever is
    /// dropped is counted.
    public mutating func sealWhole(
        _ buffer: inout MutableRawSpan, packet: Range<Int>, by handle: OutboundHandle, now: Instant
    ) throws(DropReason) -> Sealed {
        do throws(DropReason) {
            guard let found = unsafe found(handle) else { throw .noSA }
            let whole = unsafe try found.pointee.sealWhole(
                &buffer, packet: packet, by: &compressor, random: &random, now: now)
            return Sealed(
                packet: whole, isRunningOut: unsafe found.pointee.takeExhaustionWarning(),
                mark: unsafe found.pointee.takeVolumeMark())
        } catch {
            drops.count(error)
            throw error
        }
    }

    /// Room that any SA needs before the inner packet: SPI, sequence number, the longest IV.
    public static let headroom = 24
    /// Room that any SA needs after it: padding, trailer, the longest ICV.
    public static let tailroom = 15 + 2 + 32

    private mutating func grow(to needed: Int) {
        guard needed > owners.count else { return }
        var capacity = max(64, owners.count)
        while capacity < needed { capacity *= 2 }
        let larger = UnsafeMutableBufferPointer<UnsafeMutablePointer<Encapsulator>?>.allocate(capacity: capacity)
        unsafe larger.initialize(repeating: nil)
        for index in owners.indices { unsafe larger[index] = places[index] }
        unsafe places.deallocate()
        unsafe places = larger
        owners.append(contentsOf: repeatElement(nil, count: capacity - owners.count))
    }
}
