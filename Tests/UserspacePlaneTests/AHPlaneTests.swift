import ESPEngine
import GatewayModel
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import Testing
import UserspacePlane
import WireFormat

/// AH by the sockets of two real planes: over IPv6 the kernel takes the headers off that the check covers.
@Suite(.needsRoot, .serialized) struct AHPlaneTests {
    @Test(arguments: [false, true], [ChildTemplate.Mode.tunnel, .transport])
    func pingsGoThroughBothWays(overV6: Bool, mode: ChildTemplate.Mode) throws {
        let sites = try Sites("ah\(overV6 ? 6 : 4)\(mode == .tunnel ? "t" : "h")")
        let (left, right) = (try sites.plane(sites.left), try sites.plane(sites.right))
        for (plane, site, other) in [(left, sites.left, sites.right), (right, sites.right, sites.left)] {
            let (near, far) = overV6 ? (site.outer.v6, other.outer.v6) : (site.outer.v4, other.outer.v4)
            let length = overV6 ? "/128" : "/32"
            try Support.bringUp(
                plane, index: 1, isFirst: site.name == sites.left.name, path: try sites.path(site, v6: overV6),
                local: try Support.selectors(mode == .tunnel ? [site.net.v4, site.net.v6] : [near + length]),
                remote: try Support.selectors(mode == .tunnel ? [other.net.v4, other.net.v6] : [far + length]),
                encapsulation: .none, mode: mode, isAH: true)
        }
        let targets =
            mode == .tunnel
            ? [(sites.left, sites.right.inner.v4), (sites.right, sites.left.inner.v6)]
            : [
                (sites.left, overV6 ? sites.right.outer.v6 : sites.right.outer.v4),
                (sites.right, overV6 ? sites.left.outer.v6 : sites.left.outer.v4),
            ]
        for (site, address) in targets { #expect(try site.ping(address), "\(address)") }
        for reason in DropReason.allCases where reason != .noPolicy {
            #expect(left.drops(reason) + right.drops(reason) == 0, "\(reason)")
        }
        let counters = [
            left.counters(.outbound, spi: SPILayout.spi(index: 1, chance: 200)),
            right.counters(.inbound, spi: SPILayout.spi(index: 1, chance: 200)),
            right.counters(.outbound, spi: SPILayout.spi(index: 1, chance: 100)),
            left.counters(.inbound, spi: SPILayout.spi(index: 1, chance: 100)),
        ]
        for counter in counters { #expect(try #require(counter).packets == 6) }
        try left.stop()
        try right.stop()
    }
}
