import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import WireFormat

/// The ESP engine and the bare cipher on the same packets, in one thread, in one buffer.
///
/// It owns the two ends of an SA, two bare ciphers with the same keys, and a buffer of many packets. Times are this
/// thread's processor time. No object holds the databases, as none does in the plane: to reach into an object costs a
/// check of exclusive access for each packet.
struct PacketBench: ~Copyable {
    /// Nanoseconds for each packet.
    struct Times {
        var seal = 0.0
        var open = 0.0
        var bareSeal = 0.0
        var bareOpen = 0.0
    }

    /// A packet was refused.
    struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    /// As many as a gateway handles at a time, and few enough to stay in a processor's cache.
    private static let batch = 256
    private static let pitch = 2048
    private static let handle = OutboundHandle(slot: 0, serial: 1)
    private static let remote = Endpoint(IPAddress(v4: 0xc000_0201), 4500)

    private let packet: [UInt8]
    private let buffer: DatagramBatch
    private var outbound: OutboundSADatabase
    private var inbound: InboundSADatabase
    private let sealer: PacketCipher
    private let opener: PacketCipher
    private var counter: UInt64 = 0

    /// Packets of `size` octets, IP header included, under this ESP proposal.
    init(_ proposal: Proposal, size: Int) throws {
        guard let encryption = proposal.first(.encryption) else {
            throw Broken(description: "\(proposal) encrypts nothing")
        }
        let integrity = proposal.first(.integrity)
        guard let length = PacketCipher.keyMaterialLength(encryption: encryption, integrity: integrity) else {
            throw Broken(description: "\(proposal) is no protection")
        }
        let packet = try Self.packet(size)
        // One slot that holds all packets: a batch lends its memory without a copy.
        let buffer = try DatagramBatch(capacity: 1, slotSize: Self.batch * Self.pitch)
        var entropy = SystemEntropy()
        let keys = PacketKeys(
            encryption: SecretBytes(entropy.bytes(length.encryption)),
            integrity: SecretBytes(entropy.bytes(length.integrity)))
        let out = Self.association(.outbound, encryption, integrity, keys)
        var outbound = OutboundSADatabase(entropy: SystemEntropy())
        try outbound.install(OutboundSA(out, serial: Self.handle.serial, entropy: &entropy), at: Self.handle.slot)
        var inbound = InboundSADatabase()
        try inbound.install(InboundSA(Self.association(.inbound, encryption, integrity, keys)))
        let sealer = try PacketCipher(encryption: encryption, integrity: integrity, keys: keys, direction: .seal)
        let opener = try PacketCipher(encryption: encryption, integrity: integrity, keys: keys, direction: .open)
        self.packet = packet
        self.buffer = buffer
        self.sealer = sealer
        self.opener = opener
        self.outbound = outbound
        self.inbound = inbound
    }

    /// Seals and opens at least `count` packets each way.
    mutating func measure(_ count: Int) throws -> Times {
        var times = Times()
        let buffer = self.buffer
        let rounds = (count + Self.batch - 1) / Self.batch
        for _ in 0..<rounds {
            try buffer.withSlot(0) { span in
                fill(&span)
                times.bareSeal += try Self.timed { try bareSeal(&span) }
                times.bareOpen += try Self.timed { try bareOpen(&span) }
                fill(&span)
                times.seal += try Self.timed { try seal(&span) }
                times.open += try Self.timed { try open(&span) }
            }
        }
        let total = Double(rounds * Self.batch)
        return Times(
            seal: times.seal / total, open: times.open / total, bareSeal: times.bareSeal / total,
            bareOpen: times.bareOpen / total)
    }

    /// Seals and opens at least `count` packets in the engine, without a clock.
    mutating func cycle(_ count: Int) throws {
        let buffer = self.buffer
        for _ in 0..<((count + Self.batch - 1) / Self.batch) {
            try buffer.withSlot(0) { span in
                fill(&span)
                try seal(&span)
                try open(&span)
            }
        }
    }

    private static func timed(_ body: () throws -> Void) rethrows -> Double {
        let before = ProcessInformation.threadTime
        try body()
        return Double((ProcessInformation.threadTime - before).nanoseconds)
    }

    private func fill(_ span: inout MutableRawSpan) {
        for index in 0..<Self.batch {
            for offset in packet.indices {
                span.storeBytes(of: packet[offset], toByteOffset: Self.inner(index) + offset, as: UInt8.self)
            }
        }
    }

    // MARK: The engine

