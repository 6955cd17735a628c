import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import SwanctlConfig
import Testing

@testable import Gateway
@testable import ViciServer

/// What control clients ask for between two gateways, and what they are told.
@Suite struct ControlFacadeTests {
    /// Everybody at the control socket: keeps what they are told, in order.
    private final class Audience: ViciAudience {
        var outcomes: [ViciTicket: ViciOutcome] = [:]
        var events: [ViciEvent] = []
        var clientCount: Int { 1 }

        func complete(_ ticket: ViciTicket, _ outcome: ViciOutcome) { outcomes[ticket] = outcome }
        func log(_ ticket: ViciTicket, _ line: ViciLogLine) {}
        func publish(_ event: ViciEvent) { events.append(event) }
        func hasListeners(_ event: String) -> Bool { event != "log" }

        /// IKE SAs that came and went: `+1`, `-1`.
        var comings: [String] {
            events.compactMap { event in
                if case .ikeUpDown(let isUp, let summary) = event { "\(isUp ? "+" : "-")\(summary.id)" } else { nil }
            }
        }

        var alerts: [String] {
            events.compactMap { if case .alert(let type, _, _) = $0 { type } else { nil } }
        }
    }

    /// Two gateways, and who controls the first one.
    private struct Stage {
        let pair: NodePair
        let audience = Audience()
        let facade: ControlFacade

        init(hq: String = "", branch: String = "", branchNetwork: String? = nil) throws {
            let hq = try Fixtures.hq(lines: hq)
            var branch = try Fixtures.branch(lines: branch)
            if let branchNetwork, let block = IPPrefix(branchNetwork) {
                branch.connections[0].children[0].localSelectors = [SelectorTemplate(block)]
            }
            pair = NodePair(hq: hq, branch: branch)
            facade = ControlFacade(pair.hq.gateway, ConfigurationStore(hq), reload: { .success })
            facade.server = audience
        }

        func initiate(_ ticket: UInt64, child: String? = "net") {
            facade.initiate(
                ViciInitiation(connection: "branch", child: child, respectsLimits: false, wait: .untilDone),
                ticket: ViciTicket(rawValue: ticket))
        }

        func terminate(_ ticket: UInt64, force: Bool = false) {
            facade.terminate(
                ViciTermination(target: .connection("branch"), force: force, wait: .untilDone),
                ticket: ViciTicket(rawValue: ticket))
        }

        func outcome(_ ticket: UInt64) -> ViciOutcome? { audience.outcomes[ViciTicket(rawValue: ticket)] }

        /// Lets time pass, in steps, with what is due in it.
        func advance(seconds: Int) {
            for _ in 0..<seconds {
                pair.clock.now = pair.clock.now + .seconds(1)
                for node in [pair.hq, pair.branch] { node.gateway.handle(.deadline) }
                pair.run()
            }
        }
    }

    /// What is on its way out carries nothing, and its end is not the failure of what was asked for after it.
    @Test func initiatingWhileTheIKESAIsBeingDeleted() throws {
        let stage = try Stage()
        stage.initiate(1)
        stage.pair.run()
        #expect(stage.outcome(1) == .success)
        let first = try #require(stage.facade.ikeSAs().first?.summary.id)
        stage.terminate(2)
        #expect(stage.facade.ikeSAs().map(\.summary.state) == [.deleting])
        stage.initiate(3)
        #expect(stage.outcome(2) == nil && stage.outcome(3) == nil)
        stage.pair.run()
        #expect(stage.outcome(2) == .terminated(1, of: 1))
        #expect(stage.outcome(3) == .success)
        let present = stage.facade.ikeSAs().map(\.summary)
        #expect(present.map(\.state) == [.established] && present.first?.id != first)
        #expect(present.first?.children.map(\.name) == ["net"])
        #expect(stage.audience.comings.first == "+\(first)" && stage.audience.comings.contains("-\(first)"))
        #expect(stage.audience.comings.count == 3)
    }

    /// `close_action = trap`: the next packet brings it up again, and everybody can see that.
    @Test func whatALeavingChildLeavesBehindIsListed() throws {
        let stage = try Stage()
        #expect(stage.facade.policies().isEmpty)
        let block = try #require(IPPrefix("10.2.7.0/24"))
        stage.pair.hq.plane.leftBehind = [
            StandingPolicy(
                connection: "branch", child: "net", action: .trap, local: [TrafficSelector(.everything(.v4))],
                remote: [TrafficSelector(block)]),
            StandingPolicy(connection: "gone", child: "net", action: .trap, local: [], remote: []),
        ]
        let policy = try #require(stage.facade.policies().first)
        #expect(stage.facade.policies().count == 1 && policy.action == .trap && policy.child == "net")
        #expect(policy.remoteSelectors == ["10.2.7.0/24"], "what it had agreed on")
    }

