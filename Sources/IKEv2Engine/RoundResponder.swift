import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes

/// The responder of IKE_AUTH after the first round of authentication, where an end proves more (RFC 4739).
///
/// It owns the first request, which holds what is to be set up. Nothing is established before the last round of both ends:
/// an initiator that leaves one out, or asks for anything else meanwhile, gets nothing.
struct RoundResponder: ~Copyable {
    /// What is waited for.
    private enum Stage {
        /// The next request.
        case waiting
        /// The verdict about the initiator's proof.
        case checking(IKEAuth.Request.Identified, IKEHeader, Arrival)
        /// Our proof, as this identity.
        case proving(Identity, IKEHeader, Arrival)
    }

    private let keys: SessionKeys
    private let transcript: Transcript
    @Held private var request: IKEAuth.Request.Identified
    @Held private var identities: (local: Identity, remote: Identity)
    private var stage: Held<Stage>

    /// Answers the first request with our first proof, and waits for the next.
    static func start(
        _ keys: SessionKeys, _ transcript: Transcript, _ request: IKEAuth.Request.Identified, _ header: IKEHeader,
        _ arrival: Arrival, _ identities: (local: Identity, remote: Identity), _ proof: OwnProof,
        _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let state = RoundResponder(
            keys: keys, transcript: transcript, request: request, identities: identities)
        return state.wait(proof, as: identities.local, context.ppkAnswer, header, arrival, context, &turn)
    }

    /// The same after a round by EAP, at whose beginning we said who we are.
    static func goOn(
        _ keys: SessionKeys, _ transcript: Transcript, _ request: IKEAuth.Request.Identified, _ header: IKEHeader,
        _ arrival: Arrival, _ identities: (local: Identity, remote: Identity), _ proof: OwnProof,
        _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let state = RoundResponder(
            keys: keys, transcript: transcript, request: request, identities: identities)
        return state.wait(proof, as: nil, context.ppkAnswer, header, arrival, context, &turn)
    }

    private init(
        keys: SessionKeys, transcript: Transcript, request: IKEAuth.Request.Identified,
        identities: (local: Identity, remote: Identity)
    ) {
        self.keys = keys
        self.transcript = transcript
        _request = Held(wrappedValue: request)
        _identities = Held(wrappedValue: identities)
        stage = Held(wrappedValue: .waiting)
    }

    /// An answer that is not the last: our proof, or nothing.
    private consuming func wait(
        _ proof: OwnProof?, as identity: Identity?, _ notifies: [NotifyPayload], _ header: IKEHeader,
        _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let payloads = proof.map { proof in
            IKEAuth.Response.authenticated(
                IKEAuth.Response.Authenticated(
                    identity: identity.map { IdentificationPayload($0) }, certificates: proof.certificates,
                    authentication: proof.authentication, notifies: notifies + context.roundAnnouncement)
            ).payloads
        }
        guard context.respond(to: header, arrival, payloads ?? [], keys, &turn) else {
            return .closed(.failed(.malformed(exchange: "IKE_AUTH", reason: "ours can't be written")))
        }
        // It is the initiator's turn, and it has no longer than for its first one.
        context.timers.set(.halfOpen, to: turn.now + turn.configuration.limits.halfOpenTimeout)
        stage = Held(wrappedValue: .waiting)
        return .answeringRounds(self)
    }

    /// A sealed message came.
    consuming func receive(
        _ message: SealedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard case .waiting = stage.wrappedValue, message.header.exchange == .ikeAuth, !message.header.isResponse else {
            context.drop(.unexpected("\(message.header.exchange) before authentication"), arrival, &turn)
            return .answeringRounds(self)
        }
        let header = message.header
        let round: IKEAuth.Request.Identified?
        do throws(PeerFault) {
            let opened: OpenedMessage
            do throws(PeerFault) {
                opened = try context.open(message, keys, arrival, &turn)
            } catch {
                if case .ignore = error.disposition { throw error }
                guard case .fresh = context.responses.judge(header.messageID) else {
                    throw .outsideWindow(header.messageID)
                }
                context.responses.accept()
                throw error
            }
            switch context.responses.judge(header.messageID) {
            case .fresh: break
            case .replay(let datagrams):
                context.repeatResponse(datagrams, header.messageID, arrival, &turn)
                return .answeringRounds(self)
            case .suspended, .stale, .future: throw .outsideWindow(header.messageID)
            }
            context.adopt(arrival, &turn)
            context.responses.accept()
            context.timers.remove(.halfOpen)
            round = try read(opened, context, &turn)
        } catch {
            switch error.dispositionBeforeAuthentication {
            case .closeSession(let notify, let refusal):
                context.refuse(refusal, &turn)
                context.respond(to: header, arrival, notify.map { [.notify($0)] } ?? [], keys, &turn)
                return .closed(.failed(refusal))
            case .ignore(let reason): context.drop(reason, arrival, &turn)
            case .answer, .abandonExchange: break
            }
            return .answeringRounds(self)
        }
        guard let round else { return respond(header, arrival, context, &turn) }
        if round.authentication == nil {
            return EAPResponder.again(
                keys, transcript, request, round.identity, header, arrival, identities, context, &turn)
        }
        stage = Held(wrappedValue: .checking(round, header, arrival))
        return .answeringRounds(self)
    }

