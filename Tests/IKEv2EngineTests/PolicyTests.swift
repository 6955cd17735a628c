import Clockwork
import GatewayModel
import IKECore
import NetworkTypes
import Testing

@testable import IKEv2Engine

private func address(_ text: String) -> IPAddress { IPAddress(text) ?? .unspecified(.v4) }

private func selector(
    _ text: String, _ ipProtocol: IPProtocolNumber = .any, _ ports: TrafficSelector.Ports = .any
) -> TrafficSelector {
    TrafficSelector(Pair.prefix(text).range, ipProtocol: ipProtocol, ports: ports)
}

@Suite struct SelectorNarrowingTests {
    @Test func theIntersectionKeepsOurOrder() {
        let result = SelectorNarrowing.intersection(
            configured: [selector("10.2.0.0/16"), selector("10.1.0.0/16")],
            offered: [selector("10.1.5.0/24"), selector("0.0.0.0/0")])
        #expect(result == [selector("10.2.0.0/16"), selector("10.1.0.0/16")])
    }

    @Test func protocolsAndPortsNarrow() {
        let result = SelectorNarrowing.intersection(
            configured: [selector("10.0.0.0/8", .tcp, .range(80...443))],
            offered: [selector("10.1.0.0/16", .any, .range(100...2000))])
        #expect(result == [selector("10.1.0.0/16", .tcp, .range(100...443))])
        #expect(
            SelectorNarrowing.intersection(
                configured: [selector("10.0.0.0/8", .tcp)], offered: [selector("10.0.0.0/8", .udp)]) == [])
    }

    @Test func familiesDoNotMix() {
        #expect(
            SelectorNarrowing.intersection(configured: [selector("::/0")], offered: [selector("0.0.0.0/0")]) == [])
        #expect(
            SelectorNarrowing.intersection(
                configured: [selector("::/0"), selector("0.0.0.0/0")], offered: [selector("2001:db8::/32")])
                == [selector("2001:db8::/32")])
    }

    @Test func theResultIsBounded() {
        let many = (0..<200).map { TrafficSelector(IPPrefix(host: IPAddress(v4: 0x0a00_0000 + UInt32($0)))) }
        let result = SelectorNarrowing.intersection(
            configured: many
                + many.map {
                    TrafficSelector($0.addresses, ipProtocol: .tcp)
                }, offered: many + many.reversed())
        #expect(result.count == 200)
        let distinct = (0..<400).map { TrafficSelector(IPPrefix(host: IPAddress(v4: 0x0a00_0000 + UInt32($0)))) }
        #expect(SelectorNarrowing.intersection(configured: distinct, offered: [selector("0.0.0.0/0")]).count == 255)
    }

    @Test func anAnswerMayOnlyBeNarrower() {
        let offer = [selector("10.1.0.0/16"), selector("10.3.0.0/16")]
        #expect(SelectorNarrowing.isNarrowing([selector("10.1.2.0/24"), selector("10.3.0.0/16")], of: offer))
        #expect(!SelectorNarrowing.isNarrowing([selector("10.0.0.0/8")], of: offer))
        #expect(!SelectorNarrowing.isNarrowing([selector("10.1.2.0/24"), selector("10.2.0.0/24")], of: offer))
        #expect(!SelectorNarrowing.isNarrowing([], of: offer))
    }
}

@Suite struct ConnectionLookupTests {
    private let path = Path(local: Endpoint(address("192.0.2.1"), 500), remote: Endpoint(address("203.0.113.9"), 500))

    private func connection(
        _ name: String, remote: AddressPattern? = nil, local: AddressPattern? = nil, identity: IdentityPattern = .any
    ) -> Connection {
        var connection = Connection(name: name)
        connection.remoteAddresses = remote.map { [$0] } ?? []
        connection.localAddresses = local.map { [$0] } ?? []
        connection.remote.identity = identity
        connection.local.identity = .fqdn("us")
        return connection
    }

    @Test func theClosestAddressWinsThenTheOrder() {
        let lookup = ConnectionLookup([
            connection("any"),
            connection("any too"),
            connection("block", remote: .prefix(Pair.prefix("203.0.113.0/24"))),
            connection("host", remote: .prefix(Pair.prefix("203.0.113.9/32"))),
            connection("elsewhere", remote: .prefix(Pair.prefix("198.51.100.0/24"))),
            connection("here", local: .prefix(Pair.prefix("192.0.2.1/32"))),
            connection("not here", local: .prefix(Pair.prefix("192.0.2.2/32"))),
        ])
        #expect(lookup.candidates(for: path).map(\.connection.name) == ["host", "block", "here", "any", "any too"])
    }

