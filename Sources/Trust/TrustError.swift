/// Why a file with a key or a certificate can't be used.
public enum TrustError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It is not a private key in a form that is known.
    case noPrivateKey
    /// It is not a public key (SubjectPublicKeyInfo).
    case noPublicKey
    /// It holds no certificate.
    case noCertificate
    /// It is not a PKCS #12 file.
    case noContainer
    /// It is not a revocation list.
    case noRevocationList
    /// It is encrypted, and there is no password for it.
    case needsPassword
    /// It is encrypted with another password.
    case wrongPassword
    /// Keys of this kind are not supported.
    case unsupportedKey
    /// It is to be trusted as an authority's certificate, and its basic constraints say that it is none: whose it is.
    case notAnAuthority(String)
    /// Things of this form are not supported: which.
    case unsupportedForm(String)

    /// One clause.
    public var description: String {
        switch self {
        case .noPrivateKey: "it is not a private key in PEM, DER or PKCS #8 form"
        case .noPublicKey: "it is not a public key (SubjectPublicKeyInfo)"
        case .noCertificate: "it holds no X.509 certificate"
        case .noContainer: "it is not a PKCS #12 file"
        case .noRevocationList: "it is not a certificate revocation list"
        case .needsPassword: "it is encrypted, and there is no password for it"
        case .wrongPassword: "the password does not open it"
        case .unsupportedKey: "its key is of a kind that is not supported"
        case .notAnAuthority(let name): "'\(name)' is no authority (its basic constraints don't say CA)"
        case .unsupportedForm(let name): "\(name) are not supported"
        }
    }
}
