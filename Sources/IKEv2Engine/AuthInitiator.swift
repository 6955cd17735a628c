import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes

/// The initiator between IKE_SA_INIT and IKE_AUTH: it has asked for its proof.
struct ProvingInitiator: ~Copyable {
    private let keys: SessionKeys
    private let transcript: Transcript

    /// Asks.
    static func start(
        _ keys: SessionKeys, _ transcript: Transcript, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let identity = context.connection.ownIdentity(at: context.path.local.address)
        if context.connection.local.method == .eap {
            context.localIdentity = identity
            return EAPInitiator.start(keys, transcript, identity, context, &turn)
        }
        var proof = Query.Proof(
            connection: context.connection.name, method: context.connection.local.method, signer: identity,
            other: context.expectedPeer, prf: keys.suite.prf.transform,
            octets: transcript.initiatorProof(IdentificationPayload(identity).body, keys))
        context.localIdentity = identity
        proof.wish = context.wish(context.connection.local)
        context.ask(.prove(proof), &turn)
        return .proving(ProvingInitiator(keys: keys, transcript: transcript))
    }

    /// The proof is there, or there is none.
    consuming func answer(_ answer: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        let identity = context.localIdentity ?? Identity(context.path.local.address)
        do throws(Refusal) {
            let proof = try context.proof(answer, local: identity, remote: context.expectedPeer)
            return AuthInitiator.start(keys, transcript, identity, proof, context, &turn)
        } catch {
            context.refuse(error, &turn)
            return .closed(.failed(error))
        }
    }
}

/// The initiator of IKE_AUTH, waiting for the answer (RFC 7296 §1.2).
///
/// It owns what it offered for the first Child SA.
struct AuthInitiator: ~Copyable {
    private let keys: SessionKeys
    private let transcript: Transcript
    private let offered: Held<ChildOffer?>
    private var offer: ChildOffer? { offered.wrappedValue }
    /// Why nobody here wants it any more.
    private var leaving: Held<Event.CloseReason>?
    private var farewell: Event.CloseReason? { leaving?.wrappedValue }

    /// Sends the request.
    static func start(
        _ keys: SessionKeys, _ transcript: Transcript, _ identity: Identity,
        _ proof: OwnProof, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard context.rounds.isSpoken || !context.connection.hasSeveralRounds else {
            let refusal = Refusal.notMet(demand: SessionContext.severalRounds)
            context.refuse(refusal, &turn)
            return .closed(.failed(refusal))
        }
        let offer = firstOffer(context, &turn)
        let request = IKEAuth.Request.identified(request(identity, proof, offer, context, turn))
        let state = AuthInitiator(keys: keys, transcript: transcript, offered: Held(wrappedValue: offer))
        guard context.request(.ikeAuth, request.payloads, keys, &turn) != nil else {
            return .closed(.failed(.malformed(exchange: "IKE_AUTH", reason: "ours can't be written")))
        }
        return .authenticating(state)
    }

    /// The first Child SA's offer; nil where IKE_AUTH makes none.
    static func firstOffer(_ context: SessionContext, _ turn: inout Turn) -> ChildOffer? {
        let template =
            context.beginsChildless
            ? nil : context.wanted.lazy.compactMap { context.connection.child(named: $0) }.first
        return template.flatMap { ChildOffer($0, withKeyExchange: false, context, &turn) }
    }

    /// The first request; without a proof it asks for EAP.
    static func request(
        _ identity: Identity, _ proof: OwnProof?, _ offer: ChildOffer?, _ context: SessionContext, _ turn: Turn
    ) -> IKEAuth.Request.Identified {
        var notifies = (offer?.notifies ?? []) + context.ppkNotifies + context.mobilityNotifies(turn)
        if context.connection.hasSeveralRounds {
            // What follows is announced with a proof.
            notifies += [NotifyPayload(.multipleAuthSupported)] + (proof == nil ? [] : context.roundAnnouncement)
        }
        notifies += AnnouncedMethods.notifies([context.configured])
        var asked: IdentificationPayload?
        if case .exactly(let peer) = context.connection.expectedIdentity(of: context.path.remote.address) {
            asked = IdentificationPayload(peer)
            if context.connection.uniqueness != .never,
                turn.tables.established(local: identity, remote: peer).isEmpty
            {
                notifies.append(NotifyPayload(.initialContact))
            }
        }
        return IKEAuth.Request.Identified(
            identity: IdentificationPayload(identity), certificates: proof?.certificates ?? [],
            certificateRequests: SignatureAgreement.requests([context.configured]), responderIdentity: asked,
            authentication: proof?.authentication, configuration: context.configurationRequest,
            child: offer?.negotiation, notifies: notifies)
    }

