import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import WireFormat

/// Makes one more Child SA, or one in place of another, as the initiator of CREATE_CHILD_SA (RFC 7296 §1.3.1, §1.3.3).
///
/// It owns the offer, the nonce and, for forward secrecy, an ephemeral private value.
struct CreateChild: Exchange {
    private let offer: ChildOffer
    private let nonce: [UInt8]
    private let agreement: KeyAgreement?
    private let isRetry: Bool
    /// The Child SA that is replaced, with our SPI of it.
    private let old: (id: ChildSAID, spi: UInt32, securityProtocol: SecurityProtocol)?

    /// The offer of a child of this name; nil when it is up, or when it can't be offered.
    init?(_ name: String, _ context: SessionContext, _ turn: inout Turn) {
        guard !context.children.hasLive(named: name), context.children.hasRoom,
            let template = context.connection.child(named: name),
            let offer = ChildOffer(template, withKeyExchange: true, context, &turn)
        else { return nil }
        self.init(offer, group: offer.firstGroup, isRetry: false, old: nil, &turn)
    }

    /// The offer of a child in place of another; nil when that one is gone, or about to go.
    init?(replacing id: ChildSAID, _ context: SessionContext, _ turn: inout Turn) {
        guard let child = context.children.child(id), child.state == .installed, !context.isToBeClosed(id),
            context.children.hasRoom, let offer = ChildOffer(replacing: child.agreement, context, &turn)
        else { return nil }
        self.init(
            offer, group: offer.firstGroup, isRetry: false,
            old: (id, child.agreement.inboundSPI, child.agreement.proposal.securityProtocol), &turn)
        context.children.update(id) { $0.state = .rekeying }
        context.childRival = nil
    }

    /// The offer of one more like this one, for a resource that has none; nil when it is gone, or all have one.
    init?(besides id: ChildSAID, _ context: SessionContext, _ turn: inout Turn) {
        guard let child = context.children.child(id), child.state == .installed, !context.isToBeClosed(id),
            context.children.hasRoom,
            let resource = context.freeResource(like: child.agreement, of: turn.configuration.resources),
            var offer = ChildOffer(replacing: child.agreement, context, &turn)
        else { return nil }
        offer.resource = resource
        self.init(offer, group: offer.firstGroup, isRetry: false, old: nil, &turn)
    }

    private init?(
        _ offer: ChildOffer, group: Transform?, isRetry: Bool,
        old: (id: ChildSAID, spi: UInt32, securityProtocol: SecurityProtocol)?, _ turn: inout Turn
    ) {
        self.offer = offer
        self.old = old
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
    var activity: Activity { old.map { .rekeyingChild($0.id) } ?? .creatingChild }

    var payloads: [Payload] {
        let child = CreateChildSA.Child(
            negotiation: offer.negotiation, nonce: NoncePayload(nonce),
            keyExchange: agreement.map { KeyExchangePayload(method: $0.group.id, data: $0.publicValue) },
            notifies: (old.map { [NotifyPayload(.rekeySA, $0.securityProtocol, spi: $0.spi)] } ?? []) + offer.notifies)
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
            failed(notifies, .createChildSA, context, &turn)
        case .child(let child):
            do throws(Refusal) {
                let (agreed, secret) = try agree(child)
                let methods = agreed.proposal.additionalKeyExchanges
                guard let secret, !methods.isEmpty else {
                    finish(child, agreed, secret.map { [$0] } ?? [], keys, context, &turn)
                    return .done
                }
                let next = FollowupKeyExchange(
                    .child(self, child, agreed), methods, secrets: [secret],
                    link: child.notifies.first(.additionalKeyExchange)?.data, &turn)
                guard let next else { throw .choseWhatWasNotOffered(what: "additional key exchanges without a link") }
                return .then(next)
            } catch {
                // Whoever answers so is broken or hostile: the IKE SA ends (RFC 6989 §2.5).
                if case .badKeyExchange = error { throw .refused(error) }
                abandon(error, peerInstalledIt: true, context, &turn)
            }
        }
        return .done
    }

