import Clockwork
import GatewayModel
import IKECore
import IKEMessages

/// The responder of an IKE_AUTH exchange in which the initiator proves itself by EAP (RFC 7296 §2.16).
///
/// It owns the initiator's first request, to be answered at the very end, and what the rounds have come to. It only
/// carries EAP: what a message means, the answers to its questions say. Until an AUTH payload made with EAP's key has
/// come nothing is established, whatever EAP said. It may be the first of several authentications of the initiator's, or
/// a later one (RFC 4739): then who it says it is, is another name than the first request's.
struct EAPResponder: ~Copyable {
    private let keys: SessionKeys
    private let transcript: Transcript
    @Held private var request: IKEAuth.Request.Identified
    /// The initiator's latest IDi, which its proof is about.
    @Held private var claim: IdentificationPayload
    @Held private var identities: (local: Identity, remote: Identity)
    private let held: Held<Stage>

    private enum Stage {
        /// We asked for our own proof.
        case proving(IKEHeader, Arrival)
        /// We asked for the first message; it goes out with our proof, if EAP is not to prove us as well.
        case opening(IKEHeader, Arrival, OwnProof?)
        /// The initiator has to answer.
        case listening
        /// We asked what comes next.
        case asking(IKEHeader, Arrival)
        /// EAP succeeded, and the initiator has to prove that it has the key.
        case concluding(EAPOutcome)
        /// Its proof names a post-quantum preshared key, which we asked to be mixed in (RFC 8784 §3).
        case mixing(EAPOutcome, IKEAuth.Request, IKEHeader, Arrival)
    }

    private init(
        _ keys: SessionKeys, _ transcript: Transcript, _ request: IKEAuth.Request.Identified,
        _ claim: IdentificationPayload, _ identities: (local: Identity, remote: Identity), _ stage: Stage
    ) {
        self.keys = keys
        self.transcript = transcript
        _request = Held(wrappedValue: request)
        _claim = Held(wrappedValue: claim)
        _identities = Held(wrappedValue: identities)
        held = Held(wrappedValue: stage)
    }

    private consuming func at(_ stage: Stage) -> Phase {
        .eapAnswering(EAPResponder(keys, transcript, request, claim, identities, stage))
    }

    /// Asks for our own proof, or where EAP is to prove both ends (RFC 5998) for the first message at once.
    static func start(
        _ keys: SessionKeys, _ transcript: Transcript, _ request: IKEAuth.Request.Identified, _ header: IKEHeader,
        _ arrival: Arrival, local: Identity, remote: Identity, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let state = EAPResponder(
            keys, transcript, request, request.identity, (local, remote), .proving(header, arrival))
        if context.connection.local.method == .eap {
            guard request.notifies.contains(.eapOnlyAuthentication) else {
                let refusal = Refusal.notMet(demand: "a peer that lets EAP prove both ends (RFC 5998)")
                return context.refuseAuthentication(refusal, header, arrival, keys, &turn)
            }
            return state.open(nil, header, arrival, context, &turn)
        }
        AnsweringResponder.ask(keys, transcript, local: local, remote: remote, context, &turn)
        return .eapAnswering(state)
    }

    /// A later round of the initiator's, which has said who it is and nothing else.
    static func again(
        _ keys: SessionKeys, _ transcript: Transcript, _ request: IKEAuth.Request.Identified,
        _ claim: IdentificationPayload, _ header: IKEHeader, _ arrival: Arrival,
        _ identities: (local: Identity, remote: Identity), _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        context.rounds.first = context.rounds.first ?? Held(wrappedValue: (identities.local, identities.remote))
        context.remoteIdentity = Identity(claim)
        context.eap.hasSaidIdentity = true
        return EAPResponder(
            keys, transcript, request, claim, (identities.local, Identity(claim)), .proving(header, arrival)
        ).open(nil, header, arrival, context, &turn)
    }

    private consuming func open(
        _ proof: OwnProof?, _ header: IKEHeader, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        context.askEAP(nil, isAuthenticator: true, local: identities.local, remote: identities.remote, &turn)
        return at(.opening(header, arrival, proof))
    }

    // MARK: Answers to questions

    /// A question was answered.
    consuming func answer(_ answer: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        switch held.wrappedValue {
        case .proving(let header, let arrival):
            context.settleQuestion(&turn)
            do throws(Refusal) {
                let proof = try context.proof(answer, local: identities.local, remote: identities.remote)
                return open(proof, header, arrival, context, &turn)
            } catch {
                return context.refuseAuthentication(error, header, arrival, keys, &turn)
            }
        case .opening(let header, let arrival, let proof):
            context.settleQuestion(&turn)
            // In a later round we have said who we are long since.
            let identity = context.eap.hasSaidIdentity ? nil : IdentificationPayload(identities.local)
            context.eap.hasSaidIdentity = true
            let opening = IKEAuth.Response.EAPRound(
                identity: identity, certificates: proof?.certificates ?? [],
                authentication: proof?.authentication, eap: EAPPayload([]))
            return go(on: answer, opening, header, arrival, context, &turn)
        case .asking(let header, let arrival):
            context.settleQuestion(&turn)
            return go(on: answer, .init(eap: EAPPayload([])), header, arrival, context, &turn)
        case .mixing(let outcome, let received, let header, let arrival):
            context.settleQuestion(&turn)
            return mix(answer, outcome, received, header, arrival, context, &turn)
        case .listening, .concluding: return .eapAnswering(self)
        }
    }

