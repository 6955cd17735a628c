import GatewayModel
import Testing
import ViciMessages
import WireFormat

@testable import ViciServer

/// Commands that load, unload and name: their arguments, their answers, their complaints.
@Suite struct ViciStoreCommandsTests {
    private func answer(
        _ command: String, _ gateway: StubGateway = StubGateway(), _ build: (inout ViciTree) -> Void = { _ in }
    )
        throws -> String
    {
        let control = ViciControl(handler: gateway)
        let client = try #require(control.open())
        control.receive(try ViciPacket.request(command, ViciTree(build)).framed(), from: client)
        var framer = ViciFramer()
        var octets: [UInt8] = []
        control.drain(client) { part in
            octets += part
            return part.count
        }
        return try framer.receive(octets).map(\.description).joined(separator: " ")
    }

    @Test(
        arguments: [
            ("load-shared", "", "shared key type missing"),
            ("load-shared", "type=foo data=x", "invalid shared key type: foo"),
            ("load-shared", "type=IKE", "shared key data missing"),
            ("load-key", "type=any", "private key data missing"),
            ("load-key", "type=dog data=x", "invalid private key type: dog"),
            ("load-cert", "type=X509", "certificate data missing"),
            ("load-cert", "type=X509 flag=DOG data=x", "invalid certificate flag: DOG"),
            ("load-token", "", "keyid missing"), ("load-conn", "gw=1", "'gw' is no section"),
            ("unload-conn", "", "unload: missing connection name"), ("unload-pool", "", "missing pool name"),
            ("unload-authority", "", "unload: missing authority name"), ("unload-key", "", "key id missing"),
            ("unload-shared", "", "shared key id missing"), ("redirect", "", "missing target gateway"),
            ("redirect", "gateway=192.0.2.9", "missing redirect selector"),
            ("redirect", "gateway=192.0.2.9 ike=gw", "redirecting established IKE SAs is not supported yet"),
            ("get-counters", "name=x", "no counters found for this connection"),
            ("install", "", "missing configuration name"), ("uninstall", "child=net", "not here"),
        ])
    func complaints(_ command: String, _ arguments: String, _ complaint: String) throws {
        let text = try answer(command) { tree in
            for pair in arguments.split(separator: " ") {
                let parts = pair.split(separator: "=")
                tree[String(parts[0])] = String(parts[1])
            }
        }
        #expect(text == "response {success=no errmsg=\(complaint)}")
    }

    @Test(
        arguments: [
            ("get-conns", "response {conns=[gw]}"), ("get-shared", "response {keys=[one]}"),
            ("get-keys", "response {keys=[one]}"), ("get-authorities", "response {authorities=[one]}"),
            ("get-pools", "response {p {base=10.9.0.0 size=254 online=1 offline=0}}"),
            ("get-counters", "response {counters { {ike-init-in-req=3}} success=yes}"),
            ("reset-counters", "response {success=yes}"), ("flush-certs", "response {success=yes}"),
            ("clear-creds", "response {success=yes}"), ("list-policies", "response {}"),
            ("list-certs", "response {}"), ("list-authorities", "response {}"),
        ])
    func answers(_ command: String, _ expected: String) throws {
        #expect(try answer(command) == expected)
    }

    @Test func leasesAreShownToWhoAsks() throws {
        let text = try answer("get-pools") { $0.set("leases", true) }
        #expect(text.hasSuffix("leases {0 {address=10.9.0.1 identity=carol@example.net status=online}}}}"))
    }

    @Test func prefixesAreShownBesideAddresses() throws {
        let gateway = StubGateway()
        gateway.lendsPrefixes = true
        #expect(
            try answer("get-pools", gateway) { $0.set("name", "q") }
                == "response {q {base=2001:db8:100:: size=0 online=0 offline=0 prefixes=2001:db8:100::/48 "
                + "prefix-length=64 prefixes-size=65536 prefixes-online=0 prefixes-offline=1}}")
        let text = try answer("get-pools", gateway) { $0.set("leases", true) }
        #expect(text.hasSuffix("leases {0 {address=2001:db8:100:1::/64 identity=dave status=offline}}}}"))
    }

    @Test func whatIsLoadedReachesTheGatewayAsItCame() throws {
        let gateway = StubGateway()
        let conn = try answer("load-conn", gateway) { tree in
            tree.setSection("a") { $0.setList("local_addrs", ["192.0.2.1"]) }
            tree.setSection("bad") { _ in }
        }
        #expect(conn == "response {success=no errmsg=bad is bad}")
        #expect(gateway.items.map(\.name) == ["a", "bad"])
        #expect(gateway.items.first?.fields.list("local_addrs") == ["192.0.2.1"])
        _ = try answer("load-shared", gateway) { tree in
            tree.set("id", "ike-1")
            tree.set("type", "ike")
            tree[element: "data"] = .value([0, 255])
        }
        #expect(gateway.items.last?.kind == .sharedSecret && gateway.items.last?.name == "ike-1")
        #expect(gateway.items.last?.fields[element: "data"] == .secret(SecretBytes([0, 255])))
        _ = try answer("unload-conn", gateway) { $0.set("name", "a") }
        #expect(gateway.unloaded == ["connection a"])
    }

    @Test func replacementsAndAlertsHaveTheirForm() throws {
        let gateway = StubGateway()
        let control = ViciControl(handler: gateway)
        let client = try #require(control.open())
        for event in ["ike-rekey", "child-rekey", "ike-update", "alert"] {
            control.receive(try ViciPacket.register(event).framed(), from: client)
        }
        let old = StubGateway.tunnel().summary
        var new = old
        new.id = IKESAID(rawValue: 8)
        let child = try #require(old.children.first)
        control.publish(.ikeRekey(old: old, new: new))
        var successor = child
        successor.id = ChildSAID(rawValue: 10)
        control.publish(.childRekey(old: child, new: successor, of: old, [:]))
        control.publish(.ikeUpdate(old))
        control.publish(.alert(type: "ts-mismatch", message: "no", old))
        control.publish(.alert(type: "shutdown-signal", message: "bye", nil))
        var framer = ViciFramer()
        var octets: [UInt8] = []
        control.drain(client) { part in
            octets += part
            return part.count
        }
        let events = try framer.receive(octets).dropFirst(4).map(\.description)
        #expect(events.count == 5)
        #expect(events[0].hasPrefix("event ike-rekey {gw {old {uniqueid=7 version=2"))
        #expect(events[0].contains("} new {uniqueid=8 version=2"))
        #expect(events[1].contains("child-sas {net {old {name=net uniqueid=9 reqid=9"))
        #expect(events[1].contains("} new {name=net uniqueid=10 reqid=9"))
        #expect(events[2].hasPrefix("event ike-update {local-host=192.0.2.1 local-port=4500 remote-host=192.0.2.2"))
        #expect(events[3].hasPrefix("event alert {type=ts-mismatch message=no gw {uniqueid=7"))
        #expect(events[4] == "event alert {type=shutdown-signal message=bye}")
    }
}
