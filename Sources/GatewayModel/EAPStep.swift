public import Clockwork
public import NetworkTypes
public import WireFormat

/// What comes of one step of an EAP conversation (RFC 3748), for whoever carries the messages.
public enum EAPStep: Sendable {
    /// This message goes to the other end, and its answer comes next.
    case send([UInt8])
    /// It is done. As the authenticator: this EAP-Success goes to the peer. As the peer: there is nothing to send.
    case success([UInt8], EAPOutcome)
    /// It came to nothing. As the authenticator: this EAP-Failure goes to the peer, if there is one.
    case failure([UInt8], EAPProblem)
}

/// What an EAP conversation that succeeded leaves.
public struct EAPOutcome: Sendable {
    /// The method's type.
    public var method: UInt8
    /// Who the peer is, as EAP knows it; nil where nobody said.
    public var identity: Identity?
    /// The MSK, 64 octets (RFC 3748 §7.10); nil where the method makes none.
    public var key: SecretBytes?
    /// Whether the method proved the server's identity as well, so that the server needs no other proof (RFC 5998).
    public var provesServer: Bool
    /// The other end's certificate, where it showed one.
    public var certificate: PeerCertificate?
    /// The groups that the peer is in, as somebody who knows it says.
    public var groups: [String]
    /// The addresses that the peer is to have, as somebody who knows it says; one of each family at most.
    public var addresses: [IPAddress]
    /// What the peer's host is told besides.
    public var attributes: [HostAttribute]
    /// How long this is worth something; nil for no limit.
    public var lifetime: Interval?

    /// An outcome.
    public init(method: UInt8, identity: Identity?, key: SecretBytes?, provesServer: Bool = false) {
        self.method = method
        self.identity = identity
        self.key = key
        self.provesServer = provesServer
        certificate = nil
        groups = []
        addresses = []
        attributes = []
        lifetime = nil
    }

    /// `EAP_MSCHAPV2`; a number for methods that we only carry.
    public static func name(of method: UInt8) -> String {
        EAPMethod(rawValue: method)?.description ?? "EAP method \(method)"
    }
}

/// Why an EAP conversation came to nothing: the facts, not the sentence. It never holds a secret.
public enum EAPProblem: Error, Hashable, Sendable {
    /// There is no password for this identity here.
    case unknownIdentity(String)
    /// The peer's password is another one than ours.
    case wrongPassword(String)
    /// The identity is not one that the configuration allows.
    case forbiddenIdentity(String)
    /// As the peer: the server refused our password, or us.
    case refused(method: UInt8?)
    /// As the peer: the server does not know the password, so it is not the server.
    case serverUnproven
    /// No method suits both; types of the other end's (0 for none at all).
    case noCommonMethod(ours: [EAPMethod], theirs: [UInt8])
    /// A message breaks its format or comes out of turn: one clause.
    case malformed(String)
    /// The other end's certificate is not good enough.
    case untrusted(CertificateProblem)
    /// TLS came to nothing: one clause.
    case tls(String)
    /// Rounds without end.
    case tooManyRounds(Int)
    /// We can't take part: one clause.
    case unavailable(String)
    /// A RADIUS server, by its name, does not let it in; with the words that it sent along.
    case rejected(name: String, server: String, words: String?)
    /// No RADIUS server decides: one clause.
    case noServer(String)
    /// It is in none of the groups that the connection is for.
    case notMember(name: String, wanted: [String], found: [String])
}
