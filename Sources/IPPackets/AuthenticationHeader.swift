public import NetworkTypes

/// AH's header (RFC 4302 §2): next header, length, SPI, sequence number, and the ICV behind them.
///
/// A copy of the fields, never of the packet. Reading one proves that the header lies within the bytes.
public struct AuthenticationHeader: Hashable, Sendable {
    /// What follows it.
    public let nextHeader: IPProtocolNumber
    /// Octets of the whole header with ICV and padding.
    public let length: Int
    /// Which SA.
    public let spi: UInt32
    /// The low half of the sequence number.
    public let sequence: UInt32

    /// Octets before the ICV.
    public static let fixedLength = 12
    /// The longest header: its length field counts words of four octets, less two.
    public static let maximumLength = (255 + 2) * 4

    /// Reads the header at `offset`.
    public init(parsing bytes: RawSpan, at offset: Int) throws(PacketFault) {
        guard offset >= 0, offset <= bytes.byteCount, bytes.byteCount - offset >= Self.fixedLength else {
            throw .short
        }
        nextHeader = IPProtocolNumber(rawValue: bytes.uint8(at: offset))
        length = (Int(bytes.uint8(at: offset + 1)) + 2) * 4
        spi = bytes.uint32(at: offset + 4)
        sequence = bytes.uint32(at: offset + 8)
        guard length >= Self.fixedLength else { throw .badLength }
        guard length <= bytes.byteCount - offset else { throw .short }
    }

    /// Octets of a header around an ICV of `icvLength` octets: a multiple of 4 in IPv4, of 8 in IPv6 (RFC 4302
    /// §3.3.3.2.1).
    public static func length(icvLength: Int, _ family: IPAddress.Family) -> Int {
        let unit = family == .v4 ? 4 : 8
        return (fixedLength + icvLength + unit - 1) / unit * unit
    }

    /// Writes a header of `length` octets at `offset`, all of its ICV zero. False, and nothing written, when it does not
    /// fit or is not to be had.
    public static func write(
        into bytes: inout MutableRawSpan, at offset: Int, nextHeader: IPProtocolNumber, length: Int, spi: UInt32,
        sequence: UInt32
    ) -> Bool {
        guard length >= fixedLength, length <= maximumLength, length % 4 == 0, offset >= 0,
            offset <= bytes.byteCount, length <= bytes.byteCount - offset
        else { return false }
        bytes.put(nextHeader.rawValue, at: offset)
        bytes.put(UInt8(truncatingIfNeeded: length / 4 - 2), at: offset + 1)
        bytes.put(UInt16(0), at: offset + 2)
        bytes.put(spi, at: offset + 4)
        bytes.put(sequence, at: offset + 8)
        for index in fixedLength..<max(fixedLength, length) { bytes.put(UInt8(0), at: offset + index) }
        return true
    }
}
