import GatewayModel
import IPsecCrypto
import NetworkTypes
import Testing

@testable import ESPEngine

/// How much an SA may carry: told once when it is time, and nothing more after the end.
struct VolumeTests {
    private func limits(
        _ softPackets: UInt64?, _ hardPackets: UInt64?, bytes soft: UInt64? = nil, _ hard: UInt64? = nil
    ) -> VolumeLimits {
        var limits = VolumeLimits()
        limits.softPackets = softPackets
        limits.hardPackets = hardPackets
        limits.softBytes = soft
        limits.hardBytes = hard
        return limits
    }

    /// What each of so many packets brings at the end that sends.
    private func sent(_ count: Int, _ limits: VolumeLimits) throws -> [VolumeMark?] {
        let pair = try Pair(limits: limits)
        return try (0..<count).map { _ in
            var buffer = [UInt8](repeating: 0, count: 24) + (try Fixtures.packet()) + [UInt8](repeating: 0, count: 49)
            var span = buffer.mutableSpan
            var raw = unsafe span.mutableBytes
            return try pair.outbound.seal(&raw, inner: 24..<(24 + 68), by: pair.handle, now: Fixtures.now).mark
        }
    }

    @Test func packetsAreCounted() throws {
        #expect(try sent(6, limits(3, 5).without(\.hardPackets)) == [nil, nil, .soft, nil, nil, nil])
        #expect(try sent(5, limits(3, 5)) == [nil, nil, .soft, nil, .hard])
        #expect(try sent(2, limits(nil, 2)) == [nil, .hard])
        // A soft limit that lies after the hard one is never come to.
        #expect(try sent(2, limits(7, 2)) == [nil, .hard])
        #expect(throws: DropReason.volumeExhausted) { try sent(6, limits(3, 5)) }
    }

    @Test func octetsAreCounted() throws {
        // 68 octets each.
        #expect(try sent(4, limits(nil, nil, bytes: 136, 272)) == [nil, .soft, nil, .hard])
        #expect(try sent(4, limits(nil, nil, bytes: 137, 273)) == [nil, nil, .soft, nil])
        // Whichever comes first.
        #expect(try sent(4, limits(1, nil, bytes: 136, 272)) == [.soft, .soft, nil, .hard])
    }

    @Test func whoReceivesCountsAsWell() throws {
        let pair = try Pair(receiving: limits(2, 3))
        var marks: [VolumeMark?] = []
        for _ in 0..<3 { marks.append(try pair.openFully(try pair.seal(try Fixtures.packet())).opened.mark) }
        #expect(marks == [nil, .soft, .hard])
        let late = try pair.seal(try Fixtures.packet())
        #expect(throws: DropReason.volumeExhausted) { try pair.open(late) }
        #expect(pair.inbound.drops[.volumeExhausted] == 1)
        #expect(pair.receiver.counters.packets == 3)
    }

    @Test func theSoftLimitIsToldAgain() {
        var meter = VolumeMeter(limits(100, nil))
        var told: [UInt64] = []
        for packets in 1...5000 as ClosedRange<UInt64> {
            meter.count((packets, packets * 100))
            if meter.takeMark() == .soft { told.append(packets) }
        }
        #expect(told == [100, 1124, 2148, 3172, 4196])
    }

    @Test func limitsFollowFromAConfiguration() {
        let volume = VolumeLifetime(
            bytes: .init(rekey: 1000, life: 1100, random: 200), packets: .init(rekey: 1, life: 0, random: 50))
        let early = volume.limits(bytesChance: 1, packetsChance: 1)
        #expect(early.softBytes == 800 && early.hardBytes == 1100)
        #expect(early.softPackets == 1 && early.hardPackets == nil)
        #expect(volume.limits(bytesChance: 0, packetsChance: 0).softBytes == 1000)
        #expect(VolumeLifetime().limits(bytesChance: 0.5, packetsChance: 0.5) == VolumeLimits())
    }
}

extension VolumeLimits {
    fileprivate func without(_ path: WritableKeyPath<Self, UInt64?>) -> Self {
        var copy = self
        copy[keyPath: path] = nil
        return copy
    }
}
