import GatewayModel
import LinuxSystem
import NetworkTypes
import Synchronization

/// Hands the name servers that peers give us to the system, and takes them back.
///
/// It owns what was handed over under our device's name. Programs run on a thread of their own, one after the other and
/// bounded in time; what is newest is what counts. Where the system has nothing to hand them to, they are written down
/// for people.
final class NameServerKeeper {
    /// Who takes name servers on this machine.
    enum Receiver: Hashable, Sendable {
        /// systemd-resolved, by this `resolvectl`.
        case resolved(String)
        /// Debian's or openresolv's program of that name, at this path.
        case resolvconf(String)

        /// The one that this machine has.
        static func found(exists: (String) -> Bool) -> Receiver? {
            let control = ["/usr/bin/resolvectl", "/bin/resolvectl"].first(where: exists)
            if let control, exists("/run/systemd/resolve") { return .resolved(control) }
            return ["/usr/sbin/resolvconf", "/sbin/resolvconf"].first(where: exists).map { .resolvconf($0) }
        }
    }

    /// One call of a program.
    struct Call: Hashable, Sendable {
        var arguments: [String]
        var input: [UInt8] = []
    }

    /// How long a program may take.
    private static let patience = 5_000

    private let receiver: Receiver?
    private let device: String
    private let say: (String) -> Void
    private let errand: Errand
    private var settings: [HostSettings] = []
    private var running: WorkerThread?

    /// For `device`; `say` writes to the log. `run` carries out a call, and says what went wrong.
    init(
        device: String, receiver: Receiver?, say: @escaping (String) -> Void,
        run: @escaping @Sendable (Call) -> String? = NameServerKeeper.carryOut
    ) {
        self.device = device
        self.receiver = receiver
        self.say = say
        errand = Errand(run)
    }

    /// Takes note of what peers give and take.
    func observe(_ event: Event) {
        switch event.kind {
        case .hostConfigured(let given):
            settings.append(given)
            if !given.nameServers.isEmpty { change() }
        case .hostUnconfigured(let given):
            guard let index = settings.firstIndex(of: given) else { return }
            settings.remove(at: index)
            if !given.nameServers.isEmpty { change() }
        default: return
        }
    }

    /// Takes everything back and waits for it.
    func stop() {
        let hadSome = settings.contains { !$0.nameServers.isEmpty }
        settings = []
        if hadSome { change() }
        running?.join()
        running = nil
        report()
    }

    /// Whether no program runs or is to run.
    var isIdle: Bool { errand.isIdle }

    /// For another process: what the system has.
    var handed: HandedNameServers { HandedNameServers(settings, isHandedOver: isIdle) }

    /// Goes on for another process.
    func resume(_ handed: HandedNameServers) {
        settings = handed.settings
        if !handed.isHandedOver { change() }
    }

    private func change() {
        guard let receiver else {
            guard !settings.isEmpty else { return }
            let servers = settings.flatMap(\.nameServers).map(\.description).joined(separator: ", ")
            say(
                "name servers \(servers) are not used: this machine has neither systemd-resolved nor resolvconf; put "
                    + "them into /etc/resolv.conf by hand")
            return
        }
        guard errand.take(Self.calls(settings, receiver, device)) else { return }
        let errand = errand
        do { running = try WorkerThread(name: "martlet-dns") { errand.run() } } catch {
            errand.abandon()
            say("name servers can't be handed over: \(error)")
        }
    }

    /// Says what went wrong since the last time.
    func report() {
        for failure in errand.takeFailures() { say("name servers were not handed over: \(failure)") }
    }

    /// What hands these settings over in place of what was there before.
    static func calls(_ settings: [HostSettings], _ receiver: Receiver, _ device: String) -> [Call] {
        let servers = unique(settings.flatMap(\.nameServers).map(\.description))
        // Who names no domain wants all names.
        let wantsAll = settings.contains { given in
            !given.nameServers.isEmpty && (given.domains.isEmpty || given.domains.contains { $0.name.isEmpty })
        }
        let domains = unique(settings.flatMap(\.domains).map(\.name)).filter { !$0.isEmpty }
        switch receiver {
        case .resolved(let path):
            guard !servers.isEmpty else { return [Call(arguments: [path, "revert", device])] }
            let routes = (wantsAll ? ["~."] : []) + domains.map { "~\($0)" }
            return [
                Call(arguments: [path, "dns", device] + servers.prefix(16)),
                Call(arguments: [path, "domain", device] + routes.prefix(24)),
            ]
        case .resolvconf(let path):
            let name = "\(device).martlet"
            guard !servers.isEmpty else { return [Call(arguments: [path, "-d", name])] }
            var text = servers.map { "nameserver \($0)\n" }.joined()
            if !domains.isEmpty { text += "search \(domains.joined(separator: " "))\n" }
            return [Call(arguments: [path, "-a", name], input: Array(text.utf8))]
        }
    }

    private static func unique(_ texts: [String]) -> [String] {
        var seen: Set<String> = []
        return texts.filter { seen.insert($0).inserted }
    }

    @Sendable private static func carryOut(_ call: Call) -> String? {
        do {
            let status = try ChildProcess.run(call.arguments, input: call.input, milliseconds: patience)
            return status == 0 ? nil : "\(call.arguments.joined(separator: " ")) ended with \(status)"
        } catch {
            return "\(error)"
        }
    }
}

/// What the thread is to do next: the newest calls only.
private final class Errand: Sendable {
    private struct State {
        var next: [NameServerKeeper.Call]?
        var isRunning = false
        var failures: [String] = []
    }

    private let state = Mutex(State())
    private let carryOut: @Sendable (NameServerKeeper.Call) -> String?

    init(_ carryOut: @escaping @Sendable (NameServerKeeper.Call) -> String?) { self.carryOut = carryOut }

    /// Puts calls in place of those that were not begun; whether somebody has to start a thread for them.
    func take(_ calls: [NameServerKeeper.Call]) -> Bool {
        state.withLock { state in
            state.next = calls
            defer { state.isRunning = true }
            return !state.isRunning
        }
    }

    /// Carries out what there is until there is nothing left.
    func run() {
        while let calls = begin() {
            for call in calls {
                guard let failure = carryOut(call) else { continue }
                state.withLock { if $0.failures.count < 8 { $0.failures.append(failure) } }
            }
        }
    }

    /// There is no thread after all.
    func abandon() { state.withLock { $0.isRunning = false } }

    var isIdle: Bool { state.withLock { !$0.isRunning } }

    func takeFailures() -> [String] {
        state.withLock { state in
            defer { state.failures = [] }
            return state.failures
        }
    }

    private func begin() -> [NameServerKeeper.Call]? {
        state.withLock { state in
            defer { state.next = nil }
            state.isRunning = state.next != nil
            return state.next
        }
    }
}
