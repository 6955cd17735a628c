import Clockwork
import GatewayModel
import IKECore

/// A Child SA that has carried as much as its limits say is replaced when the network lets that happen, and one that has
/// carried all that it may is gone.
final class VolumeProperty: Property {
    let name = "volume"

    /// What each host was told, and not seen to do yet.
    private var told: [Int: [ChildSAID: VolumeMark]] = [:]

    func handled(_ moment: Moment, _ report: inout Report) {
        let host = moment.host.index
        if case .plane(.volumeReached(let child, let mark)) = moment.input { told[host, default: [:]][child] = mark }
        guard var open = told[host] else { return }
        let known = moment.after.flatMap { $0.children }
        for child in open.keys.sorted() where !known.contains(where: { $0.id == child }) { open[child] = nil }
        told[host] = open
    }

    func restarted(_ host: SimulatedHost, _ report: inout Report) { told[host.index] = nil }

    func reached(_ stage: Stage, _ simulation: Simulation, _ report: inout Report) {
        guard stage == .settled else { return }
        for host in simulation.hosts {
            for (child, mark) in (told[host.index] ?? [:]).sorted(by: { $0.key < $1.key }) {
                let text = mark == .soft ? "as much as its limits say" : "all that it may"
                report.violation(name, host, "Child SA \(child) has carried \(text), and is still there")
            }
        }
    }
}
