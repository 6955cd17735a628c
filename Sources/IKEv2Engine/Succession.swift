import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto

/// The peer's replacement of an IKE SA that we replace at the same time.
struct IKERival {
    /// The peer's replacement; it has nothing to carry until the contest is decided.
    let session: IKESession
    /// Both nonces of the peer's exchange.
    let nonces: [[UInt8]]
}

/// One IKE SA in place of another: what the new one inherits, and what becomes of the old one (RFC 7296 §2.8, §2.18).
extension SessionContext {
    /// How long the end of an IKE SA that the peer ought to close is waited for.
    static let successionPause = Interval.seconds(60)

    /// What all states of the new IKE SA share. Message IDs begin at 0 again, at both ends.
    func successor(
        isInitiator: Bool, initiatorSPI: UInt64, responderSPI: UInt64, _ algorithms: Proposal, _ turn: inout Turn
    ) -> SessionContext {
        let next = SessionContext(
            id: turn.tables.newIKESAID(), isInitiator: isInitiator, connection: configured, path: path,
            socket: socket, initiatorSPI: initiatorSPI, responderSPI: responderSPI, turn)
        next.responses = ResponseWindow(expecting: 0)
        next.nat = nat
        next.peerTakesFragments = peerTakesFragments
        next.encapsulation = encapsulation
        next.peerIsStrongSwan = peerIsStrongSwan
        next.localIdentity = localIdentity
        next.remoteIdentity = remoteIdentity
        next.eap.peer = eap.peer
        next.origin = origin
        next.remoteCertificate = remoteCertificate
        next.algorithms = algorithms
        next.reauthentication = reauthentication
        next.mobility = mobility
        next.redirects = redirects
        // Whoever was to be replaced by it was replaced by its predecessor.
        next.isUnique = true
        return next
    }

    /// Our replacement is agreed on.
    func replaceIKESA(_ next: IKESession, nonces: [[UInt8]], _ turn: inout Turn) {
        announce(next)
        guard !isReplaced else {
            // The peer uses its own already.
            next.context.isReplaced = true
            next.context.agenda.add(.deleteIKESA(.replaced))
            return
        }
        guard let rival = ikeRival, !rival.session.isOver else {
            ikeRival = nil
            handOver(to: next, &turn)
            agenda.add(.deleteIKESA(.replaced))
            return
        }
        ikeRival = nil
        if RekeyContest(ours: nonces, theirs: rival.nonces).oursStays {
            handOver(to: next, &turn)
            agenda.add(.deleteIKESA(.replaced))
            // The peer closes its own; should it never have had our answer, we do.
            rival.session.context.isReplaced = true
            rival.session.context.awaitsContest = false
            rival.session.context.timers.set(.ikeExpiry, to: turn.now + Self.successionPause)
            announce(rival.session)
        } else {
            next.context.isReplaced = true
            next.context.agenda.add(.deleteIKESA(.replaced))
            handOver(to: rival.session, &turn)
            timers.set(.ikeExpiry, to: turn.now + Self.successionPause)
        }
    }

    /// The peer's replacement is agreed on: it takes over, unless our own is under way as well.
    func ikeSAReplaced(by next: IKESession, contest nonces: [[UInt8]]?, _ turn: inout Turn) {
        if let nonces {
            next.context.awaitsContest = true
            next.context.predecessor = self
            ikeRival = IKERival(session: next, nonces: nonces)
            announce(next)
        } else {
            handOver(to: next, &turn)
            timers.set(.ikeExpiry, to: turn.now + Self.successionPause)
        }
    }

    /// Our replacement came to nothing.
    func ikeSANotReplaced(_ error: NotifyType?, _ turn: inout Turn) {
        guard !isReplaced, !succeedRival(&turn) else {
            timers.set(.ikeExpiry, to: turn.now + Self.successionPause)
            return
        }
        enter(.established, &turn)
        if error == .noAdditionalSAs {
            // A peer that never replaces an IKE SA will not do so later: a new one, from the start (RFC 7296 §1.3).
            reauthenticationDue(&turn)
            return
        }
        let pause = Self.rekeyPause + Self.rekeyPause.scaled(by: turn.environment.entropy.fraction())
        timers.set(.ikeRekey, to: turn.now + pause)
    }

