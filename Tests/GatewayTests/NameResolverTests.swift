import Clockwork
import GatewayModel
import IKECore
import LinuxSystem
import NetworkTypes
import SwanctlConfig
import Synchronization
import Testing

@testable import Gateway

/// Peers that are known by name.
@Suite struct NameResolverTests {
    private static func hq(_ remote: String) throws -> GatewayModel.Connection {
        var connection = try #require(try Fixtures.hq().connections.first)
        connection.remoteAddresses = remote.split(separator: " ").map { .name(String($0)) }
        return connection
    }

    /// Waits until a lookup has come back, ten seconds at most.
    private static func take(_ resolver: NameResolver) throws -> [NameResolver.Found] {
        let poller = try Poller()
        try poller.add(resolver.descriptor, token: 1, .readable)
        var events: [PollEvent] = []
        try poller.wait(timeout: .seconds(10), into: &events)
        return resolver.takeFound()
    }

    @Test func aNameBecomesItsAddresses() throws {
        let resolver = try NameResolver { name in
            name == "vpn.example" ? .addresses([IPAddress(v4: 0xc633_6407), .loopback(.v6)]) : .failed("no such name")
        }
        #expect(resolver.begin(try Self.hq("gone.example vpn.example"), .init(rawValue: 7)) == nil)
        let found = try #require(try Self.take(resolver).first)
        #expect(found.ticket.rawValue == 7)
        #expect(found.candidates.map { $0.remoteAddresses.map(\.description) } == [["198.51.100.7"], ["::1"]])
        #expect(found.failure == "'gone.example' can't be looked up: no such name")
    }

    /// Each question looks up anew: the address may be another one by now.
    @Test func everyTryLooksUpAgain() throws {
        let calls = Mutex(0)
        let resolver = try NameResolver { _ in
            calls.withLock { calls in
                calls += 1
                return .addresses([IPAddress(v4: 0x7f00_0000 + UInt32(calls))])
            }
        }
        for expected in ["127.0.0.1", "127.0.0.2"] {
            #expect(resolver.begin(try Self.hq("vpn.example"), .init(rawValue: 1)) == nil)
            let found = try #require(try Self.take(resolver).first)
            #expect(found.candidates.first?.remoteAddresses.first?.description == expected)
        }
    }

    @Test func aSlowNameDoesNotHoldUpOthers() throws {
        let resolver = try NameResolver { name in
            if name == "slow.example" { _ = try? ChildProcess.run(["/bin/sleep", "0.5"], milliseconds: 5000) }
            return .addresses([.loopback(.v4)])
        }
        #expect(resolver.begin(try Self.hq("slow.example"), .init(rawValue: 1)) == nil)
        #expect(resolver.begin(try Self.hq("quick.example"), .init(rawValue: 2)) == nil)
        var order: [UInt64] = []
        while order.count < 2 { order += try Self.take(resolver).map(\.ticket.rawValue) }
        #expect(order == [2, 1])
    }

    @Test func aGatewayReachesAPeerByName() throws {
        let pair = NodePair(hq: try Fixtures.hq(), branch: try Fixtures.branch())
        let resolver = try NameResolver { _ in .addresses([Fixtures.addresses.branch]) }
        pair.hq.gateway.names = resolver
        var loaded = try Fixtures.hq()
        loaded.connections[0].remoteAddresses = [.name("branch.example")]
        pair.hq.gateway.replace(loaded)
        pair.initiate()
        #expect(pair.hq.gateway.ikeSAs.map(\.state) == [.created], "it waits for the name")
        let poller = try Poller()
        try poller.add(resolver.descriptor, token: 1, .readable)
        var events: [PollEvent] = []
        try poller.wait(timeout: .seconds(10), into: &events)
        pair.hq.gateway.takeNames()
        pair.run()
        #expect(pair.hq.gateway.ikeSAs.map(\.state) == [.established])
        #expect(pair.hq.installed.count == 1)
    }
}
