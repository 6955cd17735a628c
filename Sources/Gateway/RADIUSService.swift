import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import RADIUS
import SwanctlConfig

/// Who speaks with RADIUS servers for a gateway.
protocol RADIUSDesk: AnyObject {
    /// Whether there are servers, or were some since the process began: without, there is nothing to be told.
    var isInUse: Bool { get }
    /// Takes the next step of an EAP conversation; the answer comes to the gateway as an input, now or later.
    func ask(_ question: EAPQuestion, _ ticket: Ticket)
    /// Nobody will ask for this conversation any more.
    func forget(_ conversation: EAPQuestion.Conversation)
    /// An SA is about to go, having carried this.
    func removing(_ direction: SecurityAssociation.Direction, of child: ChildSAID, _ counters: SACounters)
    /// Takes over other settings.
    func configure(_ settings: RADIUSSettings)
}

/// The sockets between a ``NetworkAccessServer`` and its servers, on a gateway's control loop.
///
/// It owns the sockets and nothing else: what is said, to whom and how often is the NAS's. Nothing here waits.
final class RADIUSService: RADIUSDesk {
    /// Datagrams that are taken from one socket before others have their turn.
    private static let mostAtOnce = 64

    private unowned let gateway: Gateway
    private let loop: ControlLoop
    private let clock: () -> Instant
    private var nas: NetworkAccessServer
    private var settings: RADIUSSettings
    private(set) var isInUse: Bool
    private var entropy = SystemEntropy()
    private var sockets: [RADIUSClient.Lane: (socket: UDPSocket, token: UInt64)] = [:]
    private var listener: (socket: UDPSocket, token: UInt64)?
    private var buffer = [UInt8](repeating: 0, count: RADIUSPacket.longest + 1)
    /// Whoever sends us rubbish shall not fill the log.
    private var words = TokenBucket(rate: 2, burst: 20, now: .zero)

    /// Gets what an operator wants to know: a sentence without its full stop.
    var say: (String) -> Void = { _ in }

    /// A service without sockets yet; call ``begin()``. The gateway has to outlive it.
    init(
        _ gateway: Gateway, _ settings: RADIUSSettings, on loop: ControlLoop,
        clock: @escaping () -> Instant = MonotonicClock.now,
        unixTime: @escaping @Sendable () -> Int64 = { WallClock.now() }
    ) {
        self.gateway = gateway
        self.settings = settings
        isInUse = !settings.servers.isEmpty
        self.loop = loop
        self.clock = clock
        nas = NetworkAccessServer(settings, unixTime: unixTime)
        words = TokenBucket(rate: 2, burst: 20, now: clock())
    }

    /// Takes part in the gateway's life.
    func begin() {
        gateway.radius = self
        gateway.observe([.ikeEstablished, .ikeClosed, .childInstalled]) { [unowned self] in observe($0) }
        loop.addDeadline(
            { [unowned self] in isInUse ? nas.nextDeadline : nil },
            { [unowned self] in gateway.gather { deadlineReached() } })
        listen()
    }

    /// Whether nothing is under way to any server.
    var isIdle: Bool { nas.counts.requests == 0 }

    /// What the next process goes on with.
    var handed: HandedSessions { nas.handed }

    /// Goes on with what another process had, once the gateway has its IKE SAs.
    func resume(_ handed: HandedSessions) {
        isInUse = true
        let living = gateway.ikeSAs.map(\.id)
        act { nas, effects in nas.resume(handed, living: living, meter, clock(), &entropy, &effects) }
    }

    // MARK: The gateway

    func ask(_ question: EAPQuestion, _ ticket: Ticket) {
        act { nas, effects in nas.ask(question, ticket, clock(), &entropy, &effects) }
    }

    func forget(_ conversation: EAPQuestion.Conversation) { nas.forget(conversation) }

    func removing(_ direction: SecurityAssociation.Direction, of child: ChildSAID, _ counters: SACounters) {
        nas.removing(direction, of: child, counters)
    }

    func configure(_ next: RADIUSSettings) {
        guard next != settings else { return }
        let isElsewhere = next.dynamicAuthorization?.listen != settings.dynamicAuthorization?.listen
        settings = next
        isInUse = isInUse || !next.servers.isEmpty
        // Sockets belong to servers by their place in the list.
        for lane in sockets.values { loop.remove(lane.token, lane.socket.descriptor) }
        sockets = [:]
        act { nas, effects in nas.configure(next, clock(), &effects) }
        if isElsewhere { listen() }
    }

