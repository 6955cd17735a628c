import Clockwork
import IPPackets
import NetworkTypes
import Testing
import WireFormat

/// A packet as a device hands it over uncut, put together by rules of its own: what the packet path does is compared
/// with it.
struct SuperPacket {
    var bytes: [UInt8]
    var header = VirtioHeader()
    /// Octets of the IP header, and of all headers.
    let network: Int
    let headers: Int

    static let push: UInt8 = 8
    static let acknowledgement: UInt8 = 16

    /// TCP or UDP from 10.1.0.5 to 10.2.0.9 or the like in IPv6. The checksum field holds the pseudo-header's sum.
    init(
        v6: Bool = false, udp: Bool = false, payload: [UInt8], segmentSize: Int, options: Int = 12,
        flags: UInt8 = acknowledgement, sequence: UInt32 = 1_000_000, identification: UInt16 = 65_530,
        fragments: Bool = false
    ) throws {
        let source = try #require(IPAddress(v6 ? "fd01::5" : "10.1.0.5"))
        let destination = try #require(IPAddress(v6 ? "fd02::9" : "10.2.0.9"))
        network = v6 ? 40 : 20
        let transport = udp ? 8 : 20 + options
        headers = network + transport
        bytes = [UInt8](repeating: 0, count: headers) + payload
        func put(_ value: UInt16, _ offset: Int) {
            bytes[offset] = UInt8(value >> 8)
            bytes[offset + 1] = UInt8(value & 0xff)
        }
        var span = bytes.mutableSpan
        // Octets have no padding: a span of them is a raw span.
        var raw = unsafe span.mutableBytes
        let length = transport + payload.count
        let isWritten =
            v6
            ? IPv6Header.write(
                into: &raw, from: source, to: destination, nextHeader: udp ? .udp : .tcp, payloadLength: length,
                flowLabel: 0x12345)
            : IPv4Header.write(
                into: &raw, from: source, to: destination, ipProtocol: udp ? .udp : .tcp, payloadLength: length,
                identification: identification, doesNotFragment: !fragments)
        #expect(isWritten)
        put(5001, network)
        put(44_000, network + 2)
        if udp {
            put(UInt16(length), network + 4)
        } else {
            put(UInt16(sequence >> 16), network + 4)
            put(UInt16(sequence & 0xffff), network + 6)
            put(7, network + 8)
            put(9, network + 10)
            bytes[network + 12] = UInt8(transport / 4) << 4
            bytes[network + 13] = flags
            put(512, network + 14)
            for index in 0..<options { bytes[network + 20 + index] = UInt8(index + 1) }
        }
        let field = udp ? 6 : 16
        // The complement of a checksum over nothing but addresses, protocol and length is their sum.
        var sum = InternetChecksum()
        sum.add(bytes.span.extracting((v6 ? 8 : 12)..<network))
        sum.add(UInt16(udp ? 17 : 6))
        sum.add(UInt16(length))
        put(~sum.value, network + field)
        header.needsChecksum = true
        header.segmentation = udp ? .udp : v6 ? .tcp6 : .tcp4
        header.headerLength = UInt16(headers)
        header.segmentSize = UInt16(segmentSize)
        header.checksumStart = UInt16(network)
        header.checksumOffset = UInt16(field)
    }

    /// Cuts a packet as the plan says.
    static func cut(_ bytes: [UInt8], _ header: VirtioHeader) throws -> [[UInt8]] {
        // Octets have no padding: a span of them is a raw span.
        let packet = unsafe bytes.span.bytes
        let plan = try SegmentationPlan(packet, header)
        return (0..<plan.count).map { index in
            // Among other octets, which must stay.
            var room = [UInt8](repeating: 0xa5, count: plan.length(of: index) + 6)
            var span = room.mutableSpan
            var raw = unsafe span.mutableBytes
            let beyond = plan.write(index, of: packet, into: &raw, at: 7)
            let after = plan.write(plan.count, of: packet, into: &raw, at: 0)
            let isWritten = plan.write(index, of: packet, into: &raw, at: 3)
            #expect(!beyond && !after && isWritten)
            #expect(room.prefix(3) == [0xa5, 0xa5, 0xa5] && room.suffix(3) == [0xa5, 0xa5, 0xa5])
            return Array(room[3..<(room.count - 3)])
        }
    }

    /// Whether IP and transport checksums are right, by the other implementation.
    static func isIntact(_ bytes: [UInt8]) throws -> Bool {
        let packet = unsafe bytes.span.bytes
        let fields = try PacketSelectorFields(parsing: packet)
        guard fields.length == bytes.count else { return false }
        let network = fields.family == .v4 ? 20 : 40
        var header = InternetChecksum()
        header.add(bytes.span.extracting(0..<20))
        return (network == 40 || header.value == 0)
            && PseudoHeader.checksum(
                of: packet.extracting(network..<bytes.count), from: fields.source, to: fields.destination,
                ipProtocol: fields.ipProtocol) == 0
    }

    /// Joins packets into trains, as a device would be given them.
    static func join(_ packets: [[UInt8]]) -> [(header: VirtioHeader, bytes: [UInt8])] {
        var joined: [(VirtioHeader, [UInt8])] = []
        var train: TCPTrain?
        var first: [UInt8] = []
        var rest: [UInt8] = []
        func end() {
            guard let ended = train else { return }
            var span = first.mutableSpan
            var raw = unsafe span.mutableBytes
            let header = ended.finish(&raw, at: 0)
            #expect(ended.length == first.count + rest.count)
            joined.append((header, first + rest))
            (train, rest) = (nil, [])
        }
        for packet in packets {
            let bytes = unsafe packet.span.bytes
            if let start = unsafe train?.take(bytes, after: first.span.bytes) {
                rest += packet[start...]
                continue
            }
            end()
            first = packet
            train = TCPTrain(bytes)
            if train == nil { joined.append((VirtioHeader(), packet)) }
        }
        end()
        return joined
    }
}
