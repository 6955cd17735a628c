import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import StateRecords
import WireFormat

/// One IKE SA: a phase, and what all phases share.
///
/// It is confined to its endpoint's thread. It passes inputs to the phase, watches the clock, and cleans up once when the
/// phase says that it is over. It never finds its own messages: that is the endpoint's business.
final class IKESession {
    /// What all phases share.
    let context: SessionContext
    private var phase: Phase
    /// How far the phase was after the last input. What others ask for is this: an input holds the phase while it lasts.
    private var stage: Phase.Stage
    private var hasFinished = false
    private var registered: (local: Identity, remote: Identity)?

    /// What made it, when the peer did: to recognise the same request again, and to answer it in the same way.
    private(set) var initiation: Initiation?

    /// A peer's IKE_SA_INIT request and our answer.
    struct Initiation {
        /// What the request is recognised by.
        let key: InitiationKey
        /// The answer; empty when the peer has moved on.
        let response: [UInt8]
    }

    private init(_ context: SessionContext, _ phase: consuming Phase) {
        self.context = context
        stage = phase.stage
        self.phase = phase
    }

    /// An IKE SA that we start.
    static func initiating(_ context: SessionContext, _ turn: inout Turn) -> IKESession {
        let session = IKESession(context, PathSearch.start(context, &turn))
        session.settle(&turn)
        return session
    }

    /// An IKE SA that a peer starts; `isProven` when it has brought a cookie.
    static func responding(
        _ context: SessionContext, _ state: consuming HalfOpenResponder, _ key: InitiationKey, isProven: Bool,
        _ turn: inout Turn
    ) -> IKESession {
        let response = state.transcript.response
        context.timers.set(.halfOpen, to: turn.now + turn.configuration.limits.halfOpenTimeout)
        turn.tables.governor.opened(context.id, from: key.remote.address, isProven: isProven)
        let session = IKESession(context, .halfOpen(state))
        session.initiation = Initiation(key: key, response: response)
        session.settle(&turn)
        return session
    }

    /// An IKE SA in place of another, between two ends that know each other.
    static func replacing(_ context: SessionContext, _ keys: SessionKeys, _ turn: inout Turn) -> IKESession {
        let session = IKESession(context, .established(Established(keys: keys)))
        turn.expose(keys, context)
        context.establish(&turn)
        session.settle(&turn)
        return session
    }

    /// An IKE SA that another process has established.
    static func resuming(
        _ context: SessionContext, _ state: consuming Established, _ key: InitiationKey?
    ) -> IKESession {
        let session = IKESession(context, .established(state))
        session.initiation = key.map { Initiation(key: $0, response: []) }
        return session
    }

    /// Whether another process could go on from here: nothing is under way that needs secrets which stay here.
    var canBeHandedOver: Bool {
        phase.canBeHandedOver && context.question == nil && context.childRival == nil && context.ikeRival == nil
            && !context.awaitsContest && context.newcomers.isEmpty && context.pendingSPI == nil
            && context.redirects.order == nil
    }

    /// Appends all of it.
    func write(to writer: RecordWriter) {
        context.write(to: writer)
        phase.write(to: writer)
        writer.optional(initiation?.key)
        writer.list(context.children.all) { writer.uint32($0.protection) }
        context.writePrefixes(to: writer)
    }

    /// Whether it is neither established nor at its end.
    var isConnecting: Bool { stage == .connecting }

    /// Whether both have proved who they are.
    var isEstablished: Bool { stage == .established }

    /// Whether it is over.
    var isOver: Bool { stage == .over }

    /// A message came that is addressed to it.
    func receive(_ message: ReceivedMessage, _ arrival: Arrival, _ turn: inout Turn) {
        switch message {
        case .clear(let message): phase.receive(message, arrival, context, &turn)
        case .sealed(let message): phase.receive(message, arrival, context, &turn)
        }
        settle(&turn)
    }

    /// Its question was answered.
    func answer(_ ticket: Ticket, _ answer: Answer, _ turn: inout Turn) {
        if context.sideQuestion?.ticket == ticket {
            context.sideAnswered(answer, &turn)
            phase.proceed(context, &turn)
        } else if context.question == ticket {
            // Its number went with the answer.
            context.question = nil
            phase.answer(answer, context, &turn)
        }
        settle(&turn)
    }

    /// Time has passed.
    func deadline(_ turn: inout Turn) {
        while !hasFinished, phase.stage != .over, let timer = context.timers.popDue(turn.now) {
            switch timer {
            case .retransmission:
                if let refusal = context.retransmit(&turn) { phase.gaveUp(refusal, context, &turn) }
            case .halfOpen:
                let waited = turn.now - context.created
                let refusal =
                    phase.awaitsFirstAuth
                    ? Refusal.notGoneOn(context.path, waited: waited)
                    : .noAnswer(exchange: "IKE_AUTH", path: context.path, tries: 1, waited: waited)
                context.refuse(refusal, &turn)
                phase.abandon(.failed(refusal))
            case .answer: phase.answerOverdue(context, &turn)
            case .sideAnswer: context.sideAnswered(nil, &turn)
            case .reassembly: context.reassembly = Reassembly()
            case .followup: phase.followupOverdue(context, &turn)
            case .liveness: context.livenessDue(&turn)
            case .reauthentication: context.reauthenticationDue(&turn)
            case .ikeRekey: context.agenda.add(.rekeyIKESA)
            case .ikeExpiry: context.agenda.add(.deleteIKESA(context.isReplaced ? .replaced : .expired))
            case .childExpiry(let child): context.childExpired(child)
            case .childInactivity(let child): context.useDue(child, &turn)
            case .childRekey(let child): context.agenda.add(.rekeyChild(child))
            case .childCreation: context.takeUpPostponed()
            }
            phase.proceed(context, &turn)
        }
        settle(&turn)
    }

