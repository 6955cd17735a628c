import Clockwork
import EAPEngine
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import RADIUS

@Suite struct NetworkAccessServerTests {
    // MARK: EAP

    @Test func aConversationIsRelayedAndLeavesItsKey() throws {
        var bench = NASBench()
        try bench.letIn(more: [
            RADIUSAttribute(.classAttribute, text: "staff"),
            RADIUSAttribute(.framedIPAddress, IPAddress(v4: 0x0a03_0007)),
            RADIUSAttribute(.sessionTimeout, number: 3600),
        ])
        #expect(bench.sent.count == 2)
        let (first, second) = (try RADIUSPacket(bench.sent[0].octets), try RADIUSPacket(bench.sent[1].octets))
        #expect(first.first(.userName)?.value == Array("carol".utf8))
        #expect(first.first(.state) == nil && second.first(.state)?.value == [1, 2, 3])
        #expect(first.first(.nasPortID)?.value == Array("remote-access".utf8))
        #expect(first.first(.callingStationID)?.value == Array("198.51.100.2[4500]".utf8))
        #expect(first.first(.nasIPAddress)?.address(.v4) == NASBench.path.local.address)
        guard case .success(_, let outcome)? = bench.steps.last else {
            Issue.record("\(bench.steps)")
            return
        }
        #expect(outcome.key == SecretBytes(NASBench.key) && outcome.method == 26)
        #expect(outcome.identity == .fqdn("carol") && outcome.groups == ["staff"])
        #expect(outcome.addresses == [IPAddress(v4: 0x0a03_0007)] && outcome.lifetime == .seconds(3600))
        #expect(bench.nas.counts.conversations == 0 && bench.nas.counts.requests == 0)
    }

    /// RFC 3162 §2.2 and §2.3, RFC 6911 §3.1.
    @Test func addressesOfIPv6AreUnderstood() throws {
        let whole = [0, 128] + Self.sixth.bytes
        let half = [0, 64] + Self.sixth.bytes.prefix(8)
        let rest = RADIUSAttribute(.framedInterfaceID, Self.sixth.bytes.suffix(8))
        let good: [[RADIUSAttribute]] = [
            [RADIUSAttribute(.framedIPv6Address, Self.sixth)], [RADIUSAttribute(.framedIPv6Prefix, whole)],
            [RADIUSAttribute(.framedIPv6Prefix, half), rest],
            [RADIUSAttribute(.framedIPv6Prefix, half + [UInt8](repeating: 0, count: 8)), rest],
            [rest, RADIUSAttribute(.framedIPv6Address, Self.sixth), RADIUSAttribute(.framedIPv6Prefix, [0, 128, 1])],
        ]
        let useless: [[RADIUSAttribute]] = [
            [RADIUSAttribute(.framedIPv6Prefix, half)], [rest], [RADIUSAttribute(.framedIPv6Prefix, [0]), rest],
            [RADIUSAttribute(.framedIPv6Prefix, [0, 65] + Self.sixth.bytes), rest],
            [RADIUSAttribute(.framedIPv6Prefix, [0, 128])], [RADIUSAttribute(.framedIPv6Prefix, whole + [1])],
            [RADIUSAttribute(.framedIPv6Address, [1, 2, 3])],
            [RADIUSAttribute(.framedIPv6Prefix, half), RADIUSAttribute(.framedInterfaceID, [7])],
        ]
        for (attributes, expected) in good.map({ ($0, [Self.sixth]) }) + useless.map({ ($0, []) }) {
            var bench = NASBench()
            try bench.letIn(more: attributes)
            guard case .success(_, let outcome)? = bench.steps.last else {
                Issue.record("\(bench.steps)")
                return
            }
            #expect(outcome.addresses == expected, "\(attributes)")
        }
    }

    private static let sixth: IPAddress = {
        guard let address = IPAddress("fd09::7") else { preconditionFailure("it is an address") }
        return address
    }()

    @Test func aRejectionNamesServerAndUser() throws {
        var bench = NASBench()
        bench.ask(nil, ticket: 1)
        bench.ask(EAPPacket(.response, 0, .identity, Array("carol".utf8)).encoded, ticket: 2)
        try bench.serve(.accessReject) { _ in [RADIUSAttribute(.replyMessage, text: "not\u{1b}[31m now")] }
        guard case .failure(let message, let problem)? = bench.steps.last else {
            Issue.record("\(bench.steps)")
            return
        }
        #expect(try EAPPacket(message).code == .failure)
        guard case .rejected(let name, let server, let words) = problem else {
            Issue.record("\(problem)")
            return
        }
        #expect(name == "carol" && server == "main" && words?.contains("\u{1b}") == false)
    }

