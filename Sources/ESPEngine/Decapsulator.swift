import Clockwork
import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes

/// Opens the packets of one inbound SA, in place (RFC 4303 §3.4, RFC 4301 §5.2).
///
/// It owns the replay window, the keyed cipher and the selectors. It never allocates. The order is always: replay check,
/// integrity check, then the window moves, then what is inside is looked at.
@safe
struct Decapsulator: ~Copyable {
    let spi: UInt32
    let child: ChildSAID
    /// Where the peer's packets should come from; what another address says is reported once.
    var remote: Endpoint
    private let isTransport: Bool
    private let isInUDP: Bool
    private let isExtended: Bool
    // Whether fragments that do not show their ports go where the first one went.
    private let followsFirst: Bool
    // There are as many of these as there are SAs: small fields are kept small.
    private let octets: (iv: UInt8, icv: UInt8, block: UInt8)
    private var ivLength: Int { Int(octets.iv) }
    private var icvLength: Int { Int(octets.icv) }
    private var blockLength: Int { Int(octets.block) }
    private(set) var window: ReplayWindow
    private var volume: VolumeMeter
    private let rules: ArrivalRules
    private let compressionIndex: UInt16?
    // Owned: retained in `init`, released in `deinit`. Unmanaged, so that opening counts no references.
    private let cipher: Unmanaged<PacketCipher>
    // The SA's own counters, which outlive this (see InboundSA).
    private let counters: UnsafePointer<LiveCounters>
    // The cipher's, to be fetched without looking into the cipher first.
    private let keyAddress: UnsafeRawPointer?
    private let selectors: InboundSelectors

    init(
        spi: UInt32, child: ChildSAID, remote: Endpoint, isTransport: Bool, isInUDP: Bool, isExtended: Bool,
        cipher: PacketCipher, window: ReplayWindow, localSelectors: [TrafficSelector],
        remoteSelectors: [TrafficSelector], limits: VolumeLimits, rules: ArrivalRules,
        counters: UnsafePointer<LiveCounters>, compressionIndex: UInt16? = nil, followsFirst: Bool = false
    ) {
        self.spi = spi
        self.child = child
        self.remote = remote
        self.isTransport = isTransport
        self.isInUDP = isInUDP
        self.isExtended = isExtended
        self.followsFirst = followsFirst
        octets = (
            UInt8(clamping: cipher.ivLength), UInt8(clamping: cipher.icvLength), UInt8(clamping: cipher.blockLength)
        )
        self.window = window
        volume = VolumeMeter(limits)
        self.rules = rules
        self.compressionIndex = compressionIndex
        selectors = InboundSelectors(local: localSelectors, remote: remoteSelectors)
        unsafe keyAddress = cipher.keyAddress
        unsafe self.cipher = .passRetained(cipher)
        unsafe self.counters = counters
    }

    deinit { unsafe cipher.release() }

    /// How much it may carry.
    var limits: VolumeLimits { volume.limits }

    /// The keys, where the cipher remembers them.
    func recallKeys(_ encryption: Transform) -> PacketKeys? {
        // `self` holds a reference for as long as it lives.
        unsafe cipher._withUnsafeGuaranteedRef { $0.recallKeys(encryption) }
    }

    /// The highest sequence number that was authentic.
    var highestSequence: UInt64 { window.highest }

    /// Asks the processor for the cipher, its keys, the window, the selectors and the counters, which are about to be used;
    /// nothing of them is read.
    @inline(__always)
    func anticipate() {
        // `self` holds a reference for as long as it lives; the counters outlive it.
        unsafe PacketCipher.anticipate(UnsafeRawPointer(cipher.toOpaque()), octets: 128)
        if let keyAddress = unsafe keyAddress { unsafe PacketCipher.anticipateKeys(at: keyAddress) }
        unsafe PacketCipher.anticipate(UnsafeRawPointer(counters))
        window.anticipate()
        selectors.anticipate()
    }

