import Clockwork
import GatewayModel
import IKECore
import SimulatedNetwork
import StateRecords
import Testing
import WireFormat

@testable import IKEv2Engine

/// One endpoint in place of another.
@Suite struct HandoverTests {
    /// An endpoint with an established IKE SA, how it is configured, and the time.
    private static func established() throws -> (endpoint: IKEv2Endpoint, configuration: Configuration, now: Instant) {
        for seed in UInt64(1)..<50 {
            let run = ScenarioRun.ikev2(seed: seed, profile: .calm)
            let simulation = run.simulation(.none)
            for step in run.scenario.steps { simulation.schedule(step.action, at: step.time) }
            guard simulation.run(until: .zero + .seconds(20)) else { continue }
            let host = simulation.hosts[0]
            let summary = host.engine.summaries().first
            if let endpoint = host.engine as? IKEv2Endpoint, summary?.state == .established,
                summary?.children.isEmpty == false
            {
                return (endpoint, host.configuration, simulation.now)
            }
        }
        throw RecordError.inconsistent("no seed establishes anything")
    }

    private static func octets(_ writer: RecordWriter) -> [UInt8] {
        writer.buffer.withSpan { span in span.indices.map { span[$0] } }
    }

    private static func takeOver(
        _ octets: [UInt8], _ configuration: Configuration, _ now: Instant
    ) throws -> (endpoint: IKEv2Endpoint, effects: [Effect]) {
        let next = IKEv2Endpoint(configuration: configuration)
        var environment = Environment(now: now, entropy: SeededEntropy(seed: 9))
        var effects = Effects()
        var reader = RecordReader(SecretBytes(octets), version: 1)
        try next.takeOver(from: &reader, &environment, &effects)
        return (next, effects.take())
    }

    @Test("What a process takes over it hands over again as it was")
    func nothingIsLost() throws {
        let (endpoint, configuration, now) = try Self.established()
        let first = RecordWriter()
        _ = endpoint.handOver(to: first)
        let (next, _) = try Self.takeOver(Self.octets(first), configuration, now)
        let second = RecordWriter()
        _ = next.handOver(to: second)
        #expect(Self.octets(second) == Self.octets(first))
        #expect(next.summaries().map(\.children) == endpoint.summaries().map(\.children))
        #expect(next.tables.protections.count == endpoint.tables.protections.count && next.tables.protections.count > 0)
    }

    @Test("The number of what is protected goes on, whichever Child SA protects it by now")
    func protectionsGoOn() throws {
        let pair = Pair()
        pair.connect()
        pair.left.handle(.command(.rekey(.child("net", connection: "net"))))
        pair.run()
        let before = try #require(pair.left.summary?.children.first)
        #expect(before.protection != before.id.rawValue)
        let writer = RecordWriter()
        _ = pair.left.endpoint.handOver(to: writer)
        let configuration = Configuration(connections: [Pair.connection()])
        let (next, _) = try Self.takeOver(Self.octets(writer), configuration, pair.now)
        #expect(next.summaries().first?.children.map(\.protection) == [before.protection])
    }

    @Test("Whatever is damaged is refused or read, and ends nothing")
    func damage() throws {
        let (endpoint, configuration, now) = try Self.established()
        let writer = RecordWriter()
        let account = endpoint.handOver(to: writer)
        #expect(account.kept.count == 1 && account.children.count >= 1 && account.left.isEmpty)
        let octets = Self.octets(writer)
        _ = try Self.takeOver(octets, configuration, now)
        for length in stride(from: 0, to: octets.count, by: 3) {
            #expect(throws: RecordError.self) {
                _ = try Self.takeOver(Array(octets.prefix(length)), configuration, now)
            }
        }
        var refused = 0
        for place in octets.indices {
            for value: UInt8 in [0, 0xff, octets[place] ^ 1] {
                var damaged = octets
                damaged[place] = value
                do { _ = try Self.takeOver(damaged, configuration, now) } catch { refused += 1 }
            }
        }
        #expect(refused > 100)
    }

    @Test("An IKE SA whose connection is configured no longer is closed at the peer")
    func connectionIsGone() throws {
        let (endpoint, configuration, now) = try Self.established()
        let writer = RecordWriter()
        _ = endpoint.handOver(to: writer)
        var less = configuration
        less.connections = []
        let (next, effects) = try Self.takeOver(Self.octets(writer), less, now)
        let sent = effects.filter { if case .send = $0 { true } else { false } }
        #expect(sent.count == 1)
        #expect(next.summaries().first?.state == .deleting)
    }

    /// Without an end, if a timer of no length is set again and again.
    @Test("What the next configuration no longer asks of the peer is not asked", .timeLimit(.minutes(1)))
    func livenessIsOff() throws {
        let (endpoint, configuration, now) = try Self.established()
        var watchful = configuration
        for index in watchful.connections.indices { watchful.connections[index].dpdDelay = .seconds(5) }
        let (asking, _) = try Self.takeOver(Self.octets(Self.record(of: endpoint)), watchful, now)
        var environment = Environment(now: now + .seconds(6), entropy: SeededEntropy(seed: 3))
        var effects = Effects()
        asking.handle(.deadline, &environment, &effects)
        var carefree = configuration
        for index in carefree.connections.indices { carefree.connections[index].dpdDelay = .zero }
        let (next, _) = try Self.takeOver(Self.octets(Self.record(of: asking)), carefree, environment.now)
        environment.now = environment.now + .seconds(10)
        next.handle(.deadline, &environment, &effects)
        #expect(next.summaries().first?.state == .established)
    }

    private static func record(of endpoint: IKEv2Endpoint) -> RecordWriter {
        let writer = RecordWriter()
        _ = endpoint.handOver(to: writer)
        return writer
    }

    @Test("Nothing is begun while an endpoint rests, and all of it when nobody takes over")
    func rest() throws {
        let (endpoint, _, now) = try Self.established()
        var environment = Environment(now: now, entropy: SeededEntropy(seed: 3))
        var effects = Effects()
        func sent() -> Int { effects.take().filter { if case .send = $0 { true } else { false } }.count }
        let name = try #require(endpoint.summaries().first?.connection)
        endpoint.comeToRest()
        #expect(endpoint.isAtRest)
        endpoint.handle(.command(.rekey(.connection(name))), &environment, &effects)
        endpoint.handle(.command(.initiate(connection: name, child: "net")), &environment, &effects)
        #expect(sent() == 0)
        #expect(endpoint.isAtRest)
        endpoint.resumeWork(&environment, &effects)
        #expect(sent() == 1)
        // Its private value stays here.
        #expect(!endpoint.isAtRest)
        let writer = RecordWriter()
        let account = endpoint.handOver(to: writer)
        #expect(account.kept.isEmpty && account.left.map(\.connection) == [name])
    }
}
