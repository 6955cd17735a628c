import GatewayModel
import IKECore
import Telemetry
import Testing

@testable import Gateway

/// Who hears of which events.
@Suite struct EventKindsTests {
    private static func up() throws -> NodePair { NodePair(hq: try Fixtures.hq(), branch: try Fixtures.branch()) }

    @Test func whoAsksForSomeKindsHearsOfThoseOnly() throws {
        let pair = try Self.up()
        var heard: [Event] = []
        let kinds: EventKinds = [.childInstalled, .ikeEstablished]
        pair.hq.gateway.observe(kinds) { heard.append($0) }
        pair.initiate()
        pair.hq.gateway.handle(.command(.shutdown))
        pair.run()
        #expect(heard == pair.hq.events.filter { kinds.contains($0.kind.group) })
        #expect(heard.count == 2 && pair.hq.events.count > 2)
    }

    @Test("The log hears of all that it may write", arguments: 0...4)
    func log(_ level: Int) throws {
        let pair = try Self.up()
        pair.initiate()
        pair.hq.gateway.handle(.command(.shutdown))
        pair.run()
        let path = Fixtures.summary(1, "x").path
        let others: [Event.Kind] = [
            .refused(.planeRefused(reason: "x"), child: nil), .dropped(.forged, path), .peerAlive,
            .pathChanged(from: path, to: path), .cookieDemanded(byUs: true), .leftOut(3),
            .retransmitted(exchange: "IKE_AUTH", messageID: 1, attempt: 1),
        ]
        let kinds = EventLog(level: level, unixTime: { 0 }, write: { _ in }).kinds
        for kind in pair.hq.events.map(\.kind) + others where EventText.mayConcern(level: level, kind) {
            #expect(kinds.contains(kind.group), "\(kind)")
        }
        #expect(kinds.contains(.messages) == (level >= 2))
    }

    @Test func theLastEventsAreRememberedInTheirOrder() {
        var memory = EventMemory()
        for number in 0..<(EventMemory.size + 6) { memory.append(Fixtures.event(.leftOut(number))) }
        #expect(memory.inOrder.map(\.kind) == (6..<(EventMemory.size + 6)).map { .leftOut($0) })
    }
}
