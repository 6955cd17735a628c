import GatewayModel
import IKECore

/// Without faults a handshake takes four messages, two more for each cookie and each other key exchange group, and
/// nothing is sent twice.
final class CalmProperty: Property {
    let name = "four messages"

    private var datagrams = 0
    private var detours = 0
    private var established = 0
    private var isOver = false

    func sent(_ datagram: Datagram, by host: SimulatedHost, _ report: inout Report) { datagrams += 1 }

    func handled(_ moment: Moment, _ report: inout Report) {
        guard !isOver else { return }
        for case .publish(let event) in moment.effects {
            switch event.kind {
            case .cookieDemanded(byUs: true): detours += 1
            case .keyExchangeRetried: detours += 1
            case .ikeEstablished: established += 1
            case .retransmitted, .answeredAgain, .dropped, .refused:
                report.violation(name, moment.host, "happened without faults: \(event.kind)")
            default: break
            }
        }
    }

    func reached(_ stage: Stage, _ simulation: Simulation, _ report: inout Report) {
        guard stage == .settled else { return }
        isOver = true
        if established != 2 {
            report.violation(name, nil, "\(established) ends say that the IKE SA is established, not 2")
        }
        if detours > 2 { report.violation(name, nil, "\(detours) detours, at most 2 make sense") }
        if datagrams != 4 + 2 * detours {
            report.violation(name, nil, "\(datagrams) datagrams with \(detours) detours, not \(4 + 2 * detours)")
        }
    }
}

/// Where nothing is lost, what is doubled, late or out of order refuses nobody: the first try comes up and stays.
final class EchoProperty: Property {
    let name = "first try"

    private let pairs: [Scenario.Pair]
    private var isOver = false

    init(pairs: [Scenario.Pair]) { self.pairs = pairs }

    func handled(_ moment: Moment, _ report: inout Report) {
        guard !isOver else { return }
        for case .publish(let event) in moment.effects {
            // A half-open SA that a late copy of a first message made has no peer, and ends alone.
            guard let id = event.ikeSA, moment.before.first(where: { $0.id == id })?.isInitiator == true else {
                continue
            }
            switch event.kind {
            case .refused, .ikeClosed:
                report.violation(name, moment.host, "nothing was lost, and yet: \(event.kind)")
            default: break
            }
        }
    }

    func reached(_ stage: Stage, _ simulation: Simulation, _ report: inout Report) {
        guard stage == .settled else { return }
        isOver = true
        for pair in pairs {
            for host in [simulation.hosts[pair.left], simulation.hosts[pair.right]] {
                let children = host.summaries.filter { $0.connection == pair.connection }.flatMap { $0.children }
                if children.isEmpty { report.violation(name, host, "\(pair.connection) did not come up or stay up") }
            }
        }
    }
}
