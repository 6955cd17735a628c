import Clockwork
import GatewayModel
import IPPackets
import NetworkTypes
import Testing

@testable import ESPEngine

/// Fragments that do not show their ports go where the first of their packet went, and nowhere else.
@Suite struct FragmentMemoryTests {
    /// The pieces of a packet without options, with `size` octets each, a multiple of eight.
    static func cut(_ packet: [UInt8], _ size: Int = 1000, identification: UInt16 = 7) -> [[UInt8]] {
        let isV4 = packet[0] >> 4 == 4
        let header = isV4 ? 20 : 40
        return stride(from: 0, to: packet.count - header, by: size).map { offset in
            let end = min(offset + size, packet.count - header)
            let isLast = end == packet.count - header
            var piece = Array(packet[..<header])
            func put(_ value: UInt16, _ place: Int) {
                (piece[place], piece[place + 1]) = (UInt8(value >> 8), UInt8(truncatingIfNeeded: value))
            }
            if isV4 {
                put(UInt16(header + end - offset), 2)
                put(identification, 4)
                put(UInt16(offset / 8) | (isLast ? 0 : 0x2000), 6)
            } else {
                put(UInt16(8 + end - offset), 4)
                piece[6] = 44
                let field = UInt16(offset) | (isLast ? 0 : 1)
                piece += [packet[6], 0, UInt8(field >> 8), UInt8(truncatingIfNeeded: field), 0, 0]
                piece += [UInt8(identification >> 8), UInt8(truncatingIfNeeded: identification)]
            }
            return piece + packet[(header + offset)..<(header + end)]
        }
    }

