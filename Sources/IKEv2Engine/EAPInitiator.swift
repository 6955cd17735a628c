import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes

/// The initiator of an IKE_AUTH exchange in which it proves itself by EAP (RFC 7296 §2.16).
///
/// It owns what it offered for the first Child SA and what the rounds have come to. Nothing is said to the responder but
/// our identity in IKE before the responder's own proof is found true, or where EAP is to prove it as well (RFC 5998)
/// before that method does. A responder that wants to be done before EAP is gets nowhere. It may be the first of several
/// authentications, or a later one (RFC 4739), in which the responder has proved itself already.
struct EAPInitiator: ~Copyable {
    private let keys: SessionKeys
    private let transcript: Transcript
    private let offered: Held<ChildOffer?>
    private let responder: Held<IdentificationPayload?>
    private let held: Held<Stage>

    private enum Stage {
        /// Our first request is out.
        case opening
        /// We asked whether the responder's proof is true; its first question waits.
        case verifying([UInt8])
        /// We asked what to say.
        case asking
        /// EAP succeeded, and we asked for a post-quantum preshared key to be mixed in (RFC 8784 §3).
        case mixing(EAPOutcome)
        /// Our answer is out.
        case listening
        /// Our AUTH is out; somebody may not want it any more.
        case concluding(EAPOutcome, farewell: Event.CloseReason?)
    }

    private init(
        _ keys: SessionKeys, _ transcript: Transcript, _ offered: Held<ChildOffer?>,
        _ responder: Held<IdentificationPayload?>, _ stage: Stage
    ) {
        self.keys = keys
        self.transcript = transcript
        self.offered = offered
        self.responder = responder
        held = Held(wrappedValue: stage)
    }

    private consuming func at(_ stage: Stage) -> Phase {
        .eapAsking(EAPInitiator(keys, transcript, offered, responder, stage))
    }

    /// Sends the first request: everything but a proof.
    static func start(
        _ keys: SessionKeys, _ transcript: Transcript, _ identity: Identity, _ context: SessionContext,
        _ turn: inout Turn
    ) -> Phase {
        guard context.rounds.isSpoken || !context.connection.hasSeveralRounds else {
            return refused(.notMet(demand: SessionContext.severalRounds), context, &turn)
        }
        let offer = AuthInitiator.firstOffer(context, &turn)
        var request = AuthInitiator.request(identity, nil, offer, context, turn)
        if context.connection.remote.method == .eap {
            request.notifies.append(NotifyPayload(.eapOnlyAuthentication))
        }
        let payloads = IKEAuth.Request.identified(request).payloads
        guard context.request(.ikeAuth, payloads, keys, &turn) != nil else {
            return .closed(.failed(.malformed(exchange: "IKE_AUTH", reason: "ours can't be written")))
        }
        return .eapAsking(
            EAPInitiator(keys, transcript, Held(wrappedValue: offer), Held(wrappedValue: nil), .opening))
    }

    /// A later round of ours (RFC 4739 §2.3): nothing but who we are is sent, for which the responder asks by EAP.
    static func again(
        _ keys: SessionKeys, _ transcript: Transcript, after responder: IdentificationPayload?,
        _ offer: ChildOffer?, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        context.rounds.own += 1
        let round = context.connection.localRounds[context.rounds.own]
        let identity = round.identity ?? context.connection.ownIdentity(at: context.path.local.address)
        context.localIdentity = identity
        let request = IKEAuth.Request.identified(
            IKEAuth.Request.Identified(identity: IdentificationPayload(identity)))
        guard context.request(.ikeAuth, request.payloads, keys, &turn) != nil else {
            return .closed(.failed(.malformed(exchange: "IKE_AUTH", reason: "ours can't be written")))
        }
        return .eapAsking(
            EAPInitiator(
                keys, transcript, Held(wrappedValue: offer), Held(wrappedValue: responder), .opening))
    }

    private static func refused(_ refusal: Refusal, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.refuse(refusal, &turn)
        return .closed(.failed(refusal))
    }

    // MARK: Messages

    /// A sealed message came.
    consuming func receive(
        _ message: SealedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard message.header.isResponse,
            context.requests.isAnswered(by: message.header.messageID, message.header.exchange)
        else {
            context.drop(.unexpected("\(message.header.exchange) before authentication"), arrival, &turn)
            return .eapAsking(self)
        }
        let keys = keys
        let response: IKEAuth.Response
        do throws(PeerFault) {
            let opened = try context.open(message, keys, arrival, &turn)
            context.requests.close()
            do throws(GrammarError) { response = try IKEAuth.Response(opened) } catch {
                throw PeerFault.malformed(.ikeAuth, error, isResponse: true)
            }
        } catch {
            if case .ignore(let reason) = error.dispositionBeforeAuthentication {
                context.drop(reason, arrival, &turn)
                return .eapAsking(self)
            }
            return Leaving.after(error, keys, context, &turn)
        }
        do throws(PeerFault) { return try take(response, context, &turn) } catch {
            return Leaving.after(error, keys, context, &turn)
        }
    }

