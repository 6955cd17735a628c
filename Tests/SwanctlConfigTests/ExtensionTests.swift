import GatewayModel
import IPsecCrypto
import SwanctlConfig
import Testing
import WireFormat

/// Keys of IKEv2's extensions: fragments, post-quantum keys, childless IKE SAs, additional key exchanges.
@Suite struct ExtensionTests {
    private func text(_ lines: String, _ secrets: String = "") -> String {
        """
        connections {
            gw {
                remote_addrs = 192.0.2.2
                local { auth = psk
                    id = moon
                }
                remote { auth = psk
                    id = sun
                }
                \(lines)
                children { net { } }
            }
        }
        secrets {
            ike-sun { id = sun
                secret = a secret that nobody guesses
            }
            \(secrets)
        }
        """
    }

    private static let key = """
        ppk-1 {
                id-1 = ppk.example
                secret = 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
            }
        """

    @Test func everyKeyIsRead() throws {
        let loaded = try load(
            text(
                """
                ppk_id = ppk.example
                ppk_required = yes
                childless = prefer
                fragmentation = force
                proposals = aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_none, aes256-sha256-modp2048!
                """, Self.key))
        #expect(loaded.warnings.filter { $0.severity != .note } == [])
        let connection = try #require(loaded.connectionsWithKeys.first)
        #expect(connection.ppkIdentity == .fqdn("ppk.example") && connection.ppkRequired && connection.knowsPPKs)
        #expect(connection.childless == .prefer)
        #expect(connection.fragmentation == .force)
        #expect(
            connection.proposals.map(\.description) == [
                "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_none", "aes256-sha256-prfsha256-modp2048",
            ])
        #expect(loaded.secrets.postQuantumKey(Array("ppk.example".utf8))?.value.count == 32)
        #expect(loaded.secrets.postQuantumKey(Array("other".utf8)) == nil)
        // It is nobody's shared key.
        #expect(loaded.secrets.sharedKey(local: .fqdn("ppk.example"), remote: .fqdn("ppk.example")) == nil)
    }

    @Test func theLongestPacketIsTheDaemonsBusiness() throws {
        for (section, size) in [
            ("charon { fragment_size = 0\n}", 0), ("martlet { fragment_size = 900\n}", 900), ("", 1280),
        ] {
            let loaded = try load(section + "\n" + text(""))
            #expect(loaded.connections.first?.fragmentSize == size)
        }
        #expect { try load("charon { fragment_size = 100\n}\n" + text("")) } throws: { error in
            (error as? ConfigurationErrors)?.errors.contains { $0.message.contains("less than every host takes") }
                ?? false
        }
    }

    @Test func aKeyThatIsAskedForAndMissingIsToldOf() throws {
        let named = try load(text("ppk_id = other", Self.key)).warnings.map(\.message)
        #expect(named == ["connection 'gw' has no post-quantum preshared key 'other'"])
        let required = try load(text("ppk_required = yes")).warnings.map(\.message)
        #expect(required == ["connection 'gw' demands a post-quantum preshared key, and there is none"])
    }

    @Test(
        arguments: [
            ("fragmentation = maybe", "fragmentation"),
            ("childless = sometimes", "childless"), ("ppk_required = perhaps", "ppk_required"),
            ("proposals = aes128-sha256-mlkem768", "ke1_mlkem768"),
        ])
    func mistakesAreExplained(line: String, words: String) {
        #expect { try load(text(line)) } throws: { error in
            (error as? ConfigurationErrors)?.errors.contains { "\($0.message) \($0.remedy ?? "")".contains(words) }
                ?? false
        }
    }

    @Test func aKeyWithoutANameIsRefused() {
        #expect(throws: ConfigurationErrors.self) {
            try load(text("", "ppk { secret = 0x00112233445566778899aabbccddeeff }"))
        }
    }
}
