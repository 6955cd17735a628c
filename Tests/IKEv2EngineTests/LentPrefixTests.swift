import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import StateRecords
import Testing
import WireFormat

@testable import IKEv2Engine

/// IPv6 prefixes that clients ask for and are lent (RFC 5739).
@Suite struct LentPrefixTests {
    private static let any = Pair.prefix("::/64")
    private static let first = Pair.prefix("2001:db8:100:1::/64")
    private static let second = Pair.prefix("2001:db8:100:2::/64")
    private static let address = IPAddress(v4: 0x0a03_0001)

    private static func left(_ wanted: [IPPrefix], _ vips: [IPAddress]) -> Connection {
        var left = Pair.connection()
        left.virtualPrefixes = wanted
        left.virtualAddresses = vips
        left.children[0].localSelectors = [.dynamic]
        left.children[0].remoteSelectors = [
            SelectorTemplate(Pair.prefix("10.2.0.0/16")), SelectorTemplate(Pair.prefix("fd02::/64")),
        ]
        return left
    }

    private static func right() -> Connection {
        var right = Pair.connection(isLeft: false)
        right.pools = ["p"]
        right.uniqueness = .no
        right.children[0].localSelectors = left([], []).children[0].remoteSelectors
        right.children[0].remoteSelectors = [.dynamic]
        return right
    }

    private static func pair(
        _ wanted: [IPPrefix] = [any], vips: [IPAddress] = [], lends: [Answer], seed: UInt64 = 1
    ) -> Pair {
        let pair = Pair(left: left(wanted, vips), right: right(), seed: seed)
        pair.right.lends = lends
        return pair
    }

    private static func lease(
        _ prefixes: [IPPrefix], _ addresses: [IPAddress] = [], _ attributes: [HostAttribute] = []
    ) -> Answer {
        var lease = Lease(
            identity: .fqdn("left.example"), loans: addresses.map { Lease.Loan(pool: "p", address: $0) },
            attributes: attributes)
        lease.prefixLoans = prefixes.map { Lease.PrefixLoan(pool: "p", prefix: $0) }
        return .leased(lease)
    }

    private static func requests(_ gateway: Gateway) -> [LeaseRequest] {
        gateway.effects.compactMap { if case .ask(_, .lease(let request)) = $0 { request } else { nil } }
    }

    private static func local(_ gateway: Gateway) -> Set<[String]> {
        Set(gateway.installed.map { $0.localSelectors.map(\.description) })
    }

    private static func remote(_ gateway: Gateway) -> Set<[String]> {
        Set(gateway.installed.map { $0.remoteSelectors.map(\.description) })
    }

    @Test func aClientTunnelsFromItsPrefix() {
        let pair = Self.pair(lends: [Self.lease([Self.first])])
        pair.connect()
        #expect(pair.left.refusals == [] && pair.right.refusals == [])
        #expect(Self.requests(pair.right).map(\.wantedPrefixes) == [[Self.any]])
        #expect(Self.requests(pair.right).map(\.wanted) == [[]])
        #expect(Self.local(pair.left) == [["2001:db8:100:1::/64"]])
        #expect(Self.remote(pair.right) == [["2001:db8:100:1::/64"]])
        #expect(pair.left.summary?.localPrefixes == [Self.first])
        #expect(pair.right.summary?.remotePrefixes == [Self.first])
        let hasAddress = pair.left.plane.contains { if case .addAddress = $0 { true } else { false } }
        #expect(!hasAddress, "which host has which address of it is the client's business")
    }

    @Test func anAddressAndAPrefix() {
        let pair = Self.pair(vips: [.unspecified(.v4)], lends: [Self.lease([Self.first], [Self.address])])
        pair.connect()
        #expect(Self.local(pair.left) == [["10.3.0.1/32", "2001:db8:100:1::/64"]])
        #expect(Self.remote(pair.right) == [["10.3.0.1/32", "2001:db8:100:1::/64"]])
    }

    /// Two clients at one gateway: neither may send from the other's.
    @Test func twoClientsHavePrefixesOfTheirOwn() {
        let pair = Self.pair(lends: [Self.lease([Self.first]), Self.lease([Self.second])])
        pair.connect()
        let other = Self.pair(lends: [], seed: 77)
        other.left.path = pair.left.path
        other.initiate()
        for _ in 0..<6 {
            for datagram in other.left.takeOutbox() { pair.right.handle(.datagram(datagram.asSeenByTheOther)) }
            for datagram in pair.right.takeOutbox() { other.left.handle(.datagram(datagram.asSeenByTheOther)) }
        }
        #expect(pair.right.endpoint.counts.childSAs == 2)
        #expect(Self.remote(pair.right) == [["2001:db8:100:1::/64"], ["2001:db8:100:2::/64"]])
        #expect(Self.local(pair.left) == [["2001:db8:100:1::/64"]])
        #expect(Self.local(other.left) == [["2001:db8:100:2::/64"]])
    }

    @Test func whoAsksForNoneGetsNone() {
        let pair = Self.pair([], vips: [.unspecified(.v4)], lends: [Self.lease([], [Self.address])])
        pair.connect()
        #expect(Self.requests(pair.right).map(\.wantedPrefixes) == [[]])
        #expect(Self.local(pair.left) == [["10.3.0.1/32"]] && pair.right.summary?.remotePrefixes == [])
        // Nor does it take one that it is given all the same.
        let generous = Self.pair([], vips: [.unspecified(.v4)], lends: [Self.lease([Self.first], [Self.address])])
        generous.connect()
        #expect(Self.local(generous.left) == [["10.3.0.1/32"]] && generous.left.summary?.localPrefixes == [])
    }

