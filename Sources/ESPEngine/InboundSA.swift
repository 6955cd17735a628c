public import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes

/// An inbound SA, ready to be put into an ``InboundSADatabase``.
///
/// It owns the ``Decapsulator`` and the counters. Any thread may make it, hand it over and read its counters; only the
/// thread that has the database it is in may open with it.
@safe
public final class InboundSA: @unchecked Sendable {
    // `@unchecked`: everything that changes lies in `memory`: the decapsulator, which one thread at a time uses, and the
    // counters, which are atomic.

    /// The number in its packets: ours, laid out as ``SPILayout`` says.
    public let spi: UInt32
    /// The Child SA that it belongs to.
    public let child: ChildSAID
    /// Whether it carries payloads, and no whole packets.
    let isTransport: Bool
    /// Whether its payloads may be compressed.
    let expands: Bool
    /// For whoever goes on with it in another process. Nil when the cipher can tell.
    private let keys: PacketKeys?
    private let memory: AssociationMemory<Decapsulator>
    /// For the thread that opens with it.
    var decapsulator: UnsafeMutablePointer<Decapsulator> { unsafe memory.carrier }

    /// The most selectors of one side: all that one payload can hold (RFC 7296 §3.13).
    public static let maximumSelectors = 255

    /// Makes the SA's cipher, window and counters.
    ///
    /// `pathMTU` is the longest outer packet that the path takes, by which TCP's segments are held; nil when it is not
    /// known.
    public convenience init(_ association: borrowing SecurityAssociation, pathMTU: Int? = nil) throws(SAError) {
        guard association.spi > 255 else { throw .reservedSPI(association.spi) }
        try self.init(association, highestSequence: 0, pathMTU: pathMTU)
    }

    /// With numbers up to `highestSequence` seen already: for test vectors.
    convenience init(
        _ association: borrowing SecurityAssociation, highestSequence: UInt64, pathMTU: Int? = nil
    ) throws(SAError) {
        guard let window = ReplayWindow(size: association.replayWindow, highest: highestSequence) else {
            throw .replayWindow(association.replayWindow)
        }
        try self.init(
            association, window: window, remote: association.path.remote, counters: SACounters(), pathMTU: pathMTU)
    }

    /// With a window that has seen numbers already: another process has gone so far.
    init(
        _ association: borrowing SecurityAssociation, window: ReplayWindow, remote: Endpoint, counters: SACounters,
        pathMTU: Int?
    ) throws(SAError) {
        let selectors = max(association.localSelectors.count, association.remoteSelectors.count)
        guard selectors <= Self.maximumSelectors else {
            throw .tooManySelectors(selectors, limit: Self.maximumSelectors)
        }
        let keys = PacketKeys(encryption: association.encryptionKey, integrity: association.integrityKey)
        let cipher: PacketCipher
        do {
            cipher = try PacketCipher(
                encryption: association.encryption, integrity: association.integrity, keys: keys, direction: .open)
        } catch { throw .cipher(error) }
        let shape = SealedShape(
            headroom: ESPHeader.length + cipher.ivLength, alignment: max(cipher.blockLength, ESPHeader.alignment),
            icvLength: cipher.icvLength, isTransport: association.mode == .transport)
        let innerMTU = pathMTU.map { TunnelRules(association, shape: shape, pathMTU: $0).innerMTU }
        spi = association.spi
        child = association.child
        isTransport = association.mode == .transport
        expands = association.compressionIndex != nil
        self.keys = cipher.remembersKeys ? nil : keys
        memory = unsafe AssociationMemory(counters) { live in
            unsafe Decapsulator(
                spi: association.spi, child: association.child, remote: remote,
                isTransport: association.mode == .transport, isInUDP: association.encapsulation == .udp,
                isExtended: association.usesExtendedSequenceNumbers, cipher: cipher, window: window,
                localSelectors: association.localSelectors, remoteSelectors: association.remoteSelectors,
                limits: association.limits, rules: ArrivalRules(association.tunnel, innerMTU: innerMTU),
                counters: live, compressionIndex: association.compressionIndex,
                followsFirst: association.tunnel.laterFragments == .followFirst)
        }
    }

    /// What another process needs to go on with it; nil when the keys are not `association`'s. Only while the thread that
    /// opens with it is at rest.
    public func state(of association: SecurityAssociation) -> AssociationState? {
        guard let keys = unsafe keys ?? decapsulator.pointee.recallKeys(association.encryption) else { return nil }
        return AssociationState(
            keys: keys, counters: counters, limits: unsafe decapsulator.pointee.limits,
            progress: unsafe .inbound(decapsulator.pointee.window, remote: decapsulator.pointee.remote))
    }

    /// Its traffic.
    public var counters: SACounters { memory.counters }
}
