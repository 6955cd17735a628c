import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes

/// The responder of IKE_AUTH, waiting for a request that the keys open (RFC 7296 §1.2).
///
/// It owns the keys of an IKE SA that nobody has proved anything about yet.
struct AuthResponder: ~Copyable {
    let keys: SessionKeys
    let transcript: Transcript

    /// A sealed message came.
    consuming func receive(
        _ message: SealedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard message.header.exchange == .ikeAuth, !message.header.isResponse,
            case .fresh = context.responses.judge(message.header.messageID)
        else {
            context.drop(.unexpected("\(message.header.exchange) before authentication"), arrival, &turn)
            return .awaitingAuth(self)
        }
        do throws(PeerFault) {
            let opened: OpenedMessage
            do throws(PeerFault) {
                opened = try context.open(message, keys, arrival, &turn)
            } catch {
                // Even what is authentic and unreadable takes up its message ID, so that its answer can be repeated.
                if case .ignore = error.disposition { throw error }
                context.adopt(arrival, &turn)
                context.responses.accept()
                throw error
            }
            context.adopt(arrival, &turn)
            context.responses.accept()
            keys.predecessor = nil
            let request = AuthRequest(try Self.identified(opened), opened.header, arrival)
            if request.body.notifies.contains(.mobikeSupported), context.connection.mobike,
                context.isUnexpectedNAT(request.body.notifies, arrival.path)
            {
                throw .unexpectedNAT(arrival.path)
            }
            return MixingResponder.start(keys, transcript, request, context, &turn)
        } catch {
            switch error.dispositionBeforeAuthentication {
            case .closeSession(let notify, let refusal):
                context.refuse(refusal, &turn)
                context.respond(
                    to: message.header, arrival, notify.map { [.notify($0)] } ?? [], keys, &turn)
                return .closed(.failed(refusal))
            case .ignore(let reason): context.drop(reason, arrival, &turn)
            case .answer, .abandonExchange: break
            }
            return .awaitingAuth(self)
        }
    }

    private static func identified(_ message: OpenedMessage) throws(PeerFault) -> IKEAuth.Request.Identified {
        do throws(GrammarError) {
            guard case .identified(let request) = try IKEAuth.Request(message) else {
                throw GrammarError.missing(.initiatorIdentification, .ikeAuth)
            }
            return request
        } catch {
            throw .malformed(.ikeAuth, error, isResponse: false)
        }
    }
}

/// The responder in the middle of IKE_AUTH: it has asked whether the initiator's proof is true.
///
/// It owns the request. Whoever is not accepted anyway is checked all the same, so that the answer does not tell, nor the
/// time that it takes, whom we know.
struct CheckingResponder: ~Copyable {
    private let keys: SessionKeys
    private let transcript: Transcript
    private let request: AuthRequest
    /// Why it is refused whatever the answer is.
    private let objection: Held<Refusal>?

    /// Finds the connection and asks.
    static func start(
        _ keys: SessionKeys, _ transcript: Transcript, _ request: AuthRequest, _ context: SessionContext,
        _ turn: inout Turn
    ) -> Phase {
        let path = request.arrival.path
        let peer = Identity(request.body.identity)
        let asked = request.body.responderIdentity.map { Identity($0) }
        context.remoteIdentity = peer
        // From here on we wait for ourselves, and for no longer than the limits say.
        context.timers.remove(.halfOpen)
        let refusal: Refusal?
        let candidates = context.candidates(turn.tables).fitting(request.body)
        switch ConnectionLookup.verdict(among: candidates, peer: peer, asked: asked, path: path) {
        case .connection(let connection):
            context.configured = connection
            refusal = nil
        case .identityMismatch(let expected):
            refusal =
                expected.isEmpty ? .noConnection(path) : .identityMismatch(expected: expected, received: peer)
        case .notUs(let ours): refusal = asked.map { .notUs(asked: $0, ours: ours) }
        }
        let configured = context.configured
        let local = configured.ownIdentity(at: path.local.address)
        context.localIdentity = local
        let method = configured.connection.remote.method
        context.rounds.isSpoken = request.body.notifies.contains(.multipleAuthSupported)
        let objection = refusal ?? Self.objection(to: request, of: peer, context)
        context.signatures = context.signatures.after {
            $0.learn(request.body.certificateRequests)
            $0.learnMethods(request.body.notifies)
        }
        if objection == nil, method == .eap {
            return EAPResponder.start(
                keys, transcript, request.body, request.header, request.arrival,
                local: local, remote: peer, context, &turn)
        }
        var proof = Query.Proof(
            connection: configured.connection.name, method: method, signer: peer, other: local,
            prf: keys.suite.prf.transform,
            octets: transcript.initiatorProof(request.body.identity.body, keys))
        if method == .publicKey {
            proof.evidence = context.evidence(
                configured.connection.remote, request.body.authentication, request.body.certificates)
        }
        if method == .sharedKey, configured.connection.local.method == .sharedKey {
            // For strangers as well: the time does not tell them from others.
            proof.reply = transcript.responderProof(IdentificationPayload(local).body, keys)
        }
        context.ask(.verify(proof, received: request.body.authentication?.data ?? []), &turn)
        return .checking(
            CheckingResponder(
                keys: keys, transcript: transcript, request: request,
                objection: objection.map { Held(wrappedValue: $0) }))
    }

