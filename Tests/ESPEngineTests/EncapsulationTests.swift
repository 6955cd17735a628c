import Clockwork
import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import ESPEngine

/// Packets that are sealed at one end and opened at the other, and those that must not be.
struct EncapsulationTests {
    struct Suite: Sendable, CustomTestStringConvertible {
        let encryption: Transform
        let integrity: Transform?
        let extended: Bool
        var testDescription: String { "\(encryption) \(integrity.map { "\($0)" } ?? "-") esn \(extended)" }
    }

    static let suites: [Suite] = [false, true].flatMap { extended in
        [
            Suite(encryption: .aes128gcm16, integrity: nil, extended: extended),
            Suite(encryption: .aes256gcm16, integrity: nil, extended: extended),
            Suite(encryption: .chacha20poly1305, integrity: nil, extended: extended),
            Suite(encryption: .aes128, integrity: .sha256, extended: extended),
            Suite(encryption: .aes256, integrity: .sha512, extended: extended),
            Suite(encryption: .nullEncryption, integrity: .sha256, extended: extended),
        ]
    }

    @Test(arguments: suites) func carriesEverySize(_ suite: Suite) throws {
        let pair = try Pair(encryption: suite.encryption, integrity: suite.integrity, extended: suite.extended)
        var octets: UInt64 = 0
        for size in 0..<100 {
            for (from, to) in [("10.1.0.5", "10.2.0.9"), ("fd01::5", "fd02::9")] {
                let inner = try Fixtures.packet(
                    from: from, to: to, payload: (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) })
                let sealed = try pair.seal(inner)
                #expect(sealed.count % 4 == 0 || suite.encryption == .nullEncryption)
                #expect(try pair.open(sealed) == inner)
                octets += UInt64(inner.count)
            }
        }
        for counters in [pair.sender.counters, pair.receiver.counters] {
            #expect(counters == SACounters(packets: 200, bytes: octets, lastUse: Fixtures.now))
        }
    }

    @Test(arguments: suites) func everyBitFlipIsDroppedAndMovesNothing(_ suite: Suite) throws {
        let pair = try Pair(encryption: suite.encryption, integrity: suite.integrity, extended: suite.extended)
        let first = try pair.seal(try Fixtures.packet())
        _ = try pair.open(first)
        let inner = try Fixtures.packet(payload: Array(0..<11))
        let good = try pair.seal(inner)
        // The SPI's bits find no SA, the sequence number's are replays or forgeries, the others are forgeries.
        for bit in 0..<(good.count * 8) {
            var bad = good
            bad[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: DropReason.self) { try pair.open(bad) }
            #expect(unsafe pair.receiver.decapsulator.pointee.highestSequence == 1)
        }
        let drops = pair.inbound.drops
        #expect(drops[.unknownSPI] == 32)
        #expect(drops[.replayed] + drops[.forged] == UInt64(good.count * 8 - 32))
        #expect(drops[.forged] >= UInt64((good.count - 8) * 8))
        #expect(pair.receiver.counters.forgeries == drops[.forged])
        #expect(pair.receiver.counters.replays == drops[.replayed])
        #expect(pair.receiver.counters.packets == 1)
        // None of them used up the good packet's number.
        #expect(try pair.open(good) == inner)
    }

    @Test func aReplayIsDroppedAndCounted() throws {
        let pair = try Pair(window: 64)
        let packets = try (0..<200).map { _ in try pair.seal(try Fixtures.packet()) }
        _ = try pair.open(packets[100])
        _ = try pair.open(packets[37])
        #expect(throws: DropReason.replayed) { try pair.open(packets[100]) }
        #expect(throws: DropReason.replayed) { try pair.open(packets[37]) }
        #expect(throws: DropReason.replayed) { try pair.open(packets[36]) }
        _ = try pair.open(packets[199])
        #expect(throws: DropReason.replayed) { try pair.open(packets[99]) }
        #expect(pair.receiver.counters.replays == 4)
        #expect(pair.inbound.drops[.replayed] == 4)
    }

    @Test func withoutAWindowEverythingAuthenticPasses() throws {
        let pair = try Pair(window: 0)
        let packet = try pair.seal(try Fixtures.packet())
        for _ in 0..<3 { _ = try pair.open(packet) }
        #expect(pair.receiver.counters.packets == 3)
    }

    @Test func extendedNumbersGoOverTheEdgeOf32Bits() throws {
        let edge: UInt64 = 1 << 32
        let sender = try OutboundSA(
            try Fixtures.association(.outbound, extended: true), serial: 1, ivStart: 5, lastSequence: edge - 3)
        let receiver = try InboundSA(try Fixtures.association(.inbound, extended: true), highestSequence: edge - 3)
        let pair = try Pair(extended: true)
        pair.outbound.remove(pair.handle)
        try pair.outbound.install(sender, at: 0)
        try pair.inbound.install(receiver)
        let packets = try (0..<6).map { _ in try pair.seal(try Fixtures.packet()) }
        // Reordered over the edge: the highest first.
        for index in [5, 0, 3, 1, 4, 2] { _ = try pair.open(packets[index]) }
        #expect(receiver.counters.packets == 6)
        #expect(unsafe receiver.decapsulator.pointee.highestSequence == edge + 3)
        for packet in packets { #expect(throws: DropReason.replayed) { try pair.open(packet) } }
    }

    @Test func anOutboundSAStopsAtItsLastNumber() throws {
        let sender = try OutboundSA(
            try Fixtures.association(.outbound), serial: 1, ivStart: 5, lastSequence: UInt64(UInt32.max) - 2)
        let pair = try Pair()
        pair.outbound.remove(pair.handle)
        try pair.outbound.install(sender, at: 0)
        _ = try pair.seal(try Fixtures.packet())
        _ = try pair.seal(try Fixtures.packet())
        for _ in 0..<3 {
            #expect(throws: DropReason.sequenceExhausted) { try pair.seal(try Fixtures.packet()) }
        }
        #expect(pair.outbound.drops[.sequenceExhausted] == 3)
        #expect(sender.counters.packets == 2)
    }

    @Test func theEndIsAnnouncedOnce() throws {
        let limit = UInt64(UInt32.max)
        let sender = try OutboundSA(
            try Fixtures.association(.outbound), serial: 1, ivStart: 5, lastSequence: limit - limit / 16 - 2)
        let pair = try Pair()
        pair.outbound.remove(pair.handle)
        try pair.outbound.install(sender, at: 0)
        var told: [Bool] = []
        for _ in 0..<4 {
            var buffer = [UInt8](repeating: 0, count: 24) + (try Fixtures.packet()) + [UInt8](repeating: 0, count: 49)
            let inner = 24..<(buffer.count - 49)
            var span = buffer.mutableSpan
            var raw = unsafe span.mutableBytes
            told.append(
                try pair.outbound.seal(&raw, inner: inner, by: pair.handle, now: Fixtures.now).isRunningOut)
        }
        #expect(told == [false, true, false, false])
    }

    @Test func shortPacketsAreRefused() throws {
        let pair = try Pair()
        let good = try pair.seal(try Fixtures.packet())
        for length in 0..<good.count {
            #expect(throws: DropReason.self) { try pair.open(Array(good.prefix(length))) }
        }
        // Header, IV, two octets of trailer and ICV are the least.
        #expect(pair.inbound.drops[.malformedESP] == 34)
        #expect(pair.receiver.counters.packets == 0)
    }

    @Test func aBlockCipherRefusesPartsOfBlocks() throws {
        let pair = try Pair(encryption: .aes128, integrity: .sha256)
        let good = try pair.seal(try Fixtures.packet())
        #expect(throws: DropReason.malformedESP) { try pair.open(good + [1, 2, 3, 4]) }
        #expect(pair.receiver.counters.forgeries == 0)
    }

    @Test func sealingRefusesWhatIsNoPacketAndWhatDoesNotFit() throws {
        let pair = try Pair()
        #expect(throws: DropReason.malformedPacket) { try pair.seal([]) }
        #expect(throws: DropReason.malformedPacket) { try pair.seal([0x75, 0, 0, 0]) }
        var tight = try Fixtures.packet()
        let count = tight.count
        var span = tight.mutableSpan
        var raw = unsafe span.mutableBytes
        #expect(throws: DropReason.noRoom) {
            _ = try pair.outbound.seal(&raw, inner: 0..<count, by: pair.handle, now: Fixtures.now)
        }
        let unknown = OutboundHandle(slot: 0, serial: 2)
        for handle in [unknown, OutboundHandle(slot: -1, serial: 1), OutboundHandle(slot: 5_000, serial: 1)] {
            #expect(throws: DropReason.noSA) {
                _ = try pair.outbound.seal(&raw, inner: 0..<count, by: handle, now: Fixtures.now)
            }
        }
        // Nothing of that used a number.
        #expect(unsafe pair.sender.encapsulator.pointee.lastSequence == 0)
    }

    @Test func theNewestPacketFromElsewhereTellsThatThePeerMoved() throws {
        let pair = try Pair()
        let packets = try (0..<5).map { _ in try pair.seal(try Fixtures.packet()) }
        let elsewhere = Endpoint(IPAddress(v4: 0xcb00_7105), 61_000)
        #expect(try !pair.openFully(packets[1]).opened.hasMoved)
        // An old packet from there says nothing of where the peer is now.
        #expect(try !pair.openFully(packets[0], from: elsewhere).opened.hasMoved)
        #expect(try pair.openFully(packets[2], from: elsewhere).opened.hasMoved)
        #expect(try !pair.openFully(packets[3], from: elsewhere).opened.hasMoved)
        pair.inbound.move(spi: pair.receiver.spi, remote: Fixtures.path.local)
        #expect(try pair.openFully(packets[4], from: elsewhere).opened.hasMoved)
    }
}