    private consuming func take(
        _ response: IKEAuth.Response, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> Phase {
        switch (held.wrappedValue, response) {
        case (_, .notified(let notifies, _)):
            throw AuthInitiator.refused(notifies, offered.wrappedValue, context)
        case (.opening, .eap(let round)) where context.rounds.own > 0:
            // Who it is, it has said and proved; nothing was announced to follow.
            guard round.identity == nil, round.authentication == nil else {
                throw .malformed(.ikeAuth, .unexpected(.authentication, .ikeAuth), isResponse: true)
            }
            return ask(round.eap.message, context, &turn)
        case (.opening, .eap(let round)): return try open(round, context, &turn)
        case (.listening, .eap(let round)):
            context.eap.rounds += 1
            guard context.eap.rounds <= EAPProgress.mostRounds else {
                throw .unauthenticated(problem(.tooManyRounds(context.eap.rounds), context))
            }
            return ask(round.eap.message, context, &turn)
        case (.concluding(let outcome, let farewell), .authenticated(let answer)):
            if let farewell { return Leaving.start(farewell, keys, context, &turn) }
            return try conclude(outcome, answer, context, &turn)
        case (.opening, .authenticated), (.listening, .authenticated):
            throw .unauthenticated(problem(.malformed("the gateway ends IKE_AUTH before EAP is done"), context))
        default: throw .malformed(.ikeAuth, .missing(.authentication, .ikeAuth), isResponse: true)
        }
    }

    /// The responder's proof, and its first question.
    private consuming func open(
        _ round: IKEAuth.Response.EAPRound, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> Phase {
        guard let identity = round.identity else {
            throw .malformed(.ikeAuth, .missing(.responderIdentification, .ikeAuth), isResponse: true)
        }
        let peer = Identity(identity)
        let expected = context.connection.expectedIdentity(of: context.path.remote.address)
        guard expected.matches(peer) else {
            throw .unauthenticated(.identityMismatch(expected: [expected], received: peer))
        }
        context.remoteIdentity = peer
        guard !round.notifies.contains(.anotherAuthFollows) else {
            throw .unauthenticated(.notMet(demand: SessionContext.noFurtherRound))
        }
        let required = context.connection.remote
        let next = EAPInitiator(keys, transcript, offered, Held(wrappedValue: identity), .opening)
        // EAP is to prove the responder: what else it shows does not matter.
        if required.method == .eap { return next.ask(round.eap.message, context, &turn) }
        guard let authentication = round.authentication, required.method.covers(authentication.method) else {
            throw .unauthenticated(
                .wrongMethod(
                    expected: required.method, received: round.authentication?.method.rawValue ?? 0, remote: peer))
        }
        var proof = Query.Proof(
            connection: context.connection.name, method: required.method, signer: peer,
            other: context.localIdentity ?? Identity(context.path.local.address), prf: keys.suite.prf.transform,
            octets: transcript.responderProof(identity.body, keys))
        proof.evidence = context.evidence(required, authentication, round.certificates)
        context.ask(.verify(proof, received: authentication.data), &turn)
        return next.at(.verifying(round.eap.message))
    }

    private consuming func ask(
        _ message: [UInt8], _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        context.askEAP(
            message, isAuthenticator: false, local: context.localIdentity ?? Identity(context.path.local.address),
            remote: context.remoteIdentity ?? Identity(context.path.remote.address), &turn)
        return at(.asking)
    }

    /// The responder shows that it has the key as well.
    private consuming func conclude(
        _ outcome: EAPOutcome, _ answer: IKEAuth.Response.Authenticated, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> Phase {
        guard let responder = responder.wrappedValue else {
            throw .malformed(.ikeAuth, .missing(.responderIdentification, .ikeAuth), isResponse: true)
        }
        // What became of the post-quantum key, the answer to our first proof says.
        if context.rounds.own == 0 { try context.settlePPK(answer.notifies, keys) }
        let octets = transcript.responderProof(responder.body, keys)
        guard answer.authentication.proves(keys.responderProof(after: outcome, octets)) else {
            throw .unauthenticated(
                problem(.malformed("the gateway's AUTH is not made with the key that EAP left"), context))
        }
        do throws(Refusal) { try context.takeRoundAnnouncement(answer.notifies) } catch {
            throw .unauthenticated(error)
        }
        guard context.goesOn else {
            context.returnToFirstIdentities()
            return VerifyingInitiator.conclude(keys, transcript, answer, offered.wrappedValue, context, &turn)
        }
        var proved = answer
        proved.identity = responder
        return RoundInitiator.start(keys, transcript, proved, offered.wrappedValue, context, &turn)
    }

    // MARK: Answers to questions

    /// A question was answered.
    consuming func answer(_ answer: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        switch held.wrappedValue {
        case .verifying(let message):
            context.settleQuestion(&turn)
            let local = context.localIdentity ?? Identity(context.path.local.address)
            let remote = context.remoteIdentity ?? Identity(context.path.remote.address)
            if let objection = context.objection(answer, local: local, remote: remote, &turn) {
                return Leaving.after(.unauthenticated(objection), keys, context, &turn)
            }
            return ask(message, context, &turn)
        case .asking:
            context.settleQuestion(&turn)
            return go(on: answer, context, &turn)
        case .mixing(let outcome):
            context.settleQuestion(&turn)
            return mix(answer, outcome, context, &turn)
        case .opening, .listening, .concluding: return .eapAsking(self)
        }
    }

    private consuming func go(on answer: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        switch answer {
        case .eap(.send(let message)):
            return send(.eap(EAPPayload(message), notifies: []), .listening, context, &turn)
        case .eap(.success(_, let outcome)):
            context.closeEAP(&turn)
            guard context.connection.remote.method != .eap || (outcome.provesServer && outcome.key != nil) else {
                let refusal = Refusal.notMet(demand: "an EAP method that proves both ends and makes a key (RFC 5998)")
                return Leaving.after(.unauthenticated(refusal), keys, context, &turn)
            }
            if let certificate = outcome.certificate {
                context.remoteCertificate = certificate
                context.publish(.peerCertified(certificate), &turn)
            }
            // The name of a post-quantum key goes with the first proof of ours, which is this one (RFC 8784 §3).
            if context.rounds.own == 0, context.peerKnowsPPKs, let name = context.connection.ppkIdentity {
                context.askToMix(name.data, keys, &turn)
                return at(.mixing(outcome))
            }
            return prove(outcome, [], context, &turn)
        case .eap(.failure(_, let problem)):
            context.closeEAP(&turn)
            let refusal = self.problem(problem, context)
            // Who has refused us needs no telling.
            if case .refused = problem { return Leaving.after(.refused(refusal), keys, context, &turn) }
            return Leaving.after(.unauthenticated(refusal), keys, context, &turn)
        default:
            let refusal = self.problem(.unavailable("nobody here speaks EAP"), context)
            return Leaving.after(.unauthenticated(refusal), keys, context, &turn)
        }
    }

    private consuming func send(
        _ request: IKEAuth.Request, _ next: Stage, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard context.request(.ikeAuth, request.payloads, keys, &turn) != nil else {
            return .closed(.failed(.malformed(exchange: "IKE_AUTH", reason: "ours can't be written")))
        }
        return at(next)
    }

    /// Shows that we have EAP's key, with these notifications and what is to follow.
    private consuming func prove(
        _ outcome: EAPOutcome, _ notifies: [NotifyPayload], _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let proof = proof(outcome, context)
        return send(
            .proof(proof, notifies: notifies + context.roundAnnouncement), .concluding(outcome, farewell: nil), context,
            &turn)
    }

    private borrowing func proof(_ outcome: EAPOutcome, _ context: SessionContext) -> AuthenticationPayload {
        let identity = context.localIdentity ?? Identity(context.path.local.address)
        return keys.initiatorProof(
            after: outcome, transcript.initiatorProof(IdentificationPayload(identity).body, keys))
    }

    /// The keys with the post-quantum preshared key in them are there, or we do not have that key.
    private consuming func mix(
        _ answer: Answer, _ outcome: EAPOutcome, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard case .mixed(let list) = answer, let mixed = SessionKeys.Roots(list) else {
            guard !context.connection.ppkRequired else {
                return Leaving.after(.unauthenticated(.notMet(demand: SessionContext.ppkDemand)), keys, context, &turn)
            }
            return prove(outcome, [], context, &turn)
        }
        // Should the responder not know the key, it takes this proof.
        if !context.connection.ppkRequired { context.proofWithoutPPK = proof(outcome, context).data }
        keys.mix(mixed)
        context.ppkInUse = context.connection.ppkIdentity?.data
        return prove(outcome, context.ppkNotifies, context, &turn)
    }

    private borrowing func problem(_ problem: EAPProblem, _ context: SessionContext) -> Refusal {
        .eapFailed(
            identity: context.localIdentity ?? Identity(context.path.local.address), isPeer: false, problem)
    }

    // MARK: The end

    /// A question has taken too long.
    consuming func overdue(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        return Leaving.after(
            .unauthenticated(.noInternalAnswer(question: "EAP")), keys, context, &turn)
    }

    /// Nobody here wants it any more. Once our AUTH is out the responder may believe that it is up: its answer is waited
    /// for a little, and the end follows.
    consuming func leave(_ reason: Event.CloseReason, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        guard case .concluding(let outcome, let farewell) = held.wrappedValue else { return .closed(reason) }
        context.requests.curtail(now: turn.now)
        return at(.concluding(outcome, farewell: farewell ?? reason))
    }

    /// All tries of a request went unanswered.
    consuming func gaveUp(_ refusal: Refusal, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        if case .concluding(_, let farewell?) = held.wrappedValue { return .closed(farewell) }
        context.refuse(refusal, &turn)
        return .closed(.failed(refusal))
    }
}
