import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import WireFormat

/// One more key exchange after our CREATE_CHILD_SA, and after the one before it (RFC 9370 §2.2.4).
///
/// It owns the secrets so far and the private value of this exchange. What the secrets are for is the business of the
/// exchange that began.
struct FollowupKeyExchange: Exchange {
    /// The exchange that began.
    enum Origin {
        /// A Child SA: the peer's answer, and what was agreed.
        case child(CreateChild, CreateChildSA.Child, ChildAgreement)
        /// An IKE SA: the peer's answer, and what was agreed.
        case ikeSA(RekeyIKE, CreateChildSA.Rekeying, RekeyIKE.Agreed)
    }

    private let origin: Origin
    /// What is left, this one first.
    private let methods: [Transform]
    private let secrets: [SecretBytes]
    private let key: EphemeralKey
    private let link: [UInt8]

    /// The exchange for the first of `methods`; nil when there is no link to the one before, or no such method.
    init?(
        _ origin: Origin, _ methods: [Transform], secrets: [SecretBytes], link: [UInt8]?, _ turn: inout Turn
    ) {
        guard let method = methods.first, let link, !link.isEmpty,
            let made = try? EphemeralKey(method, entropy: &turn.environment.entropy)
        else { return nil }
        self.origin = origin
        self.methods = methods
        self.secrets = secrets
        self.link = link
        key = made
    }

    var type: ExchangeType { .ikeFollowupKE }

    var activity: Activity {
        switch origin {
        case .child(let exchange, _, _): exchange.activity
        case .ikeSA(let exchange, _, _): exchange.activity
        }
    }

    var payloads: [Payload] {
        IKEFollowupKE.Request(
            keyExchange: KeyExchangePayload(method: methods.first?.id ?? 0, data: key.publicValue), link: link
        ).payloads
    }

    func complete(
        _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> NextStep {
        let answer: IKEFollowupKE.Response
        do throws(GrammarError) {
            answer = try IKEFollowupKE.Response(response)
        } catch {
            throw .malformed(.ikeFollowupKE, error, isResponse: true)
        }
        switch answer {
        case .notified(let notifies):
            switch origin {
            case .child(let exchange, _, _): exchange.failed(notifies, .ikeFollowupKE, context, &turn)
            case .ikeSA(let exchange, _, _): exchange.failed(notifies, .ikeFollowupKE, context, &turn)
            }
            return .done
        case .complete(let step):
            do throws(Refusal) {
                let all = secrets + [try secret(step)]
                let rest = Array(methods.dropFirst())
                if !rest.isEmpty {
                    let next = FollowupKeyExchange(origin, rest, secrets: all, link: step.link, &turn)
                    guard let next else { throw .choseWhatWasNotOffered(what: "fewer key exchanges than agreed on") }
                    return .then(next)
                }
                switch origin {
                case .child(let exchange, let child, let agreement):
                    exchange.finish(child, agreement, all, keys, context, &turn)
                case .ikeSA(let exchange, let rekeying, let agreed):
                    try exchange.finish(rekeying, agreed, all, keys, context, &turn)
                }
            } catch {
                // Whoever answers with a value that is none is broken or hostile: the IKE SA ends (RFC 6989 §2.5).
                if case .badKeyExchange = error { throw .refused(error) }
                guard case .child(let exchange, _, _) = origin else { throw .refused(error) }
                exchange.abandon(error, peerInstalledIt: true, context, &turn)
            }
        }
        return .done
    }

    private func secret(_ step: IKEFollowupKE.Step) throws(Refusal) -> SecretBytes {
        guard let method = methods.first, step.keyExchange.method == method.id else {
            throw .choseWhatWasNotOffered(what: "another additional key exchange")
        }
        do throws(KeyAgreementError) {
            return try key.sharedSecret(with: step.keyExchange.data)
        } catch {
            throw .badKeyExchange(group: method, reason: error.description)
        }
    }
}
