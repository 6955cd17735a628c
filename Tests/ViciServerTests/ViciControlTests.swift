import Clockwork
import GatewayModel
import NetworkTypes
import Testing
import ViciMessages

@testable import ViciServer

/// The control protocol without sockets, octet by octet.
@Suite struct ViciControlTests {
    /// A gateway, the protocol before it, and one client.
    private final class Bench {
        let gateway = StubGateway()
        let control: ViciControl
        let client: ViciControl.SessionID
        private var framer = ViciFramer()

        init() throws {
            control = ViciControl(handler: gateway)
            client = try #require(control.open())
        }

        /// Sends packets to the protocol.
        func send(_ packets: ViciPacket...) throws {
            for packet in packets { control.receive(try packet.framed(), from: client) }
        }

        /// Reads what the protocol has written, as far as it goes.
        func read() throws -> [ViciPacket] {
            var octets: [UInt8] = []
            repeat {
                control.drain(client) { part in
                    octets += part
                    return part.count
                }
            } while control.pendingOutput(client) > 0
            return try framer.receive(octets)
        }
    }

    @Test func unknownCommandsAndEvents() throws {
        let bench = try Bench()
        try bench.send(.request("nonsense", ViciTree()), .register("nonsense"), .register("log"), .unregister("log"))
        #expect(try bench.read() == [.unknownCommand, .unknownEvent, .confirmed, .confirmed])
        #expect(bench.control.failure(bench.client) == nil)
    }

    @Test func aClientThatTalksLikeAServerIsClosed() throws {
        let bench = try Bench()
        try bench.send(.confirmed)
        #expect(bench.control.failure(bench.client) == "a client does not send such packets")
        #expect(bench.control.takeChanged() == [bench.client])
    }

    @Test func malformedOctetsCloseTheConnection() throws {
        let bench = try Bench()
        bench.control.receive([0, 0, 0, 1, 77], from: bench.client)
        #expect(bench.control.failure(bench.client) == "packet type 77 is unknown")
    }

