public import Clockwork
public import GatewayModel
public import IKECore
import IKEv2Engine
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import StateRecords
public import SwanctlConfig

/// One running gateway: an engine, and everything that its effects need.
///
/// It obeys effects in their order, answers questions, and tells observers what happened. It belongs to one thread. It
/// never decides anything about a protocol: that is the engine's.
public final class Gateway {
    let endpoint: IKEv2Endpoint
    private var environment: Environment
    private var inputs: [Input?] = []
    private var isHandling = false
    private var isGathering = false
    /// What waits for the plane's changes.
    private var held: [Effect?] = []
    private var credentials: CredentialStore
    private var signatures: SignatureStore
    private let signing: (any SignatureService)?
    /// EAP conversations that are under way; those of a RADIUS server would be somebody else's.
    private let conversations = EAPStore()
    /// Who speaks with RADIUS servers; without it they are asked nothing.
    var radius: (any RADIUSDesk)?
    /// Gets what is considered on the way to an identity, clause by clause, while ``tellsConsiderations`` is set.
    var onConsideration: ((_ connection: String, _ ikeSA: IKESAID?, _ clause: String) -> Void)?
    /// Whether anybody wants to hear of it: it costs time at every handshake.
    var tellsConsiderations = false
    /// Whom the answers to questions about EAP are about, while somebody wants to hear of it.
    private var talks: [Ticket: (connection: String, ikeSA: IKESAID)] = [:]
    private let unixTime: () -> Int64
    var leases: LeaseStore
    let plane: any DataPlane
    private let transport: any IKETransport
    private let paths: any PathFinder
    /// Looks up the names of peers; without it only addresses will do.
    public var names: NameResolver?
    let clock: () -> Instant
    private var observers: [Observer] = []
    // Only ever read or replaced as a whole, so that a look into it, at every event and every command, costs nothing.
    private var refused = PlaneRefusals()

    private struct Observer {
        let kinds: EventKinds
        let tell: (Event) -> Void
    }

    /// What the plane last refused of a connection of which it has taken nothing since.
    func planeRefusal(of connection: String) -> (time: Instant, refusal: Refusal)? {
        let refused = refused
        return refused.connections[connection]
    }

    /// Called before each input from outside: whoever saves up changes of the configuration makes them now.
    var beforeInput: (() -> Void)?

    /// What it is configured to do now.
    public private(set) var configuration: Configuration
    /// Whether any of its children has a program to be told of tunnels.
    private(set) var hasUpdown: Bool

    /// A gateway that has nothing to do yet. `settings` hold what no configuration file says (its connections are not
    /// looked at); `clock` is the one that the engine's deadlines are on.
    public convenience init(
        _ loaded: LoadedConfiguration, settings: Configuration = Configuration(), plane: any DataPlane,
        transport: any IKETransport, paths: any PathFinder, clock: @escaping () -> Instant
    ) {
        self.init(
            loaded, settings: settings, plane: plane, transport: transport, paths: paths, clock: clock, signing: nil)
    }

    /// The same, with somebody who answers questions about signatures in its own time; without, they are answered at once.
    init(
        _ loaded: LoadedConfiguration, settings: Configuration = Configuration(), plane: any DataPlane,
        transport: any IKETransport, paths: any PathFinder, clock: @escaping () -> Instant,
        signing: (any SignatureService)?, unixTime: @escaping () -> Int64 = WallClock.now
    ) {
        configuration = settings
        configuration.connections = loaded.connectionsWithKeys
        hasUpdown = configuration.hasUpdown
        credentials = CredentialStore(loaded.secrets)
        signatures = SignatureStore(loaded, conversations)
        leases = LeaseStore(loaded.pools)
        endpoint = IKEv2Endpoint(configuration: configuration)
        environment = Environment(now: clock(), entropy: EntropyReserve())
        self.plane = plane
        self.transport = transport
        self.paths = paths
        self.clock = clock
        self.signing = signing
        self.unixTime = unixTime
    }

    /// Gives the engine the answers about signatures that have come in.
    func drainSignatures() {
        for (ticket, answer) in signing?.takeAnswers() ?? [] { handle(.answer(ticket, answer)) }
    }

    /// Calls `observer` with every event of these kinds from now on, on the gateway's thread.
    public func observe(_ kinds: EventKinds = .all, _ observer: @escaping (Event) -> Void) {
        observers = observers + [Observer(kinds: kinds, tell: observer)]
    }

