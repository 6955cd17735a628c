import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import LinuxSystem
import NetworkTypes
import Testing
import UserspacePlane
import WireFormat

/// Packets that are too long, padded, or counted, through two planes on loopback.
@Suite(.serialized) struct FitTests {
    /// Two planes, each the other's peer, whose SAs behave like this.
    private func linked(
        limits: VolumeLimits = VolumeLimits(), _ change: (inout TunnelBehaviour) -> Void
    ) throws -> PlaneTests.Both {
        let both = try PlaneTests.Both(up: false)
        var behaviour = TunnelBehaviour()
        change(&behaviour)
        for (plane, isFirst) in [(both.planes.0, true), (both.planes.1, false)] {
            let here = try Support.selectors([
                isFirst ? "10.1.0.0/16" : "10.2.0.0/16", isFirst ? "fd01::/64" : "fd02::/64",
            ])
            let there = try Support.selectors([
                isFirst ? "10.2.0.0/16" : "10.1.0.0/16", isFirst ? "fd02::/64" : "fd01::/64",
            ])
            var pair = Support.associations(
                index: 1, isFirst: isFirst, path: isFirst ? both.path : both.path.reversed, local: here, remote: there)
            (pair.inbound.tunnel, pair.outbound.tunnel) = (behaviour, behaviour)
            pair.outbound.limits = limits
            try plane.obey(.install(pair.inbound))
            try plane.obey(.install(pair.outbound))
            try plane.obey(.protect(ChildSAID(rawValue: 1), local: here, remote: there, spi: pair.outbound.spi))
        }
        return both
    }

    /// A UDP packet that may be cut, or may not.
    private func packet(_ both: PlaneTests.Both, _ payload: Int, mayFragment: Bool) -> [UInt8] {
        var entropy = SeededEntropy(seed: UInt64(payload))
        var bytes = Support.packet(from: both.hosts.0, to: both.hosts.1, payload: entropy.bytes(payload))
        guard mayFragment else { return bytes }
        bytes[6] = 0
        (bytes[10], bytes[11]) = (0, 0)
        var sum = InternetChecksum()
        sum.add(bytes.span.extracting(0..<20))
        (bytes[10], bytes[11]) = (UInt8(sum.value >> 8), UInt8(sum.value & 255))
        return bytes
    }

    @Test func whoSendsTooMuchIsTold() throws {
        let both = try linked { $0.mtu = 1400 }
        let tooLong = packet(both, 1373, mayFragment: false)
        #expect(both.ports.0.send(tooLong))
        let told = try #require(try both.await(both.ports.0))
        #expect(Array(told[20..<22]) == [3, 4])
        #expect(Int(told[26]) << 8 | Int(told[27]) == 1400)
        #expect(Array(told[28..<56]) == Array(tooLong[..<28]))
        #expect(both.planes.0.drops(.tooBig) == 1)
        // One octet less goes.
        let fits = packet(both, 1372, mayFragment: false)
        #expect(both.ports.0.send(fits))
        #expect(try both.await(both.ports.1) == fits)
    }

    @Test func nobodyIsToldTooOften() throws {
        let both = try linked { $0.mtu = 1400 }
        let tooLong = packet(both, 1400, mayFragment: false)
        for _ in 0..<1000 { #expect(both.ports.0.send(tooLong)) }
        #expect(Support.eventually { both.planes.0.drops(.tooBig) == 1000 })
        var told = 0
        while both.ports.0.receive() != nil { told += 1 }
        // Two hundred at once, and a hundred a second.
        #expect(told >= 200 && told < 900)
    }

    @Test func aPacketIsCutBeforeItIsSealed() throws {
        let both = try linked { $0.mtu = 1400 }
        let whole = packet(both, 3000, mayFragment: true)
        #expect(both.ports.0.send(whole))
        var body = [UInt8](repeating: 0, count: 3008)
        var octets = 0
        for _ in 0..<3 {
            let fragment = try #require(try both.await(both.ports.1))
            let header = try IPv4Header(parsing: unsafe fragment.span.bytes)
            #expect(fragment.count <= 1400)
            body.replaceSubrange(
                header.fragmentOffset..<(header.fragmentOffset + fragment.count - 20), with: fragment[20...])
            octets += fragment.count - 20
        }
        #expect(octets == 3008)
        #expect(body == Array(whole[20...]))
        #expect(try #require(both.planes.1.counters(.inbound, spi: both.forward)).packets == 3)
    }

    @Test func orAfterIt() throws {
        let both = try linked {
            $0.mtu = 1400
            $0.fragmentation = .after
        }
        let whole = packet(both, 3000, mayFragment: true)
        #expect(both.ports.0.send(whole))
        #expect(try both.await(both.ports.1) == whole)
    }

    @Test func selectorsWithPortsSeeWholePackets() throws {
        let both = try PlaneTests.Both(up: false)
        for (plane, isFirst) in [(both.planes.0, true), (both.planes.1, false)] {
            let left = [
                TrafficSelector(try Support.prefix("10.1.0.0/16").range, ipProtocol: .udp, ports: .range(7...7))
            ]
            let right = [
                TrafficSelector(try Support.prefix("10.2.0.0/16").range, ipProtocol: .udp, ports: .range(9...9))
            ]
            var pair = Support.associations(
                index: 1, isFirst: isFirst, path: isFirst ? both.path : both.path.reversed,
                local: isFirst ? left : right, remote: isFirst ? right : left)
            pair.outbound.tunnel.mtu = 1400
            try plane.obey(.install(pair.inbound))
            try plane.obey(.install(pair.outbound))
            try plane.obey(
                .protect(
                    ChildSAID(rawValue: 1), local: pair.outbound.localSelectors,
                    remote: pair.outbound.remoteSelectors, spi: pair.outbound.spi))
        }
        let whole = packet(both, 3000, mayFragment: true)
        #expect(both.ports.0.send(whole))
        #expect(try both.await(both.ports.1) == whole)
    }

    @Test func paddingIsTakenOffAgain() throws {
        for padding in [TunnelBehaviour.Padding.octets(700), .path] {
            let both = try linked {
                $0.mtu = 1400
                $0.padding = padding
            }
            for payload in [0, 1, 600, 672, 673, 1372] {
                let sent = packet(both, payload, mayFragment: false)
                #expect(both.ports.0.send(sent))
                #expect(try both.await(both.ports.1) == sent)
            }
            // Padded at the one end, and counted as they were at the other.
            let sent = try #require(both.planes.0.counters(.outbound, spi: both.forward))
            #expect(sent.bytes == (padding == .path ? 6 * 1400 : 4 * 700 + 701 + 1400))
            let received = try #require(both.planes.1.counters(.inbound, spi: both.forward))
            #expect(received.bytes == 6 * 28 + 1 + 600 + 672 + 673 + 1372)
        }
    }

    @Test func limitsAreToldToWhomItConcerns() throws {
        var limits = VolumeLimits()
        limits.softPackets = 2
        limits.hardPackets = 4
        let both = try linked(limits: limits) { _ in }
        for number in 0..<6 {
            #expect(both.ports.0.send(packet(both, 10 + number, mayFragment: false)))
        }
        for _ in 0..<4 { #expect(try both.await(both.ports.1) != nil) }
        #expect(Support.eventually { both.planes.0.drops(.volumeExhausted) == 2 })
        let child = ChildSAID(rawValue: 1)
        #expect(both.planes.0.takeEvents() == [.volumeReached(child, .soft), .volumeReached(child, .hard)])
        #expect(both.planes.1.takeEvents().isEmpty)
    }
}
