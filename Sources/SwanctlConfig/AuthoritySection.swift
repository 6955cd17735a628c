import GatewayModel
public import Trust

/// A certification authority that has a section of its own: its certificate, and where to ask about revocation.
///
/// It owns the meaning of `authorities.<name>`.
public struct AuthoritySection: Sendable {
    /// The section's name.
    public let name: String
    /// Its certificate.
    public let certificate: Certificate
    /// Where its revocation lists are, besides those that certificates name: `http:` and `https:`.
    public let revocationLists: [String]
    /// Where OCSP responders answer for it, before those that certificates name.
    public let responders: [String]

    /// Where sections name a place: as many as anybody needs.
    static let mostPlaces = 16

    /// Reads a section; nil, with the mistake reported, when it names no certificate.
    init?(_ reader: inout SectionReader, _ directory: CertificateDirectory) {
        name = reader.view.name
        revocationLists = Self.places(&reader, "crl_uris")
        responders = Self.places(&reader, "ocsp_uris")
        let named = ["cacert", "file"].compactMap { key in
            reader.setting(key)?.value.map { (key: key, value: $0, location: reader.location(of: key)) }
        }
        var found: [Certificate] = []
        for one in named {
            do throws(ValueProblem) {
                found += try directory.certificates(named: one.value, in: "x509ca")
            } catch {
                reader.diagnostics.error(
                    one.location, "\(reader.path).\(one.key): \(error.message)", remedy: error.remedy)
            }
        }
        if named.isEmpty {
            reader.diagnostics.missing(
                reader.view.location, "\(reader.path) names no certificate", remedy: "add cacert = …")
        }
        reader.finish()
        directory.add(found, as: \.authorities)
        guard let first = found.first else { return nil }
        certificate = first
    }

    private static func places(_ reader: inout SectionReader, _ key: String) -> [String] {
        let found: [String] = reader.readList(key, or: []) { text throws(ValueProblem) in
            let scheme = text.prefix { $0 != ":" }.lowercased()
            guard scheme == "http" || scheme == "https", text.dropFirst(scheme.count).hasPrefix("://") else {
                throw ValueProblem(
                    "'\(text)' is no place to ask", remedy: "write http://HOST/… (ldap and file are not done)")
            }
            return [text]
        }
        if found.count > mostPlaces {
            reader.diagnostics.error(
                reader.location(of: key), "\(reader.path).\(key): more than \(mostPlaces) places",
                remedy: "name the best ones")
        }
        return Array(found.prefix(mostPlaces))
    }
}
