import GatewayModel
import IPsecCrypto
import SwanctlConfig
import Trust
import ViciMessages
import ViciServer
import WireFormat

/// Keys, certificates and revocation lists that control clients have loaded one by one, and what they have taken out of
/// the file's.
///
/// It owns how such a thing is read and named. It never hands a private key to anybody but a configuration.
struct CredentialShelf {
    private var loaded = Credentials()
    /// Raw public keys, for listings: connections bring their own.
    private(set) var publicKeys: [PublicKey] = []
    /// Keys of the file's that clients have unloaded, by identifier.
    private var hiddenKeys: Set<String> = []
    /// Whether clients have cleared everything that the file brought.
    private var hidesFile = false

    /// Nothing is loaded.
    init() {}

    /// What can't be taken in: one clause.
    struct Refusal: Error { let reason: String }

    /// The name of a private key: the SHA-1 hash of its public half's bits, in hexadecimal.
    static func identifier(_ key: PrivateKey) -> String { Hex.encode(key.publicKey.subjectKeyIdentifier) }

    /// What is there of the file's credentials and the clients' together.
    func together(with file: Credentials) -> Credentials {
        var whole = hidesFile ? Credentials() : file
        if !hiddenKeys.isEmpty { whole.keys.removeAll { hiddenKeys.contains(Self.identifier($0)) } }
        whole.append(loaded)
        return whole
    }

    /// The file was read again: it counts as a whole.
    mutating func fileIsNew() {
        hiddenKeys = []
        hidesFile = false
    }

    /// Forgets everything, the file's as well.
    mutating func clear() {
        self = CredentialShelf()
        hidesFile = true
    }

    /// Forgets a private key; whether there was one of this name.
    mutating func unloadKey(_ name: String, file: Credentials) -> Bool {
        let wanted = name.lowercased()
        let before = together(with: file).keys.count
        loaded.keys.removeAll { Self.identifier($0) == wanted }
        hiddenKeys.insert(wanted)
        return together(with: file).keys.count < before
    }

    /// Takes in a private key; its name.
    mutating func addKey(_ fields: ViciTree) throws(Refusal) -> String {
        let type = fields["type"]?.lowercased() ?? "any"
        let key: PrivateKey
        do throws(TrustError) {
            key = try PrivateKey(file: fields.secret("data") ?? SecretBytes([]))
        } catch {
            throw Refusal(reason: "the private key can't be used: \(error)")
        }
        let fits =
            switch type {
            case "rsa": if case .rsa = key.publicKey.kind { true } else { false }
            case "ecdsa": key.publicKey.kind.isECDSA
            case "any": true
            default: false
            }
        guard fits else { throw Refusal(reason: "the private key is no \(type) key but \(key.publicKey.kind)") }
        let name = Self.identifier(key)
        hiddenKeys.remove(name)
        if loaded.key(ofInfo: key.publicKey.info) == nil { loaded.keys.append(key) }
        return name
    }

    /// Takes in a certificate, a revocation list or a raw public key.
    mutating func addCertificate(_ fields: ViciTree) throws(Refusal) {
        let type = fields["type"]?.lowercased() ?? ""
        let flag = fields["flag"]?.lowercased() ?? "none"
        do throws(TrustError) {
            switch (type, flag) {
            case ("x509", "none"):
                add(try CertificateFile.certificates(Self.octets(fields)), as: \.certificates)
            case ("x509", "ca"):
                let found = try CertificateFile.certificates(Self.octets(fields))
                if let other = found.first(where: { !$0.isAuthority }) {
                    throw .notAnAuthority(other.name)
                }
                add(found, as: \.authorities)
            case ("x509", "ocsp"):
                add(try CertificateFile.certificates(Self.octets(fields)), as: \.responders)
            case ("x509_crl", _):
                let list = try RevocationList(file: Self.octets(fields))
                if !loaded.revocationLists.contains(where: { $0.der == list.der }) {
                    loaded.revocationLists.append(list)
                }
            case ("pubkey", _):
                let key = try PublicKey(file: Self.octets(fields))
                if !publicKeys.contains(where: { $0.info == key.info }) { publicKeys.append(key) }
            case ("x509", _): throw .unsupportedForm("certificates of attribute authorities")
            case ("x509_ac", _): throw .unsupportedForm("attribute certificates")
            default: throw .unsupportedForm("OCSP answers from a control client")
            }
        } catch {
            throw Refusal(reason: "the certificate can't be used: \(error)")
        }
    }

    private mutating func add(_ certificates: [Certificate], as part: WritableKeyPath<Credentials, [Certificate]>) {
        for certificate in certificates where !loaded[keyPath: part].contains(certificate) {
            loaded[keyPath: part].append(certificate)
        }
    }

    private static func octets(_ fields: ViciTree) -> [UInt8] {
        if case .value(let octets)? = fields[element: "data"] { octets } else { [] }
    }
}

/// What is held, for `list-certs`.
extension Credentials {
    /// Everything that is held, each once: authorities, then whose key we have and others, then lists.
    func listing(_ connections: [Connection]) -> [ViciCertificate] {
        var listed: Set<[UInt8]> = []
        var found: [ViciCertificate] = []
        func list(_ certificates: [Certificate], _ flag: String) {
            for certificate in certificates where listed.insert(certificate.der).inserted {
                found.append(
                    ViciCertificate(
                        type: "X509", flag: flag, hasPrivateKey: key(of: certificate) != nil, data: certificate.der,
                        subject: certificate.name))
            }
        }
        list(certificates, "NONE")
        let named = connections.flatMap { connection in
            ([connection.local] + connection.furtherLocal).flatMap(\.certificates)
                + ([connection.remote] + connection.furtherRemote).flatMap(\.certificates)
        }
        list(named.filter { !listed.contains($0) }.compactMap { try? Certificate(der: $0) }, "NONE")
        list(authorities + intermediates, "CA")
        list(responders, "OCSP")
        for revocations in revocationLists {
            found.append(
                ViciCertificate(
                    type: "X509_CRL", flag: nil, hasPrivateKey: false, data: revocations.der,
                    subject: revocations.issuer?.description))
        }
        return found
    }
}
