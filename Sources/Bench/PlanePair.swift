import Clockwork
import GatewayModel
import IPPackets
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import UserspacePlane
import WireFormat

/// Two user-space planes in one process and one network namespace, with real TUN devices and sockets, joined over the
/// loopback; and a source of UDP packets that the kernel routes into the first.
///
/// It owns the planes and the packets. Nothing negotiates: SAs with keys of its own are put in through the `DataPlane`
/// interface. The namespace needs the loopback up with 10.1.0.1/32 on it.
final class PlanePair {
    /// Something of the system's is not as it must be.
    struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    /// Seals.
    let near: UserspacePlane
    /// Opens.
    let far: UserspacePlane
    private let suite: Proposal
    private let lengths: KeyMaterialLength
    private var entropy = SeededEntropy(seed: 0x706c_616e)
    private let source: UDPSocket
    private let batch: DatagramBatch
    private let payload: [UInt8]
    private let path = Path(
        local: Endpoint(IPAddress(v4: 0x7f00_0001), 4500), remote: Endpoint(IPAddress(v4: 0x7f00_0002), 4500))
    private var next = 0

    private static let (nearDevice, farDevice) = ("bench0", "bench1")
    private static let here = IPAddress(v4: 0x0a01_0001)

    /// Planes for packets of `size` octets, the IP header included.
    init(_ suite: Proposal, size: Int, offload: Bool) throws {
        self.suite = suite
        guard let encryption = suite.first(.encryption),
            let lengths = PacketCipher.keyMaterialLength(encryption: encryption, integrity: suite.first(.integrity))
        else { throw Broken(description: "\(suite) is no protection") }
        self.lengths = lengths
        near = try Self.plane(Self.nearDevice, path.local, table: 220, offload)
        far = try Self.plane(Self.farDevice, path.remote, table: 221, offload)
        source = try UDPSocket.bind(Endpoint(Self.here, 0), options: SocketOptions())
        payload = [UInt8](repeating: 0x5a, count: size - IPv4Header.minimumLength - UDPHeader.length)
        batch = try DatagramBatch(capacity: 64, slotSize: max(size, 64))
    }

    private static func plane(_ device: String, _ endpoint: Endpoint, table: UInt32, _ offload: Bool) throws
        -> UserspacePlane
    {
        var configuration = PlaneConfiguration()
        configuration.inside = .tun(name: device)
        configuration.offload = offload ? .automatic : .off
        configuration.mtu = 1500
        configuration.ikeEndpoints = []
        configuration.sharedEndpoints = [endpoint]
        configuration.carriesPlainESP = false
        configuration.routeTable = table
        configuration.rulePriority = table
        return try UserspacePlane(configuration)
    }

    /// The address that tunnel `index` leads to.
    private static func destination(_ index: Int) -> IPAddress { IPAddress(v4: 0x0a80_0000 + UInt32(index)) }

    private func association(
        _ direction: SecurityAssociation.Direction, spi: Int, child: Int, _ keys: (SecretBytes, SecretBytes)
    ) -> SecurityAssociation {
        let (local, remote) = selectors(child)
        let isNear = direction == .outbound
        return SecurityAssociation(
            direction: direction, spi: SPILayout.spi(index: spi, chance: 77),
            child: ChildSAID(rawValue: UInt32(child + 1)),
            mode: .tunnel, encryption: suite.first(.encryption) ?? .aes128gcm16, integrity: suite.first(.integrity),
            usesExtendedSequenceNumbers: false, encryptionKey: keys.0, integrityKey: keys.1,
            path: isNear ? path : path.reversed, encapsulation: .udp, replayWindow: 2048,
            localSelectors: isNear ? local : remote, remoteSelectors: isNear ? remote : local)
    }

    private func selectors(_ child: Int) -> (local: [TrafficSelector], remote: [TrafficSelector]) {
        ([TrafficSelector(IPPrefix(host: Self.here))], [TrafficSelector(IPPrefix(host: Self.destination(child)))])
    }

