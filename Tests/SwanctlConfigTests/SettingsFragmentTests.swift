import Clockwork
import GatewayModel
import Testing
import WireFormat

@testable import SwanctlConfig

/// Settings without a file mean what they mean in one.
@Suite struct SettingsFragmentTests {
    private typealias Entry = SettingsFragment.Entry

    private func section(_ entries: Entry...) -> SettingsFragment.Element { .section(SettingsFragment(entries)) }
    private func value(_ text: String) -> SettingsFragment.Element { .value(Array(text.utf8)) }
    private func list(_ items: String...) -> SettingsFragment.Element { .list(items.map { Array($0.utf8) }) }

    private func connection(_ more: Entry...) -> SettingsFragment {
        let inner =
            [
                Entry("remote_addrs", list("192.0.2.2")),
                Entry("local", section(Entry("auth", value("psk")), Entry("id", value("moon.example.net")))),
                Entry("remote", section(Entry("auth", value("psk")), Entry("id", value("sun.example.net")))),
                Entry(
                    "children",
                    section(Entry("net", section(Entry("local_ts", list("10.1.0.0/16", "10.9.0.0/16[tcp/80]")))))),
            ] + more
        return SettingsFragment([Entry("connections", section(Entry("gw", .section(SettingsFragment(inner)))))])
    }

    @Test func aConnectionIsWhatAFileMakesOfIt() throws {
        let file = try load(
            """
            connections { gw {
                remote_addrs = 192.0.2.2
                rekey_time = 2h
                local { auth = psk
                    id = moon.example.net
                }
                remote { auth = psk
                    id = sun.example.net
                }
                children { net {
                    local_ts = 10.1.0.0/16, 10.9.0.0/16[tcp/80]
                } }
            } }
            """)
        let loaded = try LoadedConfiguration(connection(Entry("rekey_time", value("2h"))), from: "client")
        #expect(loaded.connections == file.connections)
        // A secret that comes later is none that is missing now.
        #expect(loaded.warnings.isEmpty)
    }

    @Test func aSecretStaysInMemoryThatIsWiped() throws {
        let octets = Array("0x is no digit of this secret".utf8)
        let inner = section(Entry("id", value("hq.example")), Entry("secret", .secret(SecretBytes(octets))))
        let fragment = SettingsFragment([Entry("secrets", section(Entry("ike-hq", inner)))])
        let loaded = try LoadedConfiguration(fragment, from: "client")
        // As it is: what looks like digits in a file is none here.
        #expect(loaded.secrets.map(\.value) == [SecretBytes(octets)] && loaded.secrets.map(\.name) == ["ike-hq"])
        var told = ""
        dump(FragmentWriter(fragment, origin: "client").tree, to: &told)
        dump(fragment, to: &told)
        #expect(told.contains("hq.example") || told.contains("104"))
        for spelling in [octets.map(String.init).joined(separator: ", "), Hex.encode(octets), "no digit of this"] {
            #expect(!told.contains(spelling))
        }
        // Octet by octet in lines of its own is how an array would be dumped.
        let lines = told.split(separator: "\n").map { $0.trimmingPrefix { $0 == " " || $0 == "-" } }
        let run = octets.prefix(6).map { Substring(String($0)) }
        #expect(!lines.indices.contains { lines[$0...].prefix(run.count).elementsEqual(run) })
    }

    @Test func mistakesAreNamed() {
        let error = #expect(throws: ConfigurationErrors.self) {
            try LoadedConfiguration(connection(Entry("rekey_tiem", value("2h"))), from: "client")
        }
        #expect(
            error?.errors.map(\.description) == [
                "client:1:1: error: connections.gw.rekey_tiem: unknown key 'rekey_tiem'; did you mean 'rekey_time'?"
            ])
    }

    @Test func secretsMayBeAnyOctets() throws {
        let fragment = SettingsFragment([
            Entry(
                "secrets",
                section(Entry("ike-gw", section(Entry("id-1", value("a")), Entry("secret", value("0x00ff2c"))))))
        ])
        let loaded = try LoadedConfiguration(fragment, from: "client")
        #expect(loaded.secrets.map { $0.value.exposedBytes() } == [[0, 0xff, 0x2c]])
        #expect(loaded.secrets.first?.identities == [.fqdn("a")])
    }

    @Test func contentsBecomeFiles() throws {
        let certificates = Entry("certs", .list([[1, 2], [44, 32]]))
        let writer = FragmentWriter(
            SettingsFragment([Entry("local", .section(SettingsFragment([certificates])))]), origin: "client")
        let names = writer.tree.nodes[1].setting("certs")?.value.map { String(decoding: $0, as: UTF8.self) } ?? ""
        let contents = try names.split(separator: ",").map { try writer.contents(of: String($0)) }
        #expect(contents == [[1, 2], [44, 32]])
        #expect(throws: FileProblem.self) { try writer.contents(of: "/etc/shadow") }
    }
}