    /// It has inherited something to do.
    func resume(_ turn: inout Turn) {
        phase.proceed(context, &turn)
        settle(&turn)
    }

    /// The machine's addresses are others now, without those that are lost.
    func addressesChanged(lost: [IPAddress], _ turn: inout Turn) {
        context.addressesChanged(lost: lost, &turn)
        phase.proceed(context, &turn)
        settle(&turn)
    }

    /// Something is to be done when its turn comes.
    func intend(_ intent: Intent, _ turn: inout Turn) {
        context.agenda.add(intent)
        phase.proceed(context, &turn)
        settle(&turn)
    }

    /// A Child SA's lifetime ends, since it has carried all that it may.
    func expire(_ child: ChildSAID, _ turn: inout Turn) {
        context.childExpired(child)
        phase.proceed(context, &turn)
        settle(&turn)
    }

    /// Brings children up: now when it is established, else with it. Those that are up already are left alone.
    func want(_ children: [String], _ turn: inout Turn) {
        guard isEstablished else {
            var wanted = context.wanted
            for name in children where !wanted.contains(name) { wanted.append(name) }
            context.wanted = wanted
            return
        }
        for name in children where !context.children.hasLive(named: name) {
            context.agenda.add(.createChild(name))
        }
        phase.proceed(context, &turn)
        settle(&turn)
    }

    /// It is to end; the peer is told.
    func leave(_ reason: Event.CloseReason, _ turn: inout Turn) {
        phase.leave(reason, context, &turn)
        settle(&turn)
    }

    /// It ends; the peer is not told, since it knows nothing of it any more.
    func abandon(_ reason: Event.CloseReason, _ turn: inout Turn) {
        phase.abandon(reason)
        settle(&turn)
    }

    /// It is half open, and others need its place more.
    func giveWay(_ turn: inout Turn) {
        let refusal = Refusal.tooManyHalfOpen(context.path, ofAddress: false)
        context.refuse(refusal, &turn)
        abandon(.failed(refusal), &turn)
    }

    /// The plane says that the peer sends from somewhere else.
    func follow(_ path: Path, _ turn: inout Turn) {
        guard isEstablished else { return }
        context.followNAT(path, &turn)
        settle(&turn)
    }

    // MARK: After each input

    private func settle(_ turn: inout Turn) {
        guard !hasFinished else { return }
        let stage = phase.stage
        self.stage = stage
        if stage != .connecting, initiation?.response.isEmpty == false {
            initiation = initiation.map { Initiation(key: $0.key, response: []) }
            turn.tables.governor.closed(context.id)
        }
        if stage == .established, registered == nil, let local = context.localIdentity,
            let remote = context.provenIdentity
        {
            registered = (local, remote)
            turn.tables.enter(context.id, local: local, remote: remote)
        }
        if stage == .over, let reason = phase.closeReason {
            finish(reason, &turn)
        } else {
            context.timers.set(.retransmission, to: context.requests.deadline)
        }
    }

    /// Takes everything back that it has taken.
    private func finish(_ reason: Event.CloseReason, _ turn: inout Turn) {
        hasFinished = true
        revival = context.revival(after: reason, now: turn.now)
        context.settleQuestion(&turn)
        context.settleSideQuestion(&turn)
        if let rival = context.ikeRival?.session {
            // It never came to be more than a try.
            rival.abandon(reason, &turn)
            context.announce(rival)
            context.ikeRival = nil
        }
        for child in context.children.all {
            let template = child.agreement.template
            let action = reason == .peerDead ? template.dpdAction : template.closeAction
            context.leaveTrap(child, reason, &turn)
            context.removeChild(
                child.id, .ikeSAEnded, staysBlocked: context.reauthentication.isBreaking || reason.staysBlocked(action),
                &turn)
        }
        context.giveUpAddresses(&turn)
        context.closeEAP(&turn)
        for spi in context.heldSPIs { turn.tables.spis.release(spi) }
        context.heldSPIs = []
        context.stopKeepingAlive(&turn)
        if let registered { turn.tables.leave(context.id, local: registered.local, remote: registered.remote) }
        context.timers = DeadlineList()
        context.enter(.destroying, &turn)
        context.publish(.ikeClosed(reason), &turn)
    }

    /// The children that are to be brought up again by another IKE SA.
    private(set) var revival: Revival?
}

/// What a peer's IKE_SA_INIT request is recognised by when it comes again: where from, the SPI, and every octet of it.
struct InitiationKey: Hashable, Recorded {
    /// Where it came from.
    let remote: Endpoint
    /// The initiator's SPI.
    let spi: UInt64
    private let digest: [UInt8]

    func hash(into hasher: inout Hasher) {
        hasher.combine(spi)
        hasher.combine(octets: digest)
    }

    func write(to writer: RecordWriter) {
        writer.put(remote)
        writer.uint64(spi)
        writer.octets(digest)
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        remote = try reader.value()
        spi = try reader.uint64("SPI")
        digest = try reader.octets("digest")
    }

    /// The key of a request.
    init(_ arrival: Arrival, spi: UInt64) {
        remote = arrival.path.remote
        self.spi = spi
        digest = Digest.sha256(arrival.bytes.span)
    }
}
