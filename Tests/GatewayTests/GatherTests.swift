import GatewayModel
import IKECore
import Testing

@testable import Gateway

/// What the plane changes in the system for several messages together, and who hears of it when.
@Suite struct GatherTests {
    private func pair() throws -> NodePair {
        let pair = NodePair(hq: try Fixtures.hq(), branch: try Fixtures.branch())
        pair.branch.plane.gathers = true
        return pair
    }

    @Test func nobodyHearsOfWhatIsNotInForce() throws {
        let pair = try pair()
        var order: [String] = []
        pair.branch.plane.onCommand = { order.append($0) }
        pair.branch.gateway.observe { event in
            if case .childInstalled = event.kind { order.append("told") }
        }
        pair.initiate(gathering: true)
        let protect = try #require(order.firstIndex(of: "protect"))
        let commit = try #require(order.firstIndex(of: "commit"))
        let told = try #require(order.firstIndex(of: "told"))
        #expect(protect < commit && commit < told, "\(order)")
        #expect(pair.hq.installed.count == 1 && pair.branch.installed.count == 1)
    }

    @Test func thePeerIsAnsweredWhenItsPacketsCanBe() throws {
        let pair = try pair()
        var order: [String] = []
        pair.branch.plane.onCommand = { order.append($0) }
        pair.branch.transport.onSend = { order.append("sent") }
        pair.initiate(gathering: true)
        #expect(order.last == "sent" && order.count { $0 == "sent" } == 2, "\(order)")
        // Without anybody who gathers as well.
        let other = NodePair(hq: try Fixtures.hq(), branch: try Fixtures.branch())
        order = []
        other.branch.plane.onCommand = { order.append($0) }
        other.branch.transport.onSend = { order.append("sent") }
        other.initiate()
        #expect(order == ["sent", "install inbound", "install outbound", "protect", "sent"])
    }

    @Test func whatIsRefusedLateIsNotUpForAnybody() throws {
        let pair = try pair()
        pair.branch.plane.refusesLate = true
        pair.initiate(gathering: true)
        #expect(pair.branch.installed.isEmpty)
        #expect(pair.branch.refusals == [.planeRefused(reason: "no room for a route", isPolicy: true)])
        #expect(pair.branch.gateway.ikeSAs.flatMap(\.children).isEmpty)
        #expect(pair.hq.gateway.ikeSAs.flatMap(\.children).isEmpty, "the peer is told that it is gone")
        #expect(pair.branch.plane.commands.filter { $0.hasPrefix("remove") }.count == 2)
        #expect(pair.branch.gateway.lastRefusal(of: "hq")?.refusal == pair.branch.refusals.first)
    }

    @Test func withoutChangesNothingWaits() throws {
        let pair = NodePair(hq: try Fixtures.hq(), branch: try Fixtures.branch())
        var sentWithin = 0
        pair.hq.gateway.gather {
            pair.hq.gateway.handle(.command(.initiate(connection: "branch", child: "net")))
            sentWithin = pair.hq.transport.sent.count
        }
        #expect(sentWithin == 1)
        pair.run(gathering: true)
        #expect(pair.hq.installed.count == 1)
    }
}
