import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes

/// How far the authentication has come, where an end proves more than one identity (RFC 4739).
///
/// It owns two places in two lists: which round of ours and which of the peer's is the last that was begun. Rounds are
/// taken in the order of the configuration, and each of them has to be right.
struct AuthenticationRounds {
    /// Whether the peer speaks it.
    var isSpoken = false
    /// The round of ours.
    var own = 0
    /// The round of the peer's.
    var peer = 0
    /// Whether the peer has announced one more.
    var peerGoesOn = false
    /// Who both ends are by the first round, once there is a second.
    var first: Held<(local: Identity?, remote: Identity?)>?
}

extension Connection {
    /// Whether an end proves more than one identity.
    var hasSeveralRounds: Bool { !furtherLocal.isEmpty || !furtherRemote.isEmpty }
}

extension SessionContext {
    /// MULTIPLE_AUTH_SUPPORTED, where one of these connections needs it (RFC 4739 §2.1).
    static func roundNotifies(for candidates: [ConfiguredConnection]) -> [NotifyPayload] {
        candidates.contains { $0.connection.hasSeveralRounds } ? [NotifyPayload(.multipleAuthSupported)] : []
    }

    /// What a peer lacks that does not know RFC 4739.
    static let severalRounds = "several rounds of authentication (RFC 4739)"
    /// What a peer does wrong that announces a round which nobody could judge.
    static let noFurtherRound = "an end of the peer's authentication here (it announces another round)"

    /// Remembers who both ends are by the first round.
    func keepFirstIdentities() {
        rounds.first = rounds.first ?? Held(wrappedValue: (localIdentity, remoteIdentity))
    }

    /// Who is connected goes by the first identities.
    func returnToFirstIdentities() {
        guard let first = rounds.first?.wrappedValue else { return }
        (localIdentity, remoteIdentity) = first
    }

    /// Whether we have another identity to prove.
    var ownRoundFollows: Bool { rounds.own < connection.furtherLocal.count }

    /// Whether the authentication goes on after what both have proved so far.
    var goesOn: Bool { rounds.peerGoesOn || ownRoundFollows }

    /// What goes with a proof of ours: that another one follows.
    var roundAnnouncement: [NotifyPayload] { ownRoundFollows ? [NotifyPayload(.anotherAuthFollows)] : [] }

    /// What the peer's message with a true proof says about what follows; throws when that is not what we demand: a round
    /// that is left out, or one too many, which nobody could judge.
    func takeRoundAnnouncement(_ notifies: [NotifyPayload]) throws(Refusal) {
        let follows = notifies.contains(.anotherAuthFollows)
        guard follows == (rounds.peer < connection.furtherRemote.count), rounds.isSpoken || !follows else {
            throw .notMet(
                demand: follows ? Self.noFurtherRound : "another round of authentication by the peer")
        }
        rounds.peerGoesOn = follows
    }

    /// The question for the proof of our next round.
    func askForNextProof(
        _ keys: SessionKeys, _ transcript: Transcript, _ turn: inout Turn
    ) -> Identity {
        rounds.own += 1
        let round = connection.localRounds[rounds.own]
        let identity = round.identity ?? connection.ownIdentity(at: path.local.address)
        let body = IdentificationPayload(identity).body
        var proof = Query.Proof(
            connection: connection.name, method: round.method, signer: identity, other: expectedPeer,
            prf: keys.suite.prf.transform,
            octets: isInitiator ? transcript.initiatorProof(body, keys) : transcript.responderProof(body, keys))
        proof.wish = wish(round)
        ask(.prove(proof), &turn)
        return identity
    }

    /// The peer's next round begins with who it says it is; throws when that is somebody else than it has to be.
    @discardableResult
    func admitNextClaim(
        _ identity: IdentificationPayload
    ) throws(Refusal) -> Connection.PeerAuthentication {
        rounds.peer += 1
        let round = connection.remoteRounds[rounds.peer]
        let peer = Identity(identity)
        let pattern = round.identity ?? .exactly(Identity(path.remote.address))
        guard pattern.matches(peer) else { throw .identityMismatch(expected: [pattern], received: peer) }
        return round
    }

    /// The question whether the proof of the peer's next round is true; throws when it is not even of the right kind, or
    /// somebody else's.
    func askAboutNextProof(
        _ identity: IdentificationPayload, _ authentication: AuthenticationPayload?,
        _ certificates: [CertificatePayload], _ keys: SessionKeys, _ transcript: Transcript, _ turn: inout Turn
    ) throws(Refusal) {
        let round = try admitNextClaim(identity)
        let peer = Identity(identity)
        guard let authentication, round.method.covers(authentication.method) else {
            throw .wrongMethod(
                expected: round.method, received: authentication?.method.rawValue ?? 0, remote: peer)
        }
        let body = identity.body
        var proof = Query.Proof(
            connection: connection.name, method: round.method, signer: peer,
            other: localIdentity ?? Identity(path.local.address), prf: keys.suite.prf.transform,
            octets: isInitiator ? transcript.responderProof(body, keys) : transcript.initiatorProof(body, keys))
        proof.evidence = evidence(round, authentication, certificates)
        ask(.verify(proof, received: authentication.data), &turn)
    }
}