    /// A sealed message came.
    consuming func receive(
        _ message: SealedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard message.header.isResponse,
            context.requests.isAnswered(by: message.header.messageID, message.header.exchange)
        else {
            context.drop(.unexpected("\(message.header.exchange) before authentication"), arrival, &turn)
            return .authenticating(self)
        }
        do throws(PeerFault) {
            let opened = try context.open(message, keys, arrival, &turn)
            context.requests.close()
            if let farewell { return Self.leave(farewell, opened, keys, context, &turn) }
            let response: IKEAuth.Response
            do throws(GrammarError) {
                response = try IKEAuth.Response(opened)
            } catch {
                throw PeerFault.malformed(.ikeAuth, error, isResponse: true)
            }
            let parts = try Self.accept(response, offer, context)
            try context.settlePPK(parts.answer.notifies, keys)
            return VerifyingInitiator.start(keys, transcript, parts.identity, parts.answer, offer, context, &turn)
        } catch {
            if case .ignore(let reason) = error.dispositionBeforeAuthentication {
                context.drop(reason, arrival, &turn)
                return .authenticating(self)
            }
            return Leaving.after(error, keys, context, &turn)
        }
    }

    /// Nobody here wants it any more. The responder may believe that it is up, and takes nothing before this request: so
    /// its answer is waited for a little, and the end follows.
    consuming func leave(_ reason: Event.CloseReason, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.requests.curtail(now: turn.now)
        leaving = leaving ?? Held(wrappedValue: reason)
        return .authenticating(self)
    }

    private static func leave(
        _ reason: Event.CloseReason, _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext,
        _ turn: inout Turn
    ) -> Phase {
        guard case .authenticated = try? IKEAuth.Response(response) else { return .closed(reason) }
        return Leaving.start(reason, keys, context, &turn)
    }

    /// All tries of the request went unanswered.
    consuming func gaveUp(_ refusal: Refusal, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        if let farewell { return .closed(farewell) }
        context.refuse(refusal, &turn)
        return .closed(.failed(refusal))
    }

    /// The responder says no.
    static func refused(
        _ notifies: [NotifyPayload], _ offer: ChildOffer?, _ context: SessionContext
    ) -> PeerFault {
        guard let error = notifies.firstError else {
            return .malformed(.ikeAuth, .missing(.authentication, .ikeAuth), isResponse: true)
        }
        return .refused(
            .byPeer(
                notify: error.type.rawValue, name: error.type.description, exchange: "IKE_AUTH",
                offer: context.offer(
                    offer?.proposals ?? [], localSelectors: offer?.localSelectors ?? [],
                    remoteSelectors: offer?.remoteSelectors ?? [])))
    }

    /// The responder's identity and its answer; throws when it refuses, or is not the one that we expect.
    private static func accept(
        _ response: IKEAuth.Response, _ offer: ChildOffer?, _ context: SessionContext
    ) throws(PeerFault) -> (identity: IdentificationPayload, answer: IKEAuth.Response.Authenticated) {
        switch response {
        case .notified(let notifies, _): throw refused(notifies, offer, context)
        case .eap, .child:
            throw .malformed(.ikeAuth, .missing(.authentication, .ikeAuth), isResponse: true)
        case .authenticated(let answer):
            guard let identity = answer.identity else {
                throw .malformed(.ikeAuth, .missing(.responderIdentification, .ikeAuth), isResponse: true)
            }
            let expected = context.connection.expectedIdentity(of: context.path.remote.address)
            guard expected.matches(Identity(identity)) else {
                throw .unauthenticated(.identityMismatch(expected: [expected], received: Identity(identity)))
            }
            guard context.connection.remote.method.covers(answer.authentication.method) else {
                throw .unauthenticated(
                    .wrongMethod(
                        expected: context.connection.remote.method, received: answer.authentication.method.rawValue,
                        remote: Identity(identity)))
            }
            return (identity, answer)
        }
    }
}

/// The initiator at the end of IKE_AUTH: it has asked whether the responder's proof is true.
struct VerifyingInitiator: ~Copyable {
    private let keys: SessionKeys
    private let transcript: Transcript
    @Held private var answer: IKEAuth.Response.Authenticated
    private let offered: Held<ChildOffer?>
    private var offer: ChildOffer? { offered.wrappedValue }

