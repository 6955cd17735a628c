import GatewayModel

/// The peer does not believe that we are who we say: what can be behind it depends on how we proved it.
extension Diagnosis {
    static func disbelieved(_ offer: Refusal.Offer) -> (facts: [String], causes: [String], remedy: String) {
        var facts = [
            "We said that we are \(offer.localIdentity.map(describe) ?? "nobody")",
            "We asked for \(offer.remoteIdentity.map(describe) ?? "nobody in particular")",
            "We proved it with \(offer.method.map(proof) ?? "a proof")",
        ]
        if let expected = offer.expectedMethod { facts.append("The peer is to prove itself with \(proof(expected))") }
        let own = offer.localIdentity.map { "'\($0)'" } ?? "our identity"
        let (causes, remedy): ([String], String)
        switch offer.method {
        case .publicKey?:
            causes = [
                "the peer does not trust the issuer of our certificate: it lacks that authority, wants another one for us, "
                    + "or does not know our raw public key",
                "the peer expects another identity of us", "\(own) is not among the names in our certificate",
                "our certificate has expired, has been revoked, or is not valid yet by the peer's clock",
                "the peer wants another proof of us: a shared secret or EAP",
                "the peer is not the identity that we ask for",
            ]
            remedy =
                "Look at issuer, names and dates of our certificate (`martlet pki show FILE`), and at what the peer's "
                + "section for us names as authority, identity and method; its log says which one it was."
        case .eap?:
            causes = [
                "the peer takes no EAP from us: it wants a shared secret or a certificate",
                "the peer expects another identity of us in IKE", "the peer is not the identity that we ask for",
                "the peer does not know our `eap_id`, or has another password for it",
                "the server that the peer asks about passwords does not answer",
            ]
            remedy =
                "Compare `auth`, `id` and `eap_id` of our `local` section with the peer's section for us; its log "
                + "says which one it was."
        case .sharedKey?, nil:
            causes = [
                "the shared secrets differ", "the peer expects another identity of us",
                "the peer is not the identity that we ask for", "the peer has no secret for our identity",
                "the peer wants another proof of us: a certificate or EAP",
            ]
            remedy = "Compare the secret and both `id` settings with the peer's; its log says which one it was."
        }
        guard offer.usesPPK else { return (facts, unseen(offer) + causes, remedy) }
        return (facts, [differentPPK] + unseen(offer) + causes, "\(comparePPK) \(remedy)")
    }

    static func proof(_ method: Connection.AuthenticationMethod) -> String {
        switch method {
        case .sharedKey: "a pre-shared key"
        case .publicKey: "a signature"
        case .eap: "EAP"
        }
    }
}
