import Testing

@testable import SwanctlConfig

/// A file in the form in which a control client sends it.
@Suite struct FragmentReaderTests {
    private let files = [
        "/etc/swanctl/swanctl.conf": """
        base {
          version = 2
          remote_addrs = 192.0.2.2, 192.0.2.3
        }
        connections {
          gw : base {
            local {
              certs = a.pem, /other/b.pem
              cert1 {
                file = c.pem
              }
            }
            remote {
              cacerts = ca.pem
              pubkeys = -----BEGIN
            }
          }
        }
        include more.conf
        """,
        "/etc/swanctl/more.conf": "secrets {\n  ike-1 {\n    id = sun\n    secret = hidden\n  }\n}\n",
        "/etc/swanctl/x509/a.pem": "A", "/other/b.pem": "B", "/etc/swanctl/x509/c.pem": "C",
        "/etc/swanctl/x509ca/ca.pem": "CA",
    ]

    private func text(_ fragment: SettingsFragment) -> String {
        let parts = fragment.entries.map { entry in
            switch entry.element {
            case .value(let octets): "\(entry.name)=\(String(decoding: octets, as: UTF8.self))"
            case .list(let items): "\(entry.name)=\(items.map { String(decoding: $0, as: UTF8.self) })"
            case .section(let inner): "\(entry.name) \(text(inner))"
            case .secret: "\(entry.name)=*"
            }
        }
        return "{\(parts.joined(separator: " "))}"
    }

    @Test func referencesAreFollowedAndContentsStandForFiles() throws {
        let fragment = try SettingsFragment(path: "/etc/swanctl/swanctl.conf", source: FilesInMemory(files))
        let connection = try #require(fragment.section("connections")?.section("gw"))
        #expect(
            text(connection)
                == #"{version=2 remote_addrs=192.0.2.2, 192.0.2.3 local {certs=["A", "B", "C"]} "#
                + #"remote {cacerts=["CA"] pubkeys=["-----BEGIN"]}}"#)
        // No secret is in it.
        #expect(text(try #require(fragment.section("secrets"))) == "{ike-1 {id=sun}}")
        #expect(fragment.section("pools") == nil)
    }

    @Test func aFileThatIsNotThereIsAMistakeWithItsPlace() throws {
        var less = files
        less["/etc/swanctl/x509ca/ca.pem"] = nil
        let errors = try #require(throws: ConfigurationErrors.self) {
            try SettingsFragment(path: "/etc/swanctl/swanctl.conf", source: FilesInMemory(less))
        }
        #expect(errors.errors.map(\.location.line) == [14])
        #expect(errors.errors.first?.message.contains("/etc/swanctl/x509ca/ca.pem") == true)
    }
}
