import Clockwork
import LinuxSystem
import NetworkTypes
import Synchronization
import Testing

/// Adds and deletes an address until it is told to stop.
private final class Churn: Sendable {
    let stop = Atomic<Bool>(false)
    let failed = Atomic<Bool>(false)
    let changes = Atomic<Int>(0)

    func run(in namespace: NetworkNamespace, link: UInt32) {
        do {
            try namespace.enter()
            let route = try RouteSocket()
            let address = InterfaceAddress(interface: link, address: IPAddress(v4: 0x0900_0001), prefixLength: 32)
            while !stop.load(ordering: .relaxed) {
                try route.add(address)
                try route.delete(address)
                changes.add(1, ordering: .relaxed)
            }
        } catch {
            failed.store(true, ordering: .relaxed)
        }
    }
}

@Suite(.needsRoot) struct RouteSocketTests {
    @Test("Links: listed, named, changed, paired, moved, removed")
    func links() throws {
        try Support.withNamespace("links-a") { first, route in
            #expect(try route.links().map(\.name) == ["lo"])
            let loopback = try route.link(named: "lo")
            #expect(loopback.isLoopback && loopback.isUp && loopback.kind == nil)
            try Support.withNamespace("links-b") { second, other in
                try route.addPair("left0", "right0", secondIn: second)
                let left = try route.link(named: "left0")
                #expect(left.kind == "veth" && !left.isUp)
                #expect(throws: SystemError.self) { try route.link(named: "right0") }
                try other.change(try other.link(named: "right0").index, LinkChange(mtu: 1400, up: true))
                try route.change(left.index, LinkChange(name: "west0"))
                try route.change(left.index, LinkChange(mtu: 1300, up: true))
                let west = try route.link(left.index)
                #expect(west.name == "west0" && west.mtu == 1300 && west.isUp && west.isRunning)
                #expect(try other.link(named: "right0").mtu == 1400)
                // And the other end follows into the first namespace.
                try other.change(try other.link(named: "right0").index, LinkChange(namespace: first))
                #expect(Set(try route.links().map(\.name)) == ["lo", "west0", "right0"])
                #expect(try other.links().map(\.name) == ["lo"])
            }
            #expect(try route.deleteLink(named: "west0") == .removed)
            #expect(try route.deleteLink(named: "west0") == .absent)
            #expect(try route.links().map(\.name) == ["lo"])
        }
    }

    @Test("Errors carry what the kernel has to say, and what it was about")
    func errors() throws {
        try Support.withNamespace("errors") { _, route in
            let missing = try #require(throws: SystemError.self) { try route.link(named: "nope0") }
            #expect(missing.errno == .noSuchDevice && missing.context.contains("nope0"))
            #expect(throws: SystemError.self) { try route.link(named: "a-name-of-16-oct") }
            let gateway = Route(to: try Support.prefix("10.0.0.0/8"), gateway: try Support.address("192.0.2.1"))
            let error = try #require(throws: SystemError.self) { try route.add(gateway) }
            #expect(error.errno == .networkUnreachable)
            #expect(error.description.contains("10.0.0.0/8 via 192.0.2.1"))
            #expect(error.description.contains("the kernel says: Nexthop has invalid gateway"))
        }
    }

    @Test("Addresses: added, replaced, listed, deleted", arguments: ["10.7.0.1/24", "fd00:7::1/64"])
    func addresses(text: String) throws {
        try Support.withNamespace("addr\(text.contains(":") ? 6 : 4)") { _, route in
            try route.addPair("left0", "right0")
            let link = try route.link(named: "left0").index
            let prefix = try Support.prefix(text)
            let host = try Support.address(String(text.prefix { $0 != "/" }))
            let address = InterfaceAddress(
                interface: link, address: host, prefixLength: prefix.length,
                skipsDuplicateDetection: host.family == .v6)
            try route.add(address)
            #expect(throws: SystemError.self) { try route.add(address) }
            try route.add(address, replace: true)
            var found = try #require(try route.addresses(of: link).first { $0.address == host })
            found.isTentative = false
            #expect(found == address)
            #expect(try route.addresses().contains { $0.address == host && $0.interface == link })
            #expect(try !route.addresses(of: 1).contains { $0.address == host })
            #expect(try route.delete(address) == .removed)
            #expect(try route.delete(address) == .absent)
            #expect(try !route.addresses().contains { $0.address == host })
        }
    }

