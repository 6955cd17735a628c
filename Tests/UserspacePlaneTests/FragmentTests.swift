import ESPEngine
import GatewayModel
import IPPackets
import LinuxSystem
import NetworkTypes
import Testing
import UserspacePlane
import WireFormat

/// Packets that come in pieces, through two planes whose SAs look at ports.
@Suite(.serialized) struct FragmentTests {
    /// Two planes whose SAs take UDP from port 7 to port 9, and back.
    private func linked(_ fragments: TunnelBehaviour.LaterFragments) throws -> PlaneTests.Both {
        let both = try PlaneTests.Both(up: false)
        func selectors(_ texts: [String], _ port: UInt16) throws -> [TrafficSelector] {
            try texts.map { TrafficSelector(try Support.prefix($0).range, ipProtocol: .udp, ports: .only(port)) }
        }
        let (left, right) = (
            try selectors(["10.1.0.0/16", "fd01::/64"], 7), try selectors(["10.2.0.0/16", "fd02::/64"], 9)
        )
        var tunnel = TunnelBehaviour()
        tunnel.laterFragments = fragments
        try Support.bringUp(
            both.planes.0, index: 1, isFirst: true, path: both.path, local: left, remote: right, tunnel: tunnel)
        try Support.bringUp(
            both.planes.1, index: 1, isFirst: false, path: both.path.reversed, local: right, remote: left,
            tunnel: tunnel)
        return both
    }

    /// The pieces of a UDP packet of 3,000 octets.
    private func pieces(
        _ both: PlaneTests.Both, v6: Bool = false, back: Bool = false, number: UInt16 = 1, from port: UInt16? = nil
    ) throws -> [[UInt8]] {
        let hosts = v6 ? (try Support.address("fd01::1"), try Support.address("fd02::1")) : both.hosts
        let (source, destination) = back ? (hosts.1, hosts.0) : hosts
        let payload = (0..<3000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var whole = Support.packet(from: both.hosts.0, to: both.hosts.1, payload: payload)
        let udp = Array(whole[20...])
        whole = [UInt8](repeating: 0, count: v6 ? 40 : 20) + udp
        var span = whole.mutableSpan
        var raw = unsafe span.mutableBytes
        let isWritten =
            (v6
                ? IPv6Header.write(
                    into: &raw, from: source, to: destination, nextHeader: .udp, payloadLength: udp.count)
                : IPv4Header.write(
                    into: &raw, from: source, to: destination, ipProtocol: .udp, payloadLength: udp.count,
                    identification: number, doesNotFragment: false))
            && UDPHeader.write(
                into: &raw, at: v6 ? 40 : 20, from: port ?? (back ? 9 : 7), to: back ? 7 : 9, payloadLength: 3000)
        #expect(isWritten)
        // Octets have no padding: a span of them is a raw span.
        let made = HostFragmentPlan(unsafe whole.span.bytes, mtu: 1280)
        let plan = try #require(made)
        return (0..<plan.count).map { index in
            var piece = [UInt8](repeating: 0, count: plan.length(of: index))
            var span = piece.mutableSpan
            var raw = unsafe span.mutableBytes
            let isWritten = plan.write(
                index, of: unsafe whole.span.bytes, identification: UInt32(number), into: &raw, at: 0)
            #expect(isWritten)
            return piece
        }
    }

    @Test(arguments: [false, true]) func laterOnesFollowTheFirst(v6: Bool) throws {
        let both = try linked(.followFirst)
        for piece in try pieces(both, v6: v6) {
            #expect(both.ports.0.send(piece))
            #expect(try both.await(both.ports.1) == piece)
        }
        for piece in try pieces(both, v6: v6, back: true) {
            #expect(both.ports.1.send(piece))
            #expect(try both.await(both.ports.0) == piece)
        }
    }

    @Test(arguments: [false, true]) func everyPacketHasItsOwnFate(v6: Bool) throws {
        let both = try linked(.followFirst)
        let (good, bad) = (try pieces(both, v6: v6), try pieces(both, v6: v6, number: 2, from: 8))
        // Before the first one nothing is known.
        #expect(both.ports.0.send(good[1]))
        for (one, other) in zip(good, bad) {
            #expect(both.ports.0.send(other) && both.ports.0.send(one))
            #expect(try both.await(both.ports.1) == one)
        }
        #expect(both.planes.0.drops(.noPolicy) == UInt64(bad.count) + 1)
        // Over what the first one showed.
        var forged = good[1]
        if v6 { (forged[42], forged[43]) = (0, 9) } else { (forged[6], forged[7]) = (0x20, 1) }
        #expect(both.ports.0.send(forged))
        #expect(Support.eventually { both.planes.0.drops(.malformedPacket) == 1 })
        #expect(both.ports.1.receive() == nil)
    }

    @Test func whatFollowsADiscardedOneIsDiscarded() throws {
        let both = try linked(.followFirst)
        // Everything is protected but what comes from port 8.
        let (left, right) = (try Support.selectors(["10.1.0.0/16"]), try Support.selectors(["10.2.0.0/16"]))
        for (plane, isFirst) in [(both.planes.0, true), (both.planes.1, false)] {
            try Support.bringUp(
                plane, index: 2, isFirst: isFirst, path: isFirst ? both.path : both.path.reversed,
                local: isFirst ? left : right, remote: isFirst ? right : left, child: 2)
        }
        let discarded = [
            TrafficSelector(try Support.prefix("10.1.0.0/16").range, ipProtocol: .udp, ports: .only(8))
        ]
        try both.planes.0.stand([
            StandingPolicy(
                connection: "net", child: "not", action: .discard, local: discarded, remote: right, priority: 1)
        ]) { _, _ in true }
        #expect(both.planes.0.settle())
        let bad = try pieces(both, number: 2, from: 8)
        for piece in bad { #expect(both.ports.0.send(piece)) }
        #expect(Support.eventually { both.planes.0.drops(.blocked) == UInt64(bad.count) })
        // Others go, also where no ports are looked at.
        for port in [7, 6] as [UInt16] {
            for piece in try pieces(both, number: 10 + port, from: port) {
                #expect(both.ports.0.send(piece))
                #expect(try both.await(both.ports.1) == piece)
            }
        }
        #expect(both.ports.1.receive() == nil)
    }

    @Test func whoDoesNotTakePiecesGetsTheWhole() throws {
        let both = try linked(.asTheyAre)
        let parts = try pieces(both)
        for piece in parts { #expect(both.ports.0.send(piece)) }
        let whole = try #require(try both.await(both.ports.1))
        #expect(whole.count == 3028)
        #expect(Array(whole[20...]) == parts.flatMap { $0[20...] })
        #expect(whole[6] == 0 && whole[7] == 0)
        var sum = InternetChecksum()
        sum.add(whole.span.extracting(0..<20))
        #expect(sum.value == 0)
        #expect(try #require(both.planes.1.counters(.inbound, spi: both.forward)).packets == 1)
        // Nobody but its receiver may put an IPv6 packet together: its first fragment goes alone.
        let six = try pieces(both, v6: true)
        for piece in six { #expect(both.ports.0.send(piece)) }
        #expect(try both.await(both.ports.1) == six[0])
        #expect(Support.eventually { both.planes.0.drops(.noPolicy) == UInt64(six.count) - 1 })
    }
}