    /// A question has taken too long.
    consuming func overdue(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        switch held.wrappedValue {
        case .proving(let header, let arrival), .opening(let header, let arrival, _), .asking(let header, let arrival),
            .mixing(_, _, let header, let arrival):
            context.settleQuestion(&turn)
            return context.refuseAuthentication(
                .noInternalAnswer(question: "EAP"), header, arrival, keys, &turn)
        case .listening, .concluding: return .eapAnswering(self)
        }
    }

    /// Sends what the conversation has come to, in the frame of `round`.
    private consuming func go(
        on answer: Answer, _ round: IKEAuth.Response.EAPRound, _ header: IKEHeader, _ arrival: Arrival,
        _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        var round = round
        let next: Stage
        switch answer {
        case .eap(.send(let message)):
            round.eap = EAPPayload(message)
            next = .listening
        case .eap(.success(let message, let outcome)):
            // Nothing but EAP proves us, then: it has to (RFC 5998 §4).
            guard context.connection.local.method != .eap || (outcome.provesServer && outcome.key != nil) else {
                let refusal = Refusal.notMet(demand: "an EAP method that proves both ends and makes a key (RFC 5998)")
                return context.refuseAuthentication(refusal, header, arrival, keys, &turn)
            }
            do throws(Refusal) {
                try context.heedGroups(outcome, identities.local, identities.remote, turn)
            } catch {
                return context.refuseAuthentication(error, header, arrival, keys, &turn)
            }
            round.eap = EAPPayload(message)
            next = .concluding(outcome)
        case .eap(.failure(let message, let problem)):
            let refusal = Refusal.eapFailed(identity: identities.remote, isPeer: true, problem)
            context.closeEAP(&turn)
            guard !message.isEmpty else {
                return context.refuseAuthentication(refusal, header, arrival, keys, &turn)
            }
            context.refuse(refusal, &turn)
            round.eap = EAPPayload(message)
            context.respond(to: header, arrival, IKEAuth.Response.eap(round).payloads, keys, &turn)
            return .closed(.failed(refusal))
        default:
            let refusal = Refusal.eapFailed(
                identity: identities.remote, isPeer: true, .unavailable("nobody here speaks EAP"))
            return context.refuseAuthentication(refusal, header, arrival, keys, &turn)
        }
        guard context.respond(to: header, arrival, IKEAuth.Response.eap(round).payloads, keys, &turn) else {
            return .closed(.failed(.malformed(exchange: "IKE_AUTH", reason: "ours can't be written")))
        }
        context.awaitEAP(&turn)
        return at(next)
    }

    // MARK: Messages

    /// A sealed message came.
    consuming func receive(
        _ message: SealedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let keys = keys
        let opened: OpenedMessage
        do throws(PeerFault) {
            opened = try context.open(message, keys, arrival, &turn)
            guard !opened.header.isResponse else { throw .unexpected("a response to nothing") }
            switch context.responses.judge(opened.header.messageID) {
            case .replay(let datagrams):
                context.repeatResponse(datagrams, opened.header.messageID, arrival, &turn)
                return .eapAnswering(self)
            case .suspended, .stale, .future: throw .outsideWindow(opened.header.messageID)
            case .fresh: break
            }
            guard opened.header.exchange == .ikeAuth || opened.header.exchange == .informational else {
                throw .unexpected("\(opened.header.exchange) before authentication")
            }
        } catch {
            guard case .ignore(let reason) = error.dispositionBeforeAuthentication else {
                context.adopt(arrival, &turn)
                context.responses.accept()
                return Self.end(error, message.header, arrival, keys, context, &turn)
            }
            context.drop(reason, arrival, &turn)
            return .eapAnswering(self)
        }
        context.adopt(arrival, &turn)
        context.responses.accept()
        context.timers.remove(.halfOpen)
        guard opened.header.exchange == .ikeAuth else { return givenUp(opened, arrival, context, &turn) }
        do throws(PeerFault) { return try take(opened, arrival, context, &turn) } catch {
            return Self.end(error, opened.header, arrival, keys, context, &turn)
        }
    }

    /// What the initiator has done ends it; it hears what kind of fault it was, and no more.
    private static func end(
        _ fault: PeerFault, _ header: IKEHeader, _ arrival: Arrival, _ keys: SessionKeys, _ context: SessionContext,
        _ turn: inout Turn
    ) -> Phase {
        guard case .closeSession(let notify, let refusal) = fault.dispositionBeforeAuthentication else {
            return .closed(.failed(.malformed(exchange: "IKE_AUTH", reason: "not understood")))
        }
        context.refuse(refusal, &turn)
        context.respond(to: header, arrival, notify.map { [.notify($0)] } ?? [], keys, &turn)
        return .closed(.failed(refusal))
    }

