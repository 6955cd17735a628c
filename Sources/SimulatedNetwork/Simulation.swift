public import Clockwork
import GatewayModel
public import IKECore
import NetworkTypes

/// Hosts, boxes and links in virtual time: takes the next thing that happens, lets it happen, and shows it to the
/// properties.
///
/// It owns the agenda and the clock. It never waits, never draws from anything but its dice, and never looks into an
/// engine. Virtual packets are in `Simulation+Packets.swift`.
public final class Simulation {
    enum Happening {
        case arrival(Packet)
        case answer(host: Int, incarnation: Int, Ticket, Answer)
        case keepAlive(host: Int, incarnation: Int, Path, Interval)
        case action(Action)
    }

    /// A datagram, a virtual ESP packet or a keep-alive on its way; `from` and `to` are what the outside sees.
    struct Packet {
        var sender: Int
        var from: Endpoint
        var to: Endpoint
        var content: Content
    }

    enum Content {
        case ike([UInt8], marked: Bool, isCorrupted: Bool)
        case esp(VirtualPacket)
        case keepAlive
    }

    /// The time.
    public private(set) var now: Instant = .zero
    /// The hosts.
    public let hosts: [SimulatedHost]
    /// What was not true so far.
    public var report = Report()
    /// What happened so far.
    public var trace: Trace
    /// Datagrams that left a host.
    public private(set) var datagramsSent = 0
    /// Virtual packets that a plane accepted.
    public internal(set) var packetsAccepted = 0
    /// How often a process was replaced by another one.
    public internal(set) var handovers = 0
    /// Inputs that engines took.
    public private(set) var inputs = 0

    let properties: [any Property]
    let provider: any Provider
    let makeEngine: (SimulatedHost) -> any SimulatedEngine
    var boxes: [NATBox]
    var timing: AnswerTiming
    private var dice: Dice
    private var agenda = Agenda<Happening>()
    private var wakes: (time: Instant, count: Int) = (.zero, 0)

    /// A simulation in which nothing has happened yet. `makeEngine` makes the engine of a host that restarts.
    public init(
        hosts: [SimulatedHost], boxes: [NATBox] = [], provider: any Provider, timing: AnswerTiming = .prompt,
        properties: [any Property], dice: Dice, trace: Trace.Detail,
        makeEngine: @escaping (SimulatedHost) -> any SimulatedEngine
    ) {
        self.hosts = hosts
        self.boxes = boxes
        self.provider = provider
        self.timing = timing
        self.properties = properties
        self.dice = dice
        self.trace = Trace(trace)
        self.makeEngine = makeEngine
    }

    // MARK: Time

    /// Plans something.
    public func schedule(_ action: Action, at time: Instant) { plan(.action(action), at: time) }

    func plan(_ happening: Happening, at time: Instant) { agenda.add(max(time, now), happening) }

    /// Lets everything happen up to `end`; false when it had to be stopped, since it does not end or has gone wrong.
    @discardableResult
    public func run(until end: Instant) -> Bool {
        while report.violations.isEmpty {
            let wake = nextWake()
            let next = agenda.earliest
            guard let time = [wake?.time, next].compactMap({ $0 }).min(), time <= end else {
                advance(to: end)
                return true
            }
            advance(to: max(time, now))
            if let wake, wake.time <= now, next.map({ wake.time <= $0 }) ?? true {
                self.wake(wake.host)
            } else if let happening = agenda.take() {
                perform(happening)
            }
        }
        return false
    }

    private func advance(to time: Instant) {
        if time > now { now = time }
        report.now = now
    }

    private func nextWake() -> (time: Instant, host: SimulatedHost)? {
        var first: (time: Instant, host: SimulatedHost)?
        for host in hosts {
            guard let time = host.wakeTime, first.map({ time < $0.time }) ?? true else { continue }
            first = (time, host)
        }
        return first
    }

    private func wake(_ host: SimulatedHost) {
        wakes = wakes.time == now ? (now, wakes.count + 1) : (now, 0)
        if wakes.count > 1_000 {
            report.violation("time goes on", host, "woken 1000 times at one moment, still wants to be woken")
        }
        trace.note(now, host.name, "wakes")
        feed(.deadline, to: host)
    }

    private func perform(_ happening: Happening) {
        switch happening {
        case .arrival(let packet): arrive(packet)
        case .answer(let index, let incarnation, let ticket, let answer):
            let host = hosts[index]
            guard host.incarnation == incarnation else { return }
            trace.note(now, host.name, "answer \(ticket.rawValue) \(Self.name(answer))")
            feed(.answer(ticket, answer), to: host)
        case .keepAlive(let index, let incarnation, let path, let interval):
            let host = hosts[index]
            guard host.incarnation == incarnation, host.plane.keepAlives[path] == interval else { return }
            launch(.keepAlive, from: host, path)
            plan(happening, at: now + interval)
        case .action(let action): perform(action)
        }
    }

    // MARK: Engines

