import GatewayModel
import IKEMessages
import SwanctlConfig
import Trust

/// A peer that is believed otherwise, about whose certificates nobody has asked yet.
///
/// It owns copies of everything that the question needs, so that a configuration loaded in between changes nothing for it.
struct RevocationCase: Sendable {
    /// The trusted chain, the peer's own first; nobody is asked about the last.
    let chain: [Certificate]
    /// What is known about the peer.
    let facts: PeerCertificate
    /// What follows when nobody can tell.
    let policy: RevocationPolicy
    /// Lists that are loaded, and those that the peer sent.
    let lists: [RevocationList]
    /// OCSP answers that the peer sent (RFC 4806).
    let answers: [[UInt8]]
    /// Whose answers are believed, whoever issued the certificate in question.
    let responders: [Certificate]
    /// Where the configuration says to ask.
    let authorities: [AuthoritySection]
    /// What may be fetched.
    let settings: RevocationSettings

    /// Lists and answers that one peer may send.
    private static let mostAttachments = 4
    /// Places that one certificate may name.
    private static let mostPlaces = 3

    /// A case about a peer.
    init(
        _ trusted: PeerVerifier.Trusted, _ policy: RevocationPolicy, _ credentials: Credentials,
        _ authorities: [AuthoritySection], _ settings: RevocationSettings
    ) {
        chain = trusted.chain
        facts = trusted.facts
        self.policy = policy
        let sent = trusted.attachments.filter { $0.encoding == .revocationList }.prefix(Self.mostAttachments)
        lists = credentials.revocationLists + sent.compactMap { try? RevocationList(file: $0.data) }
        answers = trusted.attachments.filter { $0.encoding == .ocsp }.prefix(Self.mostAttachments).map(\.data)
        responders = credentials.responders
        self.authorities = authorities
        self.settings = settings
    }

    /// A case about a chain that was shown in TLS, where nothing can be sent along.
    init(
        chain: [Certificate], _ facts: PeerCertificate, _ policy: RevocationPolicy, _ credentials: Credentials,
        _ authorities: [AuthoritySection], _ settings: RevocationSettings
    ) {
        (self.chain, self.facts, self.policy, self.settings) = (chain, facts, policy, settings)
        (lists, answers) = (credentials.revocationLists, [])
        responders = credentials.responders
        self.authorities = authorities
    }

    /// A case about a chain, without anything that the peer or the configuration says besides.
    init(
        chain: [Certificate], facts: PeerCertificate, policy: RevocationPolicy, lists: [RevocationList],
        settings: RevocationSettings
    ) {
        (self.chain, self.facts, self.policy, self.lists, self.settings) = (chain, facts, policy, lists, settings)
        (answers, responders, authorities) = ([], [], [])
    }

    /// A chain of ours, about which a peer wants to see what responders say.
    init(
        own chain: [Certificate], _ credentials: Credentials, _ authorities: [AuthoritySection],
        _ settings: RevocationSettings
    ) {
        self.chain = chain
        facts = PeerCertificate(
            chain: [], serial: "", ends: nil, key: "", signature: "", revocation: .notChecked)
        policy = .relaxed
        (lists, answers) = ([], [])
        responders = credentials.responders
        self.authorities = authorities
        self.settings = settings
    }

    /// A place to ask, and whether it may be a private one: the configuration may name any.
    struct Place: Hashable {
        var uri: String
        var mayBePrivate: Bool
    }

    /// Where to ask about the certificate at `index`, what the configuration names first.
    func places(_ kind: Certificate.Location, at index: Int) -> [Place] {
        let section = authorities.first { $0.certificate == chain[index + 1] }
        let configured: [String]
        switch kind {
        case .responder: configured = section?.responders ?? []
        case .revocationList: configured = section?.revocationLists ?? []
        case .delta: configured = []
        }
        let named = chain[index].locations(kind).filter { uri in
            let scheme = uri.prefix { $0 != ":" }.lowercased()
            return (scheme == "http" || scheme == "https") && uri.utf8.count <= 1024 && !configured.contains(uri)
        }
        return configured.map { Place(uri: $0, mayBePrivate: true) }
            + named.prefix(Self.mostPlaces).map { Place(uri: $0, mayBePrivate: settings.mayBePrivate) }
    }

    /// Whether nobody needs to be asked, and nobody insists: there is nothing to tell.
    var isIdle: Bool {
        guard policy == .relaxed, lists.isEmpty, answers.isEmpty else { return false }
        return chain.indices.dropLast().allSatisfy { index in
            places(.responder, at: index).isEmpty && places(.revocationList, at: index).isEmpty
        }
    }

    /// Whether the policy refuses the certificate at `index` when nobody can tell.
    func insists(at index: Int) -> Bool {
        switch policy {
        case .strict: true
        case .relaxed: false
        case .ifURI:
            !chain[index].locations(.responder).isEmpty || !chain[index].locations(.revocationList).isEmpty
                || !places(.responder, at: index).isEmpty || !places(.revocationList, at: index).isEmpty
        }
    }
}
