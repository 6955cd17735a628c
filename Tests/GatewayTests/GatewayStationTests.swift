import Clockwork
import Gateway
import GatewayModel
import IKECore
import LinuxSystem
import NetworkTypes
import SwanctlConfig
import Testing
import UserspacePlane

/// Two whole gateways in one process: real sockets on loopback, real ESP, packets of the test's own.
private final class Stage {
    let loop: ControlLoop
    let ports: (hq: PacketQueue, branch: PacketQueue)
    private(set) var hq: GatewayStation
    private(set) var branch: GatewayStation
    private(set) var events: [(site: String, event: Event)] = []

    init(hqSecret: String = "a shared secret of two sites", hqLines: String = "") throws {
        loop = try ControlLoop()
        ports = (try PacketQueue(), try PacketQueue())
        let planes = (
            try UserspacePlane(PlaneConfiguration(port: ports.hq)),
            try UserspacePlane(PlaneConfiguration(port: ports.branch))
        )
        let address = IPAddress.loopback(.v4)
        hq = try Self.station(
            try Fixtures.site(
                "hq", "branch", at: address, to: address, networks: ("10.1.0.0/16", "10.2.0.0/16"), secret: hqSecret,
                lines: hqLines), planes.0, planes.1, loop)
        branch = try Self.station(
            try Fixtures.site("branch", "hq", at: address, to: address, networks: ("10.2.0.0/16", "10.1.0.0/16")),
            planes.1, planes.0, loop)
        for (name, station) in [("hq", hq), ("branch", branch)] {
            station.gateway.observe { [unowned self] in events.append((name, $0)) }
        }
    }

    /// Ports that the kernel chose stand in no file.
    private static func station(
        _ loaded: LoadedConfiguration, _ own: UserspacePlane, _ peer: UserspacePlane, _ loop: ControlLoop
    ) throws -> GatewayStation {
        var loaded = loaded
        var settings = Configuration()
        let plain = try #require(own.ikeEndpoints.first?.port)
        let peerPlain = try #require(peer.ikeEndpoints.first?.port)
        settings.plainPorts = [plain, peerPlain]
        settings.natTraversalPort = try #require(own.sharedEndpoints.first?.port)
        for index in loaded.connections.indices {
            loaded.connections[index].localPort = plain
            loaded.connections[index].remotePort = peerPlain
            loaded.connections[index].remoteNATTraversalPort = try #require(peer.sharedEndpoints.first?.port)
        }
        return try GatewayStation(loaded, settings: settings, plane: own, paths: ConfiguredWay(), on: loop)
    }

    private final class ConfiguredWay: PathFinder {
        func path(for connection: Connection) -> Answer {
            let address = IPAddress.loopback(.v4)
            return .path(
                Path(local: Endpoint(address, connection.localPort), remote: Endpoint(address, connection.remotePort)))
        }
    }

    /// Lets the loop run until it is so, ten seconds at most; whether it is.
    func run(until isSo: @escaping () -> Bool) throws -> Bool {
        let end = MonotonicClock.now() + .seconds(10)
        let loop = loop
        var next = MonotonicClock.now()
        var isOver = false
        // Asked again and again, since packets in a queue wake nobody here.
        loop.addDeadline({ isOver ? nil : next }) {
            next = MonotonicClock.now() + .milliseconds(5)
            guard isSo() || MonotonicClock.now() > end else { return }
            isOver = true
            loop.stop()
        }
        try loop.run()
        return isSo()
    }

    func stop() throws {
        try hq.plane.stop()
        try branch.plane.stop()
    }

    func refusals(of site: String) -> [Refusal] {
        events.compactMap { entry in
            if entry.site == site, case .refused(let refusal, _) = entry.event.kind { refusal } else { nil }
        }
    }

    func installed(at site: String) -> ChildSASummary? {
        for entry in events where entry.site == site {
            if case .childInstalled(let child) = entry.event.kind { return child }
        }
        return nil
    }
}

@Suite(.serialized) struct GatewayStationTests {
    /// An IPv4 packet that carries nothing but its number; the tunnel does not look further.
    private static func packet(_ number: UInt8, from source: [UInt8], to destination: [UInt8]) -> [UInt8] {
        [0x45, 0, 0, 24, 0, number, 0x40, 0, 64, 253, 0, 0] + source + destination + [number, 1, 2, 3]
    }

