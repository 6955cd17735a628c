import Clockwork
import Gateway
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import SwanctlConfig
import Testing
import UserspacePlane

/// Two sites, hq and branch, as configurations; and what stands in for a plane, a network and a routing table.
enum Fixtures {
    static let addresses = (hq: IPAddress(v4: 0x7f00_0001), branch: IPAddress(v4: 0x7f00_0002))

    /// A site's configuration. `lines` go into its connection.
    static func site(
        _ own: String, _ peer: String, at local: IPAddress, to remote: IPAddress, networks: (own: String, peer: String),
        secret: String = "a shared secret of two sites", lines: String = "", more: String = ""
    ) throws -> LoadedConfiguration {
        let text = """
            connections {
              \(peer) {
                local_addrs = \(local)
                remote_addrs = \(remote)
                proposals = aes128gcm16-prfsha256-x25519
                \(lines)
                local { auth = psk
                  id = \(own).example
                }
                remote { auth = psk
                  id = \(peer).example
                }
                children {
                  net {
                    local_ts = \(networks.own)
                    remote_ts = \(networks.peer)
                    esp_proposals = aes128gcm16
                  }
                }
              }
            }
            secrets {
              ike-\(peer) {
                id-1 = \(own).example
                id-2 = \(peer).example
                secret = "\(secret)"
              }
              \(more)
            }
            """
        return try LoadedConfiguration(path: "test.conf", source: FilesInMemory(["test.conf": text]))
    }

    static func hq(secret: String = "a shared secret of two sites", lines: String = "") throws -> LoadedConfiguration {
        try site(
            "hq", "branch", at: addresses.hq, to: addresses.branch, networks: ("10.1.0.0/16", "10.2.0.0/16"),
            secret: secret, lines: lines)
    }

    static func branch(
        secret: String = "a shared secret of two sites", lines: String = "", more: String = ""
    ) throws -> LoadedConfiguration {
        try site(
            "branch", "hq", at: addresses.branch, to: addresses.hq, networks: ("10.2.0.0/16", "10.1.0.0/16"),
            secret: secret, lines: lines, more: more)
    }

    static func child(_ name: String, _ number: UInt32 = 1) -> ChildSASummary {
        ChildSASummary(
            id: ChildSAID(rawValue: number), name: name, state: .installed, mode: .tunnel, encapsulation: .udp,
            inboundSPI: number, outboundSPI: number, algorithms: Proposal(.esp, [.aes128gcm16]), localSelectors: [],
            remoteSelectors: [])
    }

    static func summary(_ number: UInt32, _ connection: String) -> IKESASummary {
        IKESASummary(
            id: IKESAID(rawValue: number), connection: connection, state: .established, isInitiator: true,
            initiatorSPI: 1, responderSPI: 2,
            path: Path(local: Endpoint(addresses.hq, 500), remote: Endpoint(addresses.branch, 500)))
    }

    static func event(_ kind: Event.Kind, _ connection: String? = "branch", _ ikeSA: UInt32? = 1) -> Event {
        Event(time: .zero, ikeSA: ikeSA.map { IKESAID(rawValue: $0) }, connection: connection, kind: kind)
    }
}

/// Takes what it is told, or refuses what a test says.
final class FakePlane: DataPlane {
    struct Refusal: Error, CustomStringConvertible {
        var description: String
    }

    /// What it was asked for, in order.
    private(set) var commands: [String] = []
    var events: [PlaneEvent] = []
    var leftBehind: [StandingPolicy] = []
    /// What it refuses, by the beginning of the command's name.
    var refuses: String?
    var onCommand: ((String) -> Void)?
    /// Whether policies wait until changes are committed, and whether they are refused then.
    var gathers = false
    var refusesLate = false
    private var waiting: [ChildSAID] = []

    var hasChanges: Bool { !waiting.isEmpty }