    /// A payload that was authentic.
    struct Payload {
        /// Where it is.
        let range: Range<Int>
        /// What it is.
        let nextHeader: IPProtocolNumber
        /// Whether its sequence number is higher than all before.
        let isNewest: Bool
    }

    /// A limit that the last packet has come to; told once for each, the soft one now and then again.
    @inline(__always)
    mutating func takeVolumeMark() -> VolumeMark? { volume.takeMark() }

    /// An inner packet that the SA may carry.
    struct Inner {
        /// Where it is: in the buffer, or in the expander's memory.
        let range: Range<Int>
        /// Whether its sequence number is higher than all before.
        let isNewest: Bool
        /// Whether it came compressed.
        var isExpanded = false
    }

    /// Opens the ESP packet at `packet` and returns where its inner packet is, which the SA may carry.
    // One caller: what is carried from one of these to the next stays in registers.
    @inline(__always)
    mutating func open(
        _ buffer: inout MutableRawSpan, packet: Range<Int>, _ arrival: PacketArrival,
        by expander: inout PayloadExpander, _ fragments: inout FragmentMemory, now: Instant
    ) throws(DropReason) -> Inner {
        guard !volume.isExhausted else { throw .volumeExhausted }
        let payload = try open(&buffer, packet: packet)
        if payload.nextHeader == .compression, let compressionIndex {
            return try expand(payload, buffer.bytes, arrival, compressionIndex, &expander, &fragments, now: now)
        }
        return try admit(payload, &buffer, arrival, &fragments, now: now)
    }

    /// Decompresses a payload that came compressed, and looks at it then as at any other (RFC 3173 §2.2).
    @inline(never)
    private mutating func expand(
        _ payload: Payload, _ bytes: RawSpan, _ arrival: PacketArrival, _ index: UInt16,
        _ expander: inout PayloadExpander, _ fragments: inout FragmentMemory, now: Instant
    ) throws(DropReason) -> Inner {
        let header: CompressionHeader
        do {
            header = try CompressionHeader(parsing: bytes.extracting(payload.range))
        } catch { throw .badCompression }
        guard header.index == index else { throw .unknownCompression }
        // Once is enough.
        guard header.nextHeader != .compression else { throw .badCompression }
        let text = (payload.range.lowerBound + CompressionHeader.length)..<payload.range.upperBound
        let range = try expander.expand(bytes.extracting(text))
        // The expander's own memory, which nothing else uses meanwhile.
        var memory = unsafe MutableRawSpan(_unsafeBytes: expander.memory)
        var arrival = arrival
        if isTransport, let came = arrival.header, came.count <= PayloadExpander.headroom {
            // Transport mode puts the header that it came with in front again.
            let start = range.lowerBound - came.count
            memory.copy(bytes.extracting(came), at: start)
            arrival.header = start..<range.lowerBound
        }
        var inner = try admit(
            Payload(range: range, nextHeader: header.nextHeader, isNewest: payload.isNewest), &memory, arrival,
            &fragments, now: now)
        inner.isExpanded = true
        return inner
    }

    /// What the payload carries, if the SA may carry it.
    @inline(__always)
    private mutating func admit(
        _ payload: Payload, _ buffer: inout MutableRawSpan, _ arrival: PacketArrival,
        _ fragments: inout FragmentMemory, now: Instant
    ) throws(DropReason) -> Inner {
        if isTransport { return try rebuild(payload, &buffer, arrival, now: now) }
        let version: UInt8
        switch payload.nextHeader {
        case .ipv4: version = 4
        case .ipv6: version = 6
        case .none: throw .dummy
        default: throw .badNextHeader
        }
        guard !payload.range.isEmpty, buffer.bytes.uint8(at: payload.range.lowerBound) >> 4 == version else {
            throw .malformedInner
        }
        let fields: PacketSelectorFields
        do { fields = try PacketSelectorFields(parsing: buffer.bytes.extracting(payload.range)) } catch {
            throw .malformedInner
        }
        let isSelected = selectors.admit(fields)
        if fields.isFragment, followsFirst {
            try fragments.admit(
                buffer.bytes.extracting(payload.range), fields, isSelected: isSelected, by: child, now: now)
        } else if !isSelected {
            throw .outsideSelectors
        }
        // What follows the inner packet's own length hides how long it is (RFC 4303 §2.7).
        let inner = payload.range.lowerBound..<(payload.range.lowerBound + fields.length)
        try rules.apply(to: &buffer, inner, fields, outerClass: arrival.trafficClass)
        volume.count(unsafe counters.pointee.carried(inner.count, now: now))
        return Inner(range: inner, isNewest: payload.isNewest)
    }

