import Clockwork
import IPPackets
import NetworkTypes
import Testing
import WireFormat

/// What is joined and, more so, what is not.
struct TCPTrainTests {
    /// Four pieces of one packet.
    private func pieces(v6: Bool = false, size: Int = 40, options: Int = 12) throws -> [[UInt8]] {
        let packet = try SuperPacket(
            v6: v6, payload: (0..<UInt8(4 * size)).map { $0 }, segmentSize: size, options: options)
        return try SuperPacket.cut(packet.bytes, packet.header)
    }

    /// The same packet with other octets and checksums that are right again.
    private func changed(_ packet: [UInt8], _ offset: Int, _ value: UInt8) throws -> [UInt8] {
        var bytes = packet
        bytes[offset] = value
        let v6 = bytes[0] >> 4 == 6
        let network = v6 ? 40 : 20
        if !v6 {
            (bytes[10], bytes[11]) = (0, 0)
            var sum = InternetChecksum()
            sum.add(bytes.span.extracting(0..<20))
            (bytes[10], bytes[11]) = (UInt8(sum.value >> 8), UInt8(sum.value & 0xff))
        }
        (bytes[network + 16], bytes[network + 17]) = (0, 0)
        let fields = unsafe try PacketSelectorFields(parsing: bytes.span.bytes)
        let value = unsafe PseudoHeader.checksum(
            of: bytes.span.bytes.extracting(network..<bytes.count), from: fields.source, to: fields.destination,
            ipProtocol: .tcp)
        (bytes[network + 16], bytes[network + 17]) = (UInt8(value >> 8), UInt8(value & 0xff))
        #expect(try SuperPacket.isIntact(bytes))
        return bytes
    }

    /// No damage is laundered: every single bit, in the first segment and in the second.
    @Test(arguments: [false, true]) func nothingDamagedIsJoined(v6: Bool) throws {
        let whole = try pieces(v6: v6)
        #expect(SuperPacket.join(whole).map { $0.header.segmentation } == [v6 ? .tcp6 : .tcp4])
        for place in 0...1 {
            for bit in 0..<(whole[place].count * 8) {
                var packets = Array(whole.prefix(2))
                packets[place][bit / 8] ^= 1 << UInt8(bit % 8)
                let joined = SuperPacket.join(packets)
                // Both are handed over as they came.
                #expect(joined.map(\.bytes) == packets, "bit \(bit) of segment \(place)")
                #expect(joined.allSatisfy { $0.header == VirtioHeader() })
            }
        }
    }

    /// Right in itself, but not the next of the same flow.
    @Test(arguments: [false, true]) func nothingElseIsJoined(v6: Bool) throws {
        let whole = try pieces(v6: v6)
        let tcp = v6 ? 40 : 20
        // Class, lifetime, addresses; ports, sequence, acknowledgement, flags, window, urgent pointer, options.
        let network = v6 ? [1, 2, 3, 7, 23, 39] : [1, 8, 15, 19]
        let transport = [1, 3, 7, 11, 13, 15, 19, 20, 31].map { tcp + $0 }
        for offset in network + transport {
            let other = try changed(whole[1], offset, whole[1][offset] ^ 2)
            let joined = SuperPacket.join([whole[0], other])
            #expect(joined.map(\.bytes) == [whole[0], other], "octet \(offset)")
        }
        // With DF the identification may be any; without it, the next only.
        if !v6 { #expect(SuperPacket.join([whole[0], try changed(whole[1], 5, 99)]).count == 1) }
        // Every flag but PSH.
        for flag in 0..<8 where flag != 3 {
            let other = try changed(whole[1], tcp + 13, whole[1][tcp + 13] ^ (1 << UInt8(flag)))
            #expect(SuperPacket.join([whole[0], other]).count == 2, "flag \(flag)")
        }
        // The other way round, twice, or with one missing.
        #expect(SuperPacket.join([whole[1], whole[0]]).count == 2)
        #expect(SuperPacket.join([whole[0], whole[0]]).count == 2)
        #expect(SuperPacket.join([whole[0], whole[2]]).count == 2)
        #expect(SuperPacket.join([whole[0], try pieces(v6: !v6)[1]]).count == 2)
    }

    @Test func identificationsCountWherePacketsMayBeFragmented() throws {
        let packet = try SuperPacket(payload: .init(repeating: 1, count: 80), segmentSize: 40, fragments: true)
        let whole = try SuperPacket.cut(packet.bytes, packet.header)
        #expect(SuperPacket.join(whole).count == 1)
        #expect(SuperPacket.join([whole[0], try changed(whole[1], 5, 99)]).count == 2)
    }

    @Test(arguments: [false, true]) func pushAndShortSegmentsEndIt(v6: Bool) throws {
        let whole = try pieces(v6: v6)
        let flags = (v6 ? 40 : 20) + 13
        let pushed = try changed(whole[1], flags, SuperPacket.acknowledgement | SuperPacket.push)
        let joined = SuperPacket.join([whole[0], pushed, whole[2], whole[3]])
        #expect(joined.count == 2)
        #expect(joined[0].bytes[flags] == SuperPacket.acknowledgement | SuperPacket.push)
        #expect(joined[1].bytes[flags] == SuperPacket.acknowledgement)
        // A first one with PSH stays alone.
        let first = try changed(whole[0], flags, SuperPacket.acknowledgement | SuperPacket.push)
        #expect(SuperPacket.join([first, whole[1]]).count == 2)
        // After a shorter one comes nothing; a longer one does not follow.
        let short = try SuperPacket(
            v6: v6, payload: .init(repeating: 1, count: 70), segmentSize: 40, sequence: 500)
        let next = try SuperPacket(v6: v6, payload: .init(repeating: 1, count: 40), segmentSize: 40, sequence: 570)
        let mixed = try SuperPacket.cut(short.bytes, short.header) + SuperPacket.cut(next.bytes, next.header)
        #expect(SuperPacket.join(mixed).count == 2)
        let long = try SuperPacket(v6: v6, payload: .init(repeating: 1, count: 41), segmentSize: 41, sequence: 540)
        let grown = try [SuperPacket.cut(short.bytes, short.header)[0]] + SuperPacket.cut(long.bytes, long.header)
        #expect(SuperPacket.join(grown).count == 2)
    }

    @Test func aTrainIsNeverLongerThanAPacketMayBe() throws {
        var packets: [[UInt8]] = []
        for part in 0..<3 as Range<UInt32> {
            let packet = try SuperPacket(
                payload: .init(repeating: UInt8(part), count: 40_000), segmentSize: 1000, sequence: part * 40_000)
            packets += try SuperPacket.cut(packet.bytes, packet.header)
        }
        let joined = SuperPacket.join(packets)
        #expect(joined.count == 2)
        for piece in joined {
            #expect(piece.bytes.count <= 65_535)
            #expect(try SuperPacket.cut(piece.bytes, piece.header).allSatisfy { try SuperPacket.isIntact($0) })
        }
        #expect(joined.flatMap { $0.bytes.dropFirst(52) } == packets.flatMap { $0.dropFirst(52) })
    }

    @Test func otherPacketsPassUntouched() throws {
        let whole = try pieces()
        let datagram = try Fixtures.packet()
        let bare = Array(whole[0].prefix(40))
        for other in [datagram, bare, [0x45], [UInt8](repeating: 0x60, count: 61)] {
            let joined = SuperPacket.join([whole[0], other, whole[1]])
            #expect(joined.map(\.bytes) == [whole[0], other, whole[1]])
        }
    }
}
