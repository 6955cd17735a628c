import Foundation
import GatewayModel
import IKECore
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import Testing
import WireFormat

@testable import Gateway

@Suite struct SavedKeysTests {
    private static func secret(_ octet: UInt8, _ count: Int) -> SecretBytes {
        SecretBytes([UInt8](repeating: octet, count: count))
    }

    private static func keys(_ cipher: Transform, _ integrity: Transform?, _ count: Int) -> ExposedKeys {
        ExposedKeys(
            initiatorSPI: 0x0102_0304_0506_0708, responderSPI: 0xf1f2_f3f4_f5f6_f7f8, encryption: cipher,
            integrity: integrity,
            initiator: PacketKeys(encryption: secret(0x11, count), integrity: secret(0x33, integrity == nil ? 0 : 2)),
            responder: PacketKeys(encryption: secret(0x22, count), integrity: secret(0x44, integrity == nil ? 0 : 2)))
    }

    @Test func messagesHaveWiresharksNames() {
        #expect(
            KeyLine.of(Self.keys(.aes128gcm16, nil, 3))
                == "0102030405060708,f1f2f3f4f5f6f7f8,111111,222222,"
                + "\"AES-GCM-128 with 16 octet ICV [RFC5282]\",,,\"NONE [RFC4306]\"")
        #expect(
            KeyLine.of(Self.keys(.aes256, .sha256, 1))
                == "0102030405060708,f1f2f3f4f5f6f7f8,11,22,\"AES-CBC-256 [RFC3602]\",3333,4444,"
                + "\"HMAC_SHA2_256_128 [RFC4868]\"")
    }

    /// No key of what Wireshark could not use anyway.
    @Test func whatWiresharkDoesNotKnowIsAComment() {
        let line = KeyLine.of(Self.keys(.chacha20poly1305, nil, 3))
        #expect(line.hasPrefix("# 0102030405060708,f1f2f3f4f5f6f7f8: ") && line.contains("CHACHA20_POLY1305"))
        #expect(!line.contains("1111"))
    }

    @Test func aTunnelsKeysGoToTwoFilesOfTheOwners() throws {
        let directory = NSTemporaryDirectory() + "/martlet-keys-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let pair = NodePair(hq: try Fixtures.hq(), branch: try Fixtures.branch())
        pair.hq.gateway.keyReader = try SavedKeys(in: directory) { Issue.record("\($0)") }
        pair.initiate()
        let summary = try #require(pair.hq.gateway.ikeSAs.first)
        let messages = try RawFile.readText(directory + "/ikev2_decryption_table")
        let start = "\(Hex.encode(summary.initiatorSPI)),\(Hex.encode(summary.responderSPI)),"
        #expect(messages.hasPrefix(start))
        #expect(messages.split(separator: "\n").count == 1)
        // A key of 16 octets and its salt.
        #expect(messages.split(separator: ",")[2].utf8.count == 2 * 20)
        let packets = try RawFile.readText(directory + "/esp_sa").split(separator: "\n")
        let child = try #require(summary.children.first)
        #expect(packets.count == 2)
        #expect(packets[0].hasPrefix("\"IPv4\",\"*\",\"*\",\"0x\(Hex.encode(child.inboundSPI))\",\"AES-GCM with 16"))
        #expect(packets[1].hasPrefix("\"IPv4\",\"*\",\"*\",\"0x\(Hex.encode(child.outboundSPI))\",\"AES-GCM with 16"))
        #expect(try RawFile.mode(directory) == 0o700)
        for name in ["ikev2_decryption_table", "esp_sa"] {
            #expect(try RawFile.mode("\(directory)/\(name)") == 0o600)
        }
    }

    /// Wireshark takes one set of keys for an IKE SA: those of IKE_INTERMEDIATE are in profiles of their own.
    @Test func eachIntermediateExchangeHasAProfile() throws {
        let directory = NSTemporaryDirectory() + "/martlet-keys-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var keys = Self.keys(.aes128gcm16, nil, 3)
        var lines: [Int?: String] = [:]
        // The second time as by a process after this one.
        for _ in 0..<2 {
            let saved = try SavedKeys(in: directory) { Issue.record("\($0)") }
            for (octet, number) in [(0x51, 1), (0x52, 2), (0x53, nil)] as [(UInt8, Int?)] {
                keys.initiator = PacketKeys(encryption: Self.secret(octet, 3), integrity: SecretBytes([]))
                keys.intermediate = number
                lines[number] = KeyLine.of(keys) + "\n"
                saved.read(keys)
            }
        }
        for (place, number) in [("", nil), ("/intermediate-1", 1), ("/intermediate-2", 2)] as [(String, Int?)] {
            let line = try #require(lines[number])
            #expect(try RawFile.readText(directory + place + "/ikev2_decryption_table") == line + line)
            let preferences = try RawFile.readText(directory + place + "/preferences")
            #expect(preferences.contains("\nesp.enable_encryption_decode: TRUE\n"))
            #expect(try RawFile.mode(directory + place) == 0o700)
            #expect(try RawFile.mode(directory + place + "/ikev2_decryption_table") == 0o600)
        }
        #expect(!RawFile.exists(directory + "/intermediate-3"))
        // Packets have one set of keys.
        try RawFile.write(directory + "/esp_sa", Array("a line".utf8))
        #expect(try RawFile.readText(directory + "/intermediate-1/esp_sa") == "a line")
    }

    /// What somebody set in the profile stays.
    @Test func preferencesStay() throws {
        let directory = NSTemporaryDirectory() + "/martlet-keys-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try RawFile.makeDirectory(directory, mode: 0o700)
        try RawFile.write(directory + "/preferences", Array("gui.geometry.save.size: TRUE\n".utf8))
        _ = try SavedKeys(in: directory) { Issue.record("\($0)") }
        #expect(try RawFile.readText(directory + "/preferences") == "gui.geometry.save.size: TRUE\n")
    }

    /// Who may write to the directory could send the keys elsewhere by a link.
    @Test func aLinkIsRefused() throws {
        let directory = NSTemporaryDirectory() + "/martlet-keys-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try RawFile.makeDirectory(directory, mode: 0o700)
        try FileManager.default.createSymbolicLink(
            atPath: directory + "/esp_sa", withDestinationPath: directory + "/elsewhere")
        #expect(throws: SystemError.self) { try SavedKeys(in: directory) { _ in } }
        #expect(!RawFile.exists(directory + "/elsewhere"))
        try RawFile.remove(directory + "/esp_sa")
        try RawFile.makeDirectory(directory + "/elsewhere", mode: 0o700)
        try FileManager.default.createSymbolicLink(
            atPath: directory + "/intermediate-1", withDestinationPath: directory + "/elsewhere")
        var said: [String] = []
        let saved = try SavedKeys(in: directory) { said.append($0) }
        var keys = Self.keys(.aes128gcm16, nil, 3)
        keys.intermediate = 1
        for _ in 0..<2 { saved.read(keys) }
        #expect(said.count == 1 && said.allSatisfy { $0.contains("intermediate-1") && $0.contains("ELOOP") })
        #expect(!RawFile.exists(directory + "/elsewhere/ikev2_decryption_table"))
    }
}
