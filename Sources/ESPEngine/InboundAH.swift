import Clockwork
public import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes
import WireFormat

/// An inbound SA of AH: it checks whole IP packets, since the integrity check covers the outer header (RFC 4302 §3.4).
///
/// It owns the replay window, the keyed authenticator, the selectors and the counters. Any thread may make it, hand it
/// over and read its counters; only the thread that it was handed to may open with it. The order is always: replay check,
/// integrity check, then the window moves, then what is inside is looked at.
public final class InboundAH: @unchecked Sendable {
    // `@unchecked`: what changes is used by one thread at a time, but for `live`, whose fields are atomic.

    /// The number in its packets: ours, laid out as ``SPILayout`` says.
    public let spi: UInt32
    /// The Child SA that it belongs to.
    public let child: ChildSAID
    /// Where the peer's packets should come from.
    var remote: IPAddress
    private let isTransport: Bool
    private let isExtended: Bool
    /// Whether fragments that do not show their ports go where the first one went.
    private let followsFirst: Bool
    private let authenticator: PacketAuthenticator
    private let selectors: InboundSelectors
    private var window: ReplayWindow
    private var scratch = HeaderScratch()
    private let rules: ArrivalRules
    private var volume: VolumeMeter
    private let live: LiveCounters
    /// For whoever goes on with it in another process.
    private let key: SecretBytes

    /// Makes the SA's authenticator, window and counters. `pathMTU` is the longest outer packet that the path takes, by
    /// which TCP's segments are held; nil when it is not known.
    public convenience init(_ association: SecurityAssociation, pathMTU: Int? = nil) throws(SAError) {
        guard let window = ReplayWindow(size: association.replayWindow) else {
            throw .replayWindow(association.replayWindow)
        }
        try self.init(association, window: window, counters: SACounters(), pathMTU: pathMTU)
    }

    /// Goes on where another left off.
    init(
        _ association: SecurityAssociation, window: ReplayWindow, counters: SACounters, pathMTU: Int?
    ) throws(SAError) {
        guard association.spi > 255 else { throw .reservedSPI(association.spi) }
        let count = max(association.localSelectors.count, association.remoteSelectors.count)
        guard count <= InboundSA.maximumSelectors else {
            throw .tooManySelectors(count, limit: InboundSA.maximumSelectors)
        }
        self.window = window
        live = LiveCounters(counters)
        key = association.integrityKey
        authenticator = try PacketAuthenticator.make(association)
        spi = association.spi
        child = association.child
        remote = association.path.remote.address
        isTransport = association.mode == .transport
        isExtended = association.usesExtendedSequenceNumbers
        followsFirst = association.tunnel.laterFragments == .followFirst && !isTransport
        let length = AuthenticationHeader.length(
            icvLength: authenticator.icvLength, association.path.remote.address.family)
        let shape = SealedShape.authenticated(header: length, isTransport: isTransport)
        rules = ArrivalRules(
            association.tunnel,
            innerMTU: pathMTU.map { TunnelRules(association, shape: shape, pathMTU: $0).innerMTU })
        volume = VolumeMeter(association.limits)
        selectors = InboundSelectors(local: association.localSelectors, remote: association.remoteSelectors)
    }

    /// Its traffic.
    public var counters: SACounters { live.snapshot }

    /// What another process needs to go on with it. Only while the thread that opens with it is at rest.
    public func state(of association: SecurityAssociation) -> AssociationState? {
        AssociationState(
            keys: PacketKeys(encryption: SecretBytes([]), integrity: key), counters: counters, limits: volume.limits,
            progress: .inbound(window, remote: Endpoint(remote, 0)))
    }

    /// A limit that the last packet has come to; told once for each, the soft one now and then again.
    func takeVolumeMark() -> VolumeMark? { volume.takeMark() }

