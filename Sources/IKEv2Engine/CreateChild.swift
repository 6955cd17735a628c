import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import WireFormat

/// Makes one more Child SA, as the initiator of CREATE_CHILD_SA (RFC 7296 §1.3.1).
///
/// It owns the offer, the nonce and, for forward secrecy, an ephemeral private value.
struct CreateChild: Exchange {
    private let offer: ChildOffer
    private let nonce: [UInt8]
    private let agreement: KeyAgreement?
    private let isRetry: Bool

    /// The offer of a child of this name; nil when it is up, or when it can't be offered.
    init?(_ name: String, _ context: SessionContext, _ turn: inout Turn) {
        guard !context.children.hasLive(named: name), context.children.hasRoom,
            let template = context.connection.child(named: name),
            let offer = ChildOffer(template, withKeyExchange: true, context, &turn)
        else { return nil }
        let groups = offer.proposals.lazy.flatMap { $0.transforms(of: .keyExchange) }
        self.init(offer, group: groups.first { $0 != .noKeyExchange }, isRetry: false, &turn)
    }

    private init?(_ offer: ChildOffer, group: Transform?, isRetry: Bool, _ turn: inout Turn) {
        self.offer = offer
        self.isRetry = isRetry
        nonce = turn.environment.entropy.bytes(32)
        guard let group else {
            agreement = nil
            return
        }
        guard let made = try? KeyAgreement(group: group, entropy: &turn.environment.entropy) else { return nil }
        agreement = made
    }

    var type: ExchangeType { .createChildSA }

    var payloads: [Payload] {
        let child = CreateChildSA.Child(
            negotiation: offer.negotiation, nonce: NoncePayload(nonce),
            keyExchange: agreement.map { KeyExchangePayload(method: $0.group.id, data: $0.publicValue) },
            notifies: offer.notifies)
        return CreateChildSA.Request.child(child).payloads
    }

    func complete(
        _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> NextStep {
        defer { context.earlyDeletions = [] }
        let answer: CreateChildSA.Response
        do throws(GrammarError) {
            answer = try CreateChildSA.Response(response)
        } catch {
            throw .malformed(.createChildSA, error, isResponse: true)
        }
        switch answer {
        case .ikeSA:
            throw .malformed(.createChildSA, .unexpected(.securityAssociation, .createChildSA), isResponse: true)
        case .notified(let notifies):
            if let next = retry(notifies, &turn) { return .then(next) }
            let error = notifies.firstError
            context.withdraw(offer, peerInstalledIt: false, &turn)
            context.refuse(
                refusal(error?.type, error?.type.description ?? "no Child SA", context), child: offer.template.name,
                &turn)
        case .child(let child):
            if let spi = child.negotiation.choice?.spi32, context.earlyDeletions.contains(spi) {
                // The peer has taken it away again before we had its answer; so it never comes up.
                context.withdraw(offer, peerInstalledIt: false, &turn)
                context.refuse(refusal(NotifyType(rawValue: 0), "DELETE", context), child: offer.template.name, &turn)
                return .done
            }
            do throws(Refusal) {
                try install(child, keys, context, &turn)
            } catch {
                context.withdraw(offer, peerInstalledIt: true, &turn)
                context.refuse(error, child: offer.template.name, &turn)
            }
        }
        return .done
    }

    private func refusal(_ type: NotifyType?, _ name: String, _ context: SessionContext) -> Refusal {
        .byPeer(
            notify: type?.rawValue ?? 0, name: name, exchange: "CREATE_CHILD_SA",
            offer: context.offer(
                offer.proposals, localSelectors: offer.localSelectors, remoteSelectors: offer.remoteSelectors))
    }

    /// The same with the group that the peer wants, once, when we offered it.
    private func retry(_ notifies: [NotifyPayload], _ turn: inout Turn) -> CreateChild? {
        guard !isRetry, let wanted = notifies.first(.invalidKEPayload), wanted.data.count == 2 else { return nil }
        let number = UInt16(wanted.data[0]) << 8 | UInt16(wanted.data[1])
        let groups = offer.proposals.lazy.flatMap { $0.transforms(of: .keyExchange) }
        guard let group = groups.first(where: { $0.id == number && $0 != agreement?.group }) else { return nil }
        return CreateChild(offer, group: group == .noKeyExchange ? nil : group, isRetry: true, &turn)
    }

    private func install(
        _ child: CreateChildSA.Child, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(Refusal) {
        let agreed = try offer.agreement(child.negotiation, child.notifies)
        let group = agreed.proposal.first(.keyExchange).flatMap { $0 == .noKeyExchange ? nil : $0 }
        var secret: SecretBytes?
        if let group {
            guard let agreement, agreement.group == group, let theirs = child.keyExchange, theirs.method == group.id
            else { throw .choseWhatWasNotOffered(what: "key exchange \(group)") }
            do throws(KeyAgreementError) {
                secret = try agreement.sharedSecret(with: theirs.data)
            } catch {
                throw .badKeyExchange(group: group, reason: error.description)
            }
        }
        let installation = ChildInstallation(
            agreed, keys, sharedSecret: secret, initiatorNonce: nonce, responderNonce: child.nonce.nonce,
            weInitiated: true, turn)
        guard let installation else { throw .choseWhatWasNotOffered(what: "an ESP proposal without keys") }
        installation.installInbound(context, &turn)
        installation.complete(context, &turn)
    }
}

/// Answers a peer's CREATE_CHILD_SA (RFC 7296 §1.3.1): a new Child SA, or the reason why there is none.
///
/// Rekeying is refused in a way that leaves the IKE SA and its children as they are.
enum CreateChildResponder {
    /// The answer: payloads, and what is to be installed around sending them.
    struct Answer {
        var payloads: [Payload]
        var installation: ChildInstallation?
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
        guard case .child(let child) = request, child.rekeyed == nil, !turn.tables.isShuttingDown else {
            return Answer(payloads: [.notify(NotifyPayload(.noAdditionalSAs))])
        }
        do throws(ChildChoice.Rejection) {
            return try accept(child, keys, context, &turn)
        } catch {
            if error.notify.type != .invalidKEPayload { context.refuse(error.refusal, child: error.child, &turn) }
            return Answer(payloads: [.notify(error.notify)])
        }
    }

    private static func accept(
        _ child: CreateChildSA.Child, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(ChildChoice.Rejection) -> Answer {
        let choice = try ChildChoice.choose(
            child.negotiation, child.notifies, withKeyExchange: true, context, &turn)
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
        let installation = ChildInstallation(
            choice.agreement, keys, sharedSecret: secret, initiatorNonce: child.nonce.nonce, responderNonce: nonce,
            weInitiated: false, turn)
        let answer = CreateChildSA.Child(
            negotiation: choice.negotiation, nonce: NoncePayload(nonce), keyExchange: publicValue,
            notifies: choice.notifies)
        return Answer(payloads: CreateChildSA.Response.child(answer).payloads, installation: installation)
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
                notify: NotifyPayload(.noProposalChosen),
                refusal: .badKeyExchange(group: group, reason: error.description), child: name)
        }
    }
}
