import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes

/// An IKE SA on which both ends have proved who they are.
///
/// It owns the keys and the one exchange of ours that is under way. What exchanges mean is written beside each of them.
struct Established: ~Copyable {
    let keys: SessionKeys
    private var active: (any Exchange)?
    /// The peer's exchange that waits for additional key exchanges.
    var followup: FollowupResponder?

    /// Nothing is under way.
    init(keys: SessionKeys) {
        keys.settle()
        self.keys = keys
        active = nil
        followup = nil
    }

    /// Another process has begun this exchange, or none.
    init(keys: SessionKeys, goingOnWith exchange: (any Exchange)?) {
        self.init(keys: keys)
        active = exchange
    }

    /// Whether another process could go on from here: what is under way has to do without secrets that stay here.
    var canBeHandedOver: Bool { followup == nil && (active.map { $0.remainder != nil } ?? true) }

    /// What the exchange that is under way comes to; nil when none is.
    var remainder: Remainder? { active?.remainder }

    /// Takes up the next intent, when no request of ours is under way.
    consuming func proceed(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        while !turn.tables.isHandingOver, context.requests.isFree, let intent = context.agenda.next() {
            if case .deleteIKESA(let reason) = intent { return Leaving.start(reason, keys, context, &turn) }
            guard let exchange = intent.exchange(context, &turn) else { continue }
            begin(exchange, context, &turn)
        }
        // Message IDs never wrap (RFC 7296 §2.2).
        if context.requests.nextID == nil, context.requests.inFlight == nil { return .closed(.expired) }
        return .established(self)
    }

    private mutating func begin(_ exchange: any Exchange, _ context: SessionContext, _ turn: inout Turn) {
        guard context.request(exchange.type, exchange.payloads, keys, own: exchange.schedule, &turn) != nil else {
            return
        }
        active = exchange
        context.activity = exchange.activity
    }

    /// A sealed message came.
    consuming func receive(
        _ message: SealedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        if message.header.isResponse { return receiveResponse(message, arrival, context, &turn) }
        do throws(PeerFault) {
            let opened = try open(message, arrival, context, &turn)
            switch context.responses.judge(opened.header.messageID) {
            case .replay(let datagrams):
                context.repeatResponse(datagrams, opened.header.messageID, arrival, &turn)
                return .established(self)
            case .suspended, .stale, .future: throw .outsideWindow(opened.header.messageID)
            case .fresh:
                // Who uses one of two replacements has seen that it stays.
                if context.awaitsContest, !Self.closes(opened) { context.winContest(&turn) }
                context.followMessage(arrival.path, &turn)
                context.responses.accept()
                if let reason = try answer(opened, arrival, context, &turn) { return .closed(reason) }
            }
        } catch {
            return settle(error, message.header, arrival, context, &turn)
        }
        return proceed(context, &turn)
    }

    private static func closes(_ request: OpenedMessage) -> Bool {
        request.payloads.contains { $0 == .delete(DeletePayload(.ikeSA)) }
    }

