/// The fixed fields of an ESP packet (RFC 4303 §2).
///
/// A copy of the fields, never of the packet. It knows nothing of IV and ICV: these are the algorithm's.
public struct ESPHeader: Hashable, Sendable {
    /// The SA.
    public let spi: UInt32
    /// The sequence number, or its low half.
    public let sequence: UInt32

    /// Octets of SPI and sequence number.
    public static let length = 8
    /// Octets of pad length and next header, at the end of what is encrypted.
    public static let trailerLength = 2
    /// The text is padded to a multiple of this at least (RFC 4303 §2.4).
    public static let alignment = 4
    /// The most padding.
    public static let maximumPadding = 255

    /// Reads the header at `offset`.
    public init(parsing bytes: RawSpan, at offset: Int = 0) throws(PacketFault) {
        guard offset >= 0, offset <= bytes.byteCount, bytes.byteCount - offset >= Self.length else { throw .short }
        spi = bytes.uint32(at: offset)
        sequence = bytes.uint32(at: offset + 4)
    }
}

/// What stands in UDP datagrams on a port that ESP and IKE share (RFC 3948 §2).
public enum EncapsulatedDatagram: Hashable, Sendable {
    /// One octet 0xff: it keeps a NAT's mapping alive and says nothing.
    case keepAlive
    /// An IKE message, after four octets of zero.
    case ike
    /// An ESP packet.
    case esp
    /// Nothing that makes sense.
    case malformed

    /// Octets of the non-ESP marker.
    public static let markerLength = 4
    /// What a keep-alive holds.
    public static let keepAliveOctet: UInt8 = 0xff

    /// Tells by the first octets.
    public init(_ bytes: RawSpan) {
        if bytes.byteCount >= ESPHeader.length {
            self = bytes.uint32(at: 0) == 0 ? .ike : .esp
        } else {
            self = bytes.byteCount == 1 && bytes.uint8(at: 0) == Self.keepAliveOctet ? .keepAlive : .malformed
        }
    }
}
