import Clockwork
import GatewayModel
import IKECore
import IKEMessages

/// An IKE SA whose end the peer has been told and has not confirmed yet (RFC 7296 §1.4.1).
///
/// It owns the keys for the answer and for what the peer still asks. It never takes up anything new.
struct Leaving: ~Copyable {
    /// How often the farewell is repeated: the peer may be gone.
    static let tries = 2

    /// Why it ends.
    @Held var reason: Event.CloseReason
    private let keys: SessionKeys

    /// Tells the peer, with notifications that say why.
    static func start(
        _ reason: Event.CloseReason, _ keys: SessionKeys, notifies: [NotifyPayload] = [],
        _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        context.enter(.deleting, &turn)
        let farewell = Informational(isResponse: false, deletes: [DeletePayload(.ikeSA)], notifies: notifies)
        let sent = context.request(.informational, farewell.payloads, keys, tries: Self.tries, &turn)
        return sent == nil ? .closed(reason) : .leaving(Leaving(reason: reason, keys: keys))
    }

    /// The initiator's end after a fault in IKE_AUTH's response: the responder believes that the IKE SA is up, and has to
    /// be told (RFC 7296 §2.21.2). Where the responder itself has refused, there is nothing to tell.
    static func after(
        _ fault: PeerFault, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard case .closeSession(let notify, let refusal) = fault.dispositionBeforeAuthentication else {
            return .closed(.failed(.malformed(exchange: "IKE_AUTH", reason: "not understood")))
        }
        context.refuse(refusal, &turn)
        if case .refused = fault { return .closed(.failed(refusal)) }
        return start(.failed(refusal), keys, notifies: notify.map { [$0] } ?? [], context, &turn)
    }

    /// A sealed message came: the confirmation, or something that the peer asked before it knew.
    consuming func receive(
        _ message: SealedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        do throws(PeerFault) {
            let opened = try context.open(message, keys, arrival, &turn)
            if opened.header.isResponse {
                guard context.requests.isAnswered(by: opened.header.messageID, opened.header.exchange) else {
                    throw .unexpected("a response to nothing")
                }
                context.requests.close()
                return .closed(reason)
            }
            switch context.responses.judge(opened.header.messageID) {
            case .replay(let datagrams):
                context.repeatResponse(datagrams, opened.header.messageID, arrival, &turn)
            case .suspended, .stale, .future: throw .outsideWindow(opened.header.messageID)
            case .fresh: return answer(opened, arrival, context, &turn)
            }
        } catch {
            if case .ignore(let reason) = error.disposition { context.drop(reason, arrival, &turn) }
        }
        return .leaving(self)
    }

    /// The peer asks something while we leave. When it wants the same, both are done (RFC 7296 §2.25.2).
    private consuming func answer(
        _ request: OpenedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        context.responses.accept()
        let isInformational = request.header.exchange == .informational
        let payloads: [Payload] = isInformational ? [] : [.notify(NotifyPayload(.temporaryFailure))]
        context.respond(to: request.header, arrival, payloads, keys, &turn)
        let deletes = isInformational && request.payloads.contains { $0 == .delete(DeletePayload(.ikeSA)) }
        return deletes ? .closed(reason) : .leaving(self)
    }
}
