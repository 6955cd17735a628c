import NetworkTypes

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
    private var network: TrainNetwork
    private let segmentSize: Int

    /// The longest joined packet: what an IPv4 header can say.
    public static let maximumLength = 65_535
    /// The most datagrams: what every kernel cuts again.
    public static let maximumCount = 64

    private var headers: Int { network.length + UDPHeader.length }

    /// The header in front of a datagram with a checksum that is right; nil for any other packet.
    @inline(__always)
    private static func network(_ packet: RawSpan) -> TrainNetwork? {
        guard let network = TrainNetwork(packet, carrying: .udp, moreThan: UDPHeader.length),
            Int(packet.uint16(at: network.length + 4)) == packet.byteCount - network.length,
            // Without a checksum.
            packet.uint16(at: network.length + 6) != 0, network.isIntact(packet)
        else { return nil }
        return network
    }

    /// Begins with the packet that fills `packet`; nil when it can neither be joined nor joined to.
    public init?(_ packet: RawSpan) {
        guard let network = Self.network(packet) else { return nil }
        self.network = network
        count = 1
        length = packet.byteCount
        isOpen = true
        segmentSize = packet.byteCount - network.length - UDPHeader.length
    }

    /// Takes the packet that fills `packet` when it follows, and says where its payload starts; nil, and nothing
    /// changed, when it does not. `first` is the packet that the train began with, unchanged.
    public mutating func take(_ packet: RawSpan, after first: RawSpan) -> Int? {
        guard isOpen, first.byteCount == headers + segmentSize, packet.byteCount > headers else { return nil }
        let payload = packet.byteCount - headers
        guard payload <= segmentSize, length + payload <= Self.maximumLength, let other = Self.network(packet),
            network.isFollowed(by: packet, other, first),
            // Ports.
            packet.uint32(at: network.length) == first.uint32(at: network.length)
        else { return nil }
        count += 1
        length += payload
        network.take(other)
        isOpen = payload == segmentSize && count < Self.maximumCount
        return headers
    }

    /// Makes the headers of the first packet, which lies at `offset`, those of the joined one, and returns what is to be
    /// said to the device. A train of one is left as it was.
    public func finish(_ buffer: inout MutableRawSpan, at offset: Int) -> VirtioHeader {
        guard count > 1, offset >= 0, offset <= buffer.byteCount, headers <= buffer.byteCount - offset else {
            return VirtioHeader()
        }
        buffer.put(UInt16(truncatingIfNeeded: length - network.length), at: offset + network.length + 4)
        network.finish(&buffer, at: offset, total: length, checksum: 6)
        var header = VirtioHeader()
        header.segmentation = .udp
        header.needsChecksum = true
        header.headerLength = UInt16(truncatingIfNeeded: headers)
        header.segmentSize = UInt16(truncatingIfNeeded: segmentSize)
        header.checksumStart = UInt16(truncatingIfNeeded: network.length)
        header.checksumOffset = 6
        return header
    }
}
