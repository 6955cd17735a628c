import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

/// Payloads between two hosts: what is left behind, what is put back, and what can't travel so.
struct TransportModeTests {
    /// The two ends of one SA in transport mode.
    private final class Hosts {
        var outbound: OutboundSADatabase
        var inbound = InboundSADatabase()
        let sender: OutboundSA
        let receiver: InboundSA
        let path: Path
        private let handle = OutboundHandle(slot: 0, serial: 1)

        init(
            _ from: String, _ to: String, encryption: Transform = .aes128gcm16, integrity: Transform? = nil,
            encapsulation: SecurityAssociation.Encapsulation = .none, ipProtocol: IPProtocolNumber = .any,
            compressionIndex: UInt16? = nil
        ) throws {
            let (left, right) = (try Fixtures.address(from), try Fixtures.address(to))
            path = Path(local: Endpoint(left, 4500), remote: Endpoint(right, 4500))
            var both = [
                try Fixtures.association(.outbound, encryption: encryption, integrity: integrity),
                try Fixtures.association(.inbound, encryption: encryption, integrity: integrity),
            ]
            for index in both.indices {
                let isOut = both[index].direction == .outbound
                both[index].mode = .transport
                both[index].encapsulation = encapsulation
                both[index].compressionIndex = compressionIndex
                both[index].path = isOut ? path : path.reversed
                let (near, far) = isOut ? (left, right) : (right, left)
                both[index].localSelectors = [TrafficSelector(AddressRange(host: near), ipProtocol: ipProtocol)]
                both[index].remoteSelectors = [TrafficSelector(AddressRange(host: far), ipProtocol: ipProtocol)]
            }
            var entropy = SeededEntropy(seed: 5)
            sender = try OutboundSA(both[0], serial: 1, entropy: &entropy)
            receiver = try InboundSA(both[1])
            outbound = OutboundSADatabase(entropy: SeededEntropy(seed: 6))
            try outbound.install(sender, at: 0)
            try inbound.install(receiver)
        }

        func seal(_ inner: [UInt8]) throws(DropReason) -> [UInt8] {
            let head = OutboundSADatabase.headroom
            var buffer = [UInt8](repeating: 0xee, count: head) + inner
            buffer += [UInt8](repeating: 0xee, count: OutboundSADatabase.tailroom)
            var span = buffer.mutableSpan
            var raw = unsafe span.mutableBytes
            let sealed = try outbound.seal(&raw, inner: head..<(head + inner.count), by: handle, now: Fixtures.now)
            // The ESP header stands where it would in tunnel mode.
            #expect(sealed.packet.lowerBound + (outbound.shape(of: handle)?.headroom ?? 0) == head)
            return Array(buffer[sealed.packet])
        }

        /// Seals a packet with its own headers.
        func sealWhole(_ packet: [UInt8]) throws(DropReason) -> [UInt8] {
            let head = OutboundSADatabase.headroom
            var buffer = [UInt8](repeating: 0xee, count: head) + packet
            buffer += [UInt8](repeating: 0xee, count: OutboundSADatabase.tailroom)
            var span = buffer.mutableSpan
            var raw = unsafe span.mutableBytes
            let sealed = try outbound.sealWhole(
                &raw, packet: head..<(head + packet.count), by: handle, now: Fixtures.now)
            return Array(buffer[sealed.packet])
        }

        /// Opens a packet that came with this IP header, or with none that the socket shows.
        func open(_ packet: [UInt8], header: [UInt8] = [], along way: Path? = nil) throws(DropReason) -> [UInt8] {
            let start = InboundSADatabase.headroom + header.count
            var buffer = [UInt8](repeating: 0xdd, count: InboundSADatabase.headroom) + header + packet
            let end = buffer.count
            var span = buffer.mutableSpan
            var raw = unsafe span.mutableBytes
            var arrival = PacketArrival(path: way ?? path.reversed, trafficClass: 0x2a)
            if !header.isEmpty { arrival.header = InboundSADatabase.headroom..<start }
            let opened = try inbound.open(&raw, packet: start..<end, arrival, now: Fixtures.now)
            // The database's own memory, until it is reclaimed.
            if opened.isExpanded { return unsafe Array(inbound.expanded[opened.inner]) }
            return Array(buffer[opened.inner])
        }
    }

