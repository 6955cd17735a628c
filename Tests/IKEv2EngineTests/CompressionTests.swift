import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// How two ends agree on IPComp, and on their CPIs (RFC 7296 §2.22).
@Suite struct CompressionTests {
    private static func connection(isLeft: Bool, _ compresses: Bool, esp: String = "aes128gcm16") -> Connection {
        var connection = Pair.connection(isLeft: isLeft, esp: esp)
        connection.children[0].compresses = compresses
        return connection
    }

    /// The CPIs of one end's newest SAs, inbound and outbound.
    private static func newest(_ gateway: Gateway) -> CompressionIndices? {
        let last = gateway.installed.suffix(2)
        guard let inbound = last.first?.compressionIndex, let outbound = last.last?.compressionIndex else { return nil }
        return CompressionIndices(inbound: inbound, outbound: outbound)
    }

    private static func mirrored(_ pair: Pair) throws -> CompressionIndices {
        let (left, right) = (try #require(newest(pair.left)), try #require(newest(pair.right)))
        #expect(left.inbound == right.outbound && left.outbound == right.inbound)
        for index in [left.inbound, left.outbound] { #expect(CompressionOffer.negotiated.contains(index)) }
        return left
    }

    @Test func bothWantItAndNameTheirCPIs() throws {
        let pair = Pair(left: Self.connection(isLeft: true, true), right: Self.connection(isLeft: false, true))
        pair.connect()
        let first = try Self.mirrored(pair)
        #expect(pair.left.summary?.children.first?.compression == first)
        // CREATE_CHILD_SA from either end: other CPIs, since the old ones are still in use.
        for gateway in [pair.left, pair.right] {
            gateway.handle(.command(.rekey(.child("net", connection: nil))))
            pair.run()
            let next = try Self.mirrored(pair)
            #expect(next.inbound != first.inbound && next.outbound != first.outbound)
            #expect(pair.left.liveSPIs.count == 2)
        }
    }

    @Test(arguments: [(true, false), (false, true), (false, false)])
    func oneAloneDoesWithout(_ left: Bool, _ right: Bool) {
        let pair = Pair(left: Self.connection(isLeft: true, left), right: Self.connection(isLeft: false, right))
        pair.connect()
        for gateway in [pair.left, pair.right] {
            #expect(gateway.installed.map(\.compressionIndex) == [nil, nil])
            #expect(gateway.summary?.children.first?.compression == nil)
            #expect(gateway.refusals == [])
        }
    }

    @Test func theNotificationSaysWhatTheRFCSays() throws {
        let notify = CompressionOffer(index: 0x1234).notify
        #expect(notify.type.rawValue == 16387 && notify.data == [0x12, 0x34, 2])
        #expect(notify.securityProtocol == nil && notify.spi == [])
        #expect(CompressionOffer(notify)?.index == 0x1234)
        // Too short; a CPI that is not to be negotiated; another algorithm than ours.
        #expect(CompressionOffer(NotifyPayload(.ipcompSupported, [1, 2])) == nil)
        #expect(CompressionOffer(NotifyPayload(.ipcompSupported, [0, 2, 2])) == nil)
        let others = [NotifyPayload(.ipcompSupported, [1, 2, 3]), NotifyPayload(.ipcompSupported, [1, 9, 1])]
        #expect(others.deflateIndex == nil)
        #expect((others + [notify]).deflateIndex == 0x1234)
    }
}
