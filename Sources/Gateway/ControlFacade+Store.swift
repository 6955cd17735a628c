import GatewayModel
import Telemetry
import ViciServer

/// What control clients load, unload and list.
extension ControlFacade {
    func load(_ items: [ViciItem]) -> ViciOutcome {
        store.load(items, now: now).map { ViciOutcome.failure($0) } ?? .success
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

    func policies() -> [ViciPolicy] {
        connections().flatMap { connection in
            connection.children.filter { $0.startAction == .trap || $0.startAction == .trapAndStart }.map { child in
                ViciPolicy(
                    connection: connection.name, child: child.name, action: .trap, mode: child.mode.rawValue,
                    localSelectors: child.localSelectors.map(\.description),
                    remoteSelectors: child.remoteSelectors.map(\.description))
            }
        }
    }
}
