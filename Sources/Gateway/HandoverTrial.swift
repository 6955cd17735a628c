public import Clockwork
import ESPEngine
import GatewayModel
public import IKECore
public import IKEv2Engine
import IPsecCrypto
import RADIUS
import StateRecords
public import SwanctlConfig
import Telemetry
public import WireFormat

/// A record that another process has left, read to its end, without touching anything of this machine's.
///
/// It owns nothing but what comes of it. The program that is to take over uses it to say beforehand whether it could.
public struct HandoverTrial {
    /// The engine as it would go on.
    public let endpoint: IKEv2Endpoint
    /// Its configuration, with what clients had loaded.
    public let configuration: Configuration
    /// What it would do first.
    public private(set) var effects: Effects
    /// What control clients had loaded and this configuration does not take, in words.
    public let refused: [String]
    /// SAs of ESP and AH that could be made.
    public private(set) var associations = 0
    /// What a plane has to look like; see ``require(_:)``.
    private let state: HandoverState

    /// Reads all of `memory` at `now`, with a configuration; throws ``RecordError`` for what no gateway has written.
    public init(_ memory: SecretBytes, with loaded: LoadedConfiguration, now: Instant) throws {
        var state = try HandoverState(memory)
        let store = ConfigurationStore(loaded)
        refused = try store.read(from: &state.store, now: now)
        var configuration = Configuration(loaded.settings)
        configuration.connections = store.whole.connectionsWithKeys
        self.configuration = configuration
        endpoint = IKEv2Endpoint(configuration: configuration)
        var environment = Environment(now: now, entropy: SeededEntropy(seed: 0))
        effects = Effects()
        try endpoint.takeOver(from: &state.engine, &environment, &effects)
        try Self.readLedgers(&state.ledgers, loaded)
        self.state = state
        for carried in state.associations where Self.canBeMade(carried) { associations += 1 }
    }

    /// Makes sure that a plane of that shape can take over the devices and sockets.
    func require(_ shape: String) throws { try state.require(shape) }

    private static func readLedgers(_ ledgers: inout RecordReader, _ loaded: LoadedConfiguration) throws(RecordError) {
        var leases = LeaseStore(loaded.pools)
        try leases.read(from: &ledgers)
        _ = try MessageCounters(from: &ledgers)
        if ledgers.isAtEnd { return }
        _ = try HandedHooks(from: &ledgers)
        _ = try HandedNameServers(from: &ledgers)
        if ledgers.isAtEnd { return }
        _ = try HandedSessions(from: &ledgers)
        if ledgers.isAtEnd { return }
        try leases.readPrefixes(from: &ledgers)
    }

    /// Whether there is an SA for it; one that can't be made is closed, and takes nothing else with it.
    private static func canBeMade(_ carried: HandoverState.Carried) -> Bool {
        var association = carried.association
        association.encryptionKey = carried.state.keys.encryption
        association.integrityKey = carried.state.keys.integrity
        association.limits = carried.state.limits
        do {
            switch (association.direction, association.securityProtocol == .ah) {
            case (.inbound, false): return try InboundSA(resuming: association, carried.state, pathMTU: nil) != nil
            case (.inbound, true): return try InboundAH(resuming: association, carried.state, pathMTU: nil) != nil
            case (.outbound, false): return try OutboundSA(resuming: association, carried.state, serial: 1) != nil
            case (.outbound, true): return try OutboundAH(resuming: association, carried.state, serial: 1) != nil
            }
        } catch {
            return false
        }
    }
}