    @Test("Routes: every field comes back; replaced; deleted", arguments: IPAddress.Family.allCases)
    func routes(family: IPAddress.Family) throws {
        try Support.withNamespace("routes\(family)") { _, route in
            let v6 = family == .v6
            try route.addPair("left0", "right0")
            for name in ["left0", "right0"] {
                try route.change(try route.link(named: name).index, LinkChange(up: true))
            }
            let link = try route.link(named: "left0").index
            let own = try Support.address(v6 ? "fd00:7::1" : "10.7.0.1")
            try route.add(
                InterfaceAddress(
                    interface: link, address: own, prefixLength: v6 ? 64 : 24, skipsDuplicateDetection: v6))
            var wanted = Route(
                to: try Support.prefix(v6 ? "2001:db8:1::/48" : "198.51.100.0/24"), table: 1220, interface: link,
                gateway: try Support.address(v6 ? "fd00:7::2" : "10.7.0.2"), preferredSource: own, metric: 77,
                protocolNumber: 99, mtu: 1350)
            #expect(try route.routes(family, table: 1220) == [])
            try route.add(wanted)
            #expect(try route.routes(family, table: 1220) == [wanted])
            #expect(throws: SystemError.self) { try route.add(wanted) }
            wanted.mtu = 1320
            try route.add(wanted, replace: true)
            #expect(try route.routes(family, table: 1220) == [wanted])
            #expect(try route.routes(family).contains(wanted))
            #expect(try !route.routes(family, table: Route.mainTable).contains(wanted))
            #expect(try route.delete(wanted) == .removed)
            #expect(try route.delete(wanted) == .absent)
            #expect(try route.routes(family, table: 1220) == [])
        }
    }

    @Test("Routes that refuse: blackhole, unreachable, prohibit", arguments: IPAddress.Family.allCases)
    func refusingRoutes(family: IPAddress.Family) throws {
        try Support.withNamespace("refuse\(family)") { _, route in
            let v6 = family == .v6
            let kinds: [Route.Kind] = [.blackhole, .unreachable, .prohibit, .throw]
            for (number, kind) in kinds.enumerated() {
                let destination = try Support.prefix(v6 ? "2001:db8:\(number + 1)::/48" : "203.0.\(number).0/24")
                let refusing = Route(to: destination, kind: kind, metric: 10, protocolNumber: 99)
                try route.add(refusing)
                let found = try route.routes(family, table: Route.mainTable).first { $0.destination == destination }
                #expect(found?.kind == kind)
                #expect(found?.protocolNumber == 99)
                if kind != .throw {
                    guard case .unreachable = try route.lookup(destination.address) else {
                        Issue.record("\(kind) is no way out")
                        continue
                    }
                }
                #expect(try route.delete(refusing) == .removed)
                #expect(try route.delete(refusing) == .absent)
            }
        }
    }

    @Test("Rules: every field comes back; idempotent; deleted", arguments: IPAddress.Family.allCases)
    func rules(family: IPAddress.Family) throws {
        try Support.withNamespace("rules\(family)") { _, route in
            let v6 = family == .v6
            let before = try route.rules(family)
            #expect(before.contains { $0.priority == 32766 && $0.table == Route.mainTable })
            let wanted = [
                Rule(
                    family, priority: 220, table: 1220, from: try Support.prefix(v6 ? "fd00::/8" : "10.0.0.0/8"),
                    to: try Support.prefix(v6 ? "2001:db8::/32" : "198.51.100.0/24"), mark: 0x100, markMask: 0xff00,
                    inputInterface: "lo", protocolNumber: 99),
                Rule(family, priority: 221, table: 220, mark: 7, inverted: true, protocolNumber: 99),
                Rule(family, priority: 222, table: 254, suppressPrefixLength: 0, protocolNumber: 99),
            ]
            for rule in wanted { try route.add(rule) }
            #expect(throws: SystemError.self) { try route.add(wanted[0]) }
            try route.add(wanted[0], replace: true)
            #expect(try route.rules(family).filter { $0.protocolNumber == 99 } == wanted)
            for rule in wanted {
                #expect(try route.delete(rule) == .removed)
                #expect(try route.delete(rule) == .absent)
            }
            #expect(try route.rules(family) == before)
        }
    }

