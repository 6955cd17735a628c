import Clockwork
import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes
import Testing

@testable import ESPEngine

/// What an authentic peer may put inside, and what it may not.
struct DecapsulatorTests {
    @Test func paddingIsVerified() throws {
        let inner = try Fixtures.packet()
        let cases: [([UInt8], DropReason?)] = [
            ([1, 2, 3, 3, 4], nil), ([0, 4], nil), (Array(1...255) + [255, 4], nil),
            ([1, 2, 4, 3, 4], .badPadding), ([0, 0, 2, 4], .badPadding), ([1, 255, 4], .badPadding),
            ([1, 2, 255, 4], .badPadding),
        ]
        for (tail, expected) in cases {
            let pair = try Pair()
            let packet = try Fixtures.forge(inner + tail)
            if let expected {
                #expect(throws: expected) { try pair.open(packet) }
                #expect(pair.inbound.drops[expected] == 1)
                // It was authentic: its number is used.
                #expect(throws: DropReason.replayed) { try pair.open(packet) }
            } else {
                #expect(try pair.open(packet) == inner)
            }
        }
        let pair = try Pair()
        #expect(throws: DropReason.badPadding) { try pair.open(try Fixtures.forge([1, 4])) }
    }

    @Test func nextHeaderSaysWhatIsInside() throws {
        let v4 = try Fixtures.packet()
        let v6 = try Fixtures.packet(from: "fd01::1", to: "fd02::1")
        let cases: [([UInt8], UInt8, DropReason?)] = [
            (v4, 4, nil), (v6, 41, nil), (v4, 41, .malformedInner), (v6, 4, .malformedInner), (v4, 59, .dummy),
            ([], 59, .dummy), (v4, 6, .badNextHeader), (v4, 50, .badNextHeader), (v4, 0, .badNextHeader),
            ([], 4, .malformedInner), ([0x45], 4, .malformedInner), (Array(v4.dropLast()), 4, .malformedInner),
            (Array(v6.prefix(39)), 41, .malformedInner),
        ]
        for (inner, nextHeader, expected) in cases {
            let pair = try Pair()
            let packet = try Fixtures.forge(inner + [0, nextHeader])
            if let expected {
                #expect(throws: expected) { try pair.open(packet) }
                #expect(pair.inbound.drops[expected] == 1)
                #expect(pair.receiver.counters.packets == 0)
            } else {
                #expect(try pair.open(packet) == inner)
            }
        }
    }

    @Test func whatFollowsTheInnerPacketIsCutOff() throws {
        let pair = try Pair()
        let inner = try Fixtures.packet()
        #expect(try pair.open(try Fixtures.forge(inner + [UInt8](repeating: 0, count: 300) + [0, 4])) == inner)
    }

    @Test(arguments: [
        ("10.1.0.5", "10.2.0.9", true), ("10.1.255.255", "10.2.255.255", true), ("fd01::1", "fd02::1", true),
        ("10.3.0.5", "10.2.0.9", false), ("10.1.0.5", "10.1.0.9", false), ("10.2.0.5", "10.1.0.9", false),
        ("192.168.0.1", "10.2.0.9", false), ("10.1.0.5", "8.8.8.8", false), ("fd03::1", "fd02::1", false),
        ("fd01::1", "fd02:0:0:1::1", false),
    ])
    func addressesMustLieInTheSelectors(source: String, destination: String, allowed: Bool) throws {
        let pair = try Pair()
        let inner = try Fixtures.packet(from: source, to: destination)
        let sealed = try pair.seal(inner)
        if allowed {
            #expect(try pair.open(sealed) == inner)
        } else {
            #expect(throws: DropReason.outsideSelectors) { try pair.open(sealed) }
            #expect(pair.inbound.drops[.outsideSelectors] == 1)
            #expect(pair.receiver.counters.packets == 0)
        }
    }

    @Test func portsAndProtocolMustLieInTheSelectors() throws {
        var association = try Fixtures.association(.inbound)
        association.localSelectors = [
            TrafficSelector(try Fixtures.prefix("10.2.0.0/16").range, ipProtocol: .udp, ports: .range(2000...2001))
        ]
        let pair = try Pair()
        try pair.inbound.install(try InboundSA(association))
        _ = try pair.open(try pair.seal(try Fixtures.packet(ports: (1, 2000))))
        #expect(throws: DropReason.outsideSelectors) {
            try pair.open(try pair.seal(try Fixtures.packet(ports: (1, 2002))))
        }
        // A later fragment hides its ports, so it can't be said to be allowed.
        var fragment = try Fixtures.packet(ports: (1, 2000))
        fragment[7] = 1
        #expect(throws: DropReason.outsideSelectors) { try pair.open(try pair.seal(fragment)) }
    }

    @Test func randomTextNeverTraps() throws {
        var random = SeededEntropy(seed: 3)
        let pair = try Pair(window: 0)
        var opened = 0
        for round in 0..<20_000 {
            var text = random.bytes(Int(random.below(120)) + 2)
            text[text.count - 1] = [4, 41, 59, 6][round % 4]
            text[text.count - 2] = UInt8(random.below(3))
            if round % 2 == 0 { text[0] = random.uint32() & 1 == 0 ? 0x45 : 0x60 }
            if (try? pair.open(try Fixtures.forge(text, sequence: UInt64(round) + 1))) != nil { opened += 1 }
        }
        #expect(opened == 0)
        #expect(pair.receiver.counters.forgeries == 0)
    }
}
