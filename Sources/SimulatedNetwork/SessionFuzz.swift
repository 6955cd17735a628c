import Clockwork
import GatewayModel
public import IKECore
import NetworkTypes

/// Lets the octets of a fuzzer choose what happens between two gateways: which datagram is delivered, lost, doubled,
/// changed or sent back, when a deadline fires, which question is answered and how.
///
/// It owns two engines, their planes and the datagrams and questions between them. It says what went wrong; a trap needs
/// nobody to say so.
public final class SessionFuzz {
    /// The most IKE SAs, children, questions that one input of a few hundred octets may leave behind.
    public static let mostOfAnything = 600

    private let hosts: [SimulatedHost]
    private let provider: SharedKeyProvider
    private let connection: String
    private var now: Instant = .zero
    private var bag: [(to: Int, datagram: Datagram)] = []
    private var questions: [(host: Int, ticket: Ticket, query: Query)] = []
    private var octets: ArraySlice<UInt8> = []
    private var problem: String?
    private var digest = TraceDigest()

    /// Two gateways that suit each other, as `seed` draws them: half of them plain, a quarter with fragments and additional
    /// key exchanges, a quarter with rounds, post-quantum keys, virtual addresses.
    public init(seed: UInt64, makeEngine: ScenarioRun.EngineMaker) {
        let profile: Scenario.Profile = seed % 32 < 16 ? .storm : seed % 32 < 24 ? .hybrid : .extended
        var generator = ScenarioGenerator(seed: seed, profile: profile, loss: 0)
        let scenario = generator.scenario()
        connection = scenario.pairs[0].connection
        provider = SharedKeyProvider(keys: scenario.keys)
        hosts = scenario.gateways.prefix(2).enumerated().map { index, gateway in
            SimulatedHost(
                index: index, name: gateway.name, address: gateway.address, publicAddress: gateway.publicAddress,
                configuration: gateway.configuration, engine: makeEngine(gateway.configuration, index),
                dice: Dice(seed: seed), entropy: SeededEntropy(seed: seed &+ UInt64(index)))
        }
    }

    /// Does what the octets say, then closes everything. The digest keeps an optimiser from leaving anything out.
    public func run(_ input: [UInt8]) -> (digest: TraceDigest, problem: String?) {
        octets = input[...]
        begin(byte())
        while let octet = octets.popFirst(), problem == nil { step(octet) }
        if problem == nil { finish() }
        return (digest, problem)
    }

    private func byte() -> UInt8 { octets.popFirst() ?? 0 }

    /// The first octet says how far the two have come before the others begin: without this a fuzzer would spend its
    /// life looking for a handshake.
    private func begin(_ octet: UInt8) {
        let stage = octet & 3
        guard stage > 0 else { return }
        feed(.command(.initiate(connection: connection, child: "net")), hosts[0])
        // Those with many exchanges and pieces take more.
        for _ in 0..<(stage == 1 ? 4 : stage == 2 ? 40 : 120) {
            if !questions.isEmpty {
                answer(questions.removeFirst(), truthfully: true)
            } else if !bag.isEmpty {
                deliver(bag.removeFirst())
            }
        }
    }

    private func step(_ octet: UInt8) {
        let host = hosts[Int(octet >> 7)]
        switch octet & 0x1f {
        case 0...7: if let index = chosenDatagram() { deliver(bag.remove(at: index)) }
        case 8...13:
            guard !questions.isEmpty else { return }
            answer(questions.remove(at: Int(byte()) % questions.count), truthfully: octet & 0x1f < 13)
        case 14: if let index = chosenDatagram() { deliver(bag[index]) }
        case 15: if let index = chosenDatagram() { bag.remove(at: index) }
        case 16, 17: if let index = chosenDatagram() { deliver(changed(bag.remove(at: index))) }
        case 18, 19:
            guard let due = host.engine.nextDeadline else { return }
            now = max(now, due)
            feed(.deadline, host)
        case 20:
            now = now + .milliseconds(Int64(byte()) * 200)
            wakeAll()
        case 21, 22: feed(.command(.initiate(connection: connection, child: "net")), host)
        case 23: feed(.command(.initiate(connection: connection, child: nil)), host)
        case 24: feed(.command(.terminate(.connection(connection))), host)
        case 25: feed(.command(.terminate(.child("net", connection: nil))), host)
        case 26, 27: feed(.plane(planeEvent(octet, host)), host)
        case 28, 29: deliver((host.index, invented(host)))
        case 30: if let index = chosenDatagram() { deliver(reflected(bag[index])) }
        default: feed(.configuration(host.configuration), host)
        }
    }

    private func answer(_ question: (host: Int, ticket: Ticket, query: Query), truthfully: Bool) {
        let lies: [Answer] = [.falseProof, .noSecret, .noPath("no route"), .proof([1, 2, 3]), .verified]
        let host = hosts[question.host]
        let answer = truthfully ? provider.answer(question.query, for: host) : lies[Int(byte()) % lies.count]
        if let answer { feed(.answer(question.ticket, answer), host) }
    }

