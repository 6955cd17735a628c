public import Clockwork
import EAPEngine
public import GatewayModel
public import IKECore
public import NetworkTypes

/// A gateway as RADIUS sees it: the network access server (NAS) that asks whom to let in, tells who came and went, and
/// ends sessions when it is told to (RFC 2865, 2866, 3579, 5176).
///
/// It owns conversations, sessions and requests, and what follows from each for the others. It never blocks: questions,
/// datagrams, events and the time go in, an ordered list of effects comes out. Nothing of it depends on the order of a
/// hash table.
public struct NetworkAccessServer: Sendable {
    /// What an SA's direction has carried; nil when there is no such SA.
    public typealias Meter = (SecurityAssociation.Direction, UInt32) -> SACounters?

    /// One thing that is to be done.
    public enum Effect: Sendable {
        /// Send this from this socket to its server.
        case send([UInt8], RADIUSClient.Lane)
        /// A question of the engine's is answered.
        case answer(Ticket, EAPStep)
        /// This IKE SA is to end.
        case terminate(IKESAID)
        /// Send this back to somebody who asked from outside.
        case reply([UInt8], to: Path)
        /// Something that an operator wants to know: one sentence without its full stop.
        case note(String)
    }

    enum Purpose: Sendable {
        case conversation(EAPQuestion.Conversation, Ticket)
        case report(IKESAID, AccountedSession.Report)
    }

    enum Timer: Hashable, Sendable {
        case interim(IKESAID)
        case end(IKESAID)
    }

    var settings: RADIUSSettings
    private let prefix: String
    private let unixTime: @Sendable () -> Int64
    var client: RADIUSClient
    private var relay: EAPRelay
    private var outside: DynamicAuthorization?
    var purposes: [UInt64: Purpose] = [:]
    /// The request that a conversation waits for.
    private var awaited: [EAPQuestion.Conversation: UInt64] = [:]
    private var lastRequest: UInt64 = 0
    /// What servers have allowed IKE SAs that are not established yet.
    private var allowed: [IKESAID: (authorization: Authorization, name: [UInt8])] = [:]
    var sessions: [IKESAID: AccountedSession] = [:]
    /// Which session an IKE SA carries.
    var owners: [IKESAID: IKESAID] = [:]
    /// Which session a Child SA belongs to.
    var childOwners: [ChildSAID: IKESAID] = [:]
    var timers = DeadlineQueue<Timer>()

    /// A NAS with these servers. `unixTime` gives the time of day in seconds since 1970.
    public init(_ settings: RADIUSSettings, unixTime: @escaping @Sendable () -> Int64) {
        self.settings = settings
        self.unixTime = unixTime
        prefix = String(unixTime(), radix: 16)
        client = RADIUSClient(settings)
        relay = EAPRelay(settings, sessionPrefix: prefix)
        outside = settings.dynamicAuthorization.map { DynamicAuthorization($0, settings.servers) }
    }

    /// Takes over other settings. Sessions stay; what is under way to servers comes to nothing.
    public mutating func configure(
        _ next: RADIUSSettings, _ now: Instant, _ effects: inout [Effect]
    ) {
        guard next != settings else { return }
        settings = next
        client = RADIUSClient(next)
        relay = EAPRelay(next, sessionPrefix: prefix)
        outside = next.dynamicAuthorization.map { DynamicAuthorization($0, next.servers) }
        let open = purposes.sorted { $0.key < $1.key }
        purposes = [:]
        awaited = [:]
        for (_, purpose) in open {
            guard case .conversation(_, let ticket) = purpose else { continue }
            effects.append(.answer(ticket, .failure([], .noServer("the RADIUS servers were configured anew"))))
        }
    }

    /// When ``deadlineReached(_:_:_:_:)`` has something to do.
    public var nextDeadline: Instant? {
        guard let first = client.nextDeadline else { return timers.earliest }
        return min(first, timers.earliest ?? first)
    }

    /// What it holds, to see that nothing leaks: conversations, requests, sessions.
    public var counts: (conversations: Int, requests: Int, sessions: Int) {
        (relay.count, client.count, sessions.count)
    }

    // MARK: The engine's questions

