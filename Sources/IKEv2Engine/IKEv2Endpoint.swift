public import Clockwork
public import GatewayModel
public import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes

/// All IKEv2 of one gateway: it finds the IKE SA that an input belongs to, and makes new ones.
///
/// It is confined to one thread. It does nothing by itself: everything comes in through ``handle(_:_:_:)`` and goes out
/// through its effects, in order. It holds no long-term secret.
public final class IKEv2Endpoint {
    /// How much there is of everything: what a leak test reads.
    public struct Counts: Hashable, Sendable {
        /// IKE SAs in any state.
        public var ikeSAs = 0
        /// Those that peers started and have not authenticated.
        public var halfOpen = 0
        /// Child SAs.
        public var childSAs = 0
        /// IKE SAs that wait for a point in time.
        public var deadlines = 0
        /// Questions without an answer.
        public var openTickets = 0
        /// Inbound SPIs of Child SAs, present or offered.
        public var spis = 0

        /// Nothing at all.
        public init() {}
    }

    /// How far apart two IKE SAs may be made that nevertheless were started at the same time.
    static let simultaneity = Interval.seconds(30)

    let tables: EndpointTables
    var configuration: Configuration { tables.configuration }
    private(set) var sessions: [IKESAID: IKESession] = [:]
    private var bySPI: [UInt64: IKESAID] = [:]
    private var byInitiation: [InitiationKey: IKESAID] = [:]
    /// By the connection's name, the oldest first.
    private var byConnection: [String: [IKESAID]] = [:]
    private var deadlines = DeadlineQueue<IKESAID>()
    private var tombstones = Tombstones()
    /// Unauthenticated answers that cost nothing but a datagram.
    private var courtesy = TokenBucket(rate: 50, burst: 100, now: .zero)

    /// An endpoint without any IKE SA.
    public init(configuration: Configuration) {
        tables = EndpointTables(configuration)
    }

    /// Lends the world to `body` for one call.
    func inTurn<Failure: Error>(
        _ environment: inout Environment, _ effects: inout Effects, _ body: (inout Turn) throws(Failure) -> Void
    ) throws(Failure) {
        var turn = Turn(tables: tables, environment: environment, effects: Effects())
        swap(&turn.effects, &effects)
        defer {
            swap(&turn.effects, &effects)
            environment = turn.environment
        }
        try body(&turn)
    }

    /// Takes one input and appends what is to be done.
    public func handle(_ input: Input, _ environment: inout Environment, _ effects: inout Effects) {
        inTurn(&environment, &effects) { turn in handle(input, &turn) }
    }

    private func handle(_ input: Input, _ turn: inout Turn) {
        switch input {
        case .datagram(let datagram): receive(datagram, &turn)
        case .deadline:
            deadline(&turn)
            retryDue(&turn)
            turn.tellWhatWasLeftOut()
        case .answer(let ticket, let answer):
            if let id = tables.takeOwner(of: ticket), let session = sessions[id] {
                session.answer(ticket, answer, &turn)
                after(session, &turn)
            } else if case .leased(let lease) = answer {
                // Nobody waits for it any more; whoever lent it would keep it for ever.
                turn.effects.append(.release(lease))
            }
        case .command(let command): perform(command, &turn)
        case .plane(let event): heed(event, &turn)
        case .localAddresses(let addresses): localAddressesChanged(addresses, &turn)
        case .configuration(let next):
            // Limits alone are no reason to read ten thousand connections.
            if next.connections != configuration.connections {
                tables.directory = ConnectionDirectory(next.connections)
            }
            tables.configuration = next
            tables.refusals.keep(Set(next.connections.map(\.name)))
            tables.retries.keep { tables.directory.has($0) }
            tables.acquires.forget()
        }
    }

    /// When ``Input/deadline`` is due; nil when nothing waits.
    public var nextDeadline: Instant? {
        Instant.earlier(deadlines.earliest, Instant.earlier(tables.retries.earliest, tables.reticence.due))
    }

    /// All IKE SAs, the oldest first.
    public func summaries() -> [IKESASummary] { inOrder.map { $0.context.summary } }

    /// The numbers of all IKE SAs, the oldest first.
    public var identifiers: [IKESAID] { sessions.keys.sorted() }

    /// One IKE SA; nil when it is gone. Its cost does not grow with the number of IKE SAs.
    public func summary(of id: IKESAID) -> IKESASummary? { sessions[id]?.context.summary }

