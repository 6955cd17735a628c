import Clockwork
import GatewayModel
import IPPackets
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import Synchronization
import UserspacePlane
import WireFormat

/// A port that gives the same packet again and again, whole or as a train of TCP that is still to be cut, and counts what
/// it is given.
final class LeanPort: PacketPort {
    private let wakeup: Wakeup
    private let packet: [UInt8]
    private let joined: Int
    private let offered = Atomic(0)
    private let taken = Atomic(0)
    private let given = Atomic(0)
    private static let addresses = (IPAddress(v4: 0x0a01_0005), IPAddress(v4: 0x0a02_0009))

    /// Packets in a train.
    static let train = 40

    /// Gives packets of `size` octets, `joined` at a time.
    init(size: Int, joined: Int) throws {
        wakeup = try Wakeup()
        self.joined = joined
        packet = try joined > 1 ? Self.segments(size, joined) : Self.datagram(size)
    }

    /// A TCP packet that is to be cut into `count` of `size` octets, behind what says so.
    private static func segments(_ size: Int, _ count: Int) throws -> [UInt8] {
        let (from, to) = addresses
        let (network, headers) = (IPv4Header.minimumLength, IPv4Header.minimumLength + 20)
        let payload = (size - headers) * count
        var header = VirtioHeader()
        header.segmentation = .tcp4
        header.needsChecksum = true
        header.headerLength = UInt16(headers)
        header.segmentSize = UInt16(size - headers)
        header.checksumStart = UInt16(network)
        header.checksumOffset = 16
        let length = VirtioHeader.length + headers + payload
        let batch = try DatagramBatch(capacity: 1, slotSize: length)
        batch.withSlot(0) { span in
            let tcp = VirtioHeader.length + network
            let done =
                header.write(into: &span)
                && IPv4Header.write(
                    into: &span, at: VirtioHeader.length, from: from, to: to, ipProtocol: .tcp,
                    payloadLength: 20 + payload)
            assert(done)
            // Ports, numbers, five words of header and nothing but an acknowledgement, a window.
            let words: [UInt32] = [1000 << 16 | 2000, 1, 1, 0x5010_ffff, 0]
            for (index, word) in words.enumerated() {
                span.storeBytes(of: word.bigEndian, toByteOffset: tcp + 4 * index, as: UInt32.self)
            }
        }
        batch[0] = DatagramInformation(path: Path(local: Endpoint(from, 0), remote: Endpoint(to, 0)), length: length)
        return batch.bytes(0)
    }

    private static func datagram(_ size: Int) throws -> [UInt8] {
        let (from, to) = addresses
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
        return batch.bytes(0)
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
            if other.sent >= other.offered.load(ordering: .relaxed), received == last { return }
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
    var headerSize: Int { joined > 1 ? VirtioHeader.length : 0 }

    func read(into buffer: inout MutableRawSpan) throws(SystemError) -> Int? {
        let number = taken.load(ordering: .relaxed)
        guard number < offered.load(ordering: .relaxed) else {
            wakeup.drain()
            return nil
        }
        taken.store(number + joined, ordering: .relaxed)
        for index in packet.indices { buffer.storeBytes(of: packet[index], toByteOffset: index, as: UInt8.self) }
        return packet.count
    }

    func write(_ packet: RawSpan) throws(SystemError) -> Bool {
        given.wrappingAdd(1, ordering: .relaxed)
        return true
    }

    func write(_ pieces: GatherList) throws(SystemError) -> Bool {
        // What says how it is to be cut, the first packet, the payloads of the others.
        given.wrappingAdd(pieces.count - 1, ordering: .relaxed)
        return true
    }
}
