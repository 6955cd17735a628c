import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import WireFormat

/// Makes an IKE SA in place of this one, as the initiator of CREATE_CHILD_SA (RFC 7296 §1.3.2, §2.18).
///
/// It owns the offer, the nonce and an ephemeral private value.
struct RekeyIKE: Exchange {
    private let offer: [Proposal]
    private let spi: UInt64
    private let nonce: [UInt8]
    private let agreement: KeyAgreement
    private let isRetry: Bool

    /// The offer; nil when the IKE SA has been replaced already, or when nothing can be offered.
    init?(_ context: SessionContext, _ turn: inout Turn) {
        guard !context.isReplaced, !context.awaitsContest else { return nil }
        let offer = context.configured.ikeOffer
        let groups = offer.lazy.flatMap { $0.transforms(of: .keyExchange) }
        // The group that both ends know to suit them saves a detour.
        let present = context.algorithms?.first(.keyExchange)
        guard let group = groups.first(where: { $0 == present }) ?? groups.first else { return nil }
        self.init(offer, spi: turn.newSPI(), group: group, isRetry: false, &turn)
        context.ikeRival = nil
        context.enter(.rekeying, &turn)
    }

    private init?(_ offer: [Proposal], spi: UInt64, group: Transform, isRetry: Bool, _ turn: inout Turn) {
        guard let made = try? KeyAgreement(group: group, entropy: &turn.environment.entropy) else { return nil }
        self.offer = offer
        self.spi = spi
        self.isRetry = isRetry
        agreement = made
        nonce = turn.environment.entropy.bytes(32)
    }

    var type: ExchangeType { .createChildSA }
    var activity: Activity { .rekeyingIKESA }

    var payloads: [Payload] {
        let wire = offer.enumerated().map { index, proposal in
            WireProposal(number: UInt8(truncatingIfNeeded: index + 1), proposal, spi: WireProposal.octets(spi))
        }
        let rekeying = CreateChildSA.Rekeying(
            securityAssociation: SecurityAssociationPayload(wire), nonce: NoncePayload(nonce),
            keyExchange: KeyExchangePayload(method: agreement.group.id, data: agreement.publicValue))
        return CreateChildSA.Request.ikeSA(rekeying).payloads
    }

