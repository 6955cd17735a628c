import Clockwork
import GatewayModel
import LinuxSystem
import Testing
import ViciMessages

@testable import ViciServer

/// Our own client and the server, over a real socket.
@Suite struct ViciClientTests {
    @Test func commandsAndListings() throws {
        let server = try ServerThread()
        defer { server.stop() }
        let client = try ViciClient(connectingTo: server.path)
        #expect(try client.call("version")["daemon"] == "martlet")
        var names: [String] = []
        let answer = try client.call("list-sas", streaming: "list-sa") { names += $0.sections.map(\.name) }
        #expect(names == ["gw"] && answer.isEmpty)
        #expect(try client.call("martlet-status").section("connections")?.section("gw")?["state"] == "up")
        #expect(throws: ViciClientError.unknownCommand("nonsense")) { try client.call("nonsense") }
        #expect(try client.call("get-conns").list("conns") == ["gw"])
    }

    /// A command that makes the gateway publish something is answered all the same.
    @Test func anEventInTheMiddleOfACommand() throws {
        let server = try ServerThread { gateway, server in
            gateway.onRekey = { [unowned server] in server.publish(.log(ViciLogLine(group: "IKE", text: "rekeying"))) }
        }
        defer { server.stop() }
        let listener = try ViciClient(connectingTo: server.path)
        try listener.register(for: ["log"])
        let client = try ViciClient(connectingTo: server.path)
        let answer = try client.call("rekey", ViciTree { $0.set("ike", "gw") }, timeout: .seconds(5))
        #expect(answer["success"] == "yes")
        #expect(try listener.nextEvent(timeout: .seconds(5))?.tree["msg"] == "rekeying")
    }

    @Test func statusOfAnySize() throws {
        let server = try ServerThread { gateway, _ in
            gateway.sas = (1...3_000).map { index in
                var sa = StubGateway.tunnel()
                sa.summary.id = IKESAID(rawValue: UInt32(index))
                return sa
            }
            gateway.strays = [ViciFailure(code: "E-X", text: "x", time: gateway.now)]
        }
        defer { server.stop() }
        let client = try ViciClient(connectingTo: server.path)
        let status = try client.status()
        #expect(status.entries.map(\.name) == ["connections", "sas", "refusals", "drops", "failures"])
        #expect(status.section("connections")?.section("gw")?["state"] == "up")
        #expect(status.section("sas")?.entries.count == 3_000)
        #expect(status.section("sas")?.section("gw-2999")?["uniqueid"] == "2999")
        #expect(status.section("refusals")?.section("0")?["code"] == "E-X")
        // In one piece it does not fit, and the answer says so.
        #expect(try client.call("martlet-status")["errmsg"]?.contains("does not fit") == true)
        _ = server.perform { gateway, _ in gateway.sas = [StubGateway.tunnel()] }
        #expect(try client.status() == client.call("martlet-status"))
    }

    @Test func logLinesArriveBeforeTheOutcome() throws {
        let server = try ServerThread { gateway, server in
            gateway.onCommand = { [unowned server] ticket, name in
                server.log(ticket, ViciLogLine(group: "IKE", text: "one"))
                server.log(ticket, ViciLogLine(group: "IKE", text: "two"))
                server.complete(ticket, .success)
            }
        }
        defer { server.stop() }
        let client = try ViciClient(connectingTo: server.path)
        var lines: [String] = []
        let outcome = try client.call(
            "initiate", ViciTree { $0["child"] = "net" }, streaming: "control-log"
        ) { lines.append($0["msg"] ?? "") }
        #expect(outcome["success"] == "yes" && lines == ["one", "two"])
    }

    @Test func eventsReachWhoeverAsked() throws {
        let server = try ServerThread()
        defer { server.stop() }
        let listener = try ViciClient(connectingTo: server.path)
        try listener.register(for: ["ike-updown", "log"])
        _ = server.perform { gateway, server in
            server.publish(.ikeUpDown(isUp: true, StubGateway.tunnel().summary))
        }
        let event = try #require(try listener.nextEvent(timeout: .seconds(10)))
        #expect(event.name == "ike-updown" && event.tree["up"] == "yes")
        #expect(try listener.nextEvent(timeout: .milliseconds(20)) == nil)
        #expect(throws: ViciClientError.unknownEvent("nonsense")) { try listener.register(for: ["nonsense"]) }
    }

    @Test func thePresenceOfManyClients() throws {
        let server = try ServerThread()
        defer { server.stop() }
        let clients = try (0..<ViciControl.maximumSessions).map { _ in try ViciClient(connectingTo: server.path) }
        for client in clients { #expect(try client.call("version")["version"] == "0.1.0") }
        // One that waits for something does not have to make room, as an idle one does.
        for client in clients { try client.register(for: ["log"]) }
        #expect(throws: ViciClientError.self) {
            let oneTooMany = try ViciClient(connectingTo: server.path)
            _ = try oneTooMany.call("version")
        }
        #expect(server.perform { _, server in server.clientCount } == ViciControl.maximumSessions)
    }

    @Test func aStopTakesTheSocketAway() throws {
        let server = try ServerThread()
        let client = try ViciClient(connectingTo: server.path)
        _ = try client.call("version")
        server.stop()
        #expect(throws: ViciClientError.self) { try client.call("version") }
        #expect(throws: ViciClientError.self) { try ViciClient(connectingTo: server.path) }
    }

    /// A megabyte of listing through a real socket, while its reader dawdles.
    @Test func aListingLargerThanAnySocketBuffer() throws {
        let server = try ServerThread { gateway, _ in
            gateway.sas = (0..<5_000).map { _ in StubGateway.tunnel() }
        }
        defer { server.stop() }
        let client = try ViciClient(connectingTo: server.path)
        var count = 0
        _ = try client.call("list-sas", streaming: "list-sa") { _ in count += 1 }
        #expect(count == 5_000)
    }
}
