import GatewayModel
import LinuxSystem
import NetworkTypes
import Testing
import UserspacePlane

/// Two sites in namespaces of their own, joined by a cable over which each would send everything in clear.
final class Sites {
    /// One of them.
    struct Site {
        let name: String
        let namespace: NetworkNamespace
        let routes: RouteSocket
        /// Outside, then the one host inside.
        let outer: (v4: String, v6: String)
        let inner: (v4: String, v6: String)
        let net: (v4: String, v6: String)

        /// What leads into tunnels or refuses, as `10.2.0.0/16` with the kind's number.
        func table() throws -> Set<String> {
            var found: Set<String> = []
            for family in IPAddress.Family.allCases {
                for route in try routes.routes(family, table: 220) {
                    found.insert("\(route.destination) \(route.kind == .unicast ? "way" : "refusal")")
                }
            }
            return found
        }

        func rules() throws -> Int {
            try IPAddress.Family.allCases.map { family in
                try routes.rules(family).filter { $0.table == 220 }.count
            }.reduce(0, +)
        }

        /// How a packet from a host of this machine would go.
        func goes(to address: String) throws -> RouteLookup { try routes.lookup(try Support.address(address)) }

        func ping(_ address: String, from source: String? = nil, count: Int = 3, size: Int? = nil) throws -> Bool {
            let origin = (source.map { ["-I", $0] } ?? []) + (size.map { ["-s", "\($0)"] } ?? [])
            return try Support.run(
                in: name, ["ping", "-q", "-c", "\(count)", "-i", "0.02", "-W", "5"] + origin + [address]) == 0
        }
    }

    let left: Site
    let right: Site

    init(_ label: String) throws {
        func site(_ side: String, _ number: Int) throws -> Site {
            let name = "mlp\(ProcessInformation.identifier)-\(label)-\(side)"
            let namespace = try NetworkNamespace.create(name)
            return Site(
                name: name, namespace: namespace, routes: try namespace.run { try RouteSocket() },
                outer: ("192.0.2.\(number)", "2001:db8::\(number)"), inner: ("10.\(number).0.1", "fd0\(number)::1"),
                net: ("10.\(number).0.0/16", "fd0\(number)::/64"))
        }
        left = try site("a", 1)
        right = try site("b", 2)
        try left.routes.addPair("cable", "cable", firstIn: left.namespace, secondIn: right.namespace)
        for (site, other) in [(left, right), (right, left)] {
            let lo = try site.routes.link(named: "lo").index
            let cable = try site.routes.link(named: "cable").index
            try site.routes.change(lo, LinkChange(up: true))
            try site.routes.change(cable, LinkChange(up: true))
            for (interface, text, length) in [
                (cable, site.outer.v4, 24), (cable, site.outer.v6, 64), (lo, site.inner.v4, 32),
                (lo, site.inner.v6, 128),
            ] {
                let address = try Support.address(text)
                try site.routes.add(
                    InterfaceAddress(
                        interface: interface, address: address, prefixLength: length,
                        skipsDuplicateDetection: address.family == .v6))
            }
            for family in IPAddress.Family.allCases {
                let gateway = try Support.address(family == .v4 ? other.outer.v4 : other.outer.v6)
                try site.routes.add(Route(to: .everything(family), interface: cable, gateway: gateway))
            }
        }
    }

    deinit {
        for site in [left, right] { _ = try? NetworkNamespace.delete(site.name) }
    }

    /// A plane in a site's namespace.
    func plane(_ site: Site, _ offload: PlaneConfiguration.Offload = .automatic) throws -> UserspacePlane {
        var configuration = PlaneConfiguration()
        configuration.offload = offload
        let made = configuration
        return try site.namespace.run { try UserspacePlane(made) }
    }

    /// The path between the two as `site` sees it.
    func path(_ site: Site, v6: Bool = false, port: UInt16 = 4500) throws -> Path {
        let other = site.name == left.name ? right : left
        return Path(
            local: Endpoint(try Support.address(v6 ? site.outer.v6 : site.outer.v4), port),
            remote: Endpoint(try Support.address(v6 ? other.outer.v6 : other.outer.v4), port))
    }

    /// Brings a Child SA up at one end.
    func bringUp(
        _ plane: UserspacePlane, _ site: Site, v6: Bool = false,
        encapsulation: SecurityAssociation.Encapsulation = .udp, child: UInt32 = 1, index: Int = 1,
        local: [String]? = nil, remote: [String]? = nil
    ) throws {
        let other = site.name == left.name ? right : left
        try Support.bringUp(
            plane, index: index, isFirst: site.name == left.name, path: try path(site, v6: v6),
            local: try Support.selectors(local ?? [site.net.v4, site.net.v6]),
            remote: try Support.selectors(remote ?? [other.net.v4, other.net.v6]), encapsulation: encapsulation,
            child: child)
    }
}
