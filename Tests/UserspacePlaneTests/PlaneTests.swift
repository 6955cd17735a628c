import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import Testing
import UserspacePlane
import WireFormat

/// The same threads without any privilege: inner packets by queues, outer ones over loopback.
@Suite(.serialized) struct PlaneTests {
    /// Two planes that are each other's peer.
    final class Both {
        let ports: (PacketQueue, PacketQueue)
        let planes: (UserspacePlane, UserspacePlane)
        let hosts = (IPAddress(v4: 0x0a01_0001), IPAddress(v4: 0x0a02_0001))

        init(up: Bool = true, separatesIKE: Bool = true) throws {
            ports = (try PacketQueue(), try PacketQueue())
            var configurations = (PlaneConfiguration(port: ports.0), PlaneConfiguration(port: ports.1))
            configurations.0.separatesIKE = separatesIKE
            configurations.1.separatesIKE = separatesIKE
            planes = (try UserspacePlane(configurations.0), try UserspacePlane(configurations.1))
            guard up else { return }
            let (left, right) = (try Support.selectors(["10.1.0.0/16"]), try Support.selectors(["10.2.0.0/16"]))
            try Support.bringUp(planes.0, index: 1, isFirst: true, path: path, local: left, remote: right)
            try Support.bringUp(planes.1, index: 1, isFirst: false, path: path.reversed, local: right, remote: left)
        }

        var path: Path { Path(local: planes.0.sharedEndpoints[0], remote: planes.1.sharedEndpoints[0]) }

        /// The SPI of packets to the second.
        let forward = SPILayout.spi(index: 1, chance: 200)

        func await(_ port: PacketQueue) throws -> [UInt8]? {
            let end = MonotonicClock.now() + .seconds(10)
            while MonotonicClock.now() < end {
                if let packet = port.receive() { return packet }
                _ = try port.hostWakeup.descriptor.wait(milliseconds: 100)
            }
            return nil
        }

        func exchange(_ number: Int) throws {
            let there = Support.packet(from: hosts.0, to: hosts.1, payload: [UInt8(number & 0xff), 1])
            #expect(ports.0.send(there))
            #expect(try self.await(ports.1) == there)
            let back = Support.packet(from: hosts.1, to: hosts.0, payload: [UInt8(number & 0xff), 2])
            #expect(ports.1.send(back))
            #expect(try self.await(ports.0) == back)
        }
    }

    @Test func sixtyFourMegabytesComeOutAsTheyWentIn() throws {
        let both = try Both()
        var entropy = SeededEntropy(seed: 1)
        let bodies = (0..<16).map { _ in entropy.bytes(1372 - 8) }
        let total = 64 << 20
        // Each covers the one before: contents, number and order.
        var (sent, received): ([UInt8], [UInt8]) = ([], [])
        var (octetsSent, octetsReceived, inFlight, number) = (0, 0, 0, 0)
        let end = MonotonicClock.now() + .seconds(120)
        while octetsReceived < total, MonotonicClock.now() < end {
            while octetsSent < total, inFlight < 200 {
                let head = (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
                let packet = Support.packet(from: both.hosts.0, to: both.hosts.1, payload: head + bodies[number % 16])
                guard both.ports.0.send(packet) else { break }
                sent = Digest.sha256([sent, packet])
                octetsSent += packet.count
                inFlight += 1
                number += 1
            }
            guard let packet = try both.await(both.ports.1) else { break }
            received = Digest.sha256([received, packet])
            octetsReceived += packet.count
            inFlight -= 1
        }
        #expect(octetsReceived == octetsSent)
        #expect(octetsReceived >= total)
        #expect(sent == received)
        let counters = try #require(both.planes.1.counters(.inbound, spi: both.forward))
        #expect(counters.packets == UInt64(number))
        #expect(counters.bytes == UInt64(octetsSent))
        for reason in DropReason.allCases { #expect(both.planes.1.drops(reason) == 0, "\(reason)") }
    }

    @Test(arguments: [true, false]) func ikeGoesWithAndWithoutAMarker(separately: Bool) throws {
        let both = try Both(separatesIKE: separately)
        let message: [UInt8] = Array(1...40)
        let plain = Path(local: both.planes.0.ikeEndpoints[0], remote: both.planes.1.ikeEndpoints[0])
        #expect(try both.planes.0.send(message, along: plain, marker: false))
        #expect(try both.planes.0.send(message, along: both.path, marker: true))
        var got: [IKEDatagram] = []
        var handedOver = 0
        #expect(
            Support.eventually {
                both.planes.1.acknowledge()
                let relayed = both.planes.1.takeMessages()
                handedOver += relayed.count
                got += both.planes.1.readMessages() + relayed
                return got.count == 2
            })
        #expect(both.planes.1.messageDescriptors.count == (separately ? 2 : 1))
        #expect(handedOver == (separately ? 0 : 1))
        #expect(
            Set(got) == [
                IKEDatagram(bytes: message, path: plain.reversed, hadMarker: false),
                IKEDatagram(bytes: message, path: both.path.reversed, hadMarker: true),
            ])
        try both.exchange(1)
    }

