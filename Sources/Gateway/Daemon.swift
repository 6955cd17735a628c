import Clockwork
import GatewayModel
import IKECore
import IKEv2Engine
import LinuxSystem
import NetworkTypes
import SwanctlConfig
import UserspacePlane
import ViciServer

/// `martlet run`: one gateway, its configuration file, its control socket, the process's signals.
///
/// It owns the order in which things start and stop. It never speaks a protocol.
public final class Daemon {
    /// What the command line says.
    public struct Options: Sendable {
        /// The configuration file.
        public var configuration: String
        /// The control socket's path.
        public var controlSocket: String
        /// The TUN device's name.
        public var tunName: String
        /// Log lines above this level are not written.
        public var logLevel: Int

        /// What the command line says.
        public init(configuration: String, controlSocket: String, tunName: String, logLevel: Int) {
            self.configuration = configuration
            self.controlSocket = controlSocket
            self.tunName = tunName
            self.logLevel = logLevel
        }
    }

    /// How long a stop waits for peers to confirm before it goes without them.
    private static let farewell = Interval.seconds(3)

    private let options: Options
    private let log: EventLog
    private let loop: ControlLoop
    private let signals: SignalWatcher
    private let station: GatewayStation
    private let server: ViciServer
    private let facade: ControlFacade
    private let notification: ServiceNotification?
    private var stopping: Instant?

    /// Reads the configuration and takes hold of sockets, device and routes; says in an error what can't be had. Lines
    /// of the log go to `write`.
    public init(_ options: Options, write: @escaping (String) -> Void) throws {
        self.options = options
        log = EventLog(level: options.logLevel, unixTime: WallClock.now, write: write)
        // Before any other thread: threads inherit the blocked signals.
        signals = try SignalWatcher()
        let loaded = try LoadedConfiguration(path: options.configuration, source: DiskFiles())
        for warning in loaded.warnings { log.line("CFG", warning.description) }
        loop = try ControlLoop()
        var planeConfiguration = PlaneConfiguration()
        planeConfiguration.inside = .tun(name: options.tunName)
        let plane = try UserspacePlane(planeConfiguration)
        let paths = try SystemPathFinder(mark: planeConfiguration.mark)
        station = try GatewayStation(loaded, plane: plane, paths: paths, on: loop)
        let reload = Reload()
        facade = ControlFacade(station.gateway, reload: { reload.carryOut() })
        server = ViciServer(handler: facade, poller: loop.poller, firstToken: ControlLoop.foreignTokens)
        notification = try ServiceNotification.fromEnvironment()
        reload.body = { [unowned self] in self.reload() }
        facade.server = server
        try prepare()
    }

    /// Runs until a signal or a fault ends it.
    public func run() throws {
        try station.plane.adoptBlocks(keeping: station.gateway.configuration.protectedPrefixes)
        log.line("DMN", "martlet \(MartletVersion.current) runs: \(station.gateway.configuration.connections.count) connections from "
            + "\(options.configuration), control socket \(options.controlSocket)")
        try notification?.ready(status: "running")
        station.startConfiguredChildren()
        try loop.run()
        server.stop()
        try station.plane.stop()
        log.line("DMN", "stopped; routes, rules and device are removed")
    }

    private func prepare() throws {
        let gateway = station.gateway
        gateway.observe { [unowned self] event in log.record(event) }
        server.onRefusal = { [unowned self] reason in log.line("CTL", reason) }
        try server.listen(at: options.controlSocket)
        loop.onForeignEvent = { [unowned self] event in server.handle(event) }
        loop.addDeadline({ [unowned self] in server.nextDeadline }, { [unowned self] in server.expire() })
        loop.addDeadline({ [unowned self] in stopping }, { [unowned self] in loop.stop() })
        loop.afterEachRound { [unowned self] in
            if stopping != nil, station.gateway.counts.ikeSAs == 0 { loop.stop() }
        }
        try loop.add(signals.descriptor, .readable) { [unowned self] _ in receiveSignals() }
    }

    private func receiveSignals() {
        while let signal = try? signals.next() {
            switch signal {
            case .hangUp:
                let outcome = reload()
                if let message = outcome.message { log.line("CFG", message) }
            case .interrupt, .terminate:
                // The second one does not wait for anybody.
                if stopping != nil { loop.stop() }
                log.line("DMN", "stopping: telling the peers")
                stopping = MonotonicClock.now() + Self.farewell
                try? notification?.stopping()
                station.gateway.handle(.command(.shutdown))
            }
        }
    }

    /// Reads the configuration again: all of it, or nothing and the running one stays as it was.
    private func reload() -> ViciOutcome {
        do {
            let loaded = try LoadedConfiguration(path: options.configuration, source: DiskFiles())
            for warning in loaded.warnings { log.line("CFG", warning.description) }
            station.gateway.replace(loaded)
            try station.plane.adoptBlocks(keeping: station.gateway.configuration.protectedPrefixes)
            log.line("CFG", "configuration loaded: \(loaded.connections.count) connections")
            return .success
        } catch {
            return .failure("nothing was changed: \(error)")
        }
    }
}

/// Breaks the circle between the daemon and the facade that may ask it to reload.
private final class Reload {
    var body: (() -> ViciOutcome)?

    func carryOut() -> ViciOutcome { body?() ?? .failure("the gateway is just starting") }
}

extension Configuration {
    /// The peers' networks that are to be reached through tunnels only.
    var protectedPrefixes: [IPPrefix] {
        connections.flatMap(\.children).flatMap(\.remoteSelectors).flatMap { $0.addresses?.prefixes ?? [] }
    }
}
