import Foundation
import Testing
import ViciMessages

@testable import martlet

/// Called as `swanctl`: how a command line is read, and texts, as strongSwan's swanctl 5.9.8 has them.
@Suite struct SwanctlDoorTests {
    private func options(_ line: String) throws -> SwanctlOptions {
        try SwanctlOptions(line.split(separator: " ").map(String.init)) { _ in ["--ike", "filed"] }
    }

    private func message(_ line: String) throws -> String { try SwanctlDoor.arguments(try options(line)).description }

    @Test(arguments: [
        ("--terminate -c net -f", "{child=net force=yes}"), ("-tcnet -f", "{child=net force=yes}"),
        ("--terminate --child-id=7 -t 3", "{child-id=7 timeout=3000}"), ("-li hq", "{ike=hq}"),
        ("--list-pols", "{trap=yes drop=yes pass=yes}"), ("-P -t -d", "{trap=yes drop=yes}"),
        ("--list-pols --pass -c lan", "{child=lan pass=yes}"), ("--rekey -i hq -a", "{ike=hq reauth=yes}"),
        ("--redirect -d *.example -g gw", "{peer-id=*.example gateway=gw}"), ("--list-sas -n extra", "{noblock=yes}"),
        ("--counters -n hq", "{name=hq}"), ("--counters --all", "{all=yes}"), ("-A -l -n vip", "{name=vip leases=yes}"),
        ("--list-sas --options x", "{ike=filed}"), ("--list-sas --debug 2", "{}"), ("--list-con", "{}"),
    ])
    func aCommandLineAsTheMessageItBecomes(_ line: String, _ expected: String) throws {
        #expect(try message(line) == expected)
    }

    @Test func lettersMeanWhatTheCommandSays() throws {
        #expect(try options("--counters -R -r").has("reset") && !options("--counters -r").has("reset"))
        #expect(try options("-x -p -U -S").has("pem") && options("-l -P").has("pretty"))
        #expect(try options("--list-pols --help").has("help") && options("-q -n -f x")["file"] == "x")
        #expect(try options("").command.long == "--help")
    }

    @Test(arguments: [
        "--nonsense", "nonsense", "-z", "--list-sas --nonsense", "--list-sas --i hq", "--list-sas --ike",
        "--list-sas --raw=1", "--initiate -t soon", "--list",
    ])
    func whatMakesNoSenseIsMisuse(_ line: String) throws {
        #expect(throws: SwanctlOptions.Misuse.self) { _ = try message(line) }
        #expect(SwanctlDoor.run(line.split(separator: " ").map(String.init)) == 1)
    }

    /// Without a gateway nothing is loaded, and the status is the system's error number.
    @Test(arguments: ["--load-all", "--load-conns", "--load-creds", "--load-pools", "--load-authorities"])
    func loadingNeedsAGateway(_ command: String) {
        #expect(SwanctlDoor.run([command, "--file", "/nowhere/x.conf", "--uri", "unix:///nowhere/vici"]) == 2)
        #expect(SwanctlDoor.run([command, "--uri", "unix:///nowhere/vici"]) == 2)
        #expect(SwanctlDoor.run([command, "--help"]) == 0)
    }

    private let tree = ViciTree { tree in
        tree.setSection("hq") { sa in
            sa.set("id", "a b")
            sa[element: "msg"] = .value([0xe2, 0x86, 0x92])
            sa.setList("ts", ["10.1.0.0/16", "::/0"])
            sa.setList("certs", [String]())
        }
    }

