import IPPackets
import NetworkTypes
import Testing

/// What senders of packets that are too long are told, and who is not told anything.
struct TooBigMessageTests {
    private func message(_ packet: [UInt8], mtu: Int) throws -> [UInt8]? {
        var buffer = [UInt8](repeating: 0xee, count: TooBigMessage.maximumLength)
        let fields = try PacketSelectorFields(parsing: unsafe packet.span.bytes)
        var span = buffer.mutableSpan
        var raw = unsafe span.mutableBytes
        guard let length = TooBigMessage.write(about: unsafe packet.span.bytes, fields, mtu: mtu, into: &raw) else {
            return nil
        }
        return Array(buffer[..<length])
    }

    @Test func anIPv4HostIsTold() throws {
        let packet = try Fixtures.packet(payload: [UInt8](repeating: 7, count: 1500))
        let bytes = try #require(try message(packet, mtu: 1438))
        let header = try IPv4Header(parsing: unsafe bytes.span.bytes)
        #expect(header.totalLength == bytes.count && bytes.count == 576)
        #expect(header.source == (try Fixtures.address("10.2.0.9")))
        #expect(header.destination == (try Fixtures.address("10.1.0.5")))
        #expect(header.ipProtocol == .icmp)
        #expect(Array(bytes[20..<22]) == [3, 4])
        #expect(Array(bytes[24..<28]) == [0, 0, 1438 >> 8, 1438 & 255])
        #expect(Array(bytes[28...]) == Array(packet[..<548]))
        #expect(OnesSumCheck.isRight(Array(bytes[20...])))
    }

    @Test func anIPv6HostIsTold() throws {
        let packet = try Fixtures.packet(
            from: "fd01::5", to: "fd02::9", payload: [UInt8](repeating: 7, count: 1500))
        let bytes = try #require(try message(packet, mtu: 1400))
        let header = try IPv6Header(parsing: unsafe bytes.span.bytes)
        #expect(header.totalLength == bytes.count && bytes.count == 1280)
        #expect(header.source == (try Fixtures.address("fd02::9")))
        #expect(header.destination == (try Fixtures.address("fd01::5")))
        #expect(header.upperProtocol == .icmpv6)
        #expect(Array(bytes[40..<42]) == [2, 0])
        #expect(Array(bytes[44..<48]) == [0, 0, 1400 >> 8, 1400 & 255])
        #expect(Array(bytes[48...]) == Array(packet[..<1232]))
        let checksum = PseudoHeader.checksum(
            of: unsafe bytes.span.bytes.extracting(40..<bytes.count), from: header.source, to: header.destination,
            ipProtocol: .icmpv6)
        #expect(checksum == 0)
    }

    @Test func nobodyIsToldAboutErrorsGroupsAndFragments() throws {
        func packet(_ source: String, _ destination: String) throws -> [UInt8] {
            try Fixtures.packet(from: source, to: destination, payload: [UInt8](repeating: 0, count: 100))
        }
        for (source, destination) in [
            ("10.1.0.5", "224.0.0.1"), ("0.0.0.0", "10.2.0.9"), ("127.0.0.1", "10.2.0.9"),
            ("10.1.0.5", "255.255.255.255"),
            ("::", "fd02::9"), ("fd01::1", "ff02::1"), ("::1", "fd02::9"),
        ] {
            #expect(try message(try packet(source, destination), mtu: 1000) == nil, "\(source) \(destination)")
        }
        var fragment = try packet("10.1.0.5", "10.2.0.9")
        fragment[7] = 1
        #expect(try message(fragment, mtu: 1000) == nil)
        for (type, isTold) in [(UInt8(3), false), (11, false), (8, true), (0, true)] {
            var icmp = try packet("10.1.0.5", "10.2.0.9")
            icmp[9] = 1
            icmp[20] = type
            #expect(try (message(icmp, mtu: 1000) != nil) == isTold, "\(type)")
        }
        for (type, isTold) in [(UInt8(1), false), (2, false), (128, true)] {
            var icmp = try packet("fd01::1", "fd02::9")
            icmp[6] = 58
            icmp[40] = type
            #expect(try (message(icmp, mtu: 1000) != nil) == isTold, "\(type)")
        }
    }
}
