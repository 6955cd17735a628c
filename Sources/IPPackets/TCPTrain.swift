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
    private let isV4: Bool
    /// Octets of the IP header, and of both.
    private let (network, headers): (Int, Int)
    private let segmentSize: Int
    private var nextSequence: UInt32
    private var lastIdentification: UInt16
    private var hasPush: Bool

    /// The longest joined packet: what an IPv4 header can say.
    public static let maximumLength = 65_535
    /// The most segments: what one gathered write holds, with some room.
    public static let maximumCount = 256
    private static let (push, acknowledgement, congestionEcho): (UInt8, UInt8, UInt8) = (0x08, 0x10, 0x40)

    /// What is looked at in one segment.
    private struct Segment {
        let isV4: Bool
        let network: Int
        let headers: Int
        let flags: UInt8

        /// Nil when the packet is not one that could be joined with any other: no plain TCP data, or damaged.
        @inline(__always)
        init?(_ packet: RawSpan) {
            let octets = packet.byteCount
            guard octets > 40 else { return nil }
            switch packet.uint8(at: 0) {
            case 0x45:
                // Neither fragments nor the reserved flag, and a header that is not damaged.
                guard packet.uint8(at: 9) == 6, Int(packet.uint16(at: 2)) == octets,
                    packet.uint16(at: 6) & 0xbfff == 0, OnesSum.of(packet.extracting(0..<20)) == 0xffff
                else { return nil }
                (isV4, network) = (true, 20)
            case 0x60...0x6f:
                guard packet.uint8(at: 6) == 6, Int(packet.uint16(at: 4)) + 40 == octets, octets > 60 else {
                    return nil
                }
                (isV4, network) = (false, 40)
            default: return nil
            }
            let offset = packet.uint8(at: network + 12)
            headers = network + Int(offset >> 4) * 4
            flags = packet.uint8(at: network + 13)
            let others = flags & ~TCPTrain.push
            guard offset & 15 == 0, offset >> 4 >= 5, headers < octets,
                others == TCPTrain.acknowledgement || others == TCPTrain.acknowledgement | TCPTrain.congestionEcho,
                // Nothing urgent.
                packet.uint16(at: network + 18) == 0
            else { return nil }
        }

        /// Whether the sum over pseudo-header and segment is right.
        @inline(__always)
        func isIntact(_ packet: RawSpan) -> Bool {
            let length = UInt64(packet.byteCount - network)
            let addresses = packet.extracting((isV4 ? 12 : 8)..<network)
            return OnesSum.of(
                packet.extracting(network..<packet.byteCount), plus: UInt64(OnesSum.of(addresses)) + length + 6)
                == 0xffff
        }
    }

    /// Begins with the packet that fills `packet`; nil when it can neither be joined nor joined to.
    public init?(_ packet: RawSpan) {
        guard let segment = Segment(packet), segment.flags & Self.push == 0, segment.isIntact(packet) else {
            return nil
        }
        count = 1
        length = packet.byteCount
        isOpen = true
        isV4 = segment.isV4
        network = segment.network
        headers = segment.headers
        segmentSize = packet.byteCount - segment.headers
        nextSequence = packet.uint32(at: network + 4) &+ UInt32(truncatingIfNeeded: segmentSize)
        lastIdentification = segment.isV4 ? packet.uint16(at: 4) : 0
        hasPush = false
    }

    /// Takes the packet that fills `packet` when it follows, and says where its payload starts; nil, and nothing
    /// changed, when it does not. `first` is the packet that the train began with, unchanged.
    public mutating func take(_ packet: RawSpan, after first: RawSpan) -> Int? {
        guard isOpen, let segment = Segment(packet), segment.isV4 == isV4, segment.headers == headers,
            first.byteCount == headers + segmentSize
        else { return nil }
        let payload = packet.byteCount - headers
        guard payload <= segmentSize, length + payload <= Self.maximumLength,
            packet.uint32(at: network + 4) == nextSequence, hasSameNetwork(packet, first),
            packet.uint32(at: network) == first.uint32(at: network),
            packet.uint32(at: network + 8) == first.uint32(at: network + 8),
            (segment.flags ^ first.uint8(at: network + 13)) & ~Self.push == 0,
            packet.uint16(at: network + 14) == first.uint16(at: network + 14)
        else { return nil }
        // Options.
        var offset = network + 20
        while offset < headers {
            guard packet.uint32(at: offset) == first.uint32(at: offset) else { return nil }
            offset += 4
        }
        guard segment.isIntact(packet) else { return nil }
        count += 1
        length += payload
        nextSequence &+= UInt32(truncatingIfNeeded: payload)
        if isV4 { lastIdentification = packet.uint16(at: 4) }
        hasPush = segment.flags & Self.push != 0
        isOpen = payload == segmentSize && !hasPush && count < Self.maximumCount
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
        return packet.uint8(at: 1) == first.uint8(at: 1) && packet.uint16(at: 6) == first.uint16(at: 6)
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
        let tcp = offset + network
        if hasPush { buffer.put(buffer.bytes.uint8(at: tcp + 13) | Self.push, at: tcp + 13) }
        let pseudo = OnesSum.of(
            buffer.bytes.extracting((offset + (isV4 ? 12 : 8))..<tcp), plus: UInt64(length - network) + 6)
        buffer.put(pseudo, at: tcp + 16)
        var header = VirtioHeader()
        header.segmentation = isV4 ? .tcp4 : .tcp6
        header.needsChecksum = true
        header.headerLength = UInt16(truncatingIfNeeded: headers)
        header.segmentSize = UInt16(truncatingIfNeeded: segmentSize)
        header.checksumStart = UInt16(truncatingIfNeeded: network)
        header.checksumOffset = 16
        return header
    }
}