    /// Takes the next step of an EAP conversation; the answer comes as an effect, now or later.
    public mutating func ask(
        _ question: EAPQuestion, _ ticket: Ticket, _ now: Instant, _ entropy: inout some Entropy,
        _ effects: inout [Effect]
    ) {
        switch relay.step(question, &entropy) {
        case .answer(let step): effects.append(.answer(ticket, step))
        case .request(let attributes, let server):
            lastRequest += 1
            purposes[lastRequest] = .conversation(question.conversation, ticket)
            awaited[question.conversation] = lastRequest
            submit(.authentication, attributes, to: server, now, &entropy, &effects)
        }
    }

    /// Nobody will ask for this conversation any more; a request for it is not sent again.
    public mutating func forget(_ conversation: EAPQuestion.Conversation) {
        relay.forget(conversation)
        guard let id = awaited.removeValue(forKey: conversation) else { return }
        purposes[id] = nil
        client.cancel(id)
    }

    private mutating func submit(
        _ service: RADIUSClient.Service, _ attributes: [RADIUSAttribute], to server: Int?, _ now: Instant,
        _ entropy: inout some Entropy, _ effects: inout [Effect]
    ) {
        var made: [RADIUSClient.Effect] = []
        client.submit(lastRequest, service, attributes, to: server, now, &entropy, &made)
        obey(made, now, &entropy, &effects)
    }

    // MARK: The network

    /// A datagram came from `source` to the socket of this lane.
    public mutating func receive(
        _ octets: [UInt8], from source: Endpoint, over lane: RADIUSClient.Lane, _ now: Instant,
        _ entropy: inout some Entropy, _ effects: inout [Effect]
    ) {
        var made: [RADIUSClient.Effect] = []
        client.receive(octets, from: source, over: lane, now, &entropy, &made)
        obey(made, now, &entropy, &effects)
    }

    /// Time has passed.
    public mutating func deadlineReached(
        _ now: Instant, _ meter: Meter, _ entropy: inout some Entropy, _ effects: inout [Effect]
    ) {
        var made: [RADIUSClient.Effect] = []
        client.deadlineReached(now, &entropy, &made)
        obey(made, now, &entropy, &effects)
        while let due = timers.popDue(now) {
            switch due {
            case .interim(let origin):
                report(origin, .interim, meter, now, &entropy, &effects)
                scheduleInterim(origin, now)
            case .end(let origin):
                guard let session = sessions[origin] else { continue }
                effects.append(
                    .note("the time that the RADIUS server gave the session of \(Self.text(session.userName)) is over"))
                end(origin, .sessionTimeout, &effects)
            }
        }
    }

    private mutating func obey(
        _ made: [RADIUSClient.Effect], _ now: Instant, _ entropy: inout some Entropy, _ effects: inout [Effect]
    ) {
        for effect in made {
            switch effect {
            case .send(let octets, let lane): effects.append(.send(octets, lane))
            case .dropped(let lane, let reason):
                let name = settings.servers[lane.server].name
                effects.append(.note("dropped what came from the RADIUS server '\(name)': \(reason)"))
            case .changed(let server, let service, let isSilent):
                let name = settings.servers[server].name
                let what = service == .authentication ? "RADIUS server" : "RADIUS accounting server"
                effects.append(
                    .note(isSilent ? "\(what) '\(name)' does not answer" : "\(what) '\(name)' answers again"))
            case .answered(let id, let packet, let authenticator, let server):
                guard case .conversation(let conversation, let ticket)? = purposes.removeValue(forKey: id) else {
                    continue
                }
                awaited[conversation] = nil
                guard
                    let taken = relay.take(
                        packet, for: conversation, server: server, client.proof(of: server),
                        requestAuthenticator: authenticator)
                else { continue }
                if let authorization = taken.authorization, case .success(_, let outcome) = taken.step {
                    allowed[conversation.ikeSA] = (authorization, outcome.identity?.eapName ?? [])
                }
                effects.append(.answer(ticket, taken.step))
            case .failed(let id, let reason):
                switch purposes.removeValue(forKey: id) {
                case .conversation(let conversation, let ticket):
                    awaited[conversation] = nil
                    effects.append(.answer(ticket, relay.failed(conversation, .noServer(reason))))
                    if settings.closesAll { endAll(&effects) }
                case .report(let origin, let report): reportFailed(origin, report, reason, &effects)
                case nil: continue
                }
            }
        }
    }