    @Test func theEndGivesItBack() {
        let pair = Self.pair(lends: [Self.lease([Self.first])])
        pair.connect()
        pair.left.handle(.command(.rekey(.connection("net"))))
        pair.run()
        #expect(pair.left.summary?.localPrefixes == [Self.first] && pair.right.released == [])
        // A further Child SA has it as well.
        pair.left.handle(.command(.terminate(.child("net", connection: nil))))
        pair.run()
        pair.initiate("net")
        pair.run()
        #expect(pair.left.installed.count == 4 && Self.local(pair.left) == [["2001:db8:100:1::/64"]])
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(pair.right.released.map(\.prefixes) == [[Self.first]])
        #expect(pair.left.isEmpty && pair.right.isEmpty)
    }

    @Test func whenThereIsNoneTheClientIsRefused() {
        let pair = Self.pair(lends: [.noLease("all 4 prefixes of pool 'p' are in use")])
        pair.connect()
        #expect(
            pair.right.refusals == [
                .noLease(
                    identity: .fqdn("left.example"), wanted: [Self.any], reason: "all 4 prefixes of pool 'p' are in use"
                )
            ])
        guard case .byPeer(36, "INTERNAL_ADDRESS_FAILURE", _, _)? = pair.left.refusals.first else {
            Issue.record("\(pair.left.refusals)")
            return
        }
        #expect(pair.right.endpoint.counts.childSAs == 0)
    }

    /// No more than was asked for, and nothing that no host can have.
    @Test(arguments: ["2001:db8::/32", "2000::/3", "::/64", "ff02::/64"])
    func aHostilePrefixIsNotTaken(prefix: String) {
        let pair = Self.pair(lends: [Self.lease([Pair.prefix(prefix)])])
        pair.connect()
        #expect(pair.left.refusals == [.noVirtualAddress(wanted: [Self.any])])
        #expect(pair.left.summary?.localPrefixes == [] && pair.left.endpoint.counts.childSAs == 0)
    }

    @Test func aLongerOneIsTaken() {
        let pair = Self.pair([Pair.prefix("::/56")], lends: [Self.lease([Self.first])])
        pair.connect()
        #expect(pair.left.summary?.localPrefixes == [Self.first] && pair.left.endpoint.counts.childSAs == 1)
    }

    /// What has no value asks for any (RFC 7296 §3.15.1).
    @Test func anEmptyRequest() throws {
        let pair = Self.pair(lends: [])
        pair.connect()
        let session = try #require(pair.right.endpoint.inOrder.first?.context)
        var effects = Effects()
        pair.right.endpoint.inTurn(&pair.right.environment, &effects) { turn in
            let request = ConfigurationPayload(.request, [ConfigurationAttribute(.internalIP6Prefix)])
            let question = session.leaseRequest(request, .fqdn("left.example"), turn)
            #expect(question?.wantedPrefixes == [.everything(.v6)] && question?.wanted == [])
        }
    }

    /// The new IKE SA asks for what the old one has.
    @Test func reauthenticationAsksForTheSame() {
        var left = Self.left([Self.any], [])
        left.reauthTime = .minutes(60)
        left.rekeyTime = .zero
        left.makesBeforeBreaking = true
        let pair = Pair(left: left, right: Self.right())
        pair.right.lends = [Self.lease([Self.first]), Self.lease([Self.first])]
        pair.connect()
        pair.advance(.minutes(61))
        #expect(Self.requests(pair.right).map(\.wantedPrefixes) == [[Self.any], [Self.first]])
        #expect(Self.local(pair.left) == [["2001:db8:100:1::/64"]])
        #expect(pair.left.endpoint.counts.childSAs == 1 && pair.right.released.count == 1)
    }

    private static func takeOver(
        _ endpoint: IKEv2Endpoint, _ connection: Connection, _ environment: inout Environment
    ) throws -> IKEv2Endpoint {
        let writer = RecordWriter()
        _ = endpoint.handOver(to: writer)
        let next = IKEv2Endpoint(configuration: Configuration(connections: [connection]))
        var effects = Effects()
        let octets = writer.buffer.withSpan { span in span.indices.map { span[$0] } }
        var reader = RecordReader(SecretBytes(octets), version: 1)
        try next.takeOver(from: &reader, &environment, &effects)
        return next
    }

    /// The next process gives back what this one has lent.
    @Test func aHandoverKeepsIt() throws {
        let pair = Self.pair(lends: [Self.lease([Self.first])])
        pair.connect()
        var environment = Environment(now: pair.now, entropy: SeededEntropy(seed: 9))
        let next = try Self.takeOver(pair.right.endpoint, Self.right(), &environment)
        #expect(next.summaries().first?.remotePrefixes == [Self.first])
        var effects = Effects()
        next.handle(.command(.terminate(.connection("net"))), &environment, &effects)
        // Nobody answers it.
        for _ in 0..<20 {
            guard let due = next.nextDeadline else { break }
            environment.now = max(environment.now, due)
            next.handle(.deadline, &environment, &effects)
        }
        let released = effects.take().compactMap { if case .release(let lease) = $0 { lease } else { nil } }
        #expect(released.map(\.prefixes) == [[Self.first]])
    }

    /// So does a client's, which has lent nothing, and knows what to ask for again.
    @Test func aClientsHandoverKeepsIt() throws {
        let pair = Self.pair(lends: [Self.lease([Self.first])])
        pair.connect()
        let context = try #require(pair.left.endpoint.inOrder.first?.context)
        context.reauthentication.prefixes = [Self.first]
        var environment = Environment(now: pair.now, entropy: SeededEntropy(seed: 9))
        let next = try Self.takeOver(pair.left.endpoint, Self.left([Self.any], []), &environment)
        #expect(next.summaries().first?.localPrefixes == [Self.first])
        #expect(next.inOrder.first?.context.reauthentication.prefixes == [Self.first])
    }
}
