import Clockwork
import Foundation
import GatewayModel
import IPsecCrypto
import NetworkTypes
import Testing
import ViciMessages
import ViciServer

@testable import martlet

@Suite struct StatusScreenTests {
    private static let now = Instant.zero + .seconds(10_000)

    private static func connection(_ name: String, children: [String], remote: UInt32) -> Connection {
        var connection = Connection(name: name)
        connection.remoteAddresses = [.prefix(IPPrefix(host: IPAddress(v4: remote)))]
        connection.children = children.map { ChildTemplate(name: $0) }
        return connection
    }

    private static func tunnel() -> ViciIKESA {
        var sa = IKESASummary(
            id: IKESAID(rawValue: 7), connection: "branch", state: .established, isInitiator: true, initiatorSPI: 1,
            responderSPI: 2,
            path: Path(
                local: Endpoint(IPAddress(v4: 0xc000_0201), 4500), remote: Endpoint(IPAddress(v4: 0xc633_6402), 4500)))
        sa.localIdentity = .fqdn("hq.example")
        sa.remoteIdentity = .fqdn("branch.example")
        sa.isBehindNAT = true
        sa.algorithms = Proposal(.ike, [.aes256gcm16, .prfsha384, .x25519])
        sa.established = now - .seconds(754)
        sa.rekeyDue = now + .seconds(13_400)
        sa.setupTime = .milliseconds(12)
        var child = ChildSASummary(
            id: ChildSAID(rawValue: 9), name: "net", state: .installed, mode: .tunnel, encapsulation: .udp,
            inboundSPI: 0xc1d2_e3f4, outboundSPI: 0x0000_00ff + 0x1000, algorithms: Proposal(.esp, [.aes256gcm16]),
            localSelectors: [TrafficSelector(IPPrefix("10.1.0.0/16") ?? .everything(.v4))],
            remoteSelectors: [TrafficSelector(IPPrefix("10.2.0.0/16") ?? .everything(.v4))])
        child.installed = now - .seconds(754)
        sa.children = [child]
        let traffic = ViciIKESA.Traffic(
            inbound: SACounters(packets: 1000, bytes: 1_234_567), outbound: SACounters(packets: 1, bytes: 999))
        return ViciIKESA(sa, traffic: [child.id: traffic])
    }

    private static let failure = ViciFailure(
        code: "E-NO-PATH", text: "There is no way to 203.0.113.9. The system says: there is no route to it at all.",
        remedy: "Check it.", time: now - .seconds(7500))

    private static func report() -> StatusReport {
        StatusReport(
            StatusTree.make(
                connections: [
                    connection("branch", children: ["net"], remote: 0xc633_6402),
                    connection("my site", children: ["a", "b"], remote: 0xcb00_7109),
                ],
                ikeSAs: [tunnel()], failures: ["my site": failure], strays: [failure], now: now))
    }

