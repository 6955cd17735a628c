import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

/// The parts that the tests of this module put together.
enum Fixtures {
    static let now = Instant(nanoseconds: 1_000)

    static func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }
    static func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
    static func selector(_ text: String) throws -> TrafficSelector { TrafficSelector(try prefix(text)) }

    static let path = Path(
        local: Endpoint(IPAddress(v4: 0xc000_0201), 4500), remote: Endpoint(IPAddress(v4: 0xc000_0202), 4500))

    /// One direction of an SA between 10.1.0.0/16 here and 10.2.0.0/16 there, and their IPv6 likes.
    static func association(
        _ direction: SecurityAssociation.Direction, spi: UInt32 = SPILayout.spi(index: 3, chance: 77),
        encryption: Transform = .aes128gcm16, integrity: Transform? = nil, extended: Bool = false,
        window: Int = 2048, keySeed: UInt64 = 1
    ) throws -> SecurityAssociation {
        let length = try #require(PacketCipher.keyMaterialLength(encryption: encryption, integrity: integrity))
        var entropy = SeededEntropy(seed: keySeed)
        // The peer's SA has the same selectors the other way round.
        let mine = [try selector("10.1.0.0/16"), try selector("fd01::/64")]
        let theirs = [try selector("10.2.0.0/16"), try selector("fd02::/64")]
        return SecurityAssociation(
            direction: direction, spi: spi, child: ChildSAID(rawValue: 1), mode: .tunnel, encryption: encryption,
            integrity: integrity, usesExtendedSequenceNumbers: extended,
            encryptionKey: SecretBytes(entropy.bytes(length.encryption)),
            integrityKey: SecretBytes(entropy.bytes(length.integrity)),
            path: direction == .outbound ? path : path.reversed, encapsulation: .udp, replayWindow: window,
            localSelectors: direction == .outbound ? mine : theirs,
            remoteSelectors: direction == .outbound ? theirs : mine)
    }

    /// A UDP packet between two addresses of either family.
    static func packet(
        from source: String = "10.1.0.5", to destination: String = "10.2.0.9", payload: [UInt8] = Array(0..<40),
        ports: (UInt16, UInt16) = (1000, 2000)
    ) throws -> [UInt8] {
        let (from, to) = (try address(source), try address(destination))
        let header = from.family == .v4 ? 20 : 40
        var bytes = [UInt8](repeating: 0, count: header + 8) + payload
        var span = bytes.mutableSpan
        var raw = unsafe span.mutableBytes
        if from.family == .v4 {
            #expect(
                IPv4Header.write(
                    into: &raw, from: from, to: to, ipProtocol: .udp, payloadLength: 8 + payload.count))
        } else {
            #expect(
                IPv6Header.write(into: &raw, from: from, to: to, nextHeader: .udp, payloadLength: 8 + payload.count))
        }
        #expect(
            UDPHeader.write(
                into: &raw, at: header, from: ports.0, to: ports.1, payloadLength: payload.count,
                addresses: (from, to)))
        return bytes
    }

    /// Seals any text, its padding and trailer included, with the keys of the outbound association, as a peer that follows
    /// no rule would. The upper half of the number counts with `extended` only.
    static func forge(_ text: [UInt8], sequence: UInt64 = 1, extended: Bool = false) throws -> [UInt8] {
        let association = try association(.outbound, extended: extended)
        let cipher = try PacketCipher(
            encryption: association.encryption, integrity: nil,
            keys: PacketKeys(encryption: association.encryptionKey, integrity: association.integrityKey),
            direction: .seal)
        var packet = [UInt8](repeating: 0, count: 16) + text + [UInt8](repeating: 0, count: 16)
        for shift in 0..<4 {
            packet[shift] = UInt8(truncatingIfNeeded: association.spi >> UInt32(24 - 8 * shift))
            packet[4 + shift] = UInt8(truncatingIfNeeded: sequence >> UInt64(24 - 8 * shift))
        }
        var span = packet.mutableSpan
        var raw = unsafe span.mutableBytes
        let sealed = cipher.seal(
            &raw, associatedData: 0..<8, extraAssociatedData: extended ? UInt32(sequence >> 32) : nil, iv: 8..<16,
            text: 16..<(16 + text.count), icv: 16 + text.count)
        #expect(sealed)
        return packet
    }
}

/// Two databases that belong to the two ends of one SA.
final class Pair {
    var outbound: OutboundSADatabase
    var inbound: InboundSADatabase
    let sender: OutboundSA
    let receiver: InboundSA
    let handle = OutboundHandle(slot: 0, serial: 1)

    init(
        encryption: Transform = .aes128gcm16, integrity: Transform? = nil, extended: Bool = false, window: Int = 2048,
        tunnel: TunnelBehaviour = TunnelBehaviour(), limits: VolumeLimits = VolumeLimits(),
        receiving: VolumeLimits = VolumeLimits(), pathMTU: Int? = nil, compressionIndex: UInt16? = nil
    ) throws {
        var entropy = SeededEntropy(seed: 9)
        var outgoing = try Fixtures.association(
            .outbound, encryption: encryption, integrity: integrity, extended: extended)
        (outgoing.tunnel, outgoing.limits) = (tunnel, limits)
        outgoing.compressionIndex = compressionIndex
        sender = try OutboundSA(outgoing, serial: 1, entropy: &entropy)
        var incoming = try Fixtures.association(
            .inbound, encryption: encryption, integrity: integrity, extended: extended, window: window)
        (incoming.tunnel, incoming.limits) = (tunnel, receiving)
        incoming.compressionIndex = compressionIndex
        receiver = try InboundSA(incoming, pathMTU: pathMTU)
        outbound = OutboundSADatabase(entropy: SeededEntropy(seed: 4))
        inbound = InboundSADatabase()
        try outbound.install(sender, at: 0)
        try inbound.install(receiver)
    }

    /// The ESP packet around `inner`.
    func seal(_ inner: [UInt8]) throws(DropReason) -> [UInt8] {
        let head = OutboundSADatabase.headroom
        var buffer = [UInt8](repeating: 0xee, count: head) + inner
        buffer += [UInt8](repeating: 0xee, count: OutboundSADatabase.tailroom)
        var span = buffer.mutableSpan
        var raw = unsafe span.mutableBytes
        let sealed = try outbound.seal(
            &raw, inner: head..<(head + inner.count), by: handle, now: Fixtures.now)
        return Array(buffer[sealed.packet])
    }

    /// The inner packet of an ESP packet.
    func open(
        _ packet: [UInt8], from remote: Endpoint = Fixtures.path.local
    ) throws(DropReason) -> [UInt8] {
        try openFully(packet, from: remote).bytes
    }

    func openFully(
        _ packet: [UInt8], from remote: Endpoint = Fixtures.path.local
    ) throws(DropReason) -> (bytes: [UInt8], opened: InboundSADatabase.Opened) {
        var buffer = packet
        var span = buffer.mutableSpan
        var raw = unsafe span.mutableBytes
        let opened = try inbound.open(&raw, packet: 0..<packet.count, from: remote, now: Fixtures.now)
        // The database's own memory, until it is reclaimed.
        if opened.isExpanded { return (unsafe Array(inbound.expanded[opened.inner]), opened) }
        return (Array(buffer[opened.inner]), opened)
    }
}
