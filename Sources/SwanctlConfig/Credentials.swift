public import Trust

/// Keys and certificates that a configuration loads.
///
/// A value without a meaning of its own: which connection may use what is in the connection.
public struct Credentials: Sendable {
    /// Private keys, in the order of the files.
    public var keys: [PrivateKey]
    /// Certificates of authorities, trusted and in between: what chains are built from, and what a connection trusts that
    /// names no authority.
    public var authorities: [Certificate]
    /// Certificates of authorities that connections name for themselves: chains are built from them too.
    public var intermediates: [Certificate]
    /// Certificates whose owners are trusted to sign OCSP answers, whoever issued them.
    public var responders: [Certificate]
    /// Other certificates.
    public var certificates: [Certificate]
    /// Revocation lists.
    public var revocationLists: [RevocationList]

    /// Nothing.
    public init() {
        keys = []
        authorities = []
        intermediates = []
        responders = []
        certificates = []
        revocationLists = []
    }

    /// Adds what another one holds and is not there yet.
    public mutating func append(_ other: Credentials) {
        keys += other.keys.filter { key in !keys.contains { $0.publicKey.info == key.publicKey.info } }
        authorities += other.authorities.filter { !authorities.contains($0) }
        intermediates += other.intermediates.filter { !intermediates.contains($0) }
        responders += other.responders.filter { !responders.contains($0) }
        certificates += other.certificates.filter { !certificates.contains($0) }
        revocationLists += other.revocationLists
    }

    /// Adds the certificates of authorities that are not there yet.
    mutating func append(authorities sections: [AuthoritySection]) {
        for section in sections where !authorities.contains(section.certificate) {
            authorities.append(section.certificate)
        }
    }

    /// The private key of a certificate; nil when it is not loaded.
    public func key(of certificate: Certificate) -> PrivateKey? { key(ofInfo: certificate.key.info) }

    /// The private key of a public one (SubjectPublicKeyInfo).
    public func key(ofInfo info: [UInt8]) -> PrivateKey? { keys.first { $0.publicKey.info == info } }
}