    private func makeKeys() -> (SecretBytes, SecretBytes) {
        (SecretBytes(entropy.bytes(lengths.encryption)), SecretBytes(entropy.bytes(lengths.integrity)))
    }

    /// Puts in tunnel `child` under SPI `spi`, first where packets arrive, then where they leave.
    func install(spi: Int, child: Int) throws {
        let keys = makeKeys()
        try far.obey(.install(association(.inbound, spi: spi, child: child, keys)))
        let outbound = association(.outbound, spi: spi, child: child, keys)
        try near.obey(.install(outbound))
        let (local, remote) = selectors(child)
        try near.obey(.protect(ChildSAID(rawValue: UInt32(child + 1)), local: local, remote: remote, spi: outbound.spi))
    }

    /// Puts in so many tunnels, the routes and sets of many at a time, as a gateway's control loop does it.
    func install(_ count: Int) throws {
        for start in stride(from: 0, to: count, by: 256) {
            near.beginChanges()
            far.beginChanges()
            for index in start..<min(start + 256, count) { try install(spi: index, child: index) }
            let refused = near.commitChanges() + far.commitChanges()
            if let first = refused.first { throw Broken(description: "\(first)") }
        }
    }

    /// Takes the SAs of a tunnel under an SPI out.
    func remove(spi: Int, child: Int) throws {
        let (number, id) = (SPILayout.spi(index: spi, chance: 77), ChildSAID(rawValue: UInt32(child + 1)))
        try near.obey(.remove(.outbound, spi: number, of: id))
        try far.obey(.remove(.inbound, spi: number, of: id))
    }

    /// Waits until all orders are carried out.
    func settle() throws {
        guard near.settle(), far.settle() else { throw Broken(description: "the packet threads do not settle") }
    }

    /// Sends up to 64 packets, one after the other to `count` tunnels in an order that no cache likes; how many went.
    func send(_ packets: Int, over count: Int) -> Int {
        let packets = min(packets, batch.capacity)
        for slot in 0..<packets {
            next = (next + 40_503) % count
            batch.load(
                slot, payload, path: Path(local: Endpoint(Self.here, 0), remote: Endpoint(Self.destination(next), 9)))
        }
        var sent = 0
        while sent < packets {
            let report = source.send(batch, sent..<packets)
            sent = max(report.next, sent)
            if report.next < packets { _ = try? source.descriptor.wait(writing: true, milliseconds: 20) }
        }
        return packets
    }

    /// What has gone through so far.
    struct Tally {
        /// Packets that the near plane read from its device, and that the far one wrote to its own.
        var (taken, delivered) = (0, 0)
        /// Nanoseconds of the sending and of the receiving threads.
        var (sealing, opening) = (0, 0)
    }

    /// Reads the devices' counters and the packet threads' clocks.
    func tally() throws -> Tally {
        var tally = Tally()
        tally.taken = try Self.number("/sys/class/net/\(Self.nearDevice)/statistics/tx_packets")
        tally.delivered = try Self.number("/sys/class/net/\(Self.farDevice)/statistics/rx_packets")
        for path in try FileGlob.paths("/proc/self/task/*/comm") {
            guard let name = try? RawFile.readText(path) else { continue }
            let time = { try Self.number(path.dropLast(4) + "schedstat") }
            if name.hasPrefix("martlet-send") { tally.sealing += try time() }
            if name.hasPrefix("martlet-receive") { tally.opening += try time() }
        }
        return tally
    }

    private static func number(_ path: some StringProtocol) throws -> Int {
        let text = try RawFile.readText(String(path))
        guard let number = text.split(whereSeparator: \.isWhitespace).first.flatMap({ Int($0) }) else {
            throw Broken(description: "\(path) holds no number")
        }
        return number
    }
}