    /// How much there is of everything.
    public var counts: Counts {
        var counts = Counts()
        counts.ikeSAs = sessions.count
        counts.halfOpen = tables.governor.total
        counts.childSAs = sessions.values.reduce(0) { $0 + $1.context.children.all.count }
        counts.deadlines = deadlines.count + tables.retries.count
        counts.openTickets = tables.openTickets
        counts.spis = tables.spis.count
        return counts
    }

    /// Why a configured connection did not come up last; nil when it did, or was never tried.
    public func lastRefusal(ofConnection name: String) -> (time: Instant, refusal: Refusal)? {
        tables.refusals.last(of: name).map { ($0.event.time, $0.refusal) }
    }

    /// The last refusals that belong to no connection, the oldest first; at most 32.
    public var recentRefusals: [Event] { tables.refusals.unattributed }

    /// The connection of this name, at a cost that does not grow with their number.
    public func connection(named name: String) -> Connection? { tables.directory.connection(named: name) }

    /// The IKE SAs of a connection, the oldest first.
    public func summaries(of connection: String) -> [IKESASummary] {
        sessions(of: connection).map { $0.context.summary }
    }

    /// The IKE SAs of a connection, the oldest first.
    func sessions(of connection: String) -> [IKESession] {
        (byConnection[connection] ?? []).compactMap { sessions[$0] }
    }

    /// The IKE SAs, the oldest first.
    var inOrder: [IKESession] { sessions.sorted { $0.key < $1.key }.map { $0.value } }

    // MARK: IKE SAs come and go

    /// Enters a new IKE SA.
    func enter(_ session: IKESession, _ turn: inout Turn) {
        let context = session.context
        sessions[context.id] = session
        bySPI[context.ownSPI] = context.id
        if let initiation = session.initiation { byInitiation[initiation.key] = context.id }
        after(session, &turn)
    }

    /// An SPI that none of our IKE SAs has.
    func newSPI(_ turn: inout Turn) -> UInt64 {
        while true {
            let spi = turn.newSPI()
            if bySPI[spi] == nil { return spi }
        }
    }

    /// What follows from an input that an IKE SA has taken.
    func after(_ session: IKESession, _ turn: inout Turn) {
        let context = session.context
        for newcomer in context.takeNewcomers() {
            newcomer.resume(&turn)
            enter(newcomer, &turn)
        }
        file(context, under: context.connection.name)
        if let old = context.predecessor, sessions[old.id] != nil { deadlines.set(old.id, to: old.timers.earliest) }
        if session.isEstablished, !context.isUnique {
            context.isUnique = true
            enforceUniqueness(of: session, &turn)
        }
        reauthenticate(session, &turn)
        followRedirect(of: session, &turn)
        guard session.isOver else {
            deadlines.set(context.id, to: context.timers.earliest)
            return
        }
        guard sessions.removeValue(forKey: context.id) != nil else { return }
        deadlines.remove(context.id)
        file(context, under: nil)
        bySPI[context.ownSPI] = nil
        if let initiation = session.initiation { byInitiation[initiation.key] = nil }
        if let expected = context.responses.expected, expected > 0, !context.responses.lastResponse.isEmpty {
            tombstones.add(
                spi: context.ownSPI, messageID: expected - 1, address: context.path.remote.address,
                context.responses.lastResponse, now: turn.now)
        }
        if let revival = session.revival {
            revive(context.connection.name, revival, &turn)
        }
    }

    /// Keeps the register of names right: a responder learns late which connection its peer means.
    private func file(_ context: SessionContext, under name: String?) {
        guard context.filedUnder != name, name == nil || sessions[context.id] != nil else { return }
        if let before = context.filedUnder, let place = byConnection.index(forKey: before) {
            byConnection.values[place].takeOut(context.id)
            if byConnection.values[place].isEmpty { byConnection.remove(at: place) }
        }
        context.filedUnder = name
        if let name { byConnection[name, default: []].putIn(context.id) }
    }

