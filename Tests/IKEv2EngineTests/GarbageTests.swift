import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// What nobody honest sends must neither stop a handshake, nor trap, nor leave anything behind.
@Suite struct GarbageTests {
    /// Each message of a handshake arrives first in `count` damaged forms, then as it is.
    private func handshake(seed: UInt64, damage: @escaping (inout [UInt8], inout SeededEntropy) -> Void, count: Int)
        -> Pair
    {
        let pair = Pair(seed: seed)
        var entropy = SeededEntropy(seed: seed &* 31)
        pair.wire = { datagram, _ in
            var all: [Datagram] = []
            for _ in 0..<count {
                var copy = datagram
                damage(&copy.bytes, &entropy)
                if copy.bytes != datagram.bytes { all.append(copy) }
            }
            return all + [datagram]
        }
        pair.connect()
        pair.wire = { datagram, _ in [datagram] }
        return pair
    }

    private static func flipSealedBit(_ bytes: inout [UInt8], _ entropy: inout SeededEntropy) {
        // IKE_SA_INIT travels in clear: a change there is a change of the message.
        guard bytes.count > 28, bytes[18] != 34 else { return }
        let bit = Int(entropy.below(UInt64(bytes.count * 8)))
        bytes[bit / 8] ^= 1 << UInt8(bit % 8)
    }

    private static func damage(_ bytes: inout [UInt8], _ entropy: inout SeededEntropy) {
        switch entropy.below(5) {
        case 0: bytes = Array(bytes.prefix(Int(entropy.below(UInt64(bytes.count + 1)))))
        case 1: bytes += entropy.bytes(Int(entropy.below(64)))
        case 2:
            for _ in 0..<(1 + entropy.below(8)) {
                bytes[Int(entropy.below(UInt64(bytes.count)))] = UInt8(entropy.below(256))
            }
        case 3:
            // The length is right and the contents are not.
            let index = Int(entropy.below(UInt64(bytes.count)))
            if !(24..<28).contains(index) { bytes[index] ^= UInt8(1 + entropy.below(255)) }
        default: bytes = entropy.bytes(Int(entropy.below(400)))
        }
    }

    private static func lengthen(_ bytes: inout [UInt8], _ entropy: inout SeededEntropy) {
        bytes += entropy.bytes(1)
    }

    /// Ends everything and looks whether anything is left.
    private func expectNoLeak(_ pair: Pair) {
        pair.advance(.seconds(400))
        pair.left.handle(.command(.shutdown))
        pair.right.handle(.command(.shutdown))
        pair.advance(.seconds(400))
        #expect(pair.left.isEmpty)
        #expect(pair.right.isEmpty)
    }

    @Test(arguments: 1...20)
    func flippedBitsInSealedMessagesStopNothing(seed: UInt64) {
        let pair = handshake(seed: seed, damage: Self.flipSealedBit, count: 40)
        #expect(pair.left.summary?.state == .established)
        #expect(pair.right.summary?.state == .established)
        #expect(pair.left.endpoint.counts.childSAs == 1)
        expectNoLeak(pair)
    }

    @Test(arguments: 1...20)
    func anythingMayBeDamagedAnyhow(seed: UInt64) {
        let pair = handshake(seed: seed, damage: Self.damage, count: 30)
        pair.advance(.seconds(10))
        expectNoLeak(pair)
    }

    @Test func junkThatLooksLikeIKEAuthIsCountedAndForgotten() throws {
        let pair = Pair()
        pair.initiate()
        let request = try #require(pair.left.takeOutbox().first)
        pair.right.handle(.datagram(Datagram(request.bytes, path: request.path.reversed, socket: .plain)))
        let answer = try #require(pair.right.takeOutbox().first)
        let spis = try #require(header(answer))
        var entropy = SeededEntropy(seed: 5)
        for _ in 0..<100 {
            var writer = WireWriter()
            writer.uint64(spis.initiatorSPI)
            writer.uint64(spis.responderSPI)
            for octet: UInt8 in [46, 0x20, 35, 8] { writer.uint8(octet) }
            writer.uint32(1)
            writer.uint32(28 + 4 + 200)
            writer.uint8(35)
            writer.uint8(0)
            writer.uint16(204)
            writer.append(entropy.bytes(200))
            pair.right.handle(.datagram(Datagram(writer.bytes, path: request.path.reversed, socket: .plain)))
        }
        #expect(pair.right.drops.filter { $0 == .forged }.count == 100)
        pair.left.handle(.datagram(Datagram(answer.bytes, path: answer.path.reversed, socket: .plain)))
        pair.run()
        #expect(pair.right.summary?.state == .established)
        expectNoLeak(pair)
    }

    @Test func unknownSPIsAndFragmentsAreDropped() throws {
        let pair = Pair()
        pair.connect()
        var stray = pair.trace[2].datagram
        stray.bytes[8] ^= 1
        pair.right.handle(.datagram(Datagram(stray.bytes, path: stray.path.reversed, socket: .natTraversal)))
        #expect(pair.right.drops.last == .unknownSPI)
        #expect(pair.right.takeOutbox() == [])
    }

    @Test func requestsBeforeAuthenticationEstablishNothing() throws {
        let pair = Pair()
        pair.initiate()
        let request = try #require(pair.left.takeOutbox().first)
        pair.right.handle(.datagram(Datagram(request.bytes, path: request.path.reversed, socket: .plain)))
        let answer = try #require(pair.right.takeOutbox().first)
        let spis = try #require(header(answer))
        for exchange in [ExchangeType.informational, .createChildSA, .ikeAuth] {
            let message = Message(
                IKEHeader(
                    initiatorSPI: spis.initiatorSPI, responderSPI: spis.responderSPI, exchange: exchange,
                    flags: .initiator, messageID: 1), [.delete(DeletePayload(.ikeSA))])
            pair.right.handle(
                .datagram(Datagram(try message.encoded(), path: request.path.reversed, socket: .plain)))
        }
        #expect(pair.right.endpoint.counts.halfOpen == 1)
        #expect(pair.right.drops.count == 3)
        #expect(pair.right.takeOutbox() == [])
    }

    @Test func theSameSeedsDoTheSame() {
        let first = handshake(seed: 9, damage: Self.lengthen, count: 2)
        let second = handshake(seed: 9, damage: Self.lengthen, count: 2)
        #expect(first.trace.map(\.datagram) == second.trace.map(\.datagram))
        #expect(first.left.kinds == second.left.kinds)
        #expect(first.right.kinds == second.right.kinds)
        let third = handshake(seed: 10, damage: Self.lengthen, count: 2)
        #expect(first.trace.map(\.datagram) != third.trace.map(\.datagram))
    }
}