    func commitChanges() -> [PlaneRefusal] {
        defer { waiting = [] }
        if !waiting.isEmpty { onCommand?("commit") }
        return refusesLate ? waiting.map { PlaneRefusal(child: $0, reason: "no room for a route") } : []
    }

    func obey(_ command: PlaneCommand) throws {
        let name =
            switch command {
            case .install(let association): "install \(association.direction.rawValue)"
            case .remove(let direction, _, _): "remove \(direction.rawValue)"
            case .retire: "retire"
            case .protect: "protect"
            case .unprotect(_, let staysBlocked): "unprotect\(staysBlocked ? ", blocked" : "")"
            case .move: "move"
            case .trap(let policy): "trap \(policy.child)"
            case .keepAlive: "keep alive"
            case .addAddress(let address, _): "add \(address)"
            case .removeAddress(let address, _): "remove \(address)"
            }
        commands.append(name)
        onCommand?(name)
        if gathers, case .protect(let child, _, _, _) = command { waiting.append(child) }
        if let refuses, name.hasPrefix(refuses) { throw Refusal(description: "no room for \(name)") }
    }

    func counters(_ direction: SecurityAssociation.Direction, spi: UInt32) -> SACounters? {
        direction == .inbound ? SACounters(packets: 3, bytes: UInt64(spi)) : nil
    }

    func takeEvents() -> [PlaneEvent] {
        defer { events = [] }
        return events
    }
}

/// Holds what is sent until a test carries it over.
final class FakeTransport: IKETransport {
    var sent: [Datagram] = []
    var onSend: (() -> Void)?

    func send(_ datagram: Datagram) {
        sent.append(datagram)
        onSend?()
    }
}

/// Knows one way to every connection, or none.
final class FakePaths: PathFinder {
    var isLost = false
    private(set) var asked: [String] = []

    func path(for connection: Connection) -> Answer {
        asked.append(connection.name)
        guard !isLost, let local = connection.localAddresses.first?.single,
            let remote = connection.remoteAddresses.first?.single
        else { return .noPath("no route") }
        return .path(Path(local: Endpoint(local, 500), remote: Endpoint(remote, 500)))
    }
}

/// A gateway among fakes.
final class Node {
    let plane = FakePlane()
    let transport = FakeTransport()
    let paths = FakePaths()
    let gateway: Gateway
    private(set) var events: [Event] = []

    init(_ loaded: LoadedConfiguration, clock: Clock) {
        gateway = Gateway(loaded, plane: plane, transport: transport, paths: paths, clock: { clock.now })
        gateway.observe { [unowned self] in events.append($0) }
    }

    var refusals: [GatewayModel.Refusal] {
        events.compactMap { if case .refused(let refusal, _) = $0.kind { refusal } else { nil } }
    }

    var installed: [ChildSASummary] {
        events.compactMap { if case .childInstalled(let child) = $0.kind { child } else { nil } }
    }
}

final class Clock {
    var now = Instant.zero + .seconds(1000)
}

/// Two gateways and the network between them.
final class NodePair {
    let clock = Clock()
    let hq: Node
    let branch: Node

    init(hq: LoadedConfiguration, branch: LoadedConfiguration) {
        self.hq = Node(hq, clock: clock)
        self.branch = Node(branch, clock: clock)
    }

    /// Carries datagrams until nobody has any.
    func run(gathering: Bool = false) {
        for _ in 0..<100 where !hq.transport.sent.isEmpty || !branch.transport.sent.isEmpty {
            for (from, to) in [(hq, branch), (branch, hq)] {
                let datagrams = from.transport.sent
                from.transport.sent = []
                let take = {
                    for datagram in datagrams {
                        to.gateway.handle(
                            .datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: datagram.socket)))
                    }
                }
                if gathering { to.gateway.gather(take) } else { take() }
            }
        }
    }

    func initiate(gathering: Bool = false) {
        hq.gateway.handle(.command(.initiate(connection: "branch", child: "net")))
        run(gathering: gathering)
    }
}
