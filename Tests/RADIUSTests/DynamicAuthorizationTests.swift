import Clockwork
import EAPEngine
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import RADIUS

/// Requests from outside: who may end or change a session, and who may not (RFC 5176).
@Suite struct DynamicAuthorizationTests {
    private static let stamp = RADIUSAttribute(.eventTimestamp, number: 1_700_000_010)
    private static let carol = RADIUSAttribute(.userName, text: "carol")

    private static func running() throws -> NASBench {
        var bench = NASBench()
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

    @Test("Attack 27: CoA and Disconnect from elsewhere, with another secret or an old time, are dropped")
    func attack27RequestsThatNobodyMayMakeAreDropped() throws {
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

    @Test("Attack 27: a request that ended a session ends none of the same user's when it is sent again")
    func attack27ReplayAfterAReturn() throws {
        var bench = try Self.running()
        try bench.request(.disconnectRequest, [Self.carol, Self.stamp])
        bench.close(9, .asked)
        try bench.serve(.accountingResponse) { _ in [] }
        try bench.letIn(10)
        bench.establish(10)
        try bench.serve(.accountingResponse) { _ in [] }
        bench.wait(.seconds(20))
        try bench.request(.disconnectRequest, [Self.carol, Self.stamp])
        #expect(bench.terminated == [IKESAID(rawValue: 9)])
    }

    @Test("Attack 27: what could be replayed later is refused")
    func attack27WhatCouldBeReplayedLaterIsRefused() throws {
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
        dump(NASBench.settings, to: &told)
        dump(bench.nas, to: &told)
        for effect in bench.effects { if case .note(let text) = effect { told += text } }
        #expect(!told.contains("a secret of two ends"))
        bench.close()
    }
}
