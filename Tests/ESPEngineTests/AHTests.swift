import Clockwork
import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import ESPEngine

/// AH in both modes: what the integrity check covers, what may change on the way, and what is put back.
struct AHTests {
    struct Shape: Sendable, CustomTestStringConvertible {
        let outer: IPAddress.Family
        let isTransport: Bool
        var testDescription: String { "\(outer) \(isTransport ? "transport" : "tunnel")" }
    }

    static let shapes = [IPAddress.Family.v4, .v6].flatMap { family in
        [true, false].map { Shape(outer: family, isTransport: $0) }
    }
    static let algorithms = AlgorithmRegistry.algorithms.filter {
        $0.transform.type == .integrity && $0.uses.contains(.ah)
    }.map(\.transform)

    /// The two ends of one SA.
    final class Ends {
        var outbound = OutboundAHDatabase()
        var inbound = InboundAHDatabase()
        let sender: OutboundAH
        let receiver: InboundAH
        let path: Path

        init(
            _ shape: Shape, _ integrity: Transform = .sha256, extended: Bool = false, window: Int = 64,
            inner: (String, String)? = nil
        ) throws {
            let v4 = shape.outer == .v4
            let hosts = (v4 ? "192.0.2.1" : "2001:db8::1", v4 ? "192.0.2.2" : "2001:db8::2")
            let way = Path(
                local: Endpoint(try Fixtures.address(hosts.0), 0), remote: Endpoint(try Fixtures.address(hosts.1), 0))
            path = way
            let length = try #require(PacketAuthenticator.keyLength(of: integrity))
            func association(_ direction: SecurityAssociation.Direction) throws -> SecurityAssociation {
                var made = try Fixtures.association(direction, window: window)
                made.securityProtocol = .ah
                made.encryption = Transform(.encryption, 0)
                made.encryptionKey = SecretBytes([])
                made.integrity = integrity
                made.integrityKey = SecretBytes((0..<length).map { UInt8($0) &+ 9 })
                made.mode = shape.isTransport ? .transport : .tunnel
                made.usesExtendedSequenceNumbers = extended
                made.encapsulation = .none
                made.path = direction == .outbound ? way : way.reversed
                if shape.isTransport {
                    made.localSelectors = [TrafficSelector(AddressRange(host: made.path.local.address))]
                    made.remoteSelectors = [TrafficSelector(AddressRange(host: made.path.remote.address))]
                }
                return made
            }
            var entropy = SeededEntropy(seed: 3)
            sender = try OutboundAH(try association(.outbound), serial: 1, entropy: &entropy)
            receiver = try InboundAH(try association(.inbound))
            try outbound.install(sender, at: 0)
            try inbound.install(receiver)
        }

        func seal(_ inner: [UInt8]) throws(DropReason) -> [UInt8] {
            let family = IPAddress.Family(rawValue: inner[0] >> 4) ?? .v4
            let head = sender.headroom(for: family, along: path)
            var buffer = [UInt8](repeating: 0xee, count: head) + inner
            var span = buffer.mutableSpan
            var raw = unsafe span.mutableBytes
            let sealed = try outbound.seal(
                &raw, inner: head..<(head + inner.count), by: sender, along: path,
                TrafficClass(TunnelBehaviour()), now: Fixtures.now)
            #expect(sealed.packet == 0..<(head + inner.count))
            return Array(buffer[sealed.packet])
        }

        func open(_ packet: [UInt8]) throws(DropReason) -> [UInt8] {
            var buffer = packet + [1, 2, 3]
            var span = buffer.mutableSpan
            var raw = unsafe span.mutableBytes
            let opened = try inbound.open(
                &raw, packet: 0..<packet.count, PacketArrival(path: path.reversed), now: Fixtures.now)
            return Array(buffer[opened.inner])
        }
    }

    /// What the SA of a shape may carry, of each family that it can.
    static func inners(_ shape: Shape, payload: [UInt8] = Array(0..<40)) throws -> [[UInt8]] {
        if shape.isTransport {
            return [
                shape.outer == .v4
                    ? try Fixtures.packet(from: "192.0.2.1", to: "192.0.2.2", payload: payload)
                    : try Fixtures.packet(from: "2001:db8::1", to: "2001:db8::2", payload: payload)
            ]
        }
        return [
            try Fixtures.packet(payload: payload),
            try Fixtures.packet(from: "fd01::5", to: "fd02::9", payload: payload),
        ]
    }

