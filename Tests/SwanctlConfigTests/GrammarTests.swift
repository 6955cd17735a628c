import Clockwork
import GatewayModel
import SwanctlConfig
import Testing
import WireFormat

/// The grammar of the files: sections, values, references, includes.
@Suite struct GrammarTests {
    /// What becomes of a secret says what becomes of any value.
    @Test(arguments: [
        ("0123456789abcdef", "0123456789abcdef"),
        ("  spaced    words  here  ", "spaced words here"),
        ("\"quoted  # } { text\"", "quoted  # } { text"),
        ("one \"two  three\" four # comment", "one two  three four"),
        ("braces{inside=a:value,are.fine", "braces{inside=a:value,are.fine"),
        ("\"line\\nbreak\\ttab\\\\ \\\"quote\\\"\"", "line\nbreak\ttab\\ \"quote\""),
        ("\"two\\\nlines\"", "twolines"),
        ("\"two\nlines\"", "two\nlines"),
        ("0x6d61 7274 6c65 74", "martlet"),
        ("0sbWFydGxldA==", "martlet"),
        ("0sbWFydGxldA", "martlet"),
        ("0sbWFydGxl", "martle"),
        ("pässword-of-length", "pässword-of-length"),
    ])
    func values(_ written: String, _ meant: String) throws {
        let loaded = try load("secrets { ike { secret = \(written)\n } }")
        let secret = try #require(loaded.secrets.first)
        #expect(String(decoding: secret.value.exposedBytes(), as: UTF8.self) == meant)
        #expect(secret.identities.isEmpty)
    }

    @Test func aSettingMayEndWithItsSection() throws {
        let loaded = try load("secrets{ike{secret=abcdefghijklmnop}}")
        #expect(loaded.secrets.first?.value.count == 16)
    }

    @Test func braceMayStandOnTheNextLine() throws {
        let loaded = try load("secrets\n\n{\n ike-1 # comment\n {\n secret = abcdefghijklmnop\n}\n}\r\n")
        #expect(loaded.secrets.map(\.name) == ["ike-1"])
    }

    @Test func sectionsMergeAndTheLaterSettingWins() throws {
        let loaded = try load(
            connection("unique = never")
                + "\nconnections { gw { unique = replace\n children { net { replay_window = 0\n } other { } } } }")
        let gateway = try #require(loaded.connections.first)
        #expect(loaded.connections.count == 1)
        #expect(gateway.uniqueness == .replace)
        #expect(gateway.children.map(\.name) == ["net", "other"])
        #expect(gateway.children.first?.replayWindow == 0)
    }

    @Test func referencesInherit() throws {
        let loaded = try load(
            """
            connections {
                a : defaults, psk {
                    remote_addrs = 192.0.2.1
                    dpd_delay =
                }
                b : connections.a {
                    remote_addrs = 192.0.2.2
                    dpd_delay = 5
                    children { net { rekey_time = 2h
                    } }
                }
            }
            defaults {
                version = 2
                dpd_delay = 30s
                unique = keep
                children { net : child { local_ts = 10.1.0.0/16
                } }
            }
            psk { local { auth = psk
            }
            remote { auth = psk
            } unique = never
            }
            child { start_action = trap
            }
            """)
        let first = try #require(loaded.connections.first)
        let second = try #require(loaded.connections.last)
        #expect(loaded.connections.map(\.name) == ["a", "b"])
        #expect(first.dpdDelay == .zero, "an empty value clears the inherited one")
        #expect(first.uniqueness == .keep, "the first reference wins")
        #expect(first.children.first?.startAction == .trap)
        #expect(second.dpdDelay == .seconds(5))
        #expect(second.remoteAddresses.map(\.description) == ["192.0.2.2"])
        #expect(second.children.first?.rekeyTime == .hours(2))
        #expect(second.children.first?.localSelectors.map(\.description) == ["10.1.0.0/16"])
        #expect(second.children.first?.startAction == .trap)
    }

