import GatewayModel
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import Synchronization

/// Runs the programs that children name with `updown` when their tunnels come up and go down.
///
/// It owns what each tunnel was told when it came up, so that it is told the same when it goes. Programs run on a thread
/// of their own, one after the other, bounded in time; arguments are passed as they are, and there is no shell. A tunnel
/// that is only rekeyed is told nothing.
final class UpdownHooks {
    /// One call of a program.
    struct Call: Hashable, Sendable {
        var arguments: [String]
        /// `KEY=value` each.
        var environment: [String]
    }

    /// What is one tunnel to a script: whichever Child SA carries it.
    struct Tunnel: Hashable {
        var connection: String
        var child: String
        var local: [TrafficSelector]
        var remote: [TrafficSelector]
    }

    struct Active {
        var children: Set<ChildSAID>
        var calls: [Call]
    }

    /// How long a program may take.
    private static let patience = 20_000

    private let queue: CallQueue
    private let say: (String) -> Void
    private let connection: (String) -> Connection?
    private let ikeSA: (IKESAID) -> IKESASummary?
    private let interface: (IPAddress) -> String?
    private var active: [Tunnel: Active] = [:]
    private var nameServers: [IKESAID: [IPAddress]] = [:]
    private var running: WorkerThread?

    /// `connection` and `ikeSA` look up what an event names, `interface` the one that has an address; `say` writes to
    /// the log. `run` carries out a call, and says what went wrong.
    init(
        connection: @escaping (String) -> Connection?, ikeSA: @escaping (IKESAID) -> IKESASummary?,
        interface: @escaping (IPAddress) -> String? = UpdownHooks.interface, say: @escaping (String) -> Void,
        run: @escaping @Sendable (Call) -> String? = UpdownHooks.carryOut
    ) {
        self.connection = connection
        self.ikeSA = ikeSA
        self.interface = interface
        self.say = say
        queue = CallQueue(run)
    }

    /// Takes note of what comes up and goes down.
    func observe(_ event: Event) {
        switch event.kind {
        case .hostConfigured(let given): if let id = event.ikeSA { nameServers[id] = given.nameServers }
        case .ikeClosed: if let id = event.ikeSA { nameServers[id] = nil }
        case .childInstalled(let child): up(child, event)
        case .childClosed(let child, _): down(child, event)
        default: return
        }
    }

    /// Waits until all that is left has been told; a program that hangs now takes the rest with it.
    func stop() {
        queue.close()
        running?.join()
        running = nil
        report()
    }

    /// Says what went wrong since the last time.
    func report() {
        for failure in queue.takeFailures() { say("updown: \(failure)") }
    }

    /// Whether no program runs or is to run.
    var isIdle: Bool { queue.isIdle }

    /// For another process: who was told what, and who is still to be told.
    var handed: HandedHooks { HandedHooks(active: active, nameServers: nameServers, waiting: queue.waiting) }

    /// Goes on for another process.
    func resume(_ handed: HandedHooks) {
        active = handed.active
        nameServers = handed.nameServers
        if !handed.waiting.isEmpty { run(handed.waiting) }
    }

    private func up(_ child: ChildSASummary, _ event: Event) {
        guard let name = event.connection, let configured = connection(name)?.child(named: child.name),
            !configured.updown.isEmpty, let owner = event.ikeSA.flatMap(ikeSA)
        else { return }
        let tunnel = Tunnel(
            connection: name, child: child.name, local: child.localSelectors, remote: child.remoteSelectors)
        if active[tunnel]?.children.insert(child.id) != nil { return }
        let facts = UpdownEnvironment(
            child, of: owner, at: interface(owner.path.local.address), nameServers: nameServers[owner.id] ?? [])
        active[tunnel] = Active(
            children: [child.id],
            calls: facts.pairs(isUp: false).map { Call(arguments: configured.updown, environment: $0) })
        run(facts.pairs(isUp: true).map { Call(arguments: configured.updown, environment: $0) })
    }

