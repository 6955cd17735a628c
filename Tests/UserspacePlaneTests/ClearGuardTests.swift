import GatewayModel
import LinuxSystem
import NetworkTypes
import Synchronization
import Testing
import UserspacePlane

private let sent = Atomic<UInt64>(0)

/// What comes in clear although it should not, in namespaces: the right site has no gateway and sends as it likes.
@Suite(.serialized, .needsRoot) struct ClearGuardTests {
    /// A socket of a site's inner host.
    private func socket(_ site: Sites.Site, v6: Bool = false, port: UInt16) throws -> UDPSocket {
        let end = Endpoint(try Support.address(v6 ? site.inner.v6 : site.inner.v4), port)
        return try site.namespace.run { try UDPSocket.bind(end) }
    }

    /// Whether a datagram from one arrives at the other.
    private func arrives(from sender: UDPSocket, at receiver: UDPSocket) throws -> Bool {
        let path = Path(local: sender.localEndpoint, remote: receiver.localEndpoint)
        // Each has a number of its own: one that comes late is not taken for another.
        let number = sent.wrappingAdd(1, ordering: .relaxed).newValue
        let word = (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
        guard (try? sender.send(word, along: path)) == true else { return false }
        var buffer = [UInt8](repeating: 0, count: 64)
        while try receiver.descriptor.wait(milliseconds: 300) {
            if try receiver.receive(into: &buffer) != nil, Array(buffer.prefix(8)) == word { return true }
        }
        return false
    }

    /// Whether one of many arrives: a busy machine may need a moment.
    private func reaches(from sender: UDPSocket, at receiver: UDPSocket) throws -> Bool {
        try Support.eventually { try arrives(from: sender, at: receiver) }
    }

    /// What `nft list table` says is not compared; that it is there is.
    private func hasTable(_ site: Sites.Site) throws -> Bool {
        try Support.run(in: site.name, ["nft", "list", "table", "inet", "martlet"]) == 0
    }

    private func policy(
        _ action: StandingPolicy.Action, local: [TrafficSelector], remote: [TrafficSelector], priority: UInt32 = 0
    ) -> StandingPolicy {
        StandingPolicy(
            connection: "lab", child: "net", action: action, local: local, remote: remote, priority: priority)
    }

    @Test(arguments: [false, true])
    func whatIsProtectedDoesNotComeInClear(v6: Bool) throws {
        let sites = try Sites("clear\(v6 ? 6 : 4)")
        let (here, there) = (
            try socket(sites.left, v6: v6, port: 9), try socket(sites.right, v6: v6, port: 7)
        )
        var plane: UserspacePlane? = try sites.plane(sites.left)
        // The wire may need a moment.
        #expect(try reaches(from: there, at: here))
        try plane.map { try sites.bringUp($0, sites.left) }
        #expect(plane?.clearFailure == nil)
        #expect(try !arrives(from: there, at: here))
        // Others are not meant, and the peer itself is still reached.
        let outside = Endpoint(try Support.address(v6 ? sites.right.outer.v6 : sites.right.outer.v4), 7)
        let stranger = try sites.right.namespace.run { try UDPSocket.bind(outside) }
        #expect(try reaches(from: stranger, at: here))
        // As when it is killed: the table stays, and so does what it does.
        plane = nil
        #expect(try !arrives(from: there, at: here))
        let next = try sites.plane(sites.left)
        #expect(try !arrives(from: there, at: here))
        let nets = (
            try Support.selectors([sites.left.net.v4, sites.left.net.v6]),
            try Support.selectors([sites.right.net.v4, sites.right.net.v6])
        )
        // Nobody has configured it to be closed at all times, but it was left closed and is still configured.
        try next.adoptBlocks(
            keeping: [try Support.prefix(sites.right.net.v4), try Support.prefix(sites.right.net.v6)], making: [])
        try next.stand([], dormant: [policy(.block, local: nets.0, remote: nets.1)]) { _, _ in true }
        #expect(try !arrives(from: there, at: here))
        // Taken over, and ended in order.
        try sites.bringUp(next, sites.left)
        #expect(try !arrives(from: there, at: here))
        try next.obey(.unprotect(ChildSAID(rawValue: 1), staysBlocked: false))
        #expect(try reaches(from: there, at: here))
        #expect(try hasTable(sites.left))
        try next.stop()
        #expect(try !hasTable(sites.left))
    }

    /// One more pair of blocks is one more element of a set, which costs the same however many there are, and no rule.
    @Test(arguments: [false, true])
    func pairsOfBlocksLieInSets(v6: Bool) throws {
        let sites = try Sites("sets\(v6 ? 6 : 4)")
        let plane = try sites.plane(sites.left)
        try sites.bringUp(plane, sites.left)
        let block = v6 ? sites.right.net.v6 : sites.right.net.v4
        let length = try Support.prefix(block).length
        let nft = { (words: String) in
            try Support.run(in: sites.left.name, ["sh", "-c", "nft -n list table inet martlet | \(words)"])
        }
        let rule = "@blocks\(v6 ? 6 : 4)_\(length)_\(length) "
        #expect(try nft("grep -q '\(rule)'") == 0, "the set is looked into")
        let address = try #require(block.split(separator: "/").first)
        #expect(try nft("grep -q 'elements.*\(address)'") == 0, "the blocks are in it")
        #expect(try nft("grep -q 'addr \(address).*drop'") == 1, "there is no rule for them")
        try plane.stop()
    }

    @Test func whatComesThroughTheTunnelIsWelcome() throws {
        let sites = try Sites("through")
        let (left, right) = (try sites.plane(sites.left), try sites.plane(sites.right))
        try sites.bringUp(left, sites.left)
        try sites.bringUp(right, sites.right)
        #expect(try sites.left.ping(sites.right.inner.v4, from: sites.left.inner.v4))
        #expect(try sites.left.ping(sites.right.inner.v6, from: sites.left.inner.v6))
        try left.stop()
        try right.stop()
    }

    @Test func portsAndProtocolsAreToldApart() throws {
        let sites = try Sites("ports")
        let plane = try sites.plane(sites.left)
        let (nine, ten) = (try socket(sites.left, port: 9), try socket(sites.left, port: 10))
        let there = try socket(sites.right, port: 7)
        let (local, remote) = (try Support.selectors([sites.left.net.v4]), try Support.selectors([sites.right.net.v4]))
        let toNine = local.map { TrafficSelector($0.addresses, ipProtocol: .udp, ports: .only(9)) }
        try plane.stand([policy(.trap, local: toNine, remote: remote)]) { _, _ in true }
        #expect(try !arrives(from: there, at: nine))
        #expect(try reaches(from: there, at: ten))
        let fromEight = remote.map { TrafficSelector($0.addresses, ipProtocol: .udp, ports: .range(8...100)) }
        try plane.stand([policy(.trap, local: local, remote: fromEight)]) { _, _ in true }
        #expect(try reaches(from: there, at: nine))
        let echo = local.map {
            TrafficSelector($0.addresses, ipProtocol: .icmp, ports: .range(8 << 8...8 << 8 | 0xff))
        }
        // The answer takes the device; what counts here is that something else is not touched.
        try plane.stand([policy(.block, local: echo, remote: remote)]) { _, _ in true }
        #expect(try reaches(from: there, at: nine))
        #expect(try !sites.right.ping(sites.left.inner.v4, from: sites.right.inner.v4, count: 1))
        try plane.stand([]) { _, _ in true }
        #expect(try sites.right.ping(sites.left.inner.v4, from: sites.right.inner.v4, count: 1))
        try plane.stop()
    }

    /// Blocks of one pair of lengths share a set; more pairs of lengths than there are sets for lie among the ranges.
    @Test func blocksOfAllLengthsAreInForce() throws {
        let sites = try Sites("lengths")
        let plane = try sites.plane(sites.left)
        let here = try socket(sites.left, port: 9)
        let there = try socket(sites.right, port: 7)
        let lengths = Array((8...30).reversed())
        plane.beginChanges()
        for (index, length) in lengths.enumerated() {
            try sites.bringUp(
                plane, sites.left, child: UInt32(index + 1), index: index + 1, local: ["10.1.0.0/16"],
                remote: ["10.\(length < 15 ? 0 : 2).0.0/\(length)"])
        }
        #expect(plane.hasChanges)
        #expect(plane.commitChanges().isEmpty)
        #expect(!plane.hasChanges && plane.clearFailure == nil)
        // Each of them covers the host; the last one that goes opens the way.
        for index in lengths.indices {
            if index % 5 == 2 || index == lengths.count - 1 {
                #expect(try !arrives(from: there, at: here), "\(lengths[index...])")
            }
            try plane.obey(.unprotect(ChildSAID(rawValue: UInt32(index + 1)), staysBlocked: false))
        }
        #expect(try reaches(from: there, at: here))
        #expect(plane.clearFailure == nil)
        try plane.stop()
    }

    @Test func whatIsGatheredIsInForceAfterwards() throws {
        let sites = try Sites("gather")
        let plane = try sites.plane(sites.left)
        let before = try sites.left.table()
        plane.beginChanges()
        try sites.bringUp(plane, sites.left, child: 1, index: 1)
        try sites.bringUp(plane, sites.left, child: 2, index: 2, remote: ["10.9.0.0/24"])
        try plane.obey(.unprotect(ChildSAID(rawValue: 2), staysBlocked: false))
        #expect(try sites.left.table() == before)
        #expect(plane.commitChanges().isEmpty)
        let after = try sites.left.table()
        #expect(after.contains("10.2.0.0/16 way") && after.contains("10.2.0.0/16 refusal"))
        #expect(!after.contains { $0.hasPrefix("10.9.0.0") })
        // A policy that is there already asks the kernel for nothing.
        plane.beginChanges()
        try sites.bringUp(plane, sites.left, child: 3, index: 3)
        #expect(!plane.hasChanges)
        #expect(plane.commitChanges().isEmpty)
        // And at once where nobody gathers.
        try plane.obey(.unprotect(ChildSAID(rawValue: 1), staysBlocked: false))
        try plane.obey(.unprotect(ChildSAID(rawValue: 3), staysBlocked: false))
        #expect(try !sites.left.table().contains("10.2.0.0/16 way"))
        try plane.stop()
    }

    @Test func overlappingPoliciesAreAllInForce() throws {
        let sites = try Sites("overlap")
        let plane = try sites.plane(sites.left)
        let here = try socket(sites.left, port: 9)
        let there = try socket(sites.right, port: 7)
        try sites.bringUp(plane, sites.left, child: 1, index: 1, local: ["10.1.0.0/16"], remote: ["10.2.0.0/16"])
        try sites.bringUp(plane, sites.left, child: 2, index: 2, local: ["10.1.0.0/16"], remote: ["10.2.0.0/24"])
        try sites.bringUp(plane, sites.left, child: 3, index: 3, local: ["10.1.0.0/24"], remote: ["10.2.0.0/15"])
        #expect(plane.clearFailure == nil)
        for child in [1, 3, 2] as [UInt32] {
            #expect(try !arrives(from: there, at: here))
            try plane.obey(.unprotect(ChildSAID(rawValue: child), staysBlocked: false))
        }
        #expect(try reaches(from: there, at: here))
        #expect(plane.clearFailure == nil)
        // The same selectors twice are one thing with two owners.
        for child in [4, 5] as [UInt32] { try sites.bringUp(plane, sites.left, child: child, index: Int(child)) }
        try plane.obey(.unprotect(ChildSAID(rawValue: 4), staysBlocked: false))
        #expect(try !arrives(from: there, at: here))
        try plane.obey(.unprotect(ChildSAID(rawValue: 5), staysBlocked: false))
        #expect(try reaches(from: there, at: here))
        try plane.stop()
    }

    /// More of them than the kernel takes in one message.
    @Test func manyOverlappingSelectorsAreAllInForce() throws {
        let sites = try Sites("many")
        let plane = try sites.plane(sites.left)
        let here = try socket(sites.left, port: 9)
        let (low, high) = (try socket(sites.right, port: 7), try socket(sites.right, port: 500))
        let local = try Support.selectors([sites.left.net.v4])
        let there = try Support.prefix(sites.right.net.v4).range
        func stand(_ lowest: ClosedRange<UInt16>) throws {
            let remote = lowest.map { TrafficSelector(there, ipProtocol: .udp, ports: .range($0...600)) }
            try plane.stand([policy(.block, local: local, remote: remote)]) { _, _ in true }
            #expect(plane.clearFailure == nil)
        }
        try stand(1...480)
        #expect(try !arrives(from: low, at: here))
        #expect(try !arrives(from: high, at: here))
        try stand(7...480)
        #expect(try !arrives(from: low, at: here))
        #expect(try !arrives(from: high, at: here))
        try stand(8...480)
        #expect(try reaches(from: low, at: here))
        #expect(try !arrives(from: high, at: here))
        // Rules that are made anew for another reason leave these in force.
        let drop = policy(.discard, local: local, remote: try Support.selectors(["10.9.0.0/16"]))
        let remote = [TrafficSelector(there, ipProtocol: .udp, ports: .range(480...600))]
        try plane.stand([drop, policy(.block, local: local, remote: remote)]) { _, _ in true }
        #expect(try !arrives(from: high, at: here))
        try plane.stand([]) { _, _ in true }
        #expect(try reaches(from: high, at: here))
        #expect(plane.clearFailure == nil)
        try plane.stop()
    }

    @Test func whatIsLetThroughComesFirstAndWhatIsDroppedLast() throws {
        let sites = try Sites("shunt")
        let plane = try sites.plane(sites.left)
        let (here, there) = (try socket(sites.left, port: 9), try socket(sites.right, port: 7))
        let (local, remote) = (try Support.selectors([sites.left.net.v4]), try Support.selectors([sites.right.net.v4]))
        let block = policy(.block, local: local, remote: remote)
        let pass = policy(.bypass, local: local, remote: remote.map { TrafficSelector($0.addresses, ipProtocol: .udp) })
        try plane.stand([block, pass]) { _, _ in true }
        #expect(try reaches(from: there, at: here))
        var drop = policy(.discard, local: local, remote: remote)
        try plane.stand([pass, drop]) { _, _ in true }
        #expect(try reaches(from: there, at: here))
        #expect(try reaches(from: here, at: there))
        // A drop of higher precedence wins, in both directions.
        drop.priority = 7
        try plane.stand([pass, drop]) { _, _ in true }
        #expect(try !arrives(from: there, at: here))
        #expect(try !arrives(from: here, at: there))
        try plane.stand([]) { _, _ in true }
        #expect(try reaches(from: here, at: there))
        try plane.stop()
    }

    @Test func ourOwnNetworkWithinThePeersIsWelcome() throws {
        let sites = try Sites("own")
        let plane = try sites.plane(sites.left)
        let (here, there) = (try socket(sites.left, port: 9), try socket(sites.right, port: 7))
        // As if 10.2/16 were on our own side of a tunnel to 10/8.
        try sites.bringUp(plane, sites.left, local: ["10.1.0.0/16", "10.2.0.0/16"], remote: ["10.0.0.0/8"])
        #expect(try reaches(from: there, at: here))
        try sites.bringUp(plane, sites.left, local: ["10.1.0.0/16"], remote: ["10.0.0.0/8"])
        #expect(try !arrives(from: there, at: here))
        try plane.stop()
    }
}