    /// Makes a packet of what came in transport mode, and checks it as if it had come whole.
    private mutating func rebuild(
        _ payload: Payload, _ buffer: inout MutableRawSpan, _ arrival: PacketArrival, now: Instant
    ) throws(DropReason) -> Inner {
        if payload.nextHeader == .none { throw .dummy }
        let packet = try TransportArrival.rebuild(
            &buffer, payload: payload.range, nextHeader: payload.nextHeader, arrival, fixesChecksum: isInUDP)
        let fields: PacketSelectorFields
        do {
            fields = try PacketSelectorFields(parsing: buffer.bytes.extracting(packet))
        } catch { throw .malformedInner }
        guard selectors.admit(fields) else { throw .outsideSelectors }
        // Its header is the one that it came with: there is nothing to be told between two.
        rules.clamp(&buffer, packet, fields)
        volume.count(unsafe counters.pointee.carried(packet.count, now: now))
        return Inner(range: packet, isNewest: payload.isNewest)
    }

    /// Opens the ESP packet at `packet` and returns where its payload is, whatever it carries.
    @inline(__always)
    mutating func open(_ buffer: inout MutableRawSpan, packet: Range<Int>) throws(DropReason) -> Payload {
        let ivStart = packet.lowerBound + ESPHeader.length
        let text = (ivStart + ivLength)..<max(ivStart + ivLength, packet.upperBound - icvLength)
        guard packet.lowerBound >= 0, packet.upperBound <= buffer.byteCount,
            packet.count >= ESPHeader.length + ivLength + ESPHeader.trailerLength + icvLength,
            text.count & (blockLength - 1) == 0
        else { throw .malformedESP }

        let low = buffer.bytes.uint32(at: packet.lowerBound + 4)
        let sequence: UInt64
        if isExtended {
            guard
                let recovered = SequenceRecovery.sequence(low: low, highest: window.highest, window: window.size)
            else { throw replayed() }
            sequence = recovered
        } else {
            sequence = UInt64(low)
        }
        guard window.isFresh(sequence) else { throw replayed() }

        let high = isExtended ? UInt32(truncatingIfNeeded: sequence >> 32) : nil
        let isAuthentic = unsafe cipher._withUnsafeGuaranteedRef { cipher in
            // `self` holds a reference for as long as it lives.
            cipher.open(
                &buffer, associatedData: packet.lowerBound..<ivStart, extraAssociatedData: high,
                iv: ivStart..<text.lowerBound, text: text, icv: text.upperBound)
        }
        guard isAuthentic else {
            unsafe counters.pointee.forged()
            throw .forged
        }
        let isNewest = window.accept(sequence)

        let padding = Int(buffer.bytes.uint8(at: text.upperBound - 2))
        let end = text.upperBound - ESPHeader.trailerLength - padding
        guard end >= text.lowerBound else { throw .badPadding }
        var wrong: UInt8 = 0
        for index in 0..<padding {
            wrong |= buffer.bytes.uint8(at: end + index) ^ UInt8(truncatingIfNeeded: index + 1)
        }
        guard wrong == 0 else { throw .badPadding }
        return Payload(
            range: text.lowerBound..<end,
            nextHeader: IPProtocolNumber(rawValue: buffer.bytes.uint8(at: text.upperBound - 1)), isNewest: isNewest)
    }

    private func replayed() -> DropReason {
        unsafe counters.pointee.replayed()
        return .replayed
    }
}
