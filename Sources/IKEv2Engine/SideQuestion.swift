import Clockwork
import GatewayModel
import IKECore

/// A question beside whatever the phase asks: an answer to it may come late, or never, and nothing waits for it.
///
/// An IKE SA has at most one; a new one takes its place.
struct SideQuestion {
    /// What is wanted.
    enum Subject {
        /// When the last packet of the peer's came.
        case lastUse
        /// When a Child SA last carried a packet.
        case childUse(ChildSAID)
        /// Which way leads to the peer now.
        case path
    }

    /// Its number.
    let ticket: Ticket
    /// What is wanted.
    let subject: Subject
}

extension SessionContext {
    /// Asks by the way.
    func askAside(_ query: Query, about subject: SideQuestion.Subject, _ turn: inout Turn) {
        settleSideQuestion(&turn)
        let ticket = turn.tables.newTicket(for: id)
        sideQuestion = SideQuestion(ticket: ticket, subject: subject)
        timers.set(.sideAnswer, to: turn.now + turn.configuration.limits.answerTimeout)
        turn.effects.append(.ask(ticket, query))
    }

    /// The side question was answered; nil when it was not answered in time.
    func sideAnswered(_ answer: Answer?, _ turn: inout Turn) {
        guard let subject = sideQuestion?.subject else { return }
        settleSideQuestion(&turn)
        switch subject {
        case .lastUse:
            if case .lastUse(let last)? = answer { trafficSeen(last, &turn) } else { trafficSeen(nil, &turn) }
        case .childUse(let child):
            if case .lastUse(let last)? = answer { used(child, last, &turn) } else { used(child, turn.now, &turn) }
        case .path: pathFound(answer ?? .noPath("no answer"), &turn)
        }
    }

    /// Nobody waits for its answer any more.
    func settleSideQuestion(_ turn: inout Turn) {
        if let sideQuestion { turn.tables.forget(sideQuestion.ticket) }
        sideQuestion = nil
        timers.remove(.sideAnswer)
    }
}
