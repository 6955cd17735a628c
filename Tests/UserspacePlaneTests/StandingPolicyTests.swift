import ESPEngine
import Foundation
import GatewayModel
import LinuxSystem
import NetworkTypes
import Testing
import UserspacePlane

/// Policies without a Child SA, in namespaces: what they do to routes and to packets.
@Suite(.serialized, .needsRoot) struct StandingPolicyTests {
    private func policy(
        _ action: StandingPolicy.Action, _ site: Sites.Site, _ remote: [String], child: String = "net",
        local: [String]? = nil
    ) throws -> StandingPolicy {
        StandingPolicy(
            connection: "lab", child: child, action: action,
            local: try Support.selectors(local ?? [site.net.v4, site.net.v6]), remote: try Support.selectors(remote))
    }

    /// A program that runs beside the test.
    private func start(in namespace: String, _ arguments: [String]) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/sbin/ip")
        process.arguments = ["netns", "exec", namespace] + arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    @Test func theFirstPacketAsksAndArrives() throws {
        let sites = try Sites("trap")
        let (left, right) = (try sites.plane(sites.left), try sites.plane(sites.right))
        try sites.bringUp(right, sites.right)
        let trap = try policy(.trap, sites.left, [sites.right.net.v4, sites.right.net.v6])
        try left.stand([trap]) { _, _ in true }
        #expect(
            try sites.left.table() == [
                "\(sites.right.net.v4) way", "\(sites.right.net.v4) refusal", "\(sites.right.net.v6) way",
                "\(sites.right.net.v6) refusal",
            ])
        let ping = try start(
            in: sites.left.name, ["ping", "-q", "-c", "1", "-W", "8", "-I", sites.left.inner.v4, sites.right.inner.v4])
        var events: [PlaneEvent] = []
        #expect(
            Support.eventually {
                events += left.takeEvents()
                return !events.isEmpty
            })
        #expect(events == [.acquire(connection: "lab", child: "net")])
        try sites.bringUp(left, sites.left)
        ping.waitUntilExit()
        #expect(ping.terminationStatus == 0)
        #expect(left.drops(.holdFull) == 0 && left.drops(.holdExpired) == 0)
        // Whoever ends the Child SA does not end the trap.
        try left.obey(.unprotect(ChildSAID(rawValue: 1), staysBlocked: false))
        #expect(try sites.left.table().count == 4)
        _ = try sites.left.ping(sites.right.inner.v6, from: sites.left.inner.v6, count: 1)
        #expect(Support.eventually { left.takeEvents() == [.acquire(connection: "lab", child: "net")] })
        // The configuration does; what a Child SA has left behind stays while its child is configured.
        try left.obey(.trap(try policy(.trap, sites.left, ["10.7.0.0/16"])))
        try left.stand([]) { _, _ in true }
        #expect(try sites.left.table() == ["10.7.0.0/16 way", "10.7.0.0/16 refusal"])
        try left.stand([]) { _, _ in false }
        #expect(try sites.left.table() == [])
        try left.stop()
        try right.stop()
    }

    @Test func whatIsConfiguredStaysBlockedWhoeverEndsItsChild() throws {
        let sites = try Sites("conf")
        let plane = try sites.plane(sites.left)
        let net = sites.right.net.v4
        try plane.adoptBlocks(keeping: [], making: [try Support.prefix(net)])
        try sites.bringUp(plane, sites.left, local: [sites.left.net.v4], remote: [net])
        #expect(try sites.left.table() == ["\(net) way", "\(net) refusal"])
        try plane.obey(.unprotect(ChildSAID(rawValue: 1), staysBlocked: false))
        #expect(try sites.left.table() == ["\(net) refusal"])
        // Until the configuration says otherwise.
        try plane.adoptBlocks(keeping: [], making: [])
        #expect(try sites.left.table() == [])
        try plane.stop()
    }

    @Test func ourOwnNetworkWithinThePeersStaysWithUs() throws {
        let sites = try Sites("throw")
        var plane: UserspacePlane? = try sites.plane(sites.left)
        if let plane { try sites.bringUp(plane, sites.left, local: ["10.1.0.0/16"], remote: ["10.0.0.0/8"]) }
        func goes(_ address: String) throws -> UInt32? {
            if case .reachable(let route) = try sites.left.goes(to: address) { route.interface } else { nil }
        }
        let cable = try sites.left.routes.link(named: "cable").index
        #expect(try goes("10.1.2.3") == cable)
        #expect(try goes("10.2.2.3") != cable)
        // It stays so when the process is killed, and when its successor takes over.
        plane = nil
        #expect(try Support.eventually { try sites.left.goes(to: "10.2.2.3") == .unreachable(.hostUnreachable) })
        #expect(try goes("10.1.2.3") == cable)
        let next = try sites.plane(sites.left)
        try next.adoptBlocks(keeping: [try Support.prefix("10.0.0.0/8")], making: [])
        #expect(try goes("10.1.2.3") == cable)
        try sites.bringUp(next, sites.left, local: ["10.1.0.0/16"], remote: ["10.0.0.0/8"])
        try next.obey(.unprotect(ChildSAID(rawValue: 1), staysBlocked: false))
        #expect(try sites.left.routes.routes(.v4, table: 220).isEmpty)
        try next.stop()
    }

    @Test func aBypassedFlowLeavesInClearAndItsNeighbourDoesNot() throws {
        let sites = try Sites("bypass")
        let plane = try sites.plane(sites.left)
        try sites.bringUp(plane, sites.left)
        // Nobody opens ESP at the other end: only what goes in clear is answered.
        #expect(try !sites.left.ping(sites.right.inner.v4, from: sites.left.inner.v4, count: 1))
        for family in [4, 6] {
            let (net, inner, own) =
                family == 4
                ? (sites.right.net.v4, sites.right.inner.v4, sites.left.inner.v4)
                : (sites.right.net.v6, sites.right.inner.v6, sites.left.inner.v6)
            var pass = try policy(
                .bypass, sites.left, [net], child: "pass", local: [family == 4 ? "10.1.0.0/16" : "fd01::/64"])
            pass.remote = pass.remote.map {
                // Answers come in clear as well.
                TrafficSelector($0.addresses, ipProtocol: family == 4 ? .icmp : .icmpv6)
            }
            try plane.stand([pass]) { _, _ in true }
            #expect(plane.settle())
            #expect(try sites.left.ping(inner, from: own))
            #expect(plane.drops(.bypassFailed) == 0)
            try plane.stand([]) { _, _ in true }
            #expect(plane.settle())
            #expect(try !sites.left.ping(inner, from: own, count: 1))
        }
        try plane.stop()
    }

    @Test func aWholeBlockThatIsLetThroughIsNoBusinessOfTheDevice() throws {
        let sites = try Sites("spare")
        let plane = try sites.plane(sites.left)
        try sites.bringUp(plane, sites.left, local: ["0.0.0.0/0"], remote: ["0.0.0.0/0"])
        let cable = try sites.left.routes.link(named: "cable").index
        func goes(_ address: String) throws -> UInt32? {
            if case .reachable(let route) = try sites.left.goes(to: address) { route.interface } else { nil }
        }
        #expect(try goes("192.0.2.77") != cable)
        try plane.stand([try policy(.bypass, sites.left, ["192.0.2.0/24"], child: "lan", local: ["0.0.0.0/0"])]) {
            _, _ in true
        }
        #expect(try goes("192.0.2.77") == cable)
        #expect(try goes("198.51.100.1") != cable)
        try plane.stand([]) { _, _ in true }
        #expect(try goes("192.0.2.77") != cable)
        try plane.stop()
    }
}
