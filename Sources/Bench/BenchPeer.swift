import Clockwork
import GatewayModel
import IKECore
import IKEv2Engine
import IPsecCrypto
import NetworkTypes
import WireFormat

/// One IKEv2 end of a measurement: an endpoint, a pre-shared key, and a data plane that installs nothing.
///
/// It owns what the endpoint asks for and takes out, and what each connection has come to. It never touches a socket.
final class BenchPeer {
    /// What a measurement is made with.
    struct Suite {
        /// The IKE proposal.
        let ike: Proposal
        /// The ESP proposal.
        let esp: Proposal

        /// Proposals as a configuration writes them.
        init(ike: String, esp: String) throws {
            self.ike = try Proposal(parsing: ike, for: .ike)
            self.esp = try Proposal(parsing: esp, for: .esp)
        }
    }

    /// What a connection has come to.
    enum Progress: Equatable {
        case underway
        case established
        case closed
        case refused(String)
    }

    /// The name of every child.
    static let child = "bench"

    private let endpoint: IKEv2Endpoint
    private var configuration: Configuration
    private var environment: Environment
    private var effects = Effects()
    private let key: SecretBytes
    private let path: Path?
    private var outbox: [Datagram] = []
    private var progress: [String: Progress] = [:]
    private var changed: [String] = []
    /// Processor time that the endpoint itself took, where `measures` was given.
    private(set) var time = Interval.zero
    /// Reads the processor time of this thread, before and after each input.
    private let measures: (() -> Interval)?

    /// An end with these connections. Whoever starts needs a `path`.
    init(
        _ connections: [Connection] = [], key: SecretBytes, path: Path?, now: Instant,
        measures: (() -> Interval)? = nil
    ) {
        configuration = Configuration(connections: connections)
        endpoint = IKEv2Endpoint(configuration: configuration)
        environment = Environment(now: now, entropy: SystemEntropy())
        self.key = key
        self.path = path
        self.measures = measures
    }

    /// When ``handle(_:now:)`` wants ``Input/deadline``.
    var nextDeadline: Instant? { endpoint.nextDeadline }

    /// How many IKE SAs it holds.
    var count: Int { endpoint.counts.ikeSAs }

    /// Enters a connection and begins to bring it up.
    func start(_ connection: Connection, now: Instant) {
        progress[connection.name] = .underway
        configuration.connections.append(connection)
        handle(.configuration(configuration), now: now)
        handle(.command(.initiate(connection: connection.name, child: Self.child)), now: now)
    }

    /// Begins to close a connection.
    func terminate(_ name: String, now: Instant) { handle(.command(.terminate(.connection(name))), now: now) }

    /// Takes a connection out. What is up stays up.
    func forget(_ name: String, now: Instant) {
        progress[name] = nil
        configuration.connections.removeAll { $0.name == name }
        handle(.configuration(configuration), now: now)
    }

    /// What a connection has come to; nil when it is not there.
    func progress(of name: String) -> Progress? { progress[name] }

    /// Connections whose progress has changed since the last call, in order.
    func takeChanged() -> [String] {
        defer { changed.removeAll(keepingCapacity: true) }
        return changed
    }

    /// Takes an input in, answers all that the endpoint asks for, and keeps what it sends.
    func handle(_ input: Input, now: Instant) {
        environment.now = now
        var inputs = [input]
        var next = 0
        while next < inputs.count {
            let before = measures?() ?? .zero
            endpoint.handle(inputs[next], &environment, &effects)
            if let measures { time = time + (measures() - before) }
            next += 1
            for effect in effects.take() {
                switch effect {
                case .send(let datagram): outbox.append(datagram)
                case .ask(let ticket, let query): inputs.append(.answer(ticket, answer(query)))
                case .publish(let event): observe(event)
                case .plane, .release, .forget, .expose: break
                }
            }
        }
    }

    /// Takes out what is to be sent.
    func takeOutbox() -> [Datagram] {
        defer { outbox.removeAll(keepingCapacity: true) }
        return outbox
    }

    private func observe(_ event: Event) {
        guard let name = event.connection, let before = progress[name] else { return }
        let after: Progress
        switch event.kind {
        case .childInstalled: after = .established
        case .ikeClosed(.asked): after = .closed
        case .ikeClosed(let reason): after = .refused("closed: \(reason)")
        case .refused(let refusal, _): after = .refused("\(refusal)")
        default: return
        }
        // The first refusal says why; that the IKE SA is closed then says nothing new.
        if case .refused = before { return }
        progress[name] = after
        changed.append(name)
    }

    private func answer(_ query: Query) -> Answer {
        switch query {
        case .path: path.map { .path($0) } ?? .noPath("this end never starts")
        case .lastUse: .lastUse(nil)
        case .lease: .noLease("the benchmark has no addresses")
        case .prove(let proof): code(proof).map { .proof($0.exposedBytes()) } ?? .noSecret
        case .verify(let proof, let received):
            code(proof).map { $0 == SecretBytes(received) ? verified(proof) : .falseProof } ?? .noSecret
        case .mix: .noSecret
        case .eap: .noSecret
        case .encapsulate(let method, let value):
            .encapsulation(method, to: value, entropy: &environment.entropy)
        }
    }

    private func verified(_ proof: Query.Proof) -> Answer {
        guard let reply = proof.reply else { return .verified }
        var own = proof
        own.octets = reply
        return code(own).map { .verifiedInReturn($0.exposedBytes()) } ?? .verified
    }

    private func code(_ proof: Query.Proof) -> SecretBytes? {
        guard let prf = PRF(proof.prf) else { return nil }
        let pad = prf.compute(key: key, Array("Key Pad for IKEv2".utf8))
        return prf.compute(key: pad, proof.octets)
    }
}

extension BenchPeer {
    /// The connection of the initiator with this number: an identity and a protected address of its own, under
    /// 10.128.0.0/9, so that no two Child SAs of a responder cover the same packets.
    static func initiator(_ number: Int, _ suite: Suite, remote: IPAddress) -> Connection {
        var connection = connection("h\(number)", suite)
        connection.remoteAddresses = [.prefix(IPPrefix(host: remote))]
        connection.local.identity = .fqdn("i\(number).bench")
        let own = IPAddress(v4: 0x0a80_0000 | UInt32(truncatingIfNeeded: number) & 0x007f_ffff)
        connection.children = [child(suite, local: IPPrefix(host: own).range, remote: responderNetwork.range)]
        return connection
    }

    /// The connection of a responder that takes all of these.
    static func responder(_ suite: Suite) -> Connection {
        var connection = connection("responder", suite)
        connection.local.identity = .fqdn("responder.bench")
        let theirs = IPPrefix(IPAddress(v4: 0x0a80_0000), length: 9) ?? .everything(.v4)
        connection.children = [child(suite, local: responderNetwork.range, remote: theirs.range)]
        return connection
    }

    private static let responderNetwork = IPPrefix(IPAddress(v4: 0x0a02_0000), length: 16) ?? .everything(.v4)

    private static func connection(_ name: String, _ suite: Suite) -> Connection {
        var connection = Connection(name: name)
        connection.proposals = [suite.ike]
        connection.remote.identity = .any
        connection.uniqueness = .never
        return connection
    }

    private static func child(_ suite: Suite, local: AddressRange, remote: AddressRange) -> ChildTemplate {
        var child = ChildTemplate(name: Self.child)
        child.proposals = [suite.esp]
        child.localSelectors = [SelectorTemplate(local)]
        child.remoteSelectors = [SelectorTemplate(remote)]
        return child
    }
}
