import ESPEngine
import GatewayModel
import LinuxSystem
import NetworkTypes
import Testing
import UserspacePlane

/// Devices of children's own: two tenants who know nothing of each other, behind the same two gateways.
@Suite(.serialized, .needsRoot) struct VirtualInterfaceTests {
    /// A tenant's place: a namespace on each side, joined by nothing but a tunnel.
    private final class Places {
        let names: [String]
        init(_ label: String, _ count: Int) throws {
            names = (0..<count).map { "mlv\(ProcessInformation.identifier)-\(label)\($0)" }
            for name in names { _ = try NetworkNamespace.create(name) }
        }
        deinit { for name in names { _ = try? NetworkNamespace.delete(name) } }
    }

    private func interface(_ name: String, _ address: String, in namespace: String? = nil) throws -> VirtualInterface {
        var interface = VirtualInterface(nameTemplate: name)
        interface.addresses = [.init(try Support.address(address), prefixLength: 24)]
        interface.namespace = namespace
        return interface
    }

    /// Brings a Child SA up for a device.
    private func bringUp(
        _ plane: UserspacePlane, _ sites: Sites, _ site: Sites.Site, child: UInt32, key: String, keys: UInt64
    ) throws {
        let everything = try Support.selectors(["0.0.0.0/0", "::/0"])
        let pair = Support.associations(
            index: Int(child), isFirst: site.name == sites.left.name, path: try sites.path(site), local: everything,
            remote: everything, child: child, keys: keys)
        for var association in [pair.inbound, pair.outbound] {
            association.interface = key
            try plane.obey(.install(association))
        }
        try plane.obey(
            .protect(ChildSAID(rawValue: child), local: everything, remote: everything, spi: pair.outbound.spi))
    }

    /// The link by which a packet would leave.
    private func way(_ site: Sites.Site, _ address: String) throws -> UInt32? {
        if case .reachable(let route) = try site.goes(to: address) { route.interface } else { nil }
    }

    private func ping(_ namespace: String, _ address: String) throws -> Bool {
        try Support.run(in: namespace, ["ping", "-q", "-c", "2", "-i", "0.05", "-W", "1", address]) == 0
    }

    private func names(_ outcomes: [UserspacePlane.InterfaceOutcome]) -> [String] {
        outcomes.map { if case .made(_, let name) = $0 { name } else { "failed" } }
    }

