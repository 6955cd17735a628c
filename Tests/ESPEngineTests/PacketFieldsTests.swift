import Clockwork
import IPPackets
import NetworkTypes
import Testing
import WireFormat

/// Headers that are read and written, and those that are refused.
struct PacketFieldsTests {
    private func parse(_ bytes: [UInt8]) throws(PacketFault) -> PacketSelectorFields {
        unsafe try PacketSelectorFields(parsing: bytes.span.bytes)
    }

    @Test(arguments: [("10.1.0.5", "10.2.0.9"), ("fd01::5", "fd02::9")])
    func whatIsWrittenIsRead(source: String, destination: String) throws {
        let bytes = try Fixtures.packet(from: source, to: destination, ports: (1234, 53))
        let fields = try parse(bytes + [0, 0, 0])
        #expect(fields.source.description == source)
        #expect(fields.destination.description == destination)
        #expect(fields.ipProtocol == .udp)
        #expect(fields.sourcePort == 1234)
        #expect(fields.destinationPort == 53)
        #expect(fields.length == bytes.count)
        // The checksums verify.
        let header = fields.family == .v4 ? 20 : 40
        let udp = unsafe bytes.span.bytes.extracting(header..<bytes.count)
        #expect(PseudoHeader.checksum(of: udp, from: fields.source, to: fields.destination, ipProtocol: .udp) == 0)
        if fields.family == .v4 {
            var checksum = InternetChecksum()
            checksum.add(bytes.span.extracting(0..<20))
            #expect(checksum.value == 0)
        }
    }

    @Test(arguments: [("10.1.0.5", "10.2.0.9"), ("fd01::5", "fd02::9")])
    func everyTruncationIsRefused(source: String, destination: String) throws {
        let bytes = try Fixtures.packet(from: source, to: destination)
        for length in 0..<bytes.count {
            #expect(throws: PacketFault.short) { try parse(Array(bytes.prefix(length))) }
        }
    }

    @Test func badHeadersAreRefused() throws {
        var bytes = try Fixtures.packet()
        bytes[0] = 0x55
        #expect(throws: PacketFault.notIP) { try parse(bytes) }
        bytes[0] = 0x44
        #expect(throws: PacketFault.badLength) { try parse(bytes) }
        bytes[0] = 0x45
        (bytes[2], bytes[3]) = (0, 19)
        #expect(throws: PacketFault.badLength) { try parse(bytes) }
        (bytes[2], bytes[3]) = (0xff, 0xff)
        #expect(throws: PacketFault.short) { try parse(bytes) }
    }

    @Test func extensionHeadersAreWalkedAndBounded() throws {
        let plain = try Fixtures.packet(from: "fd01::5", to: "fd02::9", ports: (7, 8))
        func with(_ extensions: [UInt8], first: UInt8) -> [UInt8] {
            var bytes = Array(plain.prefix(40)) + extensions + plain.dropFirst(40)
            bytes[6] = first
            let length = bytes.count - 40
            (bytes[4], bytes[5]) = (UInt8(length >> 8), UInt8(length & 0xff))
            return bytes
        }
        // Hop-by-hop, then destination options, then an authentication header of 12 octets, then UDP.
        let chain: [UInt8] =
            [60, 0, 1, 4, 0, 0, 0, 0] + [51, 0, 1, 4, 0, 0, 0, 0] + [17, 1] + [UInt8](repeating: 0, count: 10)
        let walked = try parse(with(chain, first: 0))
        #expect(walked.ipProtocol == .udp)
        #expect(walked.sourcePort == 7)
        // A first fragment shows its ports, a later one does not, and what follows it is not a header.
        let first = try parse(with([17, 0, 0, 1, 0, 0, 0, 9], first: 44))
        #expect(first.destinationPort == 8)
        let later = try parse(with([17, 0, 0, 8, 0, 0, 0, 9], first: 44))
        #expect(later.ipProtocol == .udp)
        #expect(later.destinationPort == nil)
        // A chain that runs out of the packet, and one that is too long.
        #expect(throws: PacketFault.badLength) { try parse(with([17, 200, 0, 0, 0, 0, 0, 0], first: 60)) }
        let long = [UInt8]([[UInt8]](repeating: [60, 0, 1, 4, 0, 0, 0, 0], count: 9).joined())
        #expect(throws: PacketFault.tooManyExtensions) { try parse(with(long, first: 60)) }
    }

    @Test func icmpShowsTypeAndCode() throws {
        var bytes = try Fixtures.packet()
        bytes[9] = 1
        (bytes[20], bytes[21]) = (8, 3)
        let fields = try parse(bytes)
        #expect(fields.sourcePort == 0x0803)
        #expect(fields.destinationPort == 0x0803)
    }

    @Test func randomBytesNeverTrap() {
        var random = SeededEntropy(seed: 5)
        var parsed = 0
        for round in 0..<100_000 {
            var bytes = random.bytes(Int(random.below(100)))
            if !bytes.isEmpty { bytes[0] = round % 2 == 0 ? 0x45 : 0x60 }
            if bytes.count > 6 {
                (bytes[2], bytes[4]) = (0, 0)
                bytes[6] = [0, 43, 44, 51, 60, 17][round % 6]
            }
            if (try? parse(bytes)) != nil { parsed += 1 }
        }
        #expect(parsed > 100)
    }

    @Test func datagramsOnTheSharedPortAreTold() {
        func kind(_ bytes: [UInt8]) -> EncapsulatedDatagram { unsafe EncapsulatedDatagram(bytes.span.bytes) }
        #expect(kind([0xff]) == .keepAlive)
        #expect(kind([0xfe]) == .malformed)
        #expect(kind([]) == .malformed)
        #expect(kind([0xff, 0xff]) == .malformed)
        #expect(kind([0, 0, 0, 0, 1, 2, 3]) == .malformed)
        #expect(kind([0, 0, 0, 0, 1, 2, 3, 4]) == .ike)
        #expect(kind([0, 0, 1, 0, 1, 2, 3, 4]) == .esp)
    }

    @Test func headersThatDoNotFitAreNotWritten() {
        var bytes = [UInt8](repeating: 9, count: 30)
        var span = bytes.mutableSpan
        var raw = unsafe span.mutableBytes
        let (a, b) = (IPAddress(v4: 1), IPAddress(v4: 2))
        #expect(!IPv4Header.write(into: &raw, at: 11, from: a, to: b, ipProtocol: .udp, payloadLength: 0))
        #expect(!IPv4Header.write(into: &raw, from: a, to: b, ipProtocol: .udp, payloadLength: 65_516))
        #expect(!IPv6Header.write(into: &raw, from: a, to: b, nextHeader: .udp, payloadLength: 0))
        #expect(!UDPHeader.write(into: &raw, at: 23, from: 1, to: 2, payloadLength: 0))
        #expect(!UDPHeader.write(into: &raw, at: 20, from: 1, to: 2, payloadLength: 3))
        #expect(bytes.allSatisfy { $0 == 9 })
    }
}