    /// Two IKE SAs between the same identities: the connection says which of them stays.
    private func enforceUniqueness(of session: IKESession, _ turn: inout Turn) {
        let context = session.context
        guard let local = context.localIdentity, let remote = context.provenIdentity else { return }
        let policy = context.connection.uniqueness
        guard policy != .never else { return }
        for id in tables.established(local: local, remote: remote) where id != context.id {
            guard let older = sessions[id] else { continue }
            // Both ends may have started at the same time; then the peer knows the older one very well.
            let isYoung = turn.now - older.context.created < Self.simultaneity
            if context.saidInitialContact, !isYoung {
                older.abandon(.replaced, &turn)
            } else if context.saidInitialContact || policy == .replace {
                older.leave(.replaced, &turn)
            } else {
                continue
            }
            after(older, &turn)
        }
    }

    private func deadline(_ turn: inout Turn) {
        // Each is woken once, however soon it wants to be woken again.
        var due: [IKESAID] = []
        while let id = deadlines.popDue(turn.now) { due.append(id) }
        for id in due {
            guard let session = sessions[id] else { continue }
            session.deadline(&turn)
            after(session, &turn)
        }
    }

    // MARK: Datagrams

    private func receive(_ datagram: Datagram, _ turn: inout Turn) {
        let arrival = Arrival(path: datagram.path, socket: datagram.socket, bytes: datagram.bytes)
        do throws(GrammarError) {
            let header = try IKEHeader(peeking: datagram.bytes)
            guard header.version.major == IKEVersion.v2.major else {
                refuseVersion(header, arrival, &turn)
                return
            }
            if header.exchange == .ikeSAInit, header.responderSPI == 0, !header.isResponse {
                receiveInitiation(header, arrival, &turn)
                return
            }
            let ownSPI = header.isFromInitiator ? header.responderSPI : header.initiatorSPI
            guard let id = bySPI[ownSPI], let session = sessions[id], session.context.has(header) else {
                repeatLastWords(header, ownSPI, arrival, &turn)
                return
            }
            let message = try ReceivedMessage(header, parsing: datagram.bytes)
            session.receive(message, arrival, &turn)
            after(session, &turn)
        } catch {
            turn.publish(.dropped(.malformed(error.description), arrival.path), ofStranger: true)
        }
    }

    private func repeatLastWords(_ header: IKEHeader, _ ownSPI: UInt64, _ arrival: Arrival, _ turn: inout Turn) {
        if heedHint(header, arrival, &turn) { return }
        let answer =
            header.isResponse || Self.isLaterFragment(arrival)
            ? nil
            : tombstones.answer(
                spi: ownSPI, messageID: header.messageID, from: arrival.path.remote.address, now: turn.now)
        guard let answer else {
            turn.publish(.dropped(.unknownSPI, arrival.path), ofStranger: true)
            return
        }
        turn.publish(.answeredAgain(messageID: header.messageID))
        for bytes in answer { turn.send(bytes, arrival.path, arrival.socket) }
    }

    /// The first fragment stands for the whole message.
    private static func isLaterFragment(_ arrival: Arrival) -> Bool {
        guard case .sealed(let message)? = try? ReceivedMessage(parsing: arrival.bytes) else { return false }
        return message.fragment.map { $0.number > 1 } ?? false
    }

    /// A request of a version that we do not speak. Older ones belong to another engine.
    private func refuseVersion(_ header: IKEHeader, _ arrival: Arrival, _ turn: inout Turn) {
        guard header.version.major > IKEVersion.v2.major, !header.isResponse else {
            turn.publish(.dropped(.malformed("IKE version \(header.version)"), arrival.path), ofStranger: true)
            return
        }
        replyCourteously(NotifyPayload(.invalidMajorVersion), to: header, arrival, &turn)
    }

    /// Answers what no honest peer sends, but not too often.
    private func replyCourteously(
        _ notify: NotifyPayload, to request: IKEHeader, _ arrival: Arrival, _ turn: inout Turn
    ) {
        guard courtesy.take(now: turn.now) else {
            turn.publish(.dropped(.rateLimited, arrival.path), ofStranger: true)
            return
        }
        reply(notify, to: request, arrival, &turn)
    }

    /// Answers with a notification in clear, remembering nothing. It is shorter than any request.
    private func reply(_ notify: NotifyPayload, to request: IKEHeader, _ arrival: Arrival, _ turn: inout Turn) {
        let flags: IKEHeader.Flags = request.isFromInitiator ? .response : [.response, .initiator]
        let header = IKEHeader(
            initiatorSPI: request.initiatorSPI, responderSPI: request.responderSPI, exchange: request.exchange,
            flags: flags, messageID: request.messageID)
        let message = Message(header, [.notify(notify)])
        guard let bytes = try? message.encoded() else { return }
        turn.count(header, isSent: true)
        turn.publish(message: .sent(message.description, bytes: bytes.count, arrival.path))
        turn.send(bytes, arrival.path, arrival.socket)
    }