    private func chosenDatagram() -> Int? { bag.isEmpty ? nil : Int(byte()) % bag.count }

    private func deliver(_ mail: (to: Int, datagram: Datagram)) { feed(.datagram(mail.datagram), hosts[mail.to]) }

    private func changed(_ mail: (to: Int, datagram: Datagram)) -> (to: Int, datagram: Datagram) {
        var mail = mail
        guard !mail.datagram.bytes.isEmpty else { return mail }
        let position = (Int(byte()) << 8 | Int(byte())) % mail.datagram.bytes.count
        switch byte() {
        case 0: mail.datagram.bytes.removeSubrange(position...)
        case let value: mail.datagram.bytes[position] ^= value
        }
        return mail
    }

    private func reflected(_ mail: (to: Int, datagram: Datagram)) -> (to: Int, datagram: Datagram) {
        var mail = mail
        mail.to = 1 - mail.to
        mail.datagram.path = mail.datagram.path.reversed
        return mail
    }

    /// A datagram that nobody sent: sometimes with the SPIs of a real one in front.
    private func invented(_ host: SimulatedHost) -> Datagram {
        let count = Int(byte())
        var bytes = Array(octets.prefix(count))
        octets = octets.dropFirst(count)
        if count & 1 == 0, let known = bag.last?.datagram.bytes, known.count >= 28 {
            bytes = Array(known[..<(28 - count % 12)]) + bytes
        }
        let path = Path(
            local: Endpoint(host.address, 500), remote: Endpoint(hosts[1 - host.index].publicAddress, 500))
        return Datagram(bytes, path: path, socket: .plain)
    }

    private func planeEvent(_ octet: UInt8, _ host: SimulatedHost) -> PlaneEvent {
        let path = Path(
            local: Endpoint(host.address, 4500),
            remote: Endpoint(hosts[1 - host.index].publicAddress, 4500 + UInt16(byte())))
        switch octet >> 5 & 3 {
        case 0: return .acquire(connection: connection, child: "net")
        case 1: return .mappingChanged(ChildSAID(rawValue: UInt32(byte())), path)
        case 2: return .unknownSPI(UInt32(byte()) << 20, path)
        default:
            let child = ChildSAID(rawValue: UInt32(byte()))
            switch octet >> 3 & 3 {
            case 0: return .volumeReached(child, .soft)
            case 1: return .volumeReached(child, .hard)
            default: return .sequenceExhausted(child)
            }
        }
    }

    // MARK: Engines

    private func feed(_ input: Input, _ host: SimulatedHost) {
        var environment = Environment(now: now, entropy: host.entropy)
        var effects = Effects()
        host.engine.handle(input, &environment, &effects)
        host.entropy = environment.entropy
        for effect in effects.take() {
            switch effect {
            case .send(let datagram): post(datagram, from: host)
            case .plane(let command):
                host.plane.obey(command)
                if let complaint = host.plane.takeComplaints().first { problem = problem ?? complaint }
            case .ask(let ticket, let query): questions.append((host.index, ticket, query))
            case .publish: digest.absorb(UInt64(1))
            case .release(let lease): provider.takeBack(lease, from: host)
            case .forget: break
            case .expose: problem = problem ?? "keys came out although nobody asked for them"
            }
        }
        let census = host.engine.census
        let counts = [
            census.ikeSAs, census.halfOpen, census.childSAs, census.deadlines, census.openTickets, census.spis,
        ]
        for count in counts where !(0...Self.mostOfAnything).contains(count) {
            problem = problem ?? "out of bounds: \(census)"
        }
    }

    private func post(_ datagram: Datagram, from host: SimulatedHost) {
        digest.absorb(datagram.bytes)
        let peer = hosts[1 - host.index]
        var path = datagram.path.reversed
        path.local.address = peer.address
        path.remote.address = host.publicAddress
        bag.append((peer.index, Datagram(datagram.bytes, path: path, socket: datagram.socket)))
        if bag.count > Self.mostOfAnything { bag.removeFirst() }
    }

    private func wakeAll() {
        for host in hosts {
            var count = 0
            while let due = host.engine.nextDeadline, due <= now {
                feed(.deadline, host)
                count += 1
                if count > 1_000 {
                    problem = problem ?? "\(host.name) wants to be woken for ever"
                    return
                }
            }
        }
    }

    /// Nobody hears anything any more: with time alone, everything must end.
    private func finish() {
        for host in hosts { feed(.command(.terminate(.connection(connection))), host) }
        for _ in 0..<10_000 {
            guard let due = hosts.compactMap({ $0.engine.nextDeadline }).min(), problem == nil else { break }
            now = max(now, due)
            wakeAll()
        }
        for host in hosts where problem == nil {
            if !host.engine.census.isEmpty { problem = "\(host.name) left behind: \(host.engine.census)" }
            if !host.plane.isEmpty { problem = "\(host.name) left in the plane: \(host.plane.summary)" }
        }
    }
}
