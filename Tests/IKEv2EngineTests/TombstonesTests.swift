import Clockwork
import GatewayModel
import IKECore
import NetworkTypes
import Testing

@testable import IKEv2Engine

@Suite struct TombstonesTests {
    private let peer = IPAddress(v4: 0xcb00_7109)
    private let start = Instant.zero + .seconds(1000)

    private func tombstones(_ count: Int) -> Tombstones {
        var tombstones = Tombstones()
        for spi in 1...UInt64(count) {
            tombstones.add(spi: spi, messageID: 7, address: peer, [[UInt8(truncatingIfNeeded: spi)]], now: start)
        }
        return tombstones
    }

    @Test func theOldestGoWhenThereAreTooMany() {
        let count = 3 * Tombstones.capacity + 5
        var tombstones = tombstones(count)
        func answer(_ spi: Int) -> [[UInt8]]? {
            tombstones.answer(spi: UInt64(spi), messageID: 7, from: peer, now: start)
        }
        for spi in 1...count {
            let isKept = spi > count - Tombstones.capacity
            #expect(answer(spi) == (isKept ? [[UInt8(truncatingIfNeeded: spi)]] : nil))
        }
    }

    @Test func eachIsShownSoOftenAndForSoLong() {
        var tombstones = tombstones(3)
        for shown in 0...Tombstones.answers {
            let answer = tombstones.answer(spi: 2, messageID: 7, from: peer, now: start)
            #expect((answer == nil) == (shown == Tombstones.answers))
        }
        #expect(tombstones.answer(spi: 3, messageID: 8, from: peer, now: start) == nil)
        #expect(tombstones.answer(spi: 3, messageID: 7, from: IPAddress(v4: 0xcb00_710a), now: start) == nil)
        #expect(tombstones.answer(spi: 3, messageID: 7, from: peer, now: start) == [[3]])
        #expect(tombstones.answer(spi: 3, messageID: 7, from: peer, now: start + Tombstones.lifetime) == nil)
    }

    @Test func anSPISpeaksForItsLastOwner() {
        var tombstones = tombstones(2)
        tombstones.add(spi: 1, messageID: 9, address: peer, [[99]], now: start)
        #expect(tombstones.answer(spi: 1, messageID: 7, from: peer, now: start) == nil)
        #expect(tombstones.answer(spi: 1, messageID: 9, from: peer, now: start) == [[99]])
    }
}

@Suite struct EffectsTests {
    /// What the data plane is to do comes first, and all else stays in its order.
    @Test func thePlaneComesFirst() {
        var effects = Effects()
        for round in 1...2 {
            for number in UInt32(1)...3 {
                effects.append(
                    .publish(Event(time: .zero, ikeSA: IKESAID(rawValue: number), connection: nil, kind: .peerAlive)))
                effects.append(.plane(.remove(.outbound, spi: number, of: ChildSAID(rawValue: number))))
            }
            let taken = effects.take().map { effect in
                switch effect {
                case .plane(.remove(_, let spi, _)): "plane \(spi)"
                case .publish(let event): "event \(event.ikeSA?.description ?? "")"
                default: "?"
                }
            }
            #expect(taken == ["plane 1", "plane 2", "plane 3", "event 1", "event 2", "event 3"], "round \(round)")
            #expect(effects.isEmpty)
        }
    }
}
