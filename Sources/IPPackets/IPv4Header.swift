public import NetworkTypes
import WireFormat

/// The fields of an IPv4 header that a gateway looks at (RFC 791 §3.1).
///
/// A copy of the fields, never of the packet. Reading one proves that header and packet lie within the bytes.
public struct IPv4Header: Hashable, Sendable {
    /// Octets of the header with its options: 20 to 60.
    public let headerLength: Int
    /// Octets of header and payload.
    public let totalLength: Int
    /// DSCP and ECN.
    public let trafficClass: UInt8
    /// What fragments of one packet share.
    public let identification: UInt16
    /// Whether routers must not fragment it.
    public let doesNotFragment: Bool
    /// Whether more fragments follow.
    public let hasMoreFragments: Bool
    /// Where this fragment's payload belongs, in octets.
    public let fragmentOffset: Int
    /// How many routers it may still pass.
    public let timeToLive: UInt8
    /// What the payload is.
    public let ipProtocol: IPProtocolNumber
    /// From whom.
    public let source: IPAddress
    /// To whom.
    public let destination: IPAddress

    /// The shortest header.
    public static let minimumLength = 20

    /// Reads the header at the start of `bytes`. The bytes may go on after the packet: its own length counts. The
    /// checksum is not verified; the ICV covers it.
    public init(parsing bytes: RawSpan) throws(PacketFault) {
        guard bytes.byteCount >= Self.minimumLength else { throw .short }
        let first = bytes.uint8(at: 0)
        guard first >> 4 == 4 else { throw .notIP }
        headerLength = Int(first & 15) * 4
        totalLength = Int(bytes.uint16(at: 2))
        guard headerLength >= Self.minimumLength, totalLength >= headerLength else { throw .badLength }
        guard totalLength <= bytes.byteCount else { throw .short }
        trafficClass = bytes.uint8(at: 1)
        identification = bytes.uint16(at: 4)
        let flags = bytes.uint16(at: 6)
        doesNotFragment = flags & 0x4000 != 0
        hasMoreFragments = flags & 0x2000 != 0
        fragmentOffset = Int(flags & 0x1fff) * 8
        timeToLive = bytes.uint8(at: 8)
        ipProtocol = IPProtocolNumber(rawValue: bytes.uint8(at: 9))
        source = IPAddress(v4: bytes.uint32(at: 12))
        destination = IPAddress(v4: bytes.uint32(at: 16))
    }

    /// Writes a header without options at `offset`, its checksum included. `payloadLength` counts what follows it.
    /// False, and nothing written, when it does not fit or the addresses are not IPv4.
    public static func write(
        into bytes: inout MutableRawSpan, at offset: Int = 0, from source: IPAddress, to destination: IPAddress,
        ipProtocol: IPProtocolNumber, payloadLength: Int, trafficClass: UInt8 = 0, identification: UInt16 = 0,
        doesNotFragment: Bool = true, timeToLive: UInt8 = 64
    ) -> Bool {
        guard offset >= 0, bytes.byteCount >= minimumLength, offset <= bytes.byteCount - minimumLength,
            payloadLength >= 0, let length = UInt16(exactly: payloadLength + minimumLength), source.family == .v4,
            destination.family == .v4
        else { return false }
        bytes.put(UInt16(0x4500) | UInt16(trafficClass), at: offset)
        bytes.put(length, at: offset + 2)
        bytes.put(identification, at: offset + 4)
        bytes.put(UInt16(doesNotFragment ? 0x4000 : 0), at: offset + 6)
        bytes.put(UInt16(timeToLive) << 8 | UInt16(ipProtocol.rawValue), at: offset + 8)
        bytes.put(UInt16(0), at: offset + 10)
        bytes.put(UInt32(truncatingIfNeeded: source.bits), at: offset + 12)
        bytes.put(UInt32(truncatingIfNeeded: destination.bits), at: offset + 16)
        var checksum = InternetChecksum()
        checksum.add(Span<UInt8>(_bytes: bytes.bytes.extracting(offset..<(offset + minimumLength))))
        bytes.put(checksum.value, at: offset + 10)
        return true
    }
}
