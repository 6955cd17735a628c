import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes
import Testing

@testable import ESPEngine

/// DSCP and ECN between inner and outer headers.
struct TrafficClassTests {
    private func behaviour(
        ecn: Bool = true, dscp: TunnelBehaviour.Directions = .outward
    ) -> TunnelBehaviour {
        var behaviour = TunnelBehaviour()
        behaviour.copiesECN = ecn
        behaviour.copiesDSCP = dscp
        return behaviour
    }

    @Test func theOuterHeaderSaysWhatItMay() {
        let inner: UInt8 = 46 << 2 | 3
        #expect(TrafficClass(behaviour()).outer(forInner: inner) == inner)
        #expect(TrafficClass(behaviour(ecn: false)).outer(forInner: inner) == 46 << 2)
        #expect(TrafficClass(behaviour(dscp: [])).outer(forInner: inner) == 3)
        #expect(TrafficClass(behaviour(dscp: .inward)).outer(forInner: inner) == 3)
        #expect(TrafficClass(behaviour(ecn: false, dscp: [])).outer(forInner: inner) == 0)
    }

    /// RFC 6040's figure 4: rows by the inner field, columns by the outer one: Not-ECT, ECT(1), ECT(0), CE.
    @Test func congestionIsToldOn() {
        let rules = TrafficClass(behaviour())
        let (notECT, ect1, ect0, ce): (UInt8, UInt8, UInt8, UInt8) = (0, 1, 2, 3)
        let table: [UInt8: [UInt8?]] = [
            notECT: [notECT, notECT, notECT, nil],
            ect0: [ect0, ect1, ect0, ce],
            ect1: [ect1, ect1, ect1, ce],
            ce: [ce, ce, ce, ce],
        ]
        for inner in 0...3 as ClosedRange<UInt8> {
            for outer in 0...3 as ClosedRange<UInt8> {
                #expect(rules.arriving(inner: inner, outer: outer) == table[inner]?[Int(outer)], "\(inner) \(outer)")
                // The DSCP inside stays.
                let marked = rules.arriving(inner: 46 << 2 | inner, outer: 10 << 2 | outer)
                #expect(marked == table[inner]?[Int(outer)].map { $0 | 46 << 2 })
                #expect(
                    TrafficClass(behaviour(ecn: false, dscp: .inward)).arriving(
                        inner: 46 << 2 | inner, outer: 10 << 2 | outer) == 10 << 2 | inner)
            }
        }
    }

    /// Opens a packet of this class that came in an outer packet of that class.
    private func arrive(_ inner: [UInt8], outer: UInt8, _ behaviour: TunnelBehaviour) throws -> [UInt8] {
        let pair = try Pair(tunnel: behaviour)
        var packet = try pair.seal(inner)
        let length = packet.count
        var span = packet.mutableSpan
        var raw = unsafe span.mutableBytes
        let opened = try pair.inbound.open(
            &raw, packet: 0..<length, PacketArrival(path: Fixtures.path, trafficClass: outer), now: Fixtures.now)
        return Array(packet[opened.inner])
    }

    @Test func packetsAreMarkedInPlace() throws {
        var v4 = try Fixtures.packet()
        TrafficClassField.set(46 << 2 | 2, in: &v4)
        #expect(OnesSumCheck.isRight(Array(v4[..<20])))
        let marked = try arrive(v4, outer: 3, behaviour())
        #expect(marked[1] == 46 << 2 | 3)
        #expect(OnesSumCheck.isRight(Array(marked[..<20])))
        #expect(Array(marked[20...]) == Array(v4[20...]))
        #expect(try arrive(v4, outer: 3, behaviour(ecn: false)) == v4)

        var v6 = try Fixtures.packet(from: "fd01::5", to: "fd02::9")
        TrafficClassField.set(46 << 2 | 2, in: &v6)
        #expect(try IPv6Header(parsing: unsafe v6.span.bytes).trafficClass == 46 << 2 | 2)
        let both = try arrive(v6, outer: 10 << 2 | 3, behaviour(dscp: [.inward, .outward]))
        #expect(try IPv6Header(parsing: unsafe both.span.bytes).trafficClass == 10 << 2 | 3)
        #expect(Array(both[4...]) == Array(v6[4...]))
    }

    @Test func whatCannotBeToldIsDropped() throws {
        let pair = try Pair()
        var packet = try pair.seal(try Fixtures.packet())
        let length = packet.count
        var span = packet.mutableSpan
        var raw = unsafe span.mutableBytes
        #expect(throws: DropReason.congested) {
            try pair.inbound.open(
                &raw, packet: 0..<length, PacketArrival(path: Fixtures.path, trafficClass: 3), now: Fixtures.now)
        }
        #expect(pair.inbound.drops[.congested] == 1)
        #expect(pair.receiver.counters.packets == 0)
    }

    @Test func segmentsOfArrivingConnectionsAreHeldToThePath() throws {
        var packet = try SuperPacket(payload: [1], segmentSize: 1, options: 4, flags: 2)
        packet.bytes.replaceSubrange(40..<44, with: [2, 4, 5, 0xb4])
        packet.header.segmentation = .none
        let syn = try #require(try SuperPacket.cut(packet.bytes, packet.header).first)
        let pair = try Pair(pathMTU: 1500)
        let opened = try pair.open(try pair.seal(syn))
        // 1500 - 20 - 8 - 8 - 8 - 16, whole words, less padding length, next header and 40 octets of headers.
        #expect(Int(opened[42]) << 8 | Int(opened[43]) == 1438 - 40)
        let free = try Pair()
        #expect(try free.open(try free.seal(syn)) == syn)
    }
}

extension TrafficClassField {
    fileprivate static func set(_ value: UInt8, in bytes: inout [UInt8]) {
        var span = bytes.mutableSpan
        var raw = unsafe span.mutableBytes
        set(value, in: &raw, at: 0)
    }
}
