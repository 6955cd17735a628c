import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// The configuration payload between two engines (RFC 7296 §2.19, §3.15).
@Suite struct VirtualAddressTests {
    private static let virtual = IPAddress(v4: 0x0a03_0001)
    private static let virtual6 = IPAddress("fd03::1") ?? .unspecified(.v6)

    /// The left asks for addresses and tunnels from them; the right lends and protects 10.2.0.0/16.
    private static func pair(
        vips: [IPAddress] = [.unspecified(.v4)], pools: [String] = ["p"], lends: [Answer] = [lease()],
        uniqueness: Connection.Uniqueness = .no, seed: UInt64 = 1
    ) -> Pair {
        var left = Pair.connection()
        left.virtualAddresses = vips
        left.children[0].localSelectors = [.dynamic]
        var right = Pair.connection(isLeft: false)
        right.pools = pools
        right.uniqueness = uniqueness
        right.children[0].remoteSelectors = [.dynamic]
        let pair = Pair(left: left, right: right, seed: seed)
        pair.right.lends = lends
        return pair
    }

    private static func lease(
        _ addresses: [IPAddress] = [virtual], _ attributes: [HostAttribute] = []
    ) -> Answer {
        .leased(
            Lease(
                identity: .fqdn("left.example"), loans: addresses.map { Lease.Loan(pool: "p", address: $0) },
                attributes: attributes))
    }

    private static func added(_ gateway: Gateway) -> [IPAddress] {
        gateway.plane.compactMap { if case .addAddress(let address, _) = $0 { address } else { nil } }
    }

    private static func removed(_ gateway: Gateway) -> [IPAddress] {
        gateway.plane.compactMap { if case .removeAddress(let address, _) = $0 { address } else { nil } }
    }

    private static func selectors(_ gateway: Gateway) -> (local: [String], remote: [String])? {
        gateway.installed.first.map {
            ($0.localSelectors.map(\.description), $0.remoteSelectors.map(\.description))
        }
    }

    @Test func aClientGetsAnAddressAndTunnelsFromIt() throws {
        let pair = Self.pair()
        pair.connect()
        #expect(pair.left.refusals == [] && pair.right.refusals == [])
        let left = try #require(Self.selectors(pair.left))
        let right = try #require(Self.selectors(pair.right))
        #expect(left.local == ["10.3.0.1/32"] && left.remote == ["10.2.0.0/16"])
        #expect(right.local == ["10.2.0.0/16"] && right.remote == ["10.3.0.1/32"])
        #expect(Self.added(pair.left) == [Self.virtual] && Self.added(pair.right) == [])
        #expect(pair.left.summary?.localVirtualAddresses == [Self.virtual])
        #expect(pair.right.summary?.remoteVirtualAddresses == [Self.virtual])
        // The address is there before packets are led to the tunnel: routes name it as their source.
        let order = pair.left.plane.map { command in
            switch command {
            case .addAddress: "address"
            case .protect: "protect"
            default: ""
            }
        }.filter { !$0.isEmpty }
        #expect(order == ["address", "protect"])
    }

    @Test func bothFamiliesAtOnce() throws {
        let pair = Self.pair(
            vips: [.unspecified(.v4), .unspecified(.v6)], lends: [Self.lease([Self.virtual, Self.virtual6])])
        pair.connect()
        #expect(Self.selectors(pair.left)?.local == ["10.3.0.1/32", "fd03::1/128"])
        #expect(Self.selectors(pair.right)?.remote == ["10.3.0.1/32", "fd03::1/128"])
        #expect(Self.added(pair.left) == [Self.virtual, Self.virtual6])
    }

