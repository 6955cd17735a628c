import Clockwork
import GatewayModel
import IPPackets
import NetworkTypes
import Testing

@testable import ESPEngine

/// Attacks on ESP of everybody on the way, and of a peer that has the keys: each is dropped and counted under its reason,
/// moves no window, and leaves the SA to its owner.
@Suite("Attack 35")
struct PacketAttackTests {
    private static let tail: [UInt8] = [1, 2, 2, 4]

    /// An authentic packet with this number.
    private static func numbered(_ sequence: UInt64, extended: Bool = false) throws -> [UInt8] {
        try Fixtures.forge(try Fixtures.packet() + tail, sequence: sequence, extended: extended)
    }

    /// The same with an ICV that nobody with the key has made.
    private static func forged(_ sequence: UInt64, extended: Bool = false) throws -> [UInt8] {
        var packet = try numbered(sequence, extended: extended)
        packet[packet.count - 1] ^= 1
        return packet
    }

    @Test("Attack 35: a number is taken once, within the window and never below it")
    func replay() throws {
        let pair = try Pair(window: 64)
        _ = try pair.open(try Self.numbered(1000))
        for number in [UInt64(1000), 936, 900, 1, 0] {
            #expect(throws: DropReason.replayed) { try pair.open(try Self.numbered(number)) }
        }
        for number in [UInt64(937), 999, 1001] { _ = try pair.open(try Self.numbered(number)) }
        for number in [UInt64(937), 999, 1001] {
            #expect(throws: DropReason.replayed) { try pair.open(try Self.numbered(number)) }
        }
        #expect(pair.inbound.drops[.replayed] == 8)
        #expect(pair.receiver.counters.packets == 4)
    }

    @Test("Attack 35: no packet has the number 0, unless nobody looks: then a sender may begin again (RFC 4303 §3.3.3)")
    func zero() throws {
        for extended in [false, true] {
            let pair = try Pair(extended: extended, window: 64)
            #expect(throws: DropReason.replayed) { try pair.open(try Self.numbered(0, extended: extended)) }
            _ = try pair.open(try Self.numbered(1, extended: extended))
        }
        let pair = try Pair(window: 0)
        for number in [UInt64(0xffff_ffff), 0, 1] { _ = try pair.open(try Self.numbered(number)) }
    }

    @Test("Attack 35: after the last number of 32 bits comes none", arguments: [64, 2048])
    func wrap(window: Int) throws {
        let pair = try Pair(window: window)
        _ = try pair.open(try Self.numbered(0xffff_ffff))
        for number in [UInt64(0), 1, 2, 0x8000_0000] {
            #expect(throws: DropReason.replayed) { try pair.open(try Self.numbered(number)) }
        }
    }

    @Test("Attack 35: with extended numbers the upper half goes on, and what was before it does not come back")
    func extendedWrap() throws {
        let pair = try Pair(extended: true, window: 64)
        for start in stride(from: UInt64(0x7fff_fff0), through: 0xffff_fff0, by: 0x4000_0000) {
            _ = try pair.open(try Self.numbered(start, extended: true))
        }
        _ = try pair.open(try Self.numbered(0xffff_ffff, extended: true))
        _ = try pair.open(try Self.numbered(0x1_0000_0000, extended: true))
        _ = try pair.open(try Self.numbered(0x1_0000_0005, extended: true))
        _ = try pair.open(try Self.numbered(0xffff_fffe, extended: true))
        #expect(throws: DropReason.replayed) { try pair.open(try Self.numbered(0xffff_fffe, extended: true)) }
        #expect(throws: DropReason.replayed) { try pair.open(try Self.numbered(0x1_0000_0000, extended: true)) }
        // Of the first round: the same low half counts as one of the second, whose ICV it has not.
        #expect(throws: DropReason.forged) { try pair.open(try Self.numbered(0x0000_0009, extended: true)) }
    }

    @Test("Attack 35: a forged leap ahead moves no window", arguments: [false, true])
    func leap(extended: Bool) throws {
        let pair = try Pair(extended: extended, window: 64)
        _ = try pair.open(try Self.numbered(100, extended: extended))
        for leap in [UInt64(101), 0x8000_0000, 0x8000_0063, 0xffff_ffff] {
            #expect(throws: DropReason.forged) { try pair.open(try Self.forged(leap, extended: extended)) }
        }
        for number in [UInt64(37), 99, 101] { _ = try pair.open(try Self.numbered(number, extended: extended)) }
        #expect(pair.receiver.counters.forgeries == 4)
        #expect(pair.receiver.counters.packets == 4)
    }

    @Test("Attack 35: no bit of a packet can be changed, and none of it comes out")
    func everyBit() throws {
        let pair = try Pair()
        let packet = try Self.numbered(7)
        for place in packet.indices {
            for bit in 0..<8 {
                var changed = packet
                changed[place] ^= UInt8(1 << bit)
                // Of another SPI nobody knows; everything else is not what the peer has sealed.
                let reason: DropReason = place < 4 ? .unknownSPI : .forged
                #expect(throws: reason, "octet \(place)") { try pair.open(changed) }
            }
        }
        #expect(pair.receiver.counters.packets == 0)
        _ = try pair.open(packet)
    }

