import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes
import StateRecords
import Testing
import WireFormat

@testable import ESPEngine

/// SAs that go on in another process.
@Suite struct AssociationStateTests {
    private static let ciphers: [(encryption: Transform, integrity: Transform?)] = [
        (.aes128gcm16, nil), (.aes256gcm16, nil), (Transform(.encryption, 20, keyBits: 192), nil),
        (.chacha20poly1305, nil), (.aes128, .sha256),
    ]

    private static func association(
        _ direction: SecurityAssociation.Direction, spi: UInt32 = 0x0010_0001, child: UInt32 = 1,
        _ cipher: (encryption: Transform, integrity: Transform?) = ciphers[0], extended: Bool = false,
        _ entropy: inout SeededEntropy
    ) throws -> SecurityAssociation {
        let length = try #require(
            PacketCipher.keyMaterialLength(encryption: cipher.encryption, integrity: cipher.integrity))
        let everything = TrafficSelector(IPPrefix.everything(.v4))
        return SecurityAssociation(
            direction: direction, spi: spi, child: ChildSAID(rawValue: child), mode: .tunnel,
            encryption: cipher.encryption, integrity: cipher.integrity, usesExtendedSequenceNumbers: extended,
            encryptionKey: SecretBytes(entropy.bytes(length.encryption)),
            integrityKey: SecretBytes(entropy.bytes(length.integrity)),
            path: Path(local: Endpoint(.loopback(.v4), 4500), remote: Endpoint(.loopback(.v4), 4500)),
            encapsulation: .udp, replayWindow: 128, localSelectors: [everything], remoteSelectors: [everything])
    }

    /// As one process hands it to the next: as octets.
    private static func handedOver<Value: Recorded>(_ value: Value) throws -> Value {
        let writer = RecordWriter()
        writer.put(value)
        var reader = RecordReader(writer.buffer.withSpan { SecretBytes(copying: $0) }, version: 1)
        let read = try reader.value(Value.self)
        #expect(reader.isAtEnd)
        return read
    }

    @Test("The keys that come out are those that went in, whoever keeps them", arguments: ciphers.indices)
    func keysReturn(_ index: Int) throws {
        var entropy = SeededEntropy(seed: UInt64(index))
        let outbound = try Self.association(.outbound, Self.ciphers[index], &entropy)
        let sealing = try OutboundSA(outbound, serial: 1, entropy: &entropy)
        let sealed = try Self.handedOver(try #require(sealing.state(of: outbound)))
        #expect(sealed.keys.encryption == outbound.encryptionKey && sealed.keys.integrity == outbound.integrityKey)
        let inbound = try Self.association(.inbound, Self.ciphers[index], &entropy)
        let opening = try InboundSA(inbound)
        let opened = try Self.handedOver(try #require(opening.state(of: inbound)))
        #expect(opened.keys.encryption == inbound.encryptionKey && opened.keys.integrity == inbound.integrityKey)
    }

    @Test("Sequence numbers go on after a jump, and never begin again")
    func numbersGoOn() throws {
        #expect(OutboundSequence.resuming(after: 0, extended: false) == 65_536)
        #expect(OutboundSequence.resuming(after: 5, extended: true) == 65_541)
        // Where they run out they are out: none comes twice.
        let last = OutboundSequence.resuming(after: UInt64(UInt32.max) - 3, extended: false)
        #expect(last == UInt64(UInt32.max))
        var sequence = OutboundSequence(extended: false, last: last)
        let next = sequence.take()
        #expect(next == nil && sequence.isRunningOut)
        #expect(OutboundSequence.resuming(after: .max - 1, extended: true) == .max)
    }

    @Test("What was seen is not taken again by the next process, and what was not is")
    func windowGoesOn() throws {
        var window = try #require(ReplayWindow(size: 128))
        var seen: Set<UInt64> = []
        var entropy = SeededEntropy(seed: 7)
        for step in 0..<400 {
            let number = max(1, UInt64(step) + entropy.uint64() % 90)
            if window.isFresh(number) {
                window.accept(number)
                seen.insert(number)
            }
            if step % 7 == 0 { window = try Self.handedOver(window) }
        }
        for number in UInt64(1)...(window.highest + 3) {
            let isInside = number > window.highest || window.highest - number < 128
            #expect(window.isFresh(number) == (isInside && !seen.contains(number)), "\(number)")
        }
    }

    @Test("Attack 35: no key meets an IV twice: 1,000 SAs, ten restarts")
    func noIVTwice() throws {
        struct Use: Hashable {
            let key: Int
            let iv: UInt64
        }
        var entropy = SeededEntropy(seed: 30)
        var uses: Set<Use> = []
        var count = 0
        var associations: [SecurityAssociation] = []
        var running: [OutboundSA] = []
        for index in 0..<1000 {
            let cipher = Self.ciphers[index % 4]
            let made = try Self.association(
                .outbound, spi: UInt32(1000 + index), child: UInt32(index + 1), cipher, extended: index % 3 == 0,
                &entropy)
            associations.append(made)
            running.append(try OutboundSA(made, serial: UInt32(index), entropy: &entropy))
        }
        for restart in 0...10 {
            var database = OutboundSADatabase(entropy: entropy)
            for (index, association) in running.enumerated() {
                try database.install(association, at: Int32(index))
            }
            for (index, association) in running.enumerated() {
                for _ in 0..<(1 + (index + restart) % 4) {
                    var packet = [UInt8](repeating: 0, count: 256)
                    packet[64] = 0x45
                    packet[67] = 40
                    var span = packet.mutableSpan
                    var buffer = MutableRawSpan(_elements: &span)
                    let sealed = try database.seal(
                        &buffer, inner: 64..<104, by: OutboundHandle(slot: Int32(index), serial: association.serial),
                        now: .zero)
                    // SPI and sequence number, then the IV.
                    let start = sealed.packet.lowerBound + 8
                    let iv = (0..<8).reduce(UInt64(0)) { $0 << 8 | UInt64(packet[start + $1]) }
                    uses.insert(Use(key: index, iv: iv))
                    count += 1
                }
            }
            running = try zip(associations, running).enumerated().map { index, pair in
                let state = try Self.handedOver(try #require(pair.1.state(of: pair.0)))
                return try #require(try OutboundSA(resuming: pair.0, state, serial: UInt32(index)))
            }
        }
        #expect(uses.count == count)
        #expect(count > 20_000)
        #expect(running[0].counters.packets > 11)
    }
}