    private func down(_ child: ChildSASummary, _ event: Event) {
        guard !active.isEmpty, let name = event.connection else { return }
        let tunnel = Tunnel(
            connection: name, child: child.name, local: child.localSelectors, remote: child.remoteSelectors)
        guard active[tunnel]?.children.remove(child.id) != nil, active[tunnel]?.children.isEmpty == true,
            let ended = active.removeValue(forKey: tunnel)
        else { return }
        run(ended.calls)
    }

    private func run(_ calls: [Call]) {
        guard queue.put(calls) else { return }
        let queue = queue
        do { running = try WorkerThread(name: "martlet-updown") { queue.run() } } catch {
            queue.abandon()
            say("updown: no thread for it: \(error)")
        }
    }

    /// The interface that has an address; nil where none has it, or nobody can say.
    private static func interface(_ address: IPAddress) -> String? {
        guard let routes = try? RouteSocket(), let own = try? routes.addresses(),
            let found = own.first(where: { $0.address == address })
        else { return nil }
        return try? routes.link(found.interface).name
    }

    @Sendable private static func carryOut(_ call: Call) -> String? {
        do {
            let status = try ChildProcess.run(
                call.arguments, environment: call.environment, milliseconds: patience)
            return status == 0 ? nil : "\(call.arguments.joined(separator: " ")) ended with \(status)"
        } catch {
            return "\(call.arguments.joined(separator: " ")): \(error)"
        }
    }
}

/// Calls that wait for the thread, in their order.
private final class CallQueue: Sendable {
    private struct State {
        var waiting: [UpdownHooks.Call] = []
        var isRunning = false
        var failures: [String] = []
        var isClosing = false
    }

    /// Calls that may wait: one that finds no place is told to nobody but the log.
    private static let mostWaiting = 16_384

    private let state = Mutex(State())
    private let carryOut: @Sendable (UpdownHooks.Call) -> String?

    init(_ carryOut: @escaping @Sendable (UpdownHooks.Call) -> String?) { self.carryOut = carryOut }

    /// Adds calls behind those that wait; whether somebody has to start a thread for them.
    func put(_ calls: [UpdownHooks.Call]) -> Bool {
        state.withLock { state in
            let room = max(0, Self.mostWaiting - state.waiting.count)
            state.waiting += calls.prefix(room)
            if calls.count > room, state.failures.count < 8 { state.failures.append("too many calls wait") }
            defer { state.isRunning = !state.waiting.isEmpty || state.isRunning }
            return !state.isRunning && !state.waiting.isEmpty
        }
    }

    /// Carries out what there is until there is nothing left.
    func run() {
        while true {
            let calls = state.withLock { state in
                defer { state.waiting = [] }
                state.isRunning = !state.waiting.isEmpty
                return state.waiting
            }
            if calls.isEmpty { return }
            for call in calls {
                guard let failure = carryOut(call) else { continue }
                let goesOn = state.withLock { state in
                    if state.failures.count < 8 { state.failures.append(failure) }
                    if state.isClosing { state.waiting = [] }
                    return !state.isClosing
                }
                if !goesOn { break }
            }
        }
    }

    /// Nothing more comes, and nobody wants to wait long.
    func close() { state.withLock { $0.isClosing = true } }

    /// There is no thread after all.
    func abandon() { state.withLock { $0.isRunning = false } }

    func takeFailures() -> [String] {
        state.withLock { state in
            defer { state.failures = [] }
            return state.failures
        }
    }

    var isIdle: Bool { state.withLock { !$0.isRunning } }

    /// Calls that nobody has begun.
    var waiting: [UpdownHooks.Call] { state.withLock { $0.waiting } }
}

/// What a program is told of a tunnel, by the names that strongSwan's `updown` plugin gives it.
///
/// It owns the environment's names and values. Every value is one line of printable text: identities come from peers.
struct UpdownEnvironment {
    private let child: ChildSASummary
    private let owner: IKESASummary
    private let interface: String?
    private let nameServers: [IPAddress]