    @Test("Attack 35: packets of every length that is too short")
    func short() throws {
        let pair = try Pair()
        let packet = try Self.numbered(7)
        for length in 0..<packet.count {
            do {
                _ = try pair.open(Array(packet.prefix(length)))
                Issue.record("\(length) octets are taken for a packet")
            } catch {
                #expect([.malformedESP, .forged].contains(error), "\(length) octets: \(error)")
            }
        }
        _ = try pair.open(packet)
    }

    @Test("Attack 35: reserved and unknown SPIs are nobody's, however many come")
    func unknownSPIs() throws {
        let pair = try Pair()
        var packet = try Self.numbered(7)
        var random = SeededEntropy(seed: 35)
        var count = UInt64(0)
        for round in 0..<20_000 {
            let spi = round < 256 ? UInt32(round) : random.uint32()
            guard spi != pair.receiver.spi else { continue }
            for shift in 0..<4 { packet[shift] = UInt8(truncatingIfNeeded: spi >> UInt32(24 - 8 * shift)) }
            #expect(throws: DropReason.unknownSPI) { try pair.open(packet) }
            count += 1
        }
        #expect(pair.inbound.drops[.unknownSPI] == count)
        #expect(pair.inbound.count == 1)
        _ = try pair.open(try Self.numbered(7))
    }

    /// What somebody with the keys seals who may send from 10.1.0.0/16 only.
    @Test(
        "Attack 35: what is inside must be what the SA carries",
        arguments: [
            ("padding that does not count up", [2, 1, 2, 4], DropReason.badPadding),
            ("more padding than packet", [255, 4], .badPadding),
            ("a dummy", [1, 2, 2, 59], .dummy),
            ("IPv6 by its number, IPv4 by its octets", [1, 2, 2, 41], .malformedInner),
            ("a transport protocol in a tunnel", [1, 2, 2, 17], .badNextHeader),
            ("ESP in a tunnel without a header", [1, 2, 2, 50], .badNextHeader),
        ] as [(String, [UInt8], DropReason)])
    func inside(name: String, tail: [UInt8], reason: DropReason) throws {
        let pair = try Pair()
        #expect(throws: reason) { try pair.open(try Fixtures.forge(try Fixtures.packet() + tail)) }
        #expect(pair.inbound.drops[reason] == 1)
        #expect(pair.receiver.counters.packets == 0)
    }

    @Test("Attack 35: a source, a family or a fragment outside the selectors does not come in")
    func outside() throws {
        let pair = try Pair()
        var association = try Fixtures.association(.inbound)
        association.localSelectors = [TrafficSelector(try Fixtures.prefix("10.2.0.0/16").range, ipProtocol: .udp)]
        association.remoteSelectors = [try Fixtures.selector("10.1.0.0/16")]
        try pair.inbound.install(try InboundSA(association))
        var fragment = try Fixtures.packet()
        (fragment[6], fragment[7], fragment[9]) = (0, 4, 6)
        let inner = [
            try Fixtures.packet(from: "10.9.0.1"), try Fixtures.packet(to: "10.9.0.1"),
            try Fixtures.packet(from: "127.0.0.1"), fragment,
        ]
        for (number, packet) in inner.enumerated() {
            #expect(throws: DropReason.outsideSelectors) {
                try pair.open(try Fixtures.forge(packet + Self.tail, sequence: UInt64(number + 1)))
            }
        }
        let six = try Fixtures.packet(from: "fd01::1", to: "fd02::1")
        #expect(throws: DropReason.outsideSelectors) {
            try pair.open(try Fixtures.forge(six + [1, 2, 2, 41], sequence: 9))
        }
        // ESP within ESP is a packet like others: of a protocol that this SA does not carry.
        var nested = try Fixtures.packet()
        nested[9] = 50
        #expect(throws: DropReason.outsideSelectors) {
            try pair.open(try Fixtures.forge(nested + Self.tail, sequence: 10))
        }
        #expect(pair.inbound.drops[.outsideSelectors] == 6)
    }

    @Test("Attack 35: packets that share a buffer do not touch each other, whatever becomes of them")
    func neighbours() throws {
        let pair = try Pair()
        let packets = [
            try Self.numbered(1), try Self.forged(2), try Self.numbered(1), try Self.numbered(3),
            Array(try Self.numbered(4).prefix(20)), try Self.numbered(5),
        ]
        var buffer = packets.flatMap { $0 }
        var start = 0
        var opened: [Int] = []
        for (number, packet) in packets.enumerated() {
            let (before, after) = (Array(buffer[..<start]), Array(buffer[(start + packet.count)...]))
            var span = buffer.mutableSpan
            var raw = unsafe span.mutableBytes
            if let inner = try? pair.inbound.open(
                &raw, packet: start..<(start + packet.count), from: Fixtures.path.local, now: Fixtures.now)
            {
                opened.append(number)
                #expect(Array(buffer[inner.inner]) == (try Fixtures.packet()))
            }
            #expect(Array(buffer[..<start]) == before)
            #expect(Array(buffer[(start + packet.count)...]) == after)
            start += packet.count
        }
        #expect(opened == [0, 3, 5])
    }
}
