import ArgumentParser
import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import WireFormat

/// `martlet-bench tunnels`.
struct Tunnels: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures what established tunnels cost an engine: memory, and processor time to keep them alive.",
        discussion: """
            Everything is in this process and in virtual time: the responder's engine with a data plane that installs \
            nothing, and engines that play its peers. Memory is what the process grows by for each IKE SA with its \
            Child SA, the peers' halves forgotten at once. Keeping alive is a liveness check of each peer every 30 s \
            that nothing was heard of it; the figure is the processor time of the checking engine alone over the time \
            that it stands for, without system calls.
            """)

    @Option(help: "Tunnels for the memory figure.")
    var memory = 20_000

    @Option(help: "Tunnels that are kept alive; 0 for none.")
    var alive = 100_000

    @Option(help: "Seconds of virtual time that they are kept alive.")
    var seconds = 60

    func validate() throws {
        guard memory > 0, alive >= 0, seconds > 0 else { throw ValidationError("The numbers must be above zero.") }
    }

    func run() throws {
        let suite = try BenchPeer.Suite(ike: "aes128gcm16-prfsha256-x25519", esp: "aes128gcm16")
        print(try memoryFigure(suite).line)
        guard alive > 0 else { return }
        for figure in try keepAlive(suite) { print(figure.line) }
    }

    /// Something that should have been did not.
    struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    private static let key = SecretBytes(Array("measured, not secret".utf8))
    private static let responderAddress = IPAddress(v4: 0xc000_0202)

    private func memoryFigure(_ suite: BenchPeer.Suite) throws -> Figure {
        let responder = BenchPeer([BenchPeer.responder(suite)], key: Self.key, path: nil, now: .zero)
        // What everything takes once, before the first that counts.
        for number in 0..<200 { try connect(number, suite, responder) }
        let before = ProcessInformation.residentOctets ?? 0
        for number in 200..<(200 + memory) { try connect(number, suite, responder) }
        let after = ProcessInformation.residentOctets ?? 0
        guard responder.count == memory + 200 else { throw Broken(description: "\(responder.count) IKE SAs") }
        return Figure(
            name: "tunnels/memory", value: Double(after - before) / Double(memory), unit: "octets/tunnel")
    }

    /// A handshake with a peer that is forgotten afterwards, in its first second.
    private func connect(_ number: Int, _ suite: BenchPeer.Suite, _ responder: BenchPeer) throws {
        let now = Instant.zero + .microseconds(Int64(number))
        let path = Path(
            local: Endpoint(IPAddress(v4: 0x0ac8_0000 + UInt32(truncatingIfNeeded: number)), 500),
            remote: Endpoint(Self.responderAddress, 500))
        let initiator = BenchPeer(key: Self.key, path: path, now: now)
        let connection = BenchPeer.initiator(number, suite, remote: Self.responderAddress)
        initiator.start(connection, now: now)
        Self.exchange(initiator, responder, now)
        guard initiator.progress(of: connection.name) == .established else {
            throw Broken(description: "\(String(describing: initiator.progress(of: connection.name)))")
        }
    }

    private static func exchange(_ initiator: BenchPeer, _ responder: BenchPeer, _ now: Instant) {
        while true {
            let requests = initiator.takeOutbox()
            for datagram in requests { responder.handle(.datagram(datagram.turned), now: now) }
            let responses = responder.takeOutbox()
            for datagram in responses { initiator.handle(.datagram(datagram.turned), now: now) }
            if requests.isEmpty, responses.isEmpty { return }
        }
    }

    // MARK: Keeping alive

    /// Peers of one address each, with so many tunnels: a peer's own tables must not be what is measured.
    private static let share = 1000

    private func keepAlive(_ suite: BenchPeer.Suite) throws -> [Figure] {
        var watchful = BenchPeer.responder(suite)
        watchful.dpdDelay = .seconds(30)
        let responder = BenchPeer(
            [watchful], key: Self.key, path: nil, now: .zero, measures: { ProcessInformation.threadTime })
        let hosts = (alive + Self.share - 1) / Self.share
        var peers: [BenchPeer] = []
        var numbers: [IPAddress: Int] = [:]
        // Spread over the 30 s, as the starts of real tunnels are.
        let pace = Interval(nanoseconds: Interval.seconds(30).nanoseconds / Int64(alive))
        var now = Instant.zero
        for host in 0..<hosts {
            let address = IPAddress(v4: 0x0ac8_0000 + UInt32(truncatingIfNeeded: host))
            numbers[address] = host
            let path = Path(local: Endpoint(address, 500), remote: Endpoint(Self.responderAddress, 500))
            let peer = BenchPeer(key: Self.key, path: path, now: now)
            peers.append(peer)
            for number in (host * Self.share)..<min(alive, (host + 1) * Self.share) {
                now = now + pace
                peer.start(BenchPeer.initiator(number, suite, remote: Self.responderAddress), now: now)
                Self.exchange(peer, responder, now)
            }
        }
        guard responder.count == alive else { throw Broken(description: "\(responder.count) of \(alive) tunnels") }
        let before = responder.time
        let end = now + .seconds(Int64(seconds))
        var checks = 0
        while let next = responder.nextDeadline, next <= end {
            now = max(now, next)
            responder.handle(.deadline, now: now)
            for request in responder.takeOutbox() {
                guard let host = numbers[request.path.remote.address] else { continue }
                checks += 1
                peers[host].handle(.datagram(request.turned), now: now)
                for response in peers[host].takeOutbox() { responder.handle(.datagram(response.turned), now: now) }
            }
        }
        guard responder.count == alive else { throw Broken(description: "\(alive - responder.count) tunnels are gone") }
        guard checks >= alive * (seconds / 30) else { throw Broken(description: "only \(checks) liveness checks") }
        let time = (responder.time - before).seconds
        return [
            Figure(name: "tunnels/alive", value: Double(alive), unit: "count"),
            Figure(name: "tunnels/checks", value: Double(checks) / Double(seconds), unit: "1/s"),
            Figure(name: "tunnels/keepalive-cpu", value: time / Double(seconds), unit: "cores"),
            Figure(
                name: "tunnels/resident", value: Double(ProcessInformation.residentOctets ?? 0) / 1_048_576,
                unit: "MiB"),
        ]
    }
}

extension Datagram {
    /// As the other end sees it.
    fileprivate var turned: Datagram { Datagram(bytes, path: path.reversed, socket: socket) }
}