    /// Whether observers hear of every message that comes and goes. It costs time at thousands of handshakes a second.
    public var tellsMessages: Bool {
        get { environment.tellsMessages }
        set { environment.tellsMessages = newValue }
    }

    /// Who gets the keys of all SAs, to read captures with; nobody, unless somebody insisted (`--save-keys`). Keys that
    /// were made before are not told.
    var keyReader: (any KeyReader)? {
        didSet { environment.exposesKeys = keyReader != nil }
    }

    /// Takes over another configuration, secrets included. Tunnels that are up stay up.
    public func replace(_ loaded: LoadedConfiguration) {
        configuration.connections = loaded.connectionsWithKeys
        hasUpdown = configuration.hasUpdown
        credentials = CredentialStore(loaded.secrets)
        signatures = SignatureStore(loaded, conversations)
        leases.replace(loaded.pools)
        radius?.configure(loaded.settings.radius)
        handle(.configuration(configuration))
        note { $0.connections = $0.connections.filter { endpoint.connection(named: $0.key) != nil } }
    }

    /// Time has passed.
    public func deadlineReached() { handle(.deadline) }

    /// Begins nothing any more: another process is about to go on from here.
    func comeToRest() { endpoint.comeToRest() }

    /// Whether all IKE SAs could be handed over now.
    var isAtRest: Bool { endpoint.isAtRest }

    /// Nobody goes on from here: everything does.
    func resumeWork() {
        environment.now = clock()
        var effects = Effects()
        endpoint.resumeWork(&environment, &effects)
        obey(effects.takePlaces())
        handleInputs()
    }

    /// Appends the engine's state.
    func handOver(to writer: RecordWriter) -> IKEv2Endpoint.HandoverAccount { endpoint.handOver(to: writer) }

    /// Appends who has which virtual address.
    func writeLeases(to writer: RecordWriter) { leases.write(to: writer) }

    /// Appends who has which prefix of the pools.
    func writePrefixLeases(to writer: RecordWriter) { leases.writePrefixes(to: writer) }

    /// Reads it back.
    func readLeases(from reader: inout RecordReader) throws(RecordError) { try leases.read(from: &reader) }

    /// Takes over who has which prefix.
    func readPrefixLeases(from reader: inout RecordReader) throws(RecordError) {
        try leases.readPrefixes(from: &reader)
    }

    /// Goes on from where another process was. The data plane has the SAs already.
    func takeOver(from reader: inout RecordReader) throws(RecordError) {
        environment.now = clock()
        var effects = Effects()
        try endpoint.takeOver(from: &reader, &environment, &effects)
        obey(effects.takePlaces())
        handleInputs()
    }

    /// Looks at what the data plane has to tell.
    public func drainPlane() {
        for event in plane.takeEvents() { handle(.plane(event)) }
    }

    /// Gives the engine something to do and sees to all that comes of it. What an effect gives rise to is handled after
    /// the effects that stand before it, never in between.
    public func handle(_ input: Input) {
        if isHandling { return inputs.append(input) }
        beforeInput?()
        isHandling = true
        if inputs.isEmpty { take(input) } else { inputs.append(input) }
        isHandling = false
        handleInputs()
    }

    private func handleInputs() {
        guard !isHandling else { return }
        isHandling = true
        defer { isHandling = false }
        while true {
            var waiting: [Input?] = []
            swap(&waiting, &inputs)
            if waiting.isEmpty { return }
            for place in waiting.indices {
                if let input = waiting[place].take() { take(input) }
            }
        }
    }

    private func take(_ input: Input) {
        environment.now = clock()
        if tellsConsiderations, !talks.isEmpty { tell(input) }
        var effects = Effects()
        endpoint.handle(input, &environment, &effects)
        obey(effects.takePlaces())
    }

    /// Does `body`, and lets the plane make its changes of the system together after it. Nobody hears of what waits for
    /// them, neither peers nor observers, before they are made.
    public func gather(_ body: () -> Void) {
        plane.beginChanges()
        isGathering = true
        body()
        isGathering = false
        for refusal in plane.commitChanges() { refuse(refusal.child, refusal.reason, isPolicy: true) }
        var waiting: [Effect?] = []
        swap(&waiting, &held)
        obey(consume waiting)
        handleInputs()
    }

