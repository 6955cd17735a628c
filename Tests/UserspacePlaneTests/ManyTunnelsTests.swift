import Clockwork
import ESPEngine
import GatewayModel
import NetworkTypes
import Testing
import UserspacePlane

/// Among many SAs packets are looked at some turns before they are sealed.
@Suite(.serialized) struct ManyTunnelsTests {
    private static let tunnels = 200

    /// None is lost, none overtakes another, each goes through its own SA, and what no policy speaks of, what is no packet
    /// and what has lost its SA stays behind: in bursts of every length, shorter and longer than what is looked ahead.
    @Test func burstsOfEveryLengthComeOutAsTheyWentIn() throws {
        let both = try PlaneTests.Both(up: false)
        let here = try Support.selectors(["10.1.0.0/16"])
        for index in 1...Self.tunnels {
            let there = try Support.selectors(["10.2.\(index).0/24"])
            try Support.bringUp(
                both.planes.1, index: index, isFirst: false, path: both.path.reversed, local: there, remote: here,
                child: UInt32(index))
            try Support.bringUp(
                both.planes.0, index: index, isFirst: true, path: both.path, local: here, remote: there,
                child: UInt32(index))
        }
        // The policy stays, its SA is gone.
        let orphan = Self.tunnels
        try both.planes.0.obey(
            .remove(
                .outbound, spi: SPILayout.spi(index: orphan, chance: 200), of: ChildSAID(rawValue: UInt32(orphan))))
        let isSettled = both.planes.0.settle() && both.planes.1.settle()
        #expect(isSettled)
        var (number, unknown, malformed, orphaned) = (0, UInt64(0), UInt64(0), UInt64(0))
        var counts = [Int](repeating: 0, count: Self.tunnels + 1)
        for length in Array(1...20) + [63, 64, 65, 130] {
            var expected: [[UInt8]] = []
            for _ in 0..<length {
                number += 1
                let payload = [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)]
                if number % 11 == 0 {
                    unknown += 1
                    let packet = Support.packet(from: both.hosts.0, to: IPAddress(v4: 0x0a03_0001), payload: payload)
                    #expect(both.ports.0.send(packet))
                } else if number % 13 == 0 {
                    malformed += 1
                    #expect(both.ports.0.send([0x45, 0]))
                } else {
                    let tunnel = number % 17 == 0 ? orphan : 1 + (number * 37) % (Self.tunnels - 1)
                    let packet = Support.packet(
                        from: both.hosts.0, to: IPAddress(v4: 0x0a02_0001 + UInt32(tunnel) << 8), payload: payload)
                    #expect(both.ports.0.send(packet))
                    if tunnel == orphan {
                        orphaned += 1
                    } else {
                        counts[tunnel] += 1
                        expected.append(packet)
                    }
                }
            }
            for packet in expected { #expect(try both.await(both.ports.1) == packet) }
        }
        #expect(Support.eventually { both.planes.0.drops(.noPolicy) == unknown })
        #expect(Support.eventually { both.planes.0.drops(.malformedPacket) == malformed })
        #expect(Support.eventually { both.planes.0.drops(.noSA) == orphaned })
        #expect(unknown > 10 && malformed > 10 && orphaned > 10)
        for tunnel in 1..<Self.tunnels {
            let spi = SPILayout.spi(index: tunnel, chance: 200)
            #expect(both.planes.0.counters(.outbound, spi: spi)?.packets == UInt64(counts[tunnel]))
            #expect(both.planes.1.counters(.inbound, spi: spi)?.packets == UInt64(counts[tunnel]))
        }
        #expect(both.ports.1.receive() == nil)
    }
}
