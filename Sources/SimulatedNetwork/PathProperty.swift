import GatewayModel
import IKECore
import NetworkTypes

/// Without faults, packets leave from an address that their sender has, for one that their receiver has, whatever either
/// end's addresses were before (RFC 4555).
///
/// It owns nothing but the pairs.
final class PathProperty: Property {
    let name = "packets find their way"

    private let pairs: [Scenario.Pair]

    init(pairs: [Scenario.Pair]) { self.pairs = pairs }

    func handled(_ moment: Moment, _ report: inout Report) {}

    func reached(_ stage: Stage, _ simulation: Simulation, _ report: inout Report) {
        guard stage == .triedAgain else { return }
        for pair in pairs {
            let ends = [simulation.hosts[pair.left], simulation.hosts[pair.right]]
            for (host, peer) in [(ends[0], ends[1]), (ends[1], ends[0])] { check(host, peer, simulation, &report) }
        }
    }

    /// Whether packets to this address come to `host`, perhaps by a box.
    private func leads(to host: SimulatedHost, _ address: IPAddress, _ simulation: Simulation) -> Bool {
        let box = simulation.boxes.first { $0.outside == address }
        return host.canUse(box?.inside ?? address)
    }

    private func check(_ host: SimulatedHost, _ peer: SimulatedHost, _ simulation: Simulation, _ report: inout Report) {
        for (child, policy) in host.plane.orderedPolicies {
            guard let path = host.plane.outbound(child, policy.spi)?.path else { continue }
            if !host.canUse(path.local.address) {
                report.violation(name, host, "Child SA \(child) sends from \(path.local), which is gone")
            }
            if !leads(to: peer, path.remote.address, simulation) {
                report.violation(name, host, "Child SA \(child) sends to \(path.remote), where \(peer.name) is not")
            }
        }
    }
}
