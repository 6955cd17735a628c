public import GatewayModel
public import WireFormat

/// A secret from a configuration, and who may use it.
public struct Secret: Sendable {
    /// What kind of secret it is.
    public enum Kind: String, Hashable, Sendable {
        /// A key that two IKE ends share.
        case ike
        /// A post-quantum preshared key (RFC 8784), whose identity names the key and nobody.
        case ppk
        /// A password for EAP.
        case eap
        /// A password's NT hash for EAP (RFC 2759 §8.3), 16 octets.
        case ntlm
    }

    /// The section's name, `ike-hq`: what messages may say about it.
    public var name: String
    /// What kind of secret it is.
    public var kind: Kind
    /// Whose it is; empty for anybody's.
    public var identities: [Identity]
    /// Whose it is besides: everybody like these.
    public var patterns: [IdentityPattern] = []
    /// The secret.
    public var value: SecretBytes
    /// Where it stands.
    public var location: SourceLocation

    /// A secret.
    public init(name: String, kind: Kind, identities: [Identity], value: SecretBytes, location: SourceLocation) {
        self.name = name
        self.kind = kind
        self.identities = identities
        self.value = value
        self.location = location
    }

    /// How well it fits two ends: 0 not at all, 1 as anybody's, and more when it is ours, still more when it is the
    /// peer's, most for both. Who is named beats who is like a pattern.
    public func fit(local: Identity, remote: Identity) -> Int {
        if identities.isEmpty, patterns.isEmpty { return 1 }
        let (ours, theirs) = (closeness(local), closeness(remote))
        return theirs * 6 + ours * 2
    }

    /// 2 for one of its owners, 1 for somebody like them, 0 for anybody else.
    private func closeness(_ identity: Identity) -> Int {
        if identities.contains(where: { IdentityPattern.exactly($0).matches(identity) }) { return 2 }
        return patterns.contains { $0.matches(identity) } ? 1 : 0
    }
}

extension [Secret] {
    /// The post-quantum preshared key with this identity; nil when there is none.
    public func postQuantumKey(_ identity: [UInt8]) -> Secret? {
        first { $0.kind == .ppk && $0.identities.contains { $0.data == identity } }
    }

    /// The shared key that fits these two ends best, the first of equals; nil when none does.
    public func sharedKey(local: Identity, remote: Identity) -> Secret? {
        placeOfSharedKey(local: local, remote: remote).map { self[$0] }
    }

    /// Where that one is; nil when none does.
    public func placeOfSharedKey(local: Identity, remote: Identity) -> Int? {
        var best: (fit: Int, place: Int)?
        for place in indices where self[place].kind == .ike {
            let fit = self[place].fit(local: local, remote: remote)
            if fit > best?.fit ?? 0 { best = (fit, place) }
        }
        return best?.place
    }
}

/// Makes ``Secret``s from the section `secrets`.
///
/// It owns the meaning of `secrets.ike<suffix>`, `ppk`, `eap` and `ntlm`. No message of its ever shows a secret.
enum SecretReader {
    static func secrets(
        _ reader: inout SectionReader
    ) -> (secrets: [Secret], passwords: [CertificateDirectory.Password]) {
        var secrets: [Secret] = []
        var passwords: [CertificateDirectory.Password] = []
        for kind in ["private", "rsa", "ecdsa", "pkcs8", "pkcs12"] {
            for var section in reader.sections("\(kind)<suffix>") {
                if let password = password(&section, kind) { passwords.append(password) }
                section.finish()
            }
        }
        for var section in reader.sections("ike<suffix>") {
            if let secret = secret(&section, .ike) { secrets.append(secret) }
            section.finish()
        }
        for var section in reader.sections("ppk<suffix>") {
            if let secret = secret(&section, .ppk) {
                secrets.append(secret)
                if secret.identities.isEmpty {
                    section.diagnostics.error(
                        section.view.location, "\(section.path) has no id, so nobody can name it",
                        remedy: "add id = the ppk_id of the connection")
                }
            }
            section.finish()
        }
        for kind in [Secret.Kind.eap, .ntlm] {
            for var section in reader.sections("\(kind.rawValue)<suffix>") {
                if let secret = password(&section, kind) { secrets.append(secret) }
                section.finish()
            }
        }
        reader.finish()
        return (secrets, passwords)
    }

