import GatewayModel
import IPsecCrypto
import Trust

/// Makes the rounds of authentication from `local…` and `remote…`.
///
/// It owns their keys' meaning, and what certificates a round gets where it names none.
struct AuthenticationReader {
    let directory: CertificateDirectory

    /// What we prove.
    func local(_ round: inout SectionReader) -> Connection.Authentication {
        let (method, rules) = method(&round)
        var result = Connection.Authentication(
            method: method, identity: round.read("id", or: nil, IdentitySyntax.identity))
        let named = certificates(&round, "certs", "x509") + sections(&round, "cert<suffix>", "x509")
        let keys = publicKeys(&round)
        if method == .eap { result.eap = eap(&round, isPeer: true) }
        result.eapIdentity = round.read("eap_id", or: nil, IdentitySyntax.identity)
        result.eapServer = round.read("aaa_id", or: nil, IdentitySyntax.pattern)
        note(&round, ["eap_id", "aaa_id"], unless: method == .eap)
        if method == .eap {
            certify(&result, named)
            return result
        }
        guard method == .publicKey else { return result }
        result.rules = rules
        result.rawKeys = keys.map(\.info)
        let loaded = directory.credentials
        result.takesLoaded = named.isEmpty && keys.isEmpty
        result.configuredIdentity = result.identity
        let candidates = result.takesLoaded ? CredentialBinding(loaded).candidates(result.identity) : named
        for certificate in candidates where loaded.key(of: certificate) == nil {
            round.diagnostics.warning(
                round.location(of: "certs"), "\(round.path): there is no private key for '\(certificate.name)'",
                remedy: "put it into the directory private, and its password into secrets")
        }
        for key in keys where loaded.key(ofInfo: key.info) == nil {
            round.diagnostics.warning(
                round.location(of: "pubkeys"), "\(round.path): there is no private key for one of the public keys",
                remedy: "put it into the directory private")
        }
        if candidates.isEmpty, keys.isEmpty {
            round.diagnostics.warning(
                round.view.location, "\(round.path): auth = pubkey without a certificate or a key of ours",
                remedy: "name one with certs = …, and put its key into the directory private")
        }
        result.certificates = candidates.map(\.der)
        confirm(&result, candidates, &round)
        return result
    }

    /// What TLS inside EAP shows: what is named, else whatever there is a key for, those that bear the identity first.
    private func certify(_ result: inout Connection.Authentication, _ named: [Certificate]) {
        guard result.eap.methods.contains(where: \.provesServer) else { return }
        let loaded = directory.credentials
        let candidates = (named.isEmpty ? loaded.certificates : named).filter { loaded.key(of: $0) != nil }
        result.certificates = candidates.map(\.der)
        if result.identity == nil, result.eap.methods == [.tls], let subject = candidates.first?.subject {
            result.identity = Identity(subject)
        }
    }

    /// Takes the certificate's subject for an identity that no certificate confirms, and says so.
    private func confirm(
        _ result: inout Connection.Authentication, _ candidates: [Certificate], _ round: inout SectionReader
    ) {
        let identity = result.identity
        result.identity = CredentialBinding.identity(identity, candidates)
        guard let identity, let first = candidates.first, let used = result.identity, used != identity else { return }
        round.diagnostics.warning(
            round.location(of: "id"),
            "\(round.path).id: no certificate of ours belongs to '\(identity)'; '\(used)' is used instead",
            remedy: "name one of: \(IdentityBinding.names(of: first).joined(separator: ", "))")
    }

