import Clockwork
import GatewayModel
import IKECore
import LinuxSystem
import NetworkTypes
import WireFormat

/// Many initiators on one pair of UDP sockets, a bounded number of them at a time.
///
/// It owns the sockets and the initiators, and tells them apart by the initiator's SPI. It never installs an SA.
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
    private let path: Path
    private var peers: [UInt64: BenchPeer] = [:]
    private var counted: Set<UInt64> = []
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
        path = Path(local: Endpoint(own, 500), remote: Endpoint(options.address, 500))
    }

    /// Does all handshakes.
    func run() throws -> Outcome {
        let begin = MonotonicClock.now()
        var events: [PollEvent] = []
        startMore()
        while !peers.isEmpty {
            let now = MonotonicClock.now()
            let due = peers.values.compactMap(\.nextDeadline).min()
            try poller.wait(timeout: due.map { max(.zero, $0 - now) }, into: &events)
            for event in events { try receive(event.token == 0 ? plain : natTraversal) }
            wake()
            startMore()
        }
        outcome.duration = MonotonicClock.now() - begin
        return outcome
    }

    private func startMore() {
        while started < options.count, peers.count < options.outstanding {
            let connection = BenchPeer.initiator(options.first + started, options.suite, remote: options.address)
            let peer = BenchPeer(connection, key: options.key, path: path, now: MonotonicClock.now())
            started += 1
            peer.initiate(now: MonotonicClock.now())
            let outbox = peer.takeOutbox()
            guard let spi = outbox.first.flatMap({ Self.spi(of: $0.bytes) }) else {
                count(peer, spi: nil)
                continue
            }
            peers[spi] = peer
            for datagram in outbox { send(datagram) }
        }
    }

    private func receive(_ socket: UDPSocket) throws {
        let isMarked = socket === natTraversal
        while let information = try socket.receive(into: &buffer) {
            let octets = Array(buffer[..<information.length].dropFirst(isMarked ? 4 : 0))
            guard let spi = Self.spi(of: octets), let peer = peers[spi] else { continue }
            let datagram = Datagram(octets, path: information.path, socket: isMarked ? .natTraversal : .plain)
            peer.handle(.datagram(datagram), now: MonotonicClock.now())
            settle(peer, spi)
        }
    }

    private func wake() {
        let now = MonotonicClock.now()
        for (spi, peer) in peers where peer.nextDeadline.map({ $0 <= now }) ?? false {
            peer.handle(.deadline, now: now)
            settle(peer, spi)
        }
    }

    /// Sends what a peer has to say, and sees whether it is done.
    private func settle(_ peer: BenchPeer, _ spi: UInt64) {
        if peer.progress == .established, !counted.contains(spi) {
            count(peer, spi: spi)
            if !options.keeps { peer.terminate(now: MonotonicClock.now()) }
        }
        for datagram in peer.takeOutbox() { send(datagram) }
        switch peer.progress {
        case .underway: return
        case .established where !options.keeps: return
        case .refused:
            if !counted.contains(spi) { count(peer, spi: spi) }
        case .established, .closed: break
        }
        peers[spi] = nil
        counted.remove(spi)
    }

    private func count(_ peer: BenchPeer, spi: UInt64?) {
        if let spi { counted.insert(spi) }
        if peer.progress == .established {
            outcome.established += 1
        } else {
            outcome.failed += 1
            if case .refused(let reason) = peer.progress, outcome.failure == nil { outcome.failure = reason }
        }
    }

    private func send(_ datagram: Datagram) {
        let isMarked = datagram.socket == .natTraversal
        let octets = isMarked ? [0, 0, 0, 0] + datagram.bytes : datagram.bytes
        // What can't be sent is lost as if on its way: it is sent again later.
        _ = try? (isMarked ? natTraversal : plain).send(octets, along: datagram.path)
    }

    /// The initiator's SPI, with which every IKE message begins.
    private static func spi(of bytes: [UInt8]) -> UInt64? {
        bytes.count < 8 ? nil : bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