    @Test(arguments: shapes, algorithms) func carriesEverySize(_ shape: Shape, _ integrity: Transform) throws {
        for extended in [false, true] {
            let ends = try Ends(shape, integrity, extended: extended)
            var count: UInt64 = 0
            for size in stride(from: 0, to: 70, by: 3) {
                for inner in try Self.inners(shape, payload: (0..<size).map { UInt8($0) }) {
                    let sealed = try ends.seal(inner)
                    let start = shape.outer == .v4 ? 20 : 40
                    #expect(sealed[shape.outer == .v4 ? 9 : 6] == 51)
                    #expect((Int(sealed[start + 1]) + 2) * 4 % (shape.outer == .v4 ? 4 : 8) == 0)
                    #expect(try ends.open(sealed) == inner)
                    #expect(throws: DropReason.replayed) { try ends.open(sealed) }
                    count += 1
                }
            }
            #expect(ends.sender.counters.packets == count)
            #expect(ends.receiver.counters.packets == count)
            #expect(ends.receiver.counters.replays == count)
        }
    }

    /// Whether a router may change this bit of a header without options.
    private static func isMutable(_ bit: Int, _ family: IPAddress.Family) -> Bool {
        switch (family, bit / 8) {
        case (.v4, 1), (.v4, 8), (.v4, 10), (.v4, 11): true
        case (.v4, 6), (.v4, 7): true
        case (.v6, 0): bit % 8 < 4
        case (.v6, 1), (.v6, 2), (.v6, 3), (.v6, 7): true
        default: false
        }
    }

    @Test(arguments: shapes) func everyBitThatMustNotChangeIsCovered(_ shape: Shape) throws {
        let ends = try Ends(shape)
        _ = try ends.open(try ends.seal(try Self.inners(shape)[0]))
        let good = try ends.seal(try Self.inners(shape)[0])
        let header = shape.outer == .v4 ? 20 : 40
        var mutable = 0
        for bit in 0..<(good.count * 8) {
            var changed = good
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            if bit < header * 8, Self.isMutable(bit, shape.outer) {
                mutable += 1
                continue
            }
            #expect(throws: DropReason.self, "bit \(bit)") { try ends.open(changed) }
        }
        #expect(mutable == (shape.outer == .v4 ? 48 : 36))
        #expect(ends.receiver.counters.forgeries > 0)
        #expect(ends.receiver.counters.packets == 1)
        // All that may change at once: another traffic class, fewer hops, a flow label, a checksum that follows.
        var travelled = good
        if shape.outer == .v4 {
            travelled[1] = 0xb8
            travelled[8] = 3
            travelled[10] ^= 0x55
        } else {
            travelled[0] |= 0x0b
            travelled[1] = 0x8f
            travelled[2] = 0x12
            travelled[7] = 2
        }
        let opened = try ends.open(travelled)
        if shape.isTransport {
            // They belong to the packet then.
            #expect(opened[shape.outer == .v4 ? 8 : 7] == (shape.outer == .v4 ? 3 : 2))
            #expect(opened[0] == travelled[0])
        } else {
            #expect(opened == (try Self.inners(shape)[0]))
        }
    }

    @Test func theHighHalfOfAnExtendedNumberIsCovered() throws {
        let shape = Self.shapes[1]
        let (extended, plain) = (try Ends(shape, extended: true), try Ends(shape, extended: false))
        let inner = try Self.inners(shape)[0]
        let sealed = try extended.seal(inner)
        #expect(sealed.count == (try plain.seal(inner)).count)
        #expect(throws: DropReason.forged) { try plain.open(sealed) }
        #expect(try extended.open(sealed) == inner)
    }

    @Test func paddingIsAsLongAsTheFamilyWants() throws {
        // SHA-256 has a tag of 16 octets: 28 in all, which IPv6 rounds up.
        for (shape, length) in [(Self.shapes[0], 28), (Self.shapes[2], 32)] {
            let ends = try Ends(shape)
            let inner = try Self.inners(shape)[0]
            #expect(try ends.seal(inner).count == inner.count + length)
        }
    }

    // MARK: Options and extension headers

