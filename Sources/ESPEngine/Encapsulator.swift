import Clockwork
import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes

/// Seals the packets of one outbound SA, in place (RFC 4303 §3.3).
///
/// It owns the sequence numbers, the IVs made from them, and the keyed cipher: whoever has it is the only one who seals
/// with this key. It never allocates and never looks up a policy.
@safe
struct Encapsulator: ~Copyable {
    let spi: UInt32
    let serial: UInt32
    private let isTransport: Bool
    private let isExtended: Bool
    private var ivSource: IVSource
    // There are as many of these as there are SAs: small fields are kept small.
    private let octets: (iv: UInt8, icv: UInt8, alignment: UInt8)
    private var ivLength: Int { Int(octets.iv) }
    private var icvLength: Int { Int(octets.icv) }
    private var alignment: Int { Int(octets.alignment) }
    private var sequence: OutboundSequence
    private var warned = false
    private var volume: VolumeMeter
    private var habit: CompressionHabit?
    // Owned: retained in `init`, released in `deinit`. Unmanaged, so that sealing counts no references.
    private let cipher: Unmanaged<PacketCipher>
    // The SA's own counters, which outlive this (see OutboundSA).
    private let counters: UnsafePointer<LiveCounters>
    // The cipher's, to be fetched without looking into the cipher first.
    private let keyAddress: UnsafeRawPointer?

    /// `lastSequence` counts as used already.
    init(
        spi: UInt32, serial: UInt32, isTransport: Bool, isExtended: Bool, cipher: PacketCipher, ivStart: UInt64,
        lastSequence: UInt64 = 0, limits: VolumeLimits, counters: UnsafePointer<LiveCounters>,
        compressionIndex: UInt16? = nil
    ) {
        self.spi = spi
        self.serial = serial
        habit = compressionIndex.map { CompressionHabit(index: $0) }
        self.isTransport = isTransport
        self.isExtended = isExtended
        octets = (
            UInt8(clamping: cipher.ivLength), UInt8(clamping: cipher.icvLength),
            UInt8(clamping: max(cipher.blockLength, ESPHeader.alignment))
        )
        // Stream ciphers count; block ciphers in CBC must not be predicted.
        ivSource = cipher.ivLength == 0 ? .none : cipher.blockLength == 1 ? .counter(start: ivStart) : .unpredictable
        sequence = OutboundSequence(extended: isExtended, last: lastSequence)
        volume = VolumeMeter(limits)
        unsafe keyAddress = cipher.keyAddress
        unsafe self.cipher = .passRetained(cipher)
        unsafe self.counters = counters
    }

    deinit { unsafe cipher.release() }

    /// The last sequence number that was used.
    var lastSequence: UInt64 { sequence.last }

    /// Where the IVs that are counted start; 0 where they are not.
    var ivStart: UInt64 {
        if case .counter(let start) = ivSource { start } else { 0 }
    }

    /// How much it may carry.
    var limits: VolumeLimits { volume.limits }

    /// The keys, where the cipher remembers them.
    func recallKeys(_ encryption: Transform) -> PacketKeys? {
        // `self` holds a reference for as long as it lives.
        unsafe cipher._withUnsafeGuaranteedRef { $0.recallKeys(encryption) }
    }

    /// Octets before the inner packet: SPI, sequence number, IV.
    var headroom: Int { ESPHeader.length + ivLength }

    /// Octets after the inner packet at most: padding, trailer, ICV.
    var tailroom: Int { alignment - 1 + ESPHeader.trailerLength + icvLength }

    /// How large its packets are.
    var shape: SealedShape {
        SealedShape(headroom: headroom, alignment: alignment, icvLength: icvLength, isTransport: isTransport)
    }

    /// Asks the processor for the cipher, its keys and the counters, which are about to be used; nothing of them is read.
    @inline(__always)
    func anticipate() {
        // `self` holds a reference for as long as it lives; the counters outlive it.
        unsafe PacketCipher.anticipate(UnsafeRawPointer(cipher.toOpaque()), octets: 128)
        if let keyAddress = unsafe keyAddress { unsafe PacketCipher.anticipateKeys(at: keyAddress) }
        unsafe PacketCipher.anticipate(UnsafeRawPointer(counters))
    }

    /// Whether both ciphers remember their keys, and have the same.
    func hasKeys(of other: borrowing Encapsulator) -> Bool {
        // Both hold a reference for as long as they live.
        unsafe cipher._withUnsafeGuaranteedRef { own in
            unsafe other.cipher._withUnsafeGuaranteedRef { own.hasKeys(of: $0) }
        }
    }