    /// Checks the packet at `packet`, whose headers end at `chain` and which goes on with `header`, and returns where the
    /// inner packet is. In transport mode the headers move up to what they belong to.
    func open(
        _ buffer: inout MutableRawSpan, _ packet: Range<Int>, _ chain: HeaderChain, _ header: AuthenticationHeader,
        _ arrival: PacketArrival, _ fragments: inout FragmentMemory, now: Instant
    ) throws(DropReason) -> (inner: Range<Int>, isNewest: Bool) {
        guard !volume.isExhausted else { throw .volumeExhausted }
        let start = packet.lowerBound + chain.length
        guard header.length >= AuthenticationHeader.fixedLength + authenticator.icvLength,
            chain.length <= HeaderScratch.capacity
        else { throw .malformedESP }
        let sequence = try recover(header.sequence)
        let headers = packet.lowerBound..<start
        scratch.keep(buffer.bytes.extracting(headers))
        do { try MutableFields.clear(&buffer, headers) } catch { throw .malformedESP }
        let isAuthentic = authenticator.verify(
            &buffer, packet: packet, icv: start + AuthenticationHeader.fixedLength,
            extraAuthenticatedData: isExtended ? UInt32(truncatingIfNeeded: sequence >> 32) : nil)
        scratch.putBack(&buffer, at: packet.lowerBound)
        guard isAuthentic else {
            live.forged()
            throw .forged
        }
        let isNewest = window.accept(sequence)
        let payload = (start + header.length)..<packet.upperBound
        let inner =
            isTransport
            ? try restore(&buffer, chain, header, packet) : try unwrap(buffer.bytes, header.nextHeader, payload)
        let fields: PacketSelectorFields
        do {
            fields = try PacketSelectorFields(parsing: buffer.bytes.extracting(inner))
        } catch { throw .malformedInner }
        let isSelected = selectors.admit(fields)
        if fields.isFragment, followsFirst {
            try fragments.admit(buffer.bytes.extracting(inner), fields, isSelected: isSelected, by: child, now: now)
        } else if !isSelected {
            throw .outsideSelectors
        }
        let whole = inner.lowerBound..<(inner.lowerBound + fields.length)
        if isTransport {
            rules.clamp(&buffer, whole, fields)
        } else {
            try rules.apply(to: &buffer, whole, fields, outerClass: arrival.trafficClass)
        }
        volume.count(live.carried(whole.count, now: now))
        return (whole, isNewest)
    }

    private func recover(_ low: UInt32) throws(DropReason) -> UInt64 {
        let sequence =
            isExtended
            ? SequenceRecovery.sequence(low: low, highest: window.highest, window: window.size) : UInt64(low)
        guard let sequence, window.isFresh(sequence) else {
            live.replayed()
            throw .replayed
        }
        return sequence
    }

    private func unwrap(
        _ bytes: RawSpan, _ nextHeader: IPProtocolNumber, _ payload: Range<Int>
    ) throws(DropReason) -> Range<Int> {
        let version: UInt8
        switch nextHeader {
        case .ipv4: version = 4
        case .ipv6: version = 6
        case .none: throw .dummy
        default: throw .badNextHeader
        }
        guard !payload.isEmpty, bytes.uint8(at: payload.lowerBound) >> 4 == version else { throw .malformedInner }
        return payload
    }

    /// Takes AH out from between the headers and what follows it.
    private func restore(
        _ buffer: inout MutableRawSpan, _ chain: HeaderChain, _ header: AuthenticationHeader, _ packet: Range<Int>
    ) throws(DropReason) -> Range<Int> {
        if header.nextHeader == .none { throw .dummy }
        let inner = (packet.lowerBound + header.length)..<packet.upperBound
        let said = chain.family == .v4 ? inner.count : inner.count - IPv6Header.length
        guard let field = UInt16(exactly: said) else { throw .malformedInner }
        buffer.move(packet.lowerBound..<(packet.lowerBound + chain.length), to: inner.lowerBound)
        buffer.put(header.nextHeader.rawValue, at: inner.lowerBound + chain.nextHeaderField)
        buffer.put(field, at: inner.lowerBound + (chain.family == .v4 ? 2 : 4))
        if chain.family == .v4 {
            // It may have come in pieces.
            buffer.put(buffer.bytes.uint16(at: inner.lowerBound + 6) & 0x4000, at: inner.lowerBound + 6)
        }
        TransportArrival.sumHeader(&buffer, inner.lowerBound..<(inner.lowerBound + chain.length))
        return inner
    }
}
