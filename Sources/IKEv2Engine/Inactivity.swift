import Clockwork
import GatewayModel
import IKECore
import NetworkTypes

/// Child SAs that nobody uses: closed after `inactivity` without a packet in either direction.
///
/// It owns when the plane is asked about packets. The IKE SA stays, and a packet that meets a trap, or the peer, brings the
/// child up again.
extension SessionContext {
    /// How soon it is asked again when somebody else's question is under way.
    private static let questionPause = Interval.seconds(1)

    /// A Child SA is up: its time begins, when it was installed, or when somebody took it over.
    func watchUse(of child: ChildSA, since start: Instant? = nil) {
        let limit = child.agreement.template.inactivity
        guard limit > .zero, child.state == .installed else { return }
        timers.set(.childInactivity(child.id), to: (start ?? child.installed) + limit)
    }

    /// A Child SA may have been without packets for too long: the plane knows.
    func useDue(_ id: ChildSAID, _ turn: inout Turn) {
        guard let child = children.child(id), child.state == .installed || child.state == .rekeying else { return }
        guard sideQuestion == nil else {
            timers.set(.childInactivity(id), to: turn.now + Self.questionPause)
            return
        }
        askAside(
            .lastUse(inbound: [child.agreement.inboundSPI], outbound: [child.agreement.outboundSPI]),
            about: .childUse(id), &turn)
    }

    /// The plane has said when a Child SA last carried a packet; nil for never.
    func used(_ id: ChildSAID, _ last: Instant?, _ turn: inout Turn) {
        guard let child = children.child(id), child.state == .installed || child.state == .rekeying else { return }
        // What the plane's clock says of the future counts as now.
        let quiet = max(child.installed, min(last ?? child.installed, turn.now))
        let due = quiet + child.agreement.template.inactivity
        if due > turn.now {
            timers.set(.childInactivity(id), to: due)
        } else if child.state == .rekeying {
            // Its replacement has a time of its own.
            timers.set(.childInactivity(id), to: turn.now + child.agreement.template.inactivity)
        } else {
            agenda.add(.deleteChild(id, .inactive))
        }
    }
}
