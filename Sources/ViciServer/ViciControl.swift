public import Clockwork
import GatewayModel
import ViciMessages

/// The control protocol without its sockets: sessions, commands and events.
///
/// It owns the sessions and the commands whose outcome is still to come. It never waits, never reads a clock of its own
/// and never touches a socket, so that a test can drive it octet by octet.
public final class ViciControl {
    /// The number of a session, counted up, never reused.
    public struct SessionID: RawRepresentable, Hashable, Comparable, Sendable {
        /// The number.
        public let rawValue: UInt32
        /// The session with this number.
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// By number.
        public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    /// The most clients at once.
    public static let maximumSessions = 128

    private weak var handler: (any ViciHandler)?
    private var sessions: [SessionID: ViciSession] = [:] { didSet { present = sessions.count } }
    /// How many these are: asked at every message.
    private var present = 0
    private var order: [SessionID] = []
    private var awaiting: [ViciTicket: SessionID] = [:]
    private var lastSession: UInt32 = 0
    private var lastTicket: UInt64 = 0
    private var changed: [SessionID] = []

    /// A control protocol for `handler`, which has to outlive it to be of use.
    public init(handler: any ViciHandler) { self.handler = handler }

    // MARK: Clients

    /// Takes a client in; nil when there are too many. One that does nothing and waits for nothing makes room.
    public func open() -> SessionID? {
        if sessions.count >= Self.maximumSessions {
            guard let now = handler?.now, let idle = order.first(where: { sessions[$0]?.isIdle(at: now) ?? false })
            else { return nil }
            sessions[idle]?.fail("it did nothing, and others need the room")
            touch(idle)
        }
        lastSession &+= 1
        let id = SessionID(rawValue: lastSession)
        sessions[id] = ViciSession()
        order.append(id)
        return id
    }

    /// Forgets a client. What it asked for goes on.
    public func close(_ id: SessionID) {
        if case .awaiting(let ticket, _, _)? = sessions[id]?.activity { awaiting[ticket] = nil }
        sessions[id] = nil
        order.removeAll { $0 == id }
    }

    /// Octets from a client.
    public func receive(_ octets: some Collection<UInt8>, from id: SessionID) {
        guard let session = sessions[id] else { return }
        touch(id)
        for packet in session.receive(octets) {
            switch packet {
            case .request(let name, let arguments): session.postpone(name, arguments)
            case .register(let event), .unregister(let event):
                let isKnown = ViciCommands.events.contains(event)
                if isKnown {
                    if case .register = packet { session.register(event, true) } else { session.register(event, false) }
                }
                session.send(isKnown ? .confirmed : .unknownEvent)
            case .response, .unknownCommand, .confirmed, .unknownEvent, .event:
                session.fail("a client does not send such packets")
            }
            proceed(session, id)
        }
    }

    /// Lets `write` take octets that wait for a client; it returns how many it took.
    public func drain<Failure: Error>(
        _ id: SessionID, _ write: ([UInt8]) throws(Failure) -> Int
    ) throws(Failure) {
        guard let session = sessions[id] else { return }
        // A few rounds, so that one long listing leaves the thread to others; what is left goes when the socket is
        // found writable again.
        for _ in 0..<8 where session.pendingOutput > 0 {
            try session.drain(write)
            if session.pendingOutput > 0 { return }
            proceed(session, id)
        }
    }

    /// Octets that wait for a client.
    public func pendingOutput(_ id: SessionID) -> Int { sessions[id]?.pendingOutput ?? 0 }

    /// Why a client's connection is to be closed; nil while all is well.
    public func failure(_ id: SessionID) -> String? { sessions[id]?.failure }

    /// Clients with new output or a new failure since the last call, each once, in order.
    public func takeChanged() -> [SessionID] {
        defer { changed = [] }
        return changed
    }

    /// Clients.
    public var sessionCount: Int { present }

    private func touch(_ id: SessionID) { if !changed.contains(id) { changed.append(id) } }

    // MARK: Outcomes

    /// Tells the client how its command ended. A ticket that nobody waits for any more is passed over.
    public func complete(_ ticket: ViciTicket, _ outcome: ViciOutcome) {
        guard let id = awaiting.removeValue(forKey: ticket), let session = sessions[id] else { return }
        session.activity = .none
        session.send(.response(ViciReports.outcome(outcome)))
        touch(id)
        proceed(session, id)
    }

    /// Tells the client what happens on behalf of its command.
    public func log(_ ticket: ViciTicket, _ line: ViciLogLine) {
        guard let id = awaiting[ticket], let session = sessions[id],
            case .awaiting(_, _, let level) = session.activity, line.level <= level,
            session.isRegistered("control-log")
        else { return }
        session.send(.event("control-log", line.tree(thread: nil)))
        touch(id)
    }

    /// When ``expire()`` has something to do; nil when nothing is to be given up.
    public var nextDeadline: Instant? {
        order.compactMap { id in
            if case .awaiting(_, let deadline, _)? = sessions[id]?.activity { deadline } else { nil }
        }.min()
    }

    /// Answers the clients whose time is over. What they asked for goes on.
    public func expire() {
        guard let now = handler?.now else { return }
        for id in order {
            guard case .awaiting(let ticket, let deadline?, _)? = sessions[id]?.activity, deadline <= now else {
                continue
            }
            complete(ticket, .failure("not done in the time given; it goes on"))
        }
    }

    // MARK: Events

    /// Tells everybody who wants to know.
    public func publish(_ event: ViciEvent) {
        guard let handler else { return }
        var packet: ViciPacket?
        for id in order {
            guard let session = sessions[id], session.isRegistered(event.name) else { continue }
            let ready = packet ?? .event(event.name, event.tree(now: handler.now))
            packet = ready
            session.send(ready)
            touch(id)
        }
    }