    private func read(_ packet: [UInt8]) throws -> (part: FragmentFields, fields: PacketSelectorFields) {
        // Octets have no padding: a span of them is a raw span.
        let part = FragmentFields(parsing: unsafe packet.span.bytes)
        return (try #require(part), try PacketSelectorFields(parsing: unsafe packet.span.bytes))
    }

    private func pieces(_ number: Int = 7, v6: Bool = false, ports: (UInt16, UInt16) = (1000, 2000)) throws -> [[UInt8]]
    {
        let payload = (0..<2500).map { UInt8(truncatingIfNeeded: $0) }
        let whole =
            v6
            ? try Fixtures.packet(from: "fd01::5", to: "fd02::9", payload: payload, ports: ports)
            : try Fixtures.packet(payload: payload, ports: ports)
        return Self.cut(whole, identification: UInt16(number))
    }

    @Test(arguments: [false, true]) func fieldsSayWhereAFragmentBelongs(v6: Bool) throws {
        let whole = try Fixtures.packet(from: v6 ? "fd01::5" : "10.1.0.5", to: v6 ? "fd02::9" : "10.2.0.9")
        let none = FragmentFields(parsing: unsafe whole.span.bytes)
        #expect(none == nil)
        let fields = try PacketSelectorFields(parsing: unsafe whole.span.bytes)
        #expect(!fields.isFragment)
        let parts = try pieces(300, v6: v6).map { try read($0) }
        #expect(parts.map(\.part.offset) == [0, 1000, 2000])
        #expect(parts.map(\.part.identification) == [300, 300, 300])
        #expect(parts[0].part.leastNext == 1000)
        #expect(parts.allSatisfy { $0.fields.isFragment })
        #expect(parts.map(\.fields.destinationPort) == [2000, nil, nil])
    }

    @Test func anIPv6PacketThatIsNotCutIsNoFragment() throws {
        var atomic = try pieces(v6: true)[0]
        (atomic[42], atomic[43]) = (0, 0)
        let none = FragmentFields(parsing: unsafe atomic.span.bytes)
        #expect(none == nil)
        let fields = try PacketSelectorFields(parsing: unsafe atomic.span.bytes)
        #expect(!fields.isFragment)
    }

    @Test func theOldestGivesWayWhenItIsFull() throws {
        var memory = FragmentMemory()
        for number in 0...FragmentMemory.capacity {
            let first = try read(try pieces(number)[0])
            memory.remember(first.part, of: first.fields, scope: 0, .block, now: .zero)
        }
        let known = try (0...FragmentMemory.capacity).map { number in
            let later = try read(try pieces(number)[1])
            return memory.recall(later.part, of: later.fields, scope: 0, now: .zero) != nil
        }
        #expect(known == [false] + [Bool](repeating: true, count: FragmentMemory.capacity))
    }

    @Test func whatWasDecidedIsForgottenInTime() throws {
        var memory = FragmentMemory()
        let parts = try pieces().map { try read($0) }
        memory.remember(parts[0].part, of: parts[0].fields, scope: 1, .bypass, now: .zero)
        func found(_ scope: UInt64, _ now: Instant) -> PolicyDatabase.Verdict? {
            memory.recall(parts[1].part, of: parts[1].fields, scope: scope, now: now)?.decision
        }
        #expect(found(1, .zero + .seconds(29)) == .bypass)
        #expect(found(2, .zero) == nil)
        #expect(found(1, .zero + FragmentMemory.patience) == nil)
        // What goes in clear is decided anew when policies change; what is protected goes on.
        memory.forgetUnprotected()
        #expect(found(1, .zero) == nil)
        let handle = OutboundHandle(slot: 1, serial: 2)
        memory.remember(parts[0].part, of: parts[0].fields, scope: 1, .protect(handle), now: .zero)
        memory.forgetUnprotected()
        #expect(found(1, .zero) == .protect(handle))
    }

    @Test("RFC 1858, RFC 3128: nothing writes over what was looked at")
    func nothingWritesOverWhatWasLookedAt() throws {
        var memory = FragmentMemory()
        var tiny = try pieces()[0]
        // TCP, whose flags are in the second eight octets, in a first fragment of eight.
        tiny[9] = 6
        (tiny[2], tiny[3]) = (0, 28)
        let first = try read(tiny)
        #expect(first.part.leastNext == 16)
        memory.remember(first.part, of: first.fields, scope: 0, .bypass, now: .zero)
        for (units, isBehind) in [(1, false), (2, true)] as [(UInt8, Bool)] {
            var later = tiny
            (later[6], later[7]) = (0, units)
            let read = try read(later)
            #expect(memory.recall(read.part, of: read.fields, scope: 0, now: .zero)?.isBehind == isBehind)
        }
    }

    /// Two ends of an SA that takes UDP to port 2000 only.
    private func pair(_ fragments: TunnelBehaviour.LaterFragments) throws -> Pair {
        var association = try Fixtures.association(.inbound)
        association.localSelectors = ["10.2.0.0/16", "fd02::/64"].compactMap { IPPrefix($0) }.map {
            TrafficSelector($0.range, ipProtocol: .udp, ports: .only(2000))
        }
        association.tunnel.laterFragments = fragments
        let pair = try Pair()
        try pair.inbound.install(try InboundSA(association))
        return pair
    }

    @Test(arguments: [false, true]) func whatArrivesFollowsItsFirst(v6: Bool) throws {
        let pair = try pair(.followFirst)
        let (good, bad) = (try pieces(1, v6: v6), try pieces(2, v6: v6, ports: (1000, 2001)))
        // Before the first nothing is known.
        #expect(throws: DropReason.outsideSelectors) { try pair.open(try pair.seal(good[1])) }
        // Two packets, their fragments in turns: one may come in, the other may not.
        for (one, other) in zip(good, bad) {
            #expect(try pair.open(try pair.seal(one)) == one)
            #expect(throws: DropReason.outsideSelectors) { try pair.open(try pair.seal(other)) }
        }
        // Over the ports of the first.
        var forged = good[1]
        if v6 { (forged[42], forged[43]) = (0, 9) } else { (forged[6], forged[7]) = (0x20, 1) }
        #expect(throws: DropReason.malformedInner) { try pair.open(try pair.seal(forged)) }
    }

    @Test func whoDidNotAgreeGetsNone() throws {
        let pair = try pair(.asTheyAre)
        let parts = try pieces()
        #expect(try pair.open(try pair.seal(parts[0])) == parts[0])
        #expect(throws: DropReason.outsideSelectors) { try pair.open(try pair.seal(parts[1])) }
    }

    @Test func aDummyIsSealedAndCountsAsNothing() throws {
        let pair = try Pair()
        let head = OutboundSADatabase.headroom
        var buffer = [UInt8](repeating: 0, count: head + 300 + OutboundSADatabase.tailroom)
        var span = buffer.mutableSpan
        var raw = unsafe span.mutableBytes
        let sealed = try pair.outbound.sealDummy(&raw, payload: head..<(head + 300), by: pair.handle)
        #expect(throws: DropReason.dummy) { try pair.open(Array(buffer[sealed.packet])) }
        #expect(pair.inbound.drops[.dummy] == 1)
        for counters in [pair.sender.counters, pair.receiver.counters] {
            #expect(counters.packets == 0 && counters.bytes == 0 && counters.lastUse == nil)
        }
        // It took a number: what comes after it has another, and is no replay.
        let packet = try Fixtures.packet()
        #expect(try pair.open(try pair.seal(packet)) == packet)
        #expect(throws: DropReason.replayed) { try pair.open(Array(buffer[sealed.packet])) }
    }
}
