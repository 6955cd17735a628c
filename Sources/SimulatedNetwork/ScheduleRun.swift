import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import WireFormat

/// What is done to a tunnel that is up, and by which end.
public struct ScheduledOperation: Hashable, Sendable, CustomStringConvertible {
    /// What is done.
    public enum Kind: String, CaseIterable, Sendable {
        /// A second Child SA.
        case create
        /// The first Child SA is replaced.
        case rekeyChild = "rekey-child"
        /// The IKE SA is replaced.
        case rekeyIKE = "rekey-ike"
        /// The first Child SA is closed.
        case deleteChild = "delete-child"
        /// The IKE SA is closed.
        case deleteIKE = "delete-ike"
    }

    /// What is done.
    public var kind: Kind
    /// By which end: 0 started the tunnel, 1 answered.
    public var host: Int

    /// An operation.
    public init(kind: Kind, host: Int) {
        self.kind = kind
        self.host = host
    }

    /// Every operation by either end.
    public static let all = Kind.allCases.flatMap { kind in [0, 1].map { Self(kind: kind, host: $0) } }

    /// For example `rekey-child@1`.
    public var description: String { "\(kind.rawValue)@\(host)" }

    var command: Command {
        switch kind {
        case .create: .initiate(connection: ScheduleRun.connection, child: "more")
        case .rekeyChild: .rekey(.child("net", connection: ScheduleRun.connection))
        case .rekeyIKE: .rekey(.connection(ScheduleRun.connection))
        case .deleteChild: .terminate(.child("net", connection: ScheduleRun.connection))
        case .deleteIKE: .terminate(.connection(ScheduleRun.connection))
        }
    }
}

/// Two gateways with a tunnel between them, a few operations, and one order in which everything happens: a list of choices,
/// each among what could happen next. Beyond the list everything happens in turn, without loss.
///
/// It owns two engines, their planes and the datagrams between them. It never draws anything: the same choices make the
/// same run.
final class ScheduleRun {
    static let connection = "net"
    private static let key = SecretBytes(Array("explored".utf8))

    private let hosts: [SimulatedHost]
    private let provider: SharedKeyProvider
    private let choices: [Int]
    private let depth: Int
    private var operations: [ScheduledOperation]
    private var chances: ScheduleExplorer.Chances
    /// Whether somebody was told to close `net` while it was there.
    private var closesFirst = false
    private var now = Instant.zero + .seconds(1)
    private var wire: [(to: Int, datagram: Datagram)] = []
    private var problem: String?

    /// How many ways there were at each choice.
    private(set) var ways: [Int] = []
    /// What was chosen, in words.
    private(set) var words: [String] = []

    init(
        _ operations: [ScheduledOperation], _ chances: ScheduleExplorer.Chances, depth: Int, choices: [Int],
        _ makeEngine: ScenarioRun.EngineMaker
    ) {
        self.operations = operations
        self.chances = chances
        self.depth = depth
        self.choices = choices
        let addresses = [IPAddress(v4: 0xc000_0201), IPAddress(v4: 0xc633_6401)]
        provider = SharedKeyProvider(
            keys: [
                SharedKeyProvider.name(host: "a", connection: Self.connection): Self.key,
                SharedKeyProvider.name(host: "b", connection: Self.connection): Self.key,
            ])
        hosts = [0, 1].map { index in
            let configuration = Configuration(connections: [Self.tunnel(index, addresses)])
            return SimulatedHost(
                index: index, name: ["a", "b"][index], address: addresses[index], publicAddress: addresses[index],
                configuration: configuration, engine: makeEngine(configuration, index), dice: Dice(seed: 1),
                entropy: SeededEntropy(seed: UInt64(41 + index)))
        }
    }