    /// Does all of it, in this order; what somebody would hear of waits while a change of the system does.
    private func obey(_ effects: consuming [Effect?]) {
        var waiting: [Effect?] = []
        swap(&waiting, &held)
        var mustWait: Bool?
        for place in effects.indices {
            guard let effect = effects[place].take() else { continue }
            guard effect.isHeard else {
                obey(effect)
                continue
            }
            // Asked once: commands stand before all that is heard.
            let waits = mustWait ?? (isGathering && (!waiting.isEmpty || plane.hasChanges))
            mustWait = waits
            if waits { waiting.append(effect) } else { obey(effect) }
        }
        held = waiting
    }

    // Not inlined: what it is given is borrowed then, and handed on without a copy.
    @inline(never)
    private func obey(_ effect: Effect) {
        switch effect {
        case .send(let datagram): transport.send(datagram)
        case .publish(let event): publish(event)
        case .ask(let ticket, let query):
            if tellsConsiderations { tell(query, ticket) }
            if let answer = answer(query, ticket) { inputs.append(.answer(ticket, answer)) }
        case .plane(let command): obey(command)
        case .release(let lease): leases.release(lease)
        case .forget(let conversation):
            conversations.forget(conversation)
            radius?.forget(conversation)
        case .expose(let keys): keyReader?.read(keys)
        }
    }

    /// The answer to a question; nil when it comes later.
    private func answer(_ query: Query, _ ticket: Ticket) -> Answer? {
        switch query {
        case .path(let connection):
            guard let names, !connection.names.isEmpty else { return paths.path(for: connection) }
            return names.begin(connection, ticket).map { .noPath($0) }
        case .lease(let request): return leases.lease(request)
        case .lastUse(let inbound, let outbound):
            let uses =
                inbound.map { plane.counters(.inbound, spi: $0)?.lastUse }
                + outbound.map { plane.counters(.outbound, spi: $0)?.lastUse }
            return .lastUse(uses.compactMap { $0 }.max())
        case .eap(let question) where question.isAuthenticator && question.required.eap.isRelayed:
            guard let radius else { return .eap(.failure([], .noServer("no RADIUS server is configured"))) }
            radius.ask(question, ticket)
            return nil
        case .prove, .verify, .eap:
            guard SignatureStore.concerns(query) else { return credentials.answer(query) }
            guard let signing else { return signatures.answer(query, at: unixTime()) }
            signing.ask(ticket, query, signatures)
            return nil
        case .encapsulate, .mix: return credentials.answer(query)
        }
    }

    private func tell(_ query: Query, _ ticket: Ticket) {
        let (connection, ikeSA): (String, IKESAID?)
        switch query {
        case .prove(let proof), .verify(let proof, _): (connection, ikeSA) = (proof.connection, nil)
        case .eap(let question):
            (connection, ikeSA) = (question.connection, question.conversation.ikeSA)
            // What nobody ever answered does not stay.
            if talks.count >= 4096 { talks = [:] }
            talks[ticket] = (connection, question.conversation.ikeSA)
        case .mix: (connection, ikeSA) = ("", nil)
        case .path, .encapsulate, .lease, .lastUse: return
        }
        for clause in AuthenticationNotes(secrets: credentials, signatures: signatures).clauses(on: query) {
            onConsideration?(connection, ikeSA, clause)
        }
    }

    private func tell(_ input: Input) {
        guard case .answer(let ticket, .eap(let step)) = input, let talk = talks.removeValue(forKey: ticket),
            let clause = AuthenticationNotes.clause(on: step)
        else { return }
        onConsideration?(talk.connection, talk.ikeSA, clause)
    }

    /// Goes on with what was waiting for names.
    public func takeNames() {
        for found in names?.takeFound() ?? [] {
            var answer = Answer.noPath(found.failure)
            // The first that there is a way to: a host without IPv6 gets along with names that have both.
            for candidate in found.candidates {
                answer = paths.path(for: candidate)
                if case .path = answer { break }
            }
            handle(.answer(found.ticket, answer))
        }
    }

    private func publish(_ event: Event) {
        if !refused.isEmpty, !settle(event) { return }
        let kind = event.kind.group
        for index in observers.indices where observers[index].kinds.contains(kind) { observers[index].tell(event) }
    }

