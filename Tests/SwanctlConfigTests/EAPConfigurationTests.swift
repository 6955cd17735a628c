import GatewayModel
import SwanctlConfig
import Testing
import WireFormat

/// `auth = eap…`, `eap_id`, `aaa_id` and the secrets that go with them.
struct EAPConfigurationTests {
    private static func load(
        _ local: String, _ remote: String, secrets: String = ""
    ) throws(ConfigurationErrors) -> LoadedConfiguration {
        let text = """
            connections { gw {
                remote_addrs = 192.0.2.2
                local { \(local)
                }
                remote { \(remote)
                }
                children { net { } }
            } }
            secrets { \(secrets)
            }
            """
        return try LoadedConfiguration(path: "/etc/a.conf", source: FilesInMemory(["/etc/a.conf": Array(text.utf8)]))
    }

    private static func complaints(_ local: String, _ remote: String, secrets: String = "") -> [String] {
        do throws(ConfigurationErrors) {
            _ = try load(local, remote, secrets: secrets)
            return []
        } catch {
            return error.errors.map(\.message)
        }
    }

    @Test func client() throws {
        let loaded = try Self.load(
            "auth = eap-mschapv2\neap_id = carol\naaa_id = aaa.example.org", "auth = psk\nid = moon.example",
            secrets: "eap-me { id = carol\nsecret = \"a password\"\n}")
        let local = try #require(loaded.connections.first?.local)
        #expect(local.method == .eap && local.eap.methods == [.mschapv2])
        #expect(local.eapIdentity == .fqdn("carol"))
        #expect(local.eapServer == .exactly(.fqdn("aaa.example.org")))
        let secret = try #require(loaded.secrets.first)
        #expect(secret.kind == .eap && secret.identities == [.fqdn("carol")])
        #expect(secret.value == SecretBytes(Array("a password".utf8)))
        // A password is shorter than a key, and nobody complains.
        #expect(!loaded.warnings.contains { $0.message.contains("guessed") })
    }

    @Test func gateway() throws {
        let loaded = try Self.load("auth = psk\nid = moon.example", "auth = eap-tls, eap-mschapv2\neap_id = %any")
        let remote = try #require(loaded.connections.first?.remote)
        #expect(remote.method == .eap && remote.eap.methods == [.tls, .mschapv2])
        #expect(remote.eapIdentity == .any)
    }

    @Test func wordsForManyMethods() throws {
        let loaded = try Self.load("auth = eap", "auth = eap-dynamic")
        let connection = try #require(loaded.connections.first)
        #expect(Set(connection.local.eap.methods) == Set(EAPMethod.allCases))
        // A gateway does not ask for a password in a way that shows or weakens it, unless it is told to.
        #expect(connection.remote.eap.methods == [.tls, .ttls, .peap, .mschapv2])
        #expect(connection.remote.eapIdentity == nil)
    }

    @Test func mistakes() {
        #expect(Self.complaints("auth = eap-mschap", "auth = psk").first?.contains("is no EAP method") == true)
        #expect(Self.complaints("auth = psk", "auth = eap-md5, foo").first?.contains("'foo'") == true)
        #expect(
            Self.complaints("auth = psk", "auth = eap-md5", secrets: "eap-x { secret = x\n}").first?
                .contains("has no id") == true)
        #expect(
            Self.complaints("auth = psk", "auth = eap-md5", secrets: "ntlm-x { id = carol\nsecret = 0x1234\n}").first?
                .contains("16 octets") == true)
    }

    @Test func ntHash() throws {
        let loaded = try Self.load(
            "auth = psk", "auth = eap-mschapv2",
            secrets: "ntlm-carol { id = carol\nsecret = 0x44ebba8d5312b8d611474411f56989ae\n}")
        #expect(loaded.secrets.first?.kind == .ntlm)
    }

    @Test func withoutEAPTheNamesHaveNoEffect() throws {
        let loaded = try Self.load("auth = psk\neap_id = carol", "auth = psk")
        #expect(loaded.warnings.contains { $0.message.contains("eap_id has no effect") })
    }
}
