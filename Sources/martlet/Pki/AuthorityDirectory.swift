import Clockwork
import IPsecCrypto
import LinuxSystem
import Trust
import WireFormat

/// A certificate authority's files: `ca.pem`, `private/ca.pem`, `issued/SERIAL.pem`, `revoked`, `crl.pem`.
///
/// It owns their names and forms. Private keys are written for their owner only, and never shown.
struct AuthorityDirectory {
    /// The directory.
    let path: String

    var certificatePath: String { path + "/ca.pem" }
    var listPath: String { path + "/crl.pem" }
    private var keyPath: String { path + "/private/ca.pem" }
    private var publishedPath: String { path + "/published" }
    private var revokedPath: String { path + "/revoked" }
    private var numberPath: String { path + "/crl-number" }

    private static let day: Int64 = 86_400

    /// Where revocation is published: it goes into every certificate.
    struct Published {
        var lists: [String]
        var responders: [String]

        var lines: String {
            (lists.map { "crl \($0)" } + responders.map { "ocsp \($0)" }).map { $0 + "\n" }.joined()
        }

        init(lists: [String], responders: [String]) {
            self.lists = lists
            self.responders = responders
        }

        init(lines: String) {
            let parts = lines.split(separator: "\n").map { $0.split(separator: " ", maxSplits: 1) }
            lists = parts.filter { $0.count == 2 && $0[0] == "crl" }.map { String($0[1]) }
            responders = parts.filter { $0.count == 2 && $0[0] == "ocsp" }.map { String($0[1]) }
        }
    }

    /// Makes the authority itself.
    func make(
        _ subject: DistinguishedName, kind: KeyKind, days: Int, pathLength: Int, published: Published
    ) throws -> Certificate {
        guard !RawFile.exists(certificatePath), !RawFile.exists(keyPath) else {
            throw CommandFailure("There is an authority in \(path) already; take another directory.")
        }
        let key = try PrivateKey(generating: kind)
        let issuer = CertificateIssuer(nil, key)
        let certificate = issuer.issue(
            subject, key.publicKey, CertificateProfile(.authority(pathLength: pathLength)), serial: Self.serial(),
            validity: Self.validity(days))
        guard let certificate else { throw CommandFailure("The library refuses to make this certificate.") }
        var probe = CertificateProfile(.gateway)
        (probe.revocationLists, probe.responders) = (published.lists, published.responders)
        guard probe.extensions != nil else {
            throw CommandFailure("--crl and --ocsp take URIs: http://pki.example.net/crl.")
        }
        try RawFile.makeDirectory(path, mode: 0o700)
        try RawFile.makeDirectory(path + "/private", mode: 0o700)
        try RawFile.makeDirectory(path + "/issued", mode: 0o700)
        try write(key, to: keyPath)
        try RawFile.write(publishedPath, Array(published.lines.utf8), mode: 0o644)
        try RawFile.write(certificatePath, certificate.pem, mode: 0o644)
        return certificate
    }

    /// The files of a certificate that was issued.
    struct Issued {
        var certificate: String
        var key: String
        var container: String?
    }

    /// Issues a certificate with a new key.
    func issue(
        _ name: String, _ profile: CertificateProfile, kind: KeyKind, days: Int, password: SecretBytes?
    ) throws -> Issued {
        let issuer = try issuer()
        var profile = profile
        let published = Published(lines: (try? RawFile.readText(publishedPath)) ?? "")
        (profile.revocationLists, profile.responders) = (published.lists, published.responders)
        guard CertificateProfile.isPlain(name), !name.contains("/"), !name.hasPrefix("."),
            let subject = DistinguishedName(text: "CN=\(name)")
        else { throw CommandFailure("'\(name)' can't be a name in a certificate.") }
        let key = try PrivateKey(generating: kind)
        let made = issuer.issue(
            subject, key.publicKey, profile, serial: Self.serial(), validity: Self.validity(days))
        guard let certificate = made, let own = issuer.certificate else {
            throw CommandFailure("The library refuses to make this certificate: look at its names.")
        }
        if certificate.validity.ends > own.validity.ends {
            throw CommandFailure("The authority itself ends before that: take fewer --days.")
        }
        let base = "\(path)/\(name)"
        let files = Issued(
            certificate: base + ".pem", key: base + ".key.pem", container: password.map { _ in base + ".p12" })
        try write(key, to: files.key)
        if let password, let path = files.container {
            guard
                let container = CertificateFile.container(
                    key, certificate, above: [own], name: name, password: password)
            else { throw CommandFailure("The library refuses to make the PKCS #12 file.") }
            try RawFile.write(path, container.exposedBytes(), mode: 0o600)
        }
        try RawFile.write("\(path)/issued/\(Hex.encode(certificate.serial)).pem", certificate.pem, mode: 0o644)
        try RawFile.write(files.certificate, certificate.pem, mode: 0o644)
        return files
    }

