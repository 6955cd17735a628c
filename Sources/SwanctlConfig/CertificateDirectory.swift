import GatewayModel
import Trust
import WireFormat

/// swanctl's directories of keys and certificates, beside the configuration file: `x509`, `x509ca`, `x509crl`, `pubkey`,
/// `private`, `rsa`, `ecdsa`, `pkcs8`, `pkcs12`.
///
/// It owns what is loaded from them, and which file a name in the configuration means. What can't be read in a directory
/// is a warning; what is named and can't be read is an error.
final class CertificateDirectory {
    private let source: any FileSource
    private let directory: String
    private let diagnostics: DiagnosticCollector
    /// What is loaded.
    private(set) var credentials = Credentials()
    /// Whether files are looked for: not in settings that came without a file.
    private let isThere: Bool

    init(_ source: (any FileSource)?, beside path: String, diagnostics: DiagnosticCollector) {
        self.source = source ?? FilesInMemory([:] as [String: [UInt8]])
        isThere = source != nil
        directory = FilePath.directory(of: path)
        self.diagnostics = diagnostics
    }

    /// Loads everything; `passwords` are by file name, as `secrets` has them.
    func load(passwords: [Password]) {
        guard isThere else { return }
        for path in files("x509ca") { add(certificates(at: path), as: \.authorities) }
        for path in files("x509") { add(certificates(at: path), as: \.certificates) }
        for path in files("x509crl") {
            if let list = warned(path, { octets throws(TrustError) in try RevocationList(file: octets) }) {
                credentials.revocationLists.append(list)
            }
        }
        reviewFiles(passwords)
        for kind in Self.keyFolders {
            for path in files(kind) { key(at: path, kind, passwords) }
        }
        for path in files("pkcs12") { container(at: path, passwords) }
    }

    /// Says which files `secrets` names that are not there.
    private func reviewFiles(_ passwords: [Password]) {
        var found: [String: [String]] = [:]
        for password in passwords {
            // swanctl has several directories for private keys, and `private` is for all of them.
            let folders = password.kind == "private" ? Self.keyFolders : [password.kind]
            for folder in folders where found[folder] == nil { found[folder] = files(folder) }
            let isThere = folders.contains { found[$0]?.contains { Self.isMeant(password.file, $0) } ?? false }
            guard !isThere else { continue }
            diagnostics.warning(
                password.location, "\(password.path).file: there is no file '\(password.file)' in '\(password.kind)'",
                remedy: "put the file into '\(FilePath.resolve(password.kind, in: directory))', or correct its name")
        }
    }

    private static let keyFolders = ["private", "rsa", "ecdsa", "pkcs8"]

    /// A password for a file of a kind.
    struct Password {
        /// The kinds of files that it is for: `private`, `rsa`… `private` is for all but `pkcs12`.
        let kind: String
        /// The file's name.
        let file: String
        /// The password; nil where the section has none.
        let secret: SecretBytes?
        /// The section's path, as messages name it.
        let path: String
        /// Where the file is named.
        let location: SourceLocation
    }

    /// The certificates that a value of `certs` or `cacerts` names: a file in `folder`, or PEM itself.
    func certificates(named value: [UInt8], in folder: String) throws(ValueProblem) -> [Certificate] {
        let octets = try octets(value, folder)
        do throws(TrustError) {
            return try CertificateFile.certificates(octets)
        } catch {
            throw ValueProblem(
                "'\(Self.shown(value))' can't be used: \(error)", remedy: "name a certificate in PEM or DER")
        }
    }

    /// The public keys that a value of `pubkeys` names.
    func publicKey(named value: [UInt8]) throws(ValueProblem) -> PublicKey {
        let octets = try octets(value, "pubkey")
        do throws(TrustError) {
            return try PublicKey(file: octets)
        } catch {
            throw ValueProblem(
                "'\(Self.shown(value))' can't be used: \(error)", remedy: "name a public key in PEM or DER")
        }
    }

    private func octets(_ value: [UInt8], _ folder: String) throws(ValueProblem) -> [UInt8] {
        if value.starts(with: Array("-----BEGIN".utf8)) { return value }
        let path = FilePath.resolve(
            String(decoding: value, as: UTF8.self), in: FilePath.resolve(folder, in: directory))
        do throws(FileProblem) {
            return try source.contents(of: path)
        } catch {
            throw ValueProblem(
                "'\(path)' can't be read: \(error)", remedy: "put the file into '\(folder)', or correct its name")
        }
    }

