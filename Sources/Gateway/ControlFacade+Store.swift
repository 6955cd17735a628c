import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import StateRecords
import SwanctlConfig
import Telemetry
import Trust
import ViciServer

/// What control clients load, unload and list.
extension ControlFacade {
    func load(_ items: [ViciItem]) -> ViciOutcome {
        if let item = items.first, items.count == 1, [.privateKey, .certificate, .token].contains(item.kind) {
            return store.loadCredential(item, now: now)
        }
        return store.load(items, now: now).map { ViciOutcome.failure($0) } ?? .success
    }

    func unload(_ kind: ViciItem.Kind, _ name: String) -> ViciOutcome {
        if store.unload(kind, name, now: now) { return .success }
        return switch kind {
        case .connection: .failure("unload: connection '\(name)' not found")
        case .authority: .failure("unload: authority '\(name)' not found")
        // A secret that is not there is as good as unloaded.
        case .sharedSecret: .success
        case .privateKey, .certificate, .token: .failure("key not found")
        case .pool: .failure("\(name) not found")
        }
    }

    func names(of kind: ViciItem.Kind) -> [String] { store.names(of: kind) }

    func certificates() -> [ViciCertificate] {
        let held = store.certificates
        let fetched = revocation?.lists.map { list in
            ViciCertificate(
                type: "X509_CRL", flag: nil, hasPrivateKey: false, data: list.der, subject: list.issuer?.description)
        }
        return held + (fetched ?? []).filter { list in !held.contains { $0.data == list.data } }
    }

    func flushCertificates(_ type: String?) {
        let type = type?.uppercased()
        revocation?.flush(
            lists: type == nil || type == "X509_CRL", answers: type == nil || type == "OCSP_RESPONSE")
    }

    func subject(of certificate: [UInt8]) -> String? { (try? Certificate(der: certificate))?.name }

    func authorities() -> [ViciAuthority] {
        store.whole.authorities.map { authority in
            ViciAuthority(
                name: authority.name, subject: authority.certificate.name,
                revocationLists: authority.revocationLists, responders: authority.responders, certificateBase: nil)
        }
    }

    func clearCredentials() { store.clearCredentials(now: now) }

    func counters(_ scope: ViciCounterScope) -> [ViciCounters] {
        switch scope {
        case .global: [named("", counters.all)]
        case .each: counters.connections.compactMap { name in counters.connection(name).map { named(name, $0) } }
        case .connection(let name): counters.connection(name).map { [named(name, $0)] } ?? []
        }
    }

    private func named(_ name: String, _ counts: [UInt64]) -> ViciCounters {
        ViciCounters(name: name, values: zip(MessageCounters.names, counts).map { (name: $0, count: $1) })
    }

    func resetCounters(_ scope: ViciCounterScope) {
        switch scope {
        case .global: counters.reset()
        case .each: counters.resetConnections()
        case .connection(let name): counters.reset(name)
        }
    }

    func restart(ticket: ViciTicket) { onRestart?(ticket) }

    func restartReport() -> [(name: String, value: String)] { report }

    /// Appends what was counted.
    func writeCounters(to writer: RecordWriter) {
        let counts = counters.counts
        writer.list(counts.total) { writer.uint64($0) }
        writer.list(counts.connections) { entry in
            writer.text(entry.name)
            writer.list(entry.counts) { writer.uint64($0) }
        }
    }

    /// Reads it back, and takes note of who is connected.
    func readCounters(from reader: inout RecordReader) throws(RecordError) {
        counters = try MessageCounters(from: &reader)
        for summary in gateway.ikeSAs where summary.established != nil {
            if summary.state != .rekeyed { announced[summary.id] = .ikeEstablished(summary) }
            if !summary.children.isEmpty { installed[summary.id] = summary.children }
        }
    }

