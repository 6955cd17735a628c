import IPPackets
import NetworkTypes

/// Makes whole packets again of fragments that our own kernel has just cut, since transport mode carries nothing else
/// (RFC 4303 §3.3.4).
///
/// It owns memory for a few packets under way, made when the first fragment comes. The kernel hands a packet's fragments
/// over one behind the other, so those that come out of order are given up: this is no reassembly of what travelled.
public struct FragmentAssembly {
    private struct Entry {
        var key = Key(source: .unspecified(.v4), destination: .unspecified(.v4), identification: 0, ipProtocol: 0)
        /// The packet as far as it is there: its header, then what follows.
        var octets: [UInt8] = []
        var isUsed = false
    }

    private struct Key: Equatable {
        let source: IPAddress
        let destination: IPAddress
        let identification: UInt32
        let ipProtocol: UInt8
        /// What has the same numbers and another scope is another packet.
        var scope: Int32 = 0
    }

    /// Where a fragment belongs, and what of it.
    private struct Piece {
        var key: Key
        /// Octets of the IP header without a fragment header.
        let header: Int
        let payload: Range<Int>
        let offset: Int
        let isLast: Bool
    }

    private var entries: [Entry] = []
    private var next = 0
    /// Packets that may be under way at once.
    static let capacity = 4
    private static let largest = 65_535

    /// Nothing is under way.
    public init() {}

    /// Whether a packet is a fragment.
    @inline(__always)
    public static func isFragment(_ packet: RawSpan) -> Bool {
        guard packet.byteCount >= IPv4Header.minimumLength else { return false }
        return packet.uint8(at: 0) >> 4 == 4 ? packet.uint16(at: 6) & 0x3fff != 0 : packet.uint8(at: 6) == 44
    }

    /// Takes a fragment; the whole packet when it was the last one. What can't be joined is refused. Fragments of
    /// different SAs, which is what `scope` tells, are never joined.
    public mutating func take(_ fragment: RawSpan, scope: Int32 = 0) throws(DropReason) -> [UInt8]? {
        var piece: Piece
        do { piece = try Self.read(fragment) } catch { throw .malformedPacket }
        piece.key.scope = scope
        if entries.isEmpty { entries = [Entry](repeating: Entry(), count: Self.capacity) }
        var index = entries.firstIndex { $0.isUsed && $0.key == piece.key }
        if piece.offset == 0 {
            if index == nil {
                index = next
                next = (next + 1) % Self.capacity
            }
            guard let index else { throw .fragmentInTransport }
            entries[index].key = piece.key
            entries[index].isUsed = true
            entries[index].octets.removeAll(keepingCapacity: true)
            Self.append(fragment, 0..<piece.header, to: &entries[index].octets)
        }
        guard let index else { throw .fragmentInTransport }
        let there = entries[index].octets.count - piece.header
        guard there == piece.offset, entries[index].octets.count + piece.payload.count <= Self.largest else {
            entries[index].isUsed = false
            throw .fragmentInTransport
        }
        Self.append(fragment, piece.payload, to: &entries[index].octets)
        guard piece.isLast else { return nil }
        entries[index].isUsed = false
        return Self.finish(entries[index].octets, piece)
    }

    private static func read(_ packet: RawSpan) throws(PacketFault) -> Piece {
        guard !packet.isEmpty else { throw .short }
        if packet.uint8(at: 0) >> 4 == 4 {
            let header = try IPv4Header(parsing: packet)
            guard header.headerLength == IPv4Header.minimumLength else { throw .badLength }
            return Piece(
                key: Key(
                    source: header.source, destination: header.destination,
                    identification: UInt32(header.identification), ipProtocol: header.ipProtocol.rawValue),
                header: header.headerLength, payload: header.headerLength..<header.totalLength,
                offset: header.fragmentOffset, isLast: !header.hasMoreFragments)
        }
        let header = try IPv6Header(parsing: packet)
        let start = IPv6Header.length + 8
        guard header.totalLength >= start, packet.uint8(at: 6) == 44 else { throw .badLength }
        let field = packet.uint16(at: IPv6Header.length + 2)
        return Piece(
            key: Key(
                source: header.source, destination: header.destination,
                identification: packet.uint32(at: IPv6Header.length + 4),
                ipProtocol: packet.uint8(at: IPv6Header.length)),
            header: IPv6Header.length, payload: start..<header.totalLength, offset: Int(field & 0xfff8),
            isLast: field & 1 == 0)
    }

    private static func append(_ packet: RawSpan, _ range: Range<Int>, to octets: inout [UInt8]) {
        octets.reserveCapacity(octets.count + range.count)
        for offset in range { octets.append(packet.uint8(at: offset)) }
    }

    /// The header of a packet that was never cut.
    private static func finish(_ octets: [UInt8], _ piece: Piece) -> [UInt8] {
        var octets = octets
        let isV4 = piece.header == IPv4Header.minimumLength
        let said = UInt16(truncatingIfNeeded: isV4 ? octets.count : octets.count - IPv6Header.length)
        let place = isV4 ? 2 : 4
        octets[place] = UInt8(said >> 8)
        octets[place + 1] = UInt8(truncatingIfNeeded: said)
        if isV4 {
            (octets[6], octets[7], octets[10], octets[11]) = (0, 0, 0, 0)
            // Octets have no padding: a span of them is a raw span.
            let sum = ~OnesSum.of(unsafe octets.span.bytes.extracting(0..<IPv4Header.minimumLength))
            (octets[10], octets[11]) = (UInt8(sum >> 8), UInt8(truncatingIfNeeded: sum))
        } else {
            octets[6] = piece.key.ipProtocol
        }
        return octets
    }
}
