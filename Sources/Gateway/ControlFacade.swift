import Clockwork
import GatewayModel
import IKECore
import IKEv2Engine
import IPsecCrypto
import LinuxSystem
import Telemetry
import ViciServer

/// What control clients may ask of a gateway, and what they are told.
///
/// It owns the commands in progress. It never talks to a socket: the ``ViciServer`` in front of it does.
final class ControlFacade: ViciHandler {
    private let gateway: Gateway
    private let started: Instant
    private let reload: () -> ViciOutcome
    private var pending = PendingCommands()
    /// IKE SAs that were announced as up, so that they can be announced as down when the engine has forgotten them.
    private var announced: [IKESAID: IKESASummary] = [:]

    /// The server that carries outcomes; set once it is there.
    var server: ViciServer?

    /// A facade of `gateway`; `reload` reads the configuration again.
    init(_ gateway: Gateway, reload: @escaping () -> ViciOutcome) {
        self.gateway = gateway
        self.reload = reload
        started = gateway.now
        gateway.observe { [unowned self] in observe($0) }
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

    func ikeSAs() -> [ViciIKESA] {
        gateway.ikeSAs.map { summary in
            var traffic: [ChildSAID: ViciIKESA.Traffic] = [:]
            for child in summary.children { traffic[child.id] = self.traffic(of: child) }
            return ViciIKESA(summary, traffic: traffic)
        }
    }

    func connections() -> [Connection] { gateway.configuration.connections }

    func lastFailures() -> [String: ViciFailure] {
        var failures: [String: ViciFailure] = [:]
        for connection in gateway.configuration.connections {
            guard let last = gateway.lastRefusal(of: connection.name) else { continue }
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
        let kinds: [(String, TransformType)] = [
            ("encryption", .encryption), ("integrity", .integrity), ("prf", .prf), ("ke", .keyExchange),
        ]
        return kinds.map { kind, type in
            (kind, AlgorithmRegistry.algorithms.filter { $0.transform.type == type }.map(\.displayName).uniqued())
        }
    }

    func reloadSettings() -> ViciOutcome { reload() }

    func initiate(_ request: ViciInitiation, ticket: ViciTicket) {
        guard let (connection, child) = find(request) else {
            let name = request.child ?? request.connection ?? ""
            server?.complete(ticket, .failure("no connection or child '\(name)' is configured"))
            return
        }
        let present = gateway.ikeSAs.filter { $0.connection == connection.name }
        let installed = present.flatMap(\.children).filter { $0.state == .installed || $0.state == .rekeying }
            .map(\.name)
        let wanted = child.map { [$0] } ?? connection.children.map(\.name)
        let missing = Set(wanted).subtracting(installed)
        if missing.isEmpty, !wanted.isEmpty || present.contains(where: { $0.state == .established }) {
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
    }

    /// Whether an IKE SA is not what an initiation goes by: it is leaving, or the peer has begun it.
    private static func isOther(_ sa: IKESASummary) -> Bool {
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

    private func matches(_ target: Command.Target) -> (ikeSAs: Set<IKESAID>, children: Set<ChildSAID>) {
        let all = gateway.ikeSAs
        switch target {
        case .connection(let name): return (Set(all.filter { $0.connection == name }.map(\.id)), [])
        case .ikeSA(let id): return (Set(all.filter { $0.id == id }.map(\.id)), [])
        case .child(let name, let connection):
            let owners = all.filter { connection == nil || $0.connection == connection }
            return ([], Set(owners.flatMap(\.children).filter { $0.name == name }.map(\.id)))
        case .childSA(let id): return ([], Set(all.flatMap(\.children).filter { $0.id == id }.map(\.id)))
        }
    }

    /// The connection and the child that a request names; the child's name alone finds the first connection that has it.
    private func find(_ request: ViciInitiation) -> (Connection, String?)? {
        let connections = gateway.configuration.connections
        let candidates = connections.filter { request.connection == nil || $0.name == request.connection }
        guard let child = request.child else { return candidates.first.map { ($0, nil) } }
        return candidates.first { $0.child(named: child) != nil }.map { ($0, child) }
    }

    private func observe(_ event: Event) {
        // A peer that tries at the same time, and fails, is not the failure that somebody here waits for.
        if pending.isInitiating, case .ikeStateChanged = event.kind, let id = event.ikeSA, let name = event.connection,
            let sa = gateway.ikeSA(id), Self.isOther(sa)
        {
            pending.disregard(id, of: name)
        }
        if let server {
            tell(event, server)
            publishChange(event, server)
        }
        for (ticket, outcome) in pending.settle(event) { server?.complete(ticket, outcome) }
    }

    /// Puts the event into words for those who want to read them, and only then: most events have no reader.
    private func tell(_ event: Event, _ server: ViciServer) {
        let listeners = pending.listeners(event)
        let isPublic = server.hasListeners("log")
        guard isPublic || !listeners.isEmpty else { return }
        let text = EventText(event)
        let line = ViciLogLine(
            group: text.group.rawValue, level: text.level, connection: event.connection, ikeSA: event.ikeSA,
            text: text.text)
        for ticket in listeners { server.log(ticket, line) }
        if isPublic { server.publish(.log(line)) }
    }

    private func publishChange(_ event: Event, _ server: ViciServer) {
        switch event.kind {
        case .ikeEstablished(let summary):
            announced[summary.id] = summary
            server.publish(.ikeUpDown(isUp: true, summary))
        case .ikeClosed:
            guard let summary = event.ikeSA.flatMap({ announced.removeValue(forKey: $0) }) else { return }
            server.publish(.ikeUpDown(isUp: false, summary))
        case .childInstalled(let child): publish(child, isUp: true, event, server)
        case .childClosed(let child, _): publish(child, isUp: false, event, server)
        default: return
        }
    }

    private func publish(_ child: ChildSASummary, isUp: Bool, _ event: Event, _ server: ViciServer) {
        guard let owner = event.ikeSA.flatMap({ announced[$0] }) else { return }
        server.publish(.childUpDown(isUp: isUp, child, of: owner, traffic(of: child)))
    }

    private func traffic(of child: ChildSASummary) -> ViciIKESA.Traffic {
        ViciIKESA.Traffic(
            inbound: gateway.counters(.inbound, spi: child.inboundSPI),
            outbound: gateway.counters(.outbound, spi: child.outboundSPI))
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