    @Test func theQueueToControlIsBounded() throws {
        let both = try Both(separatesIKE: false)
        let message = [UInt8](repeating: 1, count: 40)
        for round in 0..<6000 {
            _ = try both.planes.0.send(message, along: both.path, marker: true)
            // Never more than the socket's buffer holds.
            if round % 500 == 499 { #expect(both.planes.1.settle()) }
        }
        #expect(
            Support.eventually { both.planes.1.drops(.controlQueueFull) == 6000 - 4096 })
        // Data still passes, and so does IKE when somebody takes it.
        try both.exchange(1)
        #expect(both.planes.1.takeMessages().count == 4096)
        _ = try both.planes.0.send(message, along: both.path, marker: true)
        #expect(Support.eventually { both.planes.1.takeMessages().count == 1 })
    }

    @Test func ikeAndDataPassUnderAFloodOfForgeries() throws {
        let both = try Both()
        let stranger = try UDPSocket.bind(Endpoint(.loopback(.v4), 0))
        let path = Path(local: stranger.localEndpoint, remote: both.path.remote)
        let plain = Path(local: both.planes.0.ikeEndpoints[0], remote: both.planes.1.ikeEndpoints[0])
        var forged = [UInt8](repeating: 9, count: 200)
        for shift in 0..<4 { forged[shift] = UInt8(truncatingIfNeeded: both.forward >> UInt32(24 - 8 * shift)) }
        for round in 0..<20 {
            for _ in 0..<500 { _ = try stranger.send(forged, along: path) }
            _ = try both.planes.0.send([1, 2, 3], along: plain, marker: false)
            #expect(Support.eventually { both.planes.1.readMessages().count == 1 })
            try both.exchange(round)
        }
        #expect(both.planes.1.drops(.forged) == 10_000)
        #expect(both.planes.1.counters(.inbound, spi: both.forward)?.forgeries == 10_000)
        #expect(both.planes.1.counters(.inbound, spi: both.forward)?.packets == 20)
    }

    @Test func whatIsNeitherESPNorIKEIsCounted() throws {
        let both = try Both()
        let stranger = try UDPSocket.bind(Endpoint(.loopback(.v4), 0))
        let path = Path(local: stranger.localEndpoint, remote: both.path.remote)
        for bytes in [[0xff], [0xfe], [0, 0, 0], [1, 2, 3, 4, 5, 6, 7]] as [[UInt8]] {
            _ = try stranger.send(bytes, along: path)
        }
        _ = try stranger.send([UInt8](repeating: 0x77, count: 100), along: path)
        #expect(Support.eventually { both.planes.1.drops(.unknownSPI) == 1 })
        #expect(both.planes.1.drops(.keepAlive) == 1)
        #expect(both.planes.1.drops(.malformedDatagram) == 3)
        #expect(both.planes.1.takeEvents() == [.unknownSPI(0x7777_7777, path.reversed)])
    }

    @Test("Attack 35: a flood of keepalives costs nobody anything; forged ESP from another port moves no peer")
    func keepalivesAndOtherPorts() throws {
        let both = try Both()
        let stranger = try UDPSocket.bind(Endpoint(.loopback(.v4), 0))
        let path = Path(local: stranger.localEndpoint, remote: both.path.remote)
        for _ in 0..<5000 { _ = try stranger.send([0xff], along: path) }
        try both.exchange(1)
        #expect(Support.eventually { both.planes.1.drops(.keepAlive) == 5000 })
        #expect(both.planes.1.takeEvents().isEmpty)
        // Forged, from a port that the peer does not have: no path changes.
        var forged = [UInt8](repeating: 0x77, count: 100)
        for shift in 0..<4 { forged[shift] = UInt8(truncatingIfNeeded: both.forward >> UInt32(24 - 8 * shift)) }
        for number in 0..<100 {
            forged[7] = UInt8(number)
            _ = try stranger.send(forged, along: path)
        }
        #expect(Support.eventually { both.planes.1.drops(.forged) == 100 })
        #expect(both.planes.1.takeEvents().isEmpty)
        try both.exchange(2)
    }

    @Test("Attack 35: a flood of unknown SPIs is told of slowly")
    func unknownSPIsAreToldOfSlowly() throws {
        let both = try Both()
        let stranger = try UDPSocket.bind(Endpoint(.loopback(.v4), 0))
        let path = Path(local: stranger.localEndpoint, remote: both.path.remote)
        for _ in 0..<1000 { _ = try stranger.send([UInt8](repeating: 0x77, count: 100), along: path) }
        #expect(Support.eventually { both.planes.1.drops(.unknownSPI) == 1000 })
        #expect((1...40).contains(both.planes.1.takeEvents().count))
        try both.exchange(1)
    }