    @Test func includesAreRelativeToTheirFile() throws {
        let loaded = try load(
            "include conf.d/*.conf\nsecrets { include \"keys/a b.conf\"\n include none/*.conf\n }",
            [
                "/etc/conf.d/1.conf": connection("unique = never"), "/etc/conf.d/2.conf": "include sub/x.conf",
                "/etc/conf.d/sub/x.conf": "connections { gw { unique = keep\n } }",
                "/etc/conf.d/sub/y.conf": "not read", "/etc/keys/a b.conf": "ike-2 { secret = abcdefghijklmnopq\n }",
            ])
        #expect(loaded.connections.first?.uniqueness == .keep)
        #expect(loaded.secrets.map(\.name) == ["ike-sun", "ike-2"])
        #expect(
            loaded.files == [
                "/etc/swanctl.conf", "/etc/conf.d/1.conf", "/etc/conf.d/2.conf", "/etc/conf.d/sub/x.conf",
                "/etc/keys/a b.conf",
            ])
        #expect(loaded.warnings.contains { $0.message.contains("no file matches '/etc/none/*.conf'") })
    }

    /// Where there may be none, a pattern says so; a file's own name is meant.
    @Test func anIncludeOfAFileThatIsNotThereIsAWarning() throws {
        let loaded = try load(connection("") + "\n  include more.conf\ninclude conf.d/*.conf\n")
        #expect(
            loaded.warnings.map(\.description) == [
                "/etc/swanctl.conf:23:11: warning: there is no file '/etc/more.conf'; nothing is included; "
                    + "correct the name, or write one with a * where there may be none",
                "/etc/swanctl.conf:24:9: note: no file matches '/etc/conf.d/*.conf'; nothing is included",
            ])
    }

    @Test(arguments: [
        ("connections {\n gw {\n", ["3:1: error: section 'gw', opened at 2:2, is not closed; add a }"]),
        ("}\n", ["1:1: error: this } closes nothing; remove it"]),
        ("foo\nbar {\n}", ["1:1: error: 'foo' is neither a setting nor a section; write 'foo = value' or 'foo { … }'"]),
        ("secrets { ike { secret = \"abc\n } }", ["1:26: error: a quoted text does not end; close it with \""]),
        ("= x\n", ["1:1: error: a name is missing here; write 'name = value' or 'name { }'"]),
        ("a.b = c\n", ["1:2: error: '.' can't be part of a key; write nested sections: a { … }"]),
        (
            "a : { }\n",
            [
                "1:5: error: a section's name is missing behind ':', '.' or ','; write 'name : other.section { }'"
            ]
        ),
        (
            "a : a { }\nsecrets { }",
            [
                "1:5: error: 'a' inherits from itself, directly or through others; "
                    + "remove the reference that closes the circle"
            ]
        ),
        (
            "a : b { }\nb : a { }\n",
            [
                "2:5: error: 'a' inherits from itself, directly or through others; "
                    + "remove the reference that closes the circle"
            ]
        ),
        ("a : secrts.x { }\nsecrets { }", ["1:5: error: there is no section 'secrts'; did you mean 'secrets'?"]),
        (
            "secrets { }\na : secrets.x { }",
            [
                "2:5: error: there is no section 'secrets.x'; define it, or remove the reference"
            ]
        ),
        (
            "include swanctl.conf\n",
            [
                "1:9: error: '/etc/swanctl.conf' includes itself; remove the include that closes the circle"
            ]
        ),
    ])
    func mistakes(_ text: String, _ expected: [String]) {
        #expect(errors(text).map { $0.replacing("/etc/swanctl.conf:", with: "") } == expected)
    }

    @Test func aMissingFileIsNamed() {
        #expect(throws: ConfigurationErrors.self) {
            try LoadedConfiguration(path: "/nowhere.conf", source: FilesInMemory([String: String]()))
        }
    }

    @Test func aLongChainOfReferencesIsRefused() {
        let chain = (0..<200).map { "a\($0) : a\($0 + 1) { }" }.joined(separator: "\n")
        #expect(errors(chain + "\na200 { }").contains { $0.contains("references follow each other deeper than") })
    }

    @Test func deepSectionsAreRefused() {
        let depth = 5_000
        let text = String(repeating: "a {\n", count: depth) + String(repeating: "}\n", count: depth)
        #expect(errors(text).contains { $0.contains("sections deeper than 32") })
    }

    /// Whatever the files hold, reading ends, with an answer.
    @Test func damagedFilesDoNoHarm() {
        var state: UInt64 = 42
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(truncatingIfNeeded: state >> 33) % bound
        }
        let original = Array(
            connection(
                "dpd_delay = 10s\nproposals = aes128-sha256-x25519, default", child: "local_ts = 10.1.0.0/16[tcp/80]"
            )
            .utf8)
        let signs = Array("{}=\"#:,.\n%*0@[]-".utf8)
        var refused = 0
        for _ in 0..<3_000 {
            var damaged = original
            for _ in 0...random(4) {
                switch random(3) {
                case 0: damaged[random(damaged.count)] = UInt8(truncatingIfNeeded: random(256))
                case 1: damaged.remove(at: random(damaged.count))
                default: damaged.insert(signs[random(signs.count)], at: random(damaged.count))
                }
            }
            do {
                _ = try LoadedConfiguration(path: "f", source: FilesInMemory(["f": damaged]))
            } catch {
                refused += 1
                #expect(!error.errors.isEmpty)
            }
        }
        #expect(refused > 1_000)
    }
}