    @Test("A lookup tells link, source and MTU, and follows marks", arguments: IPAddress.Family.allCases)
    func lookup(family: IPAddress.Family) throws {
        try Support.withNamespace("lookup\(family)") { _, route in
            let v6 = family == .v6
            try route.addPair("left0", "right0")
            for name in ["left0", "right0"] {
                try route.change(try route.link(named: name).index, LinkChange(mtu: 1456, up: true))
            }
            let link = try route.link(named: "left0").index
            let own = try Support.address(v6 ? "fd00:7::1" : "10.7.0.1")
            let router = try Support.address(v6 ? "fd00:7::2" : "10.7.0.2")
            let far = try Support.address(v6 ? "2001:db8:1::5" : "198.51.100.5")
            #expect(try route.lookup(far) == .unreachable(.networkUnreachable))
            try route.add(
                InterfaceAddress(
                    interface: link, address: own, prefixLength: v6 ? 64 : 24, skipsDuplicateDetection: v6))
            let block = try #require(IPPrefix(far, length: v6 ? 48 : 24))
            try route.add(Route(to: block, interface: link, gateway: router, mtu: 1300))
            guard case .reachable(let found) = try route.lookup(far) else {
                Issue.record("there is a route")
                return
            }
            #expect(found.kind == .unicast && found.interface == link && found.gateway == router)
            #expect(found.preferredSource == own && found.mtu == 1300 && found.table == Route.mainTable)
            guard case .reachable(let near) = try route.lookup(router, from: own) else {
                Issue.record("a neighbour can be reached")
                return
            }
            #expect(near.gateway == nil && near.mtu == 1456)
            // The kernel makes an IPv6 address's own route some time after it has acknowledged the address.
            var kind: Route.Kind?
            let deadline = MonotonicClock.now() + .seconds(5)
            while kind != .local, MonotonicClock.now() < deadline {
                if case .reachable(let here) = try route.lookup(own) { kind = here.kind }
            }
            #expect(kind == .local)
            try route.add(Route(to: block, kind: .unreachable, table: 1220))
            try route.add(Rule(family, priority: 50, table: 1220, mark: 9))
            #expect(try route.lookup(far, mark: 9) == .unreachable(.hostUnreachable))
            #expect(try route.lookup(far, mark: 8) != .unreachable(.hostUnreachable))
        }
    }

    @Test("A list of many parts is whole")
    func largeList() throws {
        try Support.withNamespace("large") { _, route in
            let count: UInt32 = 5000
            for number in 0..<count {
                let address = IPAddress(v4: 0x0a00_0000 + number << 8)
                let prefix = try #require(IPPrefix(address, length: 24))
                try route.add(Route(to: prefix, kind: .blackhole, table: 1220, protocolNumber: 99))
            }
            let found = try route.routes(.v4, table: 1220)
            #expect(found.count == Int(count))
            #expect(Set(found.map(\.destination)).count == Int(count))
        }
    }

    @Test("Many changes in one go: what is refused is named, and keeps nothing else from being made")
    func batch() throws {
        try Support.withNamespace("batch") { _, route in
            func block(_ number: UInt32, _ kind: Route.Kind = .blackhole, interface: UInt32? = nil) throws -> Route {
                let prefix = try #require(IPPrefix(IPAddress(v4: 0x0a00_0000 + number << 8), length: 24))
                return Route(to: prefix, kind: kind, table: 1220, interface: interface, protocolNumber: 99)
            }
            var batch = RouteBatch()
            for number: UInt32 in 0..<300 { batch.add(try block(number)) }
            // No such link; then one that is there already, and one that never was.
            batch.add(try block(400, .unicast, interface: 4_000_000))
            batch.add(try block(7))
            batch.delete(try block(500))
            for number: UInt32 in 0..<150 { batch.delete(try block(number)) }
            let refused = try route.make(batch)
            #expect(refused.map(\.place) == [300])
            #expect(refused.first?.error.errno == .noSuchDevice)
            #expect(try route.routes(.v4, table: 1220).count == 150)
            #expect(try route.make(RouteBatch()).isEmpty)
            // Nothing of an answer is left for the next one to find.
            try route.add(try block(600))
            #expect(try route.routes(.v4, table: 1220).count == 151)
        }
    }