    /// What the plane has refused is over, or is the reason why nobody is to hear of the event: then false.
    private func settle(_ event: Event) -> Bool {
        let refused = refused
        switch event.kind {
        // The engine can't know yet that the plane has refused it: nobody shall hear that it is up.
        case .childInstalled(let child) where refused.children.contains(child.id): return false
        case .childInstalled: if let name = event.connection { note { $0.connections[name] = nil } }
        case .childClosed(let child, _): note { $0.children.remove(child.id) }
        default: break
        }
        return true
    }

    private func obey(_ command: PlaneCommand) {
        var child: ChildSAID?
        switch command {
        case .install(let association):
            child = association.child
            keyReader?.read(association)
        case .protect(let id, _, _, _), .move(let id, _, _): child = id
        case .remove(let direction, let spi, let owner):
            tally(direction, spi, owner)
            if isAbsent(direction, spi, owner) { return }
        case .retire(let spi, let owner):
            tally(.inbound, spi, owner)
            if isAbsent(.inbound, spi, owner) { return }
        case .unprotect, .trap, .keepAlive, .removeAddress: break
        case .addAddress(let address, let owner):
            give(address, to: owner, by: command)
            return
        }
        // What is refused, or not even tried, is not there to be removed.
        let refused = refused
        if let child, refused.children.contains(child) { return mark(command, isAbsent: true) }
        do {
            try plane.obey(command)
            if !refused.isEmpty { mark(command, isAbsent: false) }
        } catch {
            mark(command, isAbsent: true)
            let isPolicy = if case .protect = command { true } else { false }
            refuse(child, String(describing: error), isPolicy: isPolicy)
        }
    }

    private func note(_ change: (inout PlaneRefusals) -> Void) {
        var now = refused
        change(&now)
        refused = now
    }

    private func mark(_ command: PlaneCommand, isAbsent: Bool) {
        guard case .install(let association) = command else { return }
        let direction = PlaneRefusals.Direction(
            direction: association.direction, spi: association.spi, child: association.child)
        note { if isAbsent { $0.directions.insert(direction) } else { $0.directions.remove(direction) } }
    }

    /// Whether the plane does not have an SA that it is to remove.
    private func isAbsent(_ direction: SecurityAssociation.Direction, _ spi: UInt32, _ child: ChildSAID) -> Bool {
        let refused = refused
        let direction = PlaneRefusals.Direction(direction: direction, spi: spi, child: child)
        guard !refused.isEmpty, refused.directions.contains(direction) else { return false }
        note { $0.directions.remove(direction) }
        return true
    }

    /// What an SA has carried is asked for while it is there.
    private func tally(_ direction: SecurityAssociation.Direction, _ spi: UInt32, _ child: ChildSAID) {
        guard let radius, radius.isInUse, let counters = plane.counters(direction, spi: spi) else { return }
        radius.removing(direction, of: child, counters)
    }

    /// An IKE SA whose virtual address the host can't have is of no use.
    private func give(_ address: IPAddress, to owner: IKESAID, by command: PlaneCommand) {
        do { try plane.obey(command) } catch {
            let connection = endpoint.summary(of: owner)?.connection
            let time = environment.now
            let refusal = Refusal.planeRefused(reason: "the virtual address \(address) can't be added: \(error)")
            if let connection { note { $0.connections[connection] = (time, refusal) } }
            publish(
                Event(time: time, ikeSA: owner, connection: connection, kind: .refused(refusal, child: nil)))
            inputs.append(.command(.terminate(.ikeSA(owner))))
        }
    }

    /// A data plane that will not carry a Child SA ends it: a tunnel that only seems to be up is worse than none.
    private func refuse(_ child: ChildSAID?, _ reason: String, isPolicy: Bool) {
        let owner = ikeSAs.first { sa in sa.children.contains { $0.id == child } }
        let name = owner?.children.first { $0.id == child }?.name
        let time = environment.now
        let refusal = Refusal.planeRefused(reason: reason, isPolicy: isPolicy)
        if let owner { note { $0.connections[owner.connection] = (time, refusal) } }
        publish(
            Event(
                time: time, ikeSA: owner?.id, connection: owner?.connection,
                kind: .refused(refusal, child: name)))
        guard let child else { return }
        // Only one that the engine has can be closed, and forgotten then.
        if owner != nil { note { $0.children.insert(child) } }
        inputs.append(.command(.terminate(.childSA(child))))
    }
}

extension Effect {
    /// Whether peers or observers learn something by it.
    fileprivate var isHeard: Bool {
        switch self {
        case .send, .publish: true
        case .ask, .plane, .release, .forget, .expose: false
        }
    }
}
