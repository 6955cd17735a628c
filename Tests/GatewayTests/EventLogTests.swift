import GatewayModel
import LinuxSystem
import NetworkTypes
import Testing

@testable import Gateway

@Suite struct EventLogTests {
    private final class Lines {
        var all: [String] = []
    }

    private func log(_ level: Int) -> (EventLog, Lines) {
        let lines = Lines()
        return (EventLog(level: level, unixTime: { 1_795_262_400 }, write: { lines.all.append($0.line) }), lines)
    }

    @Test(arguments: [(0, 1), (1, 2), (2, 3), (3, 4)]) func levels(_ level: Int, _ count: Int) {
        let (log, lines) = log(level)
        log.record(Fixtures.event(.refused(.planeRefused(reason: "x"), child: nil)))
        log.record(Fixtures.event(.ikeClosed(.asked)))
        log.record(Fixtures.event(.peerAlive))
        log.record(
            Fixtures.event(.dropped(.forged, Fixtures.summary(1, "x").path), nil, nil))
        #expect(lines.all.count == count)
    }

    @Test func whatIsForCountersIsNotWritten() {
        let (log, lines) = log(3)
        var event = Fixtures.event(.refused(.planeRefused(reason: "x"), child: nil))
        event.isForCountersOnly = true
        log.record(event)
        log.record(Fixtures.event(.leftOut(12), nil, nil))
        #expect(lines.all.count == 1 && lines.all.first?.contains("12 more") ?? false)
    }

