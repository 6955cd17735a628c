import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes

/// The initiator of IKE_AUTH after the first round of authentication, where an end proves more (RFC 4739).
///
/// It owns the offer for the first Child SA and the last answer that proved something. Nothing is established before the
/// last round of both ends.
struct RoundInitiator: ~Copyable {
    /// What is waited for.
    private enum Stage {
        /// Our proof, as this identity.
        case proving(Identity)
        /// The responder's answer.
        case waiting
        /// The verdict about the responder's proof.
        case verifying
    }

    private let keys: SessionKeys
    private let transcript: Transcript
    private var answered: Held<IKEAuth.Response.Authenticated>
    private let offered: Held<ChildOffer?>
    private var offer: ChildOffer? { offered.wrappedValue }
    private var stage: Held<Stage>
    /// Why nobody here wants it any more.
    private var leaving: Held<Event.CloseReason>?

    /// Goes on after an answer whose proof is true.
    static func start(
        _ keys: SessionKeys, _ transcript: Transcript, _ answer: IKEAuth.Response.Authenticated, _ offer: ChildOffer?,
        _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        context.keepFirstIdentities()
        let state = RoundInitiator(
            keys: keys, transcript: transcript, answer: answer, offered: Held(wrappedValue: offer))
        return state.next(context, &turn)
    }

    private init(
        keys: SessionKeys, transcript: Transcript, answer: IKEAuth.Response.Authenticated,
        offered: Held<ChildOffer?>
    ) {
        self.keys = keys
        self.transcript = transcript
        answered = Held(wrappedValue: answer)
        self.offered = offered
        stage = Held(wrappedValue: .waiting)
        leaving = nil
    }

    /// The next request: our next proof, or nothing but the word that the responder may go on.
    private consuming func next(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        guard context.ownRoundFollows else { return send(.empty(notifies: []), context, &turn) }
        if context.connection.localRounds[context.rounds.own + 1].method == .eap {
            return EAPInitiator.again(
                keys, transcript, after: answered.wrappedValue.identity, offer, context, &turn)
        }
        stage = Held(wrappedValue: .proving(context.askForNextProof(keys, transcript, &turn)))
        return .inRounds(self)
    }

    private consuming func send(
        _ request: IKEAuth.Request, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard context.request(.ikeAuth, request.payloads, keys, &turn) != nil else {
            return .closed(.failed(.malformed(exchange: "IKE_AUTH", reason: "ours can't be written")))
        }
        stage = Held(wrappedValue: .waiting)
        return .inRounds(self)
    }

    /// A question was answered.
    consuming func answer(_ answer: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        let peer = context.expectedPeer
        switch stage.wrappedValue {
        case .waiting: return .inRounds(self)
        case .proving(let identity):
            do throws(Refusal) {
                let method = context.connection.localRounds[context.rounds.own].method
                let proof = try context.proof(answer, local: identity, remote: peer, by: method)
                context.localIdentity = identity
                return send(
                    .identified(
                        IKEAuth.Request.Identified(
                            identity: IdentificationPayload(identity), certificates: proof.certificates,
                            authentication: proof.authentication, notifies: context.roundAnnouncement)),
                    context, &turn)
            } catch {
                context.refuse(error, &turn)
                return .closed(.failed(error))
            }
        case .verifying:
            let local = context.localIdentity ?? Identity(context.path.local.address)
            let method = context.connection.remoteRounds[context.rounds.peer].method
            if let objection = context.objection(answer, local: local, remote: peer, by: method, &turn) {
                return Leaving.after(.unauthenticated(objection), keys, context, &turn)
            }
            do throws(Refusal) {
                try context.takeRoundAnnouncement(answered.wrappedValue.notifies)
            } catch {
                return Leaving.after(.unauthenticated(error), keys, context, &turn)
            }
            return context.goesOn ? next(context, &turn) : conclude(answered.wrappedValue, context, &turn)
        }
    }

    /// A question was not answered in time.
    consuming func overdue(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        return Leaving.after(
            .unauthenticated(.noInternalAnswer(question: "another round of authentication")), keys, context, &turn)
    }