    func complete(
        _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> NextStep {
        let answer: CreateChildSA.Response
        do throws(GrammarError) {
            answer = try CreateChildSA.Response(response)
        } catch {
            throw .malformed(.createChildSA, error, isResponse: true)
        }
        switch answer {
        case .child:
            throw .malformed(.createChildSA, .unexpected(.securityAssociation, .createChildSA), isResponse: true)
        case .notified(let notifies):
            if let next = retry(notifies, &turn) { return .then(next) }
            failed(notifies, .createChildSA, context, &turn)
        case .ikeSA(let chosen):
            do throws(Refusal) {
                let agreed = try agree(chosen)
                let methods = agreed.proposal.additionalKeyExchanges
                guard !methods.isEmpty else {
                    try finish(chosen, agreed, [agreed.secret], keys, context, &turn)
                    return .done
                }
                let next = FollowupKeyExchange(
                    .ikeSA(self, chosen, agreed), methods, secrets: [agreed.secret],
                    link: chosen.notifies.first(.additionalKeyExchange)?.data, &turn)
                guard let next else { throw .choseWhatWasNotOffered(what: "additional key exchanges without a link") }
                return .then(next)
            } catch {
                // The peer has moved on to an IKE SA that we do not have: only a new start brings both together.
                throw .refused(error)
            }
        }
        return .done
    }

    /// The same with the group that the peer wants, once, when we offered it.
    private func retry(_ notifies: [NotifyPayload], _ turn: inout Turn) -> RekeyIKE? {
        guard !isRetry, let wanted = notifies.first(.invalidKEPayload), wanted.data.count == 2 else { return nil }
        let number = UInt16(wanted.data[0]) << 8 | UInt16(wanted.data[1])
        let groups = offer.lazy.flatMap { $0.transforms(of: .keyExchange) }
        guard let group = groups.first(where: { $0.id == number && $0 != agreement.group }) else { return nil }
        return RekeyIKE(offer, spi: spi, group: group, isRetry: true, &turn)
    }

    /// The peer has refused, in this exchange or in one that follows it.
    func failed(
        _ notifies: [NotifyPayload], _ exchange: ExchangeType, _ context: SessionContext, _ turn: inout Turn
    ) {
        let error = notifies.firstError
        context.ikeSANotReplaced(error?.type, &turn)
        // That both ends were about something is no refusal.
        if error?.type == .temporaryFailure || error?.type == .stateNotFound { return }
        context.refuse(
            .byPeer(
                notify: error?.type.rawValue ?? 0, name: error?.type.description ?? "no IKE SA",
                exchange: exchange.description, offer: context.offer(offer)), &turn)
    }

    /// What the peer's answer settles before additional key exchanges.
    struct Agreed {
        let proposal: Proposal
        let suite: KeySchedule.Suite
        let responderSPI: UInt64
        let secret: SecretBytes
    }

    /// Holds the answer against the offer.
    private func agree(_ answer: CreateChildSA.Rekeying) throws(Refusal) -> Agreed {
        guard let choice = answer.securityAssociation.proposals.first, let chosen = choice.proposal,
            chosen.securityProtocol == .ike, offer.contains(where: { $0.allows(answer: chosen) }),
            let suite = KeySchedule.Suite(chosen), chosen.first(.keyExchange) == agreement.group,
            answer.keyExchange.method == agreement.group.id, let theirSPI = choice.spi64, theirSPI != 0
        else { throw .choseWhatWasNotOffered(what: "IKE proposal") }
        do throws(KeyAgreementError) {
            let secret = try agreement.sharedSecret(with: answer.keyExchange.data)
            return Agreed(proposal: chosen, suite: suite, responderSPI: theirSPI, secret: secret)
        } catch {
            throw .badKeyExchange(group: agreement.group, reason: error.description)
        }
    }

    /// All key exchanges are done: the new IKE SA takes over.
    func finish(
        _ answer: CreateChildSA.Rekeying, _ agreed: Agreed, _ secrets: [SecretBytes], _ keys: SessionKeys,
        _ context: SessionContext, _ turn: inout Turn
    ) throws(Refusal) {
        let schedule = KeySchedule(
            agreed.suite, rekeying: keys, sharedSecret: agreed.secret, further: Array(secrets.dropFirst()),
            initiatorNonce: nonce, responderNonce: answer.nonce.nonce, initiatorSPI: spi,
            responderSPI: agreed.responderSPI)
        guard let schedule, let made = SessionKeys(agreed.suite, schedule, isInitiator: true) else {
            throw .badKeyExchange(group: agreement.group, reason: "no keys come of it")
        }
        let next = context.successor(
            isInitiator: true, initiatorSPI: spi, responderSPI: agreed.responderSPI, agreed.proposal, &turn)
        context.replaceIKESA(
            IKESession.replacing(next, made, &turn), nonces: [nonce, answer.nonce.nonce], &turn)
    }
}

/// Answers a peer's request for an IKE SA in place of this one (RFC 7296 §1.3.2, §2.18).
enum RekeyIKEResponder {
    /// The answer: payloads, and the new IKE SA, which begins when the answer is sent.
    struct Answer {
        var payloads: [Payload]
        var successor: IKESession?
        /// Both nonces, when our own replacement is under way.
        var contest: [[UInt8]]?
        /// What waits for additional key exchanges, when there is no new IKE SA yet.
        var followup: FollowupResponder?

        init(_ notify: NotifyPayload) { payloads = [.notify(notify)] }

        init(_ payloads: [Payload], _ successor: IKESession? = nil, contest: [[UInt8]]? = nil) {
            self.payloads = payloads
            self.successor = successor
            self.contest = contest
        }
    }

    /// What was agreed on before additional key exchanges.
    struct Agreed {
        let proposal: Proposal
        let suite: KeySchedule.Suite
        let group: Transform
        let initiatorSPI: UInt64
        let responderSPI: UInt64
        let nonces: [[UInt8]]
    }