    /// Gives an engine one input and does what it wants.
    public func feed(_ input: Input, to host: SimulatedHost, arrival: Arrival? = nil) {
        inputs += 1
        let before = host.summaries
        var environment = Environment(now: now + host.clockLead, entropy: host.entropy)
        var effects = Effects()
        host.engine.handle(input, &environment, &effects)
        host.entropy = environment.entropy
        host.summaries = host.engine.summaries()
        let list = effects.take()
        for effect in list { perform(effect, of: host) }
        let moment = Moment(
            time: now, host: host, input: input, arrival: arrival, before: before, effects: list)
        for property in properties { property.handled(moment, &report) }
    }

    func perform(_ effect: Effect, of host: SimulatedHost) {
        switch effect {
        case .send(let datagram): send(datagram, from: host)
        case .plane(let command):
            trace.note(now, host.name, "plane \(Self.describe(command))")
            host.plane.obey(command)
            for complaint in host.plane.takeComplaints() { report.violation("plane order", host, complaint) }
            if case .keepAlive(let path, let interval) = command, interval > .zero {
                let happening = Happening.keepAlive(
                    host: host.index, incarnation: host.incarnation, path, interval)
                plan(happening, at: now + interval)
            }
        case .ask(let ticket, let query):
            trace.note(now, host.name, "asks \(ticket.rawValue) \(Self.name(query))")
            let answer = provider.answer(query, for: host)
            guard let answer, let delay = timing.delay(&host.dice) else { return }
            plan(
                .answer(host: host.index, incarnation: host.incarnation, ticket, answer), at: now + delay)
        case .publish(let event):
            trace.note(now, host.name, "event \(event.kind)")
        case .release(let lease): provider.takeBack(lease, from: host)
        case .forget: break
        case .expose: report.violation("no entry", host, "keys came out although nobody asked for them")
        }
    }

    /// Replaces a host's engine and plane by new ones: everything is forgotten, as by a power cut.
    public func restart(_ host: SimulatedHost) {
        trace.note(now, host.name, "restarts")
        host.incarnation += 1
        host.plane = SimulatedPlane()
        host.engine = makeEngine(host)
        host.summaries = []
        for property in properties { property.restarted(host, &report) }
        if host.tellsAddresses { feed(.localAddresses(host.addresses), to: host) }
    }

    /// Tells the properties where the run is.
    public func reach(_ stage: Stage) {
        trace.note(now, "*", "\(stage)")
        for property in properties { property.reached(stage, self, &report) }
    }

    // MARK: The network

    private func send(_ datagram: Datagram, from host: SimulatedHost) {
        datagramsSent += 1
        trace.note(now, host.name, "sends \(Self.describe(datagram.bytes)) \(datagram.path)")
        for property in properties { property.sent(datagram, by: host, &report) }
        if !host.hasHeld(datagram.path.local.address) {
            report.violation("own address", host, "sends from \(datagram.path.local), which is not its own")
        }
        if (datagram.socket == .plain) != (datagram.path.local.port == 500) {
            report.violation("own address", host, "sends from \(datagram.path.local) through the wrong socket")
        }
        // From an address that it has no longer, its kernel sends nothing.
        if host.isCutOff || !host.canUse(datagram.path.local.address) { return }
        let marked = datagram.socket == .natTraversal
        for copy in host.link.fate(of: datagram.bytes, &host.dice) {
            let content = Content.ike(copy.bytes, marked: marked, isCorrupted: copy.isCorrupted)
            launch(content, from: host, datagram.path, delay: copy.delay)
        }
    }

    /// Sends something out through the host's box, if it has one.
    func launch(_ content: Content, from host: SimulatedHost, _ path: Path, delay: Interval? = nil) {
        var from = path.local
        if let box = boxes.firstIndex(where: { $0.inside == from.address }) {
            from = boxes[box].outbound(from.port, now)
        }
        let packet = Packet(sender: host.index, from: from, to: path.remote, content: content)
        plan(.arrival(packet), at: now + (delay ?? host.link.delay))
    }

    private func arrive(_ packet: Packet) {
        var end = packet.to
        if let box = boxes.firstIndex(where: { $0.outside == end.address }) {
            guard let inside = boxes[box].inbound(end.port, now) else {
                trace.note(now, "nat", "nothing mapped at \(end)")
                return
            }
            end = inside
        }
        guard let host = hosts.first(where: { $0.canUse(end.address) }), !host.isCutOff else { return }
        let path = Path(local: end, remote: packet.from)
        switch packet.content {
        case .keepAlive: break
        case .esp(let virtual): accept(virtual, at: host, path)
        case .ike(let bytes, let marked, let isCorrupted):
            guard end.port == 500 || end.port == 4500 else { return }
            let expectsMarker = end.port == 4500
            guard marked == expectsMarker else {
                report.violation("marker", hosts[packet.sender], "a datagram for \(end) has the wrong marker")
                return
            }
            trace.note(now, host.name, "gets \(Self.describe(bytes)) \(path)\(isCorrupted ? " damaged" : "")")
            let arrival = Arrival(header: WireHeader(bytes), isCorrupted: isCorrupted, sender: packet.sender)
            let datagram = Datagram(bytes, path: path, socket: expectsMarker ? .natTraversal : .plain)
            feed(.datagram(datagram), to: host, arrival: arrival)
        }
    }
}
