import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// Several Child SAs for the same packets, one for each worker (RFC 9611).
@Suite struct ResourceGroupTests {
    /// Two gateways with so many workers; zero means that the configuration asks for none.
    private func pair(left: Int, right: Int, esp: String = "aes128gcm16-x25519") -> Pair {
        func connection(isLeft: Bool, _ workers: Int) -> Connection {
            var connection = Pair.connection(isLeft: isLeft, esp: esp)
            connection.children[0].usesPerResourceSAs = workers > 0
            return connection
        }
        let connections = (connection(isLeft: true, left), connection(isLeft: false, right))
        let pair = Pair(left: connections.0, right: connections.1)
        for (gateway, connection, workers) in [(pair.left, connections.0, left), (pair.right, connections.1, right)] {
            var configuration = Configuration(connections: [connection])
            configuration.resources = max(workers, 1)
            gateway.handle(.configuration(configuration))
        }
        return pair
    }

    private func live(_ gateway: Gateway) -> [ChildSASummary] {
        (gateway.summary?.children ?? []).filter { $0.state == .installed }
    }

    /// Which worker each SA that is there has, both directions of which must say the same.
    private func resources(_ gateway: Gateway) -> [Int?] {
        live(gateway).map { child in
            let mine = gateway.installed.filter { $0.child == child.id }
            #expect(mine.count == 2 && mine[0].resource == mine[1].resource)
            return mine.first?.resource
        }
    }

    @Test func eachWorkerHasItsOwnAtBothEnds() throws {
        let pair = pair(left: 3, right: 3)
        pair.connect()
        for gateway in [pair.left, pair.right] {
            #expect(resources(gateway) == [nil, 1, 2])
            #expect(gateway.refusals == [])
            #expect(Set(live(gateway).map(\.localSelectors)).count == 1)
        }
        for child in live(pair.left) {
            let theirs = live(pair.right).first { $0.inboundSPI == child.outboundSPI }
            #expect(theirs?.outboundSPI == child.inboundSPI)
        }
    }

    @Test(arguments: [(2, 0), (0, 2), (2, 1), (0, 0)])
    func oneIsEnoughWhereOneEndKnowsNoMore(left: Int, right: Int) {
        let pair = pair(left: left, right: right)
        pair.connect()
        pair.advance(.seconds(60))
        #expect(resources(pair.left) == [nil])
        #expect(resources(pair.right) == [nil])
    }

    /// The peer has fewer workers: it says that there are enough, and that is no fault (RFC 9611 §5.2).
    @Test func theSmallerNumberDecides() {
        let pair = pair(left: 4, right: 2)
        pair.connect()
        pair.advance(.seconds(60))
        #expect(resources(pair.left) == [nil, 1])
        #expect(resources(pair.right) == [nil, 1])
        #expect(pair.left.refusals == [])
        #expect(pair.left.endpoint.counts.spis == 2, "the SPI of what was refused is given back")
        #expect(pair.right.refusals.count == 1)
    }

    @Test(arguments: [true, false], [0, 1]) func oneThatIsReplacedKeepsItsPlace(fromLeft: Bool, which: Int) throws {
        let pair = pair(left: 2, right: 2)
        pair.connect()
        let gateway = fromLeft ? pair.left : pair.right
        let old = try #require(live(gateway).dropFirst(which).first)
        gateway.handle(.command(.rekey(.childSA(old.id))))
        pair.run()
        for gateway in [pair.left, pair.right] {
            #expect(Set(resources(gateway)) == [nil, 1])
            #expect(live(gateway).count == 2)
            #expect(gateway.refusals == [])
            #expect(gateway.liveSPIs.count == 4)
        }
        #expect(!live(gateway).contains { $0.id == old.id })
    }

    /// The others carry only what their worker sends: without the first they are of no use.
    @Test(arguments: [true, false]) func theyEndWithTheFirst(fromLeft: Bool) throws {
        let pair = pair(left: 3, right: 3)
        pair.connect()
        let gateway = fromLeft ? pair.left : pair.right
        let first = try #require(live(gateway).first)
        gateway.handle(.command(.terminate(.childSA(first.id))))
        pair.run()
        #expect(live(pair.left).isEmpty && live(pair.right).isEmpty)
        #expect(pair.left.liveSPIs.isEmpty && pair.right.liveSPIs.isEmpty)
    }

    /// What a further one leaves behind when it goes must not block what the first still carries.
    @Test func theEndOfAFurtherOneLeavesTheFirstAlone() throws {
        let pair = pair(left: 2, right: 2)
        pair.connect()
        let further = try #require(live(pair.left).last)
        pair.left.handle(.command(.terminate(.childSA(further.id))))
        pair.run()
        #expect(resources(pair.left) == [nil] && resources(pair.right) == [nil])
        for gateway in [pair.left, pair.right] {
            let blocks = gateway.plane.contains { if case .unprotect(_, true) = $0 { true } else { false } }
            #expect(!blocks)
        }
    }

    /// A peer that asks for one after the other is told when there are enough.
    @Test func aPeerCannotHaveMoreThanThereAreWorkers() {
        let pair = pair(left: 200, right: 3)
        pair.connect()
        pair.advance(.seconds(120))
        #expect(live(pair.right).count == 3)
    }
}
