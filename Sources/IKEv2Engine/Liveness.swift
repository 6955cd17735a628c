import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes

/// Asks whether the peer lives (RFC 7296 §2.4): an empty request, and any authentic answer will do.
struct Probe: Exchange {
    /// How the request is repeated.
    let schedule: RetransmissionSchedule?

    /// Repeated as the connection says.
    init(_ connection: Connection) { schedule = connection.livenessSchedule }

    var type: ExchangeType { .informational }
    var activity: Activity { .none }
    var payloads: [Payload] { [] }
    var remainder: Remainder? { .probe }

    func complete(
        _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> NextStep {
        context.publish(.peerAlive, &turn)
        return .done
    }
}

extension Connection {
    /// With `dpd_interval`, liveness requests go out at fixed distances, `dpd_tries` in all; else as any other request.
    var livenessSchedule: RetransmissionSchedule? {
        guard dpdInterval > .zero else { return nil }
        return RetransmissionSchedule(tries: max(dpdTries, 1) - 1, timeout: dpdInterval, base: 1)
    }

    /// When a peer that was last heard at `instant` is to be asked; nil for never.
    func livenessDue(since instant: Instant) -> Instant? { dpdDelay > .zero ? instant + dpdDelay : nil }
}

/// Silence: the peer is asked only when neither IKE nor ESP of it came for as long as `dpd_delay` (RFC 7296 §2.4).
extension SessionContext {
    /// Another process goes on with it, and may have another configuration.
    func watchLiveness() {
        let known = connection.dpdDelay > .zero ? timers.deadline(of: .liveness) : nil
        timers.set(.liveness, to: known ?? connection.livenessDue(since: lastHeard))
    }

    /// The peer may have been silent for too long.
    func livenessDue(_ turn: inout Turn) {
        // Without a delay, what is due would be due again at once, for ever.
        guard let due = connection.livenessDue(since: lastHeard) else { return }
        guard due <= turn.now else {
            timers.set(.liveness, to: due)
            return
        }
        timers.set(.liveness, to: turn.now + connection.dpdDelay)
        // A request that is under way asks the same question.
        guard requests.inFlight == nil else { return }
        let spis = children.all.map(\.agreement.inboundSPI)
        if spis.isEmpty || sideQuestion != nil {
            agenda.add(.probe)
        } else {
            askAside(.lastUse(inbound: spis), about: .lastUse, &turn)
        }
    }

    /// The plane has said when the last authentic packet of the peer's came; nil for never, or when it does not know.
    func trafficSeen(_ last: Instant?, _ turn: inout Turn) {
        // A clock of the plane's that is ahead of ours proves no more than a packet that came now.
        lastHeard = max(lastHeard, min(last ?? lastHeard, turn.now))
        guard let due = connection.livenessDue(since: lastHeard) else { return }
        if due > turn.now {
            timers.set(.liveness, to: due)
        } else if requests.inFlight == nil {
            agenda.add(.probe)
        }
    }
}
