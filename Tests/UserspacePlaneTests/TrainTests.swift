import ESPEngine
import GatewayModel
import LinuxSystem
import NetworkTypes
import Testing
import UserspacePlane

/// TCP of the kernel's through two planes, with trains and without, and with one end that makes none.
@Suite(.needsRoot, .serialized) struct TrainTests {
    @Test(arguments: [(true, true), (true, false), (false, true), (false, false)], [false, true])
    func streamsComeOutAsTheyWentIn(trains: (left: Bool, right: Bool), v6: Bool) throws {
        let sites = try Sites("tr\(trains.left ? 1 : 0)\(trains.right ? 1 : 0)\(v6 ? 6 : 4)")
        let left = try sites.plane(sites.left, trains.left ? .automatic : .off)
        let right = try sites.plane(sites.right, trains.right ? .automatic : .off)
        for (plane, site) in [(left, sites.left), (right, sites.right)] { try sites.bringUp(plane, site, v6: v6) }
        let total = 2 << 20
        #expect(try Stream.carry(total, from: sites.left, to: sites.right, v6: v6, port: 7001) == total)
        #expect(try Stream.carry(total, from: sites.right, to: sites.left, v6: v6, port: 7002) == total)
        let toRight = SPILayout.spi(index: 1, chance: 200)
        // What came first: acknowledgements may still be on their way.
        let came = try #require(right.counters(.inbound, spi: toRight))
        let carried = try #require(left.counters(.outbound, spi: toRight))
        #expect(carried.packets >= UInt64(total / 1400))
        #expect(came.forgeries == 0 && came.replays == 0)
        #expect(came.packets <= carried.packets)
        // What the devices counted says whether trains went through them: `total` each way.
        let single = UInt64(total / 1400)
        let atLeft = try Stream.packets("martlet0", in: sites.left.name)
        let atRight = try Stream.packets("martlet0", in: sites.right.name)
        #expect((atLeft.sent < single) == trains.left, "\(atLeft)")
        #expect((atRight.sent < single) == trains.right, "\(atRight)")
        // Joined on the way in as well.
        if trains == (true, true) {
            #expect(atLeft.received < single, "\(atLeft)")
            #expect(atRight.received < single, "\(atRight)")
        }
        if !trains.left { #expect(atLeft.received >= single, "\(atLeft)") }
        try left.stop()
        try right.stop()
    }

    /// ESP without UDP: the kernel cuts nothing there, the plane does.
    @Test func streamsWithoutUDP() throws {
        let sites = try Sites("trraw")
        let (left, right) = (try sites.plane(sites.left), try sites.plane(sites.right))
        for (plane, site) in [(left, sites.left), (right, sites.right)] {
            try sites.bringUp(plane, site, encapsulation: .none)
        }
        let total = 4 << 20
        #expect(try Stream.carry(total, from: sites.left, to: sites.right, v6: false, port: 7001) == total)
        #expect(try Stream.carry(total, from: sites.right, to: sites.left, v6: true, port: 7002) == total)
        try left.stop()
        try right.stop()
    }

    /// A cable narrower than our packets: the kernel cuts no train into packets that it would have to fragment, so they
    /// leave one by one, in fragments.
    @Test func narrowCablesAreSurvived() throws {
        let sites = try Sites("trnarrow")
        for site in [sites.left, sites.right] {
            try site.routes.change(try site.routes.link(named: "cable").index, LinkChange(mtu: 1300))
        }
        let (left, right) = (try sites.plane(sites.left), try sites.plane(sites.right))
        for (plane, site) in [(left, sites.left), (right, sites.right)] { try sites.bringUp(plane, site) }
        let total = 2 << 20
        #expect(try Stream.carry(total, from: sites.left, to: sites.right, v6: false, port: 7001) == total)
        #expect(try Stream.carry(total, from: sites.right, to: sites.left, v6: true, port: 7002) == total)
        try left.stop()
        try right.stop()
    }

    /// A program that sends trains of datagrams itself: where the device hands them over uncut, the plane cuts them.
    @Test(arguments: [false, true]) func datagramsInTrainsArriveOneByOne(v6: Bool) throws {
        let sites = try Sites("trudp\(v6 ? 6 : 4)")
        let (left, right) = (try sites.plane(sites.left), try sites.plane(sites.right))
        for (plane, site) in [(left, sites.left), (right, sites.right)] { try sites.bringUp(plane, site) }
        func socket(_ site: Sites.Site) throws -> UDPSocket {
            let address = try Support.address(v6 ? site.inner.v6 : site.inner.v4)
            return try site.namespace.run { try UDPSocket.bind(Endpoint(address, 0)) }
        }
        let (source, destination) = (try socket(sites.left), try socket(sites.right))
        let bytes = (0..<10_333).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 8) }
        let batch = try DatagramBatch(capacity: 1, slotSize: 65_536)
        let path = Path(local: source.localEndpoint, remote: destination.localEndpoint)
        batch.load(0, bytes, path: path)
        batch[0] = DatagramInformation(path: path, length: bytes.count, segmentSize: 1000)
        #expect(source.send(batch, 0..<1).sent == 1)
        for start in stride(from: 0, to: bytes.count, by: 1000) {
            var room = [UInt8](repeating: 0, count: 2000)
            #expect(try destination.descriptor.wait(milliseconds: 10_000))
            let came = try #require(try destination.receive(into: &room))
            #expect(Array(room.prefix(came.length)) == Array(bytes[start..<min(start + 1000, bytes.count)]))
        }
        #expect(left.counters(.outbound, spi: SPILayout.spi(index: 1, chance: 200))?.packets == 11)
        try left.stop()
        try right.stop()
    }
}
