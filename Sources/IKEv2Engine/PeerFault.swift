import GatewayModel
import IKEMessages
import NetworkTypes

/// What a peer, or somebody who pretends to be one, can do wrong: one case for each kind.
///
/// It owns the one decision what follows from it. It never sends anything itself.
enum PeerFault: Error, Hashable {
    /// A datagram that is not a message in clear or a sealed one.
    case unreadable(GrammarError)
    /// A sealed message that our keys do not open. Nothing is known about who sent it.
    case forged
    /// An authentic message whose message ID lies outside the window.
    case outsideWindow(UInt32)
    /// A fragment whose message is not complete yet: no fault, and nothing follows from it.
    case partial
    /// A message that has no place here, whoever sent it.
    case unexpected(String)
    /// An authentic request that demands that we understand a payload that we do not know.
    case unsupportedCritical(PayloadType, ExchangeType)
    /// An authentic message that breaks its grammar.
    case malformed(ExchangeType, GrammarError, isResponse: Bool)
    /// The peer forbids NAT, and one has changed its message's addresses.
    case unexpectedNAT(Path)
    /// The peer is not, or does not prove to be, whom we talk to.
    case unauthenticated(Refusal)
    /// The peer refused to authenticate us, or itself.
    case refused(Refusal)
    /// The peer's answer is not one to our request.
    case wrongAnswer(Refusal)
    /// An authentic request with a public value that is none: its sender is broken or hostile (RFC 6989 §2.5).
    case badPublicValue(Refusal)

    /// What follows from a fault.
    enum Disposition: Hashable {
        /// Drop the message and count it; nil when there is nothing to count.
        case ignore(Event.DropReason?)
        /// Answer the request with this notification; the IKE SA goes on.
        case answer(NotifyPayload)
        /// Our exchange came to nothing; the IKE SA goes on.
        case abandonExchange(Refusal)
        /// The IKE SA ends; the peer is told this, in the answer to its request or in a request of ours.
        case closeSession(NotifyPayload?, Refusal)
    }

    /// What follows from it once the IKE SA is established. Before that nothing but closing can follow from what does
    /// not let it go on: see ``dispositionBeforeAuthentication``.
    var disposition: Disposition {
        switch self {
        case .unreadable(let error): .ignore(.malformed(error.description))
        case .forged: .ignore(.forged)
        case .partial: .ignore(nil)
        case .outsideWindow(let id): .ignore(.outsideWindow(messageID: id))
        case .unexpected(let what): .ignore(.unexpected(what))
        case .unsupportedCritical(let type, _):
            .answer(NotifyPayload(.unsupportedCriticalPayload, [type.rawValue]))
        case .malformed(let exchange, let error, isResponse: false):
            .closeSession(
                NotifyPayload(.invalidSyntax),
                .malformed(exchange: exchange.description, reason: error.description))
        // The peer believes that the exchange is over: only closing brings both to the same view (RFC 7296 §2.21.3).
        case .malformed(let exchange, let error, isResponse: true):
            .closeSession(nil, .malformed(exchange: exchange.description, reason: error.description))
        case .unexpectedNAT(let path):
            .closeSession(
                NotifyPayload(.unexpectedNATDetected),
                .notMet(
                    demand:
                        "that no NAT changes addresses: the peer wrote down others than its message from \(path.remote) has"
                ))
        case .unauthenticated(let refusal): .closeSession(NotifyPayload(.authenticationFailed), refusal)
        case .refused(let refusal): .closeSession(nil, refusal)
        case .wrongAnswer(let refusal): .abandonExchange(refusal)
        case .badPublicValue(let refusal): .closeSession(NotifyPayload(.invalidSyntax), refusal)
        }
    }

    /// The same during the authentication, which can't go on without the message.
    var dispositionBeforeAuthentication: Disposition {
        switch (self, disposition) {
        case (.unsupportedCritical(let type, let exchange), .answer(let notify)):
            .closeSession(
                notify, .malformed(exchange: exchange.description, reason: "\(type) is critical and unknown"))
        case (_, .answer(let notify)): .closeSession(notify, .malformed(exchange: "IKE_AUTH", reason: "not understood"))
        case (_, .abandonExchange(let refusal)): .closeSession(NotifyPayload(.authenticationFailed), refusal)
        case (_, let disposition): disposition
        }
    }

    /// What a failure to open or to read a sealed message amounts to.
    init(_ error: GrammarError, opening header: IKEHeader) {
        switch error {
        case .integrityCheckFailed, .sealedLength: self = .forged
        case .fragmentation: self = .unexpected("a fragment in place of a message")
        case .unsupportedCriticalPayload(let type) where !header.isResponse:
            self = .unsupportedCritical(type, header.exchange)
        default: self = .malformed(header.exchange, error, isResponse: header.isResponse)
        }
    }
}