    /// The peer has refused, in this exchange or in one that follows it.
    func failed(
        _ notifies: [NotifyPayload], _ exchange: ExchangeType, _ context: SessionContext, _ turn: inout Turn
    ) {
        let error = notifies.firstError
        context.withdraw(offer, peerInstalledIt: false, &turn)
        if let old { context.childNotReplaced(old.id, error?.type, &turn) }
        // The others carry on without it, until one of them is replaced (RFC 9611 §4).
        if old == nil, offer.resource != nil { return }
        // That both ends were about something is no refusal.
        let isPassing = error?.type == .temporaryFailure || error?.type == .childSANotFound
        if old != nil, isPassing || error?.type == .stateNotFound { return }
        if error?.type == .temporaryFailure, context.postpone(offer.template.name, &turn) { return }
        context.refuse(
            refusal(error?.type, error?.type.description ?? "no Child SA", exchange, context),
            child: offer.template.name, &turn)
    }

    /// Nothing comes of it.
    func abandon(_ refusal: Refusal, peerInstalledIt: Bool, _ context: SessionContext, _ turn: inout Turn) {
        context.withdraw(offer, peerInstalledIt: peerInstalledIt, &turn)
        if let old { context.childNotReplaced(old.id, nil, &turn) }
        context.refuse(refusal, child: offer.template.name, &turn)
    }

    private func refusal(
        _ type: NotifyType?, _ name: String, _ exchange: ExchangeType, _ context: SessionContext
    ) -> Refusal {
        .byPeer(
            notify: type?.rawValue ?? 0, name: name, exchange: exchange.description,
            offer: context.offer(
                offer.proposals, localSelectors: offer.localSelectors, remoteSelectors: offer.remoteSelectors))
    }

    /// The same with the group that the peer wants, once, when we offered it.
    private func retry(_ notifies: [NotifyPayload], _ turn: inout Turn) -> CreateChild? {
        guard !isRetry, let wanted = notifies.first(.invalidKEPayload), wanted.data.count == 2 else { return nil }
        let number = UInt16(wanted.data[0]) << 8 | UInt16(wanted.data[1])
        let groups = offer.proposals.lazy.flatMap { $0.transforms(of: .keyExchange) }
        guard let group = groups.first(where: { $0.id == number && $0 != agreement?.group }) else { return nil }
        return CreateChild(offer, group: group == .noKeyExchange ? nil : group, isRetry: true, old: old, &turn)
    }

    /// Holds the answer against the offer.
    private func agree(
        _ child: CreateChildSA.Child
    ) throws(Refusal) -> (agreement: ChildAgreement, secret: SecretBytes?) {
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
        return (agreed, secret)
    }

    /// All key exchanges are done: puts the Child SA to use.
    func finish(
        _ child: CreateChildSA.Child, _ agreed: ChildAgreement, _ secrets: [SecretBytes], _ keys: SessionKeys,
        _ context: SessionContext, _ turn: inout Turn
    ) {
        defer { context.earlyDeletions = [] }
        if context.earlyDeletions.contains(agreed.outboundSPI) {
            // The peer has taken it away again before we had its answer; so it never comes up.
            abandon(refusal(nil, "DELETE", .createChildSA, context), peerInstalledIt: false, context, &turn)
            return
        }
        let installation = ChildInstallation(
            Held(wrappedValue: agreed), keys, sharedSecret: secrets.first, further: Array(secrets.dropFirst()),
            initiatorNonce: nonce,
            responderNonce: child.nonce.nonce, weInitiated: true, turn.tables)
        guard let installation else {
            abandon(
                .choseWhatWasNotOffered(what: "a proposal without keys"), peerInstalledIt: true, context, &turn)
            return
        }
        if let old {
            context.replaceChild(old.id, installation, nonces: [nonce, child.nonce.nonce], &turn)
        } else {
            installation.installInbound(context, &turn)
            installation.complete(context, &turn)
        }
    }
}

extension ChildOffer {
    /// The group of the preferred proposal that has one.
    fileprivate var firstGroup: Transform? {
        proposals.lazy.flatMap { $0.transforms(of: .keyExchange) }.first { $0 != .noKeyExchange }
    }
}
