import ArgumentParser
import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import WireFormat

/// `martlet-bench engine`.
struct Engine: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures the engines by themselves: no socket, no device, no other process.",
        discussion: """
            Handshakes per second of processor time of the responder's engine alone, for two key exchange groups; then \
            nanoseconds for each packet that the ESP engine seals and opens. The ratio of a packet's figure is the \
            engine's time over that of the bare cipher on the same octets: what sequence numbers, replay window, \
            padding and selectors cost.
            """)

    @Option(help: "Key exchange groups of the handshakes, with commas; `none` for no handshakes.")
    var groups = "x25519,ecp256,modp2048"

    @Option(help: "Handshakes in each round.")
    var handshakes = 300

    @Option(help: "Packets in each round.")
    var packets = 50_000

    @Option(help: "Rounds; the figure is their median.")
    var rounds = 5

    func validate() throws {
        guard handshakes > 0, packets > 0, rounds > 0 else { throw ValidationError("The numbers must be above zero.") }
    }

    func run() throws {
        for group in groups.split(separator: ",").map(String.init) where group != "none" {
            let suite = try BenchPeer.Suite(ike: "aes128gcm16-prfsha256-\(group)", esp: "aes128gcm16")
            var rates: [Double] = []
            for _ in 0..<rounds { rates.append(try handshakeRate(suite)) }
            print(Figure(name: "engine/handshakes/\(group)", value: rates.median, unit: "1/cpu-s").line)
        }
        for suite in ["aes128gcm16", "aes256-sha256", "chacha20poly1305"] {
            let hasChoice = PacketAcceleration.isAvailable && suite == "aes128gcm16"
            for library in hasChoice ? ["ipsec-mb", "libcrypto"] : ["libcrypto"] {
                PacketAcceleration.allow(library == "ipsec-mb")
                for size in [64, 1420] { try measurePackets(suite, library, size) }
                PacketAcceleration.allow(true)
            }
        }
    }

    private func measurePackets(_ suite: String, _ library: String, _ size: Int) throws {
        var bench = try PacketBench(Proposal(parsing: suite, for: .esp), size: size)
        var times: [PacketBench.Times] = []
        for _ in 0..<rounds { times.append(try bench.measure(packets)) }
        for (name, engine, bare) in [
            ("seal", times.map(\.seal).median, times.map(\.bareSeal).median),
            ("open", times.map(\.open).median, times.map(\.bareOpen).median),
        ] {
            let figure = Figure(
                name: "engine/\(name)/\(suite)/\(library)/\(size)", value: engine, unit: "ns/packet",
                ratio: engine / bare)
            print(figure.line)
        }
    }

    /// A handshake did not come to its end.
    struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    private func handshakeRate(_ suite: BenchPeer.Suite) throws -> Double {
        let key = SecretBytes(Array("measured, not secret".utf8))
        let here = IPAddress(v4: 0xc000_0201)
        let there = IPAddress(v4: 0xc000_0202)
        let path = Path(local: Endpoint(here, 500), remote: Endpoint(there, 500))
        let responder = BenchPeer(
            [BenchPeer.responder(suite)], key: key, path: nil, now: .zero,
            measures: { ProcessInformation.threadTime })
        let initiator = BenchPeer(key: key, path: path, now: .zero)
        var total = Interval.zero
        for number in 0..<handshakes {
            let now = Instant.zero + .milliseconds(Int64(number))
            let connection = BenchPeer.initiator(number, suite, remote: there)
            let before = responder.time
            initiator.start(connection, now: now)
            exchange(initiator, responder, now)
            total = total + (responder.time - before)
            guard initiator.progress(of: connection.name) == .established else {
                throw Broken(description: "\(String(describing: initiator.progress(of: connection.name)))")
            }
            // The responder must not fill up: that would measure something else.
            initiator.terminate(connection.name, now: now)
            exchange(initiator, responder, now)
            initiator.forget(connection.name, now: now)
            guard responder.count == 0 else { throw Broken(description: "the responder keeps \(responder.count) SAs") }
        }
        return Double(handshakes) / total.seconds
    }

    private func exchange(_ initiator: BenchPeer, _ responder: BenchPeer, _ now: Instant) {
        while true {
            let requests = initiator.takeOutbox()
            let responses = responder.takeOutbox()
            if requests.isEmpty, responses.isEmpty { return }
            for datagram in requests { responder.handle(.datagram(datagram.arriving), now: now) }
            for datagram in responses { initiator.handle(.datagram(datagram.arriving), now: now) }
        }
    }
}

extension Datagram {
    /// As the other end sees it.
    fileprivate var arriving: Datagram { Datagram(bytes, path: path.reversed, socket: socket) }
}