    /// What the peer has to prove.
    func remote(_ round: inout SectionReader) -> Connection.PeerAuthentication {
        let (method, rules) = method(&round)
        var result = Connection.PeerAuthentication(
            method: method, identity: round.read("id", or: .any, IdentitySyntax.pattern))
        let pinned = certificates(&round, "certs", "x509") + sections(&round, "cert<suffix>", "x509")
        let named = certificates(&round, "cacerts", "x509ca") + sections(&round, "cacert<suffix>", "x509ca")
        let keys = publicKeys(&round)
        result.policies = round.readList("cert_policy", or: []) { text throws(ValueProblem) in
            guard text.split(separator: ".").allSatisfy({ UInt64($0) != nil }), text.contains(".") else {
                throw ValueProblem(
                    "'\(text)' is not an object identifier", remedy: "write numbers and dots: 1.3.6.1.4.1.5")
            }
            return [text]
        }
        result.authority = round.read("ca_id", or: nil, IdentitySyntax.pattern)
        result.revocation = round.read("revocation", or: .relaxed) { text throws(ValueProblem) in
            try ValueSyntax.word(text, [("relaxed", .relaxed), ("strict", .strict), ("ifuri", .ifURI)])
        }
        if method == .eap { result.eap = eap(&round, isPeer: false) }
        result.eapIdentity = round.read("eap_id", or: nil, IdentitySyntax.pattern)
        note(&round, ["eap_id"], unless: method == .eap)
        groups(&result, &round)
        guard method == .publicKey || method == .eap else { return result }
        result.rules = rules
        result.certificates = pinned.map(\.der)
        result.rawKeys = keys.map(\.info)
        result.trustsLoaded = named.isEmpty && pinned.isEmpty && keys.isEmpty
        let trusted = result.trustsLoaded ? directory.credentials.authorities : named
        result.authorities = trusted.map(\.asAuthority)
        // They help to build chains, and are trusted by this round alone.
        directory.add(named, as: \.intermediates)
        if trusted.isEmpty, pinned.isEmpty, keys.isEmpty, method == .publicKey {
            round.diagnostics.warning(
                round.view.location, "\(round.path): no authority, certificate or key of a peer is trusted",
                remedy: "put the authority's certificate into the directory x509ca")
        }
        if !keys.isEmpty, pinned.isEmpty, result.identity == .any {
            round.diagnostics.warning(
                round.view.location, "\(round.path): who has one of the keys in pubkeys may take any name",
                remedy: "name the peer with id = …")
        }
        return result
    }

    /// The groups that a RADIUS server has to name.
    private func groups(_ result: inout Connection.PeerAuthentication, _ round: inout SectionReader) {
        result.groups = round.readList("groups", or: []) { text throws(ValueProblem) in [text] }
        guard !result.groups.isEmpty, !result.eap.isRelayed else { return }
        round.diagnostics.error(
            round.location(of: "groups"), "\(round.path).groups: nobody but a RADIUS server knows a peer's groups",
            remedy: "write auth = eap-radius, or remove groups")
    }

    /// The EAP methods of a round.
    private func eap(_ round: inout SectionReader, isPeer: Bool) -> EAPRules {
        round.read("auth", or: EAPRules()) { text throws(ValueProblem) in
            try EAPSyntax.rules(text.lowercased(), isPeer: isPeer)
        }
    }

    private func note(_ round: inout SectionReader, _ keys: [String], unless hasEffect: Bool) {
        guard !hasEffect else { return }
        for key in keys where round.text(key) != nil {
            round.diagnostics.note(
                round.location(of: key), "\(round.path).\(key) has no effect: `auth` is not EAP",
                remedy: "it may stay or go")
        }
    }

    private func method(
        _ round: inout SectionReader
    ) -> (method: Connection.AuthenticationMethod, rules: SignatureRules) {
        _ = round.read("round", or: 0) { text throws(ValueProblem) in try ValueSyntax.number(text, in: 0...65_535) }
        return round.read("auth", or: (.publicKey, SignatureRules()), AuthenticationSyntax.parse)
    }

    private func certificates(_ round: inout SectionReader, _ key: String, _ folder: String) -> [Certificate] {
        guard let setting = round.setting(key), let value = setting.value else { return [] }
        var found: [Certificate] = []
        let names =
            value.starts(with: Array("-----BEGIN".utf8))
            ? [value] : ValueSyntax.list(String(decoding: value, as: UTF8.self)).map { Array($0.utf8) }
        for name in names {
            do throws(ValueProblem) {
                found += try directory.certificates(named: name, in: folder)
            } catch {
                round.diagnostics.error(
                    setting.location, "\(round.path).\(key): \(error.message)", remedy: error.remedy)
            }
        }
        return found
    }

    /// The certificates of sections `cert… { file = … }`.
    private func sections(_ round: inout SectionReader, _ pattern: String, _ folder: String) -> [Certificate] {
        round.sections(pattern).flatMap { section in
            var section = section
            let found = certificates(&section, "file", folder)
            if section.view.setting("file")?.value == nil {
                section.diagnostics.missing(
                    section.view.location, "\(section.path) names no certificate", remedy: "add file = …")
            }
            section.finish()
            return found
        }
    }

    private func publicKeys(_ round: inout SectionReader) -> [PublicKey] {
        guard let setting = round.setting("pubkeys"), let value = setting.value else { return [] }
        var found: [PublicKey] = []
        for name in ValueSyntax.list(String(decoding: value, as: UTF8.self)) {
            do throws(ValueProblem) {
                found.append(try directory.publicKey(named: Array(name.utf8)))
            } catch {
                round.diagnostics.error(
                    setting.location, "\(round.path).pubkeys: \(error.message)", remedy: error.remedy)
            }
        }
        return found
    }
}
