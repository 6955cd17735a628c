import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import WireFormat

/// What an IKE SA remembers of its EAP conversations: which is open, since when, and who the peer turned out to be.
struct EAPProgress {
    /// Messages of one end's after which nobody goes on, whoever speaks EAP.
    static let mostRounds = 100

    /// How many conversations there were before.
    var number = 0
    /// Whether somebody outside keeps one for us.
    var isOpen = false
    /// How many messages of the other end's there were.
    var rounds = 0
    /// When the whole of it has taken too long.
    var deadline: Instant?
    /// Whether IDr was said before the last answer of IKE_AUTH.
    var hasSaidIdentity = false
    /// Who the peer is, as EAP knows it; for a responder.
    var peer: Identity?
    /// The addresses that it is to have, and what it is told besides, where whoever knows it says so.
    var addresses: [IPAddress] = []
    var attributes: [HostAttribute] = []
    /// How long its proof is worth something; nil for as long as the configuration says.
    var lifetime: Interval?

    /// The same with what somebody who knows the peer says of it. A later round that says nothing takes nothing back.
    func heeding(_ outcome: EAPOutcome) -> EAPProgress {
        var next = self
        next.peer = outcome.identity ?? peer
        if !outcome.addresses.isEmpty { next.addresses = outcome.addresses }
        if !outcome.attributes.isEmpty { next.attributes = outcome.attributes }
        next.lifetime = outcome.lifetime ?? lifetime
        return next
    }
}

extension SessionContext {
    /// Who the peer is: by EAP where it proved itself so, since its identity in IKE is no more than a claim then.
    var provenIdentity: Identity? { eap.peer ?? remoteIdentity }

    /// Asks for the next step of the conversation.
    func askEAP(
        _ message: [UInt8]?, isAuthenticator: Bool, local: Identity, remote: Identity, _ turn: inout Turn
    ) {
        eap.isOpen = true
        var question = EAPQuestion(
            conversation: EAPQuestion.Conversation(ikeSA: id, number: eap.number), connection: connection,
            isAuthenticator: isAuthenticator, ownIdentity: local, otherIdentity: remote, path: path, message: message)
        question.own = connection.localRounds[min(rounds.own, connection.furtherLocal.count)]
        question.required = connection.remoteRounds[min(rounds.peer, connection.furtherRemote.count)]
        ask(.eap(question), &turn)
    }

    /// The conversation is over: whoever kept it may forget it.
    func closeEAP(_ turn: inout Turn) {
        guard eap.isOpen else { return }
        eap.isOpen = false
        eap.rounds = 0
        turn.effects.append(.forget(EAPQuestion.Conversation(ikeSA: id, number: eap.number)))
        eap.number += 1
    }

    /// How long the peer may take for its next message: less and less, the longer all of it takes.
    func awaitEAP(_ turn: inout Turn) {
        let patience = turn.configuration.limits.halfOpenTimeout
        let end = eap.deadline ?? turn.now + patience + patience + patience + patience
        eap.deadline = end
        timers.set(.halfOpen, to: min(end, turn.now + patience))
    }
}

extension SessionKeys {
    /// The AUTH data that a shared secret makes (RFC 7296 §2.15); after EAP the secret is the MSK, or SK_pi and SK_pr
    /// where the method left none (§2.16).
    func sharedProof(_ secret: SecretBytes, _ octets: [UInt8]) -> [UInt8] {
        let pad = suite.prf.compute(key: secret, Array("Key Pad for IKEv2".utf8))
        return suite.prf.compute(key: pad, octets).exposedBytes()
    }

    /// The initiator's AUTH after EAP.
    func initiatorProof(after outcome: EAPOutcome, _ octets: [UInt8]) -> AuthenticationPayload {
        AuthenticationPayload(.sharedKey, sharedProof(outcome.key ?? initiatorProof, octets))
    }

    /// The responder's AUTH after EAP.
    func responderProof(after outcome: EAPOutcome, _ octets: [UInt8]) -> AuthenticationPayload {
        AuthenticationPayload(.sharedKey, sharedProof(outcome.key ?? responderProof, octets))
    }
}

extension AuthenticationPayload {
    /// Whether both are the same proof; in constant time.
    func proves(_ wanted: AuthenticationPayload) -> Bool {
        method == wanted.method && ConstantTime.equal(data, wanted.data)
    }
}
