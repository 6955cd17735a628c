import Clockwork
import GatewayModel
import IKECore
import NetworkTypes
import SwanctlConfig
import Testing

@testable import Gateway

@Suite struct GatewayTests {
    @Test func twoGatewaysBringATunnelUp() throws {
        let pair = NodePair(hq: try Fixtures.hq(), branch: try Fixtures.branch())
        pair.initiate()
        for node in [pair.hq, pair.branch] {
            #expect(node.installed.map(\.name) == ["net"])
            #expect(node.refusals.isEmpty)
            #expect(node.gateway.ikeSAs.map(\.state) == [.established])
            #expect(node.plane.commands.sorted() == ["install inbound", "install outbound", "protect"])
            #expect(node.plane.commands.last == "protect")
        }
        #expect(pair.hq.paths.asked == ["branch"])
        #expect(pair.branch.paths.asked.isEmpty)
        let child = try #require(pair.hq.installed.first)
        #expect(pair.hq.gateway.counters(.inbound, spi: child.inboundSPI).packets == 3)
        #expect(pair.hq.gateway.counters(.outbound, spi: 1) == SACounters())
    }

    /// The order of effects is their meaning: nothing is sent or told before what stands in front of it is done.
    @Test func effectsAreObeyedInOrder() throws {
        let pair = NodePair(hq: try Fixtures.hq(), branch: try Fixtures.branch())
        var order: [String] = []
        pair.branch.plane.onCommand = { order.append($0) }
        pair.branch.transport.onSend = { order.append("send") }
        pair.branch.gateway.observe { event in
            switch event.kind {
            case .childInstalled: order.append("told: child")
            case .ikeEstablished: order.append("told: IKE SA")
            default: break
            }
        }
        pair.initiate()
        let inbound = try #require(order.firstIndex(of: "install inbound"))
        let outbound = try #require(order.firstIndex(of: "install outbound"))
        let protect = try #require(order.firstIndex(of: "protect"))
        let told = try #require(order.firstIndex(of: "told: child"))
        let answered = try #require(order.lastIndex(of: "send"))
        #expect(inbound < answered, "the peer may send as soon as it has the answer: \(order)")
        #expect(outbound < protect && protect < told, "\(order)")
    }

    /// An observer that gives a new command while effects are being obeyed does not overtake them.
    @Test func whatAnObserverAsksForComesAfterwards() throws {
        let pair = NodePair(hq: try Fixtures.hq(), branch: try Fixtures.branch())
        pair.hq.gateway.observe { [unowned pair] event in
            if case .ikeEstablished = event.kind { pair.hq.gateway.handle(.command(.terminate(.connection("branch")))) }
        }
        pair.initiate()
        let kinds = pair.hq.events.compactMap { event -> String? in
            switch event.kind {
            case .ikeEstablished: "up"
            case .childInstalled: "child"
            case .ikeClosed: "closed"
            default: nil
            }
        }
        #expect(kinds == ["up", "child", "closed"] || kinds == ["child", "up", "closed"])
        #expect(pair.hq.gateway.ikeSAs.isEmpty && pair.branch.gateway.ikeSAs.isEmpty)
    }

    @Test func noWayIsARefusal() throws {
        let pair = NodePair(hq: try Fixtures.hq(), branch: try Fixtures.branch())
        pair.hq.paths.isLost = true
        pair.initiate()
        #expect(pair.hq.refusals.count == 1)
        guard case .noPath(_, "no route")? = pair.hq.refusals.first else {
            Issue.record("\(pair.hq.refusals)")
            return
        }
        #expect(pair.hq.gateway.lastRefusal(of: "branch")?.refusal == pair.hq.refusals.first)
        #expect(pair.hq.transport.sent.isEmpty && pair.hq.gateway.ikeSAs.isEmpty)
    }