    @Test func anOutcomeComesLaterAndTheNextRequestWaitsForIt() throws {
        let bench = try Bench()
        var ticket: ViciTicket?
        bench.gateway.onCommand = { given, _ in ticket = given }
        try bench.send(
            .register("control-log"), .request("initiate", ViciTree { $0["child"] = "net" }),
            .request("version", ViciTree()))
        #expect(try bench.read() == [.confirmed])
        #expect(
            bench.gateway.initiations == [
                ViciInitiation(connection: nil, child: "net", respectsLimits: false, wait: .untilDone)
            ])
        let pending = try #require(ticket)
        bench.control.log(pending, ViciLogLine(group: "IKE", level: 2, text: "too detailed"))
        bench.control.log(
            pending, ViciLogLine(group: "ENC", connection: "gw", ikeSA: IKESAID(rawValue: 3), text: "sent"))
        bench.control.complete(pending, .failure("it did not work"))
        bench.control.complete(pending, .success)
        let packets = try bench.read()
        #expect(packets.count == 3)
        #expect(
            packets.first?.description
                == "event control-log {group=ENC level=1 ikesa-name=gw ikesa-uniqueid=3 msg=sent}")
        #expect(packets.dropFirst().first?.description == "response {success=no errmsg=it did not work}")
        #expect(packets.last?.description.hasPrefix("response {daemon=martlet version=0.1.0") == true)
    }

    @Test func timeouts() throws {
        let bench = try Bench()
        try bench.send(
            .request(
                "initiate",
                ViciTree {
                    $0["ike"] = "gw"; $0["timeout"] = "1500"
                }))
        #expect(bench.control.nextDeadline == bench.gateway.now + .milliseconds(1500))
        bench.control.expire()
        #expect(try bench.read() == [])
        bench.gateway.now = bench.gateway.now + .milliseconds(1500)
        bench.control.expire()
        #expect(
            try bench.read().map(\.description) == [
                "response {success=no errmsg=not done in the time given; it goes on}"
            ])
        #expect(bench.control.nextDeadline == nil)
        // Not waiting at all: the answer is there at once.
        try bench.send(
            .request(
                "terminate",
                ViciTree {
                    $0["ike-id"] = "7"; $0["timeout"] = "-1"; $0["force"] = "yes"
                }))
        #expect(try bench.read().map(\.description) == ["response {success=yes}"])
        #expect(
            bench.gateway.terminations == [
                ViciTermination(target: .ikeSA(IKESAID(rawValue: 7)), force: true, wait: .none)
            ])
    }

    @Test func rekeyingSaysHowManySAsAreMeant() throws {
        let bench = try Bench()
        try bench.send(
            .request(
                "rekey",
                ViciTree {
                    $0["child"] = "net"; $0["ike"] = "gw"
                }))
        let count = bench.gateway.sas.count
        #expect(
            try bench.read().map(\.description)
                == [ViciPacket.response(ViciReports.outcome(.rekeying(count))).description])
        try bench.send(.request("rekey", ViciTree { $0["ike-id"] = "4" }))
        _ = try bench.read()
        #expect(
            bench.gateway.rekeyings == [.child("net", connection: "gw"), .ikeSA(IKESAID(rawValue: 4))])
        try bench.send(
            .request(
                "rekey",
                ViciTree {
                    $0["child"] = "net"; $0["reauth"] = "yes"
                }))
        #expect(
            try bench.read().map(\.description) == [
                "response {success=no errmsg=a CHILD_SA can't be reauthenticated; name its IKE_SA}"
            ])
        #expect(bench.gateway.rekeyings.count == 2)
        try bench.send(
            .request(
                "rekey",
                ViciTree {
                    $0["ike"] = "gw"; $0["reauth"] = "yes"
                }))
        _ = try bench.read()
        #expect(bench.gateway.reauthentications == [.connection("gw")])
    }

    @Test(arguments: [
        ("initiate", ViciTree(), "missing configuration name: give 'child' or 'ike'"),
        ("terminate", ViciTree(), "missing terminate selector: give 'child', 'ike', 'child-id' or 'ike-id'"),
        ("terminate", ViciTree { $0["ike-id"] = "x" }, "'ike-id' is a number"),
        (
            "initiate",
            ViciTree {
                $0["ike"] = "gw"; $0["timeout"] = "soon"
            }, "'timeout' is a number of milliseconds, 0 or -1"
        ),
        ("list-sas", ViciTree { $0["ike-id"] = "-3" }, "'ike-id' is a number"),
    ])
    func wrongArguments(_ command: String, _ arguments: ViciTree, _ message: String) throws {
        let bench = try Bench()
        try bench.send(.request(command, arguments))
        #expect(try bench.read().map(\.description) == ["response {success=no errmsg=\(message)}"])
        #expect(bench.gateway.initiations.isEmpty && bench.gateway.terminations.isEmpty)
    }

    @Test(arguments: [
        (ViciTree(), 1), (ViciTree { $0["ike"] = "gw" }, 1), (ViciTree { $0["ike"] = "x" }, 0),
        (ViciTree { $0["ike-id"] = "7" }, 1), (ViciTree { $0["ike-id"] = "8" }, 0),
        (ViciTree { $0["child"] = "net" }, 1),
        // An IKE SA without the child is shown without children, as clients know it.
        (ViciTree { $0["child"] = "x" }, 1), (ViciTree { $0["child-id"] = "9" }, 1),
        (ViciTree { $0["child-id"] = "1" }, 1),
    ])
    func listingFilters(_ arguments: ViciTree, _ count: Int) throws {
        let bench = try Bench()
        try bench.send(.register("list-sa"), .request("list-sas", arguments))
        #expect(try bench.read().count == count + 2)
    }

    /// Of a text with any other character, strongSwan's clients show nothing.
    @Test(arguments: [
        ("plain", "plain"), ("a → b", "a -> b"), ("secrets { ike… }", "secrets { ike... }"), ("größer", "gr??er"),
    ])
    func textsAreASCII(_ text: String, _ expected: String) {
        #expect(ViciReports.text(text) == expected)
    }

    @Test func aConnectionIsListedWithAllThatItAsksFor() throws {
        var connection = try #require(StubGateway().connections().first)
        connection.ppkIdentity = Identity(IPAddress(v4: 1))
        connection.local.method = .publicKey
        connection.local.identity = nil
        connection.local.certificates = [[1]]
        connection.remote.method = .eap
        connection.remote.identity = .any
        connection.remote.eap.methods = [.md5]
        connection.remote.groups = ["staff"]
        connection.remote.policies = ["1.2.3.4"]
        connection.remote.authorities = [CertificateAuthority(certificate: [2], keyIdentifier: [])]
        connection.remote.revocation = .strict
        connection.children[0].volume.bytes.rekey = 1000
        connection.children[0].volume.packets.rekey = 7
        connection.children[0].priority = 5
        let tree = ViciReports.connection(connection) { "CN=\($0)" }
        let text = tree.description
        for part in [
            "ppk_id=0.0.0.1", "local-1 {id=CN=[1] class=public key", "certs=[CN=[1]]",
            "remote-1 {id=%any eap-type=EAP_MD5 class=EAP revocation=GOOD groups=[staff] cert_policy=[1.2.3.4]",
            "cacerts=[CN=[2]]", "rekey_bytes=1000 rekey_packets=7", "priority=5",
        ] { #expect(text.contains(part), "\(part) in \(text)") }
    }

    /// Without registration a listing is only its empty answer, as clients expect.
    @Test func listingToNobody() throws {
        let bench = try Bench()
        try bench.send(.request("list-conns", ViciTree()), .request("get-conns", ViciTree()))
        #expect(try bench.read().map(\.description) == ["response {}", "response {conns=[gw]}"])
    }

    @Test func aLongListingIsMadeAsFastAsItIsRead() throws {
        let bench = try Bench()
        bench.gateway.sas = (0..<4_000).map { index in
            var sa = StubGateway.tunnel()
            sa.summary.id = IKESAID(rawValue: UInt32(index + 1))
            return sa
        }
        try bench.send(.register("list-sa"), .request("list-sas", ViciTree()))
        #expect(bench.control.pendingOutput(bench.client) < 2 * ViciSession.Limit.listingLowWater)
        let packets = try bench.read()
        #expect(packets.count == 4_002)
        #expect(packets.last == .response(ViciTree()))
        #expect(bench.control.failure(bench.client) == nil)
    }

    @Test func aClientThatDoesNotReadLosesItsConnection() throws {
        let bench = try Bench()
        let other = try #require(bench.control.open())
        try bench.send(.register("log"))
        let line = ViciLogLine(group: "NET", text: String(repeating: "x", count: 10_000))
        var sent = 0
        while bench.control.failure(bench.client) == nil, sent < 10_000 {
            bench.control.publish(.log(line))
            sent += 1
            #expect(bench.control.pendingOutput(bench.client) <= ViciSession.Limit.output)
        }
        #expect(bench.control.failure(bench.client) == "the client does not read what it asked for")
        #expect((400...500).contains(sent))
        #expect(bench.control.failure(other) == nil)
    }

    @Test func tooManyRequestsAtOnce() throws {
        let bench = try Bench()
        try bench.send(.request("initiate", ViciTree { $0["ike"] = "gw" }))
        for _ in 0..<16 { try bench.send(.request("version", ViciTree())) }
        #expect(bench.control.failure(bench.client) == nil)
        try bench.send(.request("version", ViciTree()))
        #expect(bench.control.failure(bench.client) == "more than 16 requests at once")
    }

    @Test func tooManyClients() throws {
        let bench = try Bench()
        try bench.send(.register("log"))
        let octets = try ViciPacket.register("log").framed()
        for _ in 1..<ViciControl.maximumSessions {
            let id = try #require(bench.control.open())
            bench.control.receive(octets, from: id)
            bench.control.drain(id) { $0.count }
        }
        _ = try bench.read()
        #expect(bench.control.open() == nil)
        bench.control.close(bench.client)
        let idle = try #require(bench.control.open())
        // Now there is one that does nothing: it makes room.
        #expect(bench.control.open() != nil)
        #expect(bench.control.failure(idle) == "it did nothing, and others need the room")
    }

    /// Who asks now and then does not have to make room for a crowd that asks for nothing.
    @Test func aCrowdDoesNotDriveOutWhoAsks() throws {
        let bench = try Bench()
        try bench.send(.request("version", ViciTree()))
        _ = try bench.read()
        for _ in 0..<(3 * ViciControl.maximumSessions) { #expect(bench.control.open() != nil) }
        #expect(bench.control.failure(bench.client) == nil)
        bench.gateway.now = bench.gateway.now + .seconds(11)
        #expect(bench.control.open() != nil)
        #expect(bench.control.failure(bench.client) != nil)
    }

    @Test func aClientMayLeaveInTheMiddle() throws {
        let bench = try Bench()
        var ticket: ViciTicket?
        bench.gateway.onCommand = { given, _ in ticket = given }
        try bench.send(
            .request(
                "initiate",
                ViciTree {
                    $0["ike"] = "gw"; $0["timeout"] = "1000"
                }))
        bench.control.close(bench.client)
        let pending = try #require(ticket)
        bench.control.log(pending, ViciLogLine(group: "IKE", text: "to nobody"))
        bench.control.complete(pending, .success)
        bench.gateway.now = bench.gateway.now + .seconds(10)
        bench.control.expire()
        #expect(bench.control.sessionCount == 0 && bench.control.nextDeadline == nil)
    }

    @Test func events() throws {
        let bench = try Bench()
        try bench.send(.register("ike-updown"), .register("child-updown"), .register("log"))
        _ = try bench.read()
        #expect(bench.control.hasListeners("ike-updown") && !bench.control.hasListeners("list-sa"))
        let sa = StubGateway.tunnel()
        let child = try #require(sa.summary.children.first)
        bench.control.publish(.ikeUpDown(isUp: true, sa.summary))
        bench.control.publish(.childUpDown(isUp: false, child, of: sa.summary, .init()))
        bench.control.publish(.log(ViciLogLine(group: "DMN", level: 0, text: "up")))
        let packets = try bench.read().map(\.description)
        #expect(packets.count == 3)
        #expect(packets[0].hasPrefix("event ike-updown {up=yes gw {uniqueid=7 version=2 state=ESTABLISHED"))
        #expect(!packets[0].contains("child-sas"))
        #expect(packets[1].hasPrefix("event child-updown {gw {uniqueid=7"))
        #expect(packets[1].contains("child-sas {net-9 {name=net uniqueid=9"))
        #expect(packets[2] == "event log {group=DMN level=0 thread=1 msg=up}")
    }

    @Test func status() throws {
        let bench = try Bench()
        bench.gateway.connectionList.append(Connection(name: "other"))
        bench.gateway.failures["other"] = ViciFailure(
            code: "E-NO-ANSWER", text: "Nobody answered.", remedy: "Look.", time: bench.gateway.now - .seconds(5))
        bench.gateway.strays = [ViciFailure(code: "E-NO-CONNECTION", text: "Nobody we know.", time: bench.gateway.now)]
        try bench.send(.request("martlet-status", ViciTree()))
        guard case .response(let tree)? = try bench.read().first else {
            Issue.record("no answer")
            return
        }
        #expect(tree.entries.map(\.name) == ["connections", "sas", "refusals", "drops", "failures"])
        #expect(tree.section("connections")?.section("gw")?["state"] == "up")
        let other = try #require(tree.section("connections")?.section("other"))
        #expect(
            other.description
                == "{state=down remote_addrs=[%any] children=[] last-error {code=E-NO-ANSWER text=Nobody answered."
                + " remedy=Look. time=1795262395 age=5}}")
        #expect(tree.section("refusals")?.section("0")?["code"] == "E-NO-CONNECTION")
        let sa = try #require(tree.section("sas")?.section("gw-7"))
        #expect(sa["connection"] == "gw" && sa["setup-milliseconds"] == "12" && sa["state"] == "ESTABLISHED")
        #expect(sa.section("child-sas")?.section("net-9")?["bytes-in"] == "3456")
    }

    @Test(
        arguments: [
            (0, "Jan 1 00:00:00 1970"), (951_782_399, "Feb 28 23:59:59 2000"),
            (951_782_400, "Feb 29 00:00:00 2000"),
            (1_795_262_400, "Nov 21 12:00:00 2026"), (4_107_542_400, "Mar 1 00:00:00 2100"),
            (-1, "Dec 31 23:59:59 1969"),
        ] as [(Int64, String)])
    func dates(_ seconds: Int64, _ text: String) { #expect(ReadableTime.text(unixTime: seconds) == text) }
}
