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

    /// Two planes joined by a tunnel over IPv4.
    private func joined(
        _ sites: Sites, _ tunnel: TunnelBehaviour, deviceMTU: Int? = nil
    ) throws -> (left: UserspacePlane, right: UserspacePlane) {
        let planes = try [(sites.left, sites.right), (sites.right, sites.left)].map { site, other in
            var configuration = PlaneConfiguration()
            configuration.mtu = deviceMTU
            let plane = try site.namespace.run { [configuration] in try UserspacePlane(configuration) }
            try Support.bringUp(
                plane, index: 1, isFirst: site.name == sites.left.name, path: try sites.path(site),
                local: try Support.selectors([site.net.v4, site.net.v6]),
                remote: try Support.selectors([other.net.v4, other.net.v6]), encapsulation: .none, isAH: true,
                tunnel: tunnel)
            return plane
        }
        return (planes[0], planes[1])
    }

    /// A path too narrow for what every IPv6 link has to carry: what is sealed is cut, since nobody else may cut it.
    @Test func packetsOfIPv6FitAnyPath() throws {
        let sites = try Sites("ahnarrow")
        for site in [sites.left, sites.right] {
            try site.routes.change(site.routes.link(named: "cable").index, LinkChange(mtu: 1300))
        }
        let (left, right) = try joined(sites, TunnelBehaviour())
        // 1,200 and 1,280 octets.
        for size in [1152, 1232] {
            #expect(try sites.left.ping(sites.right.inner.v6, from: sites.left.inner.v6, size: size), "\(size)")
        }
        #expect(left.drops(.tooBig) + right.drops(.tooBig) == 0)
        try left.stop()
        try right.stop()
    }

    /// A packet is cut before it is sealed, or after it where the tunnel says so.
    @Test(arguments: [TunnelBehaviour.Fragmentation.before, .after])
    func packetsAreCutWhereTheTunnelSays(fragmentation: TunnelBehaviour.Fragmentation) throws {
        let sealed: UInt64 = fragmentation == .before ? 9 : 3
        let sites = try Sites("ahcut\(fragmentation)")
        var tunnel = TunnelBehaviour()
        tunnel.fragmentation = fragmentation
        let (left, right) = try joined(sites, tunnel, deviceMTU: 4000)
        let ping = try Support.run(
            in: sites.left.name,
            [
                "ping", "-q", "-M", "dont", "-c", "3", "-i", "0.02", "-W", "5", "-s", "3000", "-I", sites.left.inner.v4,
                sites.right.inner.v4,
            ])
        #expect(ping == 0)
        let spi = SPILayout.spi(index: 1, chance: 200)
        #expect(try #require(left.counters(.outbound, spi: spi)).packets == sealed)
        #expect(try #require(right.counters(.inbound, spi: spi)).packets == sealed)
        try left.stop()
        try right.stop()
    }
}
