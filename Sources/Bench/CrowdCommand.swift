import ArgumentParser
import CCount
import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import WireFormat

/// `martlet-bench crowd`.
struct Crowd: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures what many SAs cost the engine by itself, in memory and for each packet.",
        discussion: """
            Makes so many SA pairs with their policies and says what each takes: what was allocated, and what became \
            resident. Then each packet is looked up, sealed and opened in memory, to all of them in turn in an order \
            that no cache likes, and once more all to one. There are no system calls, so that `valgrind \
            --tool=cachegrind --cache-sim=yes` counts the cache misses of the path.
            """)

    @Option(help: "SA pairs.")
    var pairs = 100_000

    @Option(help: "Octets of a packet, the IP header included.")
    var size = 64

    @Option(help: "Packets; 0 to make the SAs only.")
    var packets = 500_000

    @Option(help: "The ESP proposal.")
    var esp = "aes128gcm16"

    func validate() throws {
        guard (1...1_000_000).contains(pairs), (28...1400).contains(size), packets >= 0 else {
            throw ValidationError("The numbers are out of range.")
        }
    }

    func run() throws {
        // Whatever is made once is made now.
        _ = try CrowdedEngine(Proposal(parsing: esp, for: .esp), pairs: 1, size: size)
        let resident = ProcessInformation.residentOctets ?? 0
        let allocated = martlet_allocated()
        let begin = ProcessInformation.threadTime
        let engine = try CrowdedEngine(Proposal(parsing: esp, for: .esp), pairs: pairs, size: size)
        let made = ProcessInformation.threadTime - begin
        let each = { (octets: Double) in octets / Double(pairs) }
        let figures = [
            Figure(name: "crowd/allocated", value: each(Double(martlet_allocated() - allocated)), unit: "octets/pair"),
            Figure(
                name: "crowd/resident", value: each(Double((ProcessInformation.residentOctets ?? 0) - resident)),
                unit: "octets/pair"),
            Figure(name: "crowd/made", value: each(made.seconds * 1e6), unit: "us/pair"),
        ]
        for figure in figures { print(figure.line) }
        guard packets > 0 else { return }
        let many = try time(engine, over: pairs)
        let one = try time(engine, over: 1)
        print(Figure(name: "crowd/cost/one", value: one, unit: "ns/packet").line)
        print(Figure(name: "crowd/cost/many", value: many, unit: "ns/packet", ratio: many / one).line)
    }

    private func time(_ engine: CrowdedEngine, over count: Int) throws -> Double {
        let begin = ProcessInformation.threadTime
        try engine.carry(packets, over: count)
        return Double((ProcessInformation.threadTime - begin).nanoseconds) / Double(packets)
    }
}

/// The tables of both packet threads with many SAs, without the threads.
private final class CrowdedEngine {
    private var policies = PolicyDatabase()
    private var outbound: OutboundSADatabase
    private var inbound = InboundSADatabase()
    private let buffer: DatagramBatch
    /// As a host sends it, but for the address that it goes to, and the checksum, which nobody looks at.
    private let packet: [UInt8]
    private var next = 0

    private static let start = 64
    private static let here = IPAddress(v4: 0x0a01_0001)
    private static let remote = Endpoint(IPAddress(v4: 0xc000_0201), 4500)

    private static func destination(_ index: Int) -> IPAddress { IPAddress(v4: 0x0a80_0000 + UInt32(index)) }

    init(_ suite: Proposal, pairs: Int, size: Int) throws {
        guard let encryption = suite.first(.encryption),
            let lengths = PacketCipher.keyMaterialLength(encryption: encryption, integrity: suite.first(.integrity))
        else { throw PacketBench.Broken(description: "\(suite) is no protection") }
        packet =
            [0x45, 0, UInt8(size >> 8), UInt8(size & 0xff), 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 0, 0, 0, 0]
            + [UInt8](repeating: 0, count: size - IPv4Header.minimumLength)
        outbound = OutboundSADatabase(entropy: SystemEntropy())
        buffer = try DatagramBatch(capacity: 1, slotSize: 4096)
        var entropy = SeededEntropy(seed: 0x6372_6f77)
        let local = [TrafficSelector(IPPrefix(host: Self.here))]
        for index in 0..<pairs {
            let remote = [TrafficSelector(IPPrefix(host: Self.destination(index)))]
            let keys = (SecretBytes(entropy.bytes(lengths.encryption)), SecretBytes(entropy.bytes(lengths.integrity)))
            let association = { (direction: SecurityAssociation.Direction) in
                SecurityAssociation(
                    direction: direction, spi: SPILayout.spi(index: index, chance: 77),
                    child: ChildSAID(rawValue: UInt32(index + 1)), mode: .tunnel, encryption: encryption,
                    integrity: suite.first(.integrity), usesExtendedSequenceNumbers: false, encryptionKey: keys.0,
                    integrityKey: keys.1, path: Path(local: Endpoint(Self.here, 4500), remote: Self.remote),
                    encapsulation: .udp, replayWindow: ChildTemplate.defaultReplayWindow,
                    localSelectors: direction == .outbound ? local : remote,
                    remoteSelectors: direction == .outbound ? remote : local)
            }
            let handle = OutboundHandle(slot: Int32(index), serial: UInt32(index + 1))
            try outbound.install(
                OutboundSA(association(.outbound), serial: handle.serial, entropy: &entropy), at: handle.slot)
            try inbound.install(InboundSA(association(.inbound)))
            try policies.set(
                ChildSAID(rawValue: UInt32(index + 1)), local: local, remote: remote, action: .protect(handle))
        }
    }

    /// Looks up, seals and opens so many packets, to each of `count` in turn.
    func carry(_ packets: Int, over count: Int) throws {
        for _ in 0..<packets {
            next = (next + 40_503) % count
            let to = UInt32(0x0a80_0000 + next)
            let isCarried = try buffer.withSlot(0) { span in
                let inner = Self.start..<(Self.start + packet.count)
                for index in packet.indices {
                    span.storeBytes(of: packet[index], toByteOffset: Self.start + index, as: UInt8.self)
                }
                span.storeBytes(of: to.bigEndian, toByteOffset: Self.start + 16, as: UInt32.self)
                let fields = try PacketSelectorFields(parsing: span.bytes.extracting(inner))
                guard case .protect(let handle) = policies.verdict(for: fields) else { return false }
                let sealed = try outbound.seal(&span, inner: inner, by: handle, now: .zero)
                // It comes back from where it went to.
                _ = try inbound.open(&span, packet: sealed.packet, from: Self.remote, now: .zero)
                return true
            }
            guard isCarried else { throw PacketBench.Broken(description: "no policy for a packet") }
        }
    }
}
