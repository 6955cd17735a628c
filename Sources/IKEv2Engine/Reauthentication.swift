import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes

/// When both ends have to prove again who they are, and how far that is (RFC 7296 §2.8.3, RFC 4478).
///
/// Only the end that started the first IKE SA does it: by a new one with the same Child SAs. A rekeyed IKE SA inherits all
/// of this, since no rekeying proves anything anew.
struct Reauthentication {
    /// Whether it is ours to do.
    let isOurs: Bool
    /// When it is due; nil for never.
    var due: Instant?
    /// When the proof is worth nothing any more; nil for never.
    var expires: Instant?
    /// Whether a new IKE SA is on its way to take this one's place.
    var isUnderWay = false
    /// Whether the endpoint has to start that one.
    var wantsSuccessor = false
    /// Whether this IKE SA ends first, and another one is made then.
    var isBreaking = false
    /// Whether this IKE SA is the new one.
    var isSuccessor = false
    /// Virtual addresses that the old one has: they are asked for again.
    var addresses: [IPAddress] = []
    /// IPv6 prefixes that the old one has.
    var prefixes: [IPPrefix] = []
}

extension SessionContext {
    /// How long after a failure it is tried again.
    static let reauthenticationPause = Interval.seconds(20)
    /// The shortest lifetime that a peer may give us: less would keep us busy with nothing else.
    static let shortestLifetime = Interval.seconds(5)

    /// Both have proved who they are, or the IKE SA has inherited that.
    func scheduleReauthentication(_ turn: inout Turn) {
        let time = connection.reauthTime
        if time > .zero, reauthentication.expires == nil {
            if reauthentication.isOurs {
                let due = turn.moment(in: time, less: connection.randTime)
                reauthentication.due = Instant.earlier(due, reauthentication.due)
            }
            if connection.overTime > .zero { reauthentication.expires = turn.now + time + connection.overTime }
        }
        setReauthenticationTimers()
    }

    private func setReauthenticationTimers() {
        timers.set(.reauthentication, to: reauthentication.due)
        timers.set(.ikeExpiry, to: Instant.earlier(timers.deadline(of: .ikeExpiry), reauthentication.expires))
    }

    /// What a responder tells about how long its trust lasts (RFC 4478 §2).
    var lifetimeNotifies: [NotifyPayload] {
        var lifetime = connection.reauthTime
        if let other = eap.lifetime, other > .zero, lifetime <= .zero || other < lifetime { lifetime = other }
        guard lifetime > .zero else { return [] }
        let seconds = UInt32(clamping: lifetime.wholeSeconds)
        return [NotifyPayload(.authLifetime, (0..<4).reversed().map { UInt8(truncatingIfNeeded: seconds >> (8 * $0)) })]
    }

    /// What the peer tells about how long its trust lasts: we are to be earlier.
    func heedLifetime(_ notifies: [NotifyPayload], _ turn: inout Turn) {
        guard reauthentication.isOurs, let data = notifies.first(.authLifetime)?.data, data.count == 4 else { return }
        let seconds = data.reduce(Int64(0)) { $0 << 8 | Int64($1) }
        let lifetime = max(.seconds(seconds), Self.shortestLifetime)
        let latest = lifetime.scaled(by: 0.9)
        let due = turn.moment(in: latest, less: lifetime.scaled(by: 0.1))
        reauthentication.due = Instant.earlier(due, reauthentication.due)
        if established != nil { setReauthenticationTimers() }
    }

    /// It is due.
    func reauthenticationDue(_ turn: inout Turn) {
        guard !isReplaced, !reauthentication.isUnderWay, reauthentication.isOurs, !isToEnd else { return }
        reauthentication.isUnderWay = true
        if connection.makesBeforeBreaking {
            reauthentication.wantsSuccessor = true
        } else {
            reauthentication.isBreaking = true
            agenda.add(.deleteIKESA(.replaced))
        }
    }

    /// Whether its end is under way, or comes next: nothing new is begun on it, or in its place.
    var isToEnd: Bool {
        state == .deleting || agenda.intents.contains { if case .deleteIKESA = $0 { true } else { false } }
    }

    /// The Child SAs that the new IKE SA is to have, by name.
    var reauthenticatedChildren: [String] {
        var names: [String] = []
        for child in children.all where child.state != .rekeyed && child.state != .deleting {
            let name = child.agreement.template.name
            if !names.contains(name) { names.append(name) }
        }
        return names
    }
}

extension IKEv2Endpoint {
    /// Starts the new IKE SA of one that is to be authenticated anew, ends the old one of a new one that is up, and lets
    /// the old one try again when the new one came to nothing.
    func reauthenticate(_ session: IKESession, _ turn: inout Turn) {
        let context = session.context
        if context.reauthentication.wantsSuccessor {
            context.reauthentication.wantsSuccessor = false
            startSuccessor(of: session, &turn)
        }
        guard context.reauthentication.isSuccessor else { return }
        let olds = sessions(of: context.connection.name).filter { old in
            old.context.id != context.id && old.context.reauthentication.isUnderWay
                && !old.context.reauthentication.isSuccessor
        }
        if session.isEstablished {
            context.reauthentication.isSuccessor = false
            for old in olds {
                old.leave(.replaced, &turn)
                after(old, &turn)
            }
        } else if session.isOver {
            context.reauthentication.isSuccessor = false
            for old in olds where old.isEstablished {
                old.context.reauthentication.isUnderWay = false
                if old.context.reauthentication.due != nil {
                    old.context.timers.set(.reauthentication, to: turn.now + SessionContext.reauthenticationPause)
                }
                after(old, &turn)
            }
        }
    }

    private func startSuccessor(of session: IKESession, _ turn: inout Turn) {
        let old = session.context
        // With another configuration now, that is what the peer is to agree to.
        var connection = tables.directory.connection(named: old.connection.name) ?? old.connection
        if old.redirects.from != nil {
            // The gateway that serves us now.
            connection.remoteAddresses = old.connection.remoteAddresses
            connection.remote.identity = old.connection.remote.identity
        }
        let context = SessionContext(
            id: tables.newIKESAID(), isInitiator: true, connection: ConfiguredConnection(connection), path: old.path,
            socket: .plain, initiatorSPI: newSPI(&turn), responderSPI: 0, turn)
        context.wanted = old.reauthenticatedChildren.filter { connection.child(named: $0) != nil }
        context.redirects = old.redirects
        context.reauthentication.isSuccessor = true
        context.reauthentication.addresses = old.assignment.settings?.addresses ?? []
        context.reauthentication.prefixes = old.assignment.settings?.prefixes ?? []
        enter(IKESession.initiating(context, &turn), &turn)
    }
}