    /// Asks.
    static func start(
        _ keys: SessionKeys, _ transcript: Transcript, _ identity: IdentificationPayload,
        _ answer: IKEAuth.Response.Authenticated, _ offer: ChildOffer?, _ context: SessionContext,
        _ turn: inout Turn
    ) -> Phase {
        let peer = Identity(identity)
        context.remoteIdentity = peer
        var proof = Query.Proof(
            connection: context.connection.name, method: context.connection.remote.method, signer: peer,
            other: context.localIdentity ?? Identity(context.path.local.address),
            prf: keys.suite.prf.transform, octets: transcript.responderProof(identity.body, keys))
        proof.evidence = context.evidence(context.connection.remote, answer.authentication, answer.certificates)
        context.ask(.verify(proof, received: answer.authentication.data), &turn)
        return .verifying(
            VerifyingInitiator(keys: keys, transcript: transcript, answer: answer, offered: Held(wrappedValue: offer)))
    }

    /// The proof is true, or it is not.
    consuming func answer(_ verdict: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        let local = context.localIdentity ?? Identity(context.path.local.address)
        let remote = context.remoteIdentity ?? Identity(context.path.remote.address)
        if let objection = context.objection(verdict, local: local, remote: remote, &turn) {
            return failed(.unauthenticated(objection), context, &turn)
        }
        // Who sends us away needs to prove nothing more (RFC 5685 §6).
        if answer.notifies.contains(.redirect), context.connection.followsRedirects {
            return established(context, &turn)
        }
        do throws(Refusal) {
            try context.takeRoundAnnouncement(answer.notifies)
        } catch {
            return failed(.unauthenticated(error), context, &turn)
        }
        if context.goesOn {
            return RoundInitiator.start(keys, transcript, answer, offer, context, &turn)
        }
        return established(context, &turn)
    }

    /// All that was to be proved by EAP or in several rounds is proved.
    static func conclude(
        _ keys: SessionKeys, _ transcript: Transcript, _ answer: IKEAuth.Response.Authenticated,
        _ offer: ChildOffer?, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        VerifyingInitiator(keys: keys, transcript: transcript, answer: answer, offered: Held(wrappedValue: offer))
            .established(context, &turn)
    }

    /// The verdict did not come in time.
    consuming func overdue(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        return failed(.unauthenticated(.noInternalAnswer(question: "verification")), context, &turn)
    }

    /// Nobody here wants it any more; the responder believes that it is up.
    consuming func leave(_ reason: Event.CloseReason, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        return Leaving.start(reason, keys, context, &turn)
    }

    private consuming func failed(
        _ fault: PeerFault, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        Leaving.after(fault, keys, context, &turn)
    }

    /// Both have proved who they are. The IKE SA is up even when the Child SA is not.
    private consuming func established(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        if let redirect = answer.notifies.first(.redirect), context.connection.followsRedirects {
            return context.leave(for: redirect, keys, offer, &turn)
        }
        context.takeConfiguration(answer.configuration, &turn)
        context.heedLifetime(answer.notifies, &turn)
        context.takeMobility(answer.notifies)
        context.establish(&turn)
        if let offer {
            do throws(Refusal) {
                guard let child = answer.child else {
                    let error = answer.notifies.firstError
                    throw .byPeer(
                        notify: error?.type.rawValue ?? 0, name: error?.type.description ?? "no Child SA",
                        exchange: "IKE_AUTH",
                        offer: context.offer(
                            offer.proposals, localSelectors: offer.localSelectors,
                            remoteSelectors: offer.remoteSelectors))
                }
                if let refusal = context.addressRefusal { throw refusal }
                let agreement = context.narrowed(try offer.agreement(child, answer.notifies))
                let installation = ChildInstallation(
                    Held(wrappedValue: agreement), keys, initiatorNonce: transcript.initiatorNonce,
                    responderNonce: transcript.responderNonce, weInitiated: true, turn.tables)
                guard let installation else { throw .choseWhatWasNotOffered(what: "a proposal without keys") }
                installation.installInbound(context, &turn)
                installation.complete(context, &turn)
            } catch {
                context.refuse(error, child: offer.template.name, &turn)
                context.withdraw(offer, peerInstalledIt: answer.child != nil, &turn)
            }
        }
        for name in context.wanted where name != offer?.template.name { context.agenda.add(.createChild(name)) }
        context.wanted = []
        return Established(keys: keys).proceed(context, &turn)
    }
}

extension SessionContext {
    /// Whom we expect to talk to, as far as it is known: an address where anybody will do.
    var expectedPeer: Identity {
        if let remoteIdentity { return remoteIdentity }
        if case .exactly(let peer) = connection.expectedIdentity(of: path.remote.address) { return peer }
        return Identity(path.remote.address)
    }
}

extension IdentificationPayload {
    /// An identity as it travels.
    init(_ identity: Identity) {
        self.init(IdentificationType(rawValue: identity.kind.rawValue), identity.data)
    }
}

extension Identity {
    /// An identity that travelled.
    init(_ payload: IdentificationPayload) {
        self.init(Identity.Kind(rawValue: payload.type.rawValue), payload.data)
    }
}