    /// The peer is told, and nobody waits for its answer.
    @Test func terminatingByForceWaitsForNobody() throws {
        for isForced in [false, true] {
            let stage = try Stage()
            stage.initiate(1)
            stage.pair.run()
            stage.terminate(2, force: isForced)
            #expect(stage.pair.hq.transport.sent.count == 1, "the DELETE")
            #expect(stage.outcome(2) == (isForced ? .terminated(1, of: 1) : nil))
            #expect(stage.facade.ikeSAs().isEmpty == isForced)
            #expect(stage.audience.comings.count == (isForced ? 2 : 1))
            stage.pair.run()
            #expect(stage.outcome(2) == .terminated(1, of: 1))
            #expect(stage.pair.branch.gateway.ikeSAs.isEmpty)
            #expect(stage.audience.comings.count == 2)
        }
    }

    /// Both IKE SAs are told of: the new one that is up, the old one that is down.
    @Test func aReauthenticationIsTwoIKESAs() throws {
        let stage = try Stage()
        stage.initiate(1)
        stage.pair.run()
        let old = try #require(stage.facade.ikeSAs().first?.summary)
        #expect(stage.facade.reauthenticate(.ikeSA(old.id)).matches == 1)
        stage.pair.run()
        stage.advance(seconds: 5)
        let new = try #require(stage.facade.ikeSAs().first?.summary)
        #expect(stage.facade.ikeSAs().count == 1 && new.id != old.id)
        #expect(stage.audience.comings == ["+\(old.id)", "+\(new.id)", "-\(old.id)"])
        // That is no other gateway's doing.
        #expect(stage.audience.alerts.isEmpty)
        #expect(new.children.map(\.protection) == old.children.map(\.protection))
    }

    /// The connection's name alone means all that it has.
    @Test func aConnectionAloneMeansItsChildren() throws {
        let stage = try Stage()
        stage.initiate(1, child: nil)
        stage.pair.run()
        #expect(stage.outcome(1) == .success)
        #expect(stage.facade.ikeSAs().first?.summary.children.map(\.name) == ["net"])
    }

    @Test func aPeerThatTakesLessIsAnAlert() throws {
        let whole = try Stage()
        whole.initiate(1)
        whole.pair.run()
        #expect(whole.outcome(1) == .success && whole.audience.alerts.isEmpty)
        let part = try Stage(branchNetwork: "10.2.7.0/24")
        part.initiate(1)
        part.pair.run()
        #expect(part.outcome(1) == .success && part.audience.alerts == ["ts-narrowed"])
        // Once, not with each new key.
        #expect(part.facade.rekey(.child("net", connection: nil)).matches == 1)
        part.pair.run()
        #expect(part.facade.ikeSAs().first?.summary.children.map(\.id.rawValue) == [2])
        #expect(part.audience.alerts == ["ts-narrowed"])
    }

    @Test func anAnswerAfterRepetitionsIsAnAlert() throws {
        let stage = try Stage()
        stage.initiate(1)
        // The first one is lost.
        stage.pair.hq.transport.sent = []
        stage.advance(seconds: 6)
        #expect(stage.outcome(1) == .success)
        #expect(stage.audience.alerts == ["retransmit-send", "retransmit-send-cleared"])
        #expect(stage.facade.repeating.isEmpty)
    }

    /// A peer that has lost its state comes again: the connection says that the new IKE SA stays.
    @Test func aPeerThatComesAgainIsAnAlert() throws {
        let stage = try Stage(hq: "unique = replace")
        stage.initiate(1)
        stage.pair.run()
        let old = try #require(stage.facade.ikeSAs().first?.summary.id)
        let again = Node(try Fixtures.branch(), clock: stage.pair.clock)
        again.gateway.handle(.command(.initiate(connection: "hq", child: "net")))
        for _ in 0..<20 {
            for (from, to) in [(again, stage.pair.hq), (stage.pair.hq, again)] {
                let datagrams = from.transport.sent
                from.transport.sent = []
                for datagram in datagrams {
                    to.gateway.handle(
                        .datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: datagram.socket)))
                }
            }
        }
        #expect(stage.audience.alerts == ["unique-replace"], "\(stage.audience.alerts)")
        // The DELETE went to the one who does not know it any more, and is repeated to the other.
        stage.advance(seconds: 10)
        #expect(!stage.facade.ikeSAIDs().contains(old))
        #expect(stage.audience.alerts.filter { $0 == "unique-replace" }.count == 1, "\(stage.audience.alerts)")
    }
}
