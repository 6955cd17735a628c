import ESPEngine
import GatewayModel
import LinuxSystem
import NetworkTypes
import Testing
import UserspacePlane

/// The kernel's own packets through two planes, and what is left of routes when they end in one way or another.
@Suite(.needsRoot, .serialized) struct TunnelTests {
    @Test(arguments: [(false, true), (true, true), (false, false), (true, false)], [true, false])
    func pingsGoThroughBothWays(carried: (overV6: Bool, inUDP: Bool), offloads: Bool) throws {
        let (overV6, inUDP) = carried
        let sites = try Sites("ping\(overV6 ? 6 : 4)\(inUDP ? "u" : "r")\(offloads ? "o" : "p")")
        let offload = offloads ? PlaneConfiguration.Offload.automatic : .off
        let (left, right) = (try sites.plane(sites.left, offload), try sites.plane(sites.right, offload))
        for (plane, site) in [(left, sites.left), (right, sites.right)] {
            try sites.bringUp(plane, site, v6: overV6, encapsulation: inUDP ? .udp : .none)
        }
        #expect(try sites.left.ping(sites.right.inner.v4))
        #expect(try sites.left.ping(sites.right.inner.v6))
        #expect(try sites.right.ping(sites.left.inner.v4))
        #expect(try sites.right.ping(sites.left.inner.v6))
        for reason in DropReason.allCases where reason != .noPolicy {
            // The kernel itself looks for neighbours and routers, which no policy speaks of.
            #expect(left.drops(reason) + right.drops(reason) == 0, "\(reason)")
        }
        // Twelve requests or answers each way, and nothing else.
        let toRight = SPILayout.spi(index: 1, chance: 200)
        let toLeft = SPILayout.spi(index: 1, chance: 100)
        let counters = [
            left.counters(.outbound, spi: toRight), right.counters(.inbound, spi: toRight),
            right.counters(.outbound, spi: toLeft), left.counters(.inbound, spi: toLeft),
        ]
        for counter in counters {
            let counter = try #require(counter)
            #expect(counter.packets == 12)
            #expect(counter.bytes == 6 * 84 + 6 * 104)
            #expect(counter.lastUse != nil)
            #expect(counter.forgeries == 0)
        }
        try left.stop()
        try right.stop()
    }

    @Test func aPeerInsideTheProtectedBlockIsStillReached() throws {
        let sites = try Sites("inside")
        let (left, right) = (try sites.plane(sites.left), try sites.plane(sites.right))
        try sites.bringUp(left, sites.left, remote: ["0.0.0.0/0", "::/0"])
        try sites.bringUp(right, sites.right, local: ["0.0.0.0/0", "::/0"])
        #expect(try sites.left.ping(sites.right.inner.v4, from: sites.left.inner.v4))
        #expect(try sites.left.ping(sites.right.inner.v6, from: sites.left.inner.v6))
        // The peer's own address is protected too, but for what carries the tunnel.
        #expect(try sites.left.ping(sites.right.outer.v4, from: sites.left.inner.v4))
        let packets = left.counters(.outbound, spi: SPILayout.spi(index: 1, chance: 200))?.packets
        #expect(try #require(packets) >= 9)
        try left.stop()
        try right.stop()
    }

    @Test func nothingLeavesInClearWhenTheProcessIsKilled() throws {
        let sites = try Sites("kill")
        var plane: UserspacePlane? = try sites.plane(sites.left)
        if let plane { try sites.bringUp(plane, sites.left) }
        let (v4, v6) = (sites.right.net.v4, sites.right.net.v6)
        #expect(try sites.left.table() == ["\(v4) way", "\(v4) refusal", "\(v6) way", "\(v6) refusal"])
        #expect(try sites.left.rules() == 2)

        // As when it is killed: the device goes, and nobody tidies up.
        plane = nil
        #expect(try Support.eventually { try sites.left.table() == ["\(v4) refusal", "\(v6) refusal"] })
        for host in [sites.right.inner.v4, sites.right.inner.v6] {
            #expect(try sites.left.goes(to: host) == .unreachable(.hostUnreachable))
            #expect(try !sites.left.ping(host, count: 1))
        }
        // What was never protected goes as before.
        guard case .reachable = try sites.left.goes(to: "198.51.100.1") else {
            Issue.record("an unprotected address is not reached")
            return
        }

        // The next process finds the blocks and keeps them while it is told to.
        let next = try sites.plane(sites.left)
        #expect(try sites.left.table() == ["\(v4) refusal", "\(v6) refusal"])
        try next.adoptBlocks(
            keeping: [try Support.prefix(v4), try Support.prefix("10.78.0.0/16")],
            making: [try Support.prefix("10.77.0.0/16")])
        #expect(try sites.left.table() == ["\(v4) refusal", "10.77.0.0/16 refusal"])
        try sites.bringUp(next, sites.left, child: 5, index: 9)
        #expect(try sites.left.goes(to: sites.right.inner.v4) != .unreachable(.hostUnreachable))
        // Taken over, it ends with its Child SA.
        try next.obey(.unprotect(ChildSAID(rawValue: 5), staysBlocked: false))
        #expect(try sites.left.table() == ["10.77.0.0/16 refusal"])
        try next.stop()
        #expect(try sites.left.table() == [])
        #expect(try sites.left.rules() == 0)
    }

    @Test func aGracefulStopLeavesNothing() throws {
        let sites = try Sites("stop")
        let plane = try sites.plane(sites.left)
        try sites.bringUp(plane, sites.left)
        try sites.bringUp(plane, sites.left, child: 2, index: 2, remote: ["10.9.0.0/16"])
        try plane.stop()
        #expect(try sites.left.table() == [])
        #expect(try sites.left.rules() == 0)
    }