    @Test("A monitor that passes over one's own routes hears of all others")
    func ignoringMonitor() throws {
        try Support.withNamespace("ignore") { namespace, route in
            let monitor = try namespace.run { try RouteMonitor(ignoringRoutesOf: 77) }
            let block = try Support.prefix("203.0.113.0/24")
            try route.add(Route(to: block, kind: .blackhole, table: 1220, protocolNumber: 77))
            #expect(try !monitor.descriptor.wait(milliseconds: 100))
            let other = Route(to: block, kind: .blackhole, table: 1221, protocolNumber: 78)
            try route.add(other)
            #expect(try monitor.changes() == [.route(other)])
            try route.delete(other)
            #expect(try monitor.changes() == [.routeRemoved(other)])
        }
    }

    @Test("A list that changes while it is read is read again, and whole")
    func interruptedList() throws {
        try Support.withNamespace("churn") { namespace, route in
            try route.addPair("left0", "right0")
            let link = try route.link(named: "left0").index
            var stable: Set<IPAddress> = []
            for number: UInt32 in 0..<700 {
                let address = IPAddress(v4: 0x0a00_0001 + number)
                try route.add(InterfaceAddress(interface: link, address: address, prefixLength: 32))
                stable.insert(address)
            }
            let churn = Churn()
            let thread = try WorkerThread(name: "churn") { churn.run(in: namespace, link: link) }
            defer { thread.join() }
            defer { churn.stop.store(true, ordering: .relaxed) }
            while churn.changes.load(ordering: .relaxed) == 0, !churn.failed.load(ordering: .relaxed) {}
            var lists = 0
            for _ in 0..<20 {
                let before = churn.changes.load(ordering: .relaxed)
                do {
                    let found = Set(try route.addresses(of: link).map(\.address))
                    #expect(found.isSuperset(of: stable))
                    lists += churn.changes.load(ordering: .relaxed) > before ? 1 : 0
                } catch {
                    // Never half a list: when it cannot be had whole, that is said.
                    #expect((error as? SystemError)?.errno == .busy)
                    lists += 1
                }
            }
            #expect(lists > 0, "the list never changed while it was read: nothing was tried")
            let failed = churn.failed.load(ordering: .relaxed)
            #expect(!failed)
        }
    }

    @Test("A monitor reports what happens, and says when it missed something")
    func monitor() throws {
        try Support.withNamespace("monitor") { namespace, route in
            let monitor = try namespace.run { try RouteMonitor() }
            #expect(try monitor.changes() == [])
            try route.addPair("left0", "right0")
            let link = try route.link(named: "left0").index
            try route.change(link, LinkChange(up: true))
            let address = InterfaceAddress(
                interface: link, address: try Support.address("10.7.0.1"), prefixLength: 24)
            try route.add(address)
            let blackhole = Route(to: try Support.prefix("203.0.113.0/24"), kind: .blackhole, protocolNumber: 99)
            try route.add(blackhole)
            try route.delete(blackhole)
            try route.delete(address)
            try route.deleteLink(named: "left0")
            var events: [RouteEvent] = []
            // Links go some time after they are deleted.
            while !events.contains(where: {
                if case .linkRemoved(let gone) = $0 { gone.name == "left0" } else { false }
            }) {
                guard try monitor.descriptor.wait(milliseconds: 5000) else { break }
                events += try monitor.changes()
            }
            #expect(events.contains { if case .link(let new) = $0 { new.name == "left0" && new.isUp } else { false } })
            #expect(events.contains(.address(address)))
            #expect(events.contains(.addressRemoved(address)))
            #expect(events.contains(.route(blackhole)))
            #expect(events.contains(.routeRemoved(blackhole)))
            #expect(events.contains { if case .linkRemoved(let gone) = $0 { gone.name == "left0" } else { false } })
            #expect(!events.contains(.missed))
            // More than its buffer holds.
            for number: UInt32 in 0..<4000 {
                let address = IPAddress(v4: 0x0a00_0000 + number)
                try route.add(Route(to: IPPrefix(host: address), kind: .blackhole))
            }
            var missed = false
            while try monitor.descriptor.wait(milliseconds: 0) {
                missed = try monitor.changes().contains(.missed) || missed
            }
            #expect(missed)
        }
    }
}
