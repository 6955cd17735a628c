public import NetworkTypes

/// What selectors look at in a packet (RFC 4301 §4.4.1.1): addresses, protocol, and ports where they can be seen.
///
/// It owns copies of the fields and how long the packet is. It never allocates and refuses what is malformed.
public struct PacketSelectorFields: Hashable, Sendable {
    /// From whom.
    public let source: IPAddress
    /// To whom.
    public let destination: IPAddress
    /// What the packet carries.
    public let ipProtocol: IPProtocolNumber
    /// The source port; for ICMP type and code (type in the high octet); nil where a later fragment or the protocol
    /// hides it.
    public let sourcePort: UInt16?
    /// The destination port; for ICMP the same as ``sourcePort``.
    public let destinationPort: UInt16?
    /// Whether it is a part of a packet only, the first or a later one.
    public let isFragment: Bool
    /// Octets of the packet by its own header: what follows is not part of it.
    public let length: Int
    /// DSCP and ECN.
    public let trafficClass: UInt8

    /// Reads the packet at the start of `bytes`, which may go on after it.
    public init(parsing bytes: RawSpan) throws(PacketFault) {
        guard bytes.byteCount > 0 else { throw .short }
        if bytes.byteCount >= 24, bytes.uint8(at: 0) == 0x45 {
            // IPv4 without options: nearly every packet there is. The same as below, without a copy of the header.
            let octets = Int(bytes.uint16(at: 2))
            guard octets >= IPv4Header.minimumLength else { throw .badLength }
            guard octets <= bytes.byteCount else { throw .short }
            source = IPAddress(v4: bytes.uint32(at: 12))
            destination = IPAddress(v4: bytes.uint32(at: 16))
            let number = IPProtocolNumber(rawValue: bytes.uint8(at: 9))
            (ipProtocol, length, trafficClass) = (number, octets, bytes.uint8(at: 1))
            // More fragments, and where this one belongs.
            let place = bytes.uint16(at: 6) & 0x3fff
            isFragment = place != 0
            if place & 0x1fff != 0 || octets < 24 || !(number.hasPorts || number.isICMP) {
                (sourcePort, destinationPort) = (nil, nil)
            } else {
                let first = bytes.uint16(at: 20)
                (sourcePort, destinationPort) = (first, number.hasPorts ? bytes.uint16(at: 22) : first)
            }
            return
        }
        let upper: Int
        let isLaterFragment: Bool
        switch bytes.uint8(at: 0) >> 4 {
        case 4:
            let header = try IPv4Header(parsing: bytes)
            source = header.source
            destination = header.destination
            ipProtocol = header.ipProtocol
            length = header.totalLength
            trafficClass = header.trafficClass
            upper = header.headerLength
            isLaterFragment = header.fragmentOffset != 0
            isFragment = isLaterFragment || header.hasMoreFragments
        case 6:
            let header = try IPv6Header(parsing: bytes)
            source = header.source
            destination = header.destination
            ipProtocol = header.upperProtocol
            length = header.totalLength
            trafficClass = header.trafficClass
            upper = header.upperOffset
            isLaterFragment = header.isLaterFragment
            isFragment = header.fragmentHeader != nil
        default: throw .notIP
        }
        // A first fragment too short for its ports hides them: it then matches only selectors that take any.
        guard !isLaterFragment, length - upper >= 4 else {
            (sourcePort, destinationPort) = (nil, nil)
            return
        }
        if ipProtocol.hasPorts {
            sourcePort = bytes.uint16(at: upper)
            destinationPort = bytes.uint16(at: upper + 2)
        } else if ipProtocol.isICMP {
            let typeAndCode = bytes.uint16(at: upper)
            (sourcePort, destinationPort) = (typeAndCode, typeAndCode)
        } else {
            (sourcePort, destinationPort) = (nil, nil)
        }
    }

    /// Which family.
    public var family: IPAddress.Family { source.family }
}
