import NetworkTypes

/// How a packet that a device left uncut, or without its checksum, becomes packets that can be sent.
///
/// It owns numbers only: the packet stays the caller's, and so does where the pieces go. Making a plan proves that the
/// packet is what its ``VirtioHeader`` says, so that no piece can reach outside of it.
public struct SegmentationPlan: Sendable {
    private enum Work {
        /// A copy is enough.
        case none
        /// The checksum is to be completed.
        case checksum(start: Int, field: Int)
        /// TCP is to be cut: its header starts at `start`.
        case tcp(start: Int)
        /// UDP is to be cut: its header starts at `start`.
        case udp(start: Int)
    }

    /// How many packets it becomes.
    public let count: Int
    private let work: Work
    private let isV4: Bool
    /// Octets of all headers, repeated in every piece.
    private let headers: Int
    /// Octets of payload in each piece but the last.
    private let segmentSize: Int
    /// Octets of payload in all.
    private let payload: Int

    /// The CWR, PSH and FIN bits of TCP.
    private static let (cwr, pshAndFin): (UInt8, UInt8) = (0x80, 0x09)

    /// Plans for the packet that fills `packet`, by what stood before it.
    public init(_ packet: RawSpan, _ header: VirtioHeader = VirtioHeader()) throws(PacketFault) {
        guard !packet.isEmpty else { throw .short }
        isV4 = packet.uint8(at: 0) >> 4 == 4
        guard header.segmentation != .none || header.needsChecksum else {
            (work, count, headers, segmentSize, payload) = (.none, 1, 0, packet.byteCount, packet.byteCount)
            return
        }
        let (start, field) = (Int(header.checksumStart), Int(header.checksumStart) + Int(header.checksumOffset))
        guard header.needsChecksum, start < packet.byteCount, field + 2 <= packet.byteCount else { throw .badOffload }
        guard header.segmentation != .none else {
            work = .checksum(start: start, field: field)
            (count, headers, segmentSize, payload) = (1, 0, packet.byteCount, packet.byteCount)
            return
        }
        let upper: (ipProtocol: UInt8, offset: Int)
        if isV4 {
            let ip = try IPv4Header(parsing: packet)
            guard ip.totalLength == packet.byteCount, !ip.hasMoreFragments, ip.fragmentOffset == 0 else {
                throw .badOffload
            }
            upper = (ip.ipProtocol.rawValue, ip.headerLength)
        } else {
            let ip = try IPv6Header(parsing: packet)
            guard ip.totalLength == packet.byteCount, !ip.isLaterFragment else { throw .badOffload }
            upper = (ip.upperProtocol.rawValue, ip.upperOffset)
        }
        guard upper.offset == start else { throw .badOffload }
        switch (header.segmentation, upper.ipProtocol) {
        case (isV4 ? .tcp4 : .tcp6, 6):
            guard header.checksumOffset == 16, packet.byteCount - start >= 20 else { throw .badOffload }
            let length = Int(packet.uint8(at: start + 12) >> 4) * 4
            guard length >= 20 else { throw .badOffload }
            work = .tcp(start: start)
            headers = start + length
        case (.udp, 17):
            guard header.checksumOffset == 6, packet.byteCount - start >= 8 else { throw .badOffload }
            work = .udp(start: start)
            headers = start + 8
        default: throw .badOffload
        }
        segmentSize = Int(header.segmentSize)
        payload = packet.byteCount - headers
        guard segmentSize > 0, payload > 0 else { throw .badOffload }
        count = (payload + segmentSize - 1) / segmentSize
    }

    /// Octets of piece `index`.
    public func length(of index: Int) -> Int { headers + payloadOctets(of: index) }

    private func payloadOctets(of index: Int) -> Int { min(segmentSize, payload - index * segmentSize) }

