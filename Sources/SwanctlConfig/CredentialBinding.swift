public import GatewayModel
import IPsecCrypto
import Trust

/// What rounds of authentication get from the keys and certificates that are loaded, where they name none themselves.
///
/// It owns that rule, for whoever changes what is loaded: binding again gives what a configuration read now would say. It
/// never touches a round that names what it wants.
public struct CredentialBinding {
    private let credentials: Credentials

    /// A binding to these.
    public init(_ credentials: Credentials) { self.credentials = credentials }

    /// Gives each round what it takes from what is loaded now.
    public func bind(_ connections: inout [Connection]) {
        for index in connections.indices { bind(&connections[index]) }
    }

    private func bind(_ connection: inout Connection) {
        bind(&connection.local)
        bind(&connection.remote)
        for index in connection.furtherLocal.indices { bind(&connection.furtherLocal[index]) }
        for index in connection.furtherRemote.indices { bind(&connection.furtherRemote[index]) }
    }

    private func bind(_ round: inout Connection.Authentication) {
        guard round.takesLoaded else { return }
        let candidates = candidates(round.configuredIdentity)
        round.certificates = candidates.map(\.der)
        round.identity = Self.identity(round.configuredIdentity, candidates)
    }

    private func bind(_ round: inout Connection.PeerAuthentication) {
        round.responders = credentials.responders.map(\.key.identifier)
        guard round.trustsLoaded else { return }
        round.authorities = credentials.authorities.map(\.asAuthority)
    }

    /// The certificates that we may prove `identity` with, in the order in which they were loaded: those that bear it, or
    /// else all whose key we have.
    func candidates(_ identity: Identity?) -> [Certificate] {
        let own = credentials.certificates.filter { credentials.key(of: $0) != nil }
        guard let identity else { return own }
        let bound = own.filter { IdentityBinding.holds(identity, $0) }
        return bound.isEmpty ? own : bound
    }

    /// As whom we speak with these certificates: what no certificate of ours confirms would be refused by every peer, so
    /// the first one's subject takes its place, as where nothing is configured.
    static func identity(_ configured: Identity?, _ candidates: [Certificate]) -> Identity? {
        guard let subject = candidates.first?.subject, !subject.attributes.isEmpty else { return configured }
        if let configured, candidates.contains(where: { IdentityBinding.holds(configured, $0) }) { return configured }
        return Identity(subject)
    }
}

extension Connection {
    /// The connection as it was written, without what follows from what is loaded: two that are equal so say the same.
    public var unbound: Connection {
        var connection = self
        func unbind(_ round: inout Authentication) {
            guard round.takesLoaded else { return }
            round.certificates = []
            round.identity = round.configuredIdentity
        }
        func unbind(_ round: inout PeerAuthentication) {
            round.responders = []
            if round.trustsLoaded { round.authorities = [] }
        }
        unbind(&connection.local)
        unbind(&connection.remote)
        for index in connection.furtherLocal.indices { unbind(&connection.furtherLocal[index]) }
        for index in connection.furtherRemote.indices { unbind(&connection.furtherRemote[index]) }
        return connection
    }
}

extension Certificate {
    /// The certificate as engines know authorities.
    var asAuthority: CertificateAuthority {
        CertificateAuthority(certificate: der, keyIdentifier: key.identifier)
    }
}
