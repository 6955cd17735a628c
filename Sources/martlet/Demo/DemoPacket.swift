import NetworkTypes
import WireFormat

/// The inner packets of the demonstration: what a host on each side sends and understands.
///
/// It owns two formats, ICMP echo and a UDP datagram with a number in front. It is no network stack.
struct DemoPacket {
    enum Content: Equatable {
        /// An ICMP echo request or reply with its sequence number.
        case echo(isReply: Bool, UInt16)
        /// A piece of the transfer, by its number.
        case piece(UInt32, [UInt8])
        /// All pieces before this number have arrived.
        case acknowledgement(UInt32)
    }

    var source: IPAddress
    var destination: IPAddress
    var content: Content

    private static let port: UInt16 = 7

    /// The IPv4 packet.
    var bytes: [UInt8] {
        var body = WireWriter(capacity: 1400)
        let number: IPProtocolNumber
        switch content {
        case .echo(let isReply, let sequence):
            number = .icmp
            body.uint8(isReply ? 0 : 8)
            body.uint8(0)
            body.uint16(0)
            body.uint16(0x4d41)
            body.uint16(sequence)
            body.zeros(48)
            var checksum = InternetChecksum()
            checksum.add(body.bytes.span)
            body.patch16(at: 2, Int(checksum.value))
        case .piece(let sequence, let data): (number, body) = (.udp, Self.datagram(kind: 1, sequence, data))
        case .acknowledgement(let next): (number, body) = (.udp, Self.datagram(kind: 2, next, []))
        }
        var packet = WireWriter(capacity: 1400)
        packet.uint16(0x4500)
        packet.uint16(UInt16(truncatingIfNeeded: 20 + body.count))
        packet.uint32(0x4000)
        packet.uint8(64)
        packet.uint8(number.rawValue)
        packet.uint16(0)
        packet.append(source.bytes)
        packet.append(destination.bytes)
        var checksum = InternetChecksum()
        checksum.add(packet.bytes.span)
        packet.patch16(at: 10, Int(checksum.value))
        packet.append(body.bytes)
        return packet.bytes
    }

    private static func datagram(kind: UInt8, _ number: UInt32, _ data: [UInt8]) -> WireWriter {
        var body = WireWriter(capacity: 1400)
        body.uint16(port)
        body.uint16(port)
        body.uint16(UInt16(truncatingIfNeeded: 13 + data.count))
        // No UDP checksum: IPv4 allows it, and the tunnel has its own.
        body.uint16(0)
        body.uint8(kind)
        body.uint32(number)
        body.append(data)
        return body
    }
}

extension DemoPacket {
    /// Reads a packet; nil when it is none of ours.
    init?(_ bytes: [UInt8]) {
        var reader = WireReader(bytes.span)
        do {
            guard try reader.uint8("version") == 0x45 else { return nil }
            try reader.skip(8, "header")
            let number = IPProtocolNumber(rawValue: try reader.uint8("protocol"))
            try reader.skip(2, "checksum")
            source = IPAddress(v4: try reader.uint32("source"))
            destination = IPAddress(v4: try reader.uint32("destination"))
            if number == .icmp {
                let type = try reader.uint8("type")
                try reader.skip(5, "code, checksum, identifier")
                guard type == 0 || type == 8 else { return nil }
                content = .echo(isReply: type == 0, try reader.uint16("sequence"))
            } else {
                guard number == .udp, try reader.uint32("ports") == UInt32(Self.port) << 16 | UInt32(Self.port) else {
                    return nil
                }
                try reader.skip(4, "UDP length, checksum")
                let kind = try reader.uint8("kind")
                let number = try reader.uint32("number")
                switch kind {
                case 1: content = .piece(number, try reader.rest())
                case 2: content = .acknowledgement(number)
                default: return nil
                }
            }
        } catch {
            return nil
        }
    }
}
