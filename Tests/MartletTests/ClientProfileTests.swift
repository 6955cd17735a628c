import Foundation
import GatewayModel
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import SwanctlConfig
import Testing
import Trust

@testable import Gateway
@testable import martlet

/// `martlet client-profile`: each form, read back by a reader that is not ours where there is one.
struct ClientProfileTests {
    /// A gateway's configuration with an authority of its own, in a directory of the test's own.
    private static func with(
        _ remote: String, lan: String = "10.1.0.0/16", more: String = "",
        _ body: (LoadedConfiguration, Connection) throws -> Void
    ) throws {
        let path = "/tmp/martlet-profile-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: path) }
        for folder in ["x509", "x509ca", "private"] {
            try FileManager.default.createDirectory(atPath: "\(path)/\(folder)", withIntermediateDirectories: true)
        }
        let authority = AuthorityDirectory(path: path + "/ca")
        let name = try #require(DistinguishedName(text: "C=CH, O=Lab & Söhne, CN=Lab CA"))
        _ = try authority.make(
            name, kind: .p256, days: 1000, pathLength: 0, published: .init(lists: [], responders: []))
        var profile = CertificateProfile(.gateway)
        profile.hosts = ["vpn.example.net"]
        let issued = try authority.issue("vpn.example.net", profile, kind: .p256, days: 825, password: nil)
        try FileManager.default.copyItem(atPath: authority.certificatePath, toPath: path + "/x509ca/ca.pem")
        try FileManager.default.copyItem(atPath: issued.certificate, toPath: path + "/x509/gateway.pem")
        try FileManager.default.copyItem(atPath: issued.key, toPath: path + "/private/gateway.pem")
        let text = """
            connections {
              people {
                local_addrs = 192.0.2.1
                pools = v4
                proposals = aes256gcm16-prfsha384-ecp384, aes256-sha256-modp2048
                send_cert = always
                local {
                  auth = pubkey
                  certs = gateway.pem
                  id = vpn.example.net
                }
                remote {
                  \(remote)
                }
                children {
                  lan {
                    local_ts = \(lan)
                    esp_proposals = aes256gcm16, aes256-sha256
                  }
                }
              }
            }
            pools {
              v4 {
                addrs = 10.9.0.0/24
              }
            }
            \(more)
            """
        try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/swanctl.conf"))
        let loaded = try LoadedConfiguration(path: path + "/swanctl.conf", source: DiskFiles())
        try body(loaded, try #require(loaded.connections.first))
    }

    private static func facts(
        _ loaded: LoadedConfiguration, _ connection: Connection, _ wishes: ClientFacts.Wishes = .init()
    ) throws -> ClientFacts {
        try ClientFacts("carol@example.net", connection, loaded, wishes)
    }

    @Test("Apple's profile is a property list with the authority, the names and the strongest that both can do")
    func apple() throws {
        try Self.with("auth = eap-mschapv2\n      eap_id = %any") { loaded, connection in
            let text = try AppleProfile(facts: try Self.facts(loaded, connection)).text()
            // No place for the format that was found: nothing is written.
            let list = unsafe try PropertyListSerialization.propertyList(from: Data(text.utf8), format: nil)
            let whole = try #require(list as? [String: Any])
            let payloads = try #require(whole["PayloadContent"] as? [[String: Any]])
            #expect(
                payloads.map { $0["PayloadType"] as? String } == ["com.apple.security.root", "com.apple.vpn.managed"])
            #expect(
                payloads.first?["PayloadContent"] as? Data == loaded.credentials.authorities.first.map { Data($0.der) })
            let tunnel = try #require(payloads.last?["IKEv2"] as? [String: Any])
            #expect(tunnel["RemoteAddress"] as? String == "vpn.example.net")
            #expect(tunnel["RemoteIdentifier"] as? String == "vpn.example.net")
            #expect(tunnel["AuthenticationMethod"] as? String == "None")
            #expect(tunnel["ExtendedAuthEnabled"] as? Int == 1)
            #expect(tunnel["AuthName"] as? String == "carol@example.net")
            #expect(tunnel["AuthPassword"] == nil)
            #expect(tunnel["ServerCertificateIssuerCommonName"] as? String == "Lab CA")
            #expect(tunnel["EnablePFS"] as? Int == 0)
            let ike = try #require(tunnel["IKESecurityAssociationParameters"] as? [String: Any])
            #expect(ike["EncryptionAlgorithm"] as? String == "AES-256-GCM")
            #expect(ike["IntegrityAlgorithm"] as? String == "SHA2-384")
            #expect(ike["DiffieHellmanGroup"] as? Int == 20)
            let identifiers = ([whole] + payloads).compactMap { $0["PayloadUUID"] as? String }
            #expect(Set(identifiers).count == 3 && identifiers.allSatisfy { UUID(uuidString: $0) != nil })
            #expect(try AppleProfile(facts: try Self.facts(loaded, connection)).text() == text)
        }
    }

    @Test("A password is inside only when it was given")
    func secrets() throws {
        try Self.with("auth = eap-mschapv2\n      eap_id = %any") { loaded, connection in
            var wishes = ClientFacts.Wishes()
            let settings = ClientSettings(facts: try Self.facts(loaded, connection, wishes))
            #expect(!settings.text(["ca.pem"]).contains("    secret ="))
            wishes.secret = "one \"two\" \\ three"
            let asked = try Self.facts(loaded, connection, wishes)
            #expect(try AppleProfile(facts: asked).text().contains("<string>one \"two\" \\ three</string>"))
            #expect(ClientSettings(facts: asked).text(["ca.pem"]).contains(#"secret = "one \"two\" \\ three""#))
            #expect(!(try WindowsScript(facts: asked).text().contains("\"two")))
            #expect(!(try StrongSwanProfile(facts: asked).text().contains("three")))
        }
    }

    @Test("Windows' script imports the authority, sets the algorithms and the routes")
    func windows() throws {
        try Self.with("auth = pubkey\n      cacerts = ca.pem") { loaded, connection in
            var wishes = ClientFacts.Wishes()
            wishes.title = "Lab'; Remove-Item C:\\ #"
            let text = try WindowsScript(facts: try Self.facts(loaded, connection, wishes)).text()
            #expect(text.hasPrefix("\u{FEFF}# Written"))
            #expect(text.contains("$name = 'Lab''; Remove-Item C:\\ #'\r\n"))
            #expect(text.contains("-AuthenticationMethod MachineCertificate"))
            #expect(text.contains("-SplitTunneling"))
            #expect(text.contains("-DestinationPrefix '10.1.0.0/16'"))
            #expect(text.contains("-EncryptionMethod GCMAES256 -IntegrityCheckMethod SHA384 -DHGroup ECP384"))
            #expect(text.contains("-CipherTransformConstants GCMAES256 -AuthenticationTransformConstants GCMAES256"))
            let authority = try #require(loaded.credentials.authorities.first)
            #expect(text.contains(Data(authority.der).base64EncodedString()))
        }
    }

    @Test("Every quote that PowerShell knows is doubled")
    func quotes() {
        #expect(WindowsScript.quoted("a'b\u{2019}c") == "'a''b\u{2019}\u{2019}c'")
    }

    @Test("The app's profile is JSON with the keys that it documents")
    func app() throws {
        try Self.with("auth = eap-mschapv2\n      eap_id = %any") { loaded, connection in
            let text = try StrongSwanProfile(facts: try Self.facts(loaded, connection)).text()
            let whole = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            #expect(whole["type"] as? String == "ikev2-eap")
            #expect((whole["remote"] as? [String: Any])?["addr"] as? String == "vpn.example.net")
            #expect((whole["local"] as? [String: Any])?["eap_id"] as? String == "carol@example.net")
            #expect(whole["ike-proposal"] as? String == "aes256gcm16-prfsha384-ecp384")
            #expect((whole["split-tunneling"] as? [String: Any])?["subnets"] as? [String] == ["10.1.0.0/16"])
            #expect(UUID(uuidString: try #require(whole["uuid"] as? String)) != nil)
        }
    }

    @Test("swanctl.conf for a client is one that this gateway's own reader takes")
    func swanctl() throws {
        try Self.with("auth = pubkey\n      cacerts = ca.pem", lan: "10.1.0.0/16, fd00:1::/64") { loaded, connection in
            let files = try ClientSettings(facts: try Self.facts(loaded, connection)).files()
            #expect(files.map(\.path) == ["swanctl.conf", "x509ca/people-ca.pem"])
            let path = "/tmp/martlet-profile-\(UInt64.random(in: 0 ... .max))"
            defer { try? FileManager.default.removeItem(atPath: path) }
            for file in files {
                let url = URL(fileURLWithPath: "\(path)/\(file.path)")
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(file.octets).write(to: url)
            }
            let client = try LoadedConfiguration(path: path + "/swanctl.conf", source: DiskFiles())
            let tunnel = try #require(client.connections.first)
            #expect(tunnel.proposals == connection.proposals)
            #expect(tunnel.virtualAddresses.count == 2)
            #expect(tunnel.remote.authorities == connection.remote.authorities)
            #expect(tunnel.children.first?.remoteSelectors.count == 2)
        }
    }

    @Test("What a system can't do, or would refuse, is said")
    func refusals() throws {
        try Self.with("auth = pubkey\n      cacerts = ca.pem") { loaded, connection in
            var wishes = ClientFacts.Wishes()
            wishes.server = "other.example.net"
            let wrongName = #expect(throws: CommandFailure.self) { try Self.facts(loaded, connection, wishes) }
            #expect(wrongName?.description.contains("vpn.example.net") == true)
            var weak = connection
            weak.proposals = []
            #expect(throws: CommandFailure.self) { try AppleProfile(facts: try Self.facts(loaded, weak)).text() }
            var poor = connection
            poor.pools = []
            #expect(throws: CommandFailure.self) { try Self.facts(loaded, poor) }
            var shared = connection
            shared.remote.method = .sharedKey
            #expect(throws: CommandFailure.self) { try WindowsScript(facts: try Self.facts(loaded, shared)).text() }
        }
    }

    @Test("Everything through the tunnel needs no routes of its own")
    func everything() throws {
        try Self.with("auth = pubkey\n      cacerts = ca.pem", lan: "0.0.0.0/0") { loaded, connection in
            let facts = try Self.facts(loaded, connection)
            #expect(facts.networks.isEmpty)
            #expect(!(try WindowsScript(facts: facts).text().contains("SplitTunneling")))
        }
    }
}
