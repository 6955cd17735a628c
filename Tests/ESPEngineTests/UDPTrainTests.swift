import IPPackets
import NetworkTypes
import Testing
import WireFormat

/// Which datagrams are joined and, more so, which are not.
struct UDPTrainTests {
    private func pieces(
        v6: Bool, size: Int = 40, last: Int = 40, fragments: Bool = false
    ) throws -> (packet: SuperPacket, cut: [[UInt8]]) {
        let packet = try SuperPacket(
            v6: v6, udp: true, payload: (0..<(3 * size + last)).map { UInt8(truncatingIfNeeded: $0) },
            segmentSize: size, fragments: fragments)
        return (packet, try SuperPacket.cut(packet.bytes, packet.header))
    }

    /// Joins packets into trains, as a device would be given them.
    private func join(_ packets: [[UInt8]]) -> [(header: VirtioHeader, bytes: [UInt8])] {
        var joined: [(header: VirtioHeader, bytes: [UInt8])] = []
        var train: UDPTrain?
        var first: [UInt8] = []
        var rest: [UInt8] = []
        func end() {
            guard let ended = train else { return }
            var span = first.mutableSpan
            // Octets have no padding: a span of them is a raw span.
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
            train = UDPTrain(bytes)
            if train == nil { joined.append((VirtioHeader(), packet)) }
        }
        end()
        return joined
    }

    /// What was cut is joined to what it was, the last one shorter or not.
    @Test(arguments: [false, true], [1, 39, 40]) func whatWasOnePacketIsOneAgain(v6: Bool, last: Int) throws {
        for fragments in [false, true] {
            let (packet, cut) = try pieces(v6: v6, last: last, fragments: fragments)
            #expect(cut.count == 4)
            let joined = join(cut)
            #expect(joined.map(\.bytes) == [packet.bytes])
            #expect(joined.map(\.header) == [packet.header])
        }
    }

    /// No damage is laundered: every single bit, in the first datagram and in the second.
    @Test(arguments: [false, true]) func nothingDamagedIsJoined(v6: Bool) throws {
        let whole = try pieces(v6: v6).cut
        for place in 0...1 {
            for bit in 0..<(whole[place].count * 8) {
                var packets = Array(whole.prefix(2))
                packets[place][bit / 8] ^= 1 << UInt8(bit % 8)
                let joined = join(packets)
                #expect(joined.map(\.bytes) == packets, "bit \(bit) of datagram \(place)")
                #expect(joined.allSatisfy { $0.header == VirtioHeader() })
            }
        }
    }

    /// Right in itself, but of another flow, longer, without a checksum, or behind a shorter one.
    @Test(arguments: [false, true]) func nothingElseIsJoined(v6: Bool) throws {
        let cut = try pieces(v6: v6).cut
        let longer = try pieces(v6: v6, size: 41).cut
        #expect(join([cut[0], longer[1]]).count == 2)
        let shorter = try pieces(v6: v6, last: 7).cut
        #expect(join([shorter[0], shorter[3], shorter[1]]).count == 2)
        // Another port, its sum corrected by taking as much from the other one.
        var other = cut[1]
        let udp = v6 ? 40 : 20
        other[udp + 1] &+= 1
        other[udp + 3] &-= 1
        #expect(try SuperPacket.isIntact(other))
        #expect(join([cut[0], other]).count == 2)
        var unsummed = cut[1]
        (unsummed[udp + 6], unsummed[udp + 7]) = (0, 0)
        #expect(join([cut[0], unsummed]).count == 2)
        #expect(join([unsummed, cut[0]]).count == 2)
        // TCP is not this type's business.
        let tcp = try SuperPacket(v6: v6, payload: [1, 2, 3], segmentSize: 3)
        #expect(unsafe UDPTrain(tcp.bytes.span.bytes) == nil)
    }

    @Test func identificationsMustFollowWhereRoutersMayCut() throws {
        let cut = try pieces(v6: false, fragments: true).cut
        #expect(join([cut[0], cut[2]]).count == 2)
        #expect(join([cut[1], cut[2]]).count == 1)
    }

    @Test func aTrainHasAnEnd() throws {
        let packet = try SuperPacket(
            v6: true, udp: true, payload: [UInt8](repeating: 3, count: 200 * 20), segmentSize: 20)
        let joined = join(try SuperPacket.cut(packet.bytes, packet.header))
        #expect(joined.map { ($0.bytes.count - 48) / 20 } == [64, 64, 64, 8])
    }
}
