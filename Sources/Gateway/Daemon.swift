import Clockwork
import GatewayModel
import IKECore
import IKEv2Engine
import IPsecCrypto
public import LinuxSystem
import NetworkTypes
import SwanctlConfig
import Telemetry
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
        /// Where the control protocol is spoken.
        public var controlSocket: ControlAddress
        /// The TUN device's name.
        public var tunName: String
        /// Log lines above this level are not written.
        public var logLevel: Int
        /// Whether the configuration's `plugins.vici.socket` comes before ``controlSocket``: nobody has named one.
        public var prefersConfiguredSocket = false
        /// Whether packets may travel in trains where the kernel can do that.
        public var usesOffload: Bool
        /// Whether packets may be encrypted by something faster than libcrypto.
        public var usesAccelerator: Bool
        /// The directory that gets the keys of all SAs, for reading captures; nil, as it should be, for none.
        public var keyDirectory: String?

        /// The descriptor of the state from which to go on; nil to start anew.
        public var resumption: Int32?
        /// What a service manager gives this process.
        public var passed: [PassedDescriptors.Passed]
        /// The words of the command line after the program's name, with which another process is started in our place.
        public var arguments: [String]

        /// What the command line says.
        public init(configuration: String, controlSocket: ControlAddress, tunName: String, logLevel: Int) {
            self.configuration = configuration
            self.controlSocket = controlSocket
            self.tunName = tunName
            self.logLevel = logLevel
            usesOffload = true
            usesAccelerator = true
            keyDirectory = nil
            resumption = nil
            passed = []
            arguments = []
        }
    }

    /// How long a stop waits for peers to confirm before it goes without them.
    private static let farewell = Interval.seconds(3)
    /// How often somebody looks whether the device is still there.
    private static let lookInterval = Interval.seconds(5)

    let options: Options
    let log: EventLog
    let loop: ControlLoop
    private let signals: SignalWatcher
    let station: GatewayStation
    let server: ViciServer
    let facade: ControlFacade
    let store: ConfigurationStore
    let notification: ServiceNotification?
    let nameServers: NameServerKeeper
    let updown: UpdownHooks
    /// What the service manager has opened for us.
    let ports: PassedPorts
    private let watch: AddressWatch
    var stopping: Instant?
    /// Another process is to take this one's place.
    var succession: Succession?
    /// What another process has left for this one.
    var inherited: HandoverState?
    /// What another process has left is about to go, and its device and ports with it.
    private let insists: Bool
    private var failure: DaemonFailure?
    private var hasToldOfClear = false
    /// Why the last configuration's networks could not be blocked; nil when they are.
    private var blockFailure: String?
    private var nextLook = MonotonicClock.now() + lookInterval
    /// When the service manager gets a sign of life; nil when it does not wait for any.
    private var nextSign: Instant?

    /// Reads the configuration and takes hold of sockets, device and routes; says in an error what can't be had. Entries
    /// of the log go to `write`.
    public init(_ options: Options, write: @escaping (LogRecord) -> Void) throws {
        var options = options
        log = EventLog(level: options.logLevel, unixTime: WallClock.now, write: write)
        // Before any other thread: threads inherit the blocked signals.
        signals = try SignalWatcher()
        let loaded = try LoadedConfiguration(path: options.configuration, source: DiskFiles())
        for warning in loaded.warnings { log.line("CFG", warning.description) }
        if options.prefersConfiguredSocket, let socket = loaded.settings.controlSocket {
            options.controlSocket = try ControlAddress(socket)
        }
        self.options = options
        loop = try ControlLoop()
        var planeConfiguration = Self.planeConfiguration(options, loaded)
        notification = try ServiceNotification.fromEnvironment()
        let ports = try Self.ports(options, planeConfiguration)
        self.ports = ports
        planeConfiguration.ports = ports
        insists = ProcessInformation.environment(Self.insistence) != nil
        store = ConfigurationStore(loaded)
        var whole = loaded
        do {
            inherited = try Self.inheritance(options, notification) { [log] in log.line("DMN", $0) }
            if inherited != nil {
                try inherited?.require(planeConfiguration.shape)
                for reason in try inherited?.read(into: store) ?? [] { log.line("CFG", "not loaded again: \(reason)") }
                whole = store.whole
            }
        } catch {
            throw Self.beginAnew(options, ports, because: error) { [log] in log.line("DMN", $0) }
        }
        planeConfiguration.inheritance = inherited?.plane
        PacketAcceleration.allow(options.usesAccelerator)
        // Its ports first, then the device, which goes with the process; routes are made by ``run()`` only.
        let plane = try Self.insisting(insists) { try UserspacePlane(planeConfiguration) }
        let paths = try SystemPathFinder(mark: planeConfiguration.mark)
        station = try GatewayStation(
            whole, settings: Configuration(loaded.settings), plane: plane, paths: paths, on: loop)
        let reload = Reload()
        facade = ControlFacade(station.gateway, store, reload: { reload.carryOut() })
        server = ViciServer(handler: facade, poller: loop.poller, firstToken: ControlLoop.foreignTokens)
        let log = log
        watch = try AddressWatch(
            table: planeConfiguration.routeTable, routeProtocol: planeConfiguration.routeProtocol,
            device: options.tunName)
        nameServers = NameServerKeeper(
            device: options.tunName, receiver: .found(exists: RawFile.exists), say: { log.line("NET", $0) })
        let gateway = station.gateway
        updown = UpdownHooks(
            connection: { [unowned gateway] in gateway.hasUpdown ? gateway.connection(named: $0) : nil },
            ikeSA: { [unowned gateway] in gateway.ikeSA($0) }, say: { log.line("CHD", $0) })
        reload.body = { [unowned self] in self.reload() }
        facade.server = server
        if let directory = options.keyDirectory {
            station.gateway.keyReader = try SavedKeys(in: directory) { log.line("DMN", $0) }
            log.line("DMN", "INSECURE: the keys of all tunnels are written to \(directory) (--save-keys)")
        }
        facade.revocation = station.revocation
        station.radius.say = { log.line("IKE", $0) }
        try prepare()
    }

    /// Runs until a signal or a fault ends it. After a signal nothing of ours stays in the kernel; after a fault what keeps
    /// protected networks blocked does, since whoever relies on them is not asked.
    public func run() throws {
        do {
            if let state = inherited {
                inherited = nil
                do { try takeOver(state) } catch {
                    // Nothing was sent yet; whoever comes finds what a crash would have left.
                    throw Self.beginAnew(options, ports, because: error) { log.line("DMN", $0) }
                }
                try? ProcessSuccession.allowDumps(true)
            } else {
                try adoptBlocks()
            }
            let count = station.gateway.configuration.connections.count
            log.line(
                "DMN",
                "martlet \(MartletVersion.current) runs: \(count) \(count == 1 ? "connection" : "connections") from "
                    + "\(options.configuration), control socket \(options.controlSocket)")
            if case .loopback = options.controlSocket {
                log.line("DMN", "whoever has an account on this machine may control the gateway (--vici tcp://)")
            }
            if !ports.isEmpty {
                let places = ports.endpoints.map(\.description).joined(separator: ", ")
                log.line("NET", "the service manager has opened UDP \(places)")
            }
            tell { try $0.ready(status: "running") }
            station.startConfiguredChildren()
            try loop.run()
        } catch {
            station.plane.leaveBlocks()
            end()
            tellOfBlocks()
            throw error
        }
        let isClean = end()
        if let failure {
            tellOfBlocks()
            throw failure
        }
        log.line("DMN", isClean ? "stopped; routes, rules and device are removed" : "stopped")
    }

    private func tellOfBlocks() {
        log.line("DMN", "stopped by a failure; what was protected stays blocked until martlet runs again")
    }

    /// Takes back everything; whether all of it went.
    @discardableResult
    private func end() -> Bool {
        server.stop()
        nameServers.stop()
        updown.stop()
        do { try station.plane.stop() } catch {
            log.line(
                "DMN",
                "what is left in the kernel has to be removed by hand (`ip rule`, `ip route show table 220`): \(error)")
            return false
        }
        return true
    }

    /// The service manager is told what it wants to know; that it can't be told is no reason to stop.
    private func tell(_ message: (ServiceNotification) throws -> Void) {
        guard let notification else { return }
        do { try message(notification) } catch { log.line("DMN", "the service manager is not told: \(error)") }
    }

    func adoptBlocks() throws {
        for outcome in station.keepInterfaces() {
            switch outcome {
            case .made(let key, let name): log.line("KNL", "\(key) has the device \(name)")
            case .failed(let key, let error): log.line("KNL", "\(key) has no device: \(error)")
            }
        }
        let configuration = station.gateway.configuration
        try station.plane.adoptBlocks(
            keeping: configuration.remotePrefixes(where: { _ in true }),
            making: configuration.remotePrefixes(where: { $0.startAction != .none }))
        try station.standPolicies()
        if let error = station.plane.clearFailure, !hasToldOfClear {
            hasToldOfClear = true
            log.line("KNL", "packets that come in clear for protected networks are not discarded: \(error)")
        }
    }

    private func prepare() throws {
        let gateway = station.gateway
        gateway.observe(log.kinds) { [log] in log.record($0) }
        gateway.observe(.childInstalled) { [unowned self] in tellOfClosedNetworks($0) }
        gateway.tellsConsiderations = log.level >= EventLog.considerationLevel
        gateway.onConsideration = { [log] in log.consider($0, $1, $2) }
        gateway.observe(.hostSettings) { [nameServers] in nameServers.observe($0) }
        gateway.observe([.hostSettings, .ikeClosed, .childInstalled, .childClosed]) { [updown] in updown.observe($0) }
        server.onRefusal = { [unowned self] reason in log.line("CFG", reason) }
        store.onWarning = { [unowned self] warning in log.line("CFG", warning) }
        station.onSendFailure = { [unowned self] path, reason in
            log.line("NET", "messages from \(path.local.address) to \(path.remote) can't be sent: \(reason)")
        }
        if let number = inherited?.listener {
            do { try server.listen(adopting: Descriptor(owning: number), at: options.controlSocket) } catch {
                // Somebody has removed its file.
                try Self.insisting(true) { try server.listen(at: options.controlSocket) }
            }
        } else {
            try Self.insisting(insists) { try server.listen(at: options.controlSocket) }
        }
        facade.onRestart = { [unowned self] ticket in beginSuccession(ticket) }
        loop.afterEachRound { [unowned self] in lookWhetherAtRest() }
        loop.addDeadline({ [unowned self] in succession?.deadline }, { [unowned self] in lookWhetherAtRest() })
        loop.onForeignEvent = { [unowned self] event in server.handle(event) }
        loop.addDeadline({ [unowned self] in server.nextDeadline }, { [unowned self] in server.expire() })
        store.onChange = { [unowned self] whole, changed in adopt(whole, changed: changed) }
        let tellsMessages = log.level >= EventText.messageLevel
        gateway.beforeInput = { [store, facade, unowned gateway] in
            store.apply()
            gateway.tellsMessages = tellsMessages || facade.wantsMessages
        }
        loop.addDeadline({ [unowned self] in store.due }, { [unowned self] in store.apply() })
        try loop.add(watch.descriptor, .readable) { [unowned self] _ in
            do { try watch.look() } catch { log.line("NET", "changes of addresses can't be seen: \(error)") }
        }
        loop.addDeadline({ [unowned self] in watch.due }, { [unowned self] in tellAddresses() })
        tellAddresses()
        loop.addDeadline({ [unowned self] in stopping }, { [unowned self] in loop.stop() })
        loop.afterEachRound { [unowned self] in
            if stopping != nil, station.gateway.counts.ikeSAs == 0, station.radius.isIdle { loop.stop() }
        }
        loop.addDeadline({ [unowned self] in nextLook }, { [unowned self] in lookAtPlane() })
        try loop.add(signals.descriptor, .readable) { [unowned self] _ in receiveSignals() }
        if let interval = ServiceNotification.watchdogInterval {
            nextSign = MonotonicClock.now()
            loop.addDeadline({ [unowned self] in nextSign }, { [unowned self] in giveSign(every: interval) })
        }
    }

    /// A family in which we have no address goes nowhere while its child is up: that is easily taken for a fault.
    private func tellOfClosedNetworks(_ event: Event) {
        guard case .childInstalled(let child) = event.kind else { return }
        let closed = station.plane.closedNetworks(of: child.id)
        guard !closed.isEmpty, let notice = child.notice(ofClosed: closed) else { return }
        log.line("KNL", notice)
    }

    /// From this loop, so that a gateway which hears nobody any more is started anew. Twice in the time that is allowed.
    private func giveSign(every interval: Interval) {
        nextSign = MonotonicClock.now() + Interval(nanoseconds: interval.nanoseconds / 2)
        tell { try $0.watchdog() }
    }

    /// Peers that may move with us learn where we are.
    private func tellAddresses() {
        do { station.gateway.handle(.localAddresses(try watch.addresses())) } catch {
            log.line("NET", "this machine's addresses can't be read: \(error)")
        }
    }

    /// A gateway whose device is gone carries nothing: it ends, so that whoever started it can start it again.
    private func lookAtPlane() {
        nextLook = MonotonicClock.now() + Self.lookInterval
        nameServers.report()
        updown.report()
        guard failure == nil, let error = station.plane.failure else { return }
        failure = DaemonFailure(description: "the TUN device can't be used any more: \(error)")
        log.line("DMN", "stopping: \(error)")
        station.plane.leaveBlocks()
        stop()
    }

    func stop() {
        callOffSuccession("the gateway stops")
        stopping = MonotonicClock.now() + Self.farewell
        tell { try $0.stopping() }
        station.gateway.handle(.command(.shutdown))
    }

    private func receiveSignals() {
        // A descriptor that can't be read has nothing to tell.
        while let signal = try? signals.next() {
            switch signal {
            case .hangUp: _ = reload()
            case .handOver: beginSuccession(nil)
            case .leave: beginLeaving()
            case .interrupt, .terminate:
                if stopping != nil {
                    // The second one does not wait for anybody.
                    log.line("DMN", "stopping at once")
                    loop.stop()
                } else {
                    log.line("DMN", "stopping: telling the peers")
                    stop()
                }
            }
        }
    }

    /// Reads the configuration again: all of it, or nothing and the running one stays as it was.
    private func reload() -> ViciOutcome {
        let loaded: LoadedConfiguration
        do { loaded = try LoadedConfiguration(path: options.configuration, source: DiskFiles()) } catch {
            log.line("CFG", "nothing was changed, since the configuration has mistakes:\n\(error)")
            return .failure("nothing was changed: \(error)")
        }
        for warning in loaded.warnings { log.line("CFG", warning.description) }
        store.replaceFile(loaded)
        log.line("CFG", "configuration loaded: \(loaded.connections.count) connections")
        station.startConfiguredChildren()
        return blockFailure.map { .failure("the configuration is loaded, but networks could not be blocked: \($0)") }
            ?? .success
    }

    /// The configuration is another one now: by the file, or by what control clients load.
    private func adopt(_ whole: LoadedConfiguration, changed: [String]) {
        station.gateway.replace(whole)
        facade.counters.keep(Set(whole.connections.map(\.name)))
        blockFailure = nil
        do { try adoptBlocks() } catch {
            blockFailure = String(describing: error)
            log.line("CFG", "networks that are to be protected could not be blocked: \(error)")
        }
        if !changed.isEmpty { station.startConfiguredChildren(of: Set(changed)) }
    }
}

/// Why a gateway ended by itself.
struct DaemonFailure: Error, CustomStringConvertible {
    let description: String
}

/// Breaks the circle between the daemon and the facade that may ask it to reload.
private final class Reload {
    var body: (() -> ViciOutcome)?

    func carryOut() -> ViciOutcome { body?() ?? .failure("the gateway is just starting") }
}
