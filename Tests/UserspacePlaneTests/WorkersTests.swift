import Clockwork
import GatewayModel
import IPPackets
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import Testing
import UserspacePlane
import WireFormat

/// Planes with several workers: every SA has one owner, and what another worker comes by goes to it.
@Suite(.serialized) struct WorkersTests {
    /// Two planes of so many workers with a queue for each, joined over the loopback.
    private final class Site {
        let ports: [PacketQueue]
        let plane: UserspacePlane
        var received: [[UInt8]: Int] = [:]

        init(workers: Int) throws {
            ports = try (0..<workers).map { _ in try PacketQueue(capacity: 4096) }
            let port: any PacketPort = ports[0]
            var configuration = PlaneConfiguration(port: port)
            configuration.inside = .ports(ports)
            configuration.workers = workers
            plane = try UserspacePlane(configuration)
        }

        /// Takes out what has arrived, by each port.
        func take() -> [Int] {
            ports.map { port in
                var count = 0
                while let packet = port.receive() {
                    received[packet, default: 0] += 1
                    count += 1
                }
                return count
            }
        }
    }

    private let here = IPAddress(v4: 0x0a01_0005)
    private let there = IPAddress(v4: 0x0a02_0009)

    private func linked(_ workers: (Int, Int), resources: [Int?]) throws -> (Site, Site) {
        let sites = (try Site(workers: workers.0), try Site(workers: workers.1))
        let local = try Support.selectors(["10.1.0.0/16"])
        let remote = try Support.selectors(["10.2.0.0/16"])
        let path = Path(
            local: try #require(sites.0.plane.sharedEndpoints.first),
            remote: try #require(sites.1.plane.sharedEndpoints.first))
        for (number, resource) in resources.enumerated() {
            for (site, isFirst) in [(sites.0, true), (sites.1, false)] {
                var pair = Support.associations(
                    index: number + 1, isFirst: isFirst, path: isFirst ? path : path.reversed,
                    local: isFirst ? local : remote, remote: isFirst ? remote : local, child: UInt32(number + 1))
                (pair.inbound.resource, pair.outbound.resource) = (resource, resource)
                try site.plane.obey(.install(pair.inbound))
                try site.plane.obey(.install(pair.outbound))
                try site.plane.obey(
                    .protect(
                        ChildSAID(rawValue: UInt32(number + 1)), local: isFirst ? local : remote,
                        remote: isFirst ? remote : local, spi: pair.outbound.spi))
            }
        }
        #expect(sites.0.plane.settle() && sites.1.plane.settle())
        return sites
    }

    /// Sends packets with numbers by one port, a few at a time, and waits until they are at the other end.
    private func send(_ numbers: Range<Int>, by port: Int, _ from: Site, to other: Site) throws -> [Int] {
        var arrived = [Int](repeating: 0, count: other.ports.count)
        for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 50) {
            let part = start..<min(start + 50, numbers.upperBound)
            for number in part {
                let payload = (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
                #expect(from.ports[port].send(Support.packet(from: here, to: there, payload: payload)))
            }
            let wanted = arrived.reduce(0, +) + part.count
            let isThere = Support.eventually {
                for (index, count) in other.take().enumerated() { arrived[index] += count }
                return arrived.reduce(0, +) >= wanted
            }
            #expect(isThere, "\(arrived) of \(wanted); \(from.plane.dropCounts()) \(other.plane.dropCounts())")
        }
        return arrived
    }

    private func packets(
        _ site: Site, _ direction: SecurityAssociation.Direction, index: Int, isFirst: Bool
    ) -> UInt64 {
        let isToFirst = (direction == .inbound) == isFirst
        return site.plane.counters(direction, spi: SPILayout.spi(index: index, chance: isToFirst ? 100 : 200))?.packets
            ?? 0
    }

    @Test func eachWorkerUsesItsOwnSA() throws {
        let (near, far) = try linked((2, 2), resources: [nil, 1])
        // The indices are 1 and 2: of two workers, the second and the first open them.
        #expect(try send(0..<300, by: 0, near, to: far) == [0, 300])
        #expect(try send(300..<600, by: 1, near, to: far) == [300, 0])
        #expect(packets(near, .outbound, index: 1, isFirst: true) == 300)
        #expect(packets(near, .outbound, index: 2, isFirst: true) == 300)
        #expect(packets(far, .inbound, index: 1, isFirst: false) == 300)
        #expect(packets(far, .inbound, index: 2, isFirst: false) == 300)
        #expect(far.received.count == 600 && far.received.values.allSatisfy { $0 == 1 })
    }

    /// One worker of three has no SA of its own: what it reads, the first seals.
    @Test func theFirstServesThoseThatHaveNone() throws {
        let (near, far) = try linked((3, 1), resources: [nil, 1])
        for port in 0..<3 { _ = try send((port * 100)..<(port * 100 + 100), by: port, near, to: far) }
        #expect(packets(near, .outbound, index: 1, isFirst: true) == 200)
        #expect(packets(near, .outbound, index: 2, isFirst: true) == 100)
        #expect(far.received.count == 300)
    }

    /// A newer one for all does not take packets from a worker's own; and when that goes, none is lost.
    @Test func itsOwnComesFirstAndTheOthersAfter() throws {
        let (near, far) = try linked((2, 2), resources: [nil, 1, nil])
        _ = try send(0..<100, by: 1, near, to: far)
        #expect(packets(near, .outbound, index: 2, isFirst: true) == 100)
        let spi = SPILayout.spi(index: 2, chance: 200)
        try near.plane.obey(.remove(.outbound, spi: spi, of: ChildSAID(rawValue: 2)))
        try near.plane.obey(.unprotect(ChildSAID(rawValue: 2), staysBlocked: false))
        #expect(near.plane.settle())
        _ = try send(100..<200, by: 1, near, to: far)
        #expect(packets(near, .outbound, index: 3, isFirst: true) == 100)
        #expect(far.received.count == 200)
    }

    /// Sequence numbers are given once, whichever worker reads the packets.
    @Test func noNumberIsGivenTwice() throws {
        let (near, far) = try linked((4, 4), resources: [nil])
        for round in 0..<4 {
            for port in 0..<4 {
                let start = (round * 4 + port) * 50
                _ = try send(start..<(start + 50), by: port, near, to: far)
            }
        }
        #expect(packets(near, .outbound, index: 1, isFirst: true) == 800)
        #expect(packets(far, .inbound, index: 1, isFirst: false) == 800)
        #expect(far.plane.counters(.inbound, spi: SPILayout.spi(index: 1, chance: 200))?.replays == 0)
    }
}
