import Clockwork
import GatewayModel
import IKECore
import IKEv2Engine
import IPsecCrypto
import LinuxSystem
import SwanctlConfig
import Telemetry
import ViciServer

/// What control clients may ask of a gateway, and what they are told.
///
/// It owns the commands in progress. It never talks to a socket: the ``ViciServer`` in front of it does.
final class ControlFacade: ViciHandler {
    /// Which has this facade among its observers, and with it as long as there is anything to tell.
    unowned let gateway: Gateway
    let store: ConfigurationStore
    /// When the first of the processes was started that have handed over to each other.
    var started: Instant
    /// Lets another process take this one's place; why not, to whoever waits.
    var onRestart: ((ViciTicket?) -> Void)?
    /// How the last such change went.
    var report: [(name: String, value: String)] = []
    private let reload: () -> ViciOutcome
    var pending = PendingCommands() { didSet { isWaiting = pending.isWaiting } }
    /// Whether anybody waits for the outcome of a command: asked at every event.
    private(set) var isWaiting = false
    /// IKE SAs that were announced as up, so that they can be announced as down when the engine has forgotten them: each
    /// as the event that told of it, ``Event/Kind/ikeEstablished(_:)``, of which there is one copy then.
    var announced: [IKESAID: Event.Kind] = [:]
    /// The last IKE SA that was established in place of another one.
    var successor: IKESAID?
    /// Child SAs that were announced as up, by IKE SA, so that a replacement can be told from another one.
    var installed: [IKESAID: [ChildSASummary]] = [:]
    /// The last events.
    var remembered = EventMemory()
    /// Peers that deleted what they had just agreed to, by connection, and when.
    var shortLived: [String: Instant] = [:]
    /// IKE SAs with a request that had to be repeated, until an answer comes.
    var repeating: Set<IKESAID> = []
    /// IKE SAs on their way out of which it was told that another one takes their place.
    var replaced: Set<IKESAID> = []
    /// What was counted.
    var counters = MessageCounters()
    /// Failures by cause.
    var failures = FailureCounters()

    /// Who has fetched revocation lists; nil where nobody does.
    var revocation: RevocationService?

    /// Whom outcomes and events are told; set once they can be.
    var server: (any ViciAudience)?

    /// A facade of `gateway`, whose configuration is in `store`; `reload` reads the file again.
    init(_ gateway: Gateway, _ store: ConfigurationStore, reload: @escaping () -> ViciOutcome) {
        self.gateway = gateway
        self.store = store
        self.reload = reload
        started = gateway.now
        gateway.observe { [self] in observe($0) }
    }

    var now: Instant { gateway.now }
    var unixTime: Int64 { WallClock.now() }

    func version() -> ViciVersion {
        let release = (try? RawFile.readText("/proc/sys/kernel/osrelease")) ?? ""
        return ViciVersion(
            daemon: "martlet", version: MartletVersion.current, system: "Linux",
            release: String(release.prefix { !$0.isNewline }), machine: MartletVersion.machine)
    }

    func statistics() -> ViciStatistics {
        let counts = gateway.counts
        return ViciStatistics(
            uptime: now - started, workers: 3, idleWorkers: 2, scheduled: counts.deadlines, ikeSAs: counts.ikeSAs,
            halfOpenIKESAs: counts.halfOpen, features: ["ikev2", "psk", "pubkey", "x509", "userspace-esp", "vici"])
    }

    func ikeSAs() -> [ViciIKESA] { gateway.ikeSAs.map(withTraffic) }

    func ikeSAIDs() -> [IKESAID] { gateway.ikeSAIDs }

    func ikeSA(_ id: IKESAID) -> ViciIKESA? { gateway.ikeSA(id).map(withTraffic) }

    private func withTraffic(_ summary: IKESASummary) -> ViciIKESA {
        var traffic: [ChildSAID: ViciIKESA.Traffic] = [:]
        for child in summary.children { traffic[child.id] = self.traffic(of: child) }
        return ViciIKESA(summary, traffic: traffic)
    }

    func dropCounts() -> [DropCount] { gateway.dropCounts }

    func failureCounts() -> [ViciFailureCount] {
        failures.counts.map { ViciFailureCount(connection: $0.connection, code: $0.code, count: $0.count) }
    }

    func connections() -> [Connection] {
        store.apply()
        return gateway.configuration.connections
    }

    func lastFailures() -> [String: ViciFailure] {
        var failures: [String: ViciFailure] = [:]
        for connection in connections() {
            guard let last = gateway.lastRefusal(of: connection.name) else {
                failures[connection.name] = shortLived[connection.name].map { time in
                    let diagnosis = Diagnosis.deletedAtOnce(connection.name)
                    return ViciFailure(
                        code: diagnosis.code, text: diagnosis.text, remedy: diagnosis.remedy, time: time)
                }
                continue
            }
            failures[connection.name] = Self.failure(last.refusal, at: last.time)
        }
        return failures
    }

    func strayFailures() -> [ViciFailure] {
        gateway.recentRefusals.reversed().compactMap { event in
            if case .refused(let refusal, _) = event.kind { Self.failure(refusal, at: event.time) } else { nil }
        }
    }