    /// `interface` has our outer address.
    init(_ child: ChildSASummary, of owner: IKESASummary, at interface: String?, nameServers: [IPAddress]) {
        self.child = child
        self.owner = owner
        self.interface = interface
        self.nameServers = nameServers
    }

    /// One environment for each pair of selectors of one family, as strongSwan calls its script.
    func pairs(isUp: Bool) -> [[String]] {
        child.localSelectors.flatMap { local in
            child.remoteSelectors.filter { $0.family == local.family }.map { remote in
                lines(isUp, local, remote).map { "\($0.0)=\($0.1)" }
            }
        }
    }

    private func lines(_ isUp: Bool, _ local: TrafficSelector, _ remote: TrafficSelector) -> [(String, String)] {
        let isHost = local.addresses == AddressRange(host: owner.path.local.address)
        let verb =
            "\(isUp ? "up" : "down")-\(isHost ? "host" : "client")\(local.family == .v6 ? "-v6" : "")"
        let isAH = child.algorithms.securityProtocol == .ah
        var lines = [
            ("PLUTO_VERSION", "1.1"), ("PLUTO_VERB", verb), ("PLUTO_CONNECTION", child.name),
            ("PLUTO_INTERFACE", interface ?? "unknown"), ("PLUTO_REQID", "\(child.protection)"),
            ("PLUTO_PROTO", isAH ? "ah" : "esp"), ("PLUTO_UNIQUEID", "\(owner.id)"),
            ("PLUTO_ME", owner.path.local.address.description),
            ("PLUTO_MY_ID", owner.localIdentity?.description ?? "%any"),
            ("PLUTO_MY_CLIENT", local.addresses.description),
            ("PLUTO_PEER", owner.path.remote.address.description),
            ("PLUTO_PEER_ID", owner.remoteIdentity?.description ?? "%any"),
            ("PLUTO_PEER_CLIENT", remote.addresses.description),
        ]
        lines += ports(local, "MY") + ports(remote, "PEER")
        for (name, addresses) in [("MY", owner.localVirtualAddresses), ("PEER", owner.remoteVirtualAddresses)] {
            if let first = addresses.first { lines.append(("PLUTO_\(name)_SOURCEIP", first.description)) }
            lines += numbered("PLUTO_\(name)_SOURCEIP", addresses)
        }
        for (name, prefixes) in [("MY", owner.localPrefixes), ("PEER", owner.remotePrefixes)] {
            for (index, prefix) in prefixes.prefix(8).enumerated() {
                lines.append(("PLUTO_\(name)_PREFIX6_\(index + 1)", prefix.description))
            }
        }
        if let name = owner.remoteEAPIdentity { lines.append(("PLUTO_XAUTH_ID", name.description)) }
        lines += numbered("PLUTO_DNS", nameServers)
        if child.compression != nil { lines.append(("PLUTO_IPCOMP", "1")) }
        if child.encapsulation == .udp { lines.append(("PLUTO_UDP_ENC", "\(owner.path.remote.port)")) }
        return lines.map { ($0.0, Self.oneLine($0.1)) }
    }

    private func ports(_ selector: TrafficSelector, _ end: String) -> [(String, String)] {
        var port = "0"
        if case .range(let range) = selector.ports, range != 0...65_535 {
            port = range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound):\(range.upperBound)"
        }
        return [("PLUTO_\(end)_PORT", port), ("PLUTO_\(end)_PROTOCOL", "\(selector.ipProtocol.rawValue)")]
    }

    /// `PLUTO_DNS4_1`, `PLUTO_DNS6_1`…
    private func numbered(_ name: String, _ addresses: [IPAddress]) -> [(String, String)] {
        [IPAddress.Family.v4, .v6].flatMap { family in
            addresses.filter { $0.family == family }.prefix(8).enumerated().map { index, address in
                ("\(name)\(family == .v4 ? 4 : 6)_\(index + 1)", address.description)
            }
        }
    }

    private static func oneLine(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { (0x20..<0x7f).contains($0.value) ? $0 : "?" }))
    }
}
