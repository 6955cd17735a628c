import Clockwork
import GatewayModel
import ViciMessages

@testable import ViciServer

/// What a gateway that knows this much answers to `martlet status`.
enum StatusTree {
    static func make(
        connections: [Connection], ikeSAs: [ViciIKESA], failures: [String: ViciFailure], strays: [ViciFailure],
        traps: [ViciPolicy] = [], now: Instant
    ) -> ViciTree {
        let known = Known(now: now, connectionList: connections, sas: ikeSAs, failures: failures, strays: strays)
        known.traps = traps
        return StatusReport(known).whole
    }

    /// A gateway that only knows something.
    private final class Known: ViciHandler {
        let now: Instant
        let unixTime: Int64 = 1_795_262_400
        private let connectionList: [Connection]
        private let sas: [ViciIKESA]
        private let failures: [String: ViciFailure]
        private let strays: [ViciFailure]
        var traps: [ViciPolicy] = []

        func policies() -> [ViciPolicy] { traps }

        init(
            now: Instant, connectionList: [Connection], sas: [ViciIKESA], failures: [String: ViciFailure],
            strays: [ViciFailure]
        ) {
            self.now = now
            self.connectionList = connectionList
            self.sas = sas
            self.failures = failures
            self.strays = strays
        }

        func version() -> ViciVersion { ViciVersion(daemon: "", version: "", system: "", release: "", machine: "") }
        func statistics() -> ViciStatistics {
            ViciStatistics(
                uptime: .zero, workers: 0, idleWorkers: 0, scheduled: 0, ikeSAs: 0, halfOpenIKESAs: 0, features: [])
        }
        func ikeSAs() -> [ViciIKESA] { sas }
        func connections() -> [Connection] { connectionList }
        func lastFailures() -> [String: ViciFailure] { failures }
        func strayFailures() -> [ViciFailure] { strays }
        func algorithms() -> [(kind: String, names: [String])] { [] }
        func reloadSettings() -> ViciOutcome { .success }
        func rekey(_ target: Command.Target) -> ViciOutcome { .rekeying(0) }
        func initiate(_ request: ViciInitiation, ticket: ViciTicket) {}
        func terminate(_ request: ViciTermination, ticket: ViciTicket) {}
    }
}