    /// Goes on with the numbers and IVs of another one with the same keys, so that none is used twice.
    mutating func proceed(from other: borrowing Encapsulator) {
        sequence = other.sequence
        ivSource = other.ivSource
        warned = other.warned
    }

    /// True once, when the SA should be replaced since its sequence numbers run out.
    mutating func takeExhaustionWarning() -> Bool {
        guard !warned, sequence.isRunningOut else { return false }
        warned = true
        return true
    }

    /// A limit that the last packet has come to; told once for each, the soft one now and then again.
    @inline(__always)
    mutating func takeVolumeMark() -> VolumeMark? { volume.takeMark() }

    /// Puts the inner packet at `inner` into an ESP packet around it, and returns where that is. In transport mode its
    /// payload moves to where the packet began. With a `batch`, that is whole when the batch is finished, and `buffer` has
    /// to stay until then.
    mutating func seal(
        _ buffer: inout MutableRawSpan, inner: Range<Int>, by compressor: inout PayloadCompressor,
        random: inout UnpredictableOctets, now: Instant, in batch: LentBatch? = nil
    ) throws(DropReason) -> Range<Int> {
        guard inner.lowerBound >= 0, inner.upperBound <= buffer.byteCount, !inner.isEmpty else {
            throw .malformedPacket
        }
        guard !volume.isExhausted else { throw .volumeExhausted }
        if isTransport { return try sealPayload(of: inner, &buffer, &compressor, random: &random, now: now, batch) }
        var nextHeader: IPProtocolNumber
        switch buffer.bytes.uint8(at: inner.lowerBound) >> 4 {
        case 4: nextHeader = .ipv4
        case 6: nextHeader = .ipv6
        default: throw .malformedPacket
        }
        var payload = inner
        if var habit {
            compressor.compress(&buffer, &payload, &nextHeader, &habit)
            self.habit = habit
        }
        let packet = try seal(&buffer, payload: payload, nextHeader: nextHeader, random: &random, in: batch)
        volume.count(unsafe counters.pointee.carried(inner.count, now: now))
        return packet
    }

    /// Makes a dummy packet around the octets at `payload`: the peer drops it (RFC 4303 §2.6). It is nobody's traffic, so
    /// it counts as none; it takes a sequence number as any packet does.
    mutating func sealDummy(
        _ buffer: inout MutableRawSpan, payload: Range<Int>, random: inout UnpredictableOctets
    ) throws(DropReason) -> Range<Int> {
        guard !volume.isExhausted else { throw .volumeExhausted }
        guard payload.lowerBound >= headroom else { throw .noRoom }
        return try seal(&buffer, payload: payload, nextHeader: .none, random: &random)
    }

    /// When it last carried a packet; nil when it never did.
    var lastUse: Instant? { unsafe counters.pointee.snapshot.lastUse }

    /// Leaves the IP header of the packet at `inner` behind, which the caller sends the ESP packet with.
    private mutating func sealPayload(
        of inner: Range<Int>, _ buffer: inout MutableRawSpan, _ compressor: inout PayloadCompressor,
        random: inout UnpredictableOctets, now: Instant, _ batch: LentBatch?
    ) throws(DropReason) -> Range<Int> {
        let header = try TransportHeader(parsing: buffer.bytes.extracting(inner))
        var payload = inner.lowerBound..<(inner.upperBound - header.length)
        var nextHeader = header.nextHeader
        buffer.move((inner.lowerBound + header.length)..<inner.upperBound, to: payload.lowerBound)
        if var habit {
            compressor.compress(&buffer, &payload, &nextHeader, &habit)
            self.habit = habit
        }
        let packet = try seal(&buffer, payload: payload, nextHeader: nextHeader, random: &random, in: batch)
        volume.count(unsafe counters.pointee.carried(inner.count, now: now))
        return packet
    }