    private static func withOptions(_ options: [UInt8]) throws -> [UInt8] {
        var packet = try Fixtures.packet(from: "192.0.2.1", to: "192.0.2.2")
        packet.insert(contentsOf: options, at: 20)
        packet[0] = 0x45 + UInt8(options.count / 4)
        packet[3] = UInt8(packet.count)
        return packet
    }

    @Test func optionsThatMayChangeDoAndOthersDoNot() throws {
        let shape = Self.shapes[0]
        let ends = try Ends(shape)
        // Router alert, a time stamp, record route with room for one, the end.
        let alert: [UInt8] = [0x94, 4, 0, 0]
        let stamp: [UInt8] = [68, 8, 5, 0, 0, 0, 0, 0]
        let record: [UInt8] = [7, 7, 4, 0, 0, 0, 0]
        let inner = try Self.withOptions(alert + stamp + record + [0])
        var sealed = try ends.seal(inner)
        #expect(sealed[9] == 51)
        #expect(Array(sealed[20..<40]) == alert + stamp + record + [0])
        // A router stamps and records.
        sealed.replaceSubrange(26..<32, with: [9, 0x10, 1, 2, 3, 4])
        sealed.replaceSubrange(34..<39, with: [8, 192, 0, 2, 77])
        let opened = try ends.open(sealed)
        #expect(opened.count == inner.count)
        #expect(Array(opened[34..<39]) == [8, 192, 0, 2, 77])
        #expect(opened[9] == 17)
        var changed = try ends.seal(inner)
        changed[23] = 1
        #expect(throws: DropReason.forged) { try ends.open(changed) }
        for broken in [[0x94, 9, 0, 0], [0x94, 1, 0, 0], [7, 0, 0, 0], [1, 1, 1, 7]] as [[UInt8]] {
            let packet = try Self.withOptions(broken)
            #expect(throws: DropReason.malformedPacket) { try ends.seal(packet) }
        }
    }

    @Test func aSourceRouteIsCheckedAsItArrives() throws {
        let ends = try Ends(Self.shapes[0])
        // Loose source route: over 198.51.100.7, which is the first destination, to 192.0.2.2.
        var inner = try Self.withOptions([1, 131, 7, 4, 192, 0, 2, 2])
        inner.replaceSubrange(16..<20, with: [198, 51, 100, 7])
        var sealed = try ends.seal(inner)
        #expect(Array(sealed[16..<20]) == [198, 51, 100, 7])
        // The router on the way: the pointer moves on, its own address is recorded.
        sealed.replaceSubrange(16..<20, with: [192, 0, 2, 2])
        sealed.replaceSubrange(23..<28, with: [8, 198, 51, 100, 8])
        #expect(try ends.open(sealed).suffix(48) == inner.suffix(48))
        var elsewhere = try ends.seal(inner)
        elsewhere.replaceSubrange(16..<20, with: [192, 0, 2, 3])
        elsewhere.replaceSubrange(23..<28, with: [8, 198, 51, 100, 8])
        #expect(throws: DropReason.forged) { try ends.open(elsewhere) }
    }

    private static func withExtensions(_ first: UInt8, _ extensions: [UInt8]) throws -> [UInt8] {
        var packet = try Fixtures.packet(from: "2001:db8::1", to: "2001:db8::2")
        packet.insert(contentsOf: extensions, at: 40)
        packet[6] = first
        packet[5] = UInt8(packet.count - 40)
        return packet
    }

    @Test func extensionHeadersComeBeforeAndAfterAH() throws {
        let ends = try Ends(Self.shapes[2])
        // Hop by hop: an option that may change (0x3e), one that may not (0x1e). Then destination options, which are the
        // receiver's. Then UDP.
        let hops: [UInt8] = [60, 1, 0x3e, 2, 1, 2, 0x1e, 2, 3, 4, 1, 4, 0, 0, 0, 0]
        let ours: [UInt8] = [17, 0, 0x1e, 4, 9, 9, 9, 9]
        let inner = try Self.withExtensions(0, hops + ours)
        var sealed = try ends.seal(inner)
        #expect(sealed[6] == 0)
        #expect(sealed[40] == 51)
        #expect(sealed[56] == 60)
        #expect(Array(sealed[(56 + 32)..<(56 + 40)]) == ours)
        sealed[44] = 0xaa
        var expected = inner
        expected[44] = 0xaa
        #expect(try ends.open(sealed) == expected)
        for place in [46, 48, 51, 56 + 36] {
            var changed = try ends.seal(inner)
            changed[place] ^= 1
            #expect(throws: DropReason.self, "octet \(place)") { try ends.open(changed) }
        }
    }

