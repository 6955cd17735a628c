import Clockwork
import GatewayModel
import IKECore

/// Whoever asks for a tunnel hears what became of it, in bounded time: it is up, or somebody refused.
final class CommandProperty: Property {
    let name = "commands end"

    private struct Pending {
        var host: Int
        var connection: String
        var asked: Instant
        var due: Instant
    }

    private struct Ended {
        var name: String?
    }

    private let bound: Interval
    private var pending: [Pending] = []

    /// `bound` is the longest that an initiation may take.
    init(bound: Interval) { self.bound = bound }

    func handled(_ moment: Moment, _ report: inout Report) {
        if let connection = Self.connection(moment) {
            pending.append(
                Pending(
                    host: moment.host.index, connection: connection, asked: moment.time, due: moment.time + bound))
        }
        guard !pending.isEmpty else { return }
        if let ended = Self.terminated(moment.input) {
            // Who ends what was being brought up need not be told that it did not come up.
            pending.removeAll { $0.host == moment.host.index && (ended.name == nil || ended.name == $0.connection) }
        }
        pending.removeAll { $0.host == moment.host.index && Self.hasEnded($0.connection, moment) }
        for late in pending where late.due < moment.time {
            report.violation(
                name, nil, "\(late.connection) was initiated by host \(late.host) at \(late.asked) without an outcome")
        }
    }

    func restarted(_ host: SimulatedHost, _ report: inout Report) {
        pending.removeAll { $0.host == host.index }
    }

    func reached(_ stage: Stage, _ simulation: Simulation, _ report: inout Report) {
        guard stage != .triedAgain else { return }
        for late in pending where late.due < simulation.now {
            report.violation(
                name, nil, "\(late.connection) was initiated by host \(late.host) at \(late.asked) without an outcome")
        }
    }

    private static func connection(_ moment: Moment) -> String? {
        switch moment.input {
        case .command(.initiate(let connection, _)): connection
        // A packet may be told to come again later.
        case .plane(.acquire(let connection, _)): moment.startsSomething ? connection : nil
        default: nil
        }
    }

    /// The connection that is ended, nil in it for all.
    private static func terminated(_ input: Input) -> Ended? {
        switch input {
        case .command(.terminate(.connection(let name))): Ended(name: name)
        case .command(.terminate(.child(_, let name))): Ended(name: name)
        case .command(.terminate(.ikeSA)), .command(.terminate(.childSA)), .command(.abandon), .command(.shutdown):
            Ended(name: nil)
        default: nil
        }
    }

    private static func hasEnded(_ connection: String, _ moment: Moment) -> Bool {
        for case .publish(let event) in moment.effects where event.connection == connection {
            switch event.kind {
            case .childInstalled, .childClosed, .ikeClosed, .refused: return true
            default: break
            }
        }
        return moment.after.contains { summary in
            summary.connection == connection && summary.children.contains { $0.state == .installed }
        }
    }
}