    /// A secret as it came, or what its text means.
    private static func octets(_ setting: SettingsTree.Setting) throws(ValueProblem) -> SecretBytes {
        if let secret = setting.secret { return secret }
        return try SecretSyntax.octets(setting.value ?? [])
    }

    /// The password of a file with a private key.
    private static func password(_ reader: inout SectionReader, _ kind: String) -> CertificateDirectory.Password? {
        let written = reader.setting("secret")
        guard let file = reader.text("file"), !file.isEmpty else {
            reader.diagnostics.missing(
                reader.view.location, "\(reader.path) names no file", remedy: "add file = …")
            return nil
        }
        let location = reader.location(of: "file")
        do {
            let secret = try written.flatMap { setting throws(ValueProblem) in
                setting.value == nil ? nil : try octets(setting)
            }
            return .init(kind: kind, file: file, secret: secret, path: reader.path, location: location)
        } catch {
            reader.diagnostics.error(
                reader.location(of: "secret"), "\(reader.path).secret: \(error.message)", remedy: error.remedy)
            return nil
        }
    }

    /// A password for EAP, which belongs to somebody.
    private static func password(_ reader: inout SectionReader, _ kind: Secret.Kind) -> Secret? {
        guard let secret = secret(&reader, kind) else { return nil }
        if secret.identities.isEmpty {
            reader.diagnostics.error(
                reader.view.location, "\(reader.path) has no id, so nobody can use it",
                remedy: "add id = the name that its owner has in EAP")
        }
        if kind == .ntlm, secret.value.count != 16 {
            reader.diagnostics.error(
                reader.location(of: "secret"), "\(reader.path).secret: an NT hash has 16 octets",
                remedy: "write secret = 0x and 32 digits")
        }
        return secret
    }

    private static func secret(_ reader: inout SectionReader, _ kind: Secret.Kind) -> Secret? {
        let diagnostics = reader.diagnostics
        var identities: [Identity] = []
        var patterns: [IdentityPattern] = []
        var isAnybodys = false
        for setting in reader.settings("id<suffix>") {
            let text = String(decoding: setting.value ?? [], as: UTF8.self)
            do throws(ValueProblem) {
                guard let identity = try IdentitySyntax.identity(text) else {
                    isAnybodys = true
                    continue
                }
                if case .exactly = try IdentitySyntax.pattern(text) {
                    identities.append(identity)
                } else {
                    patterns.append(try IdentitySyntax.pattern(text))
                }
            } catch {
                diagnostics.error(
                    setting.location, "\(reader.path).\(setting.name): \(error.message)", remedy: error.remedy)
            }
        }
        guard let setting = reader.setting("secret"), setting.value != nil else {
            diagnostics.missing(
                reader.view.location, "\(reader.path) has no secret", remedy: "add secret = …")
            return nil
        }
        do {
            let value = try octets(setting)
            if value.count < 16, kind == .ike || kind == .ppk {
                diagnostics.warning(
                    setting.location, "\(reader.path): a secret of \(value.count) octets can be guessed",
                    remedy: "take at least 16 octets of chance, for example from: openssl rand -base64 32")
            }
            var secret = Secret(
                name: reader.view.name, kind: kind, identities: isAnybodys ? [] : identities, value: value,
                location: setting.location)
            secret.patterns = isAnybodys ? [] : patterns
            return secret
        } catch {
            diagnostics.error(
                setting.location, "\(reader.path).secret: \(error.message)", remedy: error.remedy)
            return nil
        }
    }
}
