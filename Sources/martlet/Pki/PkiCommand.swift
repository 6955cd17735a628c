import ArgumentParser
import Gateway
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import Trust
import WireFormat

/// `martlet pki`: a small certificate authority in a directory.
struct Pki: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a certificate authority, issue certificates, revoke them, show them.",
        discussion: """
            Everything lies in one directory, for its owner only:

              martlet pki ca --dir ca --name "C=CH, O=Example, CN=Example VPN CA"
              martlet pki gateway --dir ca vpn.example.net --address 192.0.2.1
              martlet pki client --dir ca carol@example.net --p12
              martlet pki revoke --dir ca carol@example.net
              martlet pki crl --dir ca
              martlet pki show ca/ca.pem

            Gateways get the names and purposes that Windows, Apple and Android insist on: the host name as a \
            subjectAltName, serverAuth, and no more than 825 days.
            """,
        subcommands: [PkiAuthority.self, PkiGateway.self, PkiClient.self, PkiRevoke.self, PkiList.self, PkiShow.self])
}

/// The directory of the authority, for all commands but `show`.
struct AuthorityOption: ParsableArguments {
    @Option(name: .customLong("dir"), help: ArgumentHelp("The authority's directory.", valueName: "DIR"))
    var directory: String
    @OptionGroup var format: OutputFormat

    var authority: AuthorityDirectory { AuthorityDirectory(path: directory) }
}

/// `--key` and `--days`.
struct IssueOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The kind of key: rsa-2048, rsa-3072, rsa-4096, ecdsa-256, ecdsa-384, ecdsa-521, ed25519, ed448.",
            valueName: "KIND"))
    var key: KeyArgument?

    @Option(help: ArgumentHelp("How long the certificate is valid.", valueName: "DAYS"))
    var days: Int?

    func validate() throws {
        if let days, !(1...36_500).contains(days) { throw ValidationError("--days is 1 to 36500.") }
    }
}

/// A kind of key as people write it.
struct KeyArgument: ExpressibleByArgument {
    let kind: KeyKind

    init?(argument: String) {
        guard let kind = Self.kinds.first(where: { $0.0 == argument.lowercased() })?.1 else { return nil }
        self.kind = kind
    }

    static let kinds: [(String, KeyKind)] = [
        ("rsa-2048", .rsa(bits: 2048)), ("rsa-3072", .rsa(bits: 3072)), ("rsa-4096", .rsa(bits: 4096)),
        ("ecdsa-256", .p256), ("ecdsa-384", .p384), ("ecdsa-521", .p521), ("ed25519", .ed25519), ("ed448", .ed448),
    ]

    static var allValueStrings: [String] { kinds.map(\.0) }
}

/// `martlet pki ca`.
struct PkiAuthority: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ca", abstract: "Make a certificate authority in an empty place.")

    @OptionGroup var place: AuthorityOption
    @OptionGroup var issue: IssueOptions

    @Option(help: ArgumentHelp("Its name, as in \"C=CH, O=Example, CN=Example VPN CA\".", valueName: "NAME"))
    var name: String

    @Option(help: ArgumentHelp("How many authorities may stand below it.", valueName: "COUNT"))
    var pathLength = 0

    @Option(help: ArgumentHelp("Where its revocation list will be published (a URI, repeatable).", valueName: "URI"))
    var crl: [String] = []

    @Option(help: ArgumentHelp("Where an OCSP responder will answer (a URI, repeatable).", valueName: "URI"))
    var ocsp: [String] = []

    func run() throws {
        guard let subject = DistinguishedName(text: name) else {
            throw CommandFailure("'\(name)' is not a distinguished name: write, for example, \"O=Example, CN=VPN CA\".")
        }
        let made = try place.authority.make(
            subject, kind: issue.key?.kind ?? .p384, days: issue.days ?? 3650, pathLength: max(0, pathLength),
            published: .init(lists: crl, responders: ocsp))
        try place.format.tell(
            ["certificate": .text(place.authority.certificatePath), "name": .text(made.name)],
            ["\(place.authority.certificatePath): \(made.name)"])
    }
}

