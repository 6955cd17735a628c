import GatewayModel
import IKECore
import NetworkTypes
import StateRecords
import Testing
import WireFormat

@testable import Gateway

/// Who gets which address of a pool.
@Suite struct LeaseStoreTests {
    private static let carol = Identity.fqdn("carol")
    private static let dave = Identity.fqdn("dave")
    private static let erin = Identity.fqdn("erin")

    private static func pool(_ name: String, _ lower: String, _ upper: String) throws -> AddressPool {
        let ends = (try #require(IPAddress(lower)), try #require(IPAddress(upper)))
        let range = try #require(AddressRange(ends.0, ends.1))
        return AddressPool(
            name: name, base: "\(lower)-\(upper)", addresses: range,
            attributes: [
                HostAttribute(type: 3, value: [10, 1, 0, 53]), HostAttribute(type: 7, value: Array(name.utf8)),
            ])
    }

    private static func ask(
        _ store: inout LeaseStore, _ identity: Identity, _ wanted: [String] = ["0.0.0.0"], pools: [String] = ["p"],
        replacesOlder: Bool = false
    ) -> Lease? {
        let answer = store.lease(
            LeaseRequest(
                connection: "net", pools: pools, identity: identity, wanted: wanted.compactMap { IPAddress($0) },
                replacesOlder: replacesOlder))
        if case .leased(let lease) = answer { return lease }
        return nil
    }

    private static func addresses(_ lease: Lease?) -> [String] { lease?.addresses.map(\.description) ?? [] }

    /// As swanctl shows it: no length, no end.
    @Test(arguments: [("10.3.0.0/28", "10.3.0.0"), ("10.3.0.1-10.3.0.9", "10.3.0.1"), ("fd03::/120", "fd03::")])
    func aPoolsBaseIsAnAddress(written: String, told: String) {
        #expect(PoolSummary(name: "p", base: written, size: 1, online: 0, offline: 0, entries: []).baseAddress == told)
    }

    @Test func addressesAreLentFromTheLowestOn() throws {
        var store = LeaseStore([try Self.pool("p", "10.3.0.1", "10.3.0.3")])
        let carol = Self.ask(&store, Self.carol)
        #expect(Self.addresses(carol) == ["10.3.0.1"])
        #expect(carol?.attributes.map(\.type) == [3, 7])
        #expect(Self.addresses(Self.ask(&store, Self.dave)) == ["10.3.0.2"])
        // Two IKE SAs of one client at once.
        #expect(Self.addresses(Self.ask(&store, Self.carol)) == ["10.3.0.3"])
        #expect(store.summaries.first?.online == 3)
    }

    @Test func whoComesBackGetsTheSameAddress() throws {
        var store = LeaseStore([try Self.pool("p", "10.3.0.1", "10.3.0.3")])
        let carol = try #require(Self.ask(&store, Self.carol))
        let dave = try #require(Self.ask(&store, Self.dave))
        store.release(carol)
        store.release(dave)
        #expect(store.summaries.first?.offline == 2 && store.summaries.first?.online == 0)
        #expect(Self.addresses(Self.ask(&store, Self.dave)) == ["10.3.0.2"])
        #expect(Self.addresses(Self.ask(&store, Self.erin)) == ["10.3.0.3"])
        #expect(Self.addresses(Self.ask(&store, Self.carol)) == ["10.3.0.1"])
    }

    @Test func theLongestAbsentMakesRoom() throws {
        var store = LeaseStore([try Self.pool("p", "10.3.0.1", "10.3.0.2")])
        let carol = try #require(Self.ask(&store, Self.carol))
        let dave = try #require(Self.ask(&store, Self.dave))
        store.release(dave)
        store.release(carol)
        #expect(Self.addresses(Self.ask(&store, Self.erin)) == ["10.3.0.2"], "dave left first")
        #expect(Self.addresses(Self.ask(&store, Self.carol)) == ["10.3.0.1"])
        #expect(Self.ask(&store, Self.dave) == nil)
    }

    @Test func aFullPoolSaysSo() throws {
        var store = LeaseStore([try Self.pool("p", "10.3.0.1", "10.3.0.1"), try Self.pool("six", "fd03::1", "fd03::2")])
        _ = Self.ask(&store, Self.carol)
        let request = LeaseRequest(
            connection: "net", pools: ["p", "six", "gone"], identity: Self.dave, wanted: [.unspecified(.v4)])
        guard case .noLease(let reason) = store.lease(request) else {
            Issue.record("an address of a full pool")
            return
        }
        #expect(
            reason == "all 1 addresses of pool 'p' are in use; pool 'six' has no IPv4 addresses; "
                + "there is no pool 'gone' any more")
    }

