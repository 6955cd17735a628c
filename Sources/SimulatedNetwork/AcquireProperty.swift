import Clockwork
import GatewayModel
import IKECore

/// Packets that want a child that does not come up do not start it again and again.
final class AcquireProperty: Property {
    let name = "acquires are bounded"

    private struct Key: Hashable {
        var host: Int
        var connection: String
    }

    /// So many tries may follow from packets within so much time, by the host's own clock.
    private static let (most, window) = (5, Interval.seconds(20))

    private var tries: [Key: [Instant]] = [:]

    func handled(_ moment: Moment, _ report: inout Report) {
        // What came up starts from the beginning.
        for case .publish(let event) in moment.effects {
            guard case .childInstalled = event.kind, let connection = event.connection else { continue }
            tries[Key(host: moment.host.index, connection: connection)] = nil
        }
        guard case .plane(.acquire(let connection, _)) = moment.input, moment.startsSomething else { return }
        let key = Key(host: moment.host.index, connection: connection)
        let now = moment.time + moment.host.clockLead
        let recent = tries[key, default: []].filter { now - $0 < Self.window } + [now]
        tries[key] = recent
        if recent.count > Self.most {
            report.violation(
                name, moment.host, "packets started \(connection) \(recent.count) times in \(Self.window)")
        }
    }

    func restarted(_ host: SimulatedHost, _ report: inout Report) {
        tries = tries.filter { $0.key.host != host.index }
    }
}

extension Moment {
    /// Whether a new IKE SA came of it.
    var startsSomething: Bool {
        effects.contains { if case .ask(_, .path) = $0 { true } else { false } }
    }
}
