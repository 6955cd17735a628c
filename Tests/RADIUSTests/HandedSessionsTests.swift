import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes
import StateRecords
import Testing
import WireFormat

@testable import RADIUS

/// A planned restart: another process goes on with the sessions, and servers see nothing of it.
@Suite struct HandedSessionsTests {
    private static let client = IKESAID(rawValue: 9)
    /// Reports that nobody answers end nothing here.
    private static var settings: RADIUSSettings {
        var settings = NASBench.settings
        settings.returnsClass = true
        settings.closesUnaccounted = false
        return settings
    }

    /// What one process leaves, as it lies in memory.
    private static func record(_ nas: NetworkAccessServer) throws -> SecretBytes {
        let writer = RecordWriter(capacity: 4096)
        writer.put(nas.handed)
        return SecretBytes(writer.buffer.withSpan { span in span.indices.map { span[$0] } })
    }

    /// A session of carol's that has carried something, reported on every 300 s, to end after 1,200 s.
    private func busy(_ settings: RADIUSSettings = settings) throws -> NASBench {
        var bench = NASBench(settings)
        try bench.letIn(more: [
            RADIUSAttribute(.acctInterimInterval, number: 300), RADIUSAttribute(.sessionTimeout, number: 1_200),
            RADIUSAttribute(.classAttribute, text: "staff"),
        ])
        bench.establish(addresses: [IPAddress(v4: 0x0a03_0007)])
        bench.nas.installed(Self.child(1, 11, 12), of: Self.client)
        bench.nas.installed(Self.child(2, 21, 22), of: Self.client)
        bench.nas.removing(.inbound, of: ChildSAID(rawValue: 1), SACounters(packets: 3, bytes: 1_000))
        bench.nas.removing(.outbound, of: ChildSAID(rawValue: 1), SACounters(packets: 3, bytes: 1_000))
        return bench
    }

    private func next(
        after bench: NASBench, _ settings: RADIUSSettings = settings, living: [IKESAID] = [client]
    ) throws -> NASBench {
        var reader = RecordReader(try Self.record(bench.nas), version: 1)
        let handed = try reader.value(HandedSessions.self)
        #expect(reader.isAtEnd)
        var next = NASBench(settings)
        next.now = bench.now
        next.counters = bench.counters
        next.nas.resume(handed, living: living, next.meter, next.now, &next.entropy, &next.effects)
        return next
    }

