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
    }

    /// The section's name, `ike-hq`: what messages may say about it.
    public var name: String
    /// What kind of secret it is.
    public var kind: Kind
    /// Whose it is; empty for anybody's.
    public var identities: [Identity]
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

    /// How well it fits two ends: 0 not at all, 1 as anybody's, 2 when it is ours, 3 when it is the peer's, 4 for both.
    public func fit(local: Identity, remote: Identity) -> Int {
        if identities.isEmpty { return 1 }
        let isLocal = identities.contains { IdentityPattern.exactly($0).matches(local) }
        let isRemote = identities.contains { IdentityPattern.exactly($0).matches(remote) }
        return isLocal && isRemote ? 4 : isRemote ? 3 : isLocal ? 2 : 0
    }
}

extension [Secret] {
    /// The post-quantum preshared key with this identity; nil when there is none.
    public func postQuantumKey(_ identity: [UInt8]) -> Secret? {
        first { $0.kind == .ppk && $0.identities.contains { $0.data == identity } }
    }

    /// The shared key that fits these two ends best, the first of equals; nil when none does.
    public func sharedKey(local: Identity, remote: Identity) -> Secret? {
        var best: (fit: Int, secret: Secret)?
        for secret in self where secret.kind == .ike {
            let fit = secret.fit(local: local, remote: remote)
            if fit > best?.fit ?? 0 { best = (fit, secret) }
        }
        return best?.secret
    }
}

/// Makes ``Secret``s from the section `secrets`.
///
/// It owns the meaning of `secrets.ike<suffix>` and `secrets.ppk<suffix>`. No message of its ever shows a secret.
enum SecretReader {
    static func secrets(_ reader: inout SectionReader) -> [Secret] {
        var secrets: [Secret] = []
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
        reader.finish()
        return secrets
    }

    private static func secret(_ reader: inout SectionReader, _ kind: Secret.Kind) -> Secret? {
        let diagnostics = reader.diagnostics
        var identities: [Identity] = []
        var isAnybodys = false
        for setting in reader.settings("id<suffix>") {
            let text = String(decoding: setting.value ?? [], as: UTF8.self)
            do throws(ValueProblem) {
                guard let identity = try IdentitySyntax.identity(text) else {
                    isAnybodys = true
                    continue
                }
                if text.contains("*") {
                    throw ValueProblem(
                        "'\(text)': a secret's owner can't hold a star", remedy: "name the owner, or %any")
                }
                identities.append(identity)
            } catch {
                diagnostics.error(
                    setting.location, "\(reader.path).\(setting.name): \(error.message)", remedy: error.remedy)
            }
        }
        guard let setting = reader.setting("secret"), let written = setting.value else {
            diagnostics.missing(
                reader.view.location, "\(reader.path) has no secret", remedy: "add secret = …")
            return nil
        }
        do {
            let value = try SecretSyntax.octets(written)
            if value.count < 16 {
                diagnostics.warning(
                    setting.location, "\(reader.path): a secret of \(value.count) octets can be guessed",
                    remedy: "take at least 16 octets of chance, for example from: openssl rand -base64 32")
            }
            return Secret(
                name: reader.view.name, kind: kind, identities: isAnybodys ? [] : identities, value: value,
                location: setting.location)
        } catch {
            diagnostics.error(
                setting.location, "\(reader.path).secret: \(error.message)", remedy: error.remedy)
            return nil
        }
    }
}
