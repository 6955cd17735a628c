import IPPackets
import NetworkTypes
import Testing

/// A host's own packets in pieces, and the pieces put together again.
struct HostFragmentPlanTests {
    private static func pieces(_ packet: [UInt8], mtu: Int) throws -> [[UInt8]]? {
        guard let plan = unsafe HostFragmentPlan(packet.span.bytes, mtu: mtu) else { return nil }
        return try (0..<plan.count).map { index in
            var buffer = [UInt8](repeating: 0xee, count: 10 + plan.length(of: index))
            var span = buffer.mutableSpan
            var raw = unsafe span.mutableBytes
            try #require(
                unsafe plan.write(index, of: packet.span.bytes, identification: 0x0102_0304, into: &raw, at: 10))
            return Array(buffer.dropFirst(10))
        }
    }

    /// Hop-by-hop options are repeated in each; the fragment header names what followed them (RFC 8200 §4.5).
    @Test(arguments: [1280, 1000, 61]) func anIPv6PacketIsCutBehindItsRouterHeaders(_ mtu: Int) throws {
        let plain = try Fixtures.packet(from: "fd01::5", to: "fd02::9", payload: (0..<3001).map { UInt8($0 & 255) })
        var packet = Array(plain.prefix(40)) + [17, 0, 1, 4, 0, 0, 0, 0] + plain.dropFirst(40)
        let length = packet.count - 40
        (packet[4], packet[5], packet[6]) = (UInt8(length >> 8), UInt8(length & 255), 0)
        let pieces = try #require(try Self.pieces(packet, mtu: mtu + 8))
        var joined: [UInt8] = []
        for (index, piece) in pieces.enumerated() {
            #expect(piece.count <= mtu + 8 && piece.count > 56)
            #expect(Int(piece[4]) << 8 | Int(piece[5]) == piece.count - 40)
            #expect(piece[6] == 0 && piece[40] == 44 && Array(piece[41..<48]) == Array(packet[41..<48]))
            #expect(piece[48] == 17 && Array(piece[52..<56]) == [1, 2, 3, 4])
            let field = Int(piece[50]) << 8 | Int(piece[51])
            #expect(field & 0xfff8 == joined.count)
            #expect(field & 1 == (index == pieces.count - 1 ? 0 : 1))
            joined += piece.dropFirst(56)
        }
        #expect(pieces.count > 2 && joined == Array(packet.dropFirst(48)))
    }

    @Test func anIPv4PacketIsCutUnlessItMustNot() throws {
        var packet = try Fixtures.packet(payload: (0..<3001).map { UInt8($0 & 255) })
        #expect(try Self.pieces(packet, mtu: 1280) == nil)
        packet[6] = 0
        let pieces = try #require(try Self.pieces(packet, mtu: 1280))
        #expect(pieces.count == 3 && pieces.allSatisfy { $0.count <= 1280 })
        #expect(pieces.flatMap { $0.dropFirst(20) } == Array(packet.dropFirst(20)))
    }

    @Test func whatCannotBeCutIsNot() throws {
        let packet = try Fixtures.packet(from: "fd01::5", to: "fd02::9", payload: [UInt8](repeating: 1, count: 300))
        // No room for eight octets; not as long as it says; a fragment already.
        #expect(try Self.pieces(packet, mtu: 55) == nil)
        #expect(try Self.pieces(packet + [0], mtu: 200) == nil)
        let piece = try #require(try Self.pieces(packet, mtu: 200)?.first)
        #expect(try Self.pieces(piece, mtu: 100) == nil)
    }
}