    /// The initiator has had enough of it.
    private consuming func givenUp(
        _ message: OpenedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let notify = (try? Informational(message))?.notifies.firstError
        let refusal = Refusal.byPeer(
            notify: notify?.type.rawValue ?? 24, name: notify?.type.description ?? "AUTHENTICATION_FAILED",
            exchange: "IKE_AUTH", offer: context.offer([]))
        context.respond(to: message.header, arrival, [], keys, &turn)
        context.refuse(refusal, &turn)
        return .closed(.failed(refusal))
    }

    private consuming func take(
        _ message: OpenedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> Phase {
        let received: IKEAuth.Request
        do throws(GrammarError) { received = try IKEAuth.Request(message) } catch {
            throw .malformed(.ikeAuth, error, isResponse: false)
        }
        switch (held.wrappedValue, received) {
        case (.listening, .eap(let payload, _)):
            context.eap.rounds += 1
            guard context.eap.rounds <= EAPProgress.mostRounds else {
                throw .unauthenticated(
                    .eapFailed(identity: identities.remote, isPeer: true, .tooManyRounds(context.eap.rounds)))
            }
            context.askEAP(
                payload.message, isAuthenticator: true, local: identities.local, remote: identities.remote, &turn)
            return at(.asking(message.header, arrival))
        case (.concluding(let outcome), .proof(let proof, let notifies)):
            if context.rounds.peer == 0, let name = context.namedPPK(notifies) {
                context.ppkInUse = name
                context.askToMix(name, keys, &turn)
                return at(.mixing(outcome, received, message.header, arrival))
            }
            if context.connection.ppkRequired, context.ppkInUse == nil {
                throw .unauthenticated(.notMet(demand: SessionContext.ppkDemand))
            }
            return try conclude(outcome, proof, notifies, message.header, arrival, context, &turn)
        case (.concluding, _): throw .malformed(.ikeAuth, .missing(.authentication, .ikeAuth), isResponse: false)
        default: throw .malformed(.ikeAuth, .missing(.eap, .ikeAuth), isResponse: false)
        }
    }

    /// The keys with the post-quantum preshared key in them are there, or we do not have that key.
    private consuming func mix(
        _ answer: Answer, _ outcome: EAPOutcome, _ received: IKEAuth.Request, _ header: IKEHeader,
        _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let keys = keys
        do throws(PeerFault) {
            guard case .proof(var proof, let notifies) = received else {
                throw .malformed(.ikeAuth, .missing(.authentication, .ikeAuth), isResponse: false)
            }
            if case .mixed(let list) = answer, let mixed = SessionKeys.Roots(list) {
                keys.mix(mixed)
            } else {
                context.ppkInUse = nil
                guard !context.connection.ppkRequired, let other = notifies.first(.noPPKAuth) else {
                    throw .unauthenticated(
                        .notMet(
                            demand: context.connection.ppkRequired
                                ? SessionContext.ppkDemand : "the post-quantum preshared key that the peer names"))
                }
                proof = AuthenticationPayload(proof.method, other.data)
            }
            return try conclude(outcome, proof, notifies, header, arrival, context, &turn)
        } catch {
            return Self.end(error, header, arrival, keys, context, &turn)
        }
    }

    /// The initiator shows that it has the key: from here on all is as without EAP.
    private consuming func conclude(
        _ outcome: EAPOutcome, _ proof: AuthenticationPayload, _ notifies: [NotifyPayload], _ header: IKEHeader,
        _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> Phase {
        let octets = transcript.initiatorProof(claim.body, keys)
        guard proof.proves(keys.initiatorProof(after: outcome, octets)) else {
            throw .unauthenticated(
                .eapFailed(
                    identity: identities.remote, isPeer: true,
                    .malformed("its AUTH is not made with the key that EAP left")))
        }
        do throws(Refusal) { try context.takeRoundAnnouncement(notifies) } catch {
            throw .unauthenticated(error)
        }
        context.closeEAP(&turn)
        context.eap = context.eap.heeding(outcome)
        if let certificate = outcome.certificate {
            context.remoteCertificate = certificate
            context.publish(.peerCertified(certificate), &turn)
        }
        let ours = keys.responderProof(
            after: outcome, transcript.responderProof(IdentificationPayload(identities.local).body, keys))
        context.saidInitialContact = request.notifies.contains(.initialContact)
        let local = identities.local
        let remote = context.rounds.first?.wrappedValue.remote ?? identities.remote
        if context.goesOn {
            return RoundResponder.goOn(
                keys, transcript, request, header, arrival, (local, remote),
                OwnProof(authentication: ours, certificates: []), context, &turn)
        }
        context.returnToFirstIdentities()
        let older = turn.tables.established(local: local, remote: outcome.identity ?? remote)
        if context.connection.uniqueness == .keep, !context.saidInitialContact, !older.isEmpty {
            throw .unauthenticated(.alreadyConnected(local: local, remote: outcome.identity ?? remote))
        }
        return AnsweringResponder.conclude(
            keys, transcript, request, header, arrival, local: local, remote: remote,
            OwnProof(authentication: ours, certificates: []), context, &turn)
    }
}
