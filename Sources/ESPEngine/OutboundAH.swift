public import Clockwork
public import GatewayModel
import IPPackets
import IPsecCrypto
public import NetworkTypes
import WireFormat

/// An outbound SA of AH: it makes whole IP packets, since the integrity check covers the outer header (RFC 4302 §3.3).
///
/// It owns the sequence numbers, the keyed authenticator and the counters. Any thread may make it, hand it over and read
/// its counters; only the thread that it was handed to may seal with it.
public final class OutboundAH: @unchecked Sendable {
    // `@unchecked`: what changes is used by one thread at a time, but for `live`, whose fields are atomic.

    /// The number in its packets.
    public let spi: UInt32
    /// The Child SA that it belongs to.
    public let child: ChildSAID
    /// Tells it from every other SA that had or will have its place.
    public let serial: UInt32
    /// Whether it stands within the packets, behind their own headers.
    public let isTransport: Bool
    private let isExtended: Bool
    private let authenticator: PacketAuthenticator
    /// For two SAs with the same SPI: whether they have the same key.
    private let key: SecretBytes
    private var ivStart: UInt64
    private var sequence: OutboundSequence
    private var warned = false
    private var volume: VolumeMeter
    private var scratch = HeaderScratch()
    private let live: LiveCounters

    /// Makes the SA's authenticator and counters. `serial` is the caller's own count of SAs.
    public convenience init(
        _ association: SecurityAssociation, serial: UInt32, entropy: inout some Entropy
    ) throws(SAError) {
        try self.init(
            association, serial: serial, ivStart: entropy.uint64(), lastSequence: 0, counters: SACounters())
    }

    /// Goes on where another left off.
    init(
        _ association: SecurityAssociation, serial: UInt32, ivStart: UInt64, lastSequence: UInt64,
        counters: SACounters
    ) throws(SAError) {
        authenticator = try PacketAuthenticator.make(association)
        spi = association.spi
        child = association.child
        self.serial = serial
        isTransport = association.mode == .transport
        isExtended = association.usesExtendedSequenceNumbers
        key = association.integrityKey
        self.ivStart = ivStart
        sequence = OutboundSequence(extended: isExtended, last: lastSequence)
        live = LiveCounters(counters)
        volume = VolumeMeter(association.limits)
    }

    /// Its traffic.
    public var counters: SACounters { live.snapshot }

    /// What another process needs to go on with it. Only while the thread that seals with it is at rest.
    public func state(of association: SecurityAssociation) -> AssociationState? {
        AssociationState(
            keys: PacketKeys(encryption: SecretBytes([]), integrity: key), counters: counters,
            progress: .outbound(last: sequence.last, ivStart: ivStart))
    }

    /// Room that any SA needs before the inner packet: an outer header, and AH with the longest ICV.
    public static let headroom = IPv6Header.length + 48

    /// Octets that it puts before an inner packet of a family when sent along `path`.
    public func headroom(for inner: IPAddress.Family, along path: Path) -> Int {
        let outer = isTransport ? inner : path.remote.address.family
        let header = AuthenticationHeader.length(icvLength: authenticator.icvLength, outer)
        guard !isTransport else { return header }
        return header + (outer == .v4 ? IPv4Header.minimumLength : IPv6Header.length)
    }

    /// How large its packets are along `path`, but for the outer IP header.
    public func shape(along path: Path) -> SealedShape {
        let header = AuthenticationHeader.length(icvLength: authenticator.icvLength, path.remote.address.family)
        return .authenticated(header: header, isTransport: isTransport)
    }

    /// A limit that the last packet has come to; told once for each, the soft one now and then again.
    func takeVolumeMark() -> VolumeMark? { volume.takeMark() }

    /// Goes on with the numbers of another one with the same SPI and key, so that none is used twice.
    func proceed(from other: OutboundAH) {
        guard spi == other.spi, key == other.key else { return }
        sequence = other.sequence
        ivStart = other.ivStart
        warned = other.warned
    }

    /// True once, when the SA should be replaced since its sequence numbers run out.
    func takeExhaustionWarning() -> Bool {
        guard !warned, sequence.isRunningOut else { return false }
        warned = true
        return true
    }

    /// Puts the inner packet at `inner` into an AH packet, IP header and all, and returns where that is. The buffer needs
    /// ``headroom(for:along:)`` octets before it.
    func seal(
        _ buffer: inout MutableRawSpan, inner: Range<Int>, along path: Path, _ trafficClass: TrafficClass,
        now: Instant
    ) throws(DropReason) -> Range<Int> {
        guard !volume.isExhausted else { throw .volumeExhausted }
        guard inner.lowerBound >= 0, inner.upperBound <= buffer.byteCount, !inner.isEmpty else {
            throw .malformedPacket
        }
        let count = inner.count
        let (packet, header) =
            isTransport ? try insert(&buffer, inner) : try wrap(&buffer, inner, along: path, trafficClass)
        try authenticate(&buffer, packet, header: header)
        volume.count(live.carried(count, now: now))
        return packet
    }

