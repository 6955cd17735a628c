import NetworkTypes

/// TCP segments of one flow that follow each other and become one packet for a device that can cut it again.
///
/// It owns numbers only: the octets stay in the caller's buffers, the first packet whole, of the others the payload.
/// Only what cutting would restore is joined, and nothing whose checksums are wrong: the device is told that they need
/// no look.
public struct TCPTrain: Sendable {
    /// How many segments it has.
    public private(set) var count: Int
    /// Octets of the joined packet.
    public private(set) var length: Int
    /// Whether another segment may follow.
    public private(set) var isOpen: Bool
    private var network: TrainNetwork
    /// Octets of both headers.
    private let headers: Int
    private let segmentSize: Int
    private var nextSequence: UInt32
    private var hasPush: Bool

    /// The longest joined packet: what an IPv4 header can say.
    public static let maximumLength = 65_535
    /// The most segments: what one gathered write holds, with some room.
    public static let maximumCount = 256
    private static let (push, acknowledgement, congestionEcho): (UInt8, UInt8, UInt8) = (0x08, 0x10, 0x40)

    /// What is looked at in one segment.
    private struct Segment {
        let network: TrainNetwork
        let headers: Int
        let flags: UInt8

        /// Nil when the packet is not one that could be joined with any other: no plain TCP data, or damaged.
        @inline(__always)
        init?(_ packet: RawSpan) {
            guard let network = TrainNetwork(packet, carrying: .tcp, moreThan: 20) else { return nil }
            self.network = network
            let tcp = network.length
            let offset = packet.uint8(at: tcp + 12)
            headers = tcp + Int(offset >> 4) * 4
            flags = packet.uint8(at: tcp + 13)
            let others = flags & ~TCPTrain.push
            guard offset & 15 == 0, offset >> 4 >= 5, headers < packet.byteCount,
                others == TCPTrain.acknowledgement || others == TCPTrain.acknowledgement | TCPTrain.congestionEcho,
                // Nothing urgent.
                packet.uint16(at: tcp + 18) == 0
            else { return nil }
        }
    }

    /// Begins with the packet that fills `packet`; nil when it can neither be joined nor joined to.
    public init?(_ packet: RawSpan) {
        guard let segment = Segment(packet), segment.flags & Self.push == 0, segment.network.isIntact(packet) else {
            return nil
        }
        count = 1
        length = packet.byteCount
        isOpen = true
        network = segment.network
        headers = segment.headers
        segmentSize = packet.byteCount - segment.headers
        nextSequence = packet.uint32(at: network.length + 4) &+ UInt32(truncatingIfNeeded: segmentSize)
        hasPush = false
    }

    /// Takes the packet that fills `packet` when it follows, and says where its payload starts; nil, and nothing
    /// changed, when it does not. `first` is the packet that the train began with, unchanged.
    public mutating func take(_ packet: RawSpan, after first: RawSpan) -> Int? {
        guard isOpen, let segment = Segment(packet), segment.headers == headers,
            first.byteCount == headers + segmentSize
        else { return nil }
        let payload = packet.byteCount - headers
        let tcp = network.length
        guard payload <= segmentSize, length + payload <= Self.maximumLength,
            packet.uint32(at: tcp + 4) == nextSequence, network.isFollowed(by: packet, segment.network, first),
            packet.uint32(at: tcp) == first.uint32(at: tcp),
            packet.uint32(at: tcp + 8) == first.uint32(at: tcp + 8),
            (segment.flags ^ first.uint8(at: tcp + 13)) & ~Self.push == 0,
            packet.uint16(at: tcp + 14) == first.uint16(at: tcp + 14)
        else { return nil }
        // Options.
        var offset = tcp + 20
        while offset < headers {
            guard packet.uint32(at: offset) == first.uint32(at: offset) else { return nil }
            offset += 4
        }
        guard segment.network.isIntact(packet) else { return nil }
        count += 1
        length += payload
        nextSequence &+= UInt32(truncatingIfNeeded: payload)
        network.take(segment.network)
        hasPush = segment.flags & Self.push != 0
        isOpen = payload == segmentSize && !hasPush && count < Self.maximumCount
        return headers
    }

    /// Makes the headers of the first packet, which lies at `offset`, those of the joined one, and returns what is to be
    /// said to the device. A train of one is left as it was.
    public func finish(_ buffer: inout MutableRawSpan, at offset: Int) -> VirtioHeader {
        guard count > 1, offset >= 0, offset <= buffer.byteCount, headers <= buffer.byteCount - offset else {
            return VirtioHeader()
        }
        let tcp = offset + network.length
        if hasPush { buffer.put(buffer.bytes.uint8(at: tcp + 13) | Self.push, at: tcp + 13) }
        network.finish(&buffer, at: offset, total: length, checksum: 16)
        var header = VirtioHeader()
        header.segmentation = network.isV4 ? .tcp4 : .tcp6
        header.needsChecksum = true
        header.headerLength = UInt16(truncatingIfNeeded: headers)
        header.segmentSize = UInt16(truncatingIfNeeded: segmentSize)
        header.checksumStart = UInt16(truncatingIfNeeded: network.length)
        header.checksumOffset = 16
        return header
    }
}
