import Foundation
import LinuxSystem
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

    @Test func onlyKeysAreTakenForKeys() {
        #expect(
            Redaction.redacted("my_secret = 1\nsecrets {\n}\npin=2\n")
                == "my_secret = 1\nsecrets {\n}\npin = (removed)\n")
    }
}