    /// Opens a request. One that is authentic and breaks its grammar takes up its message ID like any other.
    private func open(
        _ message: SealedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> OpenedMessage {
        do throws(PeerFault) {
            return try context.open(message, keys, arrival, &turn)
        } catch {
            if case .ignore = error.disposition { throw error }
            let id = message.header.messageID
            switch context.responses.judge(id) {
            case .fresh: context.responses.accept()
            case .replay(let datagrams):
                context.repeatResponse(datagrams, id, arrival, &turn)
                throw .unexpected("a request that was answered")
            case .suspended, .stale, .future: throw .outsideWindow(id)
            }
            throw error
        }
    }

    /// What follows from a fault in a request.
    private consuming func settle(
        _ fault: PeerFault, _ header: IKEHeader, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        switch fault.disposition {
        case .ignore(let reason): context.drop(reason, arrival, &turn)
        case .answer(let notify): context.respond(to: header, arrival, [.notify(notify)], keys, &turn)
        case .abandonExchange(let refusal): context.refuse(refusal, &turn)
        case .closeSession(let notify, let refusal):
            context.refuse(refusal, &turn)
            context.respond(to: header, arrival, notify.map { [.notify($0)] } ?? [], keys, &turn)
            return .closed(.failed(refusal))
        }
        return .established(self)
    }

    /// Answers a fresh request.
    /// - Returns: Why the IKE SA ends with it; nil when it goes on.
    private mutating func answer(
        _ request: OpenedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> Event.CloseReason? {
        switch request.header.exchange {
        case .informational: return try answerInformational(request, arrival, context, &turn)
        case .createChildSA:
            forgetFollowup(context, &turn)
            let answer = try CreateChildResponder.answer(request, keys, context, &turn)
            answer.installation?.installInbound(context, &turn)
            if context.respond(to: request.header, arrival, answer.payloads, keys, &turn) {
                answer.complete(context, &turn)
                if let followup = answer.followup { keepFollowup(followup, context, &turn) }
            }
        case .ikeFollowupKE: try answerFollowup(request, arrival, context, &turn)
        default:
            // An exchange that was never negotiated; nothing in it can be meant for us.
            context.respond(to: request.header, arrival, [.notify(NotifyPayload(.invalidSyntax))], keys, &turn)
        }
        return nil
    }

    private borrowing func answerInformational(
        _ request: OpenedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> Event.CloseReason? {
        let parts: Informational
        do throws(GrammarError) {
            parts = try Informational(request)
        } catch {
            throw .malformed(.informational, error, isResponse: false)
        }
        if let fatal = parts.notifies.first(where: { $0.type == .authenticationFailed || $0.type == .invalidSyntax }) {
            context.respond(to: request.header, arrival, [], keys, &turn)
            let refusal = Refusal.byPeer(
                notify: fatal.type.rawValue, name: fatal.type.description, exchange: "IKE_AUTH",
                offer: context.offer(context.algorithms.map { [$0] } ?? []))
            context.refuse(refusal, &turn)
            return .failed(refusal)
        }
        if parts.deletesIKESA {
            // Who replaces it as well forgets about that, and takes what the peer has made (RFC 7296 §2.25.2).
            let isReplaced = context.isReplaced || context.succeedRival(&turn)
            context.enter(.deleting, &turn)
            context.respond(to: request.header, arrival, [], keys, &turn)
            return isReplaced ? .replaced : .byPeer
        }
        context.heedLifetime(parts.notifies, &turn)
        context.heedRedirect(parts.notifies, &turn)
        context.heedInvalidSPI(parts.notifies, &turn)
        var answer: [DeletePayload] = []
        for securityProtocol in [SecurityProtocol.esp, .ah] {
            var closed: [UInt32] = []
            for delete in parts.deletes {
                guard case .children(securityProtocol, let spis) = delete.target else { continue }
                closed += context.childrenDeleted(spis, securityProtocol, &turn)
            }
            if !closed.isEmpty { answer.append(DeletePayload(.children(securityProtocol, spis: closed))) }
        }
        let notifies = context.answerMobility(parts.notifies, arrival, &turn)
        let response = Informational(isResponse: true, deletes: answer, notifies: notifies)
        context.respond(to: request.header, arrival, response.payloads, keys, &turn)
        return nil
    }

    /// A response came.
    private consuming func receiveResponse(
        _ message: SealedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        guard context.requests.isAnswered(by: message.header.messageID, message.header.exchange),
            let exchange = active
        else {
            context.drop(.unexpected("a response to nothing"), arrival, &turn)
            return .established(self)
        }
        do throws(PeerFault) {
            let opened = try context.open(message, keys, arrival, &turn)
            context.takeWorkingPath(arrival, &turn)
            context.followMessage(arrival.path, &turn)
            context.requests.close()
            active = nil
            context.activity = .none
            if case .then(let next) = try exchange.complete(opened, keys, context, &turn) {
                begin(next, context, &turn)
            }
        } catch {
            switch error.disposition {
            case .ignore(let reason):
                context.drop(reason, arrival, &turn)
                return .established(self)
            case .answer: break
            case .abandonExchange(let refusal): context.refuse(refusal, &turn)
            case .closeSession(let notify, let refusal):
                context.requests.close()
                context.refuse(refusal, &turn)
                return Leaving.start(
                    .failed(refusal), keys, notifies: notify.map { [$0] } ?? [], context, &turn)
            }
        }
        return proceed(context, &turn)
    }
}
