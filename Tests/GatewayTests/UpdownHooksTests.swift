import Clockwork
import Foundation
import GatewayModel
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import Synchronization
import Testing

@testable import Gateway

@Suite struct UpdownHooksTests {
    private static func selectors(_ address: UInt32) -> [TrafficSelector] {
        IPPrefix(IPAddress(v4: address), length: 16).map { [TrafficSelector($0)] } ?? []
    }

    private static func child(_ id: UInt32) -> ChildSASummary {
        ChildSASummary(
            id: ChildSAID(rawValue: id), name: "net", state: .installed, mode: .tunnel, encapsulation: .udp,
            inboundSPI: id,
            outboundSPI: id, algorithms: Proposal(.esp, [.aes256gcm16]), localSelectors: selectors(0x0a01_0000),
            remoteSelectors: selectors(0x0a02_0000))
    }

    private static func owner() -> IKESASummary {
        let path = Path(
            local: Endpoint(IPAddress(v4: 0xc000_0201), 4500), remote: Endpoint(IPAddress(v4: 0xc633_6402), 4501))
        var owner = IKESASummary(
            id: IKESAID(rawValue: 7), connection: "branch", state: .established, isInitiator: true, initiatorSPI: 1,
            responderSPI: 2, path: path)
        owner.localIdentity = .fqdn("hq.example")
        owner.remoteIdentity = .keyID([0x0a, 0x41])
        return owner
    }

    /// Calls, in their order, from whichever thread.
    private final class Record: Sendable {
        let calls = Mutex<[UpdownHooks.Call]>([])
    }

    private static func hooks(_ record: Record) -> UpdownHooks {
        var connection = Connection(name: "branch")
        var template = ChildTemplate(name: "net")
        template.updown = ["/bin/told", "one"]
        connection.children = [template]
        return UpdownHooks(
            connection: { $0 == "branch" ? connection : nil }, ikeSA: { _ in owner() },
            interface: { $0 == IPAddress(v4: 0xc000_0201) ? "eth7" : nil }, say: { _ in },
            run: { call in
                record.calls.withLock { $0.append(call) }
                return nil
            })
    }

    private static func event(_ kind: Event.Kind) -> Event {
        Event(time: .zero, ikeSA: IKESAID(rawValue: 7), connection: "branch", kind: kind)
    }

    @Test func upAndDownOnceWhateverIsRekeyed() {
        let record = Record()
        let hooks = Self.hooks(record)
        hooks.observe(Self.event(.childInstalled(Self.child(1))))
        hooks.observe(Self.event(.childInstalled(Self.child(2))))
        hooks.observe(Self.event(.childClosed(Self.child(1), .replaced)))
        hooks.observe(Self.event(.childClosed(Self.child(9), .asked)))
        hooks.observe(Self.event(.childClosed(Self.child(2), .byPeer)))
        hooks.observe(Self.event(.childClosed(Self.child(2), .byPeer)))
        hooks.stop()
        let calls = record.calls.withLock { $0 }
        #expect(calls.map { $0.environment[1] } == ["PLUTO_VERB=up-client", "PLUTO_VERB=down-client"])
        #expect(calls.map(\.arguments) == [["/bin/told", "one"], ["/bin/told", "one"]])
        let environment = Set(calls[0].environment)
        for line in [
            "PLUTO_ME=192.0.2.1", "PLUTO_PEER=198.51.100.2", "PLUTO_MY_ID=hq.example", "PLUTO_PEER_ID=0x0a41",
            "PLUTO_MY_CLIENT=10.1.0.0/16", "PLUTO_PEER_CLIENT=10.2.0.0/16", "PLUTO_UDP_ENC=4501", "PLUTO_PROTO=esp",
            "PLUTO_INTERFACE=eth7",
        ] { #expect(environment.contains(line), "\(line)") }
    }

    /// What is not always there, by strongSwan's names.
    @Test func whatOnlySomeTunnelsHave() throws {
        var (child, owner) = (Self.child(1), Self.owner())
        func lines() -> [String] {
            UpdownEnvironment(child, of: owner, at: nil, nameServers: []).pairs(isUp: true).flatMap(\.self)
        }
        #expect(lines().contains("PLUTO_INTERFACE=unknown"))
        #expect(lines().contains("PLUTO_REQID=1"))
        child.protection = 5
        #expect(lines().contains("PLUTO_REQID=5"))
        #expect(!lines().contains { $0.hasPrefix("PLUTO_XAUTH_ID") || $0.hasPrefix("PLUTO_IPCOMP") })
        owner.remoteEAPIdentity = .fqdn("ann")
        child.compression = CompressionIndices(inbound: 2, outbound: 3)
        owner.localPrefixes = [try #require(IPPrefix("2001:db8:100:7::/64"))]
        #expect(lines().contains("PLUTO_MY_PREFIX6_1=2001:db8:100:7::/64"))
        #expect(lines().contains("PLUTO_XAUTH_ID=ann") && lines().contains("PLUTO_IPCOMP=1"))
    }

    @Test func aProgramIsToldWithoutAShell() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("updown-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let program = directory.appendingPathComponent("told").path
        try RawFile.write(
            program, Array("#!/bin/sh\nprintf '%s|%s' \"$1\" \"$PLUTO_PEER_ID\" >\"$0.said\"\n".utf8), mode: 0o755)
        let status = try ChildProcess.run(
            [program, "$(id); x"], environment: ["PLUTO_PEER_ID=`id`$HOME"], milliseconds: 10_000)
        #expect(status == 0)
        #expect(try String(contentsOfFile: program + ".said", encoding: .utf8) == "$(id); x|`id`$HOME")
    }
}