    /// Writes piece `index` of `packet`, for which the plan was made, at `offset`. False, and nothing written, when
    /// there is no such piece or no room for it.
    public func write(_ index: Int, of packet: RawSpan, into buffer: inout MutableRawSpan, at offset: Int) -> Bool {
        guard index >= 0, index < count, packet.byteCount == headers + payload, offset >= 0,
            offset <= buffer.byteCount, length(of: index) <= buffer.byteCount - offset
        else { return false }
        let body = payloadOctets(of: index)
        buffer.copy(packet.extracting(0..<headers), at: offset)
        let from = headers + index * segmentSize
        let octets = packet.extracting(from..<(from + body))
        switch work {
        case .none, .checksum: buffer.copy(octets, at: offset + headers)
        case .tcp, .udp: break
        }
        switch work {
        case .none: break
        case .checksum(let start, let field):
            // The field holds the rest of the sum already.
            let sum = OnesSum.of(buffer.bytes.extracting((offset + start)..<(offset + packet.byteCount)))
            buffer.put(Self.complement(sum), at: offset + field)
        case .tcp(let start):
            writeNetwork(index, headers + body, &buffer, offset)
            let tcp = offset + start
            let sequence = buffer.bytes.uint32(at: tcp + 4)
            buffer.put(sequence &+ UInt32(truncatingIfNeeded: index * segmentSize), at: tcp + 4)
            var flags = buffer.bytes.uint8(at: tcp + 13)
            if index > 0 { flags &= ~Self.cwr }
            if index < count - 1 { flags &= ~Self.pshAndFin }
            buffer.put(flags, at: tcp + 13)
            copy(octets, of: packet, from: start, field: start + 16, &buffer, offset)
        case .udp(let start):
            writeNetwork(index, headers + body, &buffer, offset)
            buffer.put(UInt16(truncatingIfNeeded: body + 8), at: offset + start + 4)
            copy(octets, of: packet, from: start, field: start + 6, &buffer, offset)
        }
        return true
    }

    /// Length, identification and checksum of the IP header.
    private func writeNetwork(_ index: Int, _ length: Int, _ buffer: inout MutableRawSpan, _ offset: Int) {
        guard isV4 else {
            buffer.put(UInt16(truncatingIfNeeded: length - IPv6Header.length), at: offset + 4)
            return
        }
        buffer.put(UInt16(truncatingIfNeeded: length), at: offset + 2)
        let identification = buffer.bytes.uint16(at: offset + 4)
        buffer.put(identification &+ UInt16(truncatingIfNeeded: index), at: offset + 4)
        buffer.put(UInt16(0), at: offset + 10)
        let size = Int(buffer.bytes.uint8(at: offset) & 15) * 4
        let sum = OnesSum.of(buffer.bytes.extracting(offset..<(offset + size)))
        buffer.put(~sum, at: offset + 10)
    }

    /// The payload of one piece, and its transport checksum. The packet's field holds the sum of its pseudo-header, in
    /// which only the length is another one.
    private func copy(
        _ octets: RawSpan, of packet: RawSpan, from start: Int, field: Int, _ buffer: inout MutableRawSpan,
        _ offset: Int
    ) {
        let whole = UInt16(truncatingIfNeeded: packet.byteCount - start)
        let piece = UInt16(truncatingIfNeeded: headers + octets.byteCount - start)
        let pseudo = UInt64(packet.uint16(at: field)) + UInt64(~whole) + UInt64(piece)
        buffer.put(UInt16(0), at: offset + field)
        let header = OnesSum.of(buffer.bytes.extracting((offset + start)..<(offset + headers)), plus: pseudo)
        // The transport header has an even length, so both sums see the same words.
        let sum = buffer.copySumming(octets, at: offset + headers, plus: UInt64(header))
        buffer.put(Self.complement(sum), at: offset + field)
    }

    /// Zero would mean that there is no checksum (RFC 768), and the other zero means the same sum.
    private static func complement(_ sum: UInt16) -> UInt16 { sum == 0xffff ? 0xffff : ~sum }
}
