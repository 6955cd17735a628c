import IPsecCrypto
import LinuxSystem
import Testing
import Trust
import WireFormat

@testable import martlet

/// `martlet pki`: files in a directory of the test's own.
struct PkiTests {
    private static func withDirectory(_ body: (AuthorityDirectory) throws -> Void) throws {
        let path = "/tmp/martlet-pki-\(UInt64.random(in: 0 ... .max))"
        defer {
            for file in (try? FileGlob.paths(path + "/*")) ?? [] { _ = try? RawFile.remove(file) }
            for file in (try? FileGlob.paths(path + "/*/*")) ?? [] { _ = try? RawFile.remove(file) }
        }
        try body(AuthorityDirectory(path: path))
    }

    @Test("An authority issues, revokes and publishes")
    func life() throws {
        try Self.withDirectory { authority in
            let name = try #require(DistinguishedName(text: "C=CH, O=Lab, CN=Lab CA"))
            let root = try authority.make(
                name, kind: .p256, days: 1000, pathLength: 0,
                published: .init(lists: ["http://pki.lab/crl"], responders: []))
            #expect(root.isAuthority && root.pathLength == 0)
            #expect(throws: CommandFailure.self) {
                try authority.make(name, kind: .p256, days: 1, pathLength: 0, published: .init(lines: ""))
            }
            var profile = CertificateProfile(.gateway)
            profile.hosts = ["vpn.lab"]
            let files = try authority.issue("vpn.lab", profile, kind: .p256, days: 825, password: nil)
            #expect(try RawFile.mode(files.key) == 0o600)
            let certificate = try #require(try CertificateFile.certificates(try RawFile.read(files.certificate)).first)
            let key = try PrivateKey(file: SecretBytes(try RawFile.read(files.key)))
            #expect(certificate.key.info == key.publicKey.info)
            #expect(certificate.isSigned(by: root) && certificate.serial.count == 16)
            #expect(certificate.locations(.revocationList) == ["http://pki.lab/crl"])
            let password = SecretBytes(Array("word".utf8))
            let client = try authority.issue(
                "carol@lab", CertificateProfile(.client), kind: .ed25519, days: 365, password: password)
            let container = try CertificateFile.container(
                SecretBytes(try RawFile.read(try #require(client.container))), password: password)
            #expect(container.certificates.count == 2 && container.key != nil)
            #expect(throws: CommandFailure.self) {
                try authority.issue("../evil", profile, kind: .p256, days: 1, password: nil)
            }
            #expect(throws: CommandFailure.self) {
                try authority.issue("late.lab", profile, kind: .p256, days: 2000, password: nil)
            }
            let serial = try authority.revoke("vpn.lab", reason: 1)
            #expect(serial == Hex.encode(certificate.serial))
            #expect(throws: CommandFailure.self) { try authority.revoke("vpn.lab", reason: nil) }
            #expect(throws: CommandFailure.self) { try authority.revoke("nobody.lab", reason: nil) }
            for number in 1...2 {
                let list = try authority.writeList(days: 30)
                #expect(list.number == Int64(number) && list.entries.map(\.serial) == [certificate.serial])
                #expect(list.isSigned(by: root))
            }
            let text = CertificateText.text(certificate, now: WallClock.now())
            for word in ["CN=vpn.lab", "C=CH, O=Lab, CN=Lab CA", "ECDSA P-256", " days left", "TLS and VPN servers"] {
                #expect(text.contains(word), "\(text)")
            }
        }
    }
}