    private func observe(_ event: Event) {
        guard isInUse, let id = event.ikeSA else { return }
        switch event.kind {
        case .ikeEstablished(let summary):
            act { nas, effects in nas.established(summary, meter, clock(), &entropy, &effects) }
        case .ikeClosed(let reason):
            act { nas, effects in nas.closed(id, reason, meter, clock(), &entropy, &effects) }
        case .childInstalled(let child): nas.installed(child, of: id)
        default: return
        }
    }

    private var meter: NetworkAccessServer.Meter {
        { [unowned gateway] direction, spi in gateway.counters(direction, spi: spi) }
    }

    private func deadlineReached() {
        act { nas, effects in nas.deadlineReached(clock(), meter, &entropy, &effects) }
    }

    /// Lets the NAS do something and sees to all that comes of it.
    private func act(_ body: (inout NetworkAccessServer, inout [NetworkAccessServer.Effect]) -> Void) {
        var effects: [NetworkAccessServer.Effect] = []
        body(&nas, &effects)
        for effect in effects {
            switch effect {
            case .send(let octets, let lane): send(octets, lane)
            case .answer(let ticket, let step): gateway.handle(.answer(ticket, .eap(step)))
            case .terminate(let id): gateway.handle(.command(.terminate(.ikeSA(id))))
            case .reply(let octets, let path): reply(octets, path)
            case .note(let text): note(text)
            }
        }
    }

    private func note(_ text: String) {
        if words.take(now: clock()) { say("RADIUS: \(text)") }
    }

    // MARK: Sockets

    /// A datagram that can't be sent is as good as lost: it is sent again, and at last given up.
    private func send(_ octets: [UInt8], _ lane: RADIUSClient.Lane) {
        guard settings.servers.indices.contains(lane.server) else { return }
        let server = settings.servers[lane.server]
        let remote = lane.service == .authentication ? server.authentication : server.accounting
        do {
            let socket = try socket(of: lane, server)
            _ = try socket.send(octets, along: Path(local: socket.localEndpoint, remote: remote))
        } catch {
            note("nothing can be sent to '\(server.name)' (\(remote)): \(error)")
        }
    }

    private func socket(of lane: RADIUSClient.Lane, _ server: RADIUSSettings.Server) throws -> UDPSocket {
        if let known = sockets[lane] { return known.socket }
        let family = server.authentication.address.family
        let socket = try UDPSocket.bind(Endpoint(server.source ?? .unspecified(family), 0))
        let token = try loop.add(socket.descriptor, .readable) { [unowned self] _ in
            gateway.gather { receive(socket, lane) }
        }
        sockets[lane] = (socket, token)
        return socket
    }

    private func receive(_ socket: UDPSocket, _ lane: RADIUSClient.Lane) {
        for _ in 0..<Self.mostAtOnce {
            guard let (octets, path) = datagram(from: socket) else { return }
            act { nas, effects in nas.receive(octets, from: path.remote, over: lane, clock(), &entropy, &effects) }
        }
    }

    private func datagram(from socket: UDPSocket) -> ([UInt8], Path)? {
        // A socket that can't be read has nothing to tell.
        guard let found = try? socket.receive(into: &buffer) else { return nil }
        return (Array(buffer.prefix(found.length)), found.path)
    }

    private func listen() {
        if let listener { loop.remove(listener.token, listener.socket.descriptor) }
        listener = nil
        guard let place = settings.dynamicAuthorization?.listen else { return }
        do {
            let socket = try UDPSocket.bind(place)
            let token = try loop.add(socket.descriptor, .readable) { [unowned self] _ in
                gateway.gather { receiveRequests(socket) }
            }
            listener = (socket, token)
        } catch {
            say("RADIUS: requests from outside (dae) can't be taken at \(place): \(error)")
        }
    }

    private func receiveRequests(_ socket: UDPSocket) {
        for _ in 0..<Self.mostAtOnce {
            guard let (octets, path) = datagram(from: socket) else { return }
            act { nas, effects in nas.receiveRequest(octets, along: path, clock(), &effects) }
        }
    }

    private func reply(_ octets: [UInt8], _ path: Path) {
        guard let listener else { return }
        do { _ = try listener.socket.send(octets, along: path) } catch {
            note("no answer can be sent to \(path.remote): \(error)")
        }
    }
}
