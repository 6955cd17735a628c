import IPPackets
import NetworkTypes
import Testing

/// TCP's segment size in the packets that open a connection, and nothing else.
struct SegmentSizeClampTests {
    /// A segment with these options and flags whose checksum is right.
    private func segment(v6: Bool, options: [UInt8], flags: UInt8 = 2) throws -> [UInt8] {
        var packet = try SuperPacket(
            v6: v6, payload: [1, 2, 3], segmentSize: 1, options: options.count, flags: flags)
        packet.bytes.replaceSubrange((packet.network + 20)..<packet.headers, with: options)
        packet.header.segmentation = .none
        return try #require(try SuperPacket.cut(packet.bytes, packet.header).first)
    }

    /// The packet after the clamp, and whether it was changed.
    private func clamped(_ bytes: [UInt8], _ clamp: SegmentSizeClamp) throws -> (bytes: [UInt8], changed: Bool) {
        let fields = try PacketSelectorFields(parsing: unsafe bytes.span.bytes)
        guard let tcp = SegmentSizeClamp.opening(unsafe bytes.span.bytes, fields) else { return (bytes, false) }
        // It need not lie at the start of its buffer.
        var buffer: [UInt8] = [9, 9, 9] + bytes
        let end = buffer.count
        var span = buffer.mutableSpan
        var raw = unsafe span.mutableBytes
        let changed = clamp.apply(to: &raw, packet: 3..<end, tcp: tcp)
        return (Array(buffer.dropFirst(3)), changed)
    }

    /// The sum over pseudo-header and segment: all ones when it is right.
    private func isIntact(_ bytes: [UInt8]) throws -> Bool {
        let fields = try PacketSelectorFields(parsing: unsafe bytes.span.bytes)
        let start = fields.family == .v4 ? 20 : 40
        return PseudoHeader.checksum(
            of: unsafe bytes.span.bytes.extracting(start..<bytes.count), from: fields.source,
            to: fields.destination, ipProtocol: .tcp) == 0
    }

    @Test(arguments: [false, true], [0, 1, 2, 3])
    func aLargerSizeIsLoweredWhereverItStands(v6: Bool, gap: Int) throws {
        // 1,460 behind so many fillers, then window scaling.
        let options =
            [UInt8](repeating: 1, count: gap) + [2, 4, 5, 0xb4, 3, 3, 7] + [UInt8](repeating: 0, count: 5 - gap)
        let clamp = SegmentSizeClamp(innerMTU: 1400)
        let packet = try segment(v6: v6, options: options)
        #expect(try isIntact(packet))
        let (bytes, changed) = try clamped(packet, clamp)
        #expect(changed)
        let at = (v6 ? 60 : 40) + gap + 2
        #expect(Int(bytes[at]) << 8 | Int(bytes[at + 1]) == (v6 ? 1340 : 1360))
        #expect(try isIntact(bytes))
        // Nothing else: size and checksum.
        let field = (v6 ? 40 : 20) + 16
        for index in bytes.indices where ![at, at + 1, field, field + 1].contains(index) {
            #expect(bytes[index] == packet[index])
        }
        // Said once is enough.
        #expect(try !clamped(bytes, clamp).changed)
    }

    @Test func whatIsSmallEnoughOrOpensNothingStays() throws {
        let clamp = SegmentSizeClamp(innerMTU: 1400)
        let large: [UInt8] = [2, 4, 5, 0xb4]
        for (options, flags) in [
            (large, UInt8(16)), (large, 24), ([2, 4, 5, 0], 2), ([1, 1, 1, 1], 2), ([0, 2, 4, 5], 2), ([], 2),
            // Malformed: no length, too short, past the end.
            ([1, 1, 1, 2], 2), ([2, 0, 5, 0xb4], 2), ([2, 1, 255, 255], 2), ([8, 40, 255, 255], 2),
            ([2, 3, 255, 1], 2),
        ] {
            let packet = try segment(v6: false, options: options, flags: flags)
            #expect(try clamped(packet, clamp) == (packet, false), "\(options) \(flags)")
        }
        // A SYN with ACK opens a connection as well.
        #expect(try clamped(try segment(v6: false, options: large, flags: 0x12), clamp).changed)
        let udp = try Fixtures.packet(payload: [UInt8](repeating: 2, count: 40))
        #expect(try clamped(udp, clamp) == (udp, false))
    }

    @Test func aLaterFragmentHasNoHeader() throws {
        var packet = try segment(v6: false, options: [2, 4, 5, 0xb4])
        packet[7] = 8
        #expect(
            SegmentSizeClamp.opening(
                unsafe packet.span.bytes, try PacketSelectorFields(parsing: unsafe packet.span.bytes)) == nil)
    }

    @Test func extensionHeadersArePassed() throws {
        var packet = try segment(v6: true, options: [2, 4, 5, 0xb4])
        // Destination options of eight octets.
        packet.insert(contentsOf: [6, 0, 1, 4, 0, 0, 0, 0], at: 40)
        packet[6] = 60
        packet[5] += 8
        let (bytes, changed) = try clamped(packet, SegmentSizeClamp(innerMTU: 1400, limit: 1300))
        #expect(changed)
        #expect(Int(bytes[70]) << 8 | Int(bytes[71]) == 1300)
    }

    @Test func theLimitIsTheLesserOfTwo() {
        #expect(SegmentSizeClamp(innerMTU: 1400, limit: 1360).v4 == 1360)
        #expect(SegmentSizeClamp(innerMTU: 1400, limit: 1360).v6 == 1340)
        #expect(SegmentSizeClamp(innerMTU: 1300, limit: 1360).v4 == 1260)
        #expect(SegmentSizeClamp(innerMTU: 0).v4 == 88)
        #expect(SegmentSizeClamp(innerMTU: 1_000_000).v4 == .max)
        #expect(!SegmentSizeClamp.none.isOn)
        #expect(SegmentSizeClamp(innerMTU: 1400).isOn)
    }
}
