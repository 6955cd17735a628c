import NetworkTypes

/// "Fragmentation needed" (RFC 792, RFC 1191 §4) and "packet too big" (RFC 4443 §3.2): what tells a sender how long its
/// packets may be.
///
/// It owns the rules of when such a message may be made, and its octets. It comes from the address that the packet was for:
/// a gateway's own would be taken for forged by the host that it runs on, and the far end's is on the right side of the
/// tunnel for every filter.
public enum TooBigMessage {
    /// Octets that a message needs at most: what every link of either family carries.
    public static let maximumLength = 1280

    /// Octets of the offending packet that an ICMP message carries: as many as leave it within 576 (RFC 1812 §4.3.2.3).
    private static let v4Quote = 576 - 28
    private static let v6Quote = maximumLength - 48

    /// Writes the message about the packet that fills `packet` to the start of `buffer`, and returns its length; nil when
    /// nobody may or need be told (RFC 1122 §3.2.2, RFC 4443 §2.4). `fields` are the packet's own.
    public static func write(
        about packet: RawSpan, _ fields: PacketSelectorFields, mtu: Int, into buffer: inout MutableRawSpan
    ) -> Int? {
        guard buffer.byteCount >= maximumLength, isHost(fields.source), isHost(fields.destination) else { return nil }
        return fields.family == .v4
            ? writeV4(packet, fields, mtu, &buffer) : writeV6(packet, fields, mtu, &buffer)
    }

    /// Whether one host has the address.
    private static func isHost(_ address: IPAddress) -> Bool {
        switch address.family {
        case .v4: !address.isUnspecified && address.bits >> 24 != 127 && address.bits >> 28 < 14
        case .v6: address.bits > 1 && !address.isMulticast
        }
    }

    private static func writeV4(
        _ packet: RawSpan, _ fields: PacketSelectorFields, _ mtu: Int, _ buffer: inout MutableRawSpan
    ) -> Int? {
        guard let header = try? IPv4Header(parsing: packet), header.fragmentOffset == 0 else { return nil }
        // Never about an error: types 3, 4, 5, 11 and 12.
        if fields.ipProtocol == .icmp {
            guard let type = fields.sourcePort.map({ $0 >> 8 }), ![3, 4, 5, 11, 12].contains(type) else { return nil }
        }
        let quote = min(packet.byteCount, v4Quote)
        let length = 28 + quote
        guard
            IPv4Header.write(
                into: &buffer, from: fields.destination, to: fields.source, ipProtocol: .icmp,
                payloadLength: 8 + quote, doesNotFragment: false)
        else { return nil }
        // Type 3, code 4; the MTU stands in the second half of the next word.
        buffer.put(UInt32(0x0304_0000), at: 20)
        buffer.put(UInt32(UInt16(clamping: mtu)), at: 24)
        buffer.copy(packet.extracting(0..<quote), at: 28)
        buffer.put(~OnesSum.of(buffer.bytes.extracting(20..<length)), at: 22)
        return length
    }

    private static func writeV6(
        _ packet: RawSpan, _ fields: PacketSelectorFields, _ mtu: Int, _ buffer: inout MutableRawSpan
    ) -> Int? {
        // Never about an error: types below 128; a later fragment does not show what it is.
        if fields.ipProtocol == .icmpv6 {
            guard let type = fields.sourcePort.map({ $0 >> 8 }), type >= 128 else { return nil }
        }
        let quote = min(packet.byteCount, v6Quote)
        let length = 48 + quote
        guard
            IPv6Header.write(
                into: &buffer, from: fields.destination, to: fields.source, nextHeader: .icmpv6,
                payloadLength: 8 + quote)
        else { return nil }
        buffer.put(UInt32(0x0200_0000), at: 40)
        buffer.put(UInt32(clamping: mtu), at: 44)
        buffer.copy(packet.extracting(0..<quote), at: 48)
        let checksum = PseudoHeader.checksum(
            of: buffer.bytes.extracting(40..<length), from: fields.destination, to: fields.source, ipProtocol: .icmpv6)
        buffer.put(checksum, at: 42)
        return length
    }
}