    /// Seals what follows the headers of the whole packet at `packet`, and puts the ESP header between: behind IPv4
    /// options, and behind the IPv6 extension headers that routers look at (RFC 4303 §3.1.1). Returns where the packet
    /// is then, which begins ``headroom`` octets earlier.
    mutating func sealWhole(
        _ buffer: inout MutableRawSpan, packet: Range<Int>, by compressor: inout PayloadCompressor,
        random: inout UnpredictableOctets, now: Instant
    ) throws(DropReason) -> Range<Int> {
        guard packet.lowerBound >= headroom, packet.upperBound <= buffer.byteCount, !packet.isEmpty else {
            throw .noRoom
        }
        guard !volume.isExhausted else { throw .volumeExhausted }
        let chain: HeaderChain
        do {
            chain = try HeaderChain(parsing: buffer.bytes.extracting(packet), upToAH: false)
        } catch { throw .malformedPacket }
        guard !chain.isFragment else { throw .fragmentInTransport }
        guard chain.totalLength == packet.count, packet.count + headroom + tailroom <= 65_535 else { throw .tooBig }
        let start = packet.lowerBound - headroom
        var payload = (packet.lowerBound + chain.length)..<packet.upperBound
        var nextHeader = chain.nextHeader
        buffer.move(packet.lowerBound..<(packet.lowerBound + chain.length), to: start)
        if var habit {
            compressor.compress(&buffer, &payload, &nextHeader, &habit)
            self.habit = habit
        }
        let sealed = try seal(&buffer, payload: payload, nextHeader: nextHeader, random: &random)
        let whole = start..<sealed.upperBound
        let said = chain.family == .v4 ? whole.count : whole.count - IPv6Header.length
        buffer.put(IPProtocolNumber.esp.rawValue, at: start + chain.nextHeaderField)
        buffer.put(UInt16(truncatingIfNeeded: said), at: start + (chain.family == .v4 ? 2 : 4))
        if chain.family == .v4, buffer.bytes.uint16(at: start + 4) == 0 {
            // It may be cut, and its fragments have to be told from those of others.
            buffer.put(UInt16(truncatingIfNeeded: sequence.last % 0xffff) + 1, at: start + 4)
        }
        TransportArrival.sumHeader(&buffer, start..<(start + chain.length))
        volume.count(unsafe counters.pointee.carried(packet.count, now: now))
        return whole
    }

    /// Puts any payload into an ESP packet around it, and returns where that is.
    mutating func seal(
        _ buffer: inout MutableRawSpan, payload: Range<Int>, nextHeader: IPProtocolNumber,
        random: inout UnpredictableOctets, in batch: LentBatch? = nil
    ) throws(DropReason) -> Range<Int> {
        let start = payload.lowerBound - headroom
        // The text ends at a multiple of the alignment: padding, its length, the next header.
        let unpadded = payload.count + ESPHeader.trailerLength
        // A power of two.
        let padding = -unpadded & (alignment - 1)
        let text = payload.lowerBound..<(payload.upperBound + padding + ESPHeader.trailerLength)
        let end = text.upperBound + icvLength
        guard start >= 0, payload.upperBound <= buffer.byteCount, end <= buffer.byteCount else { throw .noRoom }
        // From here on the number is used, whatever comes: it can never be given to another packet.
        guard let number = sequence.take() else { throw .sequenceExhausted }

        buffer.put(spi, at: start)
        buffer.put(UInt32(truncatingIfNeeded: number), at: start + 4)
        let iv = (start + ESPHeader.length)..<payload.lowerBound
        switch ivSource {
        case .counter(let first): buffer.put(first &+ number, at: iv.lowerBound)
        case .unpredictable: random.write(ivLength, into: &buffer, at: iv.lowerBound)
        case .none: break
        }
        for index in 0..<padding {
            buffer.put(UInt8(truncatingIfNeeded: index + 1), at: payload.upperBound + index)
        }
        buffer.put(UInt8(truncatingIfNeeded: padding), at: text.upperBound - 2)
        buffer.put(nextHeader.rawValue, at: text.upperBound - 1)
        let high = isExtended ? UInt32(truncatingIfNeeded: number >> 32) : nil
        let sealed = unsafe cipher._withUnsafeGuaranteedRef { cipher in
            // `self` holds a reference for as long as it lives.
            guard let batch else {
                return cipher.seal(
                    &buffer, associatedData: start..<(start + ESPHeader.length), extraAssociatedData: high, iv: iv,
                    text: text, icv: text.upperBound)
            }
            // The caller keeps the buffer until the batch is finished, and the SA.
            return unsafe cipher.seal(
                &buffer, associatedData: start..<(start + ESPHeader.length), extraAssociatedData: high, iv: iv,
                text: text, in: batch)
        }
        guard sealed else { throw .cipherRefused }
        return start..<end
    }
}