    /// The peer has decided for this one before we could.
    func winContest(_ turn: inout Turn) {
        awaitsContest = false
        // It lives, since a message came to it; its phase may not be asked while it takes that in.
        guard let old = predecessor, let rival = old.ikeRival else { return }
        old.ikeRival = nil
        old.handOver(to: rival.session, &turn)
        old.timers.set(.ikeExpiry, to: turn.now + Self.successionPause)
        newcomers = newcomers + old.takeNewcomers()
    }

    /// Whether the peer was heard on its own replacement later than here.
    var rivalIsAlive: Bool { ikeRival.map { $0.session.context.lastHeard > lastHeard } ?? false }

    /// Nothing will come of our own replacement; the peer's takes over, if there is one.
    func succeedRival(_ turn: inout Turn) -> Bool {
        guard let rival = ikeRival, !rival.session.isOver else { return false }
        ikeRival = nil
        handOver(to: rival.session, &turn)
        return true
    }

    /// The endpoint has to look at this IKE SA.
    func announce(_ session: IKESession) { newcomers = newcomers + [session] }

    /// Takes out the IKE SAs that the endpoint has to look at.
    func takeNewcomers() -> [IKESession] {
        defer { newcomers = [] }
        return newcomers
    }

    /// Everything that outlives the IKE SA goes to its successor.
    private func handOver(to session: IKESession, _ turn: inout Turn) {
        let next = session.context
        next.awaitsContest = false
        isReplaced = true
        successor = session
        if !newcomers.contains(where: { $0 === session }) { announce(session) }
        for child in children.all {
            next.children.add(child)
            // Sooner than it was meant to be, when limits or a failure have put it so.
            let planned = timers.deadline(of: .childRekey(child.id))
            timers.remove(.childExpiry(child.id))
            timers.remove(.childRekey(child.id))
            next.timers.set(.childInactivity(child.id), to: timers.deadline(of: .childInactivity(child.id)))
            timers.remove(.childInactivity(child.id))
            next.timers.set(.childExpiry(child.id), to: child.expires)
            let soonest = turn.now + Self.rekeyPause
            next.timers.set(
                .childRekey(child.id),
                to: child.state == .installed
                    ? Instant.earlier(planned, child.rekeyDue).map { max($0, soonest) } : nil)
        }
        children = ChildTable()
        if let pendingSPI { giveBackSPI(pendingSPI, &turn) }
        handAddresses(to: next)
        switch sideQuestion?.subject {
        case .path?:
            settleSideQuestion(&turn)
            next.searchPath(&turn)
        case .childUse(let child)?: next.timers.set(.childInactivity(child), to: turn.now + Self.rekeyPause)
        case .lastUse?, nil: break
        }
        next.heldSPIs = next.heldSPIs + heldSPIs
        heldSPIs = []
        next.wanted = next.wanted + wanted
        wanted = []
        for intent in agenda.intents where !intent.endsWithIKESA { next.agenda.add(intent) }
        agenda.drop { if case .deleteIKESA = $0 { false } else { true } }
        handReauthentication(to: next)
        postponed.handOver(to: &next.postponed)
        next.takeUpPostponed()
        timers.remove(.childCreation)
        timers.remove(.ikeRekey)
        enter(.rekeyed, &turn)
    }
    /// What has been begun is the successor's: it ends then, so that another can be made, and this one is only replaced.
    private func handReauthentication(to next: SessionContext) {
        next.reauthentication.isUnderWay = reauthentication.isUnderWay
        next.reauthentication.isBreaking = reauthentication.isBreaking
        guard reauthentication.isBreaking else { return }
        reauthentication.isBreaking = false
        agenda.drop { $0 == .deleteIKESA(.replaced) }
        next.agenda.add(.deleteIKESA(.replaced))
    }
}