    /// Why a peer whose connection is known is refused all the same; nil when nothing speaks against it.
    private static func objection(to request: AuthRequest, of peer: Identity, _ context: SessionContext) -> Refusal? {
        let configured = context.configured
        let method = configured.connection.remote.method
        if let proof = request.body.authentication {
            if !method.covers(proof.method) {
                return .wrongMethod(expected: method, received: proof.method.rawValue, remote: peer)
            }
        } else if method != .eap {
            return .wrongMethod(expected: method, received: 0, remote: peer)
        }
        if configured.connection.refusesPortChange, context.socket != context.firstSocket {
            return .portChanged(request.arrival.path)
        }
        if let refusal = context.objection(to: request.body) { return refusal }
        let lacksRounds = configured.connection.hasSeveralRounds && !context.rounds.isSpoken
        return lacksRounds ? .notMet(demand: SessionContext.severalRounds) : nil
    }

    /// The proof is true, or it is not.
    consuming func answer(_ verdict: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        let local = context.localIdentity ?? Identity(request.arrival.path.local.address)
        let remote = Identity(request.body.identity)
        if let objection { return refused(objection.wrappedValue, context, &turn) }
        if let refusal = context.objection(verdict, local: local, remote: remote, &turn) {
            return refused(refusal, context, &turn)
        }
        do throws(Refusal) {
            try context.takeRoundAnnouncement(request.body.notifies)
        } catch {
            return refused(error, context, &turn)
        }
        context.saidInitialContact = request.body.notifies.contains(.initialContact)
        if context.connection.uniqueness == .keep, !context.saidInitialContact,
            !turn.tables.established(local: local, remote: remote).isEmpty
        {
            return refused(.alreadyConnected(local: local, remote: remote), context, &turn)
        }
        let proof: Answer? = if case .verifiedInReturn(let own) = verdict { .proof(own) } else { nil }
        return AnsweringResponder.start(
            keys, transcript, request, local: local, remote: remote, proof, context, &turn)
    }

    /// The verdict did not come in time.
    consuming func overdue(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        return refused(.noInternalAnswer(question: "verification"), context, &turn)
    }

    private consuming func refused(_ refusal: Refusal, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.refuseAuthentication(refusal, request.header, request.arrival, keys, &turn)
    }
}

/// The responder at the end of IKE_AUTH: it has asked for its own proof.
struct AnsweringResponder: ~Copyable {
    private let keys: SessionKeys
    private let transcript: Transcript
    private let request: AuthRequest
    @Held private var identities: (local: Identity, remote: Identity)

    /// Asks, unless the proof is there already.
    static func start(
        _ keys: SessionKeys, _ transcript: Transcript, _ request: AuthRequest, local: Identity, remote: Identity,
        _ proof: Answer?, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let state = AnsweringResponder(
            keys: keys, transcript: transcript, request: request, identities: (local, remote))
        if let proof { return state.answer(proof, context, &turn) }
        ask(keys, transcript, local: local, remote: remote, context, &turn)
        return .answering(state)
    }