    /// A sealed message came.
    consuming func receive(
        _ message: SealedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard message.header.isResponse,
            context.requests.isAnswered(by: message.header.messageID, message.header.exchange)
        else {
            context.drop(.unexpected("\(message.header.exchange) before authentication"), arrival, &turn)
            return .inRounds(self)
        }
        let news: News
        do throws(PeerFault) {
            let opened = try context.open(message, keys, arrival, &turn)
            context.requests.close()
            if let leaving { return Leaving.start(leaving.wrappedValue, keys, context, &turn) }
            let response: IKEAuth.Response
            do throws(GrammarError) {
                response = try IKEAuth.Response(opened)
            } catch {
                throw PeerFault.malformed(.ikeAuth, error, isResponse: true)
            }
            news = try read(response, context, &turn)
        } catch {
            if case .ignore(let reason) = error.dispositionBeforeAuthentication {
                context.drop(reason, arrival, &turn)
                return .inRounds(self)
            }
            return Leaving.after(error, keys, context, &turn)
        }
        switch news {
        case .proof(let next):
            answered = Held(wrappedValue: next)
            stage = Held(wrappedValue: .verifying)
            return .inRounds(self)
        case .last(let last):
            return context.ownRoundFollows ? next(context, &turn) : conclude(last, context, &turn)
        }
    }

    /// What an answer brings.
    private enum News {
        /// Another proof; the verdict about it is asked for.
        case proof(IKEAuth.Response.Authenticated)
        /// No proof: what both have agreed on, when it is the last.
        case last(IKEAuth.Response.Authenticated)
    }

    private borrowing func read(
        _ response: IKEAuth.Response, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> News {
        var last = answered.wrappedValue
        switch response {
        case .authenticated(let next):
            // Nobody asked for a proof that was not announced.
            guard context.rounds.peerGoesOn, let identity = next.identity else {
                throw .malformed(.ikeAuth, .unexpected(.authentication, .ikeAuth), isResponse: true)
            }
            do throws(Refusal) {
                try context.askAboutNextProof(
                    identity, next.authentication, next.certificates, keys, transcript, &turn)
            } catch {
                throw .unauthenticated(error)
            }
            context.remoteIdentity = Identity(identity)
            return .proof(next)
        case .eap: throw .malformed(.ikeAuth, .unexpected(.eap, .ikeAuth), isResponse: true)
        case .notified(let notifies, _):
            // While it is ours to go on, there is nothing to say; at the end, no error but the child's.
            if let error = notifies.firstError, context.goesOn || error.type == .authenticationFailed {
                throw .refused(
                    .byPeer(
                        notify: error.type.rawValue, name: error.type.description, exchange: "IKE_AUTH",
                        offer: context.offer(offer?.proposals ?? [])))
            }
            last.notifies = notifies
            last.child = nil
            last.configuration = nil
        case .child(let child, let configuration, let notifies):
            last.child = child
            last.configuration = configuration
            last.notifies = notifies
        }
        guard !context.rounds.peerGoesOn else {
            throw .malformed(.ikeAuth, .missing(.authentication, .ikeAuth), isResponse: true)
        }
        return .last(last)
    }

    /// All rounds are done.
    private consuming func conclude(
        _ last: IKEAuth.Response.Authenticated, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        context.returnToFirstIdentities()
        return VerifyingInitiator.conclude(keys, transcript, last, offer, context, &turn)
    }

    /// Nobody here wants it any more; the responder may believe that it is up.
    consuming func leave(_ reason: Event.CloseReason, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        switch stage.wrappedValue {
        case .proving:
            context.settleQuestion(&turn)
            return .closed(reason)
        case .verifying:
            context.settleQuestion(&turn)
            return Leaving.start(reason, keys, context, &turn)
        case .waiting:
            context.requests.curtail(now: turn.now)
            leaving = leaving ?? Held(wrappedValue: reason)
            return .inRounds(self)
        }
    }

    /// All tries of a request went unanswered.
    consuming func gaveUp(_ refusal: Refusal, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        if let leaving { return .closed(leaving.wrappedValue) }
        context.refuse(refusal, &turn)
        return .closed(.failed(refusal))
    }
}