    @Test func aTunnelComesUpAndCountsWhatItCarries() throws {
        let stage = try Stage()
        stage.hq.gateway.handle(.command(.initiate(connection: "branch", child: "net")))
        let isUp = try stage.run { stage.installed(at: "hq") != nil && stage.installed(at: "branch") != nil }
        #expect(isUp)
        let outgoing = try #require(stage.installed(at: "hq"))
        let incoming = try #require(stage.installed(at: "branch"))
        #expect(outgoing.outboundSPI == incoming.inboundSPI && outgoing.inboundSPI == incoming.outboundSPI)

        let packets = (1...5).map { Self.packet($0, from: [10, 1, 0, 1], to: [10, 2, 0, 1]) }
        // One that no selector pairs is not carried.
        for packet in packets + [Self.packet(9, from: [10, 1, 0, 1], to: [10, 3, 0, 1])] {
            #expect(stage.ports.hq.send(packet))
        }
        var arrived: [[UInt8]] = []
        let came = try stage.run {
            while let packet = stage.ports.branch.receive() { arrived.append(packet) }
            return arrived.count >= 5
        }
        #expect(came)
        #expect(arrived.map { $0.last == 3 ? $0[20] : 0 } == [1, 2, 3, 4, 5])
        let sent = stage.hq.gateway.counters(.outbound, spi: outgoing.outboundSPI)
        let received = stage.branch.gateway.counters(.inbound, spi: incoming.inboundSPI)
        #expect(sent.packets == 5 && sent.bytes == 120)
        #expect(received.packets == 5 && received.bytes == 120)
        #expect(stage.hq.gateway.counters(.inbound, spi: outgoing.inboundSPI).packets == 0)

        // The end: both sides have forgotten it, and nothing passes any more.
        stage.hq.gateway.handle(.command(.terminate(.connection("branch"))))
        let isGone = try stage.run { stage.hq.gateway.ikeSAs.isEmpty && stage.branch.gateway.ikeSAs.isEmpty }
        #expect(isGone)
        #expect(stage.hq.gateway.counters(.outbound, spi: outgoing.outboundSPI) == SACounters())
        #expect(stage.ports.hq.send(packets[0]))
        #expect(stage.hq.plane.settle() && stage.branch.plane.settle())
        #expect(stage.ports.branch.receive() == nil)
        try stage.stop()
    }

    @Test func differentSecretsAreExplainedAtBothEnds() throws {
        let stage = try Stage(hqSecret: "a shared secret of two sites ")
        stage.hq.gateway.handle(.command(.initiate(connection: "branch", child: "net")))
        let isRefused = try stage.run {
            !stage.refusals(of: "hq").isEmpty && !stage.refusals(of: "branch").isEmpty
                && stage.branch.gateway.ikeSAs.isEmpty
        }
        #expect(isRefused)
        #expect(
            stage.refusals(of: "branch") == [
                .wrongProof(
                    local: .fqdn("branch.example"), remote: .fqdn("hq.example"), method: .sharedKey,
                    nearMiss: NearMiss(secret: "ike-hq", difference: .has(.space)))
            ])
        guard case .byPeer(24, "AUTHENTICATION_FAILED", "IKE_AUTH", let offer)? = stage.refusals(of: "hq").first else {
            Issue.record("\(stage.refusals(of: "hq"))")
            return
        }
        #expect(offer.localIdentity == .fqdn("hq.example"))
        #expect(stage.installed(at: "hq") == nil && stage.installed(at: "branch") == nil)
        #expect(stage.hq.gateway.lastRefusal(of: "branch")?.refusal == stage.refusals(of: "hq").first)
        try stage.stop()
    }

    /// A message that the system will not send is told, once: silence would send people to look at the peer.
    @Test func whatCannotBeSentIsTold() throws {
        let stage = try Stage()
        var told: [String] = []
        stage.hq.onSendFailure = { path, reason in told.append("\(path.remote.address): \(reason)") }
        // Nothing that is bound to 127.0.0.1 reaches beyond this machine.
        let path = Path(
            local: Endpoint(.loopback(.v4), try #require(stage.hq.plane.ikeEndpoints.first?.port)),
            remote: Endpoint(IPAddress(v4: 0xc633_6402), 500))
        final class Away: PathFinder {
            let path: Path
            init(_ path: Path) { self.path = path }
            func path(for connection: Connection) -> Answer { .path(path) }
        }
        let loop = try ControlLoop()
        let station = try GatewayStation(
            try Fixtures.hq(), plane: stage.hq.plane, paths: Away(path), on: loop)
        station.onSendFailure = { path, reason in told.append("\(path.remote.address): \(reason)") }
        for _ in 0..<3 {
            station.gateway.handle(.command(.initiate(connection: "branch", child: "net")))
            station.gateway.handle(.command(.terminate(.connection("branch"))))
        }
        #expect(told.count == 1)
        #expect(told.first?.hasPrefix("198.51.100.2: ") == true)
        try stage.stop()
    }
}