    private static func tunnel(_ index: Int, _ addresses: [IPAddress]) -> Connection {
        var tunnel = Connection(name: connection)
        tunnel.localAddresses = [.prefix(IPPrefix(host: addresses[index]))]
        tunnel.remoteAddresses = [.prefix(IPPrefix(host: addresses[1 - index]))]
        tunnel.proposals = [Proposal(.ike, [.aes128gcm16, .prfsha256, .x25519])]
        tunnel.local.identity = .fqdn(index == 0 ? "a.example" : "b.example")
        tunnel.remote.identity = .exactly(.fqdn(index == 0 ? "b.example" : "a.example"))
        tunnel.rekeyTime = .zero
        tunnel.retransmission = RetransmissionSchedule(tries: 5, timeout: .seconds(1), base: 1, limit: .zero, jitter: 0)
        tunnel.children = ["net", "more"].enumerated().map { number, name in
            var child = ChildTemplate(name: name)
            child.proposals = [Proposal(.esp, [.aes128gcm16, .noesn])]
            let blocks = [1, 2].map { IPPrefix("10.\($0).\(number).0/24").map { SelectorTemplate($0) } ?? .dynamic }
            child.localSelectors = [blocks[index]]
            child.remoteSelectors = [blocks[1 - index]]
            child.rekeyTime = .zero
            child.lifeTime = .zero
            return child
        }
        return tunnel
    }

    // MARK: One run

    /// Runs it and says what was wrong; nil when nothing was.
    func run() -> String? {
        feed(.command(.initiate(connection: Self.connection, child: "net")), hosts[0])
        drain()
        guard hosts.allSatisfy({ $0.summaries.first?.children.first?.state == .installed }) else {
            return "the tunnel does not come up"
        }
        let planned = operations
        while ways.count < depth, problem == nil, !(operations.isEmpty && wire.isEmpty) { choose() }
        while !operations.isEmpty { operate(0) }
        drain()
        if problem == nil { problem = settlement(planned) }
        if problem == nil {
            feed(.command(.terminate(.connection(Self.connection))), hosts[0])
            feed(.command(.terminate(.connection(Self.connection))), hosts[1])
            drain()
            problem = remains()
        }
        return problem
    }

    /// One thing that can happen next.
    private enum Way {
        /// An operation begins.
        case begin(Int)
        /// A datagram arrives.
        case arrive(Int)
        /// It is lost.
        case lose(Int)
        /// A copy of it arrives, and it is still on its way.
        case arriveTwice(Int)
        /// Nothing arrives for so long that somebody does something by itself: what is on its way is late.
        case wait
    }

    /// What can happen next, in the order of the choices.
    private var possibleWays: [Way] {
        var all = operations.indices.map { Way.begin($0) } + wire.indices.map { .arrive($0) }
        if chances.losses > 0 { all += wire.indices.map { .lose($0) } }
        if chances.copies > 0 { all += wire.indices.map { .arriveTwice($0) } }
        // With nothing on its way there is nothing that could be late.
        if chances.delays > 0, !wire.isEmpty, due.map({ $0 <= now + Self.patience }) ?? false { all.append(.wait) }
        return all
    }

    /// The longest that a datagram may be late: enough for a repetition, too short for anybody's lifetime.
    private static let patience = Interval.seconds(5)

    /// When somebody does something by itself.
    private var due: Instant? { hosts.compactMap { $0.engine.nextDeadline }.min() }

    /// Takes the next way.
    private func choose() {
        let all = possibleWays
        let place = ways.count
        let way = place < choices.count ? choices[place] : 0
        ways.append(all.count)
        guard way < all.count else { return }
        switch all[way] {
        case .begin(let index): operate(index)
        case .arrive(let index):
            words.append("\(hosts[wire[index].to].name) gets \(index)")
            deliver(index)
        case .lose(let index):
            words.append("\(index) is lost")
            wire.remove(at: index)
            chances.losses -= 1
        case .arriveTwice(let index):
            words.append("\(hosts[wire[index].to].name) gets a copy of \(index)")
            chances.copies -= 1
            feed(.datagram(wire[index].datagram), hosts[wire[index].to])
        case .wait:
            words.append("time passes")
            chances.delays -= 1
            if let due { wake(due) }
        }
    }

    private func wake(_ due: Instant) {
        now = max(now, due)
        for host in hosts {
            if let due = host.engine.nextDeadline, due <= now { feed(.deadline, host) }
        }
    }

    private func operate(_ index: Int) {
        let operation = operations.remove(at: index)
        words.append(operation.description)
        if operation.kind == .deleteChild {
            let children = hosts[operation.host].summaries.flatMap(\.children)
            closesFirst = closesFirst || children.contains { $0.name == "net" }
        }
        feed(.command(operation.command), hosts[operation.host])
    }

    private func deliver(_ index: Int) {
        let mail = wire.remove(at: index)
        feed(.datagram(mail.datagram), hosts[mail.to])
    }

