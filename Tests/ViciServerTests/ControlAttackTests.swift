import Clockwork
import GatewayModel
import Testing
import ViciMessages

@testable import ViciServer

/// Known attacks on the control socket, by their number in the project's list. What is malformed ends its own
/// connection, with a reason that holds none of its octets; nobody else's.
@Suite struct ControlAttackTests {
    /// A gateway with an honest client and an attacker.
    private final class Bench {
        let gateway = StubGateway()
        let control: ViciControl
        let honest: ViciControl.SessionID
        let attacker: ViciControl.SessionID

        init() throws {
            control = ViciControl(handler: gateway)
            honest = try #require(control.open())
            attacker = try #require(control.open())
        }

        /// Whether the honest client is answered still.
        func honestIsServed() throws -> Bool {
            control.receive(try ViciPacket.request("version", ViciTree()).framed(), from: honest)
            return try answers(honest).first?.hasPrefix("response {daemon=martlet") ?? false
        }

        func answers(_ client: ViciControl.SessionID) throws -> [String] {
            var octets: [UInt8] = []
            repeat {
                control.drain(client) { part in
                    octets += part
                    return part.count
                }
            } while control.pendingOutput(client) > 0
            var framer = ViciFramer()
            return try framer.receive(octets).map(\.description)
        }
    }

    /// A `load-conn` with this message, octet by octet.
    private static func segment(_ message: [UInt8], length: UInt32? = nil) -> [UInt8] {
        let body: [UInt8] = [0, 9] + Array("load-conn".utf8) + message
        let count = length ?? UInt32(body.count)
        return (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * UInt32($0))) } + body
    }

    private static func named(_ tag: UInt8, _ name: String) -> [UInt8] {
        [tag, UInt8(name.utf8.count)] + Array(name.utf8)
    }

    private static let malformed: [(what: String, message: [UInt8], reason: String)] = [
        ("a list item longer than the message", named(4, "x") + [5, 0xff, 0xff, 0x61], "list item"),
        ("a list item without its length", named(4, "x") + [5, 0], "list item"),
        ("a list that never ends", named(4, "x") + [5, 0, 1, 0x61], "is not closed"),
        ("a section in a list", named(4, "x") + named(1, "y"), "only items"),
        ("a section that never ends", named(1, "x"), "is not closed"),
        ("a section that ends twice", named(1, "x") + [2, 2], "never began"),
        ("a value longer than the message", named(3, "x") + [0x40, 0, 0x61], "value"),
        ("a name longer than the message", [3, 200, 0x61], "name"),
        ("10,000 sections within each other", Array(repeatElement(named(1, "x"), count: 10_000).joined()), "deeper"),
        ("an element that is none", [9], "element type"),
    ]

    @Test(
        "Attack 28: a malformed message ends its connection only", arguments: malformed)
    func attack28(_ what: String, _ message: [UInt8], _ reason: String) throws {
        let bench = try Bench()
        bench.control.receive(Self.segment(message), from: bench.attacker)
        let failure = try #require(bench.control.failure(bench.attacker), "\(what) was taken")
        #expect(failure.contains(reason), "\(what): \(failure)")
        // No octet that was not sent, and none that was: nothing is echoed.
        #expect(try bench.answers(bench.attacker) == [])
        #expect(try bench.honestIsServed())
        #expect(bench.gateway.items.isEmpty)
    }

    @Test("Attack 28: 512 KiB are a message, one octet more ends the connection before anything of it is kept")
    func attack28Length() throws {
        let bench = try Bench()
        let most = ViciPacket.maximumLength
        // A message of exactly the most: an unknown command with lists of long items.
        var tree = ViciTree()
        tree.setList("x", [String](repeating: String(repeating: "v", count: 60_000), count: 8))
        let sofar = try ViciPacket.request("nonsense", tree).framed().count - 4
        tree.set("y", String(repeating: "v", count: most - sofar - 1 - 1 - 1 - 2))
        let framed = try ViciPacket.request("nonsense", tree).framed()
        #expect(framed.count - 4 == most)
        bench.control.receive(framed, from: bench.attacker)
        #expect(try bench.answers(bench.attacker) == ["unknown command"])
        bench.control.receive(Self.segment([], length: UInt32(most) + 1), from: bench.attacker)
        #expect(bench.control.failure(bench.attacker)?.contains("\(most + 1) octets") == true)
        #expect(try bench.honestIsServed())
    }

    @Test("Attack 28: 10,000 sections beside each other are read, and refused by name")
    func attack28Width() throws {
        let bench = try Bench()
        let tree = ViciTree { tree in
            for number in 0..<10_000 { tree.setSection("s\(number)") { $0.set("k", "v") } }
        }
        bench.control.receive(try ViciPacket.request("load-conn", tree).framed(), from: bench.attacker)
        #expect(bench.control.failure(bench.attacker) == nil)
        #expect(try bench.answers(bench.attacker).count == 1)
        #expect(try bench.honestIsServed())
    }

    @Test("Attack 28: who never reads loses the connection, and holds a few megabytes until then")
    func attack28SlowReader() throws {
        let bench = try Bench()
        bench.gateway.connectionList = (0..<200).map { _ in StubGateway.connection() }
        bench.control.receive(try ViciPacket.register("list-conn").framed(), from: bench.attacker)
        bench.control.receive(try ViciPacket.register("log").framed(), from: bench.attacker)
        let line = String(repeating: "x", count: 1000)
        var most = 0
        for _ in 0..<10_000 where bench.control.failure(bench.attacker) == nil {
            bench.control.publish(.log(ViciLogLine(group: "IKE", text: line)))
            most = max(most, bench.control.pendingOutput(bench.attacker))
        }
        #expect(bench.control.failure(bench.attacker) == "the client does not read what it asked for")
        #expect(most <= ViciSession.Limit.output)
        #expect(bench.control.pendingOutput(bench.attacker) == 0)
        #expect(try bench.honestIsServed())
    }

    @Test("Attack 28: of 1,000 connections a few are kept, and who asks for something keeps its place")
    func attack28Crowd() throws {
        let bench = try Bench()
        #expect(try bench.honestIsServed())
        var most = 0
        for _ in 0..<1000 {
            _ = bench.control.open()
            // As the server does: who has failed is closed.
            for id in bench.control.takeChanged() where bench.control.failure(id) != nil { bench.control.close(id) }
            most = max(most, bench.control.sessionCount)
        }
        #expect(most <= ViciControl.maximumSessions + 1)
        #expect(try bench.honestIsServed())
    }
}
