import Clockwork
import Foundation
import Gateway
import IPsecCrypto
import LinuxSystem
import Trust
import WireFormat

/// A site's own certificate authority, beside its configuration: what `invite --certificate` issues with.
///
/// It owns where keys and certificates lie, and what of them goes into an invitation: `pki` for the authority, swanctl's
/// own directories for our keys and certificates, `authorities` for those that one tunnel alone trusts (what lies in
/// `x509ca` is trusted by all that name nobody). It makes nothing that `martlet pki` can't.
struct SiteAuthority {
    /// A key with its certificate and who issued it, as base64 of their DER: what an invitation carries.
    struct Credentials: Codable, Equatable {
        /// The authority's certificate.
        var authority: String
        /// The certificate.
        var certificate: String
        /// The private key (PKCS #8).
        var private_key: String
    }

    /// The configuration's directory.
    let directory: String

    private static let authorityDays = 3650
    /// As `martlet pki gateway` has it.
    private static let days = 825

    private var authority: AuthorityDirectory { AuthorityDirectory(path: directory + "/pki") }

    /// Makes the authority where there is none.
    func prepare(for gateway: String) throws {
        guard !RawFile.exists(authority.certificatePath) else { return }
        guard let name = DistinguishedName(text: "CN=Martlet CA of \(gateway)") else {
            throw CommandFailure("'\(gateway)' can't be a name in a certificate.")
        }
        _ = try authority.make(
            name, kind: .p384, days: Self.authorityDays, pathLength: 0, published: .init(lists: [], responders: []))
    }

    /// A new key and certificate in this name. The authority keeps the certificate, and not the key.
    func issue(_ name: String) throws -> Credentials {
        var profile = CertificateProfile(.gateway)
        profile.hosts = [name]
        let files = try authority.issue(name, profile, kind: .p256, days: Self.days, password: nil)
        let key = try RawFile.readText(files.key)
        try RawFile.remove(files.key)
        return Credentials(
            authority: Self.base64(try RawFile.readText(authority.certificatePath)),
            certificate: Self.base64(try RawFile.readText(files.certificate)), private_key: Self.base64(key))
    }

    /// The files of a site that proves itself with these, by the name `label`.
    func files(_ credentials: Credentials, label: String, authority: String) -> [(path: String, text: String)] {
        [
            (certificatePath(authority), Self.pem("CERTIFICATE", credentials.authority)),
            (directory + "/x509/\(label).pem", Self.pem("CERTIFICATE", credentials.certificate)),
            (directory + "/private/\(label).pem", Self.pem("PRIVATE KEY", credentials.private_key)),
        ]
    }

    /// The certificate of this gateway's authority, where tunnels with it name it.
    func certificatePath(_ gateway: String) -> String { directory + "/authorities/\(gateway).pem" }

    /// Whether this gateway has all its files already.
    func has(_ label: String) -> Bool {
        [directory + "/private/\(label).pem", directory + "/x509/\(label).pem", certificatePath(label)]
            .allSatisfy(RawFile.exists)
    }

    /// Until when the certificate is valid, in seconds since 1970; refuses what does not belong together.
    static func check(_ credentials: Credentials, of name: String) throws -> Int64 {
        func one(_ text: String) throws -> Certificate {
            guard let found = try CertificateFile.certificates(Array(pem("CERTIFICATE", text).utf8)).first else {
                throw unfit
            }
            return found
        }
        do {
            let (authority, certificate) = (try one(credentials.authority), try one(credentials.certificate))
            let key = try PrivateKey(file: SecretBytes(Array(pem("PRIVATE KEY", credentials.private_key).utf8)))
            guard key.publicKey.info == certificate.key.info, certificate.isSigned(by: authority),
                authority.isAuthority, certificate.alternativeNames.contains(where: { "\($0)" == name })
            else { throw unfit }
            return certificate.validity.ends
        } catch is TrustError {
            throw unfit
        }
    }

    private static let unfit = CommandFailure(
        "The invitation's key and certificates do not belong together; ask for another one.")

    private static func base64(_ pem: String) -> String {
        pem.split(separator: "\n").filter { !$0.hasPrefix("-----") }.joined()
    }

    private static func pem(_ kind: String, _ base64: String) -> String {
        var lines = ["-----BEGIN \(kind)-----"]
        var rest = base64[...]
        while !rest.isEmpty {
            lines.append(String(rest.prefix(64)))
            rest = rest.dropFirst(64)
        }
        return (lines + ["-----END \(kind)-----", ""]).joined(separator: "\n")
    }
}