    @Test func aRouteIsCheckedAsItArrives() throws {
        let ends = try Ends(Self.shapes[2])
        // Type 2: one address, still to be visited; the packet goes to 2001:db8::77 first.
        let home = try Fixtures.address("2001:db8::2").bytes
        let careOf = try Fixtures.address("2001:db8::77").bytes
        var inner = try Self.withExtensions(43, [17, 2, 2, 1, 0, 0, 0, 0] + home)
        inner.replaceSubrange(24..<40, with: careOf)
        var sealed = try ends.seal(inner)
        #expect(Array(sealed[24..<40]) == careOf)
        #expect(sealed[43] == 1)
        sealed[43] = 0
        sealed.replaceSubrange(24..<40, with: home)
        sealed.replaceSubrange(48..<64, with: careOf)
        let opened = try ends.open(sealed)
        #expect(opened.count == inner.count)
        #expect(opened[40] == 17)
        // A route of another type that is still to be taken can't be foreseen.
        var segments = inner
        segments[42] = 4
        #expect(throws: DropReason.malformedPacket) { try ends.seal(segments) }
        segments[43] = 0
        #expect(throws: Never.self) { _ = try ends.seal(segments) }
    }

    // MARK: What must not be

    @Test(arguments: shapes) func brokenPacketsAreDropped(_ shape: Shape) throws {
        let ends = try Ends(shape)
        let good = try ends.seal(try Self.inners(shape)[0])
        for length in 0..<good.count {
            #expect(throws: DropReason.self) { try ends.open(Array(good.prefix(length))) }
        }
        // Any length octet of AH.
        let field = (shape.outer == .v4 ? 20 : 40) + 1
        for value in 0...255 where value != Int(good[field]) {
            var changed = good
            changed[field] = UInt8(value)
            #expect(throws: DropReason.self) { try ends.open(changed) }
        }
        #expect(ends.receiver.counters.packets == 0)
        #expect(try ends.open(good) == Self.inners(shape)[0])
    }

    @Test func fragmentsAndStrangersDoNotGo() throws {
        let ends = try Ends(Self.shapes[0])
        var fragment = try Self.inners(Self.shapes[0])[0]
        fragment[6] = 0x20
        #expect(throws: DropReason.fragmentInTransport) { try ends.seal(fragment) }
        let six = try Ends(Self.shapes[2])
        let pieces = try Self.withExtensions(44, [17, 0, 0, 1, 0, 0, 0, 1])
        #expect(throws: DropReason.fragmentInTransport) { try six.seal(pieces) }
        let tunnel = try Ends(Self.shapes[1])
        let outside = try tunnel.seal(try Fixtures.packet(from: "10.9.0.1", to: "10.2.0.9"))
        #expect(throws: DropReason.outsideSelectors) { try tunnel.open(outside) }
        #expect(throws: DropReason.unknownSPI) {
            try Ends(Self.shapes[1]).open([UInt8](outside[..<24]) + [9] + outside[25...])
        }
    }

    @Test func itNeverGoesIntoUDP() throws {
        var association = try Fixtures.association(.inbound)
        association.securityProtocol = .ah
        association.integrity = .sha256
        #expect(throws: SAError.authenticationHeaderInUDP) { try InboundAH(association) }
    }

    @Test func theSameKeyGoesOnWithTheNextNumber() throws {
        let ends = try Ends(Self.shapes[1])
        let inner = try Self.inners(Self.shapes[1])[0]
        _ = try ends.open(try ends.seal(inner))
        let again = try Ends(Self.shapes[1])
        try ends.outbound.install(again.sender, at: 0)
        var buffer = [UInt8](repeating: 0, count: 48) + inner
        var span = buffer.mutableSpan
        var raw = unsafe span.mutableBytes
        _ = try ends.outbound.seal(
            &raw, inner: 48..<(48 + inner.count), by: again.sender, along: ends.path,
            TrafficClass(TunnelBehaviour()), now: Fixtures.now)
        #expect(buffer[31] == 2)
    }
}
