import Clockwork
import NetworkTypes
import Testing
import WireFormat

@testable import RADIUS

@Suite struct RADIUSClientTests {
    private static let secret = SecretBytes(Array("a secret of two ends".utf8))

    private static func settings(_ count: Int, sockets: Int = 1, tries: Int = 2) -> RADIUSSettings {
        var settings = RADIUSSettings()
        settings.servers = (0..<count).map { index in
            let address = IPAddress(v4: 0x0a00_0001 + UInt32(index))
            var server = RADIUSSettings.Server(
                name: "s\(index)", authentication: Endpoint(address, 1812), accounting: Endpoint(address, 1813),
                secret: secret)
            server.sockets = sockets
            server.retransmission = RetransmissionSchedule(tries: tries, timeout: .seconds(1), base: 1)
            return server
        }
        return settings
    }

    /// A client, and what came of it so far.
    private struct Bench {
        var client: RADIUSClient
        var entropy = SeededEntropy(seed: 7)
        var now = Instant.zero
        var effects: [RADIUSClient.Effect] = []

        init(_ settings: RADIUSSettings) { client = RADIUSClient(settings) }

        mutating func submit(
            _ id: UInt64, _ service: RADIUSClient.Service = .authentication, to server: Int? = nil
        ) {
            client.submit(
                id, service, [RADIUSAttribute(.userName, text: "u\(id)")], to: server, now, &entropy, &effects)
        }

        mutating func wait(_ time: Interval) {
            let end = now + time
            while let next = client.nextDeadline, next <= end {
                now = next
                client.deadlineReached(now, &entropy, &effects)
            }
            now = end
        }

        var sent: [(octets: [UInt8], lane: RADIUSClient.Lane)] {
            effects.compactMap { if case .send(let octets, let lane) = $0 { (octets, lane) } else { nil } }
        }
        var answered: [UInt64] { effects.compactMap { if case .answered(let id, _, _, _) = $0 { id } else { nil } } }
        var failures: [String] { effects.compactMap { if case .failed(_, let why) = $0 { why } else { nil } } }
        var drops: [String] { effects.compactMap { if case .dropped(_, let why) = $0 { why } else { nil } } }

        mutating func answer(
            _ octets: [UInt8], _ lane: RADIUSClient.Lane, _ code: RADIUSPacket.Code = .accessAccept,
            from source: Endpoint? = nil, secret: SecretBytes = RADIUSClientTests.secret
        ) throws {
            let request = try RADIUSPacket(octets)
            let address = IPAddress(v4: 0x0a00_0001 + UInt32(lane.server))
            let port: UInt16 = lane.service == .authentication ? 1812 : 1813
            let answer = try #require(PacketProof(secret).sealedAnswer(RADIUSPacket(code, 0, []), to: request))
            client.receive(answer, from: source ?? Endpoint(address, port), over: lane, now, &entropy, &effects)
        }
    }

    @Test func aRequestIsRepeatedAsItIsAndAnsweredOnce() throws {
        var bench = Bench(Self.settings(1))
        bench.submit(1)
        bench.wait(.seconds(1))
        #expect(bench.sent.count == 2 && bench.sent[0].octets == bench.sent[1].octets)
        let request = try RADIUSPacket(bench.sent[0].octets)
        #expect(request.attributes.first?.kind == .messageAuthenticator)
        try bench.answer(bench.sent[0].octets, bench.sent[0].lane)
        #expect(bench.answered == [1])
        // The server answers the repetition as well.
        try bench.answer(bench.sent[1].octets, bench.sent[1].lane)
        #expect(bench.answered == [1] && bench.drops.count == 1)
        #expect(bench.client.count == 0 && bench.client.nextDeadline == nil)
    }

    @Test func aSilentServerIsGivenUpAndTheNextIsAsked() throws {
        var bench = Bench(Self.settings(2))
        bench.submit(1)
        bench.wait(.seconds(3))
        #expect(bench.sent.map(\.lane.server) == [0, 0, 0, 1])
        // A request to another server has chance of its own.
        let (first, second) = (try RADIUSPacket(bench.sent[0].octets), try RADIUSPacket(bench.sent[3].octets))
        #expect(first.authenticator != second.authenticator)
        try bench.answer(bench.sent[3].octets, bench.sent[3].lane)
        #expect(bench.answered == [1])
        // An answer of the first comes too late.
        try bench.answer(bench.sent[0].octets, bench.sent[0].lane)
        #expect(bench.answered == [1])
        // The next request goes to the one that lives.
        bench.submit(2)
        #expect(bench.sent.last?.lane.server == 1)
        // After a while one request tries the silent one again, when the other is asked too.
        bench.wait(.seconds(31))
        #expect(bench.failures.isEmpty == false || bench.client.count == 0)
    }

    @Test func allThatWaitForASilentServerMoveTogether() throws {
        var bench = Bench(Self.settings(2))
        var settings = Self.settings(2)
        settings.servers[0].preference = 10
        bench.client = RADIUSClient(settings)
        for id in 1...100 { bench.submit(UInt64(id)) }
        #expect(bench.sent.allSatisfy { $0.lane.server == 0 })
        bench.wait(.seconds(3))
        let moved = bench.sent.filter { $0.lane.server == 1 }
        #expect(moved.count == 100)
        for each in moved { try bench.answer(each.octets, each.lane) }
        #expect(Set(bench.answered).count == 100 && bench.answered.count == 100)
    }