    func pools() -> [ViciPool] {
        store.apply()
        return gateway.pools.map { pool in
            var shown = ViciPool(
                name: pool.name, base: pool.baseAddress, size: UInt64(clamping: pool.size),
                leases: pool.entries.map {
                    ViciPool.Lease(
                        address: $0.address.description, identity: $0.identity.description, isOnline: $0.isOnline)
                })
            shown.prefixes = pool.prefixes.map { prefixes in
                ViciPool.Prefixes(
                    block: prefixes.stock.block.description, length: prefixes.stock.length,
                    size: UInt64(clamping: prefixes.size),
                    leases: prefixes.entries.map {
                        ViciPool.Lease(
                            address: "\($0.address)/\(prefixes.stock.length)", identity: $0.identity.description,
                            isOnline: $0.isOnline)
                    })
            }
            return shown
        }
    }

    func policies() -> [ViciPolicy] {
        let left = Dictionary(grouping: gateway.leftBehind) { $0.connection }
        return connections().flatMap { connection in
            connection.children.compactMap { child -> ViciPolicy? in
                let trap = left[connection.name]?.last { $0.child == child.name }
                let action: ViciPolicy.Action
                switch child.shunt {
                case nil where trap != nil: action = .trap
                case .pass? where child.startAction != .none: action = .pass
                case .drop? where child.startAction != .none: action = .drop
                case nil where child.startAction == .trap || child.startAction == .trapAndStart: action = .trap
                default: return nil
                }
                return ViciPolicy(
                    connection: connection.name, child: child.name, action: action,
                    mode: child.shunt?.rawValue ?? child.mode.rawValue,
                    localSelectors: trap?.local.map(\.description) ?? child.localSelectors.map(\.description),
                    remoteSelectors: trap?.remote.map(\.description) ?? child.remoteSelectors.map(\.description))
            }
        }
    }

    func redirect(_ redirection: ViciRedirection) -> ViciOutcome {
        guard let host = Host(redirection.gateway) else {
            return .failure("'\(redirection.gateway)' is neither an address nor a domain name")
        }
        let peers: PeerFilter
        do throws(PeerFilter.Problem) {
            peers = try PeerFilter(address: redirection.peerAddress, identity: redirection.peerIdentity)
        } catch {
            return .failure(error.reason)
        }
        let meant = gateway.ikeSAs.filter { sa in
            (redirection.connection == nil || redirection.connection == sa.connection)
                && (redirection.ikeSA == nil || redirection.ikeSA == sa.id.rawValue)
                && peers.matches(address: sa.path.remote.address, identity: sa.remoteIdentity)
        }
        guard !meant.isEmpty else { return .failure("no matching SAs to redirect found") }
        let able = meant.filter(\.canBeRedirected)
        guard !able.isEmpty else {
            return .failure(
                "no peer of the \(meant.count) matching SAs can be sent elsewhere: they were started here, "
                    + "are not established, or do not follow")
        }
        for sa in able { gateway.handle(.command(.redirect(sa.id, to: host))) }
        return .redirecting(able.count)
    }

    func install(_ wanted: Bool, child name: String, connection: String?) -> ViciOutcome {
        let owner = connections().first { candidate in
            (connection == nil || candidate.name == connection) && candidate.child(named: name) != nil
        }
        guard let owner, let child = owner.child(named: name) else {
            return .failure(wanted ? "configuration name not found" : "policy '\(name)' not found")
        }
        if !wanted, child.startAction == .none { return .failure("policy '\(name)' not found") }
        store.install(wanted, child: name, of: owner.name, now: now)
        store.apply()
        return .success
    }
}

extension MessageCounters {
    /// What another process has counted.
    init(from reader: inout RecordReader) throws(RecordError) {
        let total = try reader.list("counters") { reader throws(RecordError) in try reader.uint64("counter") }
        let connections = try reader.list("counters") { reader throws(RecordError) in
            let name = try reader.text("connection")
            return (
                name: name,
                counts: try reader.list("counters") { reader throws(RecordError) in try reader.uint64("counter") }
            )
        }
        self.init(total: total, connections: connections)
    }
}