    @Test func rawMessages() {
        #expect(
            SwanctlRaw.line.text("list-sa event", tree)
                == "list-sa event {hq {id=a b msg=0xe28692 ts=[10.1.0.0/16 ::/0] certs=[]}}")
        #expect(
            SwanctlRaw.indented.text("list-sa event", tree) == """
                list-sa event {
                  hq {
                    id = a b
                    msg = 0xe28692
                    ts = [
                      10.1.0.0/16
                      ::/0
                    ]
                    certs = [
                    ]
                  }
                }
                """)
    }

    @Test func texts() {
        let connection = ViciTree { tree in
            tree.setSection("shunts") { connection in
                connection.set("version", "IKEv2")
                connection.setSection("children") { children in
                    for (name, mode) in [("net", "TUNNEL"), ("lan", "PASS"), ("bad", "DROP")] {
                        children.setSection(name) {
                            $0.set("mode", mode)
                            $0.set("rekey_time", 3600)
                        }
                    }
                }
            }
        }
        let lines = SwanctlText.connections(connection)
        for line in ["  net: TUNNEL, rekeying every 3600s", "  lan: PASS, no rekeying", "  bad: DROP, no rekeying"] {
            #expect(lines.contains(line))
        }
        let policy = ViciTree { tree in tree.setSection("hq/net") { $0.set("mode", "TUNNEL") } }
        #expect(SwanctlText.policies(policy) == ["hq/net, TUNNEL", "  local:  ", "  remote: "])
        let log = ViciTree {
            $0.set("group", "IKE")
            $0.set("thread", 1)
            $0.set("msg", "sent")
        }
        #expect(SwanctlText.log(log) == ["01[IKE] sent"])
    }

    /// A pool's prefixes have a line of their own.
    @Test func poolsOfPrefixes() {
        let answer = ViciTree { tree in
            tree.setSection("clients") { pool in
                for (name, value) in [("base", "10.3.0.0"), ("size", "254"), ("online", "2"), ("offline", "1")] {
                    pool.set(name, value)
                }
                pool.set("prefixes", "2001:db8:100::/48")
                pool.set("prefix-length", "64")
                for (name, value) in [("size", "65536"), ("online", "1"), ("offline", "0")] {
                    pool.set("prefixes-" + name, value)
                }
            }
        }
        let words = SwanctlText.pools(answer).map { $0.split(separator: " ").joined(separator: " ") }
        #expect(words == ["clients 10.3.0.0 2 / 1 / 254", "2001:db8:100::/48, /64 each 1 / 0 / 65536"])
    }

    @Test func whatTheMonitorShows() {
        func event(_ children: Bool) -> ViciTree {
            ViciTree { tree in
                tree.set("up", true)
                tree.setSection("hq") { sa in
                    sa.set("uniqueid", 3)
                    if children {
                        sa.setSection("child-sas") { $0.setSection("net-1") { $0.set("name", "net") } }
                    }
                }
            }
        }
        #expect(SwanctlText.monitored(event(false)) == [])
        let lines = SwanctlText.monitored(event(true))
        #expect(lines.first?.hasPrefix("hq: #3, ") == true && lines.contains { $0.hasPrefix("  net: #") })
    }
}

/// Called as `ipsec`: which SAs a name means.
@Suite struct IpsecNameTests {
    private let sa = ViciTree { tree in
        tree.set("uniqueid", 20)
        tree.setSection("child-sas") { children in
            for (number, name) in [(5, "net"), (6, "net"), (7, "lab")] {
                children.setSection("\(name)-\(number)") {
                    $0.set("name", name)
                    $0.set("uniqueid", number)
                }
            }
        }
    }

    private func children(_ word: String, of connection: String = "hq") -> [String]? {
        IpsecName(word)?.part(of: sa, named: connection)?.section("child-sas")?.sections.map(\.name)
    }

    @Test func whatIsShown() {
        #expect(children("hq") == ["net-5", "net-6", "lab-7"] && children("hq[20]") == children("hq"))
        #expect(children("hq[*]") == children("hq") && children("hq[21]") == nil && children("other[20]") == nil)
        #expect(children("net") == ["net-5", "net-6"] && children("net{*}") == children("net"))
        #expect(children("net{6}") == ["net-6"] && children("{7}") == ["lab-7"] && children("lab{6}") == nil)
        #expect(children("nosuch") == nil)
        // A child of the connection's own name is the connection.
        #expect(children("net", of: "net")?.count == 3)
    }

    @Test(arguments: [
        ("hq", true, "{ike=hq}"), ("net", false, "{child=net}"), ("net{5}", false, "{child-id=5}"),
        ("net{*}", false, "{child=net}"), ("hq[20]", true, "{ike-id=20}"), ("hq[*]", true, "{ike=hq}"),
    ])
    func whatIsClosed(_ word: String, _ isConnection: Bool, _ message: String) {
        #expect(IpsecName(word)?.termination(isConnection: isConnection).description == message)
    }

    @Test(arguments: ["", "net{x}", "hq[]", "{*}", "net{-1}"]) func whatIsNoName(_ word: String) {
        #expect(IpsecName(word) == nil)
    }
}