    @Test func onOneScreen() {
        #expect(
            StatusScreen(terminal: Terminal(hasColour: false, width: 72)).lines(Self.report()) == [
                "1 of 2 connections are up.",
                "branch  ● up  peer 198.51.100.2",
                "  IKEv2 #7  ● ESTABLISHED  192.0.2.1[4500] → 198.51.100.2[4500]  NAT: local",
                "    'hq.example' with 'branch.example'",
                "    AES_GCM_16-256/PRF_HMAC_SHA2_384/CURVE_25519, up 12 min, took 12 ms, rekey in 3 h 43 min",
                "    net #9  ● INSTALLED  10.1.0.0/16 === 10.2.0.0/16",
                "      AES_GCM_16-256, SPIs c1d2e3f4 000010ff",
                "      in 1.23 MB (1000 packets), out 999 B (1 packets)",
                "my site  ○ down  peer 203.0.113.9",
                "  a, b: `martlet up 'my site'` brings them up",
                "  ! E-NO-PATH, 2 h 5 min ago:",
                "    There is no way to 203.0.113.9. The system says: there is no route",
                "    to it at all.",
                "Refused, with no connection to name:",
                "  ! E-NO-PATH, 2 h 5 min ago:",
                "    There is no way to 203.0.113.9. The system says: there is no route",
                "    to it at all.",
            ])
    }

    @Test func whatOnlyThePeerCanStart() {
        var waiting = Self.connection("rw", children: ["net"], remote: 0)
        waiting.remoteAddresses = []
        let report = StatusReport(
            StatusTree.make(connections: [waiting], ikeSAs: [], failures: [:], strays: [], now: Self.now))
        let lines = StatusScreen(terminal: Terminal(hasColour: false)).lines(report)
        #expect(lines.last == "  net: only the peer can start it, `remote_addrs` names no single address")
    }

    /// Colour adds nothing that the words do not say.
    @Test func colourIsOnlyColour() {
        let plain = StatusScreen(terminal: Terminal(hasColour: false)).lines(Self.report())
        let coloured = StatusScreen(terminal: Terminal(hasColour: true)).lines(Self.report())
        #expect(coloured.map { $0.replacing(#/\x1b\[\d+m/#, with: "") } == plain)
        #expect(coloured[1] == "\u{1b}[1mbranch\u{1b}[0m  \u{1b}[32m● up\u{1b}[0m  peer 198.51.100.2")
        #expect(coloured[8].contains("\u{1b}[90m○ down\u{1b}[0m"))
        #expect(coloured[10] == "  \u{1b}[31m! E-NO-PATH\u{1b}[0m, 2 h 5 min ago:")
    }

    @Test func everyStateHasASign() {
        let terminal = Terminal(hasColour: true)
        for state in IKESAState.allCases.map(\.rawValue) + ChildSAState.allCases.map(\.rawValue) {
            let shown = terminal.state(state)
            #expect(["●", "◐", "○", "✕"].filter { shown.contains($0) }.count == 1)
            #expect(shown.contains(state))
        }
    }

    @Test func nothingConfigured() {
        let empty = StatusReport(
            StatusTree.make(connections: [], ikeSAs: [], failures: [:], strays: [], now: Self.now))
        #expect(
            StatusScreen(terminal: Terminal(hasColour: false)).lines(empty)
                == ["No connections are configured. `martlet run --config FILE` reads them from FILE."])
    }

    @Test func anIKESAThatIsNoLongerConfiguredIsShown() {
        let report = StatusReport(
            StatusTree.make(
                connections: [], ikeSAs: [Self.tunnel()], failures: [:], strays: [], now: Self.now))
        let lines = StatusScreen(terminal: Terminal(hasColour: false)).lines(report)
        #expect(lines.first == "branch  (no longer configured; `martlet down branch` closes it)")
        #expect(lines.count == 7)
    }

    /// Nobody looks for a command where a packet does.
    @Test(arguments: [
        (["a", "b"], ", and so does the next packet"), (["b"], ", and the next packet does so for b"), ([], ""),
    ])
    func trapsAreShown(_ traps: [String], _ words: String) {
        let report = StatusReport(
            StatusTree.make(
                connections: [Self.connection("site", children: ["a", "b"], remote: 0xcb00_7109)], ikeSAs: [],
                failures: [:], strays: [],
                traps: traps.map {
                    ViciPolicy(
                        connection: "site", child: $0, action: .trap, mode: "TUNNEL", localSelectors: [],
                        remoteSelectors: [])
                }, now: Self.now))
        let lines = StatusScreen(terminal: Terminal(hasColour: false)).lines(report)
        #expect(lines.last == "  a, b: `martlet up site` brings them up\(words)")
    }

    /// A tunnel whose connection is gone is not passed over by the count.
    @Test func theHeadlineCountsWhatIsNoLongerConfigured() {
        func headline(_ connections: [Connection]) -> String? {
            let report = StatusReport(
                StatusTree.make(
                    connections: connections, ikeSAs: [Self.tunnel()], failures: [:], strays: [], now: Self.now))
            return StatusScreen(terminal: Terminal(hasColour: false)).lines(report).first
        }
        let other = Self.connection("other", children: ["a"], remote: 0xcb00_7109)
        let third = Self.connection("third", children: ["a"], remote: 0xcb00_7109)
        #expect(headline([other]) == "0 of 1 connection is up, and 1 tunnel of what is no longer configured.")
        #expect(headline([other, third]) == "0 of 2 connections are up, and 1 tunnel of what is no longer configured.")
    }

    @Test func jsonComesBack() throws {
        let report = Self.report()
        let text = try Status.json(report)
        #expect(try JSONDecoder().decode(StatusReport.self, from: Data(text.utf8)) == report)
        #expect(text.contains("\"state\" : \"up\"") && text.contains("\"spi_in\" : \"c1d2e3f4\""))
        let sa = try #require(report.connections.first?.ike_sas.first)
        #expect(sa.established == 754 && sa.rekey_in == 13_400 && sa.nat == "local")
        #expect(report.connections.last?.last_error?.remedy == "Check it.")
        #expect(report.connections.last?.last_error?.age == 7500)
    }

    /// A gateway of another version may leave anything out.
    @Test func whatIsMissingIsNoReasonToFail() {
        let tree = ViciTree { tree in
            tree.setSection("connections") { $0.setSection("x") { _ in } }
            tree.setSection("sas") { $0.setSection("1") { _ in } }
        }
        let report = StatusReport(tree)
        #expect(report.connections.map(\.state) == ["unknown"])
        #expect(report.other_ike_sas.count == 1)
        #expect(!StatusScreen(terminal: Terminal(hasColour: false)).lines(report).isEmpty)
    }

    @Test func wordsAreWrapped() {
        #expect(Wrapping.lines("", width: 10, indentation: 2) == [])
        #expect(Wrapping.lines("a bb ccc\ndd", width: 6, indentation: 1) == [" a bb", " ccc", " dd"])
        #expect(
            Wrapping.lines("x " + String(repeating: "y", count: 20), width: 8, indentation: 2).map(\.count) == [3, 22])
    }

    @Test(arguments: [
        (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (12_345, "12.3 kB"), (123_456_789, "123 MB"),
        (Int64.max, "9223372 TB"),
    ]) func octetsAsPeopleReadThem(_ count: Int64, _ text: String) {
        #expect(Readable.bytes(count) == text)
    }

    @Test(arguments: [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h 0 min"), (200_000, "2 d"), (-5, "-5 s")])
    func spansAsPeopleReadThem(_ seconds: Int64, _ text: String) {
        #expect(Readable.span(seconds) == text)
    }
}