/// The sections `charon` and `martlet`.
@Suite struct DaemonSettingsTests {
    @Test func retransmissionIsEveryConnections() throws {
        let loaded = try load(
            "charon {\n retransmit_tries = 3\n retransmit_timeout = 1.5\n plugins { vici { socket = unix:///x } }\n}\n"
                + "martlet {\n retransmit_base = 2\n keep_alive = 0\n port = 1500\n}\n" + connection(""))
        let schedule = loaded.settings.retransmission
        #expect(schedule.tries == 3 && schedule.timeout == .milliseconds(1500) && schedule.base == 2)
        #expect(loaded.connections.map(\.retransmission) == [schedule])
        #expect(loaded.settings.keepAlive == .zero && loaded.settings.port == 1500)
        #expect(loaded.settings.controlSocket == "unix:///x")
    }

    @Test func theTableOfHalfOpenIKESAsHasALimit() throws {
        #expect(try load("charon {\n half_open_limit = 500\n}\n" + connection("")).settings.halfOpenLimit == 500)
        #expect(try load(connection("")).settings.halfOpenLimit == nil)
    }

    /// A mistyped key would go without effect; strongSwan's own may stand beside it.
    @Test(arguments: [
        ("retransmit_trie = 9", "charon.retransmit_trie: unknown key 'retransmit_trie'", "retransmit_tries"),
        ("plugins {\n vici {\n soket = unix:///x\n}\n}", "charon.plugins.vici.soket: unknown key 'soket'", "socket"),
        ("plugin {\n vici {\n}\n}", "charon.plugin: unknown section 'plugin'", "plugins"),
        ("plugins {\n revokation {\n}\n}", "charon.plugins.revokation: unknown section 'revokation'", "revocation"),
    ])
    func nearMissesOfWhatIsHonouredAreWarnings(lines: String, what: String, meant: String) throws {
        let own = "keep_alive_dpd_margin = 1\nprocessor {\n}\nplugins {\n curl {\n load = yes\n}\n}\n"
        let loaded = try load("charon {\n\(lines)\n\(own)\n}\n" + connection(""))
        let warnings = loaded.warnings.filter { $0.severity == .warning }
        #expect(warnings.map(\.message) == [what + ", which has no effect"])
        #expect(warnings.first?.remedy == "did you mean '\(meant)'?")
        #expect(loaded.warnings.filter { $0.severity == .note }.map(\.message).count == 1)
        let line = 2 + (lines.split(separator: "\n").firstIndex { $0.contains(what.split(separator: "'")[1]) } ?? 0)
        #expect(warnings.first?.location.line == line)
    }

    @Test func aSectionThatIsNearlyStrongSwansIsNamed() throws {
        let loaded = try load("charn {\n retransmit_tries = 3\n}\n" + connection(""))
        #expect(loaded.warnings.map(\.remedy) == ["did you mean 'charon'?"])
    }

    @Test func strongSwansOwnKeysAreNotedAndOursChecked() throws {
        let loaded = try load("charon {\n load_modular = yes\n}\nlibtls {\n x = 1\n}\n" + connection(""))
        #expect(loaded.warnings.map(\.severity) == [.note])
        #expect(
            errors("martlet {\n retransmit_trys = 1\n}\n" + connection("")) == [
                "2:2: error: martlet.retransmit_trys: unknown key 'retransmit_trys'; did you mean 'retransmit_tries'?"
            ])
        #expect(
            errors("charon {\n retransmit_timeout = soon\n}\n" + connection("")) == [
                "2:2: error: charon.retransmit_timeout: 'soon' is not a number from 0.1 to 600.0; write a number, with a point where it has decimals"
            ])
    }
}
