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
        let offer = context.connection.ikeOffer
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
            let error = notifies.firstError
            context.ikeSANotReplaced(error?.type, &turn)
            // That both ends were about something is no refusal.
            if error?.type == .temporaryFailure { return .done }
            context.refuse(
                .byPeer(
                    notify: error?.type.rawValue ?? 0, name: error?.type.description ?? "no IKE SA",
                    exchange: "CREATE_CHILD_SA", offer: context.offer(offer)), &turn)
        case .ikeSA(let chosen):
            do throws(Refusal) {
                let next = try successor(chosen, keys, context, &turn)
                context.replaceIKESA(next, nonces: [nonce, chosen.nonce.nonce], &turn)
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

    private func successor(
        _ answer: CreateChildSA.Rekeying, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(Refusal) -> IKESession {
        guard let choice = answer.securityAssociation.proposals.first, let chosen = choice.proposal,
            chosen.securityProtocol == .ike, offer.contains(where: { $0.allows(answer: chosen) }),
            let suite = KeySchedule.Suite(chosen), chosen.first(.keyExchange) == agreement.group,
            answer.keyExchange.method == agreement.group.id, let theirSPI = choice.spi64, theirSPI != 0
        else { throw .choseWhatWasNotOffered(what: "IKE proposal") }
        do throws(KeyAgreementError) {
            let schedule = KeySchedule(
                suite, rekeying: keys, sharedSecret: try agreement.sharedSecret(with: answer.keyExchange.data),
                initiatorNonce: nonce, responderNonce: answer.nonce.nonce, initiatorSPI: spi, responderSPI: theirSPI)
            guard let schedule, let made = SessionKeys(suite, schedule, isInitiator: true) else {
                throw .libraryRefused(agreement.group)
            }
            let next = context.successor(
                isInitiator: true, initiatorSPI: spi, responderSPI: theirSPI, chosen, &turn)
            return IKESession.replacing(next, made, &turn)
        } catch {
            throw .badKeyExchange(group: agreement.group, reason: error.description)
        }
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

        init(_ notify: NotifyPayload) { payloads = [.notify(notify)] }

        init(_ payloads: [Payload], _ successor: IKESession, contest: [[UInt8]]?) {
            self.payloads = payloads
            self.successor = successor
            self.contest = contest
        }
    }

    /// Decides about a request.
    static func answer(
        _ request: CreateChildSA.Rekeying, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) -> Answer {
        let verdict = CollisionTable.verdict(.rekeyIKESA, while: context.collision(nil))
        if verdict == .temporaryFailure || context.awaitsContest { return Answer(NotifyPayload(.temporaryFailure)) }
        let offered = request.securityAssociation.proposals.compactMap { wire -> (WireProposal, Proposal)? in
            guard wire.securityProtocol == .ike, let spi = wire.spi64, spi != 0, let proposal = wire.proposal else {
                return nil
            }
            return (wire, proposal)
        }
        let theirs = offered.map { $0.1 }
        let ours = context.connection.ikeOffer
        guard let selection = Proposal.select(from: theirs, configured: ours),
            let suite = KeySchedule.Suite(selection.proposal), let group = selection.proposal.first(.keyExchange)
        else {
            context.refuse(.noIKEProposal(ours: ours, theirs: theirs), &turn)
            return Answer(NotifyPayload(.noProposalChosen))
        }
        guard request.keyExchange.method == group.id else {
            let number = [UInt8(truncatingIfNeeded: group.id >> 8), UInt8(truncatingIfNeeded: group.id)]
            return Answer(NotifyPayload(.invalidKEPayload, number))
        }
        let wire = offered[selection.offeredIndex].0
        let (theirSPI, ourSPI) = (wire.spi64 ?? 0, turn.newSPI())
        let nonce = turn.environment.entropy.bytes(32)
        do throws(KeyAgreementError) {
            let agreement = try KeyAgreement(group: group, entropy: &turn.environment.entropy)
            let schedule = KeySchedule(
                suite, rekeying: keys, sharedSecret: try agreement.sharedSecret(with: request.keyExchange.data),
                initiatorNonce: request.nonce.nonce, responderNonce: nonce, initiatorSPI: theirSPI,
                responderSPI: ourSPI)
            guard let schedule, let made = SessionKeys(suite, schedule, isInitiator: false) else {
                throw .libraryRefused(group)
            }
            let answer = CreateChildSA.Rekeying(
                securityAssociation: SecurityAssociationPayload([
                    WireProposal(number: wire.number, selection.proposal, spi: WireProposal.octets(ourSPI))
                ]), nonce: NoncePayload(nonce),
                keyExchange: KeyExchangePayload(method: group.id, data: agreement.publicValue))
            let next = context.successor(
                isInitiator: false, initiatorSPI: theirSPI, responderSPI: ourSPI, selection.proposal, &turn)
            return Answer(
                CreateChildSA.Response.ikeSA(answer).payloads, IKESession.replacing(next, made, &turn),
                contest: verdict == .answerAndContest ? [request.nonce.nonce, nonce] : nil)
        } catch {
            context.refuse(.badKeyExchange(group: group, reason: error.description), &turn)
            return Answer(NotifyPayload(.noProposalChosen))
        }
    }
}