    private static let ends = [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")]

    /// A packet that carries `payload` of some protocol.
    private static func packet(
        _ from: String, _ to: String, _ ipProtocol: IPProtocolNumber, _ payload: [UInt8], trafficClass: UInt8 = 0x2a
    ) throws -> [UInt8] {
        let (source, destination) = (try Fixtures.address(from), try Fixtures.address(to))
        let length = source.family == .v4 ? 20 : 40
        var bytes = [UInt8](repeating: 0, count: length) + payload
        var span = bytes.mutableSpan
        var raw = unsafe span.mutableBytes
        let isWritten =
            source.family == .v4
            ? IPv4Header.write(
                into: &raw, from: source, to: destination, ipProtocol: ipProtocol, payloadLength: payload.count,
                trafficClass: trafficClass)
            : IPv6Header.write(
                into: &raw, from: source, to: destination, nextHeader: ipProtocol, payloadLength: payload.count,
                trafficClass: trafficClass)
        #expect(isWritten)
        return bytes
    }

    @Test(arguments: ends, EncapsulationTests.suites.filter { !$0.extended })
    func carriesEveryProtocolAndSize(_ ends: (String, String), _ suite: EncapsulationTests.Suite) throws {
        let hosts = try Hosts(ends.0, ends.1, encryption: suite.encryption, integrity: suite.integrity)
        var octets: UInt64 = 0
        // TCP, GRE, IP in IP, and a number that nobody has given away.
        for ipProtocol in [6, 47, 4, 41, 253] as [UInt8] {
            for size in 8..<60 {
                let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 5) }
                let inner = try Self.packet(ends.0, ends.1, IPProtocolNumber(rawValue: ipProtocol), payload)
                let sealed = try hosts.seal(inner)
                #expect(sealed.count < inner.count + 8 + 16 + 15 + 2 + 32)
                #expect(try hosts.open(sealed) == inner, "protocol \(ipProtocol), \(size) octets")
                octets += UInt64(inner.count)
            }
        }
        #expect(hosts.sender.counters.bytes == octets)
        #expect(hosts.receiver.counters.bytes == octets)
    }

    @Test func theHeaderThatCameIsKept() throws {
        let hosts = try Hosts("192.0.2.1", "192.0.2.2")
        let inner = try Self.packet("192.0.2.1", "192.0.2.2", .udp, [UInt8](repeating: 7, count: 16))
        let sealed = try hosts.seal(inner)
        // As a router may have left it: another TTL, and an option of four octets.
        var outer = try Self.packet("192.0.2.1", "192.0.2.2", .esp, sealed)
        outer[8] = 17
        let header = [outer[0] + 1] + outer[1..<20] + [0x94, 4, 0, 0]
        let opened = try hosts.open(sealed, header: header)
        #expect(opened.count == inner.count + 4)
        #expect(opened[0] == 0x46)
        #expect(opened[8] == 17)
        #expect(opened[9] == 17)
        #expect(Array(opened[20..<24]) == [0x94, 4, 0, 0])
        #expect(Array(opened[24...]) == Array(inner[20...]))
        #expect(opened[2..<4] == [0, UInt8(opened.count)])
        #expect(Self.sum(opened[..<24]) == 0xffff)
    }

    @Test(arguments: ends) func behindANATChecksumsAreMadeAnew(_ ends: (String, String)) throws {
        let isV4 = ends.0.contains(".")
        let hosts = try Hosts(ends.0, ends.1, encapsulation: .udp)
        // The sender has another address than the one that its packets come from.
        let inner = try Fixtures.packet(
            from: isV4 ? "10.0.0.7" : "fd00::7", to: ends.1, payload: Array(0..<33))
        let opened = try hosts.open(try hosts.seal(inner))
        #expect(opened == (try Self.udp(ends)))
        // A datagram without a checksum stays without.
        if isV4 {
            var bare = inner
            (bare[26], bare[27]) = (0, 0)
            #expect(try hosts.open(try hosts.seal(bare))[26..<28] == [0, 0])
        }
    }

    private static func sum(_ octets: ArraySlice<UInt8>) -> UInt16 {
        let copy = Array(octets)
        return OnesSum.of(unsafe copy.span.bytes)
    }

    private static func udp(_ ends: (String, String)) throws -> [UInt8] {
        var packet = try Fixtures.packet(from: ends.0, to: ends.1, payload: Array(0..<33))
        // What the arrival said about the traffic class.
        if ends.0.contains(".") {
            packet[1] = 0x2a
            (packet[10], packet[11]) = (0, 0)
            let sum = ~Self.sum(packet[..<20])
            (packet[10], packet[11]) = (UInt8(sum >> 8), UInt8(truncatingIfNeeded: sum))
        } else {
            packet[0] = 0x62
            packet[1] = 0xa0
        }
        return packet
    }

    @Test func withoutANATChecksumsStayAsTheyCame() throws {
        let hosts = try Hosts("192.0.2.1", "192.0.2.2")
        var inner = try Self.packet(
            "192.0.2.1", "192.0.2.2", .udp, Array(try Fixtures.packet(payload: Array(0..<9))[20...]))
        inner[27] ^= 1
        #expect(try hosts.open(try hosts.seal(inner)) == inner)
    }

    @Test func onlyWhatItMayCarryArrives() throws {
        let gre = try Hosts("192.0.2.1", "192.0.2.2", ipProtocol: .gre)
        let tunnelled = try Self.packet("192.0.2.1", "192.0.2.2", .gre, [0, 0, 8, 0] + Array(0..<20))
        #expect(try gre.open(try gre.seal(tunnelled)) == tunnelled)
        let other = try gre.seal(try Self.packet("192.0.2.1", "192.0.2.2", .tcp, Array(0..<20)))
        #expect(throws: DropReason.outsideSelectors) { try gre.open(other) }
        // From another host than the peer.
        let stranger = Path(local: gre.path.remote, remote: Endpoint(try Fixtures.address("192.0.2.9"), 4500))
        let good = try gre.seal(tunnelled)
        #expect(throws: DropReason.outsideSelectors) { try gre.open(good, along: stranger) }
        #expect(gre.receiver.counters.packets == 1)
        #expect(gre.inbound.drops[.outsideSelectors] == 2)
    }

    @Test func fragmentsAndOptionsDoNotGo() throws {
        let hosts = try Hosts("192.0.2.1", "192.0.2.2")
        var fragment = try Self.packet("192.0.2.1", "192.0.2.2", .udp, Array(0..<24))
        fragment[6] = 0x20
        #expect(throws: DropReason.fragmentInTransport) { try hosts.seal(fragment) }
        (fragment[6], fragment[7]) = (0, 3)
        #expect(throws: DropReason.fragmentInTransport) { try hosts.seal(fragment) }
        var optional = try Self.packet("192.0.2.1", "192.0.2.2", .udp, Array(0..<24))
        optional[0] = 0x46
        #expect(throws: DropReason.headerNotCarried) { try hosts.seal(optional) }
        let six = try Hosts("2001:db8::1", "2001:db8::2")
        for (next, reason) in [(44, DropReason.fragmentInTransport), (0, .headerNotCarried), (43, .headerNotCarried)] {
            let packet = try Self.packet(
                "2001:db8::1", "2001:db8::2", IPProtocolNumber(rawValue: UInt8(next)), [59, 0, 0, 0, 0, 0, 0, 0])
            #expect(throws: reason) { try six.seal(packet) }
        }
        // Destination options are the receiver's, and go inside.
        let inside = try Self.packet(
            "2001:db8::1", "2001:db8::2", IPProtocolNumber(rawValue: 60), [17, 0, 1, 4, 0, 0, 0, 0] + Array(0..<16))
        #expect(try six.open(try six.seal(inside)) == inside)
        // No number was used up for those that did not go.
        #expect(hosts.sender.counters.packets == 0)
        #expect(six.sender.counters.packets == 1)
    }

    @Test func withoutRoomForTheHeaderNothingIsOverwritten() throws {
        let hosts = try Hosts("2001:db8::1", "2001:db8::2")
        let sealed = try hosts.seal(try Self.packet("2001:db8::1", "2001:db8::2", .tcp, Array(0..<20)))
        var buffer = sealed
        var span = buffer.mutableSpan
        var raw = unsafe span.mutableBytes
        #expect(throws: DropReason.noRoom) {
            try hosts.inbound.open(
                &raw, packet: 0..<sealed.count, PacketArrival(path: hosts.path.reversed), now: Fixtures.now)
        }
    }

    /// In transport mode the transport header is compressed with its data, and the IP header put in front again.
    @Test(arguments: ends, [SecurityAssociation.Encapsulation.none, .udp])
    func payloadsAreCompressed(
        _ pair: (String, String), _ encapsulation: SecurityAssociation.Encapsulation
    ) throws {
        let hosts = try Hosts(pair.0, pair.1, encapsulation: encapsulation, compressionIndex: 0x102)
        let payload = [UInt8](repeating: 0x61, count: 900)
        let inner = try Fixtures.packet(from: pair.0, to: pair.1, payload: payload)
        let sealed = try hosts.seal(inner)
        #expect(sealed.count < 200)
        let header = Array(inner.prefix(pair.0.contains(":") ? 40 : 20))
        let opened = try hosts.open(sealed, header: pair.0.contains(":") || encapsulation == .udp ? [] : header)
        #expect(Array(opened.suffix(908)) == Array(inner.suffix(908)))
        let fields = try unsafe PacketSelectorFields(parsing: opened.span.bytes)
        #expect(fields.source == (try Fixtures.address(pair.0)) && fields.ipProtocol == .udp)
        #expect(fields.length == inner.count)
    }

    /// ESP stands behind IPv4's options, which every router may look at (RFC 4303 §3.1.1).
    @Test func optionsStayInFrontOfESP() throws {
        let hosts = try Hosts("192.0.2.1", "192.0.2.2")
        let plain = try Fixtures.packet(from: "192.0.2.1", to: "192.0.2.2", payload: Array(0..<100))
        // Record route, one place; then the end.
        let options: [UInt8] = [7, 7, 4, 0, 0, 0, 0, 0]
        var packet = Array(plain.prefix(20)) + options + plain.dropFirst(20)
        packet[0] = 0x47
        packet[3] = UInt8(packet.count)
        #expect(throws: DropReason.headerNotCarried) { try hosts.seal(packet) }
        #expect(unsafe TransportHeader.hasOptions(packet.span.bytes))
        #expect(unsafe !TransportHeader.hasOptions(plain.span.bytes))
        let whole = try hosts.sealWhole(packet)
        let header = try unsafe IPv4Header(parsing: whole.span.bytes)
        #expect(header.headerLength == 28 && header.ipProtocol == .esp && header.totalLength == whole.count)
        #expect(Array(whole[20..<28]) == options)
        #expect(unsafe OnesSum.of(whole.span.bytes.extracting(0..<28)) == 0xffff)
        let opened = try hosts.open(Array(whole.dropFirst(28)), header: Array(whole.prefix(28)))
        #expect(opened.count == packet.count && Array(opened.dropFirst(20)) == Array(packet.dropFirst(20)))
        #expect(opened[9] == 17 && opened[0] == 0x47)
        #expect(hosts.sender.counters.bytes == UInt64(packet.count))
    }

    /// Hop-by-hop options and routing stay in front of ESP; destination options behind them go inside.
    @Test(arguments: [UInt8(0), 43]) func extensionHeadersForRoutersStayInFrontOfESP(_ type: UInt8) throws {
        let hosts = try Hosts("2001:db8::1", "2001:db8::2")
        let plain = try Fixtures.packet(from: "2001:db8::1", to: "2001:db8::2", payload: Array(0..<100))
        // One of eight octets that says nothing, then destination options, then UDP.
        let outside: [UInt8] = [60, 0, type == 43 ? 254 : 1, type == 43 ? 0 : 4, 0, 0, 0, 0]
        let inside: [UInt8] = [17, 0, 1, 4, 0, 0, 0, 0]
        var packet = Array(plain.prefix(40)) + outside + inside + plain.dropFirst(40)
        packet[5] = UInt8(packet.count - 40)
        packet[6] = type
        #expect(throws: DropReason.headerNotCarried) { try hosts.seal(packet) }
        #expect(unsafe TransportHeader.hasOptions(packet.span.bytes))
        let whole = try hosts.sealWhole(packet)
        #expect(whole[6] == type && whole[40] == 50 && Array(whole[41..<48]) == Array(outside.dropFirst()))
        #expect(Int(whole[4]) << 8 | Int(whole[5]) == whole.count - 40)
        // The host has looked at what was in front, and its socket shows none of it.
        let opened = try hosts.open(Array(whole.dropFirst(48)))
        #expect(Array(opened.dropFirst(40)) == inside + plain.dropFirst(40))
        #expect(opened[6] == 60)
    }
}