    func algorithms() -> [(kind: String, names: [String])] {
        let kinds: [(String, TransformType, isAEAD: Bool)] = [
            ("encryption", .encryption, false), ("integrity", .integrity, false), ("aead", .encryption, true),
            ("prf", .prf, false), ("ke", .keyExchange, false),
        ]
        return kinds.map { kind, type, isAEAD in
            let found = AlgorithmRegistry.algorithms.filter {
                $0.transform.type == type && AlgorithmRegistry.isAEAD($0.transform) == isAEAD
            }
            return (kind, found.map(\.displayName).uniqued())
        }
    }

    func reloadSettings() -> ViciOutcome { reload() }

    func initiate(_ request: ViciInitiation, ticket: ViciTicket) {
        guard let (connection, child) = find(request) else {
            let what = request.child.map { "CHILD_SA config '\($0)'" } ?? "IKE_SA config '\(request.connection ?? "")'"
            server?.complete(ticket, .failure("\(what) not found"))
            return
        }
        if let child, connection.child(named: child)?.shunt != nil {
            server?.complete(
                ticket,
                .failure("CHILD_SA config '\(child)' is a policy (mode = pass or drop): nobody has to initiate it"))
            return
        }
        let limit = store.settings.initiationLimit
        if request.respectsLimits, limit > 0, gateway.counts.halfOpen >= limit {
            server?.complete(ticket, .failure("limit of half-open IKE_SAs exceeded"))
            return
        }
        let present = gateway.ikeSAs(of: connection.name)
        // What is on its way out carries nothing much longer.
        let staying = present.filter { $0.state != .deleting && $0.state != .destroying }
        let installed = staying.flatMap(\.children).filter { $0.state == .installed || $0.state == .rekeying }
            .map(\.name)
        let wanted = child.map { [$0] } ?? connection.children.filter { $0.shunt == nil }.map(\.name)
        let missing = Set(wanted).subtracting(installed)
        if missing.isEmpty, !wanted.isEmpty || staying.contains(where: { $0.state == .established }) {
            server?.complete(ticket, .success)
            return
        }
        let others = present.filter { Self.isOther($0) }.map(\.id)
        pending.wait(ticket, connection: connection.name, children: missing, others: Set(others))
        gateway.handle(.command(.initiate(connection: connection.name, child: child)))
    }

    func terminate(_ request: ViciTermination, ticket: ViciTicket) {
        let meant = matches(request.target)
        guard !meant.ikeSAs.isEmpty || !meant.children.isEmpty else {
            gateway.handle(.command(.terminate(request.target)))
            server?.complete(ticket, .terminated(0, of: 0))
            return
        }
        pending.wait(ticket, ikeSAs: meant.ikeSAs, children: meant.children)
        gateway.handle(.command(.terminate(request.target)))
        // The peer has been told; whether it answers is of no interest then.
        if request.force { for id in meant.ikeSAs.sorted() { gateway.handle(.command(.abandon(id))) } }
    }

    /// Whether an IKE SA is not what an initiation goes by: it is leaving, or the peer has begun it.
    static func isOther(_ sa: IKESASummary) -> Bool {
        switch sa.state {
        case .deleting, .destroying: true
        case .created, .connecting: !sa.isInitiator
        case .established, .passive, .rekeying, .rekeyed: false
        }
    }

    func rekey(_ target: Command.Target) -> ViciOutcome {
        let meant = matches(target)
        gateway.handle(.command(.rekey(target)))
        return .rekeying(meant.ikeSAs.count + meant.children.count)
    }

    func reauthenticate(_ target: Command.Target) -> ViciOutcome {
        let meant = matches(target).ikeSAs
        let ours = meant.filter { gateway.ikeSA($0)?.isInitiator ?? false }
        guard meant.isEmpty || !ours.isEmpty else {
            return .failure("only the end that started an IKE_SA can authenticate it anew (RFC 7296, 2.8.3)")
        }
        gateway.handle(.command(.reauthenticate(target)))
        return .rekeying(ours.count)
    }

    private func matches(_ target: Command.Target) -> (ikeSAs: Set<IKESAID>, children: Set<ChildSAID>) {
        switch target {
        case .connection(let name): return (Set(gateway.ikeSAs(of: name).map(\.id)), [])
        case .ikeSA(let id): return (gateway.ikeSA(id) == nil ? [] : [id], [])
        case .child(let name, let connection):
            let owners = connection.map { gateway.ikeSAs(of: $0) } ?? gateway.ikeSAs
            return ([], Set(owners.flatMap(\.children).filter { $0.name == name }.map(\.id)))
        case .childSA(let id):
            return ([], Set(gateway.ikeSAs.flatMap(\.children).filter { $0.id == id }.map(\.id)))
        }
    }

    /// The connection and the child that a request names; the child's name alone finds the first connection that has it.
    private func find(_ request: ViciInitiation) -> (Connection, String?)? {
        store.apply()
        guard let child = request.child else {
            return request.connection.flatMap { gateway.connection(named: $0) }.map { ($0, nil) }
        }
        guard let name = request.connection else {
            return gateway.configuration.connections.first { $0.child(named: child) != nil }.map { ($0, child) }
        }
        return gateway.connection(named: name).flatMap { $0.child(named: child) == nil ? nil : ($0, child) }
    }

    private static func failure(_ refusal: Refusal, at time: Instant) -> ViciFailure {
        let diagnosis = Diagnosis(refusal)
        return ViciFailure(code: diagnosis.code, text: diagnosis.text, remedy: diagnosis.remedy, time: time)
    }
}

extension Array where Element: Hashable {
    /// The elements without repetitions, in order.
    fileprivate func uniqued() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
