import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import WireFormat

/// The peer's CREATE_CHILD_SA that waits for additional key exchanges (RFC 9370 §2.2.4).
///
/// It owns the secrets so far and what was agreed. Nothing is installed before the last exchange; what became of the SAs
/// in between is looked at then.
final class FollowupResponder {
    /// How long the next exchange is waited for.
    static let patience = Interval.seconds(60)

    /// What the key exchanges are for.
    enum Origin {
        /// A Child SA, in place of `old` or new.
        case child(ChildAgreement, nonces: [[UInt8]], old: ChildSAID?)
        /// An IKE SA in place of this one.
        case ikeSA(RekeyIKEResponder.Agreed)
    }

    let origin: Origin
    /// What is left.
    private(set) var methods: [Transform]
    private var secrets: [SecretBytes]
    /// What the next request has to repeat.
    private(set) var link: [UInt8]
    /// The request that waits for our half of the key exchange.
    var waiting: (header: IKEHeader, arrival: Arrival)?

    init(_ origin: Origin, _ methods: [Transform], secret: SecretBytes, _ turn: inout Turn) {
        self.origin = origin
        self.methods = methods
        secrets = [secret]
        link = turn.environment.entropy.bytes(8)
    }

    /// The notification that tells the peer to go on.
    var notify: NotifyPayload { NotifyPayload(.additionalKeyExchange, link) }

    /// The inbound SPI that is held for it.
    var spi: UInt32? {
        guard case .child(let agreement, _, _) = origin else { return nil }
        return agreement.inboundSPI
    }

    /// One key exchange is done.
    func add(_ secret: SecretBytes, _ turn: inout Turn) {
        secrets.append(secret)
        methods.removeFirst()
        link = turn.environment.entropy.bytes(8)
    }

    /// All are done: the new SA, unless the state of things has become another.
    func finish(
        _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) -> CreateChildResponder.Answer {
        switch origin {
        case .ikeSA(let agreed):
            let answer = RekeyIKEResponder.finish(agreed, secrets, keys, context, &turn)
            return CreateChildResponder.Answer(payloads: answer.payloads, successor: answer)
        case .child(let agreement, let nonces, let id):
            let old = id.flatMap { context.children.child($0) }
            let verdict = CollisionTable.verdict(
                id == nil ? .createChild : .rekeyChild, while: context.collision(old))
            guard verdict != .temporaryFailure, id == nil || old != nil, context.children.hasRoom,
                context.heldSPIs.contains(agreement.inboundSPI)
            else {
                context.giveBackSPI(agreement.inboundSPI, &turn)
                return CreateChildResponder.Answer(payloads: [.notify(NotifyPayload(.temporaryFailure))])
            }
            let installation = ChildInstallation(
                Held(wrappedValue: agreement), keys, sharedSecret: secrets[0], further: Array(secrets.dropFirst()),
                initiatorNonce: nonces[0], responderNonce: nonces[1], weInitiated: false, turn.tables)
            var result = CreateChildResponder.Answer(payloads: [], installation: installation)
            result.old = id
            if verdict == .answerAndContest, let id, let installation {
                result.rival = ChildRival(old: id, replacement: installation.id, nonces: nonces)
            }
            return result
        }
    }
}

extension Established {
    /// A request for one more key exchange came.
    mutating func answerFollowup(
        _ request: OpenedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) {
        guard followup != nil else {
            context.respond(to: request.header, arrival, [.notify(NotifyPayload(.stateNotFound))], keys, &turn)
            return
        }
        let step: IKEFollowupKE.Step
        do throws(GrammarError) {
            step = try IKEFollowupKE.Request(request).step
        } catch {
            throw .malformed(.ikeFollowupKE, error, isResponse: false)
        }
        guard let followup, followup.waiting == nil, followup.link == step.link, let method = followup.methods.first,
            method.id == step.keyExchange.method
        else {
            context.respond(to: request.header, arrival, [.notify(NotifyPayload(.stateNotFound))], keys, &turn)
            return
        }
        self.followup?.waiting = (request.header, arrival)
        // It has come: how long our half may take is the question's business.
        context.timers.remove(.followup)
        context.ask(
            .encapsulate(method: method.keyExchangeMethod, publicKey: step.keyExchange.data), &turn)
    }

    /// Our half of the key exchange is there, or the peer's value is none.
    consuming func answer(_ answer: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        guard let waiting = followup?.waiting, let method = followup?.methods.first else { return .established(self) }
        context.settleQuestion(&turn)
        followup?.waiting = nil
        if case .encapsulated(let ciphertext, let secret) = answer {
            goOn(ciphertext, secret, method, waiting.header, waiting.arrival, context, &turn)
        } else {
            // Whoever sends such a value is broken or hostile: the IKE SA ends (RFC 6989 §2.5).
            let refusal = Refusal.badKeyExchange(group: method, reason: "the public value is not valid")
            context.refuse(refusal, &turn)
            refuseFollowup(NotifyPayload(.invalidSyntax), waiting.header, waiting.arrival, context, &turn)
            return .closed(.failed(refusal))
        }
        return proceed(context, &turn)
    }

    /// It did not come in time.
    consuming func overdue(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        guard let waiting = followup?.waiting else { return .established(self) }
        refuseFollowup(NotifyPayload(.temporaryFailure), waiting.header, waiting.arrival, context, &turn)
        return proceed(context, &turn)
    }

    /// The peer does not go on, or begins something else: what was held for it goes.
    mutating func forgetFollowup(_ context: SessionContext, _ turn: inout Turn) {
        if let spi = followup?.spi { context.giveBackSPI(spi, &turn) }
        if followup?.waiting != nil { context.settleQuestion(&turn) }
        keepFollowup(nil, context, &turn)
    }

    /// Waits for the next key exchange; nil when there is nothing to wait for.
    mutating func keepFollowup(_ next: FollowupResponder?, _ context: SessionContext, _ turn: inout Turn) {
        followup = next
        context.pendingSPI = next?.spi
        context.timers.set(.followup, to: next.map { _ in turn.now + FollowupResponder.patience })
    }

    private mutating func refuseFollowup(
        _ notify: NotifyPayload, _ header: IKEHeader, _ arrival: Arrival, _ context: SessionContext,
        _ turn: inout Turn
    ) {
        followup?.waiting = nil
        forgetFollowup(context, &turn)
        context.respond(to: header, arrival, [.notify(notify)], keys, &turn)
    }

    /// Answers a key exchange; after the last one the new SA is there.
    private mutating func goOn(
        _ value: [UInt8], _ secret: SecretBytes, _ method: Transform, _ header: IKEHeader, _ arrival: Arrival,
        _ context: SessionContext, _ turn: inout Turn
    ) {
        guard let next = followup else { return }
        next.add(secret, &turn)
        let payload = Payload.keyExchange(KeyExchangePayload(method: method.id, data: value))
        guard next.methods.isEmpty else {
            keepFollowup(next, context, &turn)
            context.respond(to: header, arrival, [payload, .notify(next.notify)], keys, &turn)
            return
        }
        keepFollowup(nil, context, &turn)
        let answer = next.finish(keys, context, &turn)
        answer.installation?.installInbound(context, &turn)
        // Where there are payloads already, they say why there is no new SA.
        let payloads = answer.payloads.isEmpty ? [payload] : answer.payloads
        if context.respond(to: header, arrival, payloads, keys, &turn) { answer.complete(context, &turn) }
    }
}
