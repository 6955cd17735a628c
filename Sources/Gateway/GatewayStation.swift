import Clockwork
import GatewayModel
public import IKECore
import LinuxSystem
public import NetworkTypes
public import SwanctlConfig
public import UserspacePlane

/// A gateway at its place in a process: engine and plane on one control loop.
///
/// It owns the traffic between the two: IKE messages that the plane received, events that it raises, deadlines. It never
/// opens a configuration and never listens for people; the ``Daemon`` does.
public final class GatewayStation {
    /// The gateway.
    public let gateway: Gateway
    /// What carries its packets.
    public let plane: UserspacePlane
    private let loop: ControlLoop
    private let transport: PlaneTransport
    private let signing: SigningService
    /// Who finds out whether certificates are revoked.
    let revocation: RevocationService
    /// Who speaks with RADIUS servers.
    let radius: RADIUSService
    private let paths: any PathFinder
    private var lastWake = Instant.zero
    /// How many messages are dealt with before what comes of them goes out.
    private static let together = 32
    private static let wakePause = Interval.milliseconds(20)

    /// Told when messages to a peer can't even be sent, once for each reason: its silence alone would mislead.
    public var onSendFailure: ((Path, String) -> Void)? {
        get { transport.onFailure }
        set { transport.onFailure = newValue }
    }

    /// Puts a gateway on `loop`. Its clock is the machine's monotonic one.
    public init(
        _ loaded: LoadedConfiguration, settings: Configuration = Configuration(), plane: UserspacePlane,
        paths: any PathFinder, on loop: ControlLoop
    ) throws {
        self.plane = plane
        self.loop = loop
        self.paths = paths
        transport = PlaneTransport(plane)
        let revocation = try RevocationService(moment: { WallClock.now() })
        self.revocation = revocation
        let signing = try SigningService(moment: { WallClock.now() }, revocation: revocation)
        self.signing = signing
        gateway = Gateway(
            loaded, settings: settings, plane: plane, transport: transport, paths: paths,
            clock: MonotonicClock.now, signing: signing)
        radius = RADIUSService(gateway, loaded.settings.radius, on: loop)
        try loop.add(signing.descriptor, .readable) { [unowned self] _ in
            gateway.gather { gateway.drainSignatures() }
        }
        try loop.add(plane.descriptor, .readable) { [unowned self] _ in receive() }
        for descriptor in plane.messageDescriptors {
            try loop.add(descriptor, .readable, isGathered: true) { [unowned self] _ in
                take(self.plane.readMessages(descriptor))
            }
        }
        let names = try NameResolver()
        gateway.names = names
        try loop.add(names.descriptor, .readable) { [unowned self] _ in gateway.takeNames() }
        loop.addDeadline(
            { [unowned self] in gateway.nextDeadline },
            { [unowned self] in gateway.gather { gateway.deadlineReached() } })
        radius.begin()
        // The packet threads see to orders before their next packet anyway. One handshake wakes them in its own round;
        // many a second share a wake-up.
        loop.addDeadline(
            { [unowned self] in self.plane.hasNewOrders ? lastWake + Self.wakePause : nil },
            { [unowned self] in
                lastWake = MonotonicClock.now()
                self.plane.wakeWorkers()
            })
    }

    /// Makes the devices that children have for themselves, and removes those of children that have none any more.
    public func keepInterfaces() -> [UserspacePlane.InterfaceOutcome] {
        plane.keepInterfaces(
            gateway.configuration.connections.flatMap { connection in
                connection.children.compactMap { child in
                    child.interface.map {
                        UserspacePlane.NamedInterface(
                            key: VirtualInterface.key(connection: connection.name, child: child.name), interface: $0)
                    }
                }
            })
    }

    /// Puts the policies in force that hold whether or not anybody is connected.
    public func standPolicies() throws {
        let configuration = gateway.configuration
        try plane.stand(
            configuration.standingPolicies(paths.path(for:)),
            dormant: configuration.dormantPolicies(paths.path(for:))
        ) { connection, child in
            configuration.connection(named: connection)?.child(named: child) != nil
        }
    }

    /// Starts what the configuration says is to start by itself, and is not up or on its way; of these connections when
    /// any are named.
    public func startConfiguredChildren(of names: Set<String>? = nil) {
        for connection in gateway.configuration.connections where names?.contains(connection.name) ?? true {
            for child in connection.children
            where child.shunt == nil && (child.startAction == .start || child.startAction == .trapAndStart) {
                gateway.handle(.command(.initiate(connection: connection.name, child: child.name)))
            }
        }
    }

    private func receive() {
        plane.acknowledge()
        take(plane.takeMessages())
    }

    private func take(_ messages: [IKEDatagram]) {
        var start = 0
        // Answers wait for the changes of the system that came before them: a few are gathered, not thousands.
        repeat {
            let end = min(start + Self.together, messages.count)
            gateway.gather {
                for message in messages[start..<end] {
                    let socket: IKESocket = message.hadMarker ? .natTraversal : .plain
                    gateway.handle(.datagram(Datagram(message.bytes, path: message.path, socket: socket)))
                }
                if end == messages.count { gateway.drainPlane() }
            }
            start = end
        } while start < messages.count
    }
}

/// Gives an engine's messages to the plane, which has the sockets.
final class PlaneTransport: IKETransport {
    private let plane: UserspacePlane
    private var told: (remote: IPAddress, reason: String, time: Instant)?
    var onFailure: ((Path, String) -> Void)?

    init(_ plane: UserspacePlane) { self.plane = plane }

    /// A message that can't be sent is lost as if on its way: it is sent again.
    func send(_ datagram: Datagram) {
        let remote = datagram.path.remote.address
        do {
            _ = try plane.send(datagram.bytes, along: datagram.path, marker: datagram.socket == .natTraversal)
            if told?.remote == remote { told = nil }
        } catch {
            let now = MonotonicClock.now()
            let reason = String(describing: error)
            // At most one a second, whoever makes us answer to where there is no way.
            if let told, now - told.time < .seconds(1) || (told.remote == remote && told.reason == reason) { return }
            told = (remote, reason, now)
            onFailure?(datagram.path, reason)
        }
    }
}