    /// A directory finds what a look at all connections finds, in the same order.
    @Test func theDirectoryFindsTheSame() {
        let patterns: [AddressPattern?] = [
            nil, .any, .prefix(Pair.prefix("203.0.113.9/32")), .prefix(Pair.prefix("203.0.113.0/24")),
            .prefix(Pair.prefix("203.0.113.8/32")), .prefix(Pair.prefix("0.0.0.0/0")),
        ]
        var connections: [Connection] = []
        for (index, remote) in (patterns + patterns.reversed()).enumerated() {
            for local in [nil, AddressPattern.prefix(Pair.prefix("192.0.2.1/32"))] {
                var made = connection("c\(index % 9)", remote: remote, local: local)
                if index == 3 { made.remoteAddresses.append(.prefix(Pair.prefix("198.51.100.1/32"))) }
                connections.append(made)
            }
        }
        let directory = ConnectionDirectory(connections)
        for remote in ["203.0.113.9", "203.0.113.8", "198.51.100.1", "10.0.0.1"] {
            for local in ["192.0.2.1", "192.0.2.7"] {
                let path = Path(local: Endpoint(address(local), 500), remote: Endpoint(address(remote), 500))
                #expect(directory.candidates(for: path) == ConnectionLookup(connections).candidates(for: path))
            }
        }
        for name in ["c0", "c8", "nobody"] {
            #expect(directory.connection(named: name) == connections.first { $0.name == name })
            #expect(directory.has(name) == connections.contains { $0.name == name })
        }
    }

    @Test func theClosestIdentityWinsOverTheAddress() {
        let candidates = ConfiguredConnection.list([
            connection("any"),
            connection("domain", identity: .suffix(.fqdn, ".example.net")),
            connection("exact", identity: .exactly(.fqdn("a.example.net"))),
        ])
        func name(_ peer: Identity, _ asked: Identity? = nil) -> String? {
            if case .connection(let found) = ConnectionLookup.verdict(
                among: candidates, peer: peer, asked: asked, path: path)
            {
                return found.connection.name
            }
            return nil
        }
        #expect(name(.fqdn("A.example.NET")) == "exact")
        #expect(name(.fqdn("b.example.net")) == "domain")
        #expect(name(.fqdn("b.example.org")) == "any")
        #expect(name(.fqdn("b.example.org"), .fqdn("us")) == "any")
        #expect(name(.fqdn("b.example.org"), .fqdn("them")) == nil)
    }

    @Test func whyNoneFits() {
        let candidates = ConfiguredConnection.list([connection("exact", identity: .exactly(.fqdn("a")))])
        #expect(
            ConnectionLookup.verdict(among: candidates, peer: .fqdn("b"), asked: nil, path: path)
                == .identityMismatch(expected: [.exactly(.fqdn("a"))]))
        #expect(
            ConnectionLookup.verdict(among: candidates, peer: .fqdn("a"), asked: .fqdn("them"), path: path)
                == .notUs(ours: [.fqdn("us")]))
    }
}

@Suite struct HalfOpenGovernorTests {
    private let peer = address("203.0.113.9")
    private let other = address("203.0.113.10")

    private func limits(_ threshold: Int, total: Int, perAddress: Int = 0) -> Limits {
        var limits = Limits()
        limits.cookieThreshold = threshold
        limits.halfOpenTotal = total
        limits.halfOpenPerAddress = perAddress
        return limits
    }

    private func id(_ number: UInt32) -> IKESAID { IKESAID(rawValue: number) }

    @Test func cookiesThenRefusal() {
        let limits = limits(2, total: 10, perAddress: 3)
        var governor = HalfOpenGovernor()
        #expect(governor.verdict(for: peer, limits) == .admit)
        governor.opened(id(1), from: peer, isProven: false)
        governor.opened(id(2), from: peer, isProven: false)
        governor.opened(id(3), from: peer, isProven: true)
        governor.opened(id(4), from: peer, isProven: true)
        #expect(governor.verdict(for: peer, limits) == .demandCookie)
        governor.opened(id(5), from: peer, isProven: true)
        #expect(governor.verdict(for: peer, limits) == .refuse)
        #expect(governor.verdict(for: other, limits) == .demandCookie)
        for number: UInt32 in [1, 2, 3, 4, 4, 9] { governor.closed(id(number)) }
        #expect(governor.total == 1)
        #expect(governor.verdict(for: peer, limits) == .admit)
        governor.closed(id(5))
        #expect(governor.total == 0)
    }

    @Test func whoHasTheMostMakesRoomWithHisOldest() {
        let limits = limits(.max, total: 6)
        var governor = HalfOpenGovernor()
        for number: UInt32 in 1...3 { governor.opened(id(number), from: peer, isProven: true) }
        for number: UInt32 in 4...5 { governor.opened(id(number), from: other, isProven: true) }
        #expect(governor.surplus(before: other, limits) == nil)
        governor.opened(id(6), from: address("2001:db8::1"), isProven: true)
        #expect(governor.verdict(for: other, limits) == .demandCookie, "whatever the threshold says")
        #expect(governor.surplus(before: address("2001:db8:1::1"), limits) == id(1))
        #expect(governor.surplus(before: other, limits) == id(1))
        #expect(governor.surplus(before: peer, limits) == id(1))
        governor.closed(id(2))
        governor.opened(id(7), from: address("2001:db8::2"), isProven: true)
        // Three have two each: whoever came to that first.
        #expect(governor.surplus(before: address("192.0.2.1"), limits) == id(4))
        #expect(governor.surplus(before: peer, limits) == id(1))
        #expect(governor.surplus(before: address("2001:db8::3"), limits) == id(6))
    }

