import GatewayModel
import LinuxSystem
import Testing

@testable import Gateway

@Suite struct EventLogTests {
    private final class Lines {
        var all: [String] = []
    }

    private func log(_ level: Int) -> (EventLog, Lines) {
        let lines = Lines()
        return (EventLog(level: level, unixTime: { 1_795_262_400 }, write: { lines.all.append($0) }), lines)
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

    @Test func namesFromAFileDoNotSteerTheTerminal() {
        let (log, lines) = log(1)
        log.record(Fixtures.event(.ikeClosed(.asked), "evil\u{1b}[2J\nname"))
        log.line("CFG", "a \u{1b}]0;title\u{7}")
        #expect(lines.all.count == 2)
        #expect(!lines.all.contains { $0.unicodeScalars.contains { $0.value < 0x20 } })
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