    @Test(arguments: ["install inbound", "install outbound", "protect"])
    func aPlaneThatRefusesEndsTheChild(_ command: String) throws {
        let pair = NodePair(hq: try Fixtures.hq(), branch: try Fixtures.branch())
        pair.hq.plane.refuses = command
        pair.initiate()
        let expected = Refusal.planeRefused(reason: "no room for \(command)", isPolicy: command == "protect")
        // Said once, about the child; nobody heard that it was up; the peer has closed its half.
        #expect(pair.hq.refusals == [expected])
        #expect(pair.hq.installed.isEmpty)
        #expect(pair.hq.gateway.lastRefusal(of: "branch")?.refusal == expected)
        #expect(pair.hq.gateway.ikeSAs.flatMap(\.children).isEmpty)
        #expect(pair.branch.gateway.ikeSAs.flatMap(\.children).isEmpty)
        let about = pair.hq.events.first { if case .refused = $0.kind { true } else { false } }
        #expect(about?.connection == "branch")
        if case .refused(_, let child)? = about?.kind { #expect(child == "net") }
        // Whatever was taken is given back, and nothing else is asked to be removed.
        let commands = pair.hq.plane.commands
        let last = commands.prefix { $0 != command }.count
        let later = commands.dropFirst(last + 1)
        #expect(!later.contains { $0.hasPrefix("install") || $0 == "protect" }, "\(commands)")
        let taken = commands.filter { $0.hasPrefix("install") && $0 != command }.count
        #expect(commands.filter { $0.hasPrefix("remove") }.count == taken, "\(commands)")

        // When there is room again, it comes up, and nothing is left to complain about.
        pair.hq.plane.refuses = nil
        pair.initiate()
        #expect(pair.hq.installed.map(\.name) == ["net"])
        #expect(pair.hq.gateway.lastRefusal(of: "branch") == nil)
    }

    @Test func anotherConfigurationKeepsWhatIsUp() throws {
        let pair = NodePair(hq: try Fixtures.hq(), branch: try Fixtures.branch())
        pair.initiate()
        let none = try LoadedConfiguration(path: "none", source: FilesInMemory(["none": "connections { }\n"]))
        pair.hq.gateway.replace(none)
        #expect(pair.hq.gateway.configuration.connections.isEmpty)
        #expect(pair.hq.gateway.ikeSAs.map(\.state) == [.established])
        #expect(pair.hq.gateway.ikeSAs.flatMap(\.children).count == 1)
        #expect(!pair.hq.plane.commands.contains { $0.hasPrefix("remove") || $0.hasPrefix("unprotect") })
    }

    @Test func anotherConfigurationBringsItsSecrets() throws {
        let pair = NodePair(hq: try Fixtures.hq(secret: "an old secret of some length"), branch: try Fixtures.branch())
        pair.initiate()
        #expect(pair.hq.installed.isEmpty)
        pair.hq.gateway.replace(try Fixtures.hq())
        pair.initiate()
        #expect(pair.hq.installed.map(\.name) == ["net"])
    }

    /// The answer on the wire is the same whether we know what is wrong or not; only our own words differ.
    @Test func aNearMissIsSaidHereAndNotThere() throws {
        let secret = "a shared secret of two sites"
        var sizes: [[Int]] = []
        for theirs in [secret + " ", "another secret of some length"] {
            let pair = NodePair(hq: try Fixtures.hq(secret: theirs), branch: try Fixtures.branch(secret: secret))
            var answers: [Int] = []
            pair.branch.transport.onSend = { [unowned pair] in
                answers.append(pair.branch.transport.sent.last?.bytes.count ?? 0)
            }
            pair.initiate()
            sizes.append(answers)
            guard case .wrongProof(_, _, _, let nearMiss, _)? = pair.branch.refusals.first else {
                Issue.record("\(pair.branch.refusals)")
                continue
            }
            #expect(
                nearMiss == (theirs.hasPrefix(secret) ? NearMiss(secret: "ike-hq", difference: .has(.space)) : nil))
            guard case .byPeer(24, _, _, _)? = pair.hq.refusals.first else {
                Issue.record("\(pair.hq.refusals)")
                continue
            }
        }
        #expect(sizes[0] == sizes[1] && sizes[0].count == 2)
    }

    @Test func whatThePlaneTellsReachesTheEngine() throws {
        let pair = NodePair(hq: try Fixtures.hq(), branch: try Fixtures.branch())
        pair.hq.plane.events = [.acquire(connection: "branch", child: "net")]
        pair.hq.gateway.drainPlane()
        pair.run()
        #expect(pair.hq.installed.map(\.name) == ["net"])
        #expect(pair.hq.plane.events.isEmpty)
    }

    @Test func deadlinesAreTheEngines() throws {
        let pair = NodePair(hq: try Fixtures.hq(), branch: try Fixtures.branch())
        #expect(pair.hq.gateway.nextDeadline == nil)
        pair.hq.gateway.handle(.command(.initiate(connection: "branch", child: "net")))
        let sent = pair.hq.transport.sent.count
        let due = try #require(pair.hq.gateway.nextDeadline)
        #expect(due > pair.clock.now)
        pair.clock.now = due
        pair.hq.gateway.deadlineReached()
        #expect(pair.hq.transport.sent.count == sent + 1)
    }
}
