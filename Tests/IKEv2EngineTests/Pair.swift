import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import WireFormat

@testable import IKEv2Engine

/// One gateway of a test: an endpoint, what it knows, and everything that it did.
final class Gateway {
    let name: String
    let endpoint: IKEv2Endpoint
    var environment: Environment
    /// The keys that it knows.
    var secrets: [(local: Identity?, remote: Identity?, key: [UInt8])] = []
    /// The post-quantum preshared keys that it knows.
    var ppks: [(identity: String, key: [UInt8])] = []
    /// Our address for the path query, with the peer's; nil for no way.
    var path: Path?
    /// Whether the way leads to the address that the question names, whatever ``path`` says.
    var followsQueries = false
    /// Whether questions are answered as soon as they are asked.
    var answersAtOnce = true
    /// Questions that wait.
    var questions: [(ticket: Ticket, query: Query)] = []
    /// Everything, in order.
    var effects: [Effect] = []
    /// Who speaks EAP; nobody by default.
    var converse: (EAPQuestion) -> EAPStep = { _ in .failure([], .unavailable("no method")) }
    /// What is lent to clients, in turn; empty for none.
    var lends: [Answer] = []
    /// When the last packet came.
    var lastUse: Instant?
    /// What was given back.
    var released: [Lease] = []
    /// Keys that came out.
    var exposed: [ExposedKeys] = []
    /// Datagrams that wait to be taken out.
    var outbox: [Datagram] = []

    init(_ name: String, _ configuration: Configuration, seed: UInt64) {
        self.name = name
        endpoint = IKEv2Endpoint(configuration: configuration)
        environment = Environment(now: .zero + .seconds(1), entropy: SeededEntropy(seed: seed))
    }

    func handle(_ input: Input) {
        var fresh = Effects()
        endpoint.handle(input, &environment, &fresh)
        let list = fresh.take()
        effects += list
        for effect in list {
            switch effect {
            case .send(let datagram): outbox.append(datagram)
            case .ask(let ticket, let query): questions.append((ticket, query))
            case .release(let lease): released.append(lease)
            case .expose(let keys): exposed.append(keys)
            case .plane, .publish, .forget: break
            }
        }
        if answersAtOnce { answerAll() }
    }

    /// Answers all questions that wait.
    func answerAll() {
        while !questions.isEmpty {
            let (ticket, query) = questions.removeFirst()
            handle(.answer(ticket, answer(query)))
        }
    }

    func answer(_ query: Query) -> Answer {
        switch query {
        case .path(let connection):
            if followsQueries, let remote = connection.remoteAddresses.first?.single { path?.remote.address = remote }
            return path.map { .path($0) } ?? .noPath("no route to host")
        case .prove(let proof):
            guard let key = key(local: proof.signer, remote: proof.other) else { return .noSecret }
            return .proof(Self.mac(key, proof))
        case .verify(let proof, let received):
            guard let key = key(local: proof.other, remote: proof.signer) else { return .noSecret }
            return Self.mac(key, proof) == received ? .verified : .falseProof
        case .mix(let identity, let prf, let keys):
            guard let key = ppks.first(where: { Array($0.identity.utf8) == identity })?.key else { return .noSecret }
            return .mixing(SecretBytes(key), prf: prf, keys)
        case .encapsulate(let method, let value):
            return .encapsulation(method, to: value, entropy: &environment.entropy)
        case .lastUse: return .lastUse(lastUse)
        case .eap(let question): return .eap(converse(question))
        case .lease: return lends.isEmpty ? .noLease("all are in use") : lends.removeFirst()
        }
    }

    private func key(local: Identity, remote: Identity) -> [UInt8]? {
        secrets.first { ($0.local == nil || $0.local == local) && ($0.remote == nil || $0.remote == remote) }?.key
    }

    private static func mac(_ key: [UInt8], _ proof: Query.Proof) -> [UInt8] {
        guard let prf = PRF(proof.prf) else { return [] }
        let pad = prf.compute(key: SecretBytes(key), Array("Key Pad for IKEv2".utf8))
        return prf.compute(key: pad, proof.octets).exposedBytes()
    }

    func takeOutbox() -> [Datagram] {
        defer { outbox = [] }
        return outbox
    }

    var events: [Event] { effects.compactMap { if case .publish(let event) = $0 { event } else { nil } } }
    var kinds: [Event.Kind] { events.map(\.kind) }
    var plane: [PlaneCommand] { effects.compactMap { if case .plane(let command) = $0 { command } else { nil } } }
    var refusals: [Refusal] {
        kinds.compactMap { if case .refused(let refusal, _) = $0 { refusal } else { nil } }
    }
    var closeReasons: [Event.CloseReason] {
        kinds.compactMap { if case .ikeClosed(let reason) = $0 { reason } else { nil } }
    }
    var drops: [Event.DropReason] {
        kinds.compactMap { if case .dropped(let reason, _) = $0 { reason } else { nil } }
    }
    var installed: [SecurityAssociation] {
        plane.compactMap { if case .install(let association) = $0 { association } else { nil } }
    }
    /// SPIs that are installed and not removed.
    var liveSPIs: [UInt32] {
        var live: [UInt32] = []
        for command in plane {
            switch command {
            case .install(let association): live.append(association.spi)
            case .remove(_, let spi, _), .retire(let spi, _): live.removeAll { $0 == spi }
            default: break
            }
        }
        return live
    }
    var summary: IKESASummary? { endpoint.summaries().first }
    var isEmpty: Bool { endpoint.counts == IKEv2Endpoint.Counts() && liveSPIs.isEmpty }
}

extension Datagram {
    /// With the ends of its path the other way round.
    var asSeenByTheOther: Datagram { Datagram(bytes, path: path.reversed, socket: socket) }
}