    @Test func whoIsNamedByTheConfigurationIsNotAsked() throws {
        var bench = NASBench()
        bench.connection.remote.eapIdentity = nil
        bench.ask(nil, ticket: 1)
        let request = try RADIUSPacket(try #require(bench.sent.first).octets)
        #expect(request.first(.userName)?.value == Array("phone.example".utf8))
        #expect(try EAPPacket(request.eapMessage).data == Array("phone.example".utf8))
    }

    @Test func onlyWhoIsAllowedIsToldToTheServer() {
        var bench = NASBench()
        bench.connection.remote.eapIdentity = .suffix(.rfc822Address, "@example.net")
        bench.ask(nil, ticket: 1)
        bench.ask(EAPPacket(.response, 0, .identity, Array("carol".utf8)).encoded, ticket: 2)
        #expect(bench.sent.isEmpty)
        guard case .failure(_, .forbiddenIdentity("carol"))? = bench.steps.last else {
            Issue.record("\(bench.steps)")
            return
        }
    }

    @Test func attack1AcceptWithoutSuccessOrKeyLetsNobodyIn() throws {
        let failure = RADIUSPacket.pieces(ofEAP: EAPPacket(.failure, 4).encoded)
        let success = RADIUSPacket.pieces(ofEAP: EAPPacket(.success, 4).encoded)
        for attributes in [failure, [], success] {
            var bench = NASBench()
            bench.ask(nil, ticket: 1)
            bench.ask(EAPPacket(.response, 0, .identity, Array("carol".utf8)).encoded, ticket: 2)
            try bench.serve(.accessChallenge) { _ in
                RADIUSPacket.pieces(ofEAP: EAPPacket(.request, 4, .init(rawValue: 26), [1]).encoded)
            }
            bench.ask(EAPPacket(.response, 4, .init(rawValue: 26), [2]).encoded, ticket: 3)
            try bench.serve(.accessAccept) { _ in attributes }
            guard case .failure? = bench.steps.last else {
                Issue.record("\(bench.steps)")
                return
            }
        }
    }

    @Test func deadServersAreNamedInTheRefusal() {
        var bench = NASBench()
        bench.ask(nil, ticket: 1)
        bench.ask(EAPPacket(.response, 0, .identity, Array("carol".utf8)).encoded, ticket: 2)
        bench.wait(.seconds(20))
        guard case .failure(_, .noServer(let reason))? = bench.steps.last else {
            Issue.record("\(bench.steps)")
            return
        }
        #expect(reason.contains("'main' (10.0.0.1[1812]) does not answer"))
        #expect(bench.nas.counts.conversations == 0)
    }

    @Test func attack25MessagesThatAreNoneAreNotForwarded() {
        let rubbish: [[UInt8]] = [
            [], [2], [2, 0, 0, 0], [2, 0, 0, 4], [1, 0, 0, 5, 1], [3, 0, 0, 4], [2, 0, 255, 255, 1], [9, 9, 0, 4],
        ]
        for message in rubbish {
            var bench = NASBench()
            bench.ask(nil, ticket: 1)
            bench.ask(message, ticket: 2)
            #expect(bench.sent.isEmpty)
            guard case .failure? = bench.steps.last else {
                Issue.record("\(bench.steps)")
                return
            }
        }
    }

    @Test func forgottenConversationsAreNotSentAgain() {
        var bench = NASBench()
        bench.connection.remote.eapIdentity = nil
        bench.ask(nil, ticket: 1)
        bench.nas.forget(.init(ikeSA: IKESAID(rawValue: 9), number: 0))
        bench.wait(.seconds(20))
        #expect(bench.sent.count == 1 && bench.steps.isEmpty)
        #expect(bench.nas.counts == (0, 0, 0))
    }

    // MARK: Accounting

    @Test func aSessionIsToldFromItsStartToItsEnd() throws {
        var bench = NASBench()
        try bench.letIn(more: [RADIUSAttribute(.acctInterimInterval, number: 300)])
        bench.establish(addresses: [IPAddress(v4: 0x0a03_0007)])
        bench.nas.installed(Self.child(1, 11, 12), of: IKESAID(rawValue: 9))
        let start = try RADIUSPacket(try #require(bench.sent.last).octets)
        #expect(start.code == .accountingRequest && start.first(.acctStatusType)?.number == 1)
        #expect(start.first(.framedIPAddress)?.address(.v4) == IPAddress(v4: 0x0a03_0007))
        #expect(start.first(.userName)?.value == Array("carol".utf8))
        try bench.serve(.accountingResponse) { _ in [] }
        bench.counters = [11: SACounters(packets: 3, bytes: 5 << 32 | 100), 12: SACounters(packets: 4, bytes: 200)]
        bench.wait(.seconds(300))
        let interim = try RADIUSPacket(try #require(bench.sent.last).octets)
        #expect(interim.first(.acctStatusType)?.number == 3 && interim.first(.acctSessionTime)?.number == 300)
        #expect(interim.first(.acctInputOctets)?.number == 100 && interim.first(.acctInputGigawords)?.number == 5)
        #expect(interim.first(.acctOutputOctets)?.number == 200 && interim.first(.acctOutputPackets)?.number == 4)
        try bench.serve(.accountingResponse) { _ in [] }
        // The child is rekeyed: what the old one carried stays counted.
        bench.nas.installed(Self.child(2, 21, 22), of: IKESAID(rawValue: 9))
        let one = ChildSAID(rawValue: 1)
        bench.nas.removing(.outbound, of: one, SACounters(packets: 5, bytes: 250))
        bench.nas.removing(.outbound, of: one, SACounters(packets: 5, bytes: 250))
        bench.nas.removing(.inbound, of: one, SACounters(packets: 3, bytes: 100))
        bench.counters = [21: SACounters(packets: 1, bytes: 10), 22: SACounters(packets: 1, bytes: 20)]
        bench.close()
        let stop = try RADIUSPacket(try #require(bench.sent.last).octets)
        #expect(stop.first(.acctStatusType)?.number == 2 && stop.first(.acctTerminateCause)?.number == 1)
        #expect(stop.first(.acctInputOctets)?.number == 110 && stop.first(.acctOutputOctets)?.number == 270)
        #expect(stop.first(.acctSessionID) == start.first(.acctSessionID))
        try bench.serve(.accountingResponse) { _ in [] }
        #expect(bench.nas.counts == (0, 0, 0) && bench.nas.nextDeadline == nil)
    }

    @Test func aRekeyedIKESACarriesTheSameSession() throws {
        var bench = NASBench()
        try bench.letIn()
        bench.establish()
        try bench.serve(.accountingResponse) { _ in [] }
        var summary = IKESASummary(
            id: IKESAID(rawValue: 10), connection: "remote-access", state: .established, isInitiator: true,
            initiatorSPI: 3, responderSPI: 4, path: NASBench.path)
        summary.origin = IKESAID(rawValue: 9)
        bench.nas.established(summary, bench.meter, bench.now, &bench.entropy, &bench.effects)
        let before = bench.sent.count
        bench.close(9, .replaced)
        #expect(bench.sent.count == before && bench.nas.counts.sessions == 1)
        bench.close(10)
        #expect(bench.sent.count == before + 1 && bench.nas.counts.sessions == 0)
    }

    @Test func aSessionEndsWhenItsTimeIsOver() throws {
        var bench = NASBench()
        try bench.letIn(more: [RADIUSAttribute(.sessionTimeout, number: 120)])
        bench.establish()
        try bench.serve(.accountingResponse) { _ in [] }
        bench.wait(.seconds(119))
        #expect(bench.terminated.isEmpty)
        bench.wait(.seconds(1))
        #expect(bench.terminated == [IKESAID(rawValue: 9)])
        bench.close(9, .asked)
        let stop = try RADIUSPacket(try #require(bench.sent.last).octets)
        #expect(stop.first(.acctTerminateCause)?.number == 5)
    }

    @Test func aReportThatNobodyTakesEndsTheSessionAsConfigured() throws {
        for closes in [true, false] {
            var settings = NASBench.settings
            settings.interimInterval = .seconds(60)
            settings.closesUnaccounted = closes
            var bench = NASBench(settings)
            try bench.letIn()
            bench.establish()
            try bench.serve(.accountingResponse) { _ in [] }
            bench.wait(.seconds(90))
            #expect(bench.terminated.isEmpty != closes)
            #expect(bench.notes.contains { $0.contains("nobody took the accounting report") })
        }
    }

    private static func child(_ number: UInt32, _ inbound: UInt32, _ outbound: UInt32) -> ChildSASummary {
        ChildSASummary(
            id: ChildSAID(rawValue: number), name: "net", state: .installed, mode: .tunnel, encapsulation: .udp,
            inboundSPI: inbound, outboundSPI: outbound, algorithms: .init(.esp, []), localSelectors: [],
            remoteSelectors: [])
    }
}
