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
    private static let secret = SecretBytes(Array("a secret of two ends".utf8))
    private static let server = IPAddress(v4: 0x0a00_0001)
    private static let path = Path(
        local: Endpoint(IPAddress(v4: 0xc000_0201), 4500), remote: Endpoint(IPAddress(v4: 0xc633_6402), 4500))

    private static var settings: RADIUSSettings {
        var settings = RADIUSSettings()
        var main = RADIUSSettings.Server(
            name: "main", authentication: Endpoint(server, 1812), accounting: Endpoint(server, 1813), secret: secret)
        main.retransmission = RetransmissionSchedule(tries: 1, timeout: .seconds(1), base: 1)
        settings.servers = [main]
        settings.accounts = true
        settings.classNamesGroups = true
        settings.dynamicAuthorization = .init(secret: secret)
        return settings
    }

    /// A NAS, and what came of it.
    private struct Bench {
        var nas: NetworkAccessServer
        var entropy = SeededEntropy(seed: 5)
        var now = Instant.zero
        var effects: [NetworkAccessServer.Effect] = []
        var counters: [UInt32: SACounters] = [:]
        var connection = Connection(name: "remote-access")

        init(_ settings: RADIUSSettings = NetworkAccessServerTests.settings) {
            nas = NetworkAccessServer(settings, unixTime: { 1_700_000_000 })
            connection.remote.method = .eap
            connection.remote.eap = EAPRules(isRelayed: true)
            connection.remote.eapIdentity = .any
        }

        mutating func ask(_ message: [UInt8]?, ticket: UInt64, sa: UInt32 = 9) {
            let question = EAPQuestion(
                conversation: .init(ikeSA: IKESAID(rawValue: sa), number: 0), connection: connection,
                isAuthenticator: true, ownIdentity: .fqdn("gw.example"), otherIdentity: .fqdn("phone.example"),
                path: NetworkAccessServerTests.path, message: message)
            nas.ask(question, Ticket(rawValue: ticket), now, &entropy, &effects)
        }

        var sent: [(octets: [UInt8], lane: RADIUSClient.Lane)] {
            effects.compactMap { if case .send(let octets, let lane) = $0 { (octets, lane) } else { nil } }
        }
        var steps: [EAPStep] { effects.compactMap { if case .answer(_, let step) = $0 { step } else { nil } } }
        var terminated: [IKESAID] { effects.compactMap { if case .terminate(let id) = $0 { id } else { nil } } }
        var replies: [RADIUSPacket] {
            effects.compactMap { if case .reply(let octets, _) = $0 { try? RADIUSPacket(octets) } else { nil } }
        }
        var notes: [String] { effects.compactMap { if case .note(let text) = $0 { text } else { nil } } }

        func meter(_ direction: SecurityAssociation.Direction, _ spi: UInt32) -> SACounters? { counters[spi] }

        /// The server answers what was sent last.
        mutating func serve(_ code: RADIUSPacket.Code, _ attributes: (RADIUSPacket) -> [RADIUSAttribute]) throws {
            let last = try #require(sent.last)
            let request = try RADIUSPacket(last.octets)
            let answer = RADIUSPacket(code, 0, attributes(request))
            let octets = try #require(
                PacketProof(NetworkAccessServerTests.secret).sealedAnswer(answer, to: request))
            let port: UInt16 = last.lane.service == .authentication ? 1812 : 1813
            nas.receive(
                octets, from: Endpoint(NetworkAccessServerTests.server, port), over: last.lane, now, &entropy, &effects)
        }

        /// Somebody called `carol` gets in by MSCHAPv2.
        mutating func letIn(_ sa: UInt32 = 9, more: [RADIUSAttribute] = []) throws {
            ask(nil, ticket: 1, sa: sa)
            ask(EAPPacket(.response, 0, .identity, Array("carol".utf8)).encoded, ticket: 2, sa: sa)
            try serve(.accessChallenge) { _ in
                [RADIUSAttribute(.state, [1, 2, 3])]
                    + RADIUSPacket.pieces(ofEAP: EAPPacket(.request, 4, .init(rawValue: 26), [1]).encoded)
            }
            ask(EAPPacket(.response, 4, .init(rawValue: 26), [2]).encoded, ticket: 3, sa: sa)
            try serve(.accessAccept) { request in
                Forge.keys(NetworkAccessServerTests.key, NetworkAccessServerTests.secret, request.authenticator)
                    + RADIUSPacket.pieces(ofEAP: EAPPacket(.success, 4).encoded) + more
            }
        }

        mutating func establish(_ sa: UInt32 = 9, addresses: [IPAddress] = []) {
            var summary = IKESASummary(
                id: IKESAID(rawValue: sa), connection: "remote-access", state: .established, isInitiator: false,
                initiatorSPI: 1, responderSPI: 2, path: NetworkAccessServerTests.path)
            summary.remoteEAPIdentity = .fqdn("carol")
            summary.remoteVirtualAddresses = addresses
            nas.established(summary, meter, now, &entropy, &effects)
        }

        mutating func close(_ sa: UInt32 = 9, _ reason: Event.CloseReason = .byPeer) {
            nas.closed(IKESAID(rawValue: sa), reason, meter, now, &entropy, &effects)
        }

        mutating func wait(_ time: Interval) {
            let end = now + time
            while let next = nas.nextDeadline, next <= end {
                now = next
                nas.deadlineReached(now, meter, &entropy, &effects)
            }
            now = end
        }

        mutating func request(
            _ code: RADIUSPacket.Code, _ attributes: [RADIUSAttribute], identifier: UInt8 = 1,
            from source: IPAddress = NetworkAccessServerTests.server,
            secret: SecretBytes = NetworkAccessServerTests.secret
        ) throws {
            let sealed = try #require(
                PacketProof(secret).sealedAccountingRequest(RADIUSPacket(code, identifier, attributes)))
            let path = Path(
                local: Endpoint(IPAddress(v4: 0xc000_0201), 3799), remote: Endpoint(source, 40_000))
            nas.receiveRequest(sealed.octets, along: path, now, &effects)
        }
    }

    private static let key = (0..<64).map { UInt8($0) }

    // MARK: EAP

    @Test func aConversationIsRelayedAndLeavesItsKey() throws {
        var bench = Bench()
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
        #expect(first.first(.nasIPAddress)?.address(.v4) == Self.path.local.address)
        guard case .success(_, let outcome)? = bench.steps.last else {
            Issue.record("\(bench.steps)")
            return
        }
        #expect(outcome.key == SecretBytes(Self.key) && outcome.method == 26)
        #expect(outcome.identity == .fqdn("carol") && outcome.groups == ["staff"])
        #expect(outcome.addresses == [IPAddress(v4: 0x0a03_0007)] && outcome.lifetime == .seconds(3600))
        #expect(bench.nas.counts.conversations == 0 && bench.nas.counts.requests == 0)
    }

    @Test func aRejectionNamesServerAndUser() throws {
        var bench = Bench()
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
        var bench = Bench()
        bench.connection.remote.eapIdentity = nil
        bench.ask(nil, ticket: 1)
        let request = try RADIUSPacket(try #require(bench.sent.first).octets)
        #expect(request.first(.userName)?.value == Array("phone.example".utf8))
        #expect(try EAPPacket(request.eapMessage).data == Array("phone.example".utf8))
    }

    @Test func onlyWhoIsAllowedIsToldToTheServer() {
        var bench = Bench()
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
            var bench = Bench()
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
        var bench = Bench()
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
            var bench = Bench()
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
        var bench = Bench()
        bench.connection.remote.eapIdentity = nil
        bench.ask(nil, ticket: 1)
        bench.nas.forget(.init(ikeSA: IKESAID(rawValue: 9), number: 0))
        bench.wait(.seconds(20))
        #expect(bench.sent.count == 1 && bench.steps.isEmpty)
        #expect(bench.nas.counts == (0, 0, 0))
    }

    // MARK: Accounting

    @Test func aSessionIsToldFromItsStartToItsEnd() throws {
        var bench = Bench()
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
        var bench = Bench()
        try bench.letIn()
        bench.establish()
        try bench.serve(.accountingResponse) { _ in [] }
        var summary = IKESASummary(
            id: IKESAID(rawValue: 10), connection: "remote-access", state: .established, isInitiator: true,
            initiatorSPI: 3, responderSPI: 4, path: Self.path)
        summary.origin = IKESAID(rawValue: 9)
        bench.nas.established(summary, bench.meter, bench.now, &bench.entropy, &bench.effects)
        let before = bench.sent.count
        bench.close(9, .replaced)
        #expect(bench.sent.count == before && bench.nas.counts.sessions == 1)
        bench.close(10)
        #expect(bench.sent.count == before + 1 && bench.nas.counts.sessions == 0)
    }

    @Test func aSessionEndsWhenItsTimeIsOver() throws {
        var bench = Bench()
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
            var settings = Self.settings
            settings.interimInterval = .seconds(60)
            settings.closesUnaccounted = closes
            var bench = Bench(settings)
            try bench.letIn()
            bench.establish()
            try bench.serve(.accountingResponse) { _ in [] }
            bench.wait(.seconds(90))
            #expect(bench.terminated.isEmpty != closes)
            #expect(bench.notes.contains { $0.contains("nobody took the accounting report") })
        }
    }

    // MARK: Requests from outside

    private static let stamp = RADIUSAttribute(.eventTimestamp, number: 1_700_000_010)
    private static let carol = RADIUSAttribute(.userName, text: "carol")

    private static func running() throws -> Bench {
        var bench = Bench()
        try bench.letIn()
        bench.establish()
        try bench.serve(.accountingResponse) { _ in [] }
        return bench
    }

    @Test func aDisconnectRequestEndsASessionOnce() throws {
        var bench = try Self.running()
        let proxy = RADIUSAttribute(.proxyState, [7, 7])
        try bench.request(.disconnectRequest, [Self.carol, Self.stamp, proxy])
        #expect(bench.terminated == [IKESAID(rawValue: 9)])
        #expect(bench.replies.map(\.code) == [.disconnectACK] && bench.replies[0].first(.proxyState) == proxy)
        // Once more, octet by octet: the same answer, and nothing else.
        try bench.request(.disconnectRequest, [Self.carol, Self.stamp, proxy])
        #expect(bench.terminated.count == 1 && bench.replies.count == 2 && bench.replies[0] == bench.replies[1])
        bench.close(9, .asked)
        let stop = try RADIUSPacket(try #require(bench.sent.last).octets)
        #expect(stop.first(.acctTerminateCause)?.number == 6)
        try bench.request(.disconnectRequest, [Self.carol, Self.stamp], identifier: 2)
        #expect(bench.replies.last?.code == .disconnectNAK && bench.replies.last?.first(.errorCause)?.number == 503)
    }

    @Test func attack27RequestsThatNobodyMayMakeAreDropped() throws {
        var bench = try Self.running()
        let other = SecretBytes(Array("not the secret of the two".utf8))
        try bench.request(.disconnectRequest, [Self.carol, Self.stamp], from: IPAddress(v4: 0xc000_0209))
        try bench.request(.disconnectRequest, [Self.carol, Self.stamp], secret: other)
        try bench.request(.accessRequest, [Self.carol, Self.stamp])
        for seconds: UInt32 in [0, 1_699_999_000, 1_700_000_301, .max] {
            try bench.request(
                .disconnectRequest, [Self.carol, RADIUSAttribute(.eventTimestamp, number: seconds)])
        }
        try bench.request(.disconnectRequest, [Self.carol, RADIUSAttribute(.eventTimestamp, [1])])
        #expect(bench.terminated.isEmpty && bench.replies.isEmpty)
    }

    @Test func attack27WhatCouldBeReplayedLaterIsRefused() throws {
        var bench = try Self.running()
        try bench.request(.disconnectRequest, [Self.carol])
        #expect(bench.terminated.isEmpty && bench.replies.last?.first(.errorCause)?.number == 402)
        // A session's number never comes back: who replays this ends nothing.
        let start = try RADIUSPacket(try #require(bench.sent.last).octets)
        try bench.request(.disconnectRequest, [try #require(start.first(.acctSessionID))], identifier: 2)
        #expect(bench.terminated.count == 1 && bench.replies.last?.code == .disconnectACK)
    }

    @Test func allThatARequestSaysHasToBeTrue() throws {
        var bench = try Self.running()
        let wrong: [RADIUSAttribute] = [
            RADIUSAttribute(.userName, text: "dave"), RADIUSAttribute(.framedIPAddress, IPAddress(v4: 1)),
            RADIUSAttribute(.nasPort, number: 10), RADIUSAttribute(.acctSessionID, text: "0-0"),
            RADIUSAttribute(.callingStationID, text: "198.51.100.3[4500]"),
            RADIUSAttribute(.nasIPAddress, IPAddress(v4: 1)), RADIUSAttribute(.framedIPAddress, [1]),
        ]
        for (index, attribute) in wrong.enumerated() {
            let name = attribute.kind == .userName ? [] : [Self.carol]
            try bench.request(.disconnectRequest, name + [attribute, Self.stamp], identifier: UInt8(index))
            #expect(bench.replies.last?.first(.errorCause)?.number == 503, "\(attribute)")
        }
        try bench.request(
            .disconnectRequest, [Self.carol, RADIUSAttribute(.nasIdentifier, text: "other"), Self.stamp],
            identifier: 100)
        #expect(bench.replies.last?.first(.errorCause)?.number == 403)
        try bench.request(
            .disconnectRequest, [Self.carol, RADIUSAttribute(.sessionTimeout, number: 1), Self.stamp], identifier: 101)
        #expect(bench.replies.last?.first(.errorCause)?.number == 401)
        #expect(bench.terminated.isEmpty)
    }

    @Test func aSessionsTimeCanBeChanged() throws {
        var bench = try Self.running()
        try bench.request(
            .coaRequest, [Self.carol, Self.stamp, RADIUSAttribute(.sessionTimeout, number: 60)])
        #expect(bench.replies.last?.code == .coaACK)
        bench.wait(.seconds(60))
        #expect(bench.terminated == [IKESAID(rawValue: 9)])
        try bench.request(.coaRequest, [Self.carol, Self.stamp], identifier: 2)
        #expect(bench.replies.last?.first(.errorCause)?.number == 402)
        try bench.request(
            .coaRequest, [Self.carol, Self.stamp, RADIUSAttribute(.serviceType, number: 17)], identifier: 3)
        #expect(bench.replies.last?.first(.errorCause)?.number == 405)
    }

    @Test func nothingSecretIsTold() throws {
        var bench = try Self.running()
        var told = ""
        dump(Self.settings, to: &told)
        dump(bench.nas, to: &told)
        for effect in bench.effects { if case .note(let text) = effect { told += text } }
        #expect(!told.contains("a secret of two ends"))
        bench.close()
    }

    private static func child(_ number: UInt32, _ inbound: UInt32, _ outbound: UInt32) -> ChildSASummary {
        ChildSASummary(
            id: ChildSAID(rawValue: number), name: "net", state: .installed, mode: .tunnel, encapsulation: .udp,
            inboundSPI: inbound, outboundSPI: outbound, algorithms: .init(.esp, []), localSelectors: [],
            remoteSelectors: [])
    }
}