    /// AH behind an IP header of its own.
    private func wrap(
        _ buffer: inout MutableRawSpan, _ inner: Range<Int>, along path: Path, _ marks: TrafficClass
    ) throws(DropReason) -> (packet: Range<Int>, header: Int) {
        let fields: PacketSelectorFields
        do {
            fields = try PacketSelectorFields(parsing: buffer.bytes.extracting(inner))
        } catch { throw .malformedPacket }
        let (source, destination) = (path.local.address, path.remote.address)
        let length = AuthenticationHeader.length(icvLength: authenticator.icvLength, destination.family)
        let outer = destination.family == .v4 ? IPv4Header.minimumLength : IPv6Header.length
        let start = inner.lowerBound - outer - length
        guard start >= 0 else { throw .noRoom }
        guard let number = sequence.take() else { throw .sequenceExhausted }
        let trafficClass = marks.outer(forInner: fields.trafficClass)
        // Routers may fragment, so it needs an identification, which the check covers: the kernel must not choose one.
        let isWritten =
            destination.family == .v4
            ? IPv4Header.write(
                into: &buffer, at: start, from: source, to: destination, ipProtocol: .ah,
                payloadLength: length + inner.count, trafficClass: trafficClass,
                identification: UInt16(truncatingIfNeeded: number % 0xffff) + 1, doesNotFragment: false)
            : IPv6Header.write(
                into: &buffer, at: start, from: source, to: destination, nextHeader: .ah,
                payloadLength: length + inner.count, trafficClass: trafficClass)
        guard isWritten else { throw .noRoom }
        try write(&buffer, at: start + outer, fields.family == .v4 ? .ipv4 : .ipv6, length, number)
        return (start..<inner.upperBound, start + outer)
    }

    /// AH between the packet's own headers and what follows them.
    private func insert(
        _ buffer: inout MutableRawSpan, _ inner: Range<Int>
    ) throws(DropReason) -> (packet: Range<Int>, header: Int) {
        let chain: HeaderChain
        do {
            chain = try HeaderChain(parsing: buffer.bytes.extracting(inner), upToAH: false)
        } catch { throw .malformedPacket }
        // Whole packets only (RFC 4302 §3.3.4).
        guard !chain.isFragment else { throw .fragmentInTransport }
        let length = AuthenticationHeader.length(icvLength: authenticator.icvLength, chain.family)
        let start = inner.lowerBound - length
        guard start >= 0, chain.length <= HeaderScratch.capacity else { throw .noRoom }
        let total = chain.totalLength + length
        let said = chain.family == .v4 ? total : total - IPv6Header.length
        guard chain.totalLength == inner.count, let field = UInt16(exactly: said) else { throw .malformedPacket }
        guard let number = sequence.take() else { throw .sequenceExhausted }
        buffer.move(inner.lowerBound..<(inner.lowerBound + chain.length), to: start)
        buffer.put(IPProtocolNumber.ah.rawValue, at: start + chain.nextHeaderField)
        buffer.put(field, at: start + (chain.family == .v4 ? 2 : 4))
        if chain.family == .v4, buffer.bytes.uint16(at: start + 4) == 0, buffer.bytes.uint8(at: start + 6) & 0x40 == 0 {
            // The kernel would replace an identification of zero behind our back.
            buffer.put(UInt16(truncatingIfNeeded: number % 0xffff) + 1, at: start + 4)
        }
        try write(&buffer, at: start + chain.length, chain.nextHeader, length, number)
        return (start..<inner.upperBound, start + chain.length)
    }

    private func write(
        _ buffer: inout MutableRawSpan, at offset: Int, _ nextHeader: IPProtocolNumber, _ length: Int,
        _ number: UInt64
    ) throws(DropReason) {
        guard
            AuthenticationHeader.write(
                into: &buffer, at: offset, nextHeader: nextHeader, length: length, spi: spi,
                sequence: UInt32(truncatingIfNeeded: number))
        else { throw .noRoom }
        // GMAC's IV stands before its tag, and is never used twice (RFC 4543 §3.1).
        if authenticator.ivLength == 8 {
            buffer.put(ivStart &+ number, at: offset + AuthenticationHeader.fixedLength)
        }
    }

    /// Fills in the ICV. The headers look afterwards as they did before, but for a true checksum.
    private func authenticate(
        _ buffer: inout MutableRawSpan, _ packet: Range<Int>, header: Int
    ) throws(DropReason) {
        let headers = packet.lowerBound..<header
        scratch.keep(buffer.bytes.extracting(headers))
        do { try MutableFields.clear(&buffer, headers) } catch { throw .malformedPacket }
        let high = isExtended ? UInt32(truncatingIfNeeded: sequence.last >> 32) : nil
        let isSealed = authenticator.seal(
            &buffer, packet: packet, icv: header + AuthenticationHeader.fixedLength, extraAuthenticatedData: high)
        scratch.putBack(&buffer, at: packet.lowerBound)
        guard isSealed else { throw .cipherRefused }
        TransportArrival.sumHeader(&buffer, headers)
    }
}

/// The octets of a packet's headers while the integrity check sees them otherwise.
struct HeaderScratch {
    /// The longest headers: more extension headers than this nobody sends.
    static let capacity = 1024
    private var octets = [UInt8](repeating: 0, count: capacity)
    private var count = 0

    /// Copies the headers, which the caller has found to fit.
    mutating func keep(_ headers: RawSpan) {
        count = min(headers.byteCount, Self.capacity)
        for index in 0..<count { octets[index] = headers.uint8(at: index) }
    }

    /// Writes them to `offset`.
    func putBack(_ buffer: inout MutableRawSpan, at offset: Int) {
        for index in 0..<count { buffer.put(octets[index], at: offset + index) }
    }
}

extension PacketAuthenticator {
    /// The authenticator of an SA.
    static func make(_ association: SecurityAssociation) throws(SAError) -> PacketAuthenticator {
        guard association.encapsulation != .udp else { throw .authenticationHeaderInUDP }
        guard let integrity = association.integrity else { throw .cipher(.integrityMissing(association.encryption)) }
        do {
            return try PacketAuthenticator(integrity: integrity, key: association.integrityKey)
        } catch { throw .cipher(error) }
    }
}
