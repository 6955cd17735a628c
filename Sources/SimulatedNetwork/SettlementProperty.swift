import Clockwork
import GatewayModel
import IKECore
import WireFormat

/// When the faults are over, both ends hold the same or both hold nothing; a tunnel can be brought up and carries
/// packets both ways; and when everything has been terminated, nothing is left behind.
final class SettlementProperty: Property {
    let name = "settlement"

    private let pairs: [Scenario.Pair]
    private var refusals: Set<String> = []

    init(pairs: [Scenario.Pair]) { self.pairs = pairs }

    func handled(_ moment: Moment, _ report: inout Report) {
        for case .publish(let event) in moment.effects {
            if case .refused = event.kind, let connection = event.connection { refusals.insert(connection) }
        }
    }

    func reached(_ stage: Stage, _ simulation: Simulation, _ report: inout Report) {
        switch stage {
        case .failurePeriodOver: checkNothingIsOneSided(simulation, &report)
        case .settled: checkAgreement(simulation, &report)
        case .triedAgain:
            checkAgreement(simulation, &report)
            for pair in pairs { checkTunnel(pair, simulation, &report) }
        case .terminated: checkClosed(simulation, &report)
        case .over: checkNothingLeft(simulation, &report)
        }
    }

    /// The first thing about which the ends of a pair disagree; nil when they agree.
    static func disagreement(_ pair: Scenario.Pair, _ simulation: Simulation) -> String? {
        disagreement(pair.connection, simulation.hosts[pair.left], simulation.hosts[pair.right])
    }

    /// Whether a pair that should have a tunnel has none at one of its ends.
    static func lacksTunnel(_ pair: Scenario.Pair, _ simulation: Simulation) -> Bool {
        guard case .works = pair.outcome else { return false }
        return [pair.left, pair.right].contains { index in
            simulation.hosts[index].summaries.allSatisfy {
                $0.connection != pair.connection || $0.children.isEmpty
            }
        }
    }

    /// The first thing about which two hosts disagree on a connection; nil when they agree.
    static func disagreement(_ connection: String, _ left: SimulatedHost, _ right: SimulatedHost) -> String? {
        let ours = left.summaries.filter { $0.connection == connection }
        let theirs = right.summaries.filter { $0.connection == connection }
        for (host, list) in [(left, ours), (right, theirs)] {
            for summary in list where summary.state != .established {
                return "\(host.name) has an IKE SA in state \(summary.state.rawValue)"
            }
            for summary in list {
                if let child = summary.children.first(where: { $0.state != .installed }) {
                    return "\(host.name) has a Child SA in state \(child.state.rawValue)"
                }
            }
        }
        for (host, list, peer, others) in [(left, ours, right, theirs), (right, theirs, left, ours)] {
            for summary in list {
                guard
                    let other = others.first(where: {
                        $0.initiatorSPI == summary.initiatorSPI && $0.responderSPI == summary.responderSPI
                    })
                else { return "\(host.name) has IKE SA \(Hex.encode(summary.initiatorSPI)), \(peer.name) has not" }
                if other.isInitiator == summary.isInitiator { return "both ends say that they started the IKE SA" }
                if other.algorithms != summary.algorithms { return "the ends chose different IKE algorithms" }
                if let text = childDisagreement(host, summary, peer, other) { return text }
            }
        }
        return nil
    }

    private static func childDisagreement(
        _ host: SimulatedHost, _ summary: IKESASummary, _ peer: SimulatedHost, _ other: IKESASummary
    ) -> String? {
        for child in summary.children {
            guard let mirror = other.children.first(where: { $0.outboundSPI == child.inboundSPI }) else {
                return
                    "\(host.name) receives with SPI \(Hex.encode(child.inboundSPI)), \(peer.name) has no such Child SA"
            }
            if mirror.inboundSPI != child.outboundSPI { return "the ends disagree on the SPIs of a Child SA" }
            if Set(mirror.localSelectors) != Set(child.remoteSelectors)
                || Set(mirror.remoteSelectors) != Set(child.localSelectors)
            {
                return "the ends disagree on the selectors of a Child SA"
            }
            if mirror.algorithms != child.algorithms { return "the ends chose different ESP algorithms" }
        }
        return nil
    }

    /// An SA that is up at one end is known at the other. What is still being set up or closed has until later.
    private func checkNothingIsOneSided(_ simulation: Simulation, _ report: inout Report) {
        for pair in pairs {
            let ends = [simulation.hosts[pair.left], simulation.hosts[pair.right]]
            for (host, peer) in [(ends[0], ends[1]), (ends[1], ends[0])] {
                let known = Set(peer.summaries.map(\.initiatorSPI))
                for summary in host.summaries
                where summary.connection == pair.connection && summary.state == .established
                    && !known.contains(summary.initiatorSPI)
                {
                    let spi = Hex.encode(summary.initiatorSPI)
                    report.violation(
                        name, host,
                        "\(pair.connection): holds IKE SA \(spi) a failure period after the faults, \(peer.name) has not"
                    )
                }
            }
        }
    }

    private func checkAgreement(_ simulation: Simulation, _ report: inout Report) {
        for pair in pairs {
            if let text = Self.disagreement(pair, simulation) {
                report.violation(name, nil, "\(pair.connection): \(text)")
            }
        }
    }

    private func checkTunnel(_ pair: Scenario.Pair, _ simulation: Simulation, _ report: inout Report) {
        let ends = [simulation.hosts[pair.left], simulation.hosts[pair.right]]
        switch pair.outcome {
        case .works:
            for (host, peer) in [(ends[0], ends[1]), (ends[1], ends[0])] {
                let children = host.summaries.filter { $0.connection == pair.connection }.flatMap { $0.children }
                if children.isEmpty {
                    report.violation(name, host, "\(pair.connection) has no Child SA without faults")
                }
                for child in children {
                    guard let policy = host.plane.policies[child.id],
                        let packet = simulation.packet(for: policy, of: child.id, at: host)
                    else {
                        report.violation(name, host, "Child SA \(child.id) does not protect anything")
                        continue
                    }
                    if let refusal = simulation.refusal(of: packet, at: peer) {
                        report.violation(name, peer, "does not accept a packet of \(host.name): \(refusal.rawValue)")
                    }
                }
            }
        case .neverEstablished, .neverAChild:
            if !refusals.contains(pair.connection) {
                report.violation(name, nil, "\(pair.connection) does not come up and nobody says why")
            }
        }
    }

    /// Nobody had to find out by silence: the peer was told.
    private func checkClosed(_ simulation: Simulation, _ report: inout Report) {
        for host in simulation.hosts {
            if let summary = host.summaries.first(where: { $0.state == .established }) {
                report.violation(
                    name, host, "IKE SA \(summary.id) is still established after everything was terminated")
            }
            if !host.plane.isEmpty { report.violation(name, host, "left in the plane: \(host.plane.summary)") }
        }
    }

    private func checkNothingLeft(_ simulation: Simulation, _ report: inout Report) {
        for host in simulation.hosts {
            let census = host.engine.census
            if !census.isEmpty { report.violation(name, host, "left behind: \(census)") }
            if !host.plane.isEmpty { report.violation(name, host, "left in the plane: \(host.plane.summary)") }
        }
    }
}
