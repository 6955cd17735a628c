import NetworkTypes

/// Where a fragment belongs in its packet (RFC 791 §3.2, RFC 8200 §4.5).
///
/// It owns numbers only. Offsets count octets of what is cut, which begins behind the headers that every fragment repeats.
public struct FragmentFields: Hashable, Sendable {
    /// What the fragments of one packet share.
    public let identification: UInt32
    /// Where it begins.
    public let offset: Int
    /// The least offset that the next may have if this is the first: behind all that this one holds, and behind what a
    /// filter looks at in the transport header, so that nothing that was looked at is written over (RFC 1858 §3 and §4,
    /// RFC 3128).
    public let leastNext: Int

    /// Whether it is the first.
    public var isFirst: Bool { offset == 0 }

    /// TCP's flags lie in its second eight octets; of others only ports, or a type and a code, are looked at.
    private static func leastOctets(_ upper: IPProtocolNumber) -> Int { upper == .tcp ? 16 : 8 }

    /// Reads the packet at the start of `packet`; nil when that is whole, or malformed.
    public init?(parsing packet: RawSpan) {
        guard packet.byteCount > 0 else { return nil }
        if packet.uint8(at: 0) >> 4 == 4 {
            guard let header = try? IPv4Header(parsing: packet), header.hasMoreFragments || header.fragmentOffset > 0
            else { return nil }
            identification = UInt32(header.identification)
            offset = header.fragmentOffset
            leastNext = max(header.totalLength - header.headerLength, Self.leastOctets(header.ipProtocol))
            return
        }
        guard let header = try? IPv6Header(parsing: packet), let place = header.fragmentHeader else { return nil }
        // The header was read before: it fits.
        identification = packet.uint32(at: place + 4)
        offset = Int(packet.uint16(at: place + 2) & 0xfff8)
        let start = place + 8
        leastNext = max(
            header.totalLength - start, header.upperOffset - start + Self.leastOctets(header.upperProtocol))
    }
}
