public import Clockwork
public import GatewayModel
import IPsecCrypto

/// An outbound SA, ready to be put into an ``OutboundSADatabase``.
///
/// It owns the ``Encapsulator`` and the counters. Any thread may make it, hand it over and read its counters; only the
/// thread that has the database it is in may seal with it.
@safe
public final class OutboundSA: @unchecked Sendable {
    // `@unchecked`: everything that changes lies in `memory`: the encapsulator, which one thread at a time uses, and the
    // counters, which are atomic.

    /// The number in its packets.
    public let spi: UInt32
    /// The Child SA that it belongs to.
    public let child: ChildSAID
    /// Tells it from every other SA that had or will have its place.
    public let serial: UInt32
    /// Whether its payloads are compressed where that makes them shorter.
    let compresses: Bool
    /// For two SAs with the same SPI: whether they have the same keys. Nil when the cipher can tell.
    private let keys: PacketKeys?
    private let memory: AssociationMemory<Encapsulator>
    /// For the thread that seals with it.
    var encapsulator: UnsafeMutablePointer<Encapsulator> { unsafe memory.carrier }

    /// Makes the SA's cipher and counters.
    ///
    /// `serial` is the caller's own count of SAs. The IVs start at a random place.
    public convenience init(
        _ association: borrowing SecurityAssociation, serial: UInt32, entropy: inout some Entropy
    ) throws(SAError) {
        try self.init(association, serial: serial, ivStart: entropy.uint64(), lastSequence: 0)
    }

    /// With given numbers: for test vectors, and for what goes on where another left off.
    init(
        _ association: borrowing SecurityAssociation, serial: UInt32, ivStart: UInt64, lastSequence: UInt64,
        counters: SACounters = SACounters()
    ) throws(SAError) {
        let keys = PacketKeys(encryption: association.encryptionKey, integrity: association.integrityKey)
        let cipher: PacketCipher
        do {
            cipher = try PacketCipher(
                encryption: association.encryption, integrity: association.integrity, keys: keys, direction: .seal)
        } catch { throw .cipher(error) }
        spi = association.spi
        child = association.child
        self.serial = serial
        self.keys = cipher.remembersKeys ? nil : keys
        compresses = association.compressionIndex != nil
        memory = unsafe AssociationMemory(counters) { live in
            unsafe Encapsulator(
                spi: association.spi, serial: serial, isTransport: association.mode == .transport,
                isExtended: association.usesExtendedSequenceNumbers,
                cipher: cipher, ivStart: ivStart, lastSequence: lastSequence, limits: association.limits,
                counters: live, compressionIndex: association.compressionIndex)
        }
    }

    /// How large its packets are. To be asked before the SA is handed to the thread that seals.
    public var shape: SealedShape { unsafe encapsulator.pointee.shape }

    /// Its traffic.
    public var counters: SACounters { memory.counters }

    /// What another process needs to go on with it; nil when the keys are not `association`'s. Only while the thread that
    /// seals with it is at rest.
    public func state(of association: SecurityAssociation) -> AssociationState? {
        guard let keys = unsafe keys ?? encapsulator.pointee.recallKeys(association.encryption) else { return nil }
        return AssociationState(
            keys: keys, counters: counters, limits: unsafe encapsulator.pointee.limits,
            progress: unsafe .outbound(
                last: encapsulator.pointee.lastSequence, ivStart: encapsulator.pointee.ivStart))
    }

    /// Whether both have the same keys, so that one of them may not count from the start.
    func hasKeys(of other: OutboundSA) -> Bool {
        guard let keys, let others = other.keys else {
            return unsafe encapsulator.pointee.hasKeys(of: other.encapsulator.pointee)
        }
        return keys.encryption == others.encryption && keys.integrity == others.integrity
    }
}
