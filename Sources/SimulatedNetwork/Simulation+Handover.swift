import Clockwork
import GatewayModel
public import IKECore
import WireFormat

/// An engine from whose state another one can go on.
public protocol HandoverEngine: SimulatedEngine {
    /// Begins nothing any more.
    func comeToRest()
    /// Whether nothing is under way that only it can finish.
    var isAtRest: Bool { get }
    /// Nobody goes on from its state: it does.
    func resumeWork(_ environment: inout Environment, _ effects: inout Effects)
    /// The engine that goes on from its state; throws what is wrong with that.
    func successor(
        _ configuration: Configuration, _ environment: inout Environment, _ effects: inout Effects
    ) throws -> any SimulatedEngine
}

/// One process in place of another, at any moment between two events.
extension Simulation {
    /// How often it is looked whether a host has come to rest.
    private static let pause = Interval.milliseconds(20)

    func beginHandover(of host: SimulatedHost, _ patience: Interval) {
        guard let engine = host.engine as? any HandoverEngine else { return }
        trace.note(now, host.name, "is to be handed over")
        engine.comeToRest()
        goOnWithHandover(of: host, until: now + patience)
    }

    func goOnWithHandover(of host: SimulatedHost, until end: Instant) {
        guard let engine = host.engine as? any HandoverEngine else { return }
        if engine.isAtRest {
            handOver(host, engine)
        } else if now < end {
            schedule(
                .lookWhetherAtRest(host: host.index, incarnation: host.incarnation, until: end),
                at: now + Self.pause)
        } else {
            trace.note(now, host.name, "is not handed over")
            let sent = withEffects(of: host) { environment, effects in engine.resumeWork(&environment, &effects) }
            for effect in sent { perform(effect, of: host) }
        }
    }

    private func handOver(_ host: SimulatedHost, _ engine: any HandoverEngine) {
        trace.note(now, host.name, "is handed over")
        let before = engine.summaries()
        var failure: String?
        let effects = withEffects(of: host) { environment, effects in
            do {
                host.engine = try engine.successor(host.configuration, &environment, &effects)
            } catch {
                failure = "\(error)"
            }
        }
        if let failure {
            report.violation("handover", host, "its state can't be taken over: \(failure)")
            return
        }
        // Answers that are on their way, and mappings that are kept alive, were the former process's.
        host.incarnation += 1
        host.plane.changeHands()
        host.summaries = host.engine.summaries()
        compare(before, host)
        for effect in effects { perform(effect, of: host) }
        handovers += 1
    }

    private func compare(_ before: [IKESASummary], _ host: SimulatedHost) {
        for summary in before {
            guard let now = host.summaries.first(where: { $0.id == summary.id }) else {
                report.violation("handover", host, "IKE SA \(summary.id) is lost")
                continue
            }
            let isSame =
                now.initiatorSPI == summary.initiatorSPI && now.responderSPI == summary.responderSPI
                && now.path == summary.path && now.established == summary.established
                && now.remoteIdentity == summary.remoteIdentity && now.algorithms == summary.algorithms
                && now.localVirtualAddresses == summary.localVirtualAddresses
                && now.children.map(\.inboundSPI) == summary.children.map(\.inboundSPI)
                && now.children.map(\.outboundSPI) == summary.children.map(\.outboundSPI)
                && now.children.map(\.remoteSelectors) == summary.children.map(\.remoteSelectors)
            if !isSame { report.violation("handover", host, "IKE SA \(summary.id) is another one: \(now)") }
        }
    }

    private func withEffects(
        of host: SimulatedHost, _ body: (inout Environment, inout Effects) -> Void
    ) -> [Effect] {
        var environment = Environment(now: now + host.clockLead, entropy: host.entropy)
        var effects = Effects()
        body(&environment, &effects)
        host.entropy = environment.entropy
        host.summaries = host.engine.summaries()
        return effects.take()
    }
}