    /// The initiator's next round, about whose proof is asked; nil where it has none, and the turn is ours.
    private borrowing func read(
        _ message: OpenedMessage, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> IKEAuth.Request.Identified? {
        let next: IKEAuth.Request
        do throws(GrammarError) {
            next = try IKEAuth.Request(message)
        } catch {
            throw .malformed(.ikeAuth, error, isResponse: false)
        }
        switch (next, context.rounds.peerGoesOn) {
        case (.identified(let round), true):
            let isEAP = context.connection.remoteRounds[context.rounds.peer + 1].method == .eap
            do throws(Refusal) {
                if isEAP, round.authentication == nil {
                    try context.admitNextClaim(round.identity)
                    return round
                }
                try context.askAboutNextProof(
                    round.identity, round.authentication, round.certificates, keys, transcript, &turn)
            } catch {
                throw .unauthenticated(error)
            }
            context.remoteIdentity = Identity(round.identity)
            return round
        case (.empty, false): return nil
        case (_, true): throw .malformed(.ikeAuth, .missing(.initiatorIdentification, .ikeAuth), isResponse: false)
        case (_, false):
            throw .malformed(.ikeAuth, .unexpected(.initiatorIdentification, .ikeAuth), isResponse: false)
        }
    }

    /// The initiator has said what it had to: our next proof, or the answer without one.
    private consuming func respond(
        _ header: IKEHeader, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard context.ownRoundFollows else { return deliver(nil, as: nil, header, arrival, context, &turn) }
        stage = Held(wrappedValue: .proving(context.askForNextProof(keys, transcript, &turn), header, arrival))
        return .answeringRounds(self)
    }

    /// Answers; when no round follows, with all that was asked for.
    private consuming func deliver(
        _ proof: OwnProof?, as identity: Identity?, _ header: IKEHeader, _ arrival: Arrival,
        _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let local = identity ?? identities.local
        if context.goesOn { return wait(proof, as: local, [], header, arrival, context, &turn) }
        // What is lent and who is connected goes by the first identities.
        context.localIdentity = identities.local
        context.remoteIdentity = identities.remote
        return AnsweringResponder.conclude(
            keys, transcript, request, header, arrival, local: local, remote: identities.remote, proof, context, &turn)
    }

    /// A question was answered.
    consuming func answer(_ answer: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        switch stage.wrappedValue {
        case .waiting: return .answeringRounds(self)
        case .checking(let round, let header, let arrival):
            do throws(Refusal) {
                let method = context.connection.remoteRounds[context.rounds.peer].method
                let peer = Identity(round.identity)
                if let objection = context.objection(answer, local: identities.local, remote: peer, by: method, &turn) {
                    throw objection
                }
                try context.takeRoundAnnouncement(round.notifies)
            } catch {
                return context.refuseAuthentication(error, header, arrival, keys, &turn)
            }
            return respond(header, arrival, context, &turn)
        case .proving(let identity, let header, let arrival):
            do throws(Refusal) {
                let method = context.connection.localRounds[context.rounds.own].method
                let proof = try context.proof(answer, local: identity, remote: context.expectedPeer, by: method)
                context.localIdentity = identity
                return deliver(proof, as: identity, header, arrival, context, &turn)
            } catch {
                return context.refuseAuthentication(error, header, arrival, keys, &turn)
            }
        }
    }

    /// A question was not answered in time.
    consuming func overdue(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        let refusal = Refusal.noInternalAnswer(question: "another round of authentication")
        switch stage.wrappedValue {
        case .checking(_, let header, let arrival), .proving(_, let header, let arrival):
            return context.refuseAuthentication(refusal, header, arrival, keys, &turn)
        case .waiting: return .answeringRounds(self)
        }
    }
}
