import ArgumentParser
import CCount
import Clockwork
import GatewayModel
import IPPackets
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import Synchronization
import UserspacePlane
import WireFormat

/// `martlet-bench lean`.
struct Lean: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Proves that a packet costs no allocation and no reference count.",
        discussion: """
            Counts every allocation of the process and every retain and release in our code, in the engine that seals and \
            opens, and in the packet threads of two planes between which packets run over the loopback. Ends with status 1 \
            when there is one of any for a thousand packets in the engine, or one for ten in the threads, where a system \
            call for dozens of packets costs a few.
            """)

    @Option(help: "Packets.")
    var packets = 1_000_000

    func validate() throws {
        guard packets >= 10_000 else { throw ValidationError("Fewer than 10000 packets prove nothing.") }
    }

    func run() throws {
        var isLean = true
        if martlet_counts_references() == 0 {
            print("# reference counts are not counted on this processor")
        }
        for suite in ["aes128gcm16", "aes256-sha256", "chacha20poly1305"] {
            let bench = try PacketBench(Proposal(parsing: suite, for: .esp), size: 1400)
            // Whatever is made once is made now.
            try bench.cycle(1000)
            let before = martlet_count()
            try bench.cycle(packets)
            isLean = report("engine/\(suite)", before, martlet_count(), packets, oneIn: 1000) && isLean
        }
        isLean = try workers() && isLean
        if !isLean { throw ExitCode.failure }
    }

    private func report(
        _ name: String, _ before: martlet_counts, _ after: martlet_counts, _ packets: Int, oneIn least: Int
    ) -> Bool {
        var isLean = true
        for (what, count) in [
            ("allocations", after.allocations - before.allocations), ("retains", after.retains - before.retains),
            ("releases", after.releases - before.releases),
        ] {
            print(Figure(name: "lean/\(name)/\(what)", value: Double(count), unit: "of/\(packets)").line)
            if Int(count) * least > packets { isLean = false }
        }
        return isLean
    }

    /// Packets from one plane's port to another's, through both packet threads and the kernel's UDP.
    private func workers() throws -> Bool {
        let (source, sink) = (try LeanPort(size: 1400), try LeanPort(size: 1400))
        let near = try UserspacePlane(PlaneConfiguration(port: source))
        let far = try UserspacePlane(PlaneConfiguration(port: sink))
        guard let here = near.sharedEndpoints.first, let there = far.sharedEndpoints.first else { return false }
        for (plane, isNear) in [(far, false), (near, true)] {
            let association = source.association(
                isNear ? .outbound : .inbound,
                isNear ? Path(local: here, remote: there) : Path(local: there, remote: here))
            try plane.obey(.install(association))
            if isNear {
                try plane.obey(
                    .protect(
                        association.child, local: association.localSelectors, remote: association.remoteSelectors,
                        spi: association.spi))
            }
        }
        guard near.settle(), far.settle() else { return false }
        try source.offer(20_000)
        try sink.await(source)
        let (began, arrived) = (source.sent, sink.received)
        let before = martlet_count()
        try source.offer(packets)
        try sink.await(source)
        let after = martlet_count()
        let (sent, received) = (source.sent - began, sink.received - arrived)
        print(Figure(name: "lean/workers/sent", value: Double(sent), unit: "packets").line)
        print(Figure(name: "lean/workers/received", value: Double(received), unit: "packets").line)
        guard sent == packets, received * 2 > packets else { return false }
        // Both packet threads together, and this one, which only waits.
        let isLean = report("workers", before, after, sent, oneIn: 10)
        try near.stop()
        try far.stop()
        return isLean
    }
}

/// A port that gives the same packet again and again, and counts what it is given.
private final class LeanPort: PacketPort {
    private let wakeup: Wakeup
    private let packet: [UInt8]
    private let offered = Atomic(0)
    private let taken = Atomic(0)
    private let given = Atomic(0)
    private static let addresses = (IPAddress(v4: 0x0a01_0005), IPAddress(v4: 0x0a02_0009))

    init(size: Int) throws {
        wakeup = try Wakeup()
        var bytes = [UInt8](repeating: 0, count: size)
        let (from, to) = Self.addresses
        let payload = size - IPv4Header.minimumLength - UDPHeader.length
        let batch = try DatagramBatch(capacity: 1, slotSize: size)
        batch.withSlot(0) { span in
            let done =
                IPv4Header.write(
                    into: &span, from: from, to: to, ipProtocol: .udp, payloadLength: UDPHeader.length + payload)
                && UDPHeader.write(
                    into: &span, at: IPv4Header.minimumLength, from: 1000, to: 2000, payloadLength: payload,
                    addresses: (from, to))
            assert(done)
        }
        batch[0] = DatagramInformation(
            path: Path(local: Endpoint(from, 0), remote: Endpoint(to, 0)), length: size)
        bytes = batch.bytes(0)
        packet = bytes
    }

    var sent: Int { taken.load(ordering: .relaxed) }
    var received: Int { given.load(ordering: .relaxed) }

    /// Lets the plane take so many more.
    func offer(_ count: Int) throws {
        offered.wrappingAdd(count, ordering: .relaxed)
        wakeup.signal()
    }

    /// Waits until all that the other offered was taken and nothing more comes.
    func await(_ other: LeanPort) throws {
        let poller = try Poller(capacity: 1)
        var nothing: [PollEvent] = []
        let end = MonotonicClock.now() + .seconds(120)
        var last = -1
        while MonotonicClock.now() < end {
            try poller.wait(timeout: .milliseconds(50), into: &nothing)
            if other.sent == other.offered.load(ordering: .relaxed), received == last { return }
            last = received
        }
    }

    func association(_ direction: SecurityAssociation.Direction, _ path: Path) -> SecurityAssociation {
        let (from, to) = Self.addresses
        let (mine, theirs) = ([TrafficSelector(IPPrefix(host: from))], [TrafficSelector(IPPrefix(host: to))])
        return SecurityAssociation(
            direction: direction, spi: SPILayout.spi(index: 3, chance: 77), child: ChildSAID(rawValue: 1),
            mode: .tunnel, encryption: .aes128gcm16, integrity: nil, usesExtendedSequenceNumbers: true,
            encryptionKey: SecretBytes((0..<20).map { UInt8($0) }), integrityKey: SecretBytes([]), path: path,
            encapsulation: .udp, replayWindow: 2048, localSelectors: direction == .outbound ? mine : theirs,
            remoteSelectors: direction == .outbound ? theirs : mine)
    }

    // MARK: PacketPort

    var descriptor: Descriptor { wakeup.descriptor }
    var headerSize: Int { 0 }

    func read(into buffer: inout MutableRawSpan) throws(SystemError) -> Int? {
        let number = taken.load(ordering: .relaxed)
        guard number < offered.load(ordering: .relaxed) else {
            wakeup.drain()
            return nil
        }
        taken.store(number + 1, ordering: .relaxed)
        for index in packet.indices { buffer.storeBytes(of: packet[index], toByteOffset: index, as: UInt8.self) }
        return packet.count
    }

    func write(_ packet: RawSpan) throws(SystemError) -> Bool {
        given.wrappingAdd(1, ordering: .relaxed)
        return true
    }

    func write(_ pieces: GatherList) throws(SystemError) -> Bool {
        given.wrappingAdd(1, ordering: .relaxed)
        return true
    }
}