    @Test func aLineHasTimeGroupAndName() {
        let (log, lines) = log(3)
        log.record(Fixtures.event(.ikeClosed(.asked)))
        log.record(Fixtures.event(.ikeClosed(.asked), "my site", nil))
        log.record(Fixtures.event(.dropped(.forged, Fixtures.summary(1, "x").path), nil, nil))
        log.line("DMN", "two\nlines")
        let texts = lines.all.map { $0.drop { $0 != "[" } }
        #expect(
            texts == [
                "[IKE] <branch|1> IKE SA closed: asked for here", "[IKE] <my site> IKE SA closed: asked for here",
                "[NET] dropped from 127.0.0.2[500]: its integrity check failed", "[DMN] two", "[DMN] lines",
            ])
        #expect(lines.all.allSatisfy { $0.hasPrefix("2026-11-21T12:00:00Z ") }, "\(lines.all)")
    }

    /// A client that gets an address and no prefix.
    @Test func whatIsLentAndWhatIsNot() throws {
        let (log, lines) = log(1)
        var lease = Lease(
            identity: .fqdn("ann"), loans: [Lease.Loan(pool: "p", address: try #require(IPAddress("10.3.0.1")))])
        lease.shortfall = "all 2 prefixes of pool 'p' are in use"
        log.record(Fixtures.event(.leased(lease)))
        lease.shortfall = nil
        lease.prefixLoans = [Lease.PrefixLoan(pool: "p", prefix: try #require(IPPrefix("fd00:7::/64")))]
        log.record(Fixtures.event(.leased(lease)))
        let texts = lines.all.map { String($0.drop { $0 != ">" }.dropFirst(2)) }
        #expect(
            texts == [
                "assigned 10.3.0.1 of pool 'p' to 'ann', and no prefix: all 2 prefixes of pool 'p' are in use",
                "assigned 10.3.0.1 of pool 'p', fd00:7::/64 of pool 'p' to 'ann'",
            ])
    }

    /// Once for what a child protects, whatever is rekeyed.
    @Test func networksThatAreRefused() throws {
        var child = Fixtures.child("net", 7)
        child.protection = 7
        let networks = [try #require(IPPrefix("fd02::/64"))]
        #expect(
            child.notice(ofClosed: networks)
                == "packets to fd02::/64 are refused while child 'net' is up: its local_ts has no IPv6 address of ours")
        #expect(child.notice(ofClosed: []) == nil)
        child.protection = 3
        #expect(child.notice(ofClosed: networks) == nil)
    }

    @Test func namesFromAFileDoNotSteerTheTerminal() {
        let (log, lines) = log(1)
        log.record(Fixtures.event(.ikeClosed(.asked), "evil\u{1b}[2J\nname"))
        log.line("CFG", "a \u{1b}]0;title\u{7}")
        #expect(lines.all.count == 2)
        #expect(!lines.all.contains { $0.unicodeScalars.contains { $0.value < 0x20 } })
    }
}

@Suite struct LogRecordTests {
    private func fields(_ body: (EventLog) -> Void) -> [[String: String]] {
        var all: [[String: String]] = []
        let log = EventLog(level: 3, unixTime: { 0 }) { record in
            all.append(Dictionary(uniqueKeysWithValues: record.fields.map { ($0.name, $0.value) }))
        }
        body(log)
        return all
    }

    @Test func aFailureHasItsCodeAndWhomItIsAbout() {
        let path = Fixtures.summary(1, "x").path
        let all = fields { log in
            var event = Fixtures.event(.refused(.planeRefused(reason: "x"), child: "net"))
            event.peer = IPAddress("192.0.2.1")
            log.record(event)
            log.record(Fixtures.event(.refused(.noConnection(path), child: nil), nil, nil))
            log.record(Fixtures.event(.ikeClosed(.failed(.planeRefused(reason: "x"))), "branch", 2))
        }
        #expect(all.count == 3)
        let first = all[0]
        #expect(first["MESSAGE"]?.hasPrefix("[CHD] <branch|1> E-") == true)
        #expect(first["MESSAGE"]?.contains(first["MARTLET_CODE"] ?? "?") == true)
        #expect(first["PRIORITY"] == "3" && first["SYSLOG_IDENTIFIER"] == "martlet")
        #expect(first["MARTLET_GROUP"] == "CHD" && first["MARTLET_EVENT"] == "refused")
        #expect(first["MARTLET_CONNECTION"] == "branch" && first["MARTLET_SA"] == "1")
        #expect(first["MARTLET_CHILD"] == "net" && first["MARTLET_PEER"] == "192.0.2.1")
        #expect(all[1]["MARTLET_CODE"] == "E-NO-CONNECTION" && all[1]["MARTLET_PEER"] == "127.0.0.2")
        #expect(all[1]["MARTLET_CONNECTION"] == nil && all[1]["MARTLET_SA"] == nil)
        #expect(all[2]["MARTLET_EVENT"] == "ike-closed" && all[2]["PRIORITY"] == "6")
        #expect(all[2]["MARTLET_CODE"] == first["MARTLET_CODE"] && all[2]["MARTLET_PEER"] == nil)
    }

    @Test func theRestHasItsPartAndPriority() {
        let all = fields { log in
            log.line("DMN", "one\ntwo")
            log.record(Fixtures.event(.peerAlive))
            log.consider("evil\u{1b}name", IKESAID(rawValue: 7), "a key")
        }
        #expect(
            all.map { $0["MESSAGE"] } == [
                "[DMN] one", "[DMN] two", "[IKE] <branch|1> the peer answers", "[IKE] <evil\\u{1b}name|7> a key",
            ])
        #expect(all.map { $0["PRIORITY"] } == ["6", "6", "7", "7"])
        #expect(
            all[0].keys.sorted() == [
                "MARTLET_GROUP", "MESSAGE", "PRIORITY", "SYSLOG_FACILITY", "SYSLOG_IDENTIFIER",
            ])
        #expect(all[3]["MARTLET_SA"] == "7" && all[3]["MARTLET_EVENT"] == nil)
    }

    /// Where the journal is gone, what it would have got is written as a line.
    @Test func withoutAJournalThereIsALine() throws {
        let (ours, theirs) = try UnixStream.pair()
        let output = LogOutput(ours.descriptor, journal: try JournalSocket("@martlet-test-nobody"))
        EventLog(level: 1, unixTime: { 1_795_262_400 }, write: output.write).line("DMN", "text")
        var buffer = [UInt8](repeating: 0, count: 100)
        guard case .octets(let count) = try theirs.read(into: &buffer) else {
            throw SystemError(call: "", errno: .timedOut)
        }
        #expect(String(decoding: buffer[..<count], as: UTF8.self) == "2026-11-21T12:00:00Z [DMN] text\n")
    }
}

@Suite struct LogOutputTests {
    /// Reads until nothing is there.
    private func take(_ stream: UnixStream) throws -> String {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case .octets(let count) = try stream.read(into: &buffer) { text += buffer[..<count] }
        return String(decoding: text, as: UTF8.self)
    }

    @Test func linesAreWritten() throws {
        let (ours, theirs) = try UnixStream.pair()
        let output = LogOutput(ours.descriptor)
        output.write("one")
        output.write(String(repeating: "x", count: 10_000))
        #expect(try take(theirs) == "one\n" + String(repeating: "x", count: 10_000) + "\n")
    }

    /// A reader that does not read costs lines, never time and never memory.
    @Test func aFullPipeLosesLinesAndSaysSo() throws {
        let (ours, theirs) = try UnixStream.pair()
        let output = LogOutput(ours.descriptor)
        let count = 20_000
        for number in 0..<count { output.write("line \(number) " + String(repeating: "x", count: 80)) }
        let first = try take(theirs).split(separator: "\n")
        #expect(first.first.map(String.init) == "line 0 " + String(repeating: "x", count: 80))
        #expect(first.count < count)
        // Two, since the first takes along the rest of the line that was cut when the pipe was full.
        output.write("after")
        output.write("the end")
        let rest = try take(theirs)
        #expect(rest.hasSuffix("the end\n"))
        #expect(
            (try #require(rest.firstMatch(of: #/\((\d+) lines of the log were lost: nobody took them\)/#)).output.1)
                .count > 3)
    }

    @Test func aClosedPipeIsNoFailure() throws {
        let watcher = try SignalWatcher([])
        let (ours, theirs) = try UnixStream.pair()
        try ours.finishWriting()
        let output = LogOutput(ours.descriptor)
        for number in 0..<100 { output.write("line \(number)") }
        #expect(try take(theirs) == "")
        withExtendedLifetime(watcher) {}
    }
}