    /// Asks for our proof.
    static func ask(
        _ keys: SessionKeys, _ transcript: Transcript, local: Identity, remote: Identity, _ context: SessionContext,
        _ turn: inout Turn
    ) {
        var proof = Query.Proof(
            connection: context.connection.name, method: context.connection.local.method, signer: local,
            other: remote, prf: keys.suite.prf.transform,
            octets: transcript.responderProof(IdentificationPayload(local).body, keys))
        if proof.method == .publicKey { proof.wish = context.wish(context.connection.local) }
        context.ask(.prove(proof), &turn)
    }

    /// The proof is there, or there is none.
    consuming func answer(_ answer: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        let proof: OwnProof
        do throws(Refusal) {
            proof = try context.proof(answer, local: identities.local, remote: identities.remote)
        } catch {
            return context.refuseAuthentication(error, request.header, request.arrival, keys, &turn)
        }
        if context.goesOn {
            return RoundResponder.start(
                keys, transcript, request.body, request.header, request.arrival, identities, proof, context, &turn)
        }
        return proceed(proof, context, &turn)
    }

    /// The same after EAP or several rounds: our last proof is there already, or there is none in the last message.
    static func conclude(
        _ keys: SessionKeys, _ transcript: Transcript, _ request: IKEAuth.Request.Identified, _ header: IKEHeader,
        _ arrival: Arrival, local: Identity, remote: Identity, _ proof: OwnProof?, _ context: SessionContext,
        _ turn: inout Turn
    ) -> Phase {
        AnsweringResponder(
            keys: keys, transcript: transcript, request: AuthRequest(request, header, arrival),
            identities: (local, remote)
        ).proceed(proof, context, &turn)
    }

    private consuming func proceed(_ proof: OwnProof?, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        if let gateway = context.redirectionAtAuthentication { return redirect(to: gateway, proof, context, &turn) }
        if let wanted = context.leaseRequest(request.body.configuration, context.eap.peer ?? identities.remote, turn) {
            return LeasingResponder.start(self, proof, wanted, context, &turn)
        }
        return finish(proof, context, &turn)
    }

    /// The peer has what it needs: the answer, and what follows from it.
    consuming func finish(_ proof: OwnProof?, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        var response = LastAnswer(configuration: context.configurationReply, notifies: context.ppkAnswer)
        var installation: ChildInstallation?
        if let offer = request.body.child {
            do throws(ChildChoice.Rejection) {
                if let none = context.addressRejection(request.body.configuration, identities.remote) { throw none }
                let choice = try ChildChoice.choose(
                    offer, request.body.notifies, withKeyExchange: false, context, &turn)
                installation = ChildInstallation(
                    choice.terms, keys, initiatorNonce: transcript.initiatorNonce,
                    responderNonce: transcript.responderNonce, weInitiated: false, turn.tables)
                response.child = choice.negotiation
                response.notifies += choice.notifies
            } catch {
                context.refuse(error.refusal, child: error.child, &turn)
                response.notifies.append(error.notify)
            }
        }
        response.notifies += context.lifetimeNotifies
        context.takeMobility(request.body.notifies)
        response.notifies += context.mobilityNotifies(turn, asked: context.mobility.isSpoken)
        // Inbound first: the peer may send as soon as it has our answer.
        installation?.installInbound(context, &turn)
        let payloads = response.payloads(proof, as: context.eap.hasSaidIdentity ? nil : identities.local)
        guard context.respond(to: request.header, request.arrival, payloads, keys, &turn) else {
            return .closed(.failed(.malformed(exchange: "IKE_AUTH", reason: "ours can't be written")))
        }
        context.establish(&turn)
        installation?.complete(context, &turn)
        return Established(keys: keys).proceed(context, &turn)
    }

    /// The client is known, and is to go to another gateway: it gets our proof and no child (RFC 5685 §6).
    private consuming func redirect(
        to gateway: Host, _ proof: OwnProof?, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let notify = NotifyPayload(.redirect, RedirectNotification(gateway).data)
        let payloads = LastAnswer(configuration: nil, notifies: context.ppkAnswer + [notify])
            .payloads(proof, as: identities.local)
        guard context.respond(to: request.header, request.arrival, payloads, keys, &turn) else {
            return .closed(.failed(.malformed(exchange: "IKE_AUTH", reason: "ours can't be written")))
        }
        // It takes nobody's place: it is about to go.
        context.isUnique = true
        context.establish(&turn)
        context.redirected(to: gateway, at: .authentication, &turn)
        return Established(keys: keys).proceed(context, &turn)
    }