/// `martlet pki gateway`.
struct PkiGateway: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway", abstract: "Issue a gateway's certificate: its key and certificate go into files.")

    @OptionGroup var place: AuthorityOption
    @OptionGroup var issue: IssueOptions

    @Argument(help: "The host name by which clients know it.")
    var name: String

    @Option(help: ArgumentHelp("Another host name (repeatable).", valueName: "NAME"))
    var host: [String] = []

    @Option(help: ArgumentHelp("An address by which clients know it (repeatable).", valueName: "ADDRESS"))
    var address: [String] = []

    func run() throws {
        var profile = CertificateProfile(.gateway)
        profile.hosts = [name] + host
        profile.addresses = try address.map { text in
            guard let address = IPAddress(text) else { throw CommandFailure("'\(text)' is not an address.") }
            return address
        }
        // RSA, because every client knows it; 825 days, because Apple takes no more.
        let files = try place.authority.issue(
            name, profile, kind: issue.key?.kind ?? .rsa(bits: 3072), days: issue.days ?? 825, password: nil)
        try place.format.tell(
            ["certificate": .text(files.certificate), "key": .text(files.key)], [files.certificate, files.key])
    }
}

/// `martlet pki client`.
struct PkiClient: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client", abstract: "Issue a person's or a device's certificate.")

    @OptionGroup var place: AuthorityOption
    @OptionGroup var issue: IssueOptions

    @Argument(help: "An e-mail address, or a device's name.")
    var name: String

    @Flag(
        help: "Write a PKCS #12 file as well, with the key and the chain; its password is asked for on standard input.")
    var p12 = false

    func run() throws {
        var profile = CertificateProfile(.client)
        if name.contains("@") { profile.emails = [name] } else { profile.hosts = [name] }
        var password: SecretBytes?
        if p12 {
            guard let line = readLine(), !line.isEmpty else {
                throw CommandFailure("The password for the PKCS #12 file is expected as one line on standard input.")
            }
            password = SecretBytes(Array(line.utf8))
        }
        let files = try place.authority.issue(
            name, profile, kind: issue.key?.kind ?? .rsa(bits: 3072), days: issue.days ?? 365, password: password)
        try place.format.tell(
            [
                "certificate": .text(files.certificate), "key": .text(files.key),
                "container": JSONValue(files.container),
            ], [files.certificate, files.key] + (files.container.map { [$0] } ?? []))
    }
}

/// `martlet pki revoke`.
struct PkiRevoke: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Revoke a certificate; the next revocation list says so.")

    @OptionGroup var place: AuthorityOption

    @Argument(help: "The name that it was issued for, a certificate's file, or its serial number in hexadecimal.")
    var what: String

    @Option(
        help: ArgumentHelp(
            "Why: unspecified, key-compromise, affiliation-changed, superseded, cessation.", valueName: "REASON"))
    var reason = "unspecified"

    private static let reasons: [(String, Int?)] = [
        ("unspecified", nil), ("key-compromise", 1), ("affiliation-changed", 3), ("superseded", 4), ("cessation", 5),
    ]

    func run() throws {
        guard let known = Self.reasons.first(where: { $0.0 == reason }) else {
            throw CommandFailure("'\(reason)' is no reason; see martlet pki revoke --help.")
        }
        let serial = try place.authority.revoke(what, reason: known.1)
        try place.format.tell(
            ["serial": .text("\(serial)"), "reason": .text(reason)],
            ["\(serial) is revoked; `martlet pki crl --dir \(place.directory)` writes the list that says so"])
    }
}

/// `martlet pki crl`.
struct PkiList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crl", abstract: "Write the list of the certificates that are revoked.")

    @OptionGroup var place: AuthorityOption

    @Option(help: ArgumentHelp("How long the list is valid.", valueName: "DAYS"))
    var days = 30

    func run() throws {
        let list = try place.authority.writeList(days: min(max(1, days), 3650))
        try place.format.tell(
            [
                "file": .text(place.authority.listPath), "number": .number(Double(list.number ?? 0)),
                "revoked": .number(Double(list.count)),
            ], ["\(place.authority.listPath): number \(list.number ?? 0), \(list.count) revoked"])
    }
}

/// `martlet pki show`.
struct PkiShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Say in plain words what is in a certificate or a revocation list.")

    @Argument(help: "Files in PEM or DER.")
    var files: [String]

    @OptionGroup var format: OutputFormat

    func run() throws {
        var found: [JSONValue] = []
        for file in files {
            let octets: [UInt8]
            do { octets = try RawFile.read(file) } catch { throw CommandFailure("\(error)") }
            if let list = try? RevocationList(file: octets) {
                found.append(CertificateJSON.value(list))
                if !format.json { print(CertificateText.text(list, now: WallClock.now())) }
                continue
            }
            do throws(TrustError) {
                for certificate in try CertificateFile.certificates(octets) {
                    found.append(CertificateJSON.value(certificate))
                    if !format.json { print(CertificateText.text(certificate, now: WallClock.now())) }
                }
            } catch {
                throw CommandFailure("\(file): \(error).")
            }
        }
        if format.json { try format.tell(["items": .list(found)], []) }
    }
}