    // MARK: Sessions

    /// An IKE SA is up, or has taken the place of one that was.
    public mutating func established(
        _ summary: IKESASummary, _ meter: Meter, _ now: Instant, _ entropy: inout some Entropy,
        _ effects: inout [Effect]
    ) {
        let origin = summary.origin
        if sessions[origin] != nil {
            sessions[origin]?.members.insert(summary.id)
            owners[summary.id] = origin
            return
        }
        let authorized = allowed.removeValue(forKey: summary.id)
        guard !summary.isInitiator, summary.id == origin, settings.accounts || authorized != nil else { return }
        let identity = summary.remoteEAPIdentity ?? summary.remoteIdentity
        var session = AccountedSession(
            station: Station(
                origin: origin, sessionID: "\(prefix)-\(origin)", connection: summary.connection, path: summary.path),
            userName: authorized?.authorization.userName ?? authorized?.name ?? identity?.eapName ?? [],
            addresses: summary.remoteVirtualAddresses, authorization: authorized?.authorization, began: now,
            members: [summary.id])
        session.ends = authorized?.authorization.sessionTimeout.map { now + $0 }
        timers.set(.end(origin), to: session.ends)
        sessions[origin] = session
        owners[summary.id] = origin
        guard settings.accounts, !settings.accountsAddressedOnly || !session.addresses.isEmpty else { return }
        sessions[origin]?.isTold = true
        report(origin, .start, meter, now, &entropy, &effects)
        scheduleInterim(origin, now)
    }

    /// An IKE SA is gone.
    public mutating func closed(
        _ id: IKESAID, _ reason: Event.CloseReason, _ meter: Meter, _ now: Instant, _ entropy: inout some Entropy,
        _ effects: inout [Effect]
    ) {
        allowed[id] = nil
        guard let origin = owners.removeValue(forKey: id) else { return }
        sessions[origin]?.members.remove(id)
        guard let session = sessions[origin], session.members.isEmpty else { return }
        report(origin, .stop(session.cause ?? TerminateCause(reason)), meter, now, &entropy, &effects)
        timers.remove(.interim(origin))
        timers.remove(.end(origin))
        for child in session.children.keys { childOwners[child] = nil }
        sessions[origin] = nil
    }

    /// A Child SA is up.
    public mutating func installed(_ child: ChildSASummary, of id: IKESAID) {
        guard let origin = owners[id] else { return }
        childOwners[child.id] = origin
        sessions[origin]?.children[child.id] = AccountedSession.Child(
            inbound: child.inboundSPI, outbound: child.outboundSPI)
    }

    /// A Child SA's direction is about to go, having carried this.
    public mutating func removing(
        _ direction: SecurityAssociation.Direction, of child: ChildSAID, _ counters: SACounters
    ) {
        guard let origin = childOwners[child], var session = sessions[origin], var known = session.children[child]
        else { return }
        switch direction {
        case .inbound:
            guard known.inbound != nil else { return }
            known.inbound = nil
        case .outbound:
            guard known.outbound != nil else { return }
            known.outbound = nil
        }
        session.carried.add(direction, counters)
        session.children[child] = known
        if known.inbound == nil, known.outbound == nil {
            session.children[child] = nil
            childOwners[child] = nil
        }
        sessions[origin] = session
    }

    private mutating func scheduleInterim(_ origin: IKESAID, _ now: Instant) {
        guard let session = sessions[origin], session.isTold else { return }
        let interval = session.authorization?.interimInterval ?? settings.interimInterval
        timers.set(.interim(origin), to: interval > .zero ? now + interval : nil)
    }

    private mutating func report(
        _ origin: IKESAID, _ report: AccountedSession.Report, _ meter: Meter, _ now: Instant,
        _ entropy: inout some Entropy, _ effects: inout [Effect]
    ) {
        guard let session = sessions[origin], session.isTold, settings.accounts else { return }
        let attributes = session.attributes(report, settings, session.usage(meter), now, unixTime: unixTime())
        tell(origin, report, attributes, now, &entropy, &effects)
    }

