import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes
import ViciMessages
import ViciServer

/// A gateway that has one tunnel, known to the last digit, and does what it is told at once.
final class StubGateway: ViciHandler {
    var now = Instant.zero + .seconds(1000)
    var unixTime: Int64 = 1_795_262_400
    var failures: [String: ViciFailure] = [:]
    var strays: [ViciFailure] = []
    var sas: [ViciIKESA] = [StubGateway.tunnel()]
    var connectionList: [Connection] = [StubGateway.connection()]
    var initiations: [ViciInitiation] = []
    var terminations: [ViciTermination] = []
    var rekeyings: [Command.Target] = []
    /// Called with each ticket; without it, the outcome never comes.
    var onCommand: ((ViciTicket, _ name: String) -> Void)?

    func version() -> ViciVersion {
        ViciVersion(daemon: "martlet", version: "0.1.0", system: "Linux", release: "6.1.0", machine: "x86_64")
    }

    func statistics() -> ViciStatistics {
        ViciStatistics(
            uptime: .seconds(7300), workers: 3, idleWorkers: 2, scheduled: 5, ikeSAs: 1, halfOpenIKESAs: 0,
            features: ["ikev2", "esp"])
    }

    func ikeSAs() -> [ViciIKESA] { sas }
    func connections() -> [Connection] { connectionList }
    func lastFailures() -> [String: ViciFailure] { failures }
    func strayFailures() -> [ViciFailure] { strays }
    func algorithms() -> [(kind: String, names: [String])] { [("encryption", ["AES_CBC", "AES_GCM_16"])] }
    func reloadSettings() -> ViciOutcome { .success }

    func initiate(_ request: ViciInitiation, ticket: ViciTicket) {
        initiations.append(request)
        onCommand?(ticket, request.child ?? request.connection ?? "")
    }

    func terminate(_ request: ViciTermination, ticket: ViciTicket) {
        terminations.append(request)
        onCommand?(ticket, "terminate")
    }

    /// Called within each rekeying.
    var onRekey: (() -> Void)?

    func rekey(_ target: Command.Target) -> ViciOutcome {
        rekeyings.append(target)
        onRekey?()
        return .rekeying(sas.count)
    }

    var reauthentications: [Command.Target] = []

    func reauthenticate(_ target: Command.Target) -> ViciOutcome {
        reauthentications.append(target)
        return .rekeying(sas.count)
    }

    var items: [ViciItem] = []
    var unloaded: [String] = []

    func load(_ items: [ViciItem]) -> ViciOutcome {
        self.items += items
        return items.contains { $0.name == "bad" } ? .failure("bad is bad") : .success
    }

    func unload(_ kind: ViciItem.Kind, _ name: String) -> ViciOutcome {
        unloaded.append("\(kind) \(name)")
        return .success
    }

    func names(of kind: ViciItem.Kind) -> [String] { kind == .connection ? connectionList.map(\.name) : ["one"] }

    func policies() -> [ViciPolicy] {
        [
            ViciPolicy(
                connection: "gw", child: "net", action: .trap, mode: "TUNNEL", localSelectors: ["10.1.0.0/16"],
                remoteSelectors: ["10.2.0.0/16", "10.3.0.0/24[tcp/443]"])
        ]
    }

    /// Whether there is a pool of prefixes.
    var lendsPrefixes = false

    func pools() -> [ViciPool] {
        let lease = ViciPool.Lease(address: "10.9.0.1", identity: "carol@example.net", isOnline: true)
        var lender = ViciPool(name: "q", base: "2001:db8:100::", size: 0)
        let prefix = ViciPool.Lease(address: "2001:db8:100:1::/64", identity: "dave", isOnline: false)
        lender.prefixes = ViciPool.Prefixes(block: "2001:db8:100::/48", length: 64, size: 65_536, leases: [prefix])
        return [ViciPool(name: "p", base: "10.9.0.0", size: 254, leases: [lease])] + (lendsPrefixes ? [lender] : [])
    }

    func install(_ wanted: Bool, child: String, connection: String?) -> ViciOutcome { .failure("not here") }

    func counters(_ scope: ViciCounterScope) -> [ViciCounters] {
        if case .connection("x") = scope { return [] }
        return [ViciCounters(name: "", values: [("ike-init-in-req", 3)])]
    }

    static func connection() -> Connection {
        var connection = Connection(name: "gw")
        connection.localAddresses = [.prefix(IPPrefix(host: IPAddress(v4: 0xc000_0201)))]
        connection.remoteAddresses = [.name("vpn.example.net"), .prefix(IPPrefix(host: IPAddress(v4: 0xc000_0202)))]
        connection.local.identity = .fqdn("moon.example.net")
        connection.remote.identity = .exactly(.fqdn("sun.example.net"))
        connection.dpdDelay = .seconds(20)
        var child = ChildTemplate(name: "net")
        child.localSelectors = [SelectorTemplate(prefix(0x0a01_0000, 16))]
        child.remoteSelectors = [
            SelectorTemplate(prefix(0x0a02_0000, 16)),
            SelectorTemplate(prefix(0x0a03_0000, 24).range, ipProtocol: .tcp, ports: .only(443)),
        ]
        child.startAction = .trap
        child.dpdAction = .start
        connection.children = [child]
        return connection
    }

    static func tunnel() -> ViciIKESA {
        let path = Path(
            local: Endpoint(IPAddress(v4: 0xc000_0201), 4500), remote: Endpoint(IPAddress(v4: 0xc000_0202), 4500))
        var sa = IKESASummary(
            id: IKESAID(rawValue: 7), connection: "gw", state: .established, isInitiator: true,
            initiatorSPI: 0x0123_4567_89ab_cdef, responderSPI: 0x00fe_dcba_9876_5432, path: path)
        sa.localIdentity = .fqdn("moon.example.net")
        sa.remoteIdentity = .fqdn("sun.example.net")
        sa.isBehindNAT = true
        sa.algorithms = Proposal(.ike, [.aes256, .sha256, .prfsha256, .x25519])
        sa.established = .zero + .seconds(400)
        sa.rekeyDue = .zero + .seconds(14_000)
        sa.setupTime = .milliseconds(12)
        sa.queuedTasks = ["CHILD_REKEY"]
        let id = ChildSAID(rawValue: 9)
        sa.children = [
            ChildSASummary(
                id: id, name: "net", state: .installed, mode: .tunnel, encapsulation: .udp, inboundSPI: 0xc0ff_ee01,
                outboundSPI: 0x00c0_ffee, algorithms: Proposal(.esp, [.aes128gcm16, .esn]),
                localSelectors: [TrafficSelector(prefix(0x0a01_0000, 16))],
                remoteSelectors: [
                    TrafficSelector(prefix(0x0a02_0000, 16)),
                    TrafficSelector(prefix(0x0a03_0000, 24).range, ipProtocol: .tcp, ports: .only(443)),
                ],
                installed: .zero + .seconds(500), rekeyDue: .zero + .seconds(4_000), expires: .zero + .seconds(4_360))
        ]
        let traffic = ViciIKESA.Traffic(
            inbound: SACounters(packets: 12, bytes: 3456, lastUse: .zero + .seconds(997)), outbound: SACounters())
        return ViciIKESA(sa, traffic: [id: traffic])
    }

    private static func prefix(_ address: UInt32, _ length: Int) -> IPPrefix {
        IPPrefix(IPAddress(v4: address), length: length) ?? .everything(.v4)
    }
}