    @Test func aSessionGoesOnWithAllThatItHasCarried() throws {
        var before = try busy()
        let start = try RADIUSPacket(try #require(before.sent.last).octets)
        try before.serve(.accountingResponse) { _ in [] }
        before.counters = [21: SACounters(packets: 2, bytes: 20), 22: SACounters(packets: 2, bytes: 30)]
        before.wait(.seconds(100))
        var bench = try next(after: before)
        #expect(bench.sent.isEmpty && bench.nas.counts.sessions == 1)
        bench.wait(.seconds(199))
        #expect(bench.sent.isEmpty)
        bench.wait(.seconds(1))
        let interim = try RADIUSPacket(try #require(bench.sent.last).octets)
        #expect(interim.first(.acctStatusType)?.number == 3 && interim.first(.acctSessionTime)?.number == 300)
        #expect(interim.first(.acctInputOctets)?.number == 1_020 && interim.first(.acctOutputOctets)?.number == 1_030)
        #expect(interim.first(.acctSessionID) == start.first(.acctSessionID))
        #expect(interim.first(.classAttribute)?.value == Array("staff".utf8))
        try bench.serve(.accountingResponse) { _ in [] }
        // Its SAs are still known by their numbers.
        bench.nas.removing(.inbound, of: ChildSAID(rawValue: 2), SACounters(packets: 4, bytes: 40))
        bench.counters[21] = nil
        // The time that the server gave runs from the beginning.
        for _ in 0..<2 {
            bench.wait(.seconds(300))
            try bench.serve(.accountingResponse) { _ in [] }
        }
        bench.wait(.seconds(299))
        #expect(bench.terminated.isEmpty)
        bench.wait(.seconds(1))
        #expect(bench.terminated == [Self.client])
        try bench.serve(.accountingResponse) { _ in [] }
        bench.close(9, .asked)
        let stop = try RADIUSPacket(try #require(bench.sent.last).octets)
        #expect(stop.first(.acctTerminateCause)?.number == 5)
        #expect(stop.first(.acctInputOctets)?.number == 1_040 && stop.first(.acctOutputOctets)?.number == 1_030)
        #expect(stop.first(.userName)?.value == Array("carol".utf8))
        try bench.serve(.accountingResponse) { _ in [] }
        #expect(bench.nas.counts == (0, 0, 0) && bench.nas.nextDeadline == nil)
    }

    /// A report that no server has taken is made by the next process, also of a session that is over.
    @Test func reportsUnderWayAreSentAgain() throws {
        let before = try busy()
        let start = try RADIUSPacket(try #require(before.sent.last).octets)
        var bench = try next(after: before)
        let again = try RADIUSPacket(try #require(bench.sent.last).octets)
        #expect(again.first(.acctStatusType)?.number == 1)
        #expect(again.first(.acctSessionID) == start.first(.acctSessionID))
        try bench.serve(.accountingResponse) { _ in [] }
        bench.close()
        #expect(bench.nas.counts.sessions == 0)
        var last = try next(after: bench, living: [])
        let stop = try RADIUSPacket(try #require(last.sent.last).octets)
        #expect(last.sent.count == 1 && stop.first(.acctStatusType)?.number == 2)
        #expect(stop.first(.acctTerminateCause)?.number == 1)
        try last.serve(.accountingResponse) { _ in [] }
        #expect(last.nas.counts == (0, 0, 0))
    }

    /// Whose IKE SA could not come along has gone.
    @Test func whoDidNotComeAlongHasGone() throws {
        var before = try busy()
        try before.serve(.accountingResponse) { _ in [] }
        let bench = try next(after: before, living: [IKESAID(rawValue: 10)])
        let stop = try RADIUSPacket(try #require(bench.sent.last).octets)
        #expect(stop.first(.acctStatusType)?.number == 2 && stop.first(.acctInputOctets)?.number == 1_000)
        #expect(bench.nas.counts.sessions == 0)
    }

    @Test func ordersFromOutsideFindIt() throws {
        var before = try busy()
        try before.serve(.accountingResponse) { _ in [] }
        var bench = try next(after: before)
        try bench.request(
            .disconnectRequest,
            [RADIUSAttribute(.userName, text: "carol"), RADIUSAttribute(.eventTimestamp, number: 1_700_000_000)])
        #expect(bench.replies.map(\.code) == [.disconnectACK] && bench.terminated == [Self.client])
    }

    /// The next process may have another configuration: without accounting nothing is told, and sessions still end.
    @Test func settingsMayBeOthers() throws {
        var silent = Self.settings
        silent.accounts = false
        var bench = try next(after: try busy(), silent)
        #expect(bench.sent.isEmpty)
        bench.wait(.seconds(1_200))
        #expect(bench.sent.isEmpty && bench.terminated == [Self.client])
    }

    /// What is cut off is refused, wherever it is cut.
    @Test func whatIsCutOffIsRefused() throws {
        let whole = try Self.record(try busy().nas)
        let octets = whole.withSpan { span in span.indices.map { span[$0] } }
        for length in octets.indices {
            var reader = RecordReader(SecretBytes(Array(octets[..<length])), version: 1)
            #expect(throws: RecordError.self) { try reader.value(HandedSessions.self) }
        }
    }

    private static func child(_ number: UInt32, _ inbound: UInt32, _ outbound: UInt32) -> ChildSASummary {
        ChildSASummary(
            id: ChildSAID(rawValue: number), name: "net", state: .installed, mode: .tunnel, encapsulation: .udp,
            inboundSPI: inbound, outboundSPI: outbound, algorithms: .init(.esp, []), localSelectors: [],
            remoteSelectors: [])
    }
}
