import GatewayModel
import IKECore

/// Every address that a gateway lends it gives back once, and when everything is over it has lent none.
final class LeaseProperty: Property {
    let name = "leases"

    private var lent: [Int: [Lease]] = [:]

    func handled(_ moment: Moment, _ report: inout Report) {
        let host = moment.host.index
        for effect in moment.effects {
            switch effect {
            case .publish(let event):
                if case .leased(let lease) = event.kind { lent[host, default: []].append(lease) }
            case .release(let lease):
                if let place = lent[host]?.firstIndex(of: lease) {
                    lent[host]?.remove(at: place)
                } else if case .answer = moment.input {
                    // It came too late to be lent.
                } else {
                    report.violation(name, moment.host, "gives back \(lease.addresses), which it has not lent")
                }
            default: break
            }
        }
    }

    func restarted(_ host: SimulatedHost, _ report: inout Report) { lent[host.index] = nil }

    func reached(_ stage: Stage, _ simulation: Simulation, _ report: inout Report) {
        guard stage == .over else { return }
        for host in simulation.hosts {
            for lease in lent[host.index] ?? [] {
                report.violation(name, host, "never gave back \(lease.addresses)")
            }
        }
    }
}
