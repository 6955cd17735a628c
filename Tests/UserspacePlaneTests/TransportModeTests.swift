import ESPEngine
import GatewayModel
import LinuxSystem
import NetworkTypes
import Testing
import UserspacePlane

/// The kernel's own packets between two hosts, led into the device and out of it again.
@Suite(.needsRoot, .serialized) struct TransportModeTests {
    @Test(arguments: [(false, true), (true, true), (false, false), (true, false)], [true, false])
    func hostsReachEachOther(carried: (overV6: Bool, inUDP: Bool), offloads: Bool) throws {
        let (overV6, inUDP) = carried
        let sites = try Sites("host\(overV6 ? 6 : 4)\(inUDP ? "u" : "r")\(offloads ? "o" : "p")")
        let offload = offloads ? PlaneConfiguration.Offload.automatic : .off
        let (left, right) = (try sites.plane(sites.left, offload), try sites.plane(sites.right, offload))
        for (plane, site, other) in [(left, sites.left, sites.right), (right, sites.right, sites.left)] {
            let (near, far) = overV6 ? (site.outer.v6, other.outer.v6) : (site.outer.v4, other.outer.v4)
            try Support.bringUp(
                plane, index: 1, isFirst: site.name == sites.left.name, path: try sites.path(site, v6: overV6),
                local: try Support.selectors([near + (overV6 ? "/128" : "/32")]),
                remote: try Support.selectors([far + (overV6 ? "/128" : "/32")]),
                encapsulation: inUDP ? .udp : .none, mode: .transport)
        }
        let (toLeft, toRight) =
            overV6 ? (sites.left.outer.v6, sites.right.outer.v6) : (sites.left.outer.v4, sites.right.outer.v4)
        #expect(try sites.left.ping(toRight))
        #expect(try sites.right.ping(toLeft))
        // The kernel cuts these before they come to us, and our own packets after.
        #expect(try sites.left.ping(toRight, size: 5000))
        for reason in DropReason.allCases where reason != .noPolicy {
            #expect(left.drops(reason) + right.drops(reason) == 0, "\(reason)")
        }
        let counters = [
            left.counters(.outbound, spi: SPILayout.spi(index: 1, chance: 200)),
            right.counters(.inbound, spi: SPILayout.spi(index: 1, chance: 200)),
            right.counters(.outbound, spi: SPILayout.spi(index: 1, chance: 100)),
            left.counters(.inbound, spi: SPILayout.spi(index: 1, chance: 100)),
        ]
        for counter in counters { #expect(try #require(counter).packets == 9) }
        try left.stop()
        try right.stop()
        // Afterwards the same two reach each other in clear.
        #expect(try sites.left.ping(toRight))
    }
}