    /// The proof did not come in time.
    consuming func overdue(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        return context.refuseAuthentication(
            .noInternalAnswer(question: "proof"), request.header, request.arrival, keys, &turn)
    }
}

/// The last answer of IKE_AUTH: all but the proof, which is not in it when the initiator's was the last round.
private struct LastAnswer {
    var configuration: ConfigurationPayload?
    var child: ChildNegotiation?
    var notifies: [NotifyPayload]

    init(configuration: ConfigurationPayload?, notifies: [NotifyPayload]) {
        self.configuration = configuration
        child = nil
        self.notifies = notifies
    }

    func payloads(_ proof: OwnProof?, as identity: Identity?) -> [Payload] {
        guard let proof else {
            return IKEAuth.Response.child(child, configuration: configuration, notifies: notifies).payloads
        }
        return IKEAuth.Response.authenticated(
            IKEAuth.Response.Authenticated(
                identity: identity.map { IdentificationPayload($0) }, certificates: proof.certificates,
                authentication: proof.authentication, configuration: configuration, child: child, notifies: notifies)
        ).payloads
    }
}

extension [ConfiguredConnection] {
    /// Those whose authentication a first request can begin: one without a proof asks for EAP, and it announces whether
    /// more than one round follows. What suits none of them sorts out none.
    fileprivate func fitting(_ request: IKEAuth.Request.Identified) -> [ConfiguredConnection] {
        guard count > 1 else { return self }
        let isMore = request.notifies.contains(.anotherAuthFollows)
        return preferring { ($0.remote.method == .eap) == (request.authentication == nil) }
            .preferring { request.authentication == nil || $0.furtherRemote.isEmpty != isMore }
    }

    private func preferring(_ isFitting: (Connection) -> Bool) -> [ConfiguredConnection] {
        let fitting = filter { isFitting($0.connection) }
        return fitting.isEmpty ? self : fitting
    }
}

extension SessionContext {
    /// The connections that suit the path and the chosen IKE proposal; the likely one when none is configured any more.
    func candidates(_ tables: EndpointTables) -> [ConfiguredConnection] {
        candidates(among: tables.directory.candidates(for: path))
    }

    /// The same of those that suit the path.
    func candidates(among candidates: [ConfiguredConnection]) -> [ConfiguredConnection] {
        if candidates.count == 1, candidates[0] === configured { return candidates }
        let chosen = algorithms.map { [$0] } ?? []
        return candidates.filter {
            // What was chosen from its own proposals is among them.
            $0 === configured || Proposal.select(from: chosen, configured: $0.ikeOffer) != nil
        }
    }

    /// Ends the authentication: the peer learns that it failed, and not why.
    func refuseAuthentication(
        _ refusal: Refusal, _ header: IKEHeader, _ arrival: Arrival, _ keys: SessionKeys, _ turn: inout Turn
    ) -> Phase {
        refuse(refusal, &turn)
        respond(to: header, arrival, [.notify(NotifyPayload(.authenticationFailed))], keys, &turn)
        return .closed(.failed(refusal))
    }

    /// The peer's first authentic message says from where it wants to go on.
    func adopt(_ arrival: Arrival, _ turn: inout Turn) {
        socket = arrival.socket
        guard arrival.path != path else { return }
        publish(.pathChanged(from: path, to: arrival.path), &turn)
        path = arrival.path
    }

    /// Both have proved who they are.
    func establish(_ turn: inout Turn) {
        established = turn.now
        timers.remove(.halfOpen)
        rekeyDue = turn.moment(in: connection.rekeyTime, less: connection.randTime)
        timers.set(.ikeRekey, to: rekeyDue)
        volume = SessionVolume(limit: connection.rekeyBytes, chance: turn.environment.entropy.fraction())
        if connection.rekeyTime > .zero, connection.overTime > .zero {
            timers.set(.ikeExpiry, to: turn.now + connection.rekeyTime + connection.overTime)
        }
        scheduleReauthentication(&turn)
        timers.set(.liveness, to: connection.livenessDue(since: turn.now))
        // With children to carry, the connection is well when one of them is: why a child was refused must not be lost.
        if connection.children.isEmpty { turn.tables.refusals.clear(connection.name) }
        keepAlive(&turn)
        enter(.established, &turn)
        publish(.ikeEstablished(summary), &turn)
    }
}