    @Test func tenantsWithTheSameNetworkDoNotMeet() throws {
        let sites = try Sites("vti")
        let places = try Places("t", 4)
        let planes = (try sites.plane(sites.left), try sites.plane(sites.right))
        for (plane, address, offset) in [(planes.0, "10.0.0.1", 0), (planes.1, "10.0.0.2", 1)] {
            let made = plane.keepInterfaces([
                .init(key: "a/net", interface: try interface("vti%02d", address, in: places.names[offset])),
                .init(key: "b/net", interface: try interface("vti%02d", address, in: places.names[2 + offset])),
            ])
            #expect(names(made) == ["vti00", "vti00"])
        }
        let (a, b) = (places.names[0], places.names[2])
        for (plane, site) in [(planes.0, sites.left), (planes.1, sites.right)] {
            try bringUp(plane, sites, site, child: 1, key: "a/net", keys: 0)
        }
        #expect(try ping(a, "10.0.0.2"))
        #expect(try !ping(b, "10.0.0.2"))
        #expect(planes.0.drops(.noPolicy) > 0)
        for (plane, site) in [(planes.0, sites.left), (planes.1, sites.right)] {
            try bringUp(plane, sites, site, child: 2, key: "b/net", keys: 77)
        }
        let first = SPILayout.spi(index: 1, chance: 200)
        let before = planes.1.counters(.inbound, spi: first)?.packets
        #expect(try ping(b, "10.0.0.2"))
        #expect(planes.1.counters(.inbound, spi: first)?.packets == before)
        #expect(planes.1.counters(.inbound, spi: SPILayout.spi(index: 2, chance: 200))?.packets == 2)
        // No route, rule or block of ours, and nothing in the gateways' own namespaces.
        #expect(try sites.left.table() == [])
        #expect(try sites.left.rules() == 0)
        #expect(try !sites.left.routes.links().contains { $0.name.hasPrefix("vti") })
        // Without its Child SA a device goes nowhere.
        try planes.0.obey(.unprotect(ChildSAID(rawValue: 2), staysBlocked: false))
        #expect(try !ping(b, "10.0.0.2"))
        #expect(try ping(a, "10.0.0.2"))
        // A device that is configured no longer is gone; the other stays.
        #expect(
            planes.0.keepInterfaces([
                .init(key: "a/net", interface: try interface("vti%02d", "10.0.0.1", in: places.names[0]))
            ]).isEmpty)
        let left = try NetworkNamespace.open(b)
        let links = try left.run { try RouteSocket() }
        #expect(try Support.eventually { try !links.links().contains { $0.name.hasPrefix("vti") } })
        #expect(try ping(a, "10.0.0.2"))
        try planes.0.stop()
        try planes.1.stop()
    }

    @Test func aDeviceMayAskForItsChild() throws {
        let sites = try Sites("vtrap")
        let plane = try sites.plane(sites.left)
        let made = plane.keepInterfaces([.init(key: "lab/net", interface: try interface("tun-lab", "10.9.0.1"))])
        #expect(names(made) == ["tun-lab"])
        let everything = try Support.selectors(["0.0.0.0/0"])
        try plane.stand([
            StandingPolicy(connection: "lab", child: "net", action: .trap, local: everything, remote: everything)
        ]) { _, _ in true }
        #expect(try sites.left.table() == [])
        _ = try sites.left.ping("10.9.0.2", count: 1)
        #expect(Support.eventually { plane.takeEvents() == [.acquire(connection: "lab", child: "net")] })
        try plane.stop()
    }

    /// As after a crash: what is routed into a device of a child's own goes there until the next process has it.
    @Test func aDeviceOutlivesTheProcessAndIsFoundAgain() throws {
        let sites = try Sites("vkill")
        let places = try Places("k", 1)
        let wanted: [UserspacePlane.NamedInterface] = [
            .init(key: "a/net", interface: try interface("vti%02d", "10.9.0.1")),
            .init(key: "b/net", interface: try interface("tun-b", "10.9.1.1", in: places.names[0])),
            .init(key: "c/net", interface: try interface("vti%02d", "10.9.2.1")),
        ]
        var plane: UserspacePlane? = try sites.plane(sites.left)
        #expect(plane.map { names($0.keepInterfaces(wanted)) } == ["vti00", "tun-b", "vti01"])
        let far = ["10.77.0.1", "fd77::1"]
        for (address, block) in zip(far, ["10.77.0.0/16", "fd77::/16"]) {
            let device = try sites.left.routes.link(named: "vti01").index
            try sites.left.routes.add(Route(to: try Support.prefix(block), interface: device))
            #expect(try way(sites.left, address) == device)
        }
        let before = try sites.left.routes.link(named: "vti01")
        plane = nil
        #expect(try Support.eventually { try !sites.left.routes.links().contains { $0.name == "martlet0" } })
        #expect(try sites.left.routes.link(named: "vti01").index == before.index)
        for address in far {
            #expect(try way(sites.left, address) == before.index)
            #expect(try !sites.left.ping(address, count: 1))
        }
        // The others come first this time, and one is not wanted any more; each child has what it had.
        let next = try sites.plane(sites.left)
        #expect(names(next.keepInterfaces([wanted[2], wanted[1]])) == ["vti01", "tun-b"])
        #expect(try sites.left.routes.link(named: "vti01").index == before.index)
        try bringUp(next, sites, sites.left, child: 1, key: "c/net", keys: 0)
        let spi = SPILayout.spi(index: 1, chance: 200)
        for address in far { _ = try sites.left.ping(address, count: 1) }
        #expect(Support.eventually { next.counters(.outbound, spi: spi)?.packets ?? 0 >= 2 })
        // What is changed in the configuration has its name again.
        let other = UserspacePlane.NamedInterface(key: "c/net", interface: try interface("vti01", "10.9.3.1"))
        #expect(names(next.keepInterfaces([other, wanted[1]])) == ["vti01"])
        // A stop in order leaves nothing, of the earlier process either.
        let there = try NetworkNamespace.open(places.names[0]).run { try RouteSocket() }
        #expect(try sites.left.routes.links().contains { $0.name == "vti00" })
        #expect(try there.links().contains { $0.name == "tun-b" })
        try next.stop()
        #expect(try Support.eventually { try !sites.left.routes.links().contains { $0.name == "vti00" } })
        withExtendedLifetime(next) {}
    }

    @Test func nobodyElsesDeviceIsTaken() throws {
        let sites = try Sites("vother")
        let plane = try sites.plane(sites.left)
        for (name, alias) in [("vti1", nil), ("vti2", "martlet martlet9 a/net")] {
            let device = try sites.left.namespace.run { try TunDevice(nameTemplate: name) }
            try device.setPersistent(true)
            let index = try sites.left.routes.link(named: name).index
            if let alias { try sites.left.routes.change(index, LinkChange(alias: alias)) }
        }
        let outcomes = plane.keepInterfaces([
            .init(key: "a/net", interface: VirtualInterface(nameTemplate: "vti1")),
            .init(key: "b/net", interface: VirtualInterface(nameTemplate: "vti2")),
        ])
        #expect(names(outcomes) == ["failed", "failed"])
        try plane.stop()
        #expect(try sites.left.routes.links().count { $0.name.hasPrefix("vti") } == 2)
    }

    /// Where a child has no device of its own although it should, its policies are nobody's: the shared device is not its.
    @Test(arguments: [StandingPolicy.Action.trap, .block])
    func withoutItsDeviceAChildHasNoPolicies(action: StandingPolicy.Action) throws {
        let sites = try Sites("vnone")
        let plane = try sites.plane(sites.left)
        let everything = try Support.selectors(["0.0.0.0/0", "::/0"])
        let policy = StandingPolicy(
            connection: "lab", child: "net", action: action, local: everything, remote: everything)
        let wanted = try [
            interface("x%d", "10.0.0.1", in: "mlv-nobody"), interface("cable", "10.0.0.1"),
        ]
        for interface in wanted {
            #expect(names(plane.keepInterfaces([.init(key: "lab/net", interface: interface)])) == ["failed"])
            try plane.stand([policy]) { _, _ in true }
            try plane.obey(.trap(policy))
            #expect(try sites.left.table() == [])
            #expect(try sites.left.rules() == 0)
            #expect(try sites.left.ping(sites.right.outer.v4, count: 1))
        }
        // It says so itself where the plane was not told.
        _ = plane.keepInterfaces([])
        var own = policy
        own.usesInterface = true
        try plane.stand([own]) { _, _ in true }
        #expect(try sites.left.table() == [])
        // With a device it holds there, and is gone when the device is.
        _ = plane.keepInterfaces([.init(key: "lab/net", interface: try interface("tun-lab", "10.9.0.1"))])
        try plane.stand([own]) { _, _ in true }
        _ = try sites.left.ping("10.9.0.2", count: 1)
        if action == .trap {
            #expect(Support.eventually { plane.takeEvents() == [.acquire(connection: "lab", child: "net")] })
        }
        _ = plane.keepInterfaces([.init(key: "lab/net", interface: wanted[0])])
        try plane.stand([own]) { _, _ in true }
        #expect(try sites.left.table() == [])
        #expect(try sites.left.ping(sites.right.outer.v4, count: 1))
        try plane.stop()
    }

    @Test func namesThatAreTakenArePassedOverAndNoDeviceIsNoTunnel() throws {
        let sites = try Sites("vname")
        let plane = try sites.plane(sites.left)
        try sites.left.routes.addPair("vti00", "other", firstIn: sites.left.namespace, secondIn: sites.left.namespace)
        let outcomes = plane.keepInterfaces([
            .init(key: "a/net", interface: VirtualInterface(nameTemplate: "vti%02d")),
            .init(key: "b/net", interface: VirtualInterface(nameTemplate: "vti%02d")),
            .init(key: "c/net", interface: VirtualInterface(nameTemplate: "vti00")),
            .init(key: "d/net", interface: try interface("x%d", "10.0.0.1", in: "mlv-nobody")),
        ])
        #expect(names(outcomes) == ["vti01", "vti02", "failed", "failed"])
        #expect(plane.interfaceName("b/net") == "vti02")
        #expect(throws: PlaneError.noInterface("c/net")) {
            try bringUp(plane, sites, sites.left, child: 1, key: "c/net", keys: 0)
        }
        try plane.stop()
    }
}
