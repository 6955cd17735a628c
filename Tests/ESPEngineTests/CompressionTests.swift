import Clockwork
import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import ESPEngine

/// Payloads that are compressed before they are sealed, and what comes of those that a peer has compressed (RFC 3173).
struct CompressionTests {
    private static let index: UInt16 = 0x3a7

    /// An ESP packet of the pair's with this text and next header.
    private static func packet(
        _ pair: Pair, _ text: [UInt8], _ nextHeader: IPProtocolNumber = .compression
    ) throws -> [UInt8] {
        let head = OutboundSADatabase.headroom
        var buffer =
            [UInt8](repeating: 0, count: head) + text + [UInt8](repeating: 0, count: OutboundSADatabase.tailroom)
        var span = buffer.mutableSpan
        var raw = unsafe span.mutableBytes
        var random = UnpredictableOctets(SeededEntropy(seed: 3))
        let place = try unsafe pair.sender.encapsulator.pointee.seal(
            &raw, payload: head..<(head + text.count), nextHeader: nextHeader, random: &random)
        return Array(buffer[place])
    }

    /// IPComp's header, then what zlib made elsewhere.
    private static func compressed(
        _ hex: String, nextHeader: UInt8 = 4, index: UInt16 = CompressionTests.index
    ) throws -> [UInt8] {
        [nextHeader, 0, UInt8(index >> 8), UInt8(index & 0xff)] + (try #require(Hex.decode(hex)))
    }

    private static let fox = Array(
        "The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. ".utf8)

    private static func chance(_ count: Int) -> [UInt8] {
        var state: UInt32 = 1
        return (0..<count).map { _ in
            state = (state &* 1_103_515_245 &+ 12_345) & 0x7fff_ffff
            return UInt8(truncatingIfNeeded: state >> 16)
        }
    }

    @Test(arguments: [("10.1.0.5", "10.2.0.9"), ("fd01::5", "fd02::9")])
    func whatShrinksTravelsShorterAndComesOutAsItWas(_ from: String, _ to: String) throws {
        let pair = try Pair(compressionIndex: Self.index)
        let plain = try Pair()
        for size in [90, 200, 1400, 9000, 60_000] {
            let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 / 7) }
            let inner = try Fixtures.packet(from: from, to: to, payload: payload)
            let sealed = try pair.seal(inner)
            #expect(try sealed.count < plain.seal(inner).count)
            let (bytes, opened) = try pair.openFully(sealed)
            #expect(bytes == inner && opened.isExpanded)
            pair.inbound.reclaim()
        }
        #expect(pair.sender.counters.bytes == pair.receiver.counters.bytes)
    }

    @Test func whatDoesNotShrinkTravelsAsItIs() throws {
        let pair = try Pair(compressionIndex: Self.index)
        let plain = try Pair()
        for payload in [[], Self.chance(40), Self.chance(1400), [UInt8](repeating: 0, count: 40)] {
            let inner = try Fixtures.packet(payload: payload)
            let sealed = try pair.seal(inner)
            #expect(try sealed.count == plain.seal(inner).count)
            let (bytes, opened) = try pair.openFully(sealed)
            #expect(bytes == inner && !opened.isExpanded)
        }
    }

    /// Packets made by Python's zlib: stored, with the fixed code and with one of their own, and one that refers farther
    /// back than our own compressor would.
    @Test func whatAnotherZlibMadeIsUnderstood() throws {
        let fox = Array("The quick brown fox jumps over the lazy dog. ".utf8)
        let vectors: [(payload: [UInt8], hex: String)] = [
            (
                fox + fox + fox + fox,
                "736560b8c0c0e0c0e020a8c6cbc5c8c0cac5c4c0c9fc82fd02c39e02fb908c5485c2d2cce46c85a4a2fcf23c85b4fc0a"
                    + "85acd2dc826285fcb2d4228512a0744e6255a5424a7eba9ec220510c00"
            ),
            (
                (0..<600).map { UInt8(truncatingIfNeeded: $0 * $0 * 7 % 251 % 17 + 97) },
                "ed8fb15105310c448f6318869fd10385fc842688b02dc9b22dd9d20c5d92500665a0bb4f0b64441bececdbddd76dffd8"
                    + "b6eb767d7e6997bbede1b26f4ff7df8f5ffbfbe75b62d14199c7928edd72b69e886bf13a6c6a5bd83a174900c96a884f"
                    + "10cf69d699321827602cab34915686e161b3ae4e4654d1352392b387ace658294ba6d1c049754a3da92153951cda38ed"
                    + "884529e68851881eb1c0f5a50cd3016ddcda564186c406bf635c0e3b7076520bf716a53a6d542f9529ddbe6197353856"
                    + "a8f0fff53fbcfe03"
            ),
            (
                Array((fox + fox).prefix(60)),
                "015800a7ff4500005800004000401126850a0100050a02000903e807d00044c5d454686520717569636b2062726f776e"
                    + "20666f78206a756d7073206f76657220746865206c617a7920646f672e2054686520717569636b2062726f776e"
            ),
            (
                Self.chance(120) + [UInt8](repeating: 0, count: 3000) + Self.chance(120),
                "7365e039c2c0e0c0e0202825c9c5c8c0cac5c4c0c9fc82fd02cf86b3fac7ea1ab3bd7f3ffa1df26deffd1a9987ed8cfb"
                    + "0def8515f1bba7a7b547aeeab0897c15265c7da975e10d9b90507df375a9d1b7982a679c792c55d6177f7366bfbcbdd9"
                    + "3be70a5fde5ffb96dd7ad2d6774733d7ef7fd8c30285dffd1b2358271ce5bc137c7695b5c7cca0cb4173d9e6bfda7a88"
                    + "4d7886e72646b935461d860ca360148c8251300a46c1281805a360148c82410f06aabf0000"
            ),
        ]
        let pair = try Pair(compressionIndex: Self.index)
        for vector in vectors {
            let packet = try Self.packet(pair, try Self.compressed(vector.hex))
            #expect(try pair.open(packet) == Fixtures.packet(payload: vector.payload))
        }
    }

    /// As long as an IP packet can be, and no octet longer.
    @Test func aBombGoesOffAtTheLengthOfAPacket() throws {
        let pair = try Pair(compressionIndex: Self.index)
        let largest =
            "edc1c10d40400004c04544dc4f13eab88fa7de3520f1bc4411a7103373a4f7a4a66efb5d86cc65cc3ab5e5eaef730600"
            + "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            + "0000000000000000000000000080bff800"
        let inner = try pair.open(try Self.packet(pair, try Self.compressed(largest)))
        #expect(inner.count == 65_535)
        let bomb =
            "edc13101000000c2a0f54f6d094fa0000000000000000000000000000000000000000000000000000000000000000000"
            + "0000000000000000000000000000000000000000000000000000000000000000000080b701"
        #expect(throws: DropReason.badCompression) {
            try pair.open(try Self.packet(pair, try Self.compressed(bomb)))
        }
        // What follows is not hurt by it.
        let next = try Fixtures.packet(payload: Self.fox)
        #expect(try pair.open(try pair.seal(next)) == next)
    }

    @Test func damagedAndForeignPayloadsAreDroppedAndCounted() throws {
        let pair = try Pair(compressionIndex: Self.index)
        let good =
            "736560b8c0c0e0c0e020a8c6cbc5c8c0cac5c4c0c9fc82fd02c39e02fb908c5485c2d2cce46c85a4a2fcf23c85b4fc0a"
            + "85acd2dc826285fcb2d4228512a0744e6255a5424a7eba9ec220510c00"
        let octets = try Self.compressed(good)
        for length in 0..<(octets.count - 1) {
            #expect(throws: DropReason.badCompression) {
                try pair.open(try Self.packet(pair, Array(octets.prefix(length))))
            }
        }
        #expect(pair.inbound.drops[.badCompression] == UInt64(octets.count - 1))
        #expect(throws: DropReason.unknownCompression) {
            try pair.open(try Self.packet(pair, try Self.compressed(good, index: Self.index + 1)))
        }
        // Compressed twice, and something that no tunnel carries.
        for (nextHeader, reason) in [(UInt8(108), DropReason.badCompression), (6, .badNextHeader)] {
            #expect(throws: reason) {
                try pair.open(try Self.packet(pair, try Self.compressed(good, nextHeader: nextHeader)))
            }
        }
        // Where nothing was agreed on there is no such payload.
        let plain = try Pair()
        #expect(throws: DropReason.badNextHeader) { try plain.open(try Self.packet(plain, octets)) }
        // What follows the end is padding that hides the length (RFC 4303 §2.7).
        _ = try pair.open(try Self.packet(pair, octets + [UInt8](repeating: 0, count: 100)))
    }

    @Test func theSelectorsAreAskedAboutWhatWasInside() throws {
        let pair = try Pair(compressionIndex: Self.index)
        let inner = try Fixtures.packet(from: "10.9.0.5", payload: Self.fox + Self.fox)
        #expect(throws: DropReason.outsideSelectors) { try pair.open(try pair.seal(inner)) }
    }

    /// What was opened stays until it is reclaimed; the memory for it does not grow.
    @Test func roomIsBoundedAndComesBack() throws {
        let pair = try Pair(compressionIndex: Self.index)
        let inner = try Fixtures.packet(payload: [UInt8](repeating: 7, count: 60_000))
        var kept: [Range<Int>] = []
        while !pair.inbound.wantsReclaim { kept.append(try pair.openFully(try pair.seal(inner)).opened.inner) }
        #expect(kept.count == 4)
        for place in kept {
            let bytes = unsafe Array(pair.inbound.expanded[place])
            #expect(bytes == inner)
        }
        #expect(throws: DropReason.badCompression) { try pair.open(try pair.seal(inner)) }
        pair.inbound.reclaim()
        #expect(try pair.open(try pair.seal(inner)) == inner)
    }

    /// After eight failures 64 packets are not tried, then one is.
    @Test func whatNeverShrinksIsSoonLeftAlone() throws {
        let pair = try Pair(compressionIndex: Self.index)
        let stubborn = try Fixtures.packet(payload: Self.chance(1000))
        let soft = try Fixtures.packet(payload: [UInt8](repeating: 1, count: 1000))
        for _ in 0..<8 { _ = try pair.seal(stubborn) }
        let lengths = try (0..<66).map { _ in try pair.seal(soft).count }
        #expect(lengths.prefix(64).allSatisfy { $0 > 1000 })
        #expect(lengths.suffix(2).allSatisfy { $0 < 200 })
    }
}