    /// Decides about a request.
    /// - Throws: `badPublicValue` when its key exchange is none.
    static func answer(
        _ request: CreateChildSA.Rekeying, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> Answer {
        let verdict = CollisionTable.verdict(.rekeyIKESA, while: context.collision(nil))
        if verdict == .temporaryFailure || context.awaitsContest { return Answer(NotifyPayload(.temporaryFailure)) }
        let offered = request.securityAssociation.proposals.compactMap { wire -> (WireProposal, Proposal)? in
            guard wire.securityProtocol == .ike, let spi = wire.spi64, spi != 0, let proposal = wire.proposal else {
                return nil
            }
            return (wire, proposal)
        }
        let theirs = offered.map { $0.1 }
        let ours = context.configured.ikeOffer
        guard let selection = Proposal.select(from: theirs, configured: ours),
            let suite = KeySchedule.Suite(selection.proposal), let group = selection.proposal.first(.keyExchange)
        else {
            let isFixed = context.connection.hasFixedAlgorithms
            context.refuse(.noIKEProposal(ours: ours, theirs: theirs, isFixed: isFixed), &turn)
            return Answer(NotifyPayload(.noProposalChosen))
        }
        guard request.keyExchange.method == group.id else {
            let number = [UInt8(truncatingIfNeeded: group.id >> 8), UInt8(truncatingIfNeeded: group.id)]
            return Answer(NotifyPayload(.invalidKEPayload, number))
        }
        let wire = offered[selection.offeredIndex].0
        let agreed = Agreed(
            proposal: selection.proposal, suite: suite, group: group, initiatorSPI: wire.spi64 ?? 0,
            responderSPI: turn.newSPI(), nonces: [request.nonce.nonce, turn.environment.entropy.bytes(32)])
        let agreement: (value: [UInt8], secret: SecretBytes)
        do throws(KeyAgreementError) {
            agreement = try EphemeralKey.answer(
                group, to: request.keyExchange.data, entropy: &turn.environment.entropy)
        } catch {
            throw .badPublicValue(.badKeyExchange(group: group, reason: error.description))
        }
        let ourSPI = WireProposal.octets(agreed.responderSPI)
        var answer = CreateChildSA.Rekeying(
            securityAssociation: SecurityAssociationPayload([
                WireProposal(number: wire.number, selection.proposal, spi: ourSPI)
            ]), nonce: NoncePayload(agreed.nonces[1]),
            keyExchange: KeyExchangePayload(method: group.id, data: agreement.value))
        let methods = selection.proposal.additionalKeyExchanges
        guard methods.isEmpty else {
            let followup = FollowupResponder(.ikeSA(agreed), methods, secret: agreement.secret, &turn)
            answer.notifies.append(followup.notify)
            var result = Answer(CreateChildSA.Response.ikeSA(answer).payloads)
            result.followup = followup
            return result
        }
        var result = finish(agreed, [agreement.secret], keys, context, &turn)
        if result.successor != nil { result.payloads = CreateChildSA.Response.ikeSA(answer).payloads }
        return result
    }

    /// All key exchanges are done: the new IKE SA, or the notification that says why there is none. Payloads that tell of
    /// success are the caller's.
    static func finish(
        _ agreed: Agreed, _ secrets: [SecretBytes], _ keys: SessionKeys, _ context: SessionContext,
        _ turn: inout Turn
    ) -> Answer {
        let verdict = CollisionTable.verdict(.rekeyIKESA, while: context.collision(nil))
        if verdict == .temporaryFailure || context.awaitsContest { return Answer(NotifyPayload(.temporaryFailure)) }
        let schedule = KeySchedule(
            agreed.suite, rekeying: keys, sharedSecret: secrets[0], further: Array(secrets.dropFirst()),
            initiatorNonce: agreed.nonces[0], responderNonce: agreed.nonces[1], initiatorSPI: agreed.initiatorSPI,
            responderSPI: agreed.responderSPI)
        guard let schedule, let made = SessionKeys(agreed.suite, schedule, isInitiator: false) else {
            context.refuse(.badKeyExchange(group: agreed.group, reason: "no keys come of it"), &turn)
            return Answer(NotifyPayload(.noProposalChosen))
        }
        let next = context.successor(
            isInitiator: false, initiatorSPI: agreed.initiatorSPI, responderSPI: agreed.responderSPI, agreed.proposal,
            &turn)
        return Answer(
            [], IKESession.replacing(next, made, &turn),
            contest: verdict == .answerAndContest ? agreed.nonces : nil)
    }
}