    @Test func bothFamiliesAndTheNextPool() throws {
        var store = LeaseStore([
            try Self.pool("a", "10.3.0.1", "10.3.0.1"), try Self.pool("b", "10.4.0.1", "10.4.0.9"),
            try Self.pool("six", "fd03::1", "fd03::f"),
        ])
        let pools = ["a", "b", "six"]
        #expect(
            Self.addresses(Self.ask(&store, Self.carol, ["0.0.0.0", "::"], pools: pools)) == ["10.3.0.1", "fd03::1"])
        let dave = Self.ask(&store, Self.dave, ["::", "0.0.0.0"], pools: pools)
        #expect(Self.addresses(dave) == ["fd03::2", "10.4.0.1"])
        #expect(dave?.attributes.count == 3, "what both pools say is said once: \(String(describing: dave))")
    }

    @Test func aWishIsGrantedWhereItHarmsNobody() throws {
        var store = LeaseStore([try Self.pool("p", "10.3.0.1", "10.3.0.9")])
        let carol = try #require(Self.ask(&store, Self.carol, ["10.3.0.7"]))
        #expect(Self.addresses(carol) == ["10.3.0.7"])
        #expect(Self.addresses(Self.ask(&store, Self.dave, ["10.3.0.7"])) == ["10.3.0.1"])
        #expect(Self.addresses(Self.ask(&store, Self.erin, ["192.0.2.1"])) == ["10.3.0.2"], "not of the pool")
        // The same client asks for the same once more: it is about to end its older IKE SA.
        #expect(Self.addresses(Self.ask(&store, Self.carol, ["10.3.0.7"])) == ["10.3.0.7"])
        store.release(carol)
        #expect(store.summaries.first?.online == 3, "the younger IKE SA still has it")
        store.release(carol)
        #expect(store.summaries.first?.online == 2)
    }

    @Test func aReplacementTakesTheAddressOver() throws {
        var store = LeaseStore([try Self.pool("p", "10.3.0.1", "10.3.0.9")])
        _ = Self.ask(&store, Self.carol)
        #expect(Self.addresses(Self.ask(&store, Self.carol, replacesOlder: true)) == ["10.3.0.1"])
    }

    @Test func theCursorGoesRound() throws {
        var store = LeaseStore([try Self.pool("p", "255.255.255.254", "255.255.255.255")])
        for round in 0..<5 {
            let lease = try #require(Self.ask(&store, Identity.fqdn("client \(round)")))
            store.release(lease)
        }
        #expect(store.summaries.first?.offline == 2)
    }

    @Test func whatIsRememberedIsBounded() throws {
        var store = LeaseStore([try Self.pool("p", "fd03::", "fd03::ffff:ffff:ffff")])
        for client in 0..<70_000 {
            let lease = try #require(Self.ask(&store, Identity.fqdn("c\(client)"), ["::"]))
            store.release(lease)
        }
        #expect(store.summaries.first?.offline == 65_536)
        #expect(store.summaries.first?.entries.first?.identity == Identity.fqdn("c4464"))
    }

    /// A pool that grows, or is moved a little, lends to nobody what somebody has.
    @Test func anotherRangeKeepsTheLeasesInIt() throws {
        var store = LeaseStore([try Self.pool("p", "10.3.0.1", "10.3.0.9")])
        let carol = try #require(Self.ask(&store, Self.carol))
        let dave = try #require(Self.ask(&store, Self.dave))
        let erin = try #require(Self.ask(&store, Self.erin))
        store.release(dave)
        store.replace([try Self.pool("p", "10.3.0.1", "10.3.0.2")])
        #expect(store.summaries.map(\.online) == [1] && store.summaries.map(\.offline) == [1])
        store.release(erin)
        #expect(Self.addresses(Self.ask(&store, Self.erin)) == ["10.3.0.2"], "whom nobody has is lent to another")
        #expect(Self.ask(&store, Self.dave) == nil, "carol is there")
        store.release(carol)
        #expect(Self.addresses(Self.ask(&store, Self.carol)) == ["10.3.0.1"])
    }

    // MARK: Prefixes

    private static func lender(_ block: String, length: Int = 64, addresses: AddressRange? = nil) throws -> AddressPool
    {
        let whole = try #require(IPPrefix(block))
        let stock = try #require(PrefixStock(whole, length: length))
        return AddressPool(name: "p", base: block, addresses: addresses, prefixes: stock)
    }

    private static func prefix(
        _ store: inout LeaseStore, _ identity: Identity, _ wanted: String = "::/64", addresses: [IPAddress] = []
    ) throws -> Lease? {
        var request = LeaseRequest(connection: "net", pools: ["p"], identity: identity, wanted: addresses)
        request.wantedPrefixes = [try #require(IPPrefix(wanted))]
        if case .leased(let lease) = store.lease(request) { return lease }
        return nil
    }

    private static func text(_ lease: Lease?) -> [String] { lease?.prefixes.map(\.description) ?? [] }

    @Test func eachClientGetsAPrefixOfItsOwn() throws {
        var store = LeaseStore([try Self.lender("2001:db8:100::/48")])
        let carol = try #require(try Self.prefix(&store, Self.carol))
        let dave = try #require(try Self.prefix(&store, Self.dave))
        #expect(Self.text(carol) == ["2001:db8:100::/64"] && Self.text(dave) == ["2001:db8:100:1::/64"])
        store.release(carol)
        store.release(dave)
        #expect(Self.text(try Self.prefix(&store, Self.erin)) == ["2001:db8:100:2::/64"], "theirs are kept for them")
        #expect(Self.text(try Self.prefix(&store, Self.dave)) == ["2001:db8:100:1::/64"])
        // What it would like to have, by any address in it.
        #expect(Self.text(try Self.prefix(&store, .fqdn("frank"), "2001:db8:100:7::9/128")) == ["2001:db8:100:7::/64"])
        let shown = try #require(store.summaries.first?.prefixes)
        #expect(shown.size == 65_536 && shown.entries.map(\.isOnline) == [false, true, true, true])
    }

    @Test func whoAsksForNoPrefixGetsNone() throws {
        let range = AddressRange(try #require(IPAddress("10.3.0.1")), try #require(IPAddress("10.3.0.9")))
        var store = LeaseStore([try Self.lender("fd00::/48", addresses: range)])
        let carol = Self.ask(&store, Self.carol)
        #expect(Self.addresses(carol) == ["10.3.0.1"] && carol?.prefixes == [] && carol?.shortfall == nil)
        let dave = try Self.prefix(&store, Self.dave, addresses: [.unspecified(.v4)])
        #expect(Self.addresses(dave) == ["10.3.0.2"] && Self.text(dave) == ["fd00::/64"])
        #expect(store.summaries.first?.online == 2 && store.summaries.first?.prefixes?.entries.count == 1)
    }

    /// Whoever gets an address all the same is told in the log; whoever gets nothing is refused.
    @Test func prefixesThatAreAllInUse() throws {
        let range = AddressRange(try #require(IPAddress("10.3.0.1")), try #require(IPAddress("10.3.0.9")))
        var store = LeaseStore([try Self.lender("fd00::/63", addresses: range)])
        let carol = try #require(try Self.prefix(&store, Self.carol))
        _ = try Self.prefix(&store, Self.dave)
        let erin = try #require(try Self.prefix(&store, Self.erin, addresses: [.unspecified(.v4)]))
        #expect(Self.addresses(erin) == ["10.3.0.1"] && erin.prefixes == [])
        #expect(erin.shortfall == "all 2 prefixes of pool 'p' are in use")
        var request = LeaseRequest(connection: "net", pools: ["p"], identity: Self.erin, wanted: [])
        request.wantedPrefixes = [.everything(.v6)]
        guard case .noLease("all 2 prefixes of pool 'p' are in use") = store.lease(request) else {
            Issue.record("a prefix too many")
            return
        }
        store.release(carol)
        #expect(Self.text(try Self.prefix(&store, Self.erin)) == ["fd00::/64"])
    }

    @Test func prefixesStayOverAReload() throws {
        var store = LeaseStore([try Self.lender("fd00::/56")])
        let carol = try #require(try Self.prefix(&store, Self.carol))
        _ = try Self.prefix(&store, Self.dave)
        // A larger block.
        store.replace([try Self.lender("fd00::/48")])
        #expect(store.summaries.first?.prefixes?.entries.map(\.isOnline) == [true, true])
        #expect(Self.text(try Self.prefix(&store, Self.erin)) == ["fd00:0:0:2::/64"])
        store.release(carol)
        #expect(Self.text(try Self.prefix(&store, Self.carol)) == ["fd00::/64"])
        // Without any, and back.
        store.replace([try Self.pool("p", "10.3.0.1", "10.3.0.9")])
        store.release(carol)
        #expect(try Self.prefix(&store, Self.carol) == nil)
    }

    @Test func prefixesGoToTheNextProcess() throws {
        var store = LeaseStore([try Self.lender("fd00::/56")])
        _ = try Self.prefix(&store, Self.carol)
        let writer = RecordWriter()
        store.writePrefixes(to: writer)
        let octets = writer.buffer.withSpan { span in span.indices.map { span[$0] } }
        var reader = RecordReader(SecretBytes(octets), version: 1)
        var next = LeaseStore([try Self.lender("fd00::/56")])
        try next.readPrefixes(from: &reader)
        #expect(next.summaries == store.summaries && next.summaries.first?.prefixes?.entries.count == 1)
    }

    @Test func anotherConfigurationKeepsWhatItCan() throws {
        var store = LeaseStore([try Self.pool("p", "10.3.0.1", "10.3.0.9"), try Self.pool("q", "10.4.0.1", "10.4.0.9")])
        let lease = try #require(Self.ask(&store, Self.carol))
        _ = Self.ask(&store, Self.dave, pools: ["q"])
        store.replace([try Self.pool("q", "10.5.0.1", "10.5.0.9"), try Self.pool("p", "10.3.0.1", "10.3.0.9")])
        #expect(store.summaries.map(\.name) == ["q", "p"])
        #expect(store.summaries.map(\.online) == [0, 1])
        store.release(lease)
        #expect(store.summaries.map(\.offline) == [0, 1])
    }
}
