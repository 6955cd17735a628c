import Clockwork
import GatewayModel
import IKECore
import IKEMessages

/// The peer's replacement of a Child SA that we replace at the same time.
struct ChildRival: Hashable {
    /// The Child SA that both replace.
    let old: ChildSAID
    /// The peer's replacement.
    let replacement: ChildSAID
    /// Both nonces of the peer's exchange.
    let nonces: [[UInt8]]
}

/// Replacing Child SAs: what becomes of the old one (RFC 7296 §2.8). The exchange itself is ``CreateChild``.
extension SessionContext {
    /// How long a rekeying that came to nothing is put off.
    static let rekeyPause = Interval.seconds(10)

    /// Our replacement of a Child SA is agreed on: both go on, the old one until the peer has confirmed its end.
    func replaceChild(
        _ old: ChildSAID, _ installation: ChildInstallation, nonces: [[UInt8]], _ turn: inout Turn
    ) {
        let rival = childRival.flatMap { $0.old == old ? $0 : nil }
        childRival = nil
        installation.installInbound(self, &turn)
        if let rival, !RekeyContest(ours: nonces, theirs: rival.nonces).oursStays {
            // The peer closes the old one, and we our own.
            installation.complete(self, takesOver: false, replacing: old, &turn)
            agenda.add(.deleteChild(installation.id, .replaced))
            return
        }
        installation.complete(self, replacing: old, &turn)
        if let rival { children.update(rival.replacement) { $0.state = .rekeyed } }
        // Who wants the old one closed does not want it to live on under another number; that it is used up, or was replaced
        // by the peer's before its time was over, is no such wish.
        if let reason = plannedEnd(of: old), reason != .expired, reason != .replaced {
            agenda.add(.deleteChild(installation.id, reason))
        }
        guard children.child(old) != nil else { return }
        children.update(old) { $0.state = .rekeyed }
        timers.remove(.childRekey(old))
        agenda.drop { if case .deleteChild(old, .expired) = $0 { true } else { false } }
        agenda.add(.deleteChild(old, .replaced))
    }

    /// The peer has replaced a Child SA, and closes it.
    func childReplaced(_ old: ChildSAID, _ rival: ChildRival?, _ turn: inout Turn) {
        if let rival { childRival = rival }
        children.update(old) { $0.state = .rekeyed }
        timers.remove(.childRekey(old))
        agenda.drop { $0 == .rekeyChild(old) }
    }

    /// Our replacement of a Child SA came to nothing.
    func childNotReplaced(_ old: ChildSAID, _ error: NotifyType?, _ turn: inout Turn) {
        childRival = nil
        guard let child = children.child(old), child.state == .rekeying else { return }
        children.update(old) { $0.state = .installed }
        switch error {
        case .childSANotFound?:
            // The peer does not know it any more: packets into it are lost (RFC 7296 §2.25).
            removeChild(old, .byPeer, staysBlocked: true, &turn)
            agenda.add(.createChild(child.agreement.template.name))
        case .noAdditionalSAs?:
            // The peer never replaces a Child SA: this one serves until its lifetime ends.
            break
        default:
            let pause = Self.rekeyPause + Self.rekeyPause.scaled(by: turn.environment.entropy.fraction())
            timers.set(.childRekey(old), to: turn.now + pause)
        }
    }

    /// A Child SA's lifetime ends.
    func childExpired(_ id: ChildSAID) {
        guard let child = children.child(id) else { return }
        agenda.add(.deleteChild(id, child.state == .rekeyed ? .replaced : .expired))
    }
}