    @Test func theEndGivesEverythingBack() {
        let pair = Self.pair()
        pair.connect()
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(Self.removed(pair.left) == [Self.virtual])
        #expect(pair.right.released.map(\.addresses) == [[Self.virtual]])
        #expect(pair.left.isEmpty && pair.right.isEmpty)
        #expect(
            pair.left.kinds.contains { if case .hostUnconfigured = $0 { true } else { false } })
    }

    /// A new IKE SA in place of the old one has its addresses; they are given back once, at the end.
    @Test func addressesOutliveTheirIKESA() {
        let pair = Self.pair()
        pair.connect()
        pair.left.handle(.command(.rekey(.connection("net"))))
        pair.run()
        #expect(pair.left.endpoint.counts.ikeSAs == 1)
        #expect(pair.left.summary?.localVirtualAddresses == [Self.virtual])
        #expect(pair.right.summary?.remoteVirtualAddresses == [Self.virtual])
        #expect(Self.removed(pair.left) == [] && pair.right.released == [])
        // A further Child SA is tunnelled from the same address.
        pair.left.handle(.command(.terminate(.child("net", connection: nil))))
        pair.run()
        pair.initiate("net")
        pair.run()
        #expect(pair.left.installed.suffix(2).allSatisfy { $0.localSelectors.map(\.description) == ["10.3.0.1/32"] })
        pair.right.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(Self.removed(pair.left) == [Self.virtual])
        #expect(pair.right.released.count == 1)
        #expect(pair.left.isEmpty && pair.right.isEmpty)
    }

    @Test func aFullPoolIsSaidInPlainWords() {
        let pair = Self.pair(lends: [.noLease("all 254 addresses of pool 'p' are in use")])
        pair.connect()
        #expect(
            pair.right.refusals == [
                .noLease(
                    identity: .fqdn("left.example"), wanted: [IPPrefix(host: .unspecified(.v4))],
                    reason: "all 254 addresses of pool 'p' are in use")
            ])
        guard case .byPeer(36, "INTERNAL_ADDRESS_FAILURE", "IKE_AUTH", _)? = pair.left.refusals.first else {
            Issue.record("\(pair.left.refusals)")
            return
        }
        #expect(pair.left.installed.isEmpty && pair.right.installed.isEmpty)
        #expect(pair.left.summary?.state == .established, "the IKE SA is up all the same")
    }

    @Test func aGatewayWithoutPoolsRefuses() {
        let pair = Self.pair(pools: [], lends: [])
        pair.connect()
        guard case .noLease(_, _, "the connection has no `pools`")? = pair.right.refusals.first,
            case .byPeer(36, _, _, _)? = pair.left.refusals.first
        else {
            Issue.record("\(pair.right.refusals) \(pair.left.refusals)")
            return
        }
    }

    @Test func whoHasToAskAndDoesNotIsTold() {
        let pair = Self.pair(vips: [])
        pair.connect()
        guard case .noLease(_, [], _)? = pair.right.refusals.first,
            case .byPeer(37, "FAILED_CP_REQUIRED", _, _)? = pair.left.refusals.first
        else {
            Issue.record("\(pair.right.refusals) \(pair.left.refusals)")
            return
        }
        #expect(pair.right.installed.isEmpty)
    }

    @Test func whatGoesWithTheAddressArrives() throws {
        let attributes: [(UInt16, [UInt8])] = [
            (3, [10, 2, 0, 53]), (3, [10, 2, 0, 53]), (3, [127, 0, 0, 1]), (3, [1, 2, 3]), (4, [10, 2, 0, 54]),
            (2, [255, 255, 255, 0]), (13, [10, 2, 0, 0, 255, 255, 0, 0]), (25, Array("corp.example.".utf8)),
            (26, [0, 1, 8, 2, 0xff]), (25, Array("bad\nname".utf8)), (25, Array("..".utf8)),
            (10, [UInt8](repeating: 0xfd, count: 16)), (18, [UInt8](repeating: 0xfd, count: 16) + [64]), (31_000, [1]),
        ]
        let pair = Self.pair(
            lends: [Self.lease([Self.virtual], attributes.map { HostAttribute(type: $0.0, value: $0.1) })])
        pair.connect()
        var settings: HostSettings?
        for case .hostConfigured(let found) in pair.left.kinds { settings = found }
        let found = try #require(settings)
        #expect(found.addresses == [Self.virtual])
        #expect(found.nameServers.map(\.description) == ["10.2.0.53", "fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd"])
        #expect(found.netBIOSServers.map(\.description) == ["10.2.0.54"])
        #expect(found.netmask?.description == "255.255.255.0")
        #expect(found.subnets.map(\.description) == ["10.2.0.0/16"])
        #expect(found.domains == [HostSettings.Domain(name: "corp.example", trustAnchors: [[0, 1, 8, 2, 0xff]])])
        #expect(found.prefixes == [], "nobody has asked for one")
    }

    /// Addresses that no host can have, and of a family that we did not ask for.
    @Test(arguments: ["0.0.0.0", "127.0.0.1", "255.255.255.255", "224.0.0.1"])
    func aHostileAddressIsNotTaken(address: String) throws {
        let pair = Self.pair(lends: [Self.lease([try #require(IPAddress(address))])])
        pair.connect()
        #expect(Self.added(pair.left) == [])
        #expect(pair.left.refusals == [.noVirtualAddress(wanted: [IPPrefix(host: .unspecified(.v4))])])
        #expect(pair.left.endpoint.counts.childSAs == 0 && pair.right.endpoint.counts.childSAs == 0)
    }

    /// The way to the gateway would lead nowhere with one of its ends as ours.
    @Test(arguments: [Pair.leftAddress, Pair.rightAddress])
    func anEndOfTheWayIsNoVirtualAddress(address: IPAddress) {
        let pair = Self.pair(lends: [Self.lease([address])])
        pair.connect()
        #expect(Self.added(pair.left) == [])
        #expect(pair.left.refusals == [.noVirtualAddress(wanted: [IPPrefix(host: .unspecified(.v4))])])
    }

    /// What an older IKE SA of the client has is for the new one only when the older one ends then.
    @Test(arguments: [Connection.Uniqueness.never, .no, .replace], [true, false])
    func addressesGoOverToASuccessorAlone(_ policy: Connection.Uniqueness, _ hasOlder: Bool) {
        let pair = Self.pair(lends: [Self.lease(), Self.lease()], uniqueness: policy)
        if hasOlder { pair.connect() }
        pair.right.effects = []
        // Another device that is the same client, and says INITIAL_CONTACT.
        let second = Self.pair(seed: 77)
        second.left.path = pair.left.path
        second.initiate()
        for _ in 0..<6 {
            for datagram in second.left.takeOutbox() { pair.right.handle(.datagram(datagram.asSeenByTheOther)) }
            for datagram in pair.right.takeOutbox() { second.left.handle(.datagram(datagram.asSeenByTheOther)) }
        }
        let requests = pair.right.effects.compactMap { effect -> LeaseRequest? in
            if case .ask(_, .lease(let request)) = effect { request } else { nil }
        }
        #expect(requests.map(\.replacesOlder) == [hasOlder && policy != .never])
    }

    @Test func anAddressThatNobodyAskedForIsNotTaken() {
        let pair = Self.pair(lends: [Self.lease([Self.virtual6])])
        pair.connect()
        #expect(Self.added(pair.left) == [] && pair.left.summary?.localVirtualAddresses == [])
        #expect(pair.left.endpoint.counts.childSAs == 0 && pair.right.endpoint.counts.childSAs == 0)
    }

    /// A lease that comes when nobody waits any more goes back.
    @Test func aLateLeaseGoesBack() throws {
        let pair = Self.pair()
        pair.right.answersAtOnce = false
        pair.initiate()
        pair.run()
        // Verification, then our proof, are answered; the lease is not.
        for _ in 0..<2 {
            let (ticket, query) = try #require(pair.right.questions.first)
            pair.right.questions.removeFirst()
            pair.right.handle(.answer(ticket, pair.right.answer(query)))
        }
        let (ticket, query) = try #require(pair.right.questions.first)
        guard case .lease(let request) = query else {
            Issue.record("\(query)")
            return
        }
        #expect(request.identity == .fqdn("left.example") && request.pools == ["p"])
        pair.right.handle(.command(.terminate(.connection("net"))))
        pair.right.handle(.answer(ticket, Self.lease()))
        #expect(pair.right.released.count == 1)
        #expect(pair.right.isEmpty)
    }

    /// A lease that never comes is a refusal like any other.
    @Test func noAnswerIsNoAddress() throws {
        let pair = Self.pair()
        pair.right.answersAtOnce = false
        pair.initiate()
        pair.run()
        for _ in 0..<2 {
            let (ticket, query) = try #require(pair.right.questions.first)
            pair.right.questions.removeFirst()
            pair.right.handle(.answer(ticket, pair.right.answer(query)))
        }
        pair.advance(.seconds(31))
        guard case .byPeer(36, _, _, _)? = pair.left.refusals.first else {
            Issue.record("\(pair.left.refusals)")
            return
        }
        #expect(pair.right.endpoint.counts.openTickets == 0)
    }

    /// A gateway that agrees to everything that was offered before the address was known.
    @Test func aWideAnswerIsNarrowed() {
        let pair = Self.pair()
        pair.right.handle(
            .configuration(
                {
                    var right = Pair.connection(isLeft: false)
                    right.pools = ["p"]
                    right.children[0].remoteSelectors = [SelectorTemplate(.everything(.v4))]
                    return Configuration(connections: [right])
                }()))
        pair.connect()
        #expect(Self.selectors(pair.left)?.local == ["10.3.0.1/32"])
        #expect(Self.selectors(pair.right)?.remote == ["0.0.0.0/0"])
    }
}
