import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto

/// Which proofs we take from a peer, as SUPPORTED_AUTH_METHODS says it (RFC 9593).
///
/// It owns what follows from a connection's configuration. It never judges a proof: what a peer chooses is judged as if
/// nothing had been announced, and who announces nothing is none the worse.
enum AnnouncedMethods {
    /// Octets of CERTREQ beyond which our answer to IKE_SA_INIT has no room for a list: it can't be cut into fragments
    /// (RFC 9593 §3.1).
    private static let roomBesideRequests = 400

    /// The notification for peers that may mean any of these connections; none where nobody signs, since there is nothing
    /// to choose from then.
    static func notifies(_ candidates: [ConfiguredConnection]) -> [NotifyPayload] {
        guard candidates.contains(where: \.demandsSignatures) else { return [] }
        let rounds = candidates.flatMap(\.connection.remoteRounds)
        var list: [AuthenticationAnnouncement] = []
        for round in rounds {
            for announcement in announcements(round) where !list.contains(announcement) { list.append(announcement) }
        }
        return [AuthenticationAnnouncement.notify(list)]
    }

    /// The same beside these requests for certificates.
    static func notifies(
        _ candidates: [ConfiguredConnection], beside requests: [CertificateRequestPayload]
    ) -> [NotifyPayload] {
        let octets = requests.reduce(0) { $0 + 20 * $1.authorities.count }
        return octets > roomBesideRequests ? [] : notifies(candidates)
    }

    private static func announcements(_ round: Connection.PeerAuthentication) -> [AuthenticationAnnouncement] {
        switch round.method {
        case .sharedKey: [AuthenticationAnnouncement(.sharedKey)]
        // It begins without AUTH, and has methods of its own.
        case .eap: []
        case .publicKey:
            (round.rules.signatures.isEmpty ? [SignatureRules.Rule(.any)] : round.rules.signatures).flatMap {
                announcements($0)
            }
        }
    }

    private static func announcements(_ rule: SignatureRules.Rule) -> [AuthenticationAnnouncement] {
        // SHA-1 is taken from peers only that know nothing newer, and those know no announcements either.
        let strong: [HashFunction] = [.sha256, .sha384, .sha512]
        let hashes = rule.hashes.isEmpty ? strong : rule.hashes.filter(strong.contains)
        let ecdsa = hashes.map { SignatureIdentifier.ecdsa($0) }
        let pss = hashes.map { SignatureIdentifier.rsaPSS($0) }
        let pkcs1 = hashes.map { SignatureIdentifier.rsaPKCS1($0) }
        let named: [SignatureIdentifier] =
            switch rule.scheme {
            case .any: [.ed25519, .ed448] + ecdsa + pss + pkcs1
            case .rsa: pss + pkcs1
            case .rsaPSS: pss
            case .ecdsa: ecdsa
            case .ed25519: [.ed25519]
            case .ed448: [.ed448]
            }
        // The methods of RFC 4754, one for each hash.
        let own: [AuthenticationMethod] =
            rule.scheme != .any && rule.scheme != .ecdsa
            ? []
            : hashes.map { $0 == .sha256 ? .ecdsa256 : $0 == .sha384 ? .ecdsa384 : .ecdsa521 }
        return named.compactMap { AuthenticationAnnouncement($0) } + own.map { AuthenticationAnnouncement($0) }
    }
}
