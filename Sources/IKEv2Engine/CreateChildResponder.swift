import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import WireFormat

/// Answers a peer's CREATE_CHILD_SA (RFC 7296 §1.3.1): a Child SA, new or in place of another, or the reason why
/// there is none.
///
/// It decides. Who calls it installs: inbound before the answer is sent, the rest after.
enum CreateChildResponder {
    /// The answer: payloads, and what is to be installed around sending them.
    struct Answer {
        var payloads: [Payload]
        var installation: ChildInstallation?
        /// The new IKE SA, when the request was about one.
        var successor: RekeyIKEResponder.Answer?
        /// The Child SA that the new one replaces.
        var old: ChildSAID?
        /// Our own replacement of the same Child SA is under way.
        var rival: ChildRival?
        /// What waits for additional key exchanges, when nothing is there yet.
        var followup: FollowupResponder?

        /// Puts the new Child SA to use, once the peer has the answer.
        func complete(_ context: SessionContext, _ turn: inout Turn) {
            if let successor, let session = successor.successor {
                context.ikeSAReplaced(by: session, contest: successor.contest, &turn)
            }
            installation?.complete(context, inPlaceOf: old, &turn)
            if installation != nil, let old { context.childReplaced(old, rival, &turn) }
        }
    }

    /// Decides about a request.
    static func answer(
        _ message: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> Answer {
        let request: CreateChildSA.Request
        do throws(GrammarError) {
            request = try CreateChildSA.Request(message)
        } catch {
            throw .malformed(.createChildSA, error, isResponse: false)
        }
        guard !turn.tables.isShuttingDown else {
            return Answer(payloads: [.notify(NotifyPayload(.noAdditionalSAs))])
        }
        let child: CreateChildSA.Child
        switch request {
        case .child(let wanted): child = wanted
        case .ikeSA(let rekeying):
            let successor = try RekeyIKEResponder.answer(rekeying, keys, context, &turn)
            return Answer(payloads: successor.payloads, successor: successor, followup: successor.followup)
        }
        var old: ChildSA?
        if let rekeyed = child.rekeyed {
            old = rekeyed.spi32.flatMap { context.children.child(outboundSPI: $0, rekeyed.securityProtocol ?? .esp) }
            guard old != nil else {
                // It may be the one that an answer to us, still under way, is about; or live on a newer IKE SA already.
                if context.mayHearOfMoreChildren {
                    return Answer(payloads: [.notify(NotifyPayload(.temporaryFailure))])
                }
                let unknown = NotifyPayload(.childSANotFound, rekeyed.securityProtocol ?? .esp, spi: rekeyed.spi32 ?? 0)
                return Answer(payloads: [.notify(unknown)])
            }
        }
        let verdict = CollisionTable.verdict(old == nil ? .createChild : .rekeyChild, while: context.collision(old))
        if verdict == .temporaryFailure { return Answer(payloads: [.notify(NotifyPayload(.temporaryFailure))]) }
        do throws(ChildChoice.Rejection) {
            return try accept(child, replacing: old, isContested: verdict == .answerAndContest, keys, context, &turn)
        } catch {
            if case .badKeyExchange = error.refusal, error.notify.type == .invalidSyntax {
                throw .badPublicValue(error.refusal)
            }
            if error.notify.type != .invalidKEPayload { context.refuse(error.refusal, child: error.child, &turn) }
            return Answer(payloads: [.notify(error.notify)])
        }
    }

    private static func accept(
        _ child: CreateChildSA.Child, replacing old: ChildSA?, isContested: Bool, _ keys: SessionKeys,
        _ context: SessionContext, _ turn: inout Turn
    ) throws(ChildChoice.Rejection) -> Answer {
        let choice = try ChildChoice.choose(
            child.negotiation, child.notifies, withKeyExchange: true, replacing: old?.agreement, context, &turn)
        let name = choice.agreement.template.name
        var secret: SecretBytes?
        var publicValue: KeyExchangePayload?
        if let group = choice.agreement.proposal.first(.keyExchange), group != .noKeyExchange {
            do throws(ChildChoice.Rejection) {
                (secret, publicValue) = try agree(group, child.keyExchange, name, &turn)
            } catch {
                context.giveBackSPI(choice.agreement.inboundSPI, &turn)
                throw error
            }
        }
        let nonce = turn.environment.entropy.bytes(32)
        let methods = choice.agreement.proposal.additionalKeyExchanges
        if let secret, !methods.isEmpty {
            let origin = FollowupResponder.Origin.child(
                choice.agreement, nonces: [child.nonce.nonce, nonce], old: old?.id)
            let followup = FollowupResponder(origin, methods, secret: secret, &turn)
            let answer = CreateChildSA.Child(
                negotiation: choice.negotiation, nonce: NoncePayload(nonce), keyExchange: publicValue,
                notifies: choice.notifies + [followup.notify])
            return Answer(payloads: CreateChildSA.Response.child(answer).payloads, followup: followup)
        }
        let installation = ChildInstallation(
            choice.terms, keys, sharedSecret: secret, initiatorNonce: child.nonce.nonce, responderNonce: nonce,
            weInitiated: false, turn.tables)
        let answer = CreateChildSA.Child(
            negotiation: choice.negotiation, nonce: NoncePayload(nonce), keyExchange: publicValue,
            notifies: choice.notifies)
        var result = Answer(payloads: CreateChildSA.Response.child(answer).payloads, installation: installation)
        result.old = old?.id
        if isContested, let old, let installation {
            result.rival = ChildRival(
                old: old.id, replacement: installation.id, nonces: [child.nonce.nonce, nonce])
        }
        return result
    }

    private static func agree(
        _ group: Transform, _ theirs: KeyExchangePayload?, _ name: String, _ turn: inout Turn
    ) throws(ChildChoice.Rejection) -> (SecretBytes, KeyExchangePayload) {
        guard let theirs, theirs.method == group.id else {
            let number = [UInt8(truncatingIfNeeded: group.id >> 8), UInt8(truncatingIfNeeded: group.id)]
            throw ChildChoice.Rejection(
                notify: NotifyPayload(.invalidKEPayload, number),
                refusal: .badKeyExchange(group: group, reason: "another group was used"), child: name)
        }
        do throws(KeyAgreementError) {
            let agreement = try KeyAgreement(group: group, entropy: &turn.environment.entropy)
            let secret = try agreement.sharedSecret(with: theirs.data)
            return (secret, KeyExchangePayload(method: group.id, data: agreement.publicValue))
        } catch {
            throw ChildChoice.Rejection(
                notify: NotifyPayload(.invalidSyntax),
                refusal: .badKeyExchange(group: group, reason: error.description), child: name)
        }
    }
}