    @Test func aPeerThatMovedIsToldOfOnceAndFollowed() throws {
        let both = try Both()
        try both.exchange(1)
        // The first plane's packets come through something that shows another port.
        let relay = try UDPSocket.bind(Endpoint(.loopback(.v4), 0))
        let (a, b) = (both.path.local, both.path.remote)
        try both.planes.0.obey(
            .move(ChildSAID(rawValue: 1), Path(local: a, remote: relay.localEndpoint), .udp))
        for number in 0..<3 {
            let packet = Support.packet(from: both.hosts.0, to: both.hosts.1, payload: [UInt8(number)])
            #expect(both.ports.0.send(packet))
            #expect(try relay.descriptor.wait(milliseconds: 2000))
            var buffer = [UInt8](repeating: 0, count: 2000)
            var span = buffer.mutableSpan
            var raw = unsafe span.mutableBytes
            let information = try #require(try relay.receive(into: &raw))
            _ = try relay.send(
                Array(buffer[0..<information.length]), along: Path(local: relay.localEndpoint, remote: b))
            #expect(try both.await(both.ports.1) == packet)
        }
        let moved = Path(local: b, remote: relay.localEndpoint)
        #expect(both.planes.1.takeEvents() == [.mappingChanged(ChildSAID(rawValue: 1), moved)])
        try both.planes.1.obey(.move(ChildSAID(rawValue: 1), moved, .udp))
        #expect(both.ports.1.send(Support.packet(from: both.hosts.1, to: both.hosts.0, payload: [9])))
        #expect(try relay.descriptor.wait(milliseconds: 2000))
    }

    @Test func keepAlivesGoUntilTheyAreStopped() throws {
        let both = try Both()
        try both.planes.0.obey(.keepAlive(both.path, every: .milliseconds(10)))
        #expect(Support.eventually { both.planes.1.drops(.keepAlive) >= 5 })
        try both.planes.0.obey(.keepAlive(both.path, every: .zero))
        #expect(both.planes.0.settle())
        #expect(both.planes.1.settle())
        let count = both.planes.1.drops(.keepAlive)
        #expect(try !both.ports.0.hostWakeup.descriptor.wait(milliseconds: 60))
        #expect(both.planes.1.drops(.keepAlive) <= count + 1)
    }