    /// Sends a report to whichever server takes it.
    mutating func tell(
        _ origin: IKESAID, _ report: AccountedSession.Report, _ attributes: [RADIUSAttribute], _ now: Instant,
        _ entropy: inout some Entropy, _ effects: inout [Effect]
    ) {
        lastRequest += 1
        purposes[lastRequest] = .report(origin, report)
        submit(.accounting, attributes, to: nil, now, &entropy, &effects)
    }

    private mutating func reportFailed(
        _ origin: IKESAID, _ report: AccountedSession.Report, _ reason: String, _ effects: inout [Effect]
    ) {
        let name = sessions[origin].map { " of \(Self.text($0.userName))" } ?? ""
        effects.append(.note("nobody took the accounting report on the session\(name): \(reason)"))
        guard report == .interim, settings.closesUnaccounted else { return }
        if settings.closesAll { endAll(&effects) } else { end(origin, .nasError, &effects) }
    }

    private mutating func end(_ origin: IKESAID, _ cause: TerminateCause, _ effects: inout [Effect]) {
        guard let session = sessions[origin] else { return }
        sessions[origin]?.cause = cause
        for id in session.members.sorted() { effects.append(.terminate(id)) }
    }

    private mutating func endAll(_ effects: inout [Effect]) {
        effects.append(.note("all sessions end, since no RADIUS server answers (close_all_on_timeout)"))
        for origin in sessions.keys.sorted() { end(origin, .nasError, &effects) }
    }

    // MARK: Requests from outside

    /// A datagram came to the port for requests from outside.
    public mutating func receiveRequest(
        _ octets: [UInt8], along path: Path, _ now: Instant, _ effects: inout [Effect]
    ) {
        switch outside?.judge(octets, from: path.remote, now, unixTime: unixTime()) {
        case nil: return
        case .drop(let reason):
            effects.append(.note("dropped a request from \(path.remote) to the RADIUS port for requests: \(reason)"))
        case .again(let answer): effects.append(.reply(answer, to: path))
        case .request(let request):
            let refusal = perform(request, path, now, &effects)
            if let answer = outside?.answer(refusal, to: request, from: path.remote, now) {
                effects.append(.reply(answer, to: path))
            }
        }
    }

    private mutating func perform(
        _ request: RADIUSPacket, _ path: Path, _ now: Instant, _ effects: inout [Effect]
    ) -> DynamicAuthorization.ErrorCause? {
        if let objection = DynamicAuthorization.objection(to: request, settings) {
            effects.append(.note("refused a \(request.code) from \(path.remote.address): \(objection.words)"))
            return objection
        }
        let concerned = sessions.filter { DynamicAuthorization.concerns(request, $0.value, settings) }.keys.sorted()
        guard !concerned.isEmpty else {
            effects.append(.note("a \(request.code) from \(path.remote.address) names no session that there is"))
            return .sessionNotFound
        }
        for origin in concerned {
            let name = sessions[origin].map { Self.text($0.userName) } ?? ""
            if request.code == .disconnectRequest {
                effects.append(.note("\(path.remote.address) ends the session of \(name) (Disconnect-Request)"))
                end(origin, .adminReset, &effects)
                continue
            }
            effects.append(.note("\(path.remote.address) changes the session of \(name) (CoA-Request)"))
            if let seconds = request.first(.sessionTimeout)?.number {
                sessions[origin]?.ends = now + .seconds(Int64(seconds))
                timers.set(.end(origin), to: sessions[origin]?.ends)
            }
            if let seconds = request.first(.acctInterimInterval)?.number {
                let interval = max(.seconds(Int64(seconds)), Authorization.shortestInterim)
                var authorization = sessions[origin]?.authorization ?? Authorization()
                authorization.interimInterval = interval
                sessions[origin]?.authorization = authorization
                scheduleInterim(origin, now)
            }
        }
        return nil
    }

    private static func text(_ name: [UInt8]) -> String { "'\(Identity.keyID(name))'" }
}

extension DynamicAuthorization.ErrorCause {
    /// One clause.
    fileprivate var words: String {
        switch self {
        case .unsupportedAttribute: "it asks for something that is not done here"
        case .missingAttribute: "it does not say whom it is about, or holds neither Event-Timestamp nor Acct-Session-Id"
        case .nasMismatch: "it is meant for another NAS"
        case .invalidRequest: "one of its values is malformed"
        case .unsupportedService: "it wants another service"
        case .sessionNotFound: "there is no such session"
        }
    }
}