    /// A peer's IKE_SA_INIT request.
    private func receiveInitiation(_ header: IKEHeader, _ arrival: Arrival, _ turn: inout Turn) {
        let key = InitiationKey(arrival, spi: header.initiatorSPI)
        if let id = byInitiation[key], let session = sessions[id], let initiation = session.initiation {
            if initiation.response.isEmpty {
                session.context.drop(.unexpected("an IKE_SA_INIT that was followed up"), arrival, &turn)
            } else {
                session.context.repeatResponse([initiation.response], 0, arrival, &turn)
            }
            return
        }
        // Nobody else's SPI is one of ours: somebody sends our own request back, so that we talk to ourselves.
        if let id = bySPI[header.initiatorSPI], sessions[id]?.context.isInitiator ?? false {
            turn.publish(.dropped(.unexpected("our own IKE_SA_INIT"), arrival.path), ofStranger: true)
            return
        }
        // It comes again, and whoever goes on from here answers it.
        if tables.isHandingOver {
            turn.publish(
                .dropped(.unexpected("IKE_SA_INIT while the gateway is handed over"), arrival.path), ofStranger: true)
            return
        }
        let request: IKESAInit.Request
        do throws(GrammarError) {
            let message = try Message(header, parsing: arrival.bytes)
            request = try IKESAInit.Request(message)
            turn.count(header, isSent: false)
            turn.publish(message: .received(message.description, bytes: arrival.byteCount, arrival.path))
        } catch {
            refuseUnreadable(error, header, arrival, &turn)
            return
        }
        switch InitResponder.judge(request, header, arrival, &turn) {
        case .drop(let reason, let refusal):
            turn.publish(.dropped(reason, arrival.path), ofStranger: true)
            if let refusal {
                turn.refuse(refusal, connection: nil, peer: arrival.path.remote.address, ofStranger: true)
            }
        case .answer(let notify, let refusal, let connection):
            if notify.type == .cookie { turn.publish(.cookieDemanded(byUs: true), ofStranger: true) }
            if notify.type == .redirect, let gateway = RedirectNotification(notify.data)?.gateway {
                turn.publish(
                    .redirected(Redirection(to: gateway, at: .initiation), byUs: true), connection: connection,
                    ofStranger: true)
            }
            if let refusal {
                turn.refuse(refusal, connection: connection, peer: arrival.path.remote.address, ofStranger: true)
            }
            reply(notify, to: header, arrival, &turn)
        case .accept(let acceptance):
            let context = SessionContext(
                id: tables.newIKESAID(), isInitiator: false, connection: acceptance.connection, path: arrival.path,
                socket: arrival.socket, initiatorSPI: header.initiatorSPI, responderSPI: newSPI(&turn), turn)
            context.enter(.connecting, &turn)
            guard let state = InitResponder.accept(acceptance, request, arrival, context, &turn) else {
                context.enter(.destroying, &turn)
                return
            }
            makeRoom(for: arrival.path.remote.address, &turn)
            enter(IKESession.responding(context, state, key, isProven: acceptance.isProven, &turn), &turn)
        }
    }

    private func refuseUnreadable(
        _ error: GrammarError, _ header: IKEHeader, _ arrival: Arrival, _ turn: inout Turn
    ) {
        turn.publish(.dropped(.malformed(error.description), arrival.path), ofStranger: true)
        // Without the initiator's SPI and flag it is not a request that anybody could use an answer to.
        guard header.initiatorSPI != 0, header.isFromInitiator, header.messageID == 0 else { return }
        turn.refuse(
            .malformed(exchange: header.exchange.description, reason: error.description), connection: nil,
            peer: arrival.path.remote.address, ofStranger: true)
        if case .unsupportedCriticalPayload(let type) = error {
            replyCourteously(NotifyPayload(.unsupportedCriticalPayload, [type.rawValue]), to: header, arrival, &turn)
        } else {
            replyCourteously(NotifyPayload(.invalidSyntax), to: header, arrival, &turn)
        }
    }
}
