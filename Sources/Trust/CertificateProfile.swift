public import IPsecCrypto
public import NetworkTypes
public import WireFormat

/// What goes into a certificate of our own making, so that gateways, Windows, Apple and Android take it.
///
/// It owns names, usages and purposes (RFC 4945 §5.1.3, and what each system insists on). It makes no keys and no files.
public struct CertificateProfile: Hashable, Sendable {
    /// What the certificate is for.
    public enum Purpose: Hashable, Sendable {
        /// An authority, with so many authorities below it at most; nil for any number.
        case authority(pathLength: Int?)
        /// A gateway: serverAuth, which all clients insist on, and IPsec's own purposes.
        case gateway
        /// A client: clientAuth, and IPsec's own purpose.
        case client
    }

    /// What it is for.
    public var purpose: Purpose
    /// Host names.
    public var hosts: [String]
    /// Addresses.
    public var addresses: [IPAddress]
    /// E-mail addresses.
    public var emails: [String]
    /// Where the authority's revocation list is published.
    public var revocationLists: [String]
    /// Where an OCSP responder answers.
    public var responders: [String]

    /// Nothing but a purpose.
    public init(_ purpose: Purpose) {
        self.purpose = purpose
        hosts = []
        addresses = []
        emails = []
        revocationLists = []
        responders = []
    }

    /// Whether a name can stand in a certificate: libcrypto's notation divides by commas and colons.
    public static func isPlain(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { (0x21...0x7e).contains($0) && !",;\"'\\#=".utf8.contains($0) }
    }

    /// The extensions; nil when a name or a URI holds something that can't stand in a certificate.
    public var extensions: [CertificateIssuer.Extension]? {
        guard (hosts + emails).allSatisfy({ Self.isPlain($0) && !$0.contains(":") }),
            (revocationLists + responders).allSatisfy({ Self.isPlain($0) && $0.hasPrefix("http") })
        else { return nil }
        var made: [CertificateIssuer.Extension]
        switch purpose {
        case .authority(let length):
            let limit = length.map { ",pathlen:\($0)" } ?? ""
            made = [
                .init("basicConstraints", "critical,CA:TRUE\(limit)"),
                .init("keyUsage", "critical,keyCertSign,cRLSign"),
            ]
        case .gateway:
            made = [
                .init("basicConstraints", "critical,CA:FALSE"),
                .init("keyUsage", "critical,digitalSignature,keyEncipherment"),
                // The last is ikeIntermediate, which old Apple clients look for.
                .init("extendedKeyUsage", "serverAuth,ipsecIKE,1.3.6.1.5.5.8.2.2"),
            ]
        case .client:
            made = [
                .init("basicConstraints", "critical,CA:FALSE"), .init("keyUsage", "critical,digitalSignature"),
                .init("extendedKeyUsage", "clientAuth,ipsecIKE"),
            ]
        }
        made.append(.init("subjectKeyIdentifier", "hash"))
        let names = hosts.map { "DNS:\($0)" } + addresses.map { "IP:\($0)" } + emails.map { "email:\($0)" }
        if !names.isEmpty { made.append(.init("subjectAltName", names.joined(separator: ","))) }
        if !revocationLists.isEmpty {
            made.append(.init("crlDistributionPoints", revocationLists.map { "URI:\($0)" }.joined(separator: ",")))
        }
        if !responders.isEmpty {
            made.append(.init("authorityInfoAccess", responders.map { "OCSP;URI:\($0)" }.joined(separator: ",")))
        }
        return made
    }
}

extension CertificateIssuer {
    /// A certificate after a profile; nil when a name in it makes no sense.
    public func issue(
        _ subject: DistinguishedName, _ key: PublicKey, _ profile: CertificateProfile, serial: [UInt8],
        validity: ClosedRange<Int64>
    ) -> Certificate? {
        guard var extensions = profile.extensions else { return nil }
        if certificate != nil { extensions.append(.init("authorityKeyIdentifier", "keyid")) }
        return issue(subject, key, serial: serial, validity: validity, extensions: extensions)
    }
}

extension CertificateFile {
    /// A PKCS #12 file with a key, its certificate and those above it; nil when libcrypto refuses.
    public static func container(
        _ key: PrivateKey, _ certificate: Certificate, above: [Certificate], name: String, password: SecretBytes
    ) -> SecretBytes? {
        key.container(certificate, above: above, name: name, password: password)
    }
}