    /// Everything arrives in turn, and time passes while somebody still waits for an answer or means to do more.
    private func drain() {
        let end = now + .seconds(600)
        for _ in 0..<4_000 where problem == nil {
            if !wire.isEmpty {
                deliver(0)
                continue
            }
            guard let due, due <= end else { return }
            wake(due)
        }
        if problem == nil { problem = "they never come to rest" }
    }

    // MARK: What must be true

    /// Both ends hold the same; what nobody closed is there once, what somebody closed is gone.
    private func settlement(_ planned: [ScheduledOperation]) -> String? {
        if let text = SettlementProperty.disagreement(Self.connection, hosts[0], hosts[1]) { return text }
        let kinds = planned.map(\.kind)
        for host in hosts {
            if let busy = host.summaries.first(where: { !$0.queuedTasks.isEmpty || !$0.activeTasks.isEmpty }) {
                return "\(host.name) still waits: \(busy.queuedTasks + busy.activeTasks)"
            }
            if let text = planeDisagreement(host) { return text }
            let children = host.summaries.flatMap(\.children)
            let first = children.filter { $0.name == "net" }.count
            let second = children.filter { $0.name == "more" }.count
            if host.summaries.count > 1, !kinds.contains(.deleteIKE) || !kinds.contains(.create) {
                return "\(host.name) holds \(host.summaries.count) IKE SAs"
            }
            if !kinds.contains(.deleteIKE) {
                if host.summaries.isEmpty { return "\(host.name) has lost its IKE SA" }
                if !kinds.contains(.deleteChild), first != 1 { return "\(host.name) holds `net` \(first) times" }
                if closesFirst, first > 0 {
                    return "\(host.name) still holds `net`"
                }
                let wanted = kinds.filter { $0 == .create }.count
                if wanted == 0 ? second != 0 : !(1...wanted).contains(second) {
                    return "\(host.name) holds `more` \(second) times"
                }
            } else if !kinds.contains(.create), !host.summaries.isEmpty {
                return "\(host.name) still holds an IKE SA that was closed"
            }
        }
        return nil
    }

    private func planeDisagreement(_ host: SimulatedHost) -> String? {
        let children = host.summaries.flatMap(\.children)
        if host.plane.inbound.keys.sorted() != children.map(\.inboundSPI).sorted() {
            return "\(host.name)'s plane and engine know different inbound SAs"
        }
        if host.plane.outbound.map(\.spi).sorted() != children.map(\.outboundSPI).sorted() {
            return "\(host.name)'s plane and engine know different outbound SAs"
        }
        if host.plane.policies.count != children.count { return "\(host.name)'s plane lacks a policy" }
        for (index, other) in [(0, 1), (1, 0)] {
            for association in hosts[index].plane.outbound {
                guard let mirror = hosts[other].plane.inbound[association.spi], mirror.sharesKeys(with: association)
                else { return "\(hosts[index].name) sends what \(hosts[other].name) can't open" }
            }
        }
        return nil
    }

    private func remains() -> String? {
        for host in hosts {
            if !host.engine.census.isEmpty { return "\(host.name) left behind: \(host.engine.census)" }
            if !host.plane.isEmpty { return "\(host.name) left in the plane: \(host.plane.summary)" }
        }
        return nil
    }

    // MARK: Engines

    private func feed(_ input: Input, _ host: SimulatedHost) {
        var environment = Environment(now: now, entropy: host.entropy)
        var effects = Effects()
        host.engine.handle(input, &environment, &effects)
        host.entropy = environment.entropy
        host.summaries = host.engine.summaries()
        for effect in effects.take() {
            switch effect {
            case .send(let datagram):
                let peer = hosts[1 - host.index]
                wire.append(
                    (peer.index, Datagram(datagram.bytes, path: datagram.path.reversed, socket: datagram.socket)))
            case .plane(let command):
                host.plane.obey(command)
                if let complaint = host.plane.takeComplaints().first { problem = problem ?? complaint }
            case .ask(let ticket, let query):
                if let answer = provider.answer(query, for: host) { feed(.answer(ticket, answer), host) }
            case .release(let lease): provider.takeBack(lease, from: host)
            case .forget: break
            case .publish: break
            case .expose: problem = problem ?? "keys came out although nobody asked for them"
            }
        }
    }
}
