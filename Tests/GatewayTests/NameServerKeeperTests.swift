import Clockwork
import GatewayModel
import NetworkTypes
import Synchronization
import Testing

@testable import Gateway

/// What becomes of name servers that peers give us.
@Suite struct NameServerKeeperTests {
    private static func settings(_ servers: [String], domains: [String] = []) -> HostSettings {
        var settings = HostSettings()
        settings.nameServers = servers.compactMap { IPAddress($0) }
        settings.domains = domains.map { HostSettings.Domain(name: $0) }
        return settings
    }

    private static func lines(_ settings: [HostSettings], _ receiver: NameServerKeeper.Receiver) -> [String] {
        NameServerKeeper.calls(settings, receiver, "tun7").map {
            $0.arguments.joined(separator: " ")
                + ($0.input.isEmpty ? "" : " < " + String(decoding: $0.input, as: UTF8.self))
        }
    }

    @Test func resolvedGetsServersAndDomains() {
        let all = Self.settings(["10.2.0.53", "fd02::53"])
        let split = Self.settings(["10.4.0.53"], domains: ["corp.example", "lab.example"])
        #expect(
            Self.lines([all], .resolved("/r")) == ["/r dns tun7 10.2.0.53 fd02::53", "/r domain tun7 ~."])
        #expect(
            Self.lines([split], .resolved("/r"))
                == ["/r dns tun7 10.4.0.53", "/r domain tun7 ~corp.example ~lab.example"])
        #expect(Self.lines([all, split, all], .resolved("/r")).first == "/r dns tun7 10.2.0.53 fd02::53 10.4.0.53")
        #expect(Self.lines([], .resolved("/r")) == ["/r revert tun7"])
    }

    @Test func resolvconfGetsALines() {
        #expect(
            Self.lines([Self.settings(["10.4.0.53"], domains: ["corp.example"])], .resolvconf("/s"))
                == ["/s -a tun7.martlet < nameserver 10.4.0.53\nsearch corp.example\n"])
        #expect(Self.lines([], .resolvconf("/s")) == ["/s -d tun7.martlet"])
    }

    @Test func theReceiverIsTheOneThatIsThere() {
        #expect(NameServerKeeper.Receiver.found { _ in false } == nil)
        #expect(NameServerKeeper.Receiver.found { $0 == "/sbin/resolvconf" } == .resolvconf("/sbin/resolvconf"))
        // Installed but not running.
        #expect(NameServerKeeper.Receiver.found { $0 == "/usr/bin/resolvectl" } == nil)
        #expect(NameServerKeeper.Receiver.found { _ in true } == .resolved("/usr/bin/resolvectl"))
    }

    @Test func whatIsGivenIsTakenBack() {
        let calls = Mutex<[NameServerKeeper.Call]>([])
        let said = Mutex<[String]>([])
        let keeper = NameServerKeeper(
            device: "tun7", receiver: .resolvconf("/s"), say: { line in said.withLock { $0.append(line) } },
            run: { call in
                calls.withLock { $0.append(call) }
                return call.arguments[1] == "-d" ? "no such interface" : nil
            })
        let given = Self.settings(["10.2.0.53"])
        keeper.observe(Fixtures.event(.hostConfigured(given)))
        keeper.observe(Fixtures.event(.hostConfigured(Self.settings([]))))
        keeper.stop()
        let last = calls.withLock { $0.last }
        #expect(last?.arguments == ["/s", "-d", "tun7.martlet"])
        #expect(said.withLock { $0 } == ["name servers were not handed over: no such interface"])
    }

    @Test func withoutAReceiverPeopleAreTold() {
        let said = Mutex<[String]>([])
        let keeper = NameServerKeeper(
            device: "tun7", receiver: nil, say: { line in said.withLock { $0.append(line) } }, run: { _ in "never" })
        keeper.observe(Fixtures.event(.hostConfigured(Self.settings(["10.2.0.53"]))))
        keeper.stop()
        #expect(said.withLock { $0 }.count == 1)
        #expect(said.withLock { $0.first }?.contains("10.2.0.53") == true)
    }
}
