import Clockwork
import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import ESPEngine

/// SAs that come and go, and IVs that never come twice.
struct SADatabaseTests {
    @Test func onlyTheWholeSPIFindsAnSA() throws {
        let pair = try Pair()
        var packet = try pair.seal(try Fixtures.packet())
        packet[0] ^= 0x80
        #expect(throws: DropReason.unknownSPI) { try pair.open(packet) }
        packet[0] ^= 0x80
        _ = try pair.open(packet)
        #expect(pair.inbound.remove(spi: pair.receiver.spi ^ 1 << 31) == nil)
        #expect(pair.inbound.remove(spi: pair.receiver.spi) === pair.receiver)
        #expect(throws: DropReason.unknownSPI) { try pair.open(packet) }
        #expect(pair.inbound.drops[.unknownSPI] == 2)
    }

    @Test func reservedAndTakenPlacesAreRefused() throws {
        #expect(throws: SAError.reservedSPI(255)) { try InboundSA(try Fixtures.association(.inbound, spi: 255)) }
        let pair = try Pair()
        let other = SPILayout.spi(index: 3, chance: 78)
        let stranger = try InboundSA(try Fixtures.association(.inbound, spi: other))
        #expect(throws: SAError.indexTaken(spi: other)) { try pair.inbound.install(stranger) }
        #expect(throws: SAError.replayWindow(32_769)) {
            try InboundSA(try Fixtures.association(.inbound, window: 32_769))
        }
        var short = try Fixtures.association(.inbound)
        short.encryptionKey = SecretBytes([1, 2, 3])
        #expect(throws: SAError.self) { try InboundSA(short) }
    }

    @Test func manyComeAndGo() throws {
        var inbound = InboundSADatabase()
        for round in 0..<2 {
            for index in 0..<3000 {
                let spi = SPILayout.spi(index: index, chance: UInt32(round * 1000 + index))
                try inbound.install(try InboundSA(try Fixtures.association(.inbound, spi: spi, window: 64)))
            }
            #expect(inbound.count == 3000)
            for index in 0..<3000 {
                let spi = SPILayout.spi(index: index, chance: UInt32(round * 1000 + index))
                #expect(inbound.remove(spi: spi)?.spi == spi)
            }
            #expect(inbound.count == 0)
        }
    }

    /// The counters of a million packets, over a re-installation with the same keys: their IVs are all different.
    @Test("Attack 35: no IV comes twice, over re-installation with the same keys")
    func noIVComesTwice() throws {
        let pair = try Pair()
        let inner = try Fixtures.packet(payload: [])
        let head = OutboundSADatabase.headroom
        var buffer = [UInt8](repeating: 0, count: head) + inner
        buffer += [UInt8](repeating: 0, count: OutboundSADatabase.tailroom)
        var seen: Set<UInt64> = []
        seen.reserveCapacity(1_000_000)
        var entropy = SeededEntropy(seed: 9)
        for count in 0..<1_000_000 {
            if count % 250_000 == 249_999 {
                // The same seed as before: even then the numbers go on.
                let again = try OutboundSA(try Fixtures.association(.outbound), serial: 1, entropy: &entropy)
                try pair.outbound.install(again, at: 0)
                entropy = SeededEntropy(seed: 9)
            }
            var span = buffer.mutableSpan
            var raw = unsafe span.mutableBytes
            // What was sealed before need not be a packet any more, but it must look like one.
            raw.put(UInt8(0x45), at: head)
            let packet = try pair.outbound.seal(
                &raw, inner: head..<(head + inner.count), by: pair.handle, now: Fixtures.now
            ).packet
            var iv: UInt64 = 0
            for index in 8..<16 { iv = iv << 8 | UInt64(raw.bytes.uint8(at: packet.lowerBound + index)) }
            seen.insert(iv)
        }
        #expect(seen.count == 1_000_000)
    }

    @Test func otherKeysStartAnew() throws {
        let pair = try Pair()
        for _ in 0..<5 { _ = try pair.seal(try Fixtures.packet()) }
        var entropy = SeededEntropy(seed: 1)
        let other = try OutboundSA(try Fixtures.association(.outbound, keySeed: 2), serial: 1, entropy: &entropy)
        try pair.outbound.install(other, at: 0)
        #expect(unsafe other.encapsulator.pointee.lastSequence == 0)
    }

    @Test func blockCiphersGetUnpredictableIVs() throws {
        let pair = try Pair(encryption: .aes128, integrity: .sha256)
        var seen: Set<[UInt8]> = []
        for _ in 0..<2000 { seen.insert(Array(try pair.seal(try Fixtures.packet())[8..<24])) }
        #expect(seen.count == 2000)
        // No octet of them counts.
        for octet in 0..<16 { #expect(Set(seen.map { $0[octet] }).count > 200) }
    }

    @Test func aStaleHandleFindsNothing() throws {
        let pair = try Pair()
        var entropy = SeededEntropy(seed: 1)
        let other = try OutboundSA(try Fixtures.association(.outbound, keySeed: 2), serial: 2, entropy: &entropy)
        try pair.outbound.install(other, at: 0)
        #expect(throws: DropReason.noSA) { try pair.seal(try Fixtures.packet()) }
        #expect(pair.outbound.remove(pair.handle) == nil)
        #expect(pair.outbound.remove(OutboundHandle(slot: 0, serial: 2)) === other)
        #expect(pair.outbound.count == 0)
    }
}