    @Test func whenAllAreSilentTheReasonSaysSoAndTheNextIsRefusedAtOnce() {
        var bench = Bench(Self.settings(2))
        bench.submit(1)
        bench.wait(.seconds(7))
        #expect(bench.failures.count == 1)
        #expect(bench.failures[0].contains("'s0' (10.0.0.1[1812]) does not answer"))
        #expect(bench.failures[0].contains("'s1' (10.0.0.2[1812]) does not answer"))
        let before = bench.sent.count
        bench.submit(2)
        #expect(bench.failures.count == 2 && bench.sent.count == before)
        // Later one request tries again, and only one.
        bench.wait(.seconds(30))
        bench.submit(3)
        #expect(bench.sent.count == before + 1)
        bench.submit(4)
        bench.submit(5)
        #expect(bench.sent.filter { $0.lane.server == 0 }.count <= 4)
        #expect(bench.failures.count == 3)
    }

    @Test func aServerThatComesBackIsUsedAgain() throws {
        var bench = Bench(Self.settings(1))
        bench.submit(1)
        bench.wait(.seconds(40))
        bench.submit(2)
        let last = try #require(bench.sent.last)
        try bench.answer(last.octets, last.lane)
        #expect(bench.answered == [2])
        bench.submit(3)
        bench.submit(4)
        #expect(bench.client.count == 2)
        let changes = bench.effects.compactMap { if case .changed(_, _, let silent) = $0 { silent } else { nil } }
        #expect(changes == [true, false])
    }

    @Test func attack27AnswersFromElsewhereAreDropped() throws {
        var bench = Bench(Self.settings(2))
        bench.submit(1)
        let sent = bench.sent[0]
        let others = [
            Endpoint(IPAddress(v4: 0x0a00_0002), 1812), Endpoint(IPAddress(v4: 0x0a00_0001), 1813),
            Endpoint(IPAddress(v4: 0xc000_0201), 1812),
        ]
        for source in others { try bench.answer(sent.octets, sent.lane, from: source) }
        #expect(bench.answered.isEmpty && bench.drops.count == 3)
        try bench.answer(sent.octets, sent.lane, secret: SecretBytes(Array("another secret of theirs".utf8)))
        #expect(bench.answered.isEmpty && bench.drops.count == 4)
        try bench.answer(sent.octets, sent.lane, .accountingResponse)
        #expect(bench.answered.isEmpty && bench.drops.count == 5)
        try bench.answer(sent.octets, sent.lane)
        #expect(bench.answered == [1])
    }

    @Test func attack27AnswerWithoutMessageAuthenticatorIsNamedInTheRefusal() throws {
        var bench = Bench(Self.settings(1))
        bench.submit(1)
        let request = try RADIUSPacket(bench.sent[0].octets)
        let blast = Forge.answer(RADIUSPacket(.accessAccept, 0, []), to: request, Self.secret)
        bench.client.receive(
            try #require(blast.encoded), from: Endpoint(IPAddress(v4: 0x0a00_0001), 1812), over: bench.sent[0].lane,
            bench.now, &bench.entropy, &bench.effects)
        #expect(bench.answered.isEmpty)
        bench.wait(.seconds(5))
        #expect(bench.failures.count == 1 && bench.failures[0].contains("no Message-Authenticator"))
    }

    @Test func identifiersAreUsedOnceAtATimeAndTheRestWaits() throws {
        var bench = Bench(Self.settings(1, sockets: 2))
        for id in 1...600 { bench.submit(UInt64(id)) }
        #expect(bench.sent.count == 512)
        let numbers = Set(bench.sent.map { "\($0.lane.socket) \($0.octets[1])" })
        #expect(numbers.count == 512)
        var done = 0
        while done < bench.sent.count {
            let each = bench.sent[done]
            done += 1
            try bench.answer(each.octets, each.lane)
        }
        #expect(done == 600 && bench.answered.count == 600 && bench.client.count == 0)
    }

    @Test func whatIsHeldIsBounded() {
        var bench = Bench(Self.settings(1))
        for id in 1...(RADIUSClient.mostRequests + 10) { bench.submit(UInt64(id)) }
        #expect(bench.failures.count == 10 && bench.client.count == RADIUSClient.mostRequests)
        bench.wait(.minutes(2))
        #expect(bench.client.count == 0 && bench.failures.count == RADIUSClient.mostRequests + 10)
    }

    @Test func aDeadAccountingPortDoesNotMakeTheServerDead() throws {
        var bench = Bench(Self.settings(1))
        bench.submit(1, .accounting)
        bench.wait(.seconds(5))
        #expect(bench.failures.count == 1)
        bench.submit(2)
        let last = try #require(bench.sent.last)
        #expect(last.lane.service == .authentication)
        try bench.answer(last.octets, last.lane)
        #expect(bench.answered == [2])
    }
}