    /// Notes that a certificate is revoked; its serial number.
    func revoke(_ what: String, reason: Int?) throws -> String {
        let serial = try serial(of: what)
        var revoked = try revoked()
        guard !revoked.contains(where: { $0.serial == serial }) else {
            throw CommandFailure("\(Hex.encode(serial)) is revoked already.")
        }
        revoked.append(.init(serial: serial, moment: WallClock.now(), reason: reason))
        let lines = revoked.map { "\(Hex.encode($0.serial)) \($0.moment) \($0.reason ?? -1)\n" }.joined()
        try RawFile.write(revokedPath, Array(lines.utf8), mode: 0o644)
        return Hex.encode(serial)
    }

    /// Writes the next revocation list.
    func writeList(days: Int) throws -> RevocationList {
        let issuer = try issuer()
        let number = ((try? RawFile.readText(numberPath)).flatMap { Int64($0.filter(\.isNumber)) } ?? 0) + 1
        guard let list = issuer.revocationList(try revoked(), validity: Self.validity(days), number: number) else {
            throw CommandFailure("The library refuses to make the revocation list.")
        }
        try RawFile.write(numberPath, Array("\(number)\n".utf8), mode: 0o644)
        try RawFile.write(listPath, list.pem, mode: 0o644)
        return list
    }

    private func issuer() throws -> CertificateIssuer {
        do {
            let certificates = try CertificateFile.certificates(try RawFile.read(certificatePath))
            let key = try PrivateKey(file: SecretBytes(try RawFile.read(keyPath)))
            guard let certificate = certificates.first, certificate.key.info == key.publicKey.info else {
                throw CommandFailure("The authority's key in \(keyPath) does not belong to its certificate.")
            }
            return CertificateIssuer(certificate, key)
        } catch let error as SystemError {
            throw CommandFailure("There is no authority in \(path) (\(error)): make one with `martlet pki ca`.")
        }
    }

    private func revoked() throws -> [RevocationList.Entry] {
        guard RawFile.exists(revokedPath) else { return [] }
        return try RawFile.readText(revokedPath).split(separator: "\n").map { line in
            let parts = line.split(separator: " ")
            guard parts.count == 3, let serial = Hex.decode(String(parts[0])), let moment = Int64(parts[1]),
                let reason = Int(parts[2])
            else { throw CommandFailure("\(revokedPath) has a line that makes no sense: \(line)") }
            return .init(serial: serial, moment: moment, reason: reason < 0 ? nil : reason)
        }
    }

    /// The serial number of a certificate by name, file or number; it must be one of ours.
    private func serial(of what: String) throws -> [UInt8] {
        for file in [what, "\(path)/\(what).pem", "\(path)/issued/\(what.lowercased()).pem"]
        where RawFile.exists(file) {
            guard let certificate = try CertificateFile.certificates(try RawFile.read(file)).first else { continue }
            guard let own = try issuer().certificate, certificate.isSigned(by: own) else {
                throw CommandFailure("\(file) was not issued by this authority.")
            }
            return certificate.serial
        }
        throw CommandFailure(
            "'\(what)' is neither a name, nor a file, nor a serial number of a certificate issued here.")
    }

    private func write(_ key: PrivateKey, to path: String) throws {
        guard let pem = key.pem() else { throw CommandFailure("The library refuses to write the key.") }
        try RawFile.write(path, pem.exposedBytes(), mode: 0o600)
    }

    /// 16 octets of chance, positive and not zero (RFC 5280 §4.1.2.2).
    private static func serial() -> [UInt8] {
        var entropy = SystemEntropy()
        var octets = entropy.bytes(16)
        octets[0] = octets[0] & 0x3f | 0x40
        return octets
    }

    /// From an hour ago, since clocks differ.
    private static func validity(_ days: Int) -> ClosedRange<Int64> {
        let now = WallClock.now()
        return (now - 3_600)...(now + Int64(days) * day)
    }
}
