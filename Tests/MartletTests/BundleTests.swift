import Foundation
import LinuxSystem
import SwanctlConfig
import Testing

@testable import martlet

struct BundleTests {
    /// Secrets in every place and form in which a configuration may hold one.
    private static let configuration = """
        connections {
          a {
            remote_addrs = 198.51.100.2
            local { auth = psk
              id = hq
            }
            remote { auth = psk
              id = branch
            }
            children { net { } }
          }
        }
        secrets {
          # the old one: secret = tell-nobody-0
          ike-a { id = branch
            secret = "tell-nobody-1
              tell-nobody-2 \\" tell-nobody-3" }
          ike-b {
            secret=0x74656c6c2d6e6f626f64792d34746865 # tell-nobody-5
            id = other
          }
          private-c { file = k.pem secret = tell-nobody-6 }
        }
        """

    @Test func noSecretIsInAReport() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("bundle-\(UUID().uuidString).conf")
            .path
        try RawFile.write(file, Array(Self.configuration.utf8), mode: 0o600)
        defer { try? FileManager.default.removeItem(atPath: file) }
        var report = BundleReport()
        report.add(configuration: file)
        report.add("a log that says too much", "the key is tell-nobody-4the, or 74656C6C2D6E6F626F64792D34746865")
        let text = report.finished()
        #expect(text.contains("remote_addrs = 198.51.100.2"))
        #expect(text.contains("id = branch"))
        #expect(text.contains("secret = (removed)"))
        #expect(text.contains("(a secret)"))
        for word in ["tell-nobody", "74656c6c", "74656C6C"] { #expect(!text.contains(word), "\(word): \(text)") }
    }

    /// Mistakes that are made with a secret: nothing of it may be in a report, of what is not a secret as much as can be.
    @Test(arguments: [
        "secert = \"tell-nobody\"", "secret \"tell-nobody\"", "secret: tell-nobody", "secret : \"tell-nobody\"",
        "\"secret\" = tell-nobody", "\"secret\" = \"tell-nobody\"", "secret =\n    tell-nobody",
        "secret\n= tell-nobody",
        "secret =\n    tell-nobody==", "secret tell-nobody", "secret = \"tell-nobody", "secret = tell-no{tell-nobody",
        "secret =\n  tell-nobody.tell-nobody", "tell-nobody", "tell-nobody = x", "tell-nobody {\n}", "# tell-nobody",
        "secret = x\ntell-nobody # tell-nobody", "id-2 = \"branch secret = tell-nobody", "SECRET=tell-nobody",
        "file = k.pem secert = tell-nobody", "secret = 0xtell-nobody", "secret = x\n}\n}\n}\ntell-nobody",
        "id-2 = a*b secret=tell-nobody", "private-x { file = k.pem\n secret tell-nobody\n }", "include tell-nobody",
        "private-x : tell-nobody {\n}",
    ])
    func mistakesWithASecret(_ line: String) throws {
        let text = """
            connections {
              a {
                remote_addrs = 198.51.100.2
              }
            }
            secrets {
              ike-a {
                id-1 = "CN=hq, O=lab"
                \(line)
              }
            }
            """
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("bundle-\(UUID().uuidString).conf")
            .path
        try RawFile.write(file, Array(text.utf8), mode: 0o600)
        defer { try? FileManager.default.removeItem(atPath: file) }
        // A gateway that reads it says the same in its log.
        let check = CheckReport(file).lines(Terminal(hasColour: false), showsNotes: true).joined(separator: "\n")
        var report = BundleReport()
        report.add(configuration: file)
        report.add("martlet-log", check)
        let finished = report.finished()
        #expect(!finished.contains("tell-nobody"), "\(line): \(finished)")
        for word in ["connections {", "a {", "secrets {", "ike-a {", "id-1 = CN=hq, O=lab"] {
            #expect(finished.contains(word), "\(line): \(finished)")
        }
        if CheckReport(file).loadable { #expect(finished.contains("remote_addrs = 198.51.100.2")) }
    }

    @Test func onlyKeysAreTakenForKeys() {
        let text = """
            # who wrote this
            charon-like {
              my_secret = 1
              # a comment
              pin=2
              remote_adrs = 10.0.0.1
              auth = psk secret = tell-nobody
            }
            secrets {
            }
            """
        let shown = RedactedConfiguration(path: "/c", source: FilesInMemory(["/c": text]))
        #expect(
            shown.files.map(\.text) == [
                """

                charon-like {
                  my_secret = (removed)

                  pin = (removed)
                  remote_adrs = 10.0.0.1
                  auth = psk (removed)
                }
                secrets {
                }
                """
            ])
    }

    /// A file that a section of secrets includes is as secret as the section.
    @Test func whatIsIncludedAmongSecrets() {
        let shown = RedactedConfiguration(
            path: "/c",
            source: FilesInMemory(["/c": "secrets {\n  include k\n}", "/k": "ike-a {\n  secretly =\n  tell-nobody\n}"]))
        #expect(shown.files.map(\.isWhole) == [true, false])
        #expect(!shown.files.contains { $0.text.contains("tell-nobody") })
    }
}