/// Two gateways, time, and a wire between them that a test can cut, turn over and listen on.
final class Pair {
    let left: Gateway
    let right: Gateway
    var now = Instant.zero + .seconds(1)
    /// What happens to a datagram: what it returns is delivered. The default delivers everything.
    var wire: (Datagram, _ fromLeft: Bool) -> [Datagram] = { datagram, _ in [datagram] }
    /// All that was sent, in order.
    var trace: [(fromLeft: Bool, datagram: Datagram)] = []

    static let leftAddress = IPAddress(v4: 0xc000_0201)  // 192.0.2.1
    static let rightAddress = IPAddress(v4: 0xc633_6401)  // 198.51.100.1

    init(
        left: Connection = Pair.connection(), right: Connection = Pair.connection(isLeft: false),
        limits: Limits = Limits(), prefersUDPEncapsulation: Bool = true, seed: UInt64 = 1
    ) {
        var leftConfiguration = Configuration(connections: [left], limits: limits)
        var rightConfiguration = Configuration(connections: [right], limits: limits)
        leftConfiguration.prefersUDPEncapsulation = prefersUDPEncapsulation
        rightConfiguration.prefersUDPEncapsulation = prefersUDPEncapsulation
        self.left = Gateway("left", leftConfiguration, seed: seed)
        self.right = Gateway("right", rightConfiguration, seed: seed &+ 1000)
        self.left.path = Path(local: Endpoint(Self.leftAddress, 0), remote: Endpoint(Self.rightAddress, 0))
        self.right.path = Path(local: Endpoint(Self.rightAddress, 0), remote: Endpoint(Self.leftAddress, 0))
        self.left.secrets = [(nil, nil, Array("the same key".utf8))]
        self.right.secrets = [(nil, nil, Array("the same key".utf8))]
    }

    /// The connection `net` of one side: 10.1.0.0/16 on the left, 10.2.0.0/16 on the right.
    static func connection(
        isLeft: Bool = true, ike: String = "aes128gcm16-prfsha256-x25519", esp: String = "aes128gcm16"
    ) -> Connection {
        var connection = Connection(name: "net")
        connection.localAddresses = [.prefix(IPPrefix(host: isLeft ? leftAddress : rightAddress))]
        connection.remoteAddresses = [.prefix(IPPrefix(host: isLeft ? rightAddress : leftAddress))]
        connection.proposals = proposals(ike, .ike)
        connection.local.identity = .fqdn(isLeft ? "left.example" : "right.example")
        connection.remote.identity = .exactly(.fqdn(isLeft ? "right.example" : "left.example"))
        connection.children = [child(isLeft: isLeft, esp: esp)]
        return connection
    }

    static func child(_ name: String = "net", isLeft: Bool = true, esp: String = "aes128gcm16") -> ChildTemplate {
        var child = ChildTemplate(name: name)
        child.proposals = proposals(esp, .esp)
        child.localSelectors = [SelectorTemplate(prefix(isLeft ? "10.1.0.0/16" : "10.2.0.0/16"))]
        child.remoteSelectors = [SelectorTemplate(prefix(isLeft ? "10.2.0.0/16" : "10.1.0.0/16"))]
        child.lifeTime = .zero
        return child
    }

    static func proposals(_ texts: String, _ securityProtocol: SecurityProtocol) -> [Proposal] {
        texts.split(separator: ",").compactMap { try? Proposal(parsing: String($0), for: securityProtocol) }
    }

    static func prefix(_ text: String) -> IPPrefix { IPPrefix(text) ?? .everything(.v4) }

    func initiate(_ child: String? = nil) {
        left.handle(.command(.initiate(connection: "net", child: child)))
    }

    /// Delivers what was sent until nobody says anything any more.
    func run(limit: Int = 200) {
        for _ in 0..<limit {
            let fromLeft = left.takeOutbox()
            let fromRight = right.takeOutbox()
            if fromLeft.isEmpty, fromRight.isEmpty { return }
            for datagram in fromLeft { carry(datagram, fromLeft: true) }
            for datagram in fromRight { carry(datagram, fromLeft: false) }
        }
    }

    private func carry(_ datagram: Datagram, fromLeft: Bool) {
        trace.append((fromLeft, datagram))
        for arriving in wire(datagram, fromLeft) {
            let gateway = fromLeft ? right : left
            gateway.handle(.datagram(Datagram(arriving.bytes, path: arriving.path.reversed, socket: arriving.socket)))
        }
    }

    /// Lets time pass, waking both when they want to be woken.
    func advance(_ interval: Interval) {
        let end = now + interval
        run()
        while true {
            let next = [left.endpoint.nextDeadline, right.endpoint.nextDeadline].compactMap { $0 }.min()
            guard let next, next <= end else { break }
            now = max(now, next)
            wake()
        }
        now = end
        wake()
    }

    private func wake() {
        left.environment.now = now
        right.environment.now = now
        for gateway in [left, right] {
            if let due = gateway.endpoint.nextDeadline, due <= now { gateway.handle(.deadline) }
        }
        run()
    }

    /// Brings the tunnel up.
    func connect() {
        initiate()
        run()
    }
    /// Initiates while questions are answered by hand, one at a time; after so many nobody answers any more.
    func initiate(answering count: Int) {
        left.answersAtOnce = false
        right.answersAtOnce = false
        initiate()
        for _ in 0..<count {
            run()
            let gateway = left.questions.isEmpty ? right : left
            guard !gateway.questions.isEmpty else { break }
            let (ticket, query) = gateway.questions.removeFirst()
            gateway.handle(.answer(ticket, gateway.answer(query)))
        }
    }
}
