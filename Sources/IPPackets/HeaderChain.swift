public import NetworkTypes

/// The headers of a packet that routers look at: where AH stands, or where it has to go (RFC 4302 §3.1).
///
/// It owns positions only. Reading one proves that they lie within the packet.
public struct HeaderChain: Hashable, Sendable {
    /// Which family.
    public let family: IPAddress.Family
    /// Octets before AH: the IP header with its options, or with the extension headers that come first.
    public let length: Int
    /// Where the octet is that names what follows them.
    public let nextHeaderField: Int
    /// What follows them.
    public let nextHeader: IPProtocolNumber
    /// Octets of the whole packet.
    public let totalLength: Int
    /// Whether it is a part of a packet only.
    public let isFragment: Bool

    /// Reads the packet at the start of `bytes`.
    ///
    /// With `upToAH`, the chain ends where AH is, whatever comes before; without, it ends where AH has to go: behind
    /// hop-by-hop options, routing, and the destination options of the routers on the way, before everything else.
    public init(parsing bytes: RawSpan, upToAH: Bool) throws(PacketFault) {
        guard bytes.byteCount > 0 else { throw .short }
        if bytes.uint8(at: 0) >> 4 == 4 {
            let header = try IPv4Header(parsing: bytes)
            family = .v4
            length = header.headerLength
            nextHeaderField = 9
            nextHeader = header.ipProtocol
            totalLength = header.totalLength
            isFragment = header.hasMoreFragments || header.fragmentOffset != 0
            return
        }
        let header = try IPv6Header(parsing: bytes)
        family = .v6
        totalLength = header.totalLength
        var field = 6
        var offset = IPv6Header.length
        var fragment = false
        for _ in 0..<IPv6Header.maximumExtensions {
            let type = bytes.uint8(at: field)
            // The whole chain was read before: it fits.
            switch type {
            case 0, 43: break
            case 60 where upToAH || Self.isBeforeRouting(bytes, offset, totalLength): break
            case 44:
                fragment = true
            default:
                (length, nextHeaderField, nextHeader) = (offset, field, IPProtocolNumber(rawValue: type))
                isFragment = fragment
                return
            }
            guard totalLength - offset >= 8 else { throw .badLength }
            let size = type == 44 ? 8 : (Int(bytes.uint8(at: offset + 1)) + 1) * 8
            guard size <= totalLength - offset else { throw .badLength }
            field = offset
            offset += size
            if fragment { break }
        }
        guard fragment else { throw .tooManyExtensions }
        (length, nextHeaderField, nextHeader) = (offset, field, IPProtocolNumber(rawValue: bytes.uint8(at: field)))
        isFragment = true
    }

    private static func isBeforeRouting(_ bytes: RawSpan, _ offset: Int, _ end: Int) -> Bool {
        end - offset >= 8 && bytes.uint8(at: offset) == 43
    }
}
