import IPPackets
public import NetworkTypes

/// What transport mode takes out of a packet of ours: everything behind its IP header (RFC 4303 §3.1.1).
///
/// It owns the decision whether a packet can travel so. The outer header is written by whoever sends it, so a packet whose
/// own header says more than addresses and a protocol is refused rather than sent without it; where that header can be
/// sent, ``OutboundSADatabase/sealWhole(_:packet:by:now:)`` keeps it.
public struct TransportHeader: Hashable, Sendable {
    /// Octets of the IP header that stay behind.
    public let length: Int
    /// What follows it.
    public let nextHeader: IPProtocolNumber

    /// Looks at the packet at the start of `packet`.
    public init(parsing packet: RawSpan) throws(DropReason) {
        guard !packet.isEmpty else { throw .malformedPacket }
        if packet.uint8(at: 0) >> 4 == 4 {
            let header: IPv4Header
            do { header = try IPv4Header(parsing: packet) } catch { throw .malformedPacket }
            // Whole packets only (RFC 4303 §3.3.4).
            guard !header.hasMoreFragments, header.fragmentOffset == 0 else { throw .fragmentInTransport }
            guard header.headerLength == IPv4Header.minimumLength else { throw .headerNotCarried }
            length = header.headerLength
            nextHeader = header.ipProtocol
        } else {
            do { _ = try IPv6Header(parsing: packet) } catch { throw .malformedPacket }
            length = IPv6Header.length
            nextHeader = IPProtocolNumber(rawValue: packet.uint8(at: 6))
            switch nextHeader.rawValue {
            case 44: throw .fragmentInTransport
            // Hop-by-hop options and routing belong outside; destination options may go inside.
            case 0, 43: throw .headerNotCarried
            default: break
            }
        }
    }
}

extension TransportHeader {
    /// Whether the packet at the start of `packet` has IPv4 options, or IPv6 extension headers that come before ESP
    /// (RFC 4303 §3.1.1): it can travel with its own IP header only.
    @inline(__always)
    public static func hasOptions(_ packet: RawSpan) -> Bool {
        guard packet.byteCount >= IPv4Header.minimumLength else { return false }
        let first = packet.uint8(at: 0)
        if first >> 4 == 4 { return first & 15 > 5 }
        let next = packet.uint8(at: 6)
        return next == 0 || next == 43
    }
}

/// How a protected packet came: what is not in the packet itself.
public struct PacketArrival: Hashable, Sendable {
    /// Between which ends.
    public var path: Path
    /// Where in the buffer the IP header stands that it came with; nil when the socket keeps that to itself.
    public var header: Range<Int>?
    /// DSCP and ECN of that header.
    public var trafficClass: UInt8

    /// An arrival.
    public init(path: Path, header: Range<Int>? = nil, trafficClass: UInt8 = 0) {
        self.path = path
        self.header = header
        self.trafficClass = trafficClass
    }
}

/// Makes a packet again of a payload that came in transport mode.
///
/// It owns the arithmetic of headers; what was authentic has been decided before.
enum TransportArrival {
    /// Puts an IP header in front of the payload at `payload` and returns where the packet is. The octets before it, up
    /// to a header's length, are overwritten: the ESP header that was there is not needed any more.
    ///
    /// With `fixesChecksum`, checksums that cover addresses are made anew: a NAT has changed these (RFC 3948 §3.1.2).
    /// The integrity check has shown that the rest is as it was sent.
    static func rebuild(
        _ buffer: inout MutableRawSpan, payload: Range<Int>, nextHeader: IPProtocolNumber, _ arrival: PacketArrival,
        fixesChecksum: Bool
    ) throws(DropReason) -> Range<Int> {
        let (source, destination) = (arrival.path.remote.address, arrival.path.local.address)
        guard source.family == destination.family else { throw .malformedInner }
        let packet: Range<Int>
        if let header = arrival.header, header.lowerBound >= 0, header.upperBound <= payload.lowerBound,
            header.count >= IPv4Header.minimumLength, source.family == .v4
        {
            packet = (payload.lowerBound - header.count)..<payload.upperBound
            guard let length = UInt16(exactly: packet.count) else { throw .malformedInner }
            buffer.move(header, to: packet.lowerBound)
            buffer.put(length, at: packet.lowerBound + 2)
            // It may have come in pieces.
            buffer.put(buffer.bytes.uint16(at: packet.lowerBound + 6) & 0x4000, at: packet.lowerBound + 6)
            buffer.put(nextHeader.rawValue, at: packet.lowerBound + 9)
            sumHeader(&buffer, packet.lowerBound..<payload.lowerBound)
        } else {
            let length = source.family == .v4 ? IPv4Header.minimumLength : IPv6Header.length
            let start = payload.lowerBound - length
            guard start >= 0 else { throw .noRoom }
            let isWritten =
                source.family == .v4
                ? IPv4Header.write(
                    into: &buffer, at: start, from: source, to: destination, ipProtocol: nextHeader,
                    payloadLength: payload.count, trafficClass: arrival.trafficClass)
                : IPv6Header.write(
                    into: &buffer, at: start, from: source, to: destination, nextHeader: nextHeader,
                    payloadLength: payload.count, trafficClass: arrival.trafficClass)
            guard isWritten else { throw .malformedInner }
            packet = start..<payload.upperBound
        }
        if fixesChecksum { remakeChecksum(&buffer, payload, nextHeader, source, destination) }
        return packet
    }

    /// Makes the checksum of an IPv4 header anew; an IPv6 header has none.
    static func sumHeader(_ buffer: inout MutableRawSpan, _ header: Range<Int>) {
        guard header.count >= IPv4Header.minimumLength, buffer.bytes.uint8(at: header.lowerBound) >> 4 == 4 else {
            return
        }
        buffer.put(UInt16(0), at: header.lowerBound + 10)
        buffer.put(~OnesSum.of(buffer.bytes.extracting(header)), at: header.lowerBound + 10)
    }

    private static func remakeChecksum(
        _ buffer: inout MutableRawSpan, _ payload: Range<Int>, _ ipProtocol: IPProtocolNumber, _ source: IPAddress,
        _ destination: IPAddress
    ) {
        let field: Int
        switch ipProtocol {
        case .tcp: field = 16
        case .udp: field = 6
        case .icmpv6 where source.family == .v6: field = 2
        default: return
        }
        guard payload.count >= field + 2 else { return }
        let place = payload.lowerBound + field
        // A UDP datagram may have none.
        if ipProtocol == .udp, buffer.bytes.uint16(at: place) == 0 { return }
        buffer.put(UInt16(0), at: place)
        let value = PseudoHeader.checksum(
            of: buffer.bytes.extracting(payload), from: source, to: destination, ipProtocol: ipProtocol)
        buffer.put(value == 0 && ipProtocol == .udp ? 0xffff : value, at: place)
    }
}

extension MutableRawSpan {
    /// Copies octets of this buffer to `offset`, also where the two overlap. The caller has checked both: a range outside
    /// is our own mistake.
    mutating func move(_ range: Range<Int>, to offset: Int) {
        let room = byteCount
        precondition(
            range.lowerBound >= 0 && range.upperBound <= room && offset >= 0 && range.count <= room - offset,
            "outside the buffer")
        // Both were just checked; copyMemory allows an overlap.
        unsafe withUnsafeMutableBytes { bytes in
            unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[offset...]).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[range]))
        }
    }
}