    private mutating func seal(_ span: inout MutableRawSpan) throws(DropReason) {
        for index in 0..<Self.batch {
            let start = Self.inner(index)
            _ = try outbound.seal(&span, inner: start..<(start + packet.count), by: Self.handle, now: .zero)
        }
    }

    private mutating func open(_ span: inout MutableRawSpan) throws(DropReason) {
        let local = Endpoint(.unspecified(.v4), 0)
        let arrival = PacketArrival(path: Path(local: local, remote: Self.remote))
        for index in 0..<Self.batch {
            _ = try inbound.open(&span, packet: sealedRange(index), arrival, now: .zero)
        }
    }

    // MARK: The bare cipher, on the same octets

    private mutating func bareSeal(_ span: inout MutableRawSpan) throws {
        let (header, iv, text) = layout
        for index in 0..<Self.batch {
            let start = Self.inner(index) - ESPHeader.length - sealer.ivLength
            counter += 1
            if sealer.ivLength >= 8 {
                span.storeBytes(of: counter.bigEndian, toByteOffset: start + iv.lowerBound, as: UInt64.self)
            }
            guard
                sealer.seal(
                    &span, associatedData: header.moved(by: start), extraAssociatedData: nil, iv: iv.moved(by: start),
                    text: text.moved(by: start), icv: start + text.upperBound)
            else { throw Broken(description: "the bare cipher does not seal") }
        }
    }

    private func bareOpen(_ span: inout MutableRawSpan) throws {
        let (header, iv, text) = layout
        for index in 0..<Self.batch {
            let start = Self.inner(index) - ESPHeader.length - opener.ivLength
            guard
                opener.open(
                    &span, associatedData: header.moved(by: start), extraAssociatedData: nil, iv: iv.moved(by: start),
                    text: text.moved(by: start), icv: start + text.upperBound)
            else { throw Broken(description: "the bare cipher does not open") }
        }
    }

    // MARK: Where what is

    private static func inner(_ index: Int) -> Int { index * pitch + 64 }

    /// Header, IV and text of an ESP packet that starts at 0.
    private var layout: (header: Range<Int>, iv: Range<Int>, text: Range<Int>) {
        let alignment = max(sealer.blockLength, ESPHeader.alignment)
        let unpadded = packet.count + ESPHeader.trailerLength
        let length = (unpadded + alignment - 1) / alignment * alignment
        let start = ESPHeader.length + sealer.ivLength
        return (0..<ESPHeader.length, ESPHeader.length..<start, start..<(start + length))
    }

    private func sealedRange(_ index: Int) -> Range<Int> {
        let start = Self.inner(index) - ESPHeader.length - sealer.ivLength
        return start..<(start + layout.text.upperBound + sealer.icvLength)
    }

    private static func association(
        _ direction: SecurityAssociation.Direction, _ encryption: Transform, _ integrity: Transform?,
        _ keys: PacketKeys
    ) -> SecurityAssociation {
        let everything = [TrafficSelector(IPPrefix.everything(.v4).range)]
        let path = Path(local: Endpoint(IPAddress(v4: 0xc000_0202), 4500), remote: remote)
        return SecurityAssociation(
            direction: direction, spi: SPILayout.spi(index: 3, chance: 77), child: ChildSAID(rawValue: 1),
            mode: .tunnel, encryption: encryption, integrity: integrity, usesExtendedSequenceNumbers: false,
            encryptionKey: keys.encryption, integrityKey: keys.integrity, path: path, encapsulation: .udp,
            replayWindow: ChildTemplate.defaultReplayWindow, localSelectors: everything, remoteSelectors: everything)
    }

    private static func packet(_ size: Int) throws -> [UInt8] {
        let batch = try DatagramBatch(capacity: 1, slotSize: size)
        let payload = size - IPv4Header.minimumLength - UDPHeader.length
        let (from, to) = (IPAddress(v4: 0x0a01_0005), IPAddress(v4: 0x0a02_0009))
        let done = batch.withSlot(0) { span in
            IPv4Header.write(
                into: &span, from: from, to: to, ipProtocol: .udp, payloadLength: UDPHeader.length + payload)
                && UDPHeader.write(
                    into: &span, at: IPv4Header.minimumLength, from: 1000, to: 2000, payloadLength: payload,
                    addresses: (from, to))
        }
        guard done else { throw Broken(description: "no packet has \(size) octets") }
        batch[0] = DatagramInformation(path: Path(local: remote, remote: remote), length: size)
        return batch.bytes(0)
    }
}

extension Range where Bound == Int {
    fileprivate func moved(by offset: Int) -> Range { (lowerBound + offset)..<(upperBound + offset) }
}
