import Clockwork
import GatewayModel
import Glibc
import IPsecCrypto
import NetworkTypes
import StateRecords
import Synchronization
import Testing
import WireFormat

@testable import Gateway

/// What one process has told the machine, another one takes back.
@Suite struct HandedHooksTests {
    private static func handed(_ write: (RecordWriter) -> Void) -> RecordReader {
        let writer = RecordWriter()
        write(writer)
        return RecordReader(writer.buffer.withSpan { SecretBytes(copying: $0) }, version: 1)
    }

    private static func selectors(_ address: UInt32) -> [TrafficSelector] {
        IPPrefix(IPAddress(v4: address), length: 16).map { [TrafficSelector($0)] } ?? []
    }

    private static func child(_ id: UInt32) -> ChildSASummary {
        ChildSASummary(
            id: ChildSAID(rawValue: id), name: "net", state: .installed, mode: .tunnel, encapsulation: .udp,
            inboundSPI: id, outboundSPI: id, algorithms: Proposal(.esp, [.aes256gcm16]),
            localSelectors: selectors(0x0a01_0000), remoteSelectors: selectors(0x0a02_0000))
    }

    private final class Record: Sendable {
        let calls = Mutex<[UpdownHooks.Call]>([])
        var verbs: [String] { calls.withLock { $0.map { $0.environment.first { $0.hasPrefix("PLUTO_VERB") } ?? "" } } }
    }

    private static func hooks(_ record: Record, knowsSAs: Bool = true) -> UpdownHooks {
        var connection = Connection(name: "branch")
        var template = ChildTemplate(name: "net")
        template.updown = ["/bin/told", "one"]
        connection.children = [template]
        let path = Path(local: Endpoint(IPAddress(v4: 1), 4500), remote: Endpoint(IPAddress(v4: 2), 4501))
        let owner = IKESASummary(
            id: IKESAID(rawValue: 7), connection: "branch", state: .established, isInitiator: true, initiatorSPI: 1,
            responderSPI: 2, path: path)
        return UpdownHooks(
            connection: { $0 == "branch" ? connection : nil }, ikeSA: { _ in knowsSAs ? owner : nil }, say: { _ in },
            run: { call in
                record.calls.withLock { $0.append(call) }
                return nil
            })
    }

    private static func event(_ kind: Event.Kind) -> Event {
        Event(time: .zero, ikeSA: IKESAID(rawValue: 7), connection: "branch", kind: kind)
    }

    private static func settings() -> HostSettings {
        var settings = HostSettings()
        settings.nameServers = [IPAddress(v4: 0x0a02_0035)]
        return settings
    }

    @Test func everythingIsReadAsItWasWritten() throws {
        let tunnel = UpdownHooks.Tunnel(
            connection: "branch", child: "net", local: Self.selectors(0x0a01_0000), remote: Self.selectors(0x0a02_0000))
        let down = UpdownHooks.Call(arguments: ["/bin/told"], environment: ["PLUTO_VERB=down-client"])
        let hooks = HandedHooks(
            active: [tunnel: UpdownHooks.Active(children: [ChildSAID(rawValue: 3)], calls: [down])],
            nameServers: [
                IKESAID(rawValue: 7): [IPAddress(v4: 0x0a02_0035), .loopback(.v6)],
                IKESAID(rawValue: 9): [IPAddress(v4: 0x0a03_0035)],
            ], waiting: [down])
        var reader = Self.handed { $0.put(hooks) }
        let read: HandedHooks = try reader.value()
        #expect(read.active[tunnel]?.children == [ChildSAID(rawValue: 3)])
        #expect(read.active[tunnel]?.calls == [down])
        #expect(read.active.count == 1)
        #expect(read.nameServers == hooks.nameServers)
        #expect(read.waiting == [down])
    }

    @Test func whoWasToldOfTheBeginningIsToldOfTheEnd() throws {
        let first = Record()
        let former = Self.hooks(first)
        former.observe(Self.event(.hostConfigured(Self.settings())))
        former.observe(Self.event(.childInstalled(Self.child(1))))
        former.observe(Self.event(.childInstalled(Self.child(2))))
        while !former.isIdle { sched_yield() }
        var reader = Self.handed { $0.put(former.handed) }
        former.stop()
        #expect(first.verbs == ["PLUTO_VERB=up-client"])

        let second = Record()
        let next = Self.hooks(second, knowsSAs: false)
        next.resume(try reader.value())
        #expect(reader.isAtEnd)
        // A rekeying and its end are told to nobody; the end of the tunnel is, with the words of its beginning.
        next.observe(Self.event(.childClosed(Self.child(1), .replaced)))
        next.observe(Self.event(.childClosed(Self.child(2), .byPeer)))
        next.stop()
        #expect(second.verbs == ["PLUTO_VERB=down-client"])
        let told = second.calls.withLock { $0.first }
        #expect(told?.arguments == ["/bin/told", "one"])
        #expect(told?.environment.contains("PLUTO_DNS4_1=10.2.0.53") == true)
    }

    @Test func callsThatNobodyMadeAreMade() throws {
        var reader = Self.handed { writer in
            writer.list([String]()) { writer.text($0) }
            writer.list([String]()) { writer.text($0) }
            writer.list([UpdownHooks.Call(arguments: ["/bin/late"], environment: ["PLUTO_VERB=down-client"])])
        }
        let record = Record()
        let next = Self.hooks(record)
        next.resume(try reader.value())
        next.stop()
        #expect(record.calls.withLock { $0.map(\.arguments) } == [["/bin/late"]])
    }

    @Test func nameServersStayAndAreTakenBack() throws {
        func keeper(_ calls: Record) -> NameServerKeeper {
            NameServerKeeper(
                device: "tun7", receiver: .resolvconf("/s"), say: { _ in },
                run: { call in
                    calls.calls.withLock { $0.append(UpdownHooks.Call(arguments: call.arguments, environment: [])) }
                    return nil
                })
        }
        let given = Self.settings()
        let former = keeper(Record())
        former.resume(HandedNameServers([given], isHandedOver: true))
        var reader = Self.handed { $0.put(former.handed) }

        let record = Record()
        let next = keeper(record)
        next.resume(try reader.value())
        #expect(reader.isAtEnd)
        #expect(next.handed.settings == [given])
        #expect(record.calls.withLock { $0.isEmpty })
        next.observe(Self.event(.hostUnconfigured(given)))
        next.stop()
        #expect(record.calls.withLock { $0.map(\.arguments) } == [["/s", "-d", "tun7.martlet"]])
    }

    @Test func whatWasNotHandedToTheSystemYetIs() throws {
        var reader = Self.handed { writer in
            writer.bool(false)
            writer.list([Self.settings()])
        }
        let calls = Mutex<[[String]]>([])
        let next = NameServerKeeper(
            device: "tun7", receiver: .resolvconf("/s"), say: { _ in },
            run: { call in
                calls.withLock { $0.append(call.arguments) }
                return nil
            })
        next.resume(try reader.value())
        next.stop()
        #expect(calls.withLock { $0.first } == ["/s", "-a", "tun7.martlet"] || calls.withLock { $0.count } == 1)
    }
}
