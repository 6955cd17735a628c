import NetworkTypes

/// The IP header of packets that are joined: which packets can be, what has to be alike in those that follow each other,
/// and what the joined one's header says.
///
/// It owns numbers only. What comes behind the header is ``TCPTrain``'s and ``UDPTrain``'s to know.
struct TrainNetwork: Sendable {
    let isV4: Bool
    private let transport: UInt8
    private var lastIdentification: UInt16

    /// Octets of the header: neither options nor extension headers.
    var length: Int { isV4 ? 20 : 40 }
    /// Where the addresses begin, which end the header.
    private var addresses: Int { isV4 ? 12 : 8 }

    /// The header of the packet that fills `packet`; nil unless `transport` is what it carries, more than `least` octets
    /// of it, and the header says how long the packet is and is not damaged.
    @inline(__always)
    init?(_ packet: RawSpan, carrying transport: IPProtocolNumber, moreThan least: Int) {
        let octets = packet.byteCount
        guard octets > 20 + least else { return nil }
        switch packet.uint8(at: 0) {
        case 0x45:
            // Neither fragments nor the reserved flag.
            guard packet.uint8(at: 9) == transport.rawValue, Int(packet.uint16(at: 2)) == octets,
                packet.uint16(at: 6) & 0xbfff == 0, OnesSum.of(packet.extracting(0..<20)) == 0xffff
            else { return nil }
            isV4 = true
            lastIdentification = packet.uint16(at: 4)
        case 0x60...0x6f:
            guard octets > 40 + least, packet.uint8(at: 6) == transport.rawValue,
                Int(packet.uint16(at: 4)) + 40 == octets
            else { return nil }
            isV4 = false
            lastIdentification = 0
        default: return nil
        }
        self.transport = transport.rawValue
    }

    /// Whether the checksum over pseudo-header and payload is right.
    @inline(__always)
    func isIntact(_ packet: RawSpan) -> Bool {
        let sum = OnesSum.of(packet.extracting(addresses..<length))
        let payload = packet.byteCount - length
        return OnesSum.of(
            packet.extracting(length..<packet.byteCount), plus: UInt64(sum) + UInt64(payload) + UInt64(transport))
            == 0xffff
    }

    /// Whether a packet with a header of its own, `other`, may follow: class, lifetime and addresses are those of
    /// `first`, and the identification is the next.
    @inline(__always)
    func isFollowed(by packet: RawSpan, _ other: TrainNetwork, _ first: RawSpan) -> Bool {
        guard other.isV4 == isV4 else { return false }
        guard isV4 else {
            return packet.uint32(at: 0) == first.uint32(at: 0) && packet.uint16(at: 6) == first.uint16(at: 6)
                && packet.uint128(at: 8) == first.uint128(at: 8) && packet.uint128(at: 24) == first.uint128(at: 24)
        }
        let mayFragment = packet.uint16(at: 6) == 0
        return packet.uint8(at: 1) == first.uint8(at: 1) && packet.uint16(at: 6) == first.uint16(at: 6)
            && packet.uint8(at: 8) == first.uint8(at: 8) && packet.uint32(at: 12) == first.uint32(at: 12)
            && packet.uint32(at: 16) == first.uint32(at: 16)
            // What cannot be fragmented needs no identification (RFC 6864 §4.1).
            && (!mayFragment || other.lastIdentification == lastIdentification &+ 1)
    }

    /// It was joined.
    @inline(__always)
    mutating func take(_ other: TrainNetwork) { lastIdentification = other.lastIdentification }

    /// Makes the header at `offset` that of a packet of `total` octets, and puts the sum over its pseudo-header where the
    /// checksum belongs, `field` octets into the payload: the device makes the rest of it.
    func finish(_ buffer: inout MutableRawSpan, at offset: Int, total: Int, checksum field: Int) {
        if isV4 {
            buffer.put(UInt16(truncatingIfNeeded: total), at: offset + 2)
            buffer.put(UInt16(0), at: offset + 10)
            let sum = OnesSum.of(buffer.bytes.extracting(offset..<(offset + length)))
            buffer.put(~sum, at: offset + 10)
        } else {
            buffer.put(UInt16(truncatingIfNeeded: total - length), at: offset + 4)
        }
        let pseudo = OnesSum.of(
            buffer.bytes.extracting((offset + addresses)..<(offset + length)),
            plus: UInt64(total - length) + UInt64(transport))
        buffer.put(pseudo, at: offset + length + field)
    }
}
