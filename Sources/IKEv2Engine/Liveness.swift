import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes

/// Asks whether the peer lives (RFC 7296 §2.4): an empty request, and any authentic answer will do.
struct Probe: Exchange {
    var type: ExchangeType { .informational }
    var payloads: [Payload] { [] }

    func complete(
        _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> NextStep {
        context.publish(.peerAlive, &turn)
        return .done
    }
}

extension SessionContext {
    /// The peer may have been silent for too long.
    func livenessDue(_ turn: inout Turn) {
        let due = lastHeard + connection.dpdDelay
        if due <= turn.now {
            // A request that is under way asks the same question.
            if requests.inFlight == nil { agenda.add(.probe) }
            timers.set(.liveness, to: turn.now + connection.dpdDelay)
        } else {
            timers.set(.liveness, to: due)
        }
    }
}
