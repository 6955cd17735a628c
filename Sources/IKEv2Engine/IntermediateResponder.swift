import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import WireFormat

/// The responder of IKE_INTERMEDIATE, waiting for the next key exchange (RFC 9242, RFC 9370 §2.2.2).
///
/// It owns the keys so far. Each exchange costs one agreement or encapsulation, and comes only to who has done the one
/// before; there are seven at most.
struct IntermediateResponder: ~Copyable {
    let keys: SessionKeys
    let transcript: Transcript
    @Held var proof: IntermediateProof
    /// The key exchanges that are left.
    let methods: [Transform]

    /// A sealed message came.
    consuming func receive(
        _ message: SealedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard message.header.exchange == .ikeIntermediate, !message.header.isResponse,
            case .fresh = context.responses.judge(message.header.messageID)
        else {
            if context.repeatsIntermediate(message, keys, arrival, &turn) { return .answeringIntermediate(self) }
            context.drop(.unexpected("\(message.header.exchange) before IKE_INTERMEDIATE"), arrival, &turn)
            return .answeringIntermediate(self)
        }
        do throws(PeerFault) {
            let opened: OpenedMessage
            do throws(PeerFault) {
                opened = try context.open(message, keys, arrival, &turn)
            } catch {
                if case .ignore = error.disposition { throw error }
                context.adopt(arrival, &turn)
                context.responses.accept()
                throw error
            }
            context.adopt(arrival, &turn)
            context.responses.accept()
            let value = try Self.value(opened, methods)
            context.ask(.encapsulate(method: methods[0].keyExchangeMethod, publicKey: value), &turn)
            return .encapsulating(EncapsulatingResponder(state: self, request: opened, arrival: arrival))
        } catch {
            switch error.dispositionBeforeAuthentication {
            case .closeSession(let notify, let refusal):
                return context.refuseIntermediate(refusal, notify, message.header, arrival, keys, &turn)
            case .ignore(let reason): context.drop(reason, arrival, &turn)
            case .answer, .abandonExchange: break
            }
            return .answeringIntermediate(self)
        }
    }

    private static func value(_ message: OpenedMessage, _ methods: [Transform]) throws(PeerFault) -> [UInt8] {
        let request: IKEIntermediate
        do throws(GrammarError) {
            request = try IKEIntermediate(message)
        } catch {
            throw .malformed(.ikeIntermediate, error, isResponse: false)
        }
        guard let payload = request.keyExchange, payload.method == methods.first?.id else {
            throw .malformed(.ikeIntermediate, .missing(.keyExchange, .ikeIntermediate), isResponse: false)
        }
        return payload.data
    }

    /// Answers, and goes on under new keys.
    consuming func respond(
        _ value: [UInt8], _ secret: SecretBytes, _ request: OpenedMessage, _ arrival: Arrival,
        _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let payloads = IKEIntermediate(
            isResponse: true, keyExchange: KeyExchangePayload(method: methods[0].id, data: value)
        ).payloads
        let messageID = request.header.messageID
        guard let next = keys.updated(with: secret, transcript, context),
            let response = try? context.intermediateOctets(payloads, messageID: messageID, isResponse: true),
            context.respond(to: request.header, arrival, payloads, keys, &turn)
        else {
            let refusal = Refusal.malformed(exchange: "IKE_INTERMEDIATE", reason: "ours can't be written")
            context.refuse(refusal, &turn)
            return .closed(.failed(refusal))
        }
        // Should our answer be lost, the request comes again under the keys of then.
        keys.predecessor = nil
        next.predecessor = keys
        turn.expose(next, intermediate: methods.count == 1 ? nil : Int(messageID) + 1, context)
        var proof = proof
        proof.add(request: request.intermediateOctets, response: response, keys)
        guard methods.count == 1 else {
            return .answeringIntermediate(
                IntermediateResponder(
                    keys: next, transcript: transcript, proof: proof, methods: Array(methods.dropFirst())))
        }
        var complete = transcript
        complete.intermediate = proof.octets(messageID: messageID &+ 1)
        return .awaitingAuth(AuthResponder(keys: next, transcript: complete))
    }
}

/// The responder in the middle of IKE_INTERMEDIATE: it has asked for its half of the key exchange.
struct EncapsulatingResponder: ~Copyable {
    private let state: IntermediateResponder
    @Held private var request: OpenedMessage
    @Held private var arrival: Arrival

    init(state: consuming IntermediateResponder, request: OpenedMessage, arrival: Arrival) {
        self.state = state
        _request = Held(wrappedValue: request)
        _arrival = Held(wrappedValue: arrival)
    }

    /// It is there, or the initiator's value is none.
    consuming func answer(_ answer: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        let (request, arrival) = (request, arrival)
        guard case .encapsulated(let ciphertext, let secret) = answer else {
            let refusal = Refusal.badKeyExchange(group: state.methods[0], reason: "the public value is not valid")
            return context.refuseIntermediate(
                refusal, NotifyPayload(.invalidSyntax), request.header, arrival, state.keys, &turn)
        }
        return state.respond(ciphertext, secret, request, arrival, context, &turn)
    }

    /// It did not come in time.
    consuming func overdue(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        return context.refuseIntermediate(
            .noInternalAnswer(question: "key exchange"), NotifyPayload(.temporaryFailure), request.header, arrival,
            state.keys, &turn)
    }
}

extension SessionContext {
    /// Ends an attempt in the middle of IKE_INTERMEDIATE.
    func refuseIntermediate(
        _ refusal: Refusal, _ notify: NotifyPayload?, _ header: IKEHeader, _ arrival: Arrival, _ keys: SessionKeys,
        _ turn: inout Turn
    ) -> Phase {
        refuse(refusal, &turn)
        respond(to: header, arrival, notify.map { [.notify($0)] } ?? [], keys, &turn)
        return .closed(.failed(refusal))
    }

    /// The request that was answered last, under the keys of then: our answer was lost.
    func repeatsIntermediate(
        _ message: SealedMessage, _ keys: SessionKeys, _ arrival: Arrival, _ turn: inout Turn
    ) -> Bool {
        guard message.header.exchange == .ikeIntermediate, !message.header.isResponse,
            message.header.isFromInitiator != isInitiator, let earlier = keys.predecessor,
            case .replay(let datagrams) = responses.judge(message.header.messageID)
        else { return false }
        if let place = message.fragment {
            // The first fragment stands for all.
            guard place.number == 1 else { return true }
            guard (try? earlier.openFragment(message)) != nil else { return false }
        } else {
            guard (try? earlier.open(message)) != nil else { return false }
        }
        repeatResponse(datagrams, message.header.messageID, arrival, &turn)
        return true
    }
}