    /// Whether anybody wants events of this name: what costs to make need not be made for nobody.
    public func hasListeners(_ event: String) -> Bool {
        present > 0 && sessions.values.contains { $0.isRegistered(event) }
    }

    // MARK: Commands

    private func proceed(_ session: ViciSession, _ id: SessionID) {
        if session.continueListing() { touch(id) }
        while let request = session.nextRequest() {
            carryOut(request.name, request.arguments, for: session, id)
            if session.continueListing() { touch(id) }
        }
        if session.failure != nil { touch(id) }
    }

    private func carryOut(_ name: String, _ arguments: ViciTree, for session: ViciSession, _ id: SessionID) {
        guard let handler else { return session.fail("the gateway stops") }
        session.lastRequest = handler.now
        // At the end: what the handler publishes meanwhile is written at once, and takes the note of us with it.
        defer { touch(id) }
        do throws(ViciCommands.Refusal) {
            switch name {
            case "version": session.send(.response(ViciReports.version(handler.version())))
            case "stats":
                session.send(
                    .response(ViciReports.statistics(handler.statistics(), unixTime: handler.unixTime)))
            case "reload-settings": session.send(.response(ViciReports.outcome(handler.reloadSettings())))
            case "get-algorithms": session.send(.response(ViciReports.algorithms(handler.algorithms())))
            case "list-conns": listConnections(handler, arguments, for: session)
            case "list-sas": listSAs(handler, try ViciCommands.Filter(arguments), for: session)
            case StatusReport.name: status(handler, for: session)
            case ViciCommands.recentLog:
                list(handler.recentLog(), for: session, event: ViciCommands.recentLog) { $0.tree(thread: nil) }
            case ViciCommands.restart:
                let ticket = begin(session, id, .untilDone, arguments)
                handler.restart(ticket: ticket)
            case ViciCommands.restarted:
                let report = handler.restartReport()
                session.send(.response(ViciTree { tree in for (name, value) in report { tree.set(name, value) } }))
            case "initiate":
                let request = try ViciCommands.initiation(arguments)
                let ticket = begin(session, id, request.wait, arguments)
                handler.initiate(request, ticket: ticket)
            case "terminate":
                let request = try ViciCommands.termination(arguments)
                let ticket = begin(session, id, request.wait, arguments)
                handler.terminate(request, ticket: ticket)
            case "rekey":
                let target = try ViciCommands.rekeying(arguments)
                let isAnew = try ViciCommands.wantsReauthentication(arguments, target)
                let outcome = isAnew ? handler.reauthenticate(target) : handler.rekey(target)
                session.send(.response(ViciReports.outcome(outcome)))
            default:
                if let answer = try ViciStoreCommands.answer(name, arguments, handler) {
                    session.send(.response(answer))
                } else if let listing = ViciListings.events(name, arguments, handler) {
                    list(listing.messages, for: session, event: listing.event) { $0 }
                } else {
                    session.send(.unknownCommand)
                }
            }
        } catch {
            session.send(.response(ViciReports.outcome(.failure(error.reason))))
        }
    }

    /// In parts for a client that registered for them, else at once.
    private func status(_ handler: any ViciHandler, for session: ViciSession) {
        let report = StatusReport(handler)
        if session.isRegistered(StatusReport.name) {
            list(report.parts, for: session, event: StatusReport.name, report.tree)
        } else {
            session.send(.response(report.whole))
        }
    }

    /// Makes the session wait for an outcome, or answers at once when the client does not want to wait.
    private func begin(
        _ session: ViciSession, _ id: SessionID, _ wait: ViciWait, _ arguments: ViciTree
    ) -> ViciTicket {
        lastTicket += 1
        let ticket = ViciTicket(rawValue: lastTicket)
        let deadline: Instant?
        switch wait {
        case .none:
            session.send(.response(ViciReports.outcome(.success)))
            return ticket
        case .untilDone: deadline = nil
        case .atMost(let interval): deadline = handler.map { $0.now + interval }
        }
        awaiting[ticket] = id
        session.activity = .awaiting(ticket, deadline: deadline, logLevel: ViciCommands.logLevel(arguments))
        return ticket
    }

    private func listConnections(_ handler: any ViciHandler, _ arguments: ViciTree, for session: ViciSession) {
        let wanted = arguments["ike"]
        let connections = handler.connections().filter { wanted == nil || $0.name == wanted }
        list(connections, for: session, event: "list-conn") { [weak handler] connection in
            ViciReports.connection(connection) { handler?.subject(of: $0) }
        }
    }

    private func listSAs(_ handler: any ViciHandler, _ filter: ViciCommands.Filter, for session: ViciSession) {
        // Which there are is settled now; each is looked at when the client is ready for it, so that thousands hold up
        // nobody. One that is gone by then is passed over.
        list(handler.ikeSAIDs(), for: session, event: "list-sa") { [weak handler] id in
            guard let handler, let sa = handler.ikeSA(id), filter.includes(sa.summary) else { return nil }
            return ViciReports.ikeSA(sa, now: handler.now, includes: filter.includes)
        }
    }

    /// Begins a listing: an event for each item, then an empty answer, made as fast as the client reads.
    private func list<Item>(
        _ items: [Item], for session: ViciSession, event: String, _ tree: @escaping (Item) -> ViciTree?
    ) {
        let shown = session.isRegistered(event) ? items : []
        var events = shown.makeIterator()
        var isAnswered = false
        session.activity = .listing(
            AnyIterator {
                while let item = events.next() {
                    if let tree = tree(item) { return .event(event, tree) }
                }
                defer { isAnswered = true }
                return isAnswered ? nil : .response(ViciTree())
            })
    }
}
