import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import WireFormat

/// The initiator of IKE_INTERMEDIATE: one more key exchange after another, each under the keys of those before it
/// (RFC 9242, RFC 9370 §2.2.2).
///
/// It owns the keys so far and the private value of the exchange that is under way.
struct IntermediateInitiator: ~Copyable {
    private let keys: SessionKeys
    private let transcript: Transcript
    @Held private var proof: IntermediateProof
    /// The key exchanges that are left, that under way first.
    private let methods: [Transform]
    private let key: EphemeralKey
    /// Our request, as the chain covers it.
    private let request: [UInt8]

    /// Sends the request for the next of `methods`; when none is left, goes on to IKE_AUTH.
    static func start(
        _ keys: SessionKeys, _ transcript: Transcript, _ methods: [Transform],
        proof: IntermediateProof = IntermediateProof(), _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let messageID = context.requests.nextID ?? 0
        guard let method = methods.first else {
            var complete = transcript
            complete.intermediate = proof.octets(messageID: messageID)
            return MixingInitiator.start(keys, complete, context, &turn)
        }
        let key: EphemeralKey
        do throws(KeyAgreementError) {
            key = try EphemeralKey(method, entropy: &turn.environment.entropy)
        } catch {
            return failed(.badKeyExchange(group: method, reason: error.description), context, &turn)
        }
        let payloads = IKEIntermediate(
            isResponse: false, keyExchange: KeyExchangePayload(method: method.id, data: key.publicValue)
        ).payloads
        guard context.request(.ikeIntermediate, payloads, keys, &turn) != nil,
            let request = try? context.intermediateOctets(payloads, messageID: messageID, isResponse: false)
        else {
            return failed(.malformed(exchange: "IKE_INTERMEDIATE", reason: "ours can't be written"), context, &turn)
        }
        return .intermediate(
            IntermediateInitiator(
                keys: keys, transcript: transcript, proof: proof, methods: methods, key: key, request: request))
    }

    private static func failed(_ refusal: Refusal, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.refuse(refusal, &turn)
        return .closed(.failed(refusal))
    }

    /// A sealed message came.
    consuming func receive(
        _ message: SealedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard message.header.isResponse,
            context.requests.isAnswered(by: message.header.messageID, message.header.exchange)
        else {
            context.drop(.unexpected("\(message.header.exchange) before authentication"), arrival, &turn)
            return .intermediate(self)
        }
        do throws(PeerFault) {
            let opened = try context.open(message, keys, arrival, &turn)
            context.requests.close()
            let next = try complete(opened, context)
            let number = Int(message.header.messageID)
            turn.expose(next, intermediate: methods.count == 1 ? nil : number + 1, context)
            var proof = proof
            proof.add(request: request, response: opened.intermediateOctets, keys)
            return Self.start(next, transcript, Array(methods.dropFirst()), proof: proof, context, &turn)
        } catch {
            switch error.dispositionBeforeAuthentication {
            case .ignore(let reason):
                context.drop(reason, arrival, &turn)
                return .intermediate(self)
            // Nothing is established: the responder forgets it as well.
            case .closeSession(_, let refusal), .abandonExchange(let refusal):
                return Self.failed(refusal, context, &turn)
            case .answer:
                return Self.failed(
                    .malformed(exchange: "IKE_INTERMEDIATE", reason: "not understood"), context, &turn)
            }
        }
    }

    /// The keys after this key exchange.
    private borrowing func complete(
        _ message: OpenedMessage, _ context: SessionContext
    ) throws(PeerFault) -> SessionKeys {
        let response: IKEIntermediate
        do throws(GrammarError) {
            response = try IKEIntermediate(message)
        } catch {
            throw .malformed(.ikeIntermediate, error, isResponse: true)
        }
        context.signatures = context.signatures.after { $0.learnMethods(response.notifies) }
        if let error = response.notifies.firstError {
            throw .refused(
                .byPeer(
                    notify: error.type.rawValue, name: error.type.description, exchange: "IKE_INTERMEDIATE",
                    offer: context.offer(context.algorithms.map { [$0] } ?? [])))
        }
        guard let method = methods.first, let answer = response.keyExchange, answer.method == method.id else {
            throw .malformed(.ikeIntermediate, .missing(.keyExchange, .ikeIntermediate), isResponse: true)
        }
        do throws(KeyAgreementError) {
            let secret = try key.sharedSecret(with: answer.data)
            guard let next = keys.updated(with: secret, transcript, context) else { throw .libraryRefused(method) }
            return next
        } catch {
            throw .refused(.badKeyExchange(group: method, reason: error.description))
        }
    }
}

extension SessionKeys {
    /// The keys after one more key exchange (RFC 9370 §2.2.2); nil when the library refuses.
    func updated(with secret: SecretBytes, _ transcript: Transcript, _ context: SessionContext) -> SessionKeys? {
        let schedule = KeySchedule(
            suite, rekeying: self, sharedSecret: secret, initiatorNonce: transcript.initiatorNonce,
            responderNonce: transcript.responderNonce, initiatorSPI: context.initiatorSPI,
            responderSPI: context.responderSPI)
        return schedule.flatMap { SessionKeys(suite, $0, isInitiator: context.isInitiator) }
    }
}