    /// What it says does not depend on how often anything came and went, and is what a plain list would say.
    @Test func itKeepsCount() {
        let limits = limits(0, total: 1)
        var governor = HalfOpenGovernor()
        var entropy = SeededEntropy(seed: 7)
        var plain: [(id: IKESAID, address: IPAddress)] = []
        for number: UInt32 in 1...3_000 {
            if entropy.uint32() % 5 < 2, !plain.isEmpty {
                let gone = plain.remove(at: Int(entropy.uint32()) % plain.count)
                governor.closed(gone.id)
            } else {
                let address = IPAddress(v4: entropy.uint32() % 20)
                governor.opened(id(number), from: address, isProven: true)
                plain.append((id(number), address))
            }
            #expect(governor.total == plain.count)
            let counts = Dictionary(grouping: plain) { $0.address }.mapValues(\.count)
            guard let surplus = governor.surplus(before: peer, limits),
                let owner = plain.first(where: { $0.id == surplus })?.address
            else {
                #expect(plain.isEmpty)
                continue
            }
            #expect(counts[owner] == counts.values.max())
            #expect(plain.first { $0.address == owner }?.id == surplus, "its oldest")
        }
    }
}

@Suite struct CookieJarTests {
    private let peer = address("203.0.113.9")

    @Test func aCookieIsGoodForItsRequestOnly() {
        var entropy = SeededEntropy(seed: 3)
        var jar = CookieJar()
        let cookie = jar.cookie(nonce: [1, 2], address: peer, spi: 7, now: .zero, &entropy)
        #expect((1...64).contains(cookie.count))
        #expect(jar.accepts(cookie, nonce: [1, 2], address: peer, spi: 7, now: .zero))
        #expect(!jar.accepts(cookie, nonce: [1, 3], address: peer, spi: 7, now: .zero))
        #expect(!jar.accepts(cookie, nonce: [1, 2], address: address("203.0.113.8"), spi: 7, now: .zero))
        #expect(!jar.accepts(cookie, nonce: [1, 2], address: peer, spi: 8, now: .zero))
        #expect(!jar.accepts([], nonce: [1, 2], address: peer, spi: 7, now: .zero))
        #expect(!jar.accepts(cookie.dropLast() + [0], nonce: [1, 2], address: peer, spi: 7, now: .zero))
    }

    @Test func cookiesOfTheSecretBeforeAreGoodAndThenNoMore() {
        var entropy = SeededEntropy(seed: 3)
        var jar = CookieJar()
        func time(_ seconds: Int64) -> Instant { .zero + .seconds(seconds) }
        let first = jar.cookie(nonce: [1], address: peer, spi: 7, now: time(0), &entropy)
        let second = jar.cookie(nonce: [1], address: peer, spi: 7, now: time(70), &entropy)
        #expect(first != second)
        #expect(jar.accepts(first, nonce: [1], address: peer, spi: 7, now: time(71)))
        #expect(jar.accepts(second, nonce: [1], address: peer, spi: 7, now: time(71)))
        #expect(!jar.accepts(first, nonce: [1], address: peer, spi: 7, now: time(121)))
        _ = jar.cookie(nonce: [1], address: peer, spi: 7, now: time(140), &entropy)
        #expect(!jar.accepts(first, nonce: [1], address: peer, spi: 7, now: time(140)))
        #expect(jar.accepts(second, nonce: [1], address: peer, spi: 7, now: time(140)))
    }
}

@Suite struct SPIAllocatorTests {
    @Test func indicesAreUniqueAndComeBackLate() {
        var entropy = SeededEntropy(seed: 3)
        var allocator = SPIAllocator(capacity: 5)
        var spis: [UInt32] = []
        while let spi = allocator.allocate(&entropy) { spis.append(spi) }
        #expect(spis.map { SPILayout.index(of: $0) } == [1, 2, 3, 4])
        #expect(spis.allSatisfy { $0 > 255 })
        allocator.release(spis[2])
        allocator.release(spis[0])
        allocator.release(spis[0])
        #expect(allocator.count == 2)
        #expect(allocator.allocate(&entropy).map { SPILayout.index(of: $0) } == 3)
        #expect(allocator.allocate(&entropy).map { SPILayout.index(of: $0) } == 1)
        #expect(allocator.allocate(&entropy) == nil)
    }
}
