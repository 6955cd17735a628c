/// An authority whose certificates are trusted.
///
/// A value that a configuration reader makes: the certificate as it is, and what engines and peers call it by.
public struct CertificateAuthority: Hashable, Sendable {
    /// The certificate in DER.
    public var certificate: [UInt8]
    /// The SHA-1 hash of its SubjectPublicKeyInfo, 20 octets: its name in CERTREQ (RFC 7296 §3.7).
    public var keyIdentifier: [UInt8]

    /// An authority.
    public init(certificate: [UInt8], keyIdentifier: [UInt8]) {
        self.certificate = certificate
        self.keyIdentifier = keyIdentifier
    }

    /// Authorities are the same when their certificates are.
    public static func == (left: Self, right: Self) -> Bool { left.certificate == right.certificate }

    /// By its key.
    public func hash(into hasher: inout Hasher) { hasher.combine(keyIdentifier) }
}

/// Whether OCSP answers travel with the certificates that they are about (RFC 4806).
public enum StatusExchange: String, Hashable, Sendable {
    /// They do not.
    case never
    /// We bring one where the peer asks for it.
    case reply
    /// We ask the peer for one.
    case request
    /// Both.
    case both

    /// Whether we bring one.
    public var isBrought: Bool { self == .reply || self == .both }
    /// Whether we ask for one.
    public var isAsked: Bool { self == .request || self == .both }
}

/// What happens when nobody can tell whether a certificate is revoked.
public enum RevocationPolicy: String, Hashable, Sendable {
    /// The peer is refused.
    case strict
    /// The peer is refused where the certificate, or the configuration, says where to ask.
    case ifURI = "ifuri"
    /// The peer is let in. One that is known to be revoked never is.
    case relaxed
}