    @Test func afterAFailureBlocksStay() throws {
        let sites = try Sites("fail")
        var plane: UserspacePlane? = try sites.plane(sites.left)
        try plane.map { try sites.bringUp($0, sites.left) }
        _ = try Support.run(in: sites.left.name, ["ip", "link", "delete", "martlet0"])
        #expect(Support.eventually { plane?.failure != nil })
        plane?.leaveBlocks()
        // As the engine does when it closes all tunnels.
        try plane?.obey(.unprotect(ChildSAID(rawValue: 1), staysBlocked: false))
        try plane?.stop()
        plane = nil
        #expect(try sites.left.table() == ["\(sites.right.net.v4) refusal", "\(sites.right.net.v6) refusal"])
        #expect(try sites.left.rules() == 2)
        #expect(try Support.run(in: sites.left.name, ["nft", "list", "table", "inet", "martlet"]) == 0)
        for host in [sites.right.inner.v4, sites.right.inner.v6] {
            #expect(try sites.left.goes(to: host) == .unreachable(.hostUnreachable))
        }
    }

    /// A gateway that gives its client no IPv6 address and tunnels IPv6 all the same: nothing goes there in clear.
    @Test func aFamilyWithoutAnAddressOfOursIsClosed() throws {
        let sites = try Sites("family")
        let plane = try sites.plane(sites.left)
        try sites.bringUp(plane, sites.left, local: ["10.1.0.1/32"])
        #expect(
            try sites.left.table() == [
                "\(sites.right.net.v4) way", "\(sites.right.net.v4) refusal", "\(sites.right.net.v6) refusal",
            ])
        #expect(try sites.left.goes(to: sites.right.inner.v6) == .unreachable(.hostUnreachable))
        #expect(plane.closedNetworks(of: ChildSAID(rawValue: 1)).map(\.description) == [sites.right.net.v6])
        try plane.obey(.unprotect(ChildSAID(rawValue: 1), staysBlocked: false))
        #expect(try sites.left.table() == [])
        #expect(plane.closedNetworks(of: ChildSAID(rawValue: 1)) == [])
        try plane.stop()
    }

    @Test func blocksOfSeveralChildrenAreCounted() throws {
        let sites = try Sites("count")
        let plane = try sites.plane(sites.left)
        try sites.bringUp(plane, sites.left, child: 1, index: 1, remote: ["10.2.0.0/16", "10.3.0.0/16"])
        try sites.bringUp(plane, sites.left, child: 2, index: 2, remote: ["10.2.0.0/16"])
        try plane.obey(.unprotect(ChildSAID(rawValue: 1), staysBlocked: false))
        #expect(try sites.left.table() == ["10.2.0.0/16 way", "10.2.0.0/16 refusal"])
        try plane.obey(.unprotect(ChildSAID(rawValue: 2), staysBlocked: true))
        #expect(try sites.left.table() == ["10.2.0.0/16 refusal"])
        // A Child SA with the same selectors takes the block over, and it ends with it.
        try sites.bringUp(plane, sites.left, child: 3, index: 3, remote: ["10.2.0.0/16"])
        #expect(try sites.left.table() == ["10.2.0.0/16 way", "10.2.0.0/16 refusal"])
        try plane.obey(.unprotect(ChildSAID(rawValue: 3), staysBlocked: false))
        #expect(try sites.left.table() == [])
        // Tunnels that come and go leave one block, not many; said twice is said once.
        for child in 4..<8 as Range<UInt32> {
            try sites.bringUp(plane, sites.left, child: child, index: Int(child), remote: ["10.2.0.0/16"])
            try plane.obey(.unprotect(ChildSAID(rawValue: child), staysBlocked: true))
            try plane.obey(.unprotect(ChildSAID(rawValue: child), staysBlocked: true))
            #expect(try sites.left.table() == ["10.2.0.0/16 refusal"])
        }
        // One that blocked these and now protects others is not touched when somebody takes these over.
        try plane.obey(
            .protect(
                ChildSAID(rawValue: 7), local: try Support.selectors(["10.1.0.0/16"]),
                remote: try Support.selectors(["10.5.0.0/16"]), spi: SPILayout.spi(index: 7, chance: 200)))
        try sites.bringUp(plane, sites.left, child: 8, index: 8, remote: ["10.2.0.0/16"])
        #expect(
            try sites.left.table() == [
                "10.2.0.0/16 way", "10.2.0.0/16 refusal", "10.5.0.0/16 way", "10.5.0.0/16 refusal",
            ])
        try plane.obey(.unprotect(ChildSAID(rawValue: 8), staysBlocked: false))
        try plane.obey(.unprotect(ChildSAID(rawValue: 7), staysBlocked: false))
        #expect(try sites.left.table() == [])
        try plane.stop()
    }

    @Test func theHostsOwnAddressInsideIsPreferred() throws {
        let sites = try Sites("source")
        let plane = try sites.plane(sites.left)
        try sites.bringUp(plane, sites.left)
        for (host, source) in [
            (sites.right.inner.v4, sites.left.inner.v4), (sites.right.inner.v6, sites.left.inner.v6),
        ] {
            guard case .reachable(let route) = try sites.left.goes(to: host) else {
                Issue.record("no route to \(host)")
                continue
            }
            #expect(try route.preferredSource == Support.address(source))
            // The device has grown to what an Ethernet has room for behind all headers.
            #expect(route.mtu == 1438)
        }
        try plane.stop()
    }
}
