import GatewayModel
import Telemetry
import ViciServer

/// Commands whose outcome is still to come: who waits, and for what.
///
/// It owns the waiting. It learns outcomes from the same events that everybody reads, and never asks the engine.
struct PendingCommands {
    /// What an initiation waits for.
    private struct Initiation {
        var ticket: ViciTicket
        var connection: String
        /// Children that are not installed yet; empty from the start when the IKE SA is enough.
        var missing: Set<String>
        var needsIKESA: Bool
        /// IKE SAs whose failure or end says nothing about it: those that are leaving, and the peer's own attempts.
        var others: Set<IKESAID>
        var failure: String?
    }

    /// What a termination waits for.
    private struct Termination {
        var ticket: ViciTicket
        var ikeSAs: Set<IKESAID>
        var children: Set<ChildSAID>
        var matches: Int
    }

    private var initiations: [Initiation] = []
    private var terminations: [Termination] = []

    /// Whether anybody waits for anything.
    var isWaiting: Bool { !initiations.isEmpty || !terminations.isEmpty }

    /// Whether anybody waits for something to come up.
    var isInitiating: Bool { !initiations.isEmpty }

    /// Waits until these children are installed, or the IKE SA is up when there are none. What becomes of the `others`
    /// of the connection's IKE SAs does not matter.
    mutating func wait(
        _ ticket: ViciTicket, connection: String, children: Set<String>, others: Set<IKESAID> = []
    ) {
        initiations.append(
            Initiation(
                ticket: ticket, connection: connection, missing: children, needsIKESA: children.isEmpty,
                others: others))
    }

    /// Lets the failure or end of this IKE SA not matter to those who wait for its connection.
    mutating func disregard(_ id: IKESAID, of connection: String) {
        for index in initiations.indices where initiations[index].connection == connection {
            initiations[index].others.insert(id)
        }
    }

    /// Waits until these SAs are gone.
    mutating func wait(_ ticket: ViciTicket, ikeSAs: Set<IKESAID>, children: Set<ChildSAID>) {
        terminations.append(
            Termination(
                ticket: ticket, ikeSAs: ikeSAs, children: children,
                matches: ikeSAs.isEmpty ? children.count : ikeSAs.count))
    }

    /// Who wants to read about this event.
    func listeners(_ event: Event) -> [ViciTicket] {
        guard isWaiting else { return [] }
        let starting = matching(event).filter { !isOther(event, $0) }.map { initiations[$0].ticket }
        let ending = terminations.filter { waiting in event.ikeSA.map { waiting.ikeSAs.contains($0) } ?? false }
        return starting + ending.map(\.ticket)
    }

    /// Takes an event in; returns the commands that it ends.
    mutating func settle(_ event: Event) -> [(ViciTicket, ViciOutcome)] {
        guard isWaiting else { return [] }
        switch event.kind {
        case .ikeEstablished:
            for index in matching(event) { initiations[index].needsIKESA = false }
        case .childInstalled(let child):
            for index in matching(event) {
                initiations[index].missing.remove(child.name)
                initiations[index].needsIKESA = false
            }
        case .refused(let refusal, let child):
            for index in matching(event) where !isOther(event, index) {
                guard child.map({ initiations[index].missing.contains($0) }) ?? true else { continue }
                let diagnosis = Diagnosis(refusal, child: child)
                initiations[index].failure = "\(diagnosis.code): \(diagnosis.text)"
            }
        case .redirected(let redirection, byUs: false) where redirection.moment == .authentication:
            // Another gateway is asked: the end of this IKE SA is not the end of it.
            if let id = event.ikeSA, let connection = event.connection { disregard(id, of: connection) }
            return []
        case .ikeClosed(let reason):
            for index in matching(event) where initiations[index].failure == nil && !isOther(event, index) {
                initiations[index].failure = "the IKE SA was closed: \(EventText.describe(reason))"
            }
            for index in terminations.indices {
                if let id = event.ikeSA { terminations[index].ikeSAs.remove(id) }
            }
        case .childClosed(let child, _):
            for index in terminations.indices { terminations[index].children.remove(child.id) }
        default: return []
        }
        return takeSettled()
    }

    private func matching(_ event: Event) -> [Int] {
        initiations.indices.filter { initiations[$0].connection == event.connection }
    }

    private func isOther(_ event: Event, _ index: Int) -> Bool {
        event.ikeSA.map { initiations[index].others.contains($0) } ?? false
    }

    private mutating func takeSettled() -> [(ViciTicket, ViciOutcome)] {
        var settled: [(ViciTicket, ViciOutcome)] = []
        initiations.removeAll { waiting in
            if let failure = waiting.failure {
                settled.append((waiting.ticket, .failure(failure)))
            } else if waiting.missing.isEmpty && !waiting.needsIKESA {
                settled.append((waiting.ticket, .success))
            } else {
                return false
            }
            return true
        }
        terminations.removeAll { waiting in
            guard waiting.ikeSAs.isEmpty, waiting.children.isEmpty else { return false }
            settled.append((waiting.ticket, .terminated(waiting.matches, of: waiting.matches)))
            return true
        }
        return settled
    }
}
