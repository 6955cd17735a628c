public import Clockwork
public import GatewayModel
public import IKECore
public import IKEv2Engine
import IPsecCrypto
public import SwanctlConfig

/// Carries IKE messages between an engine and the network.
public protocol IKETransport: AnyObject {
    /// Sends a message; what can't be sent is lost, as on any network.
    func send(_ datagram: Datagram)
}

/// Finds the way to a connection's peer.
public protocol PathFinder: AnyObject {
    /// The addresses and ports with which to start, or why there are none.
    func path(for connection: Connection) -> Answer
}

/// One running gateway: an engine, and everything that its effects need.
///
/// It obeys effects in their order, answers questions, and tells observers what happened. It belongs to one thread. It
/// never decides anything about a protocol: that is the engine's.
public final class Gateway {
    private let endpoint: IKEv2Endpoint
    private var environment: Environment
    private var effects = Effects()
    private var inputs: [Input] = []
    private var isHandling = false
    private var credentials: CredentialStore
    private let plane: any DataPlane
    private let transport: any IKETransport
    private let paths: any PathFinder
    private let clock: () -> Instant
    private var observers: [(Event) -> Void] = []

    /// What it is configured to do now.
    public private(set) var configuration: Configuration

    /// A gateway that has nothing to do yet. `settings` hold what no configuration file says (its connections are not
    /// looked at); `clock` is the one that the engine's deadlines are on.
    public init(
        _ loaded: LoadedConfiguration, settings: Configuration = Configuration(), plane: any DataPlane,
        transport: any IKETransport, paths: any PathFinder, clock: @escaping () -> Instant
    ) {
        configuration = settings
        configuration.connections = loaded.connections
        credentials = CredentialStore(loaded.secrets)
        endpoint = IKEv2Endpoint(configuration: configuration)
        environment = Environment(now: clock(), entropy: SystemEntropy())
        self.plane = plane
        self.transport = transport
        self.paths = paths
        self.clock = clock
    }

    /// Calls `observer` with every event from now on, on the gateway's thread.
    public func observe(_ observer: @escaping (Event) -> Void) { observers.append(observer) }

    /// The time on the engine's clock.
    public var now: Instant { clock() }

    /// When ``deadlineReached()`` has something to do.
    public var nextDeadline: Instant? { endpoint.nextDeadline }

    /// All IKE SAs, the oldest first.
    public var ikeSAs: [IKESASummary] { endpoint.summaries() }

    /// What the engine holds: for statistics, and to see that nothing leaks.
    public var counts: IKEv2Endpoint.Counts { endpoint.counts }

    /// What last went wrong with a connection that did not come up since.
    public func lastRefusal(of connection: String) -> (time: Instant, refusal: Refusal)? {
        endpoint.lastRefusal(ofConnection: connection)
    }

    /// Refusals for which no connection could be found, the oldest first.
    public var recentRefusals: [Event] { endpoint.recentRefusals }

    /// The traffic of an SA's direction.
    public func counters(_ direction: SecurityAssociation.Direction, spi: UInt32) -> SACounters {
        plane.counters(direction, spi: spi) ?? SACounters()
    }

    /// Takes over another configuration, secrets included. Tunnels that are up stay up.
    public func replace(_ loaded: LoadedConfiguration) {
        configuration.connections = loaded.connections
        credentials = CredentialStore(loaded.secrets)
        handle(.configuration(configuration))
    }

    /// Time has passed.
    public func deadlineReached() { handle(.deadline) }

    /// Looks at what the data plane has to tell.
    public func drainPlane() {
        for event in plane.takeEvents() { handle(.plane(event)) }
    }

    /// Gives the engine something to do and sees to all that comes of it. What an effect gives rise to is handled after
    /// the effects that stand before it, never in between.
    public func handle(_ input: Input) {
        inputs.append(input)
        guard !isHandling else { return }
        isHandling = true
        defer { isHandling = false }
        var next = 0
        while next < inputs.count {
            environment.now = clock()
            endpoint.handle(inputs[next], &environment, &effects)
            for effect in effects.take() { obey(effect) }
            next += 1
        }
        inputs.removeAll(keepingCapacity: true)
    }

    private func obey(_ effect: Effect) {
        switch effect {
        case .send(let datagram): transport.send(datagram)
        case .publish(let event): for observer in observers { observer(event) }
        case .ask(let ticket, let query):
            if case .path(let connection) = query {
                inputs.append(.answer(ticket, paths.path(for: connection)))
            } else if let answer = credentials.answer(query) {
                inputs.append(.answer(ticket, answer))
            }
        case .plane(let command):
            do { try plane.obey(command) } catch { refuse(command, String(describing: error)) }
        }
    }

    /// A data plane that will not carry a Child SA ends it: a tunnel that only seems to be up is worse than none.
    private func refuse(_ command: PlaneCommand, _ reason: String) {
        let child: ChildSAID?
        switch command {
        case .install(let association): child = association.child
        case .protect(let id, _, _, _), .move(let id, _, _): child = id
        case .remove, .unprotect, .keepAlive: child = nil
        }
        let owner = ikeSAs.first { sa in sa.children.contains { $0.id == child } }
        let name = owner?.children.first { $0.id == child }?.name
        let event = Event(
            time: environment.now, ikeSA: owner?.id, connection: owner?.connection,
            kind: .refused(.planeRefused(reason: reason), child: name))
        for observer in observers { observer(event) }
        if let child { inputs.append(.command(.terminate(.childSA(child)))) }
    }
}
