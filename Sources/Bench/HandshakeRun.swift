import Clockwork
import GatewayModel
import IKECore
import LinuxSystem
import NetworkTypes
import WireFormat

/// Many initiators in one endpoint on one pair of UDP sockets, a bounded number of them at a time.
///
/// It owns the sockets and counts what comes of each initiator. It never installs an SA.
final class HandshakeRun {
    /// What is wanted.
    struct Options {
        /// The responder.
        var address: IPAddress
        /// How many handshakes.
        var count: Int
        /// How many at most are under way at once.
        var outstanding: Int
        /// Whether the SAs stay; they are deleted otherwise.
        var keeps: Bool
        /// The number of the first initiator.
        var first: Int
        /// The proposals.
        var suite: BenchPeer.Suite
        /// The pre-shared key.
        var key: SecretBytes
    }

    /// What came of it.
    struct Outcome {
        /// Child SAs that came up.
        var established = 0
        /// Those that did not, and why the first did not.
        var failed = 0
        var failure: String?
        /// From the first message to the last.
        var duration = Interval.zero
    }

    /// There is no way to the responder.
    struct NoRoute: Error, CustomStringConvertible {
        let description: String
    }

    private let options: Options
    private let plain: UDPSocket
    private let natTraversal: UDPSocket
    private let poller: Poller
    private let peer: BenchPeer
    /// Connections that are not done, and whether they were counted already.
    private var underway: [String: Bool] = [:]
    private var outcome = Outcome()
    private var started = 0
    private var buffer = [UInt8](repeating: 0, count: 65_536)

    /// Opens UDP ports 500 and 4500 of all addresses.
    init(_ options: Options) throws {
        self.options = options
        let anywhere = IPAddress.unspecified(options.address.family)
        plain = try UDPSocket.bind(Endpoint(anywhere, 500))
        natTraversal = try UDPSocket.bind(Endpoint(anywhere, 4500))
        for socket in [plain, natTraversal] { try socket.setReceiveBuffer(4 << 20) }
        poller = try Poller()
        try poller.add(plain.descriptor, token: 0, .readable)
        try poller.add(natTraversal.descriptor, token: 1, .readable)
        guard case .reachable(let route) = try RouteSocket().lookup(options.address), let own = route.preferredSource
        else { throw NoRoute(description: "there is no route to \(options.address)") }
        let path = Path(local: Endpoint(own, 500), remote: Endpoint(options.address, 500))
        peer = BenchPeer(key: options.key, path: path, now: MonotonicClock.now())
    }

    /// Does all handshakes.
    func run() throws -> Outcome {
        let begin = MonotonicClock.now()
        var events: [PollEvent] = []
        startMore()
        while !underway.isEmpty {
            let pause = peer.nextDeadline.map { max(.zero, $0 - MonotonicClock.now()) }
            try poller.wait(timeout: pause, into: &events)
            for event in events { try receive(event.token == 0 ? plain : natTraversal) }
            let now = MonotonicClock.now()
            if let due = peer.nextDeadline, due <= now { peer.handle(.deadline, now: now) }
            proceed()
            startMore()
        }
        outcome.duration = MonotonicClock.now() - begin
        return outcome
    }

    private func startMore() {
        while started < options.count, underway.count < options.outstanding {
            let connection = BenchPeer.initiator(options.first + started, options.suite, remote: options.address)
            started += 1
            underway[connection.name] = false
            peer.start(connection, now: MonotonicClock.now())
            proceed()
        }
    }

    private func receive(_ socket: UDPSocket) throws {
        let isMarked = socket === natTraversal
        while let information = try socket.receive(into: &buffer) {
            let octets = Array(buffer[..<information.length].dropFirst(isMarked ? 4 : 0))
            let datagram = Datagram(octets, path: information.path, socket: isMarked ? .natTraversal : .plain)
            peer.handle(.datagram(datagram), now: MonotonicClock.now())
            proceed()
        }
    }

    /// Sends what the endpoint has to say, and counts what has come to an end.
    private func proceed() {
        for name in peer.takeChanged() {
            guard let wasCounted = underway[name], let progress = peer.progress(of: name) else { continue }
            if !wasCounted {
                count(progress)
                underway[name] = true
            }
            switch progress {
            case .underway: continue
            case .established where !options.keeps:
                peer.terminate(name, now: MonotonicClock.now())
                continue
            case .established, .closed, .refused: break
            }
            underway[name] = nil
            peer.forget(name, now: MonotonicClock.now())
        }
        for datagram in peer.takeOutbox() { send(datagram) }
    }

    private func count(_ progress: BenchPeer.Progress) {
        if progress == .established {
            outcome.established += 1
        } else {
            outcome.failed += 1
            if case .refused(let reason) = progress, outcome.failure == nil { outcome.failure = reason }
        }
    }

    private func send(_ datagram: Datagram) {
        let isMarked = datagram.socket == .natTraversal
        let octets = isMarked ? [0, 0, 0, 0] + datagram.bytes : datagram.bytes
        // What can't be sent is lost as if on its way: it is sent again later.
        _ = try? (isMarked ? natTraversal : plain).send(octets, along: datagram.path)
    }
}