    private static func shown(_ value: [UInt8]) -> String {
        String(decoding: value.prefix { $0 != UInt8(ascii: "\n") }.prefix(100), as: UTF8.self)
    }

    /// Adds certificates to what is loaded, each once.
    func add(_ certificates: [Certificate], as part: WritableKeyPath<Credentials, [Certificate]>) {
        for certificate in certificates where !credentials[keyPath: part].contains(certificate) {
            credentials[keyPath: part].append(certificate)
        }
    }

    private func files(_ folder: String) -> [String] {
        (try? source.glob(FilePath.resolve(folder + "/*", in: directory))) ?? []
    }

    private func certificates(at path: String) -> [Certificate] {
        warned(path) { octets throws(TrustError) in try CertificateFile.certificates(octets) } ?? []
    }

    private func key(at path: String, _ kind: String, _ passwords: [Password]) {
        let known = passwords.filter { $0.kind != "pkcs12" && Self.isMeant($0.file, path) }.compactMap(\.secret)
        let key = warnedOfSecret(path) { octets throws(TrustError) in
            try Self.opened(octets, known) { file, password throws(TrustError) in
                try PrivateKey(file: file, password: password)
            }
        }
        if let key, credentials.key(ofInfo: key.publicKey.info) == nil { credentials.keys.append(key) }
    }

    private func container(at path: String, _ passwords: [Password]) {
        let known = passwords.filter { $0.kind == "pkcs12" && Self.isMeant($0.file, path) }.compactMap(\.secret)
        let container = warnedOfSecret(path) { octets throws(TrustError) in
            try Self.opened(octets, known) { file, password throws(TrustError) in
                try CertificateFile.container(file, password: password)
            }
        }
        guard let container else { return }
        if let key = container.key, credentials.key(ofInfo: key.publicKey.info) == nil { credentials.keys.append(key) }
        add(container.certificates.filter { !$0.isAuthority }, as: \.certificates)
        add(container.certificates.filter(\.isAuthority), as: \.authorities)
    }

    /// Tries a file without a password and with each that is known for it.
    private static func opened<Value>(
        _ file: SecretBytes, _ passwords: [SecretBytes],
        _ read: (SecretBytes, SecretBytes?) throws(TrustError) -> Value
    ) throws(TrustError) -> Value {
        var problem: TrustError
        do throws(TrustError) {
            return try read(file, nil)
        } catch {
            problem = error
        }
        guard problem == .needsPassword || problem == .wrongPassword else { throw problem }
        for password in passwords {
            do throws(TrustError) {
                return try read(file, password)
            } catch {
                problem = error
            }
        }
        throw problem
    }

    private static func isMeant(_ file: String, _ path: String) -> Bool {
        path == file || path.hasSuffix("/" + file)
    }

    /// What `read` makes of a file; a warning where it can't.
    private func warned<Value>(_ path: String, _ read: ([UInt8]) throws(TrustError) -> Value) -> Value? {
        warned(path, { path throws(FileProblem) in try source.contents(of: path) }, read)
    }

    /// The same for a file with a private key.
    private func warnedOfSecret<Value>(_ path: String, _ read: (SecretBytes) throws(TrustError) -> Value) -> Value? {
        warned(path, { path throws(FileProblem) in try source.secret(at: path) }, read)
    }

    private func warned<Octets, Value>(
        _ path: String, _ contents: (String) throws(FileProblem) -> Octets, _ read: (Octets) throws(TrustError) -> Value
    ) -> Value? {
        let location = SourceLocation(file: path, line: 1, column: 1)
        let octets: Octets
        do throws(FileProblem) {
            octets = try contents(path)
        } catch {
            diagnostics.warning(location, "the file can't be read: \(error)", remedy: nil)
            return nil
        }
        do throws(TrustError) {
            return try read(octets)
        } catch {
            let remedy =
                error == .needsPassword
                ? "add secrets { private-… { file = … secret = … } }"
                : "correct it, or take the file out of the directory"
            diagnostics.warning(location, "the file is left out: \(error)", remedy: remedy)
            return nil
        }
    }
}
