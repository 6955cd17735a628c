/// UDP datagrams of one flow and one length that follow each other and become one packet for a device that can cut it
/// again (Linux 6.2 and newer).
///
/// It owns numbers only, as ``TCPTrain`` does: the first packet stays whole in the caller's buffer, of the others the
/// payload. Only what cutting would restore is joined, and nothing whose checksum is wrong or missing.
public struct UDPTrain: Sendable {
    /// How many datagrams it has.
    public private(set) var count: Int
    /// Octets of the joined packet.
    public private(set) var length: Int
    /// Whether another datagram may follow.
    public private(set) var isOpen: Bool
    private let isV4: Bool
    /// Octets of the IP header.
    private let network: Int
    private let segmentSize: Int
    private var lastIdentification: UInt16

    /// The longest joined packet: what an IPv4 header can say.
    public static let maximumLength = 65_535
    /// The most datagrams: what every kernel cuts again.
    public static let maximumCount = 64

    private var headers: Int { network + UDPHeader.length }

    /// Octets of the IP header in front of a datagram with a checksum that is right; nil for any other packet.
    @inline(__always)
    private static func network(_ packet: RawSpan) -> Int? {
        let octets = packet.byteCount
        guard octets > 28 else { return nil }
        let network: Int
        switch packet.uint8(at: 0) {
        case 0x45:
            // Neither fragments nor the reserved flag, and a header that is not damaged.
            guard packet.uint8(at: 9) == 17, Int(packet.uint16(at: 2)) == octets,
                packet.uint16(at: 6) & 0xbfff == 0, OnesSum.of(packet.extracting(0..<20)) == 0xffff
            else { return nil }
            network = 20
        case 0x60...0x6f:
            guard octets > 48, packet.uint8(at: 6) == 17, Int(packet.uint16(at: 4)) + 40 == octets else { return nil }
            network = 40
        default: return nil
        }
        guard Int(packet.uint16(at: network + 4)) == octets - network, packet.uint16(at: network + 6) != 0 else {
            return nil
        }
        let addresses = packet.extracting((network == 20 ? 12 : 8)..<network)
        let sum = OnesSum.of(
            packet.extracting(network..<octets),
            plus: UInt64(OnesSum.of(addresses)) + UInt64(octets - network) + 17)
        return sum == 0xffff ? network : nil
    }

    /// Begins with the packet that fills `packet`; nil when it can neither be joined nor joined to.
    public init?(_ packet: RawSpan) {
        guard let network = Self.network(packet) else { return nil }
        self.network = network
        count = 1
        length = packet.byteCount
        isOpen = true
        isV4 = network == 20
        segmentSize = packet.byteCount - network - UDPHeader.length
        lastIdentification = network == 20 ? packet.uint16(at: 4) : 0
    }

    /// Takes the packet that fills `packet` when it follows, and says where its payload starts; nil, and nothing
    /// changed, when it does not. `first` is the packet that the train began with, unchanged.
    public mutating func take(_ packet: RawSpan, after first: RawSpan) -> Int? {
        guard isOpen, first.byteCount == headers + segmentSize, packet.byteCount > headers,
            packet.uint8(at: 0) >> 4 == (isV4 ? 4 : 6)
        else { return nil }
        let payload = packet.byteCount - headers
        guard payload <= segmentSize, length + payload <= Self.maximumLength, hasSameNetwork(packet, first),
            // Ports.
            packet.uint32(at: network) == first.uint32(at: network), Self.network(packet) == network
        else { return nil }
        count += 1
        length += payload
        if isV4 { lastIdentification = packet.uint16(at: 4) }
        isOpen = payload == segmentSize && count < Self.maximumCount
        return headers
    }

    /// Class, identification, lifetime and addresses.
    @inline(__always)
    private func hasSameNetwork(_ packet: RawSpan, _ first: RawSpan) -> Bool {
        guard isV4 else {
            return packet.uint32(at: 0) == first.uint32(at: 0) && packet.uint16(at: 6) == first.uint16(at: 6)
                && packet.uint128(at: 8) == first.uint128(at: 8) && packet.uint128(at: 24) == first.uint128(at: 24)
        }
        let mayFragment = packet.uint16(at: 6) == 0
        return packet.uint16(at: 0) == first.uint16(at: 0) && packet.uint16(at: 6) == first.uint16(at: 6)
            && packet.uint8(at: 8) == first.uint8(at: 8) && packet.uint32(at: 12) == first.uint32(at: 12)
            && packet.uint32(at: 16) == first.uint32(at: 16)
            // What cannot be fragmented needs no identification (RFC 6864 §4.1).
            && (!mayFragment || packet.uint16(at: 4) == lastIdentification &+ 1)
    }

    /// Makes the headers of the first packet, which lies at `offset`, those of the joined one, and returns what is to be
    /// said to the device. A train of one is left as it was.
    public func finish(_ buffer: inout MutableRawSpan, at offset: Int) -> VirtioHeader {
        guard count > 1, offset >= 0, offset <= buffer.byteCount, headers <= buffer.byteCount - offset else {
            return VirtioHeader()
        }
        if isV4 {
            buffer.put(UInt16(truncatingIfNeeded: length), at: offset + 2)
            buffer.put(UInt16(0), at: offset + 10)
            let sum = OnesSum.of(buffer.bytes.extracting(offset..<(offset + network)))
            buffer.put(~sum, at: offset + 10)
        } else {
            buffer.put(UInt16(truncatingIfNeeded: length - network), at: offset + 4)
        }
        let udp = offset + network
        buffer.put(UInt16(truncatingIfNeeded: length - network), at: udp + 4)
        let pseudo = OnesSum.of(
            buffer.bytes.extracting((offset + (isV4 ? 12 : 8))..<udp), plus: UInt64(length - network) + 17)
        buffer.put(pseudo, at: udp + 6)
        var header = VirtioHeader()
        header.segmentation = .udp
        header.needsChecksum = true
        header.headerLength = UInt16(truncatingIfNeeded: headers)
        header.segmentSize = UInt16(truncatingIfNeeded: segmentSize)
        header.checksumStart = UInt16(truncatingIfNeeded: network)
        header.checksumOffset = 6
        return header
    }
}
