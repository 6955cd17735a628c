import IPPackets
import NetworkTypes
import Testing

@testable import ESPEngine

/// Packets that were cut on this machine become whole again.
struct FragmentAssemblyTests {
    private func take(_ assembly: inout FragmentAssembly, _ fragment: [UInt8]) throws(DropReason) -> [UInt8]? {
        try assembly.take(unsafe fragment.span.bytes)
    }

    /// The pieces of an IPv4 packet, each with a payload of at most `size` octets.
    private func cut4(_ packet: [UInt8], _ size: Int, identification: UInt8 = 7) -> [[UInt8]] {
        stride(from: 0, to: packet.count - 20, by: size).map { offset in
            let end = min(offset + size, packet.count - 20)
            var piece = Array(packet[..<20]) + packet[(20 + offset)..<(20 + end)]
            (piece[2], piece[3]) = (UInt8(piece.count >> 8), UInt8(truncatingIfNeeded: piece.count))
            piece[5] = identification
            let field = offset / 8 | (end < packet.count - 20 ? 0x2000 : 0)
            (piece[6], piece[7]) = (UInt8(field >> 8), UInt8(truncatingIfNeeded: field))
            return piece
        }
    }

    private func cut6(_ packet: [UInt8], _ size: Int) -> [[UInt8]] {
        stride(from: 0, to: packet.count - 40, by: size).map { offset in
            let end = min(offset + size, packet.count - 40)
            let field = offset | (end < packet.count - 40 ? 1 : 0)
            var piece = Array(packet[..<40])
            piece += [packet[6], 0, UInt8(field >> 8), UInt8(truncatingIfNeeded: field), 0, 0, 0, 9]
            piece += packet[(40 + offset)..<(40 + end)]
            piece[6] = 44
            (piece[4], piece[5]) = (UInt8((piece.count - 40) >> 8), UInt8(truncatingIfNeeded: piece.count - 40))
            return piece
        }
    }

    private func isFragment(_ packet: [UInt8]) -> Bool { FragmentAssembly.isFragment(unsafe packet.span.bytes) }

    @Test func bothFamiliesComeBackAsTheyWere() throws {
        var assembly = FragmentAssembly()
        let payload = (0..<3000).map { UInt8(truncatingIfNeeded: $0 &* 11) }
        var four = try Fixtures.packet(payload: payload)
        let six = try Fixtures.packet(from: "fd01::5", to: "fd02::9", payload: payload)
        for (packet, pieces) in [(four, cut4(four, 1480)), (six, cut6(six, 1432))] {
            #expect(!isFragment(packet))
            #expect(pieces.allSatisfy(isFragment))
            var whole: [UInt8]?
            for piece in pieces {
                #expect(whole == nil)
                whole = try take(&assembly, piece)
            }
            var found = try #require(whole)
            if packet[0] >> 4 == 4 {
                // What the pieces had of their own: identification, DF, checksum.
                found[5] = 0
                found.replaceSubrange(6..<8, with: four[6..<8])
                found.replaceSubrange(10..<12, with: four[10..<12])
            }
            #expect(found == packet)
        }
        four[6] = 0x40
        #expect(!isFragment(four))
    }

    @Test func severalMayBeUnderWayAndTheOldestGoesFirst() throws {
        var assembly = FragmentAssembly()
        let packet = try Fixtures.packet(payload: [UInt8](repeating: 1, count: 100))
        let all = (0..<5).map { cut4(packet, 56, identification: $0) }
        for pieces in all { #expect(try take(&assembly, pieces[0]) == nil) }
        #expect(throws: DropReason.fragmentInTransport) { try take(&assembly, all[0][1]) }
        for pieces in all[1...] { #expect(try take(&assembly, pieces[1])?.count == packet.count) }
    }

    @Test func whatIsOutOfOrderOrTooLongIsGivenUp() throws {
        var assembly = FragmentAssembly()
        let packet = try Fixtures.packet(payload: [UInt8](repeating: 1, count: 200))
        let pieces = cut4(packet, 56)
        #expect(throws: DropReason.fragmentInTransport) { try take(&assembly, pieces[1]) }
        #expect(try take(&assembly, pieces[0]) == nil)
        #expect(throws: DropReason.fragmentInTransport) { try take(&assembly, pieces[2]) }
        #expect(throws: DropReason.fragmentInTransport) { try take(&assembly, pieces[1]) }
        // More than a packet can have: the last offset and a long piece.
        #expect(throws: DropReason.malformedPacket) { try take(&assembly, Array(pieces[0].prefix(21))) }
        for length in 20..<30 {
            #expect(throws: DropReason.self) { try take(&assembly, Array(pieces[0].prefix(length))) }
        }
    }
}