    @Test func withoutPolicyOrSANothingGoes() throws {
        let both = try Both()
        let inside = Support.packet(from: both.hosts.0, to: both.hosts.1, payload: [1])
        let outside = Support.packet(from: both.hosts.0, to: IPAddress(v4: 0x0808_0808), payload: [1])
        let child = ChildSAID(rawValue: 1)
        #expect(both.ports.0.send(outside))
        #expect(Support.eventually { both.planes.0.drops(.noPolicy) == 1 })
        #expect(both.ports.0.send([0x45, 0]))
        #expect(Support.eventually { both.planes.0.drops(.malformedPacket) == 1 })
        try both.planes.0.obey(.unprotect(child, staysBlocked: true))
        #expect(both.planes.0.settle())
        #expect(both.ports.0.send(inside))
        #expect(Support.eventually { both.planes.0.drops(.blocked) == 1 })
        let (left, right) = (try Support.selectors(["10.1.0.0/16"]), try Support.selectors(["10.2.0.0/16"]))
        try both.planes.0.obey(.protect(child, local: left, remote: right, spi: both.forward))
        try both.exchange(2)
        try both.planes.0.obey(.remove(.outbound, spi: both.forward, of: child))
        #expect(both.planes.0.settle())
        #expect(both.ports.0.send(inside))
        #expect(Support.eventually { both.planes.0.drops(.noSA) == 1 })
        #expect(both.planes.0.counters(.outbound, spi: both.forward) == nil)
        #expect(throws: PlaneError.noSuchSA(.outbound, spi: both.forward)) {
            try both.planes.0.obey(.remove(.outbound, spi: both.forward, of: child))
        }
    }

    @Test func rekeyingLosesNothing() throws {
        let both = try Both()
        let (left, right) = (try Support.selectors(["10.1.0.0/16"]), try Support.selectors(["10.2.0.0/16"]))
        for round in 2..<30 {
            let path = both.path
            let mine = Support.associations(index: round, isFirst: true, path: path, local: left, remote: right)
            let theirs = Support.associations(
                index: round, isFirst: false, path: path.reversed, local: right, remote: left)
            for (plane, pair, from, to) in [
                (both.planes.0, mine, left, right), (both.planes.1, theirs, right, left),
            ] {
                try plane.obey(.install(pair.inbound))
                try plane.obey(.install(pair.outbound))
                _ = (from, to)
            }
            try both.planes.0.obey(
                .protect(ChildSAID(rawValue: 1), local: left, remote: right, spi: mine.outbound.spi))
            try both.exchange(round)
            try both.planes.1.obey(
                .protect(ChildSAID(rawValue: 1), local: right, remote: left, spi: theirs.outbound.spi))
            try both.exchange(round)
            let old = Support.associations(index: round - 1, isFirst: true, path: path, local: left, remote: right)
            for (plane, inbound, outbound) in [
                (both.planes.0, old.inbound.spi, old.outbound.spi),
                (both.planes.1, old.outbound.spi, old.inbound.spi),
            ] {
                try plane.obey(.remove(.outbound, spi: outbound, of: ChildSAID(rawValue: 1)))
                try plane.obey(.remove(.inbound, spi: inbound, of: ChildSAID(rawValue: 1)))
            }
            try both.exchange(round)
        }
    }

    @Test func tenThousandSAsComeAndGo() throws {
        let both = try Both()
        #expect(both.planes.0.settle())
        let before = try #require(ProcessInformation.openDescriptors)
        let local = try Support.selectors(["10.1.0.0/16"])
        for round in 0..<2 {
            for index in 2..<10_002 {
                let remote = [TrafficSelector(IPPrefix(host: IPAddress(v4: 0x0b00_0000 + UInt32(index))))]
                try Support.bringUp(
                    both.planes.0, index: index, isFirst: true, path: both.path, local: local, remote: remote,
                    child: UInt32(index), keys: UInt64(round))
            }
            try both.exchange(round)
            for index in 2..<10_002 {
                try both.planes.0.obey(.unprotect(ChildSAID(rawValue: UInt32(index)), staysBlocked: false))
                try both.planes.0.obey(
                    .remove(
                        .outbound, spi: SPILayout.spi(index: index, chance: 200), of: ChildSAID(rawValue: UInt32(index))
                    ))
                try both.planes.0.obey(
                    .remove(
                        .inbound, spi: SPILayout.spi(index: index, chance: 100), of: ChildSAID(rawValue: UInt32(index)))
                )
            }
            try both.exchange(round)
        }
        #expect(both.planes.0.settle())
        // Other tests of this process open some meanwhile; one for each SA would be 40,000.
        #expect(try #require(ProcessInformation.openDescriptors) < before + 1000)
    }

    @Test func whatCannotBeIsRefusedWithAReason() throws {
        let both = try Both()
        let (left, right) = (try Support.selectors(["10.1.0.0/16"]), try Support.selectors(["10.2.0.0/16"]))
        var pair = Support.associations(index: 4, isFirst: true, path: both.path, local: left, remote: right)
        pair.outbound.encapsulation = .none
        let plain = #expect(throws: PlaneError.self) { try both.planes.0.obey(.install(pair.outbound)) }
        #expect(plain?.description.contains("raw socket") == true)
        pair.outbound.encapsulation = .udp
        #expect(throws: PlaneError.noSuchSA(.outbound, spi: 77)) {
            try both.planes.0.obey(.protect(ChildSAID(rawValue: 1), local: left, remote: right, spi: 77))
        }
        // Another Child SA's SA is not to be had either.
        #expect(throws: PlaneError.noSuchSA(.outbound, spi: both.forward)) {
            try both.planes.0.obey(
                .protect(ChildSAID(rawValue: 2), local: left, remote: right, spi: both.forward))
        }
        let wide = [TrafficSelector](repeating: right[0], count: 256)
        pair.inbound.remoteSelectors = wide
        #expect(throws: PlaneError.association(.tooManySelectors(256, limit: 255))) {
            try both.planes.0.obey(.install(pair.inbound))
        }
    }

    /// Peers choose their SPIs: two of them may choose the same.
    @Test func twoPeersWithOneSPIAreKeptApart() throws {
        let both = try Both()
        let left = try Support.selectors(["10.1.0.0/16"])
        let other = try Support.selectors(["10.3.0.0/16"])
        var twin = Support.associations(index: 1, isFirst: true, path: both.path, local: left, remote: other).outbound
        twin.child = ChildSAID(rawValue: 8)
        twin.encryptionKey = SecretBytes([UInt8](repeating: 5, count: 20))
        try both.planes.0.obey(.install(twin))
        try both.planes.0.obey(.protect(twin.child, local: left, remote: other, spi: twin.spi))
        try both.exchange(1)
        // While both protect something: the SPI alone would not tell which is meant.
        try both.planes.0.obey(.remove(.outbound, spi: twin.spi, of: twin.child))
        try both.exchange(2)
        try both.planes.0.obey(.unprotect(twin.child, staysBlocked: false))
        try both.exchange(3)
    }
}
