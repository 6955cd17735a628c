/// Why a peer's certificate, or its key, is not good enough: the facts, not the sentence.
///
/// It holds names and times from certificates, which are public. Telemetry turns it into words.
public enum CertificateProblem: Error, Hashable, Sendable {
    /// The peer sent no certificate, and none is configured for it.
    case none
    /// It can't be read: one clause.
    case malformed(String)
    /// It is past its end, in seconds since 1970.
    case expired(subject: String, ended: Int64)
    /// It has not begun yet, in seconds since 1970.
    case notYetValid(subject: String, begins: Int64)
    /// Nobody whom we trust has issued it, as far as the peer's certificates and ours lead.
    case untrustedIssuer(subject: String, issuer: String)
    /// It is not one of those that are configured.
    case notConfigured(subject: String)
    /// The signature on it is false.
    case falseSignature(subject: String)
    /// Somebody who may not issue certificates has issued one.
    case issuerIsNoAuthority(subject: String)
    /// More authorities below this one than it allows.
    case pathTooLong(subject: String)
    /// A name that its authority may not give.
    case forbiddenName(subject: String)
    /// Its policies are not the ones that are asked for.
    case wrongPolicy(subject: String, wanted: [String])
    /// Its key may not sign (key usage).
    case keyMayNotSign(subject: String)
    /// It is for other purposes (extended key usage); as dotted identifiers.
    case wrongPurpose(subject: String, has: [String])
    /// Its name is not the peer's identity: what it holds instead.
    case wrongName(claimed: Identity, subject: String, names: [String])
    /// A key is too weak, or of a kind that is not accepted.
    case weakKey(subject: String, key: String, wanted: String)
    /// A hash or scheme that is not accepted signed it, or the peer's proof.
    case weakSignature(subject: String, signature: String, wanted: String)
    /// It has been revoked.
    case revoked(subject: String, source: String)
    /// Nobody could tell whether it is revoked, and the configuration insists.
    case revocationUnknown(subject: String, reason: String)
    /// The cryptographic library's own words for anything else.
    case invalid(subject: String, reason: String)
}

/// What a peer has proved its identity with, for status and logs: a copy that holds nothing secret.
public struct PeerCertificate: Hashable, Sendable {
    /// What is known about revocation.
    public enum Revocation: Hashable, Sendable {
        /// Nobody looked.
        case notChecked
        /// It is not revoked, says this source.
        case good(source: String)
        /// Nobody could tell; why.
        case unknown(reason: String)
    }

    /// The subjects of the chain, the peer's own first; one element for a raw public key.
    public var chain: [String]
    /// The serial number in hexadecimal; empty for a raw public key.
    public var serial: String
    /// The end of its time in seconds since 1970; nil for a raw public key.
    public var ends: Int64?
    /// The key: `RSA 3072`.
    public var key: String
    /// How the proof was signed: `RSA-PSS with SHA-256`.
    public var signature: String
    /// What is known about revocation.
    public var revocation: Revocation

    /// What a peer has proved its identity with.
    public init(
        chain: [String], serial: String, ends: Int64?, key: String, signature: String, revocation: Revocation
    ) {
        self.chain = chain
        self.serial = serial
        self.ends = ends
        self.key = key
        self.signature = signature
        self.revocation = revocation
    }
}
