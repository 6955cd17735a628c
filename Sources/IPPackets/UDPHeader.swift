public import NetworkTypes
import WireFormat

/// A UDP header (RFC 768).
///
/// A copy of the fields, never of the datagram.
public struct UDPHeader: Hashable, Sendable {
    /// From which port.
    public let sourcePort: UInt16
    /// To which port.
    public let destinationPort: UInt16
    /// Octets of header and payload.
    public let datagramLength: Int
    /// The checksum; zero when there is none.
    public let checksum: UInt16

    /// Octets of the header.
    public static let length = 8

    /// Reads the header at `offset`; the datagram must lie within `bytes`.
    public init(parsing bytes: RawSpan, at offset: Int) throws(PacketFault) {
        guard offset >= 0, offset <= bytes.byteCount, bytes.byteCount - offset >= Self.length else { throw .short }
        sourcePort = bytes.uint16(at: offset)
        destinationPort = bytes.uint16(at: offset + 2)
        datagramLength = Int(bytes.uint16(at: offset + 4))
        checksum = bytes.uint16(at: offset + 6)
        guard datagramLength >= Self.length else { throw .badLength }
        guard datagramLength <= bytes.byteCount - offset else { throw .short }
    }

    /// Writes a header at `offset` for a payload that follows it and is already there. With `addresses` the checksum is
    /// made, else it is zero, as ESP in UDP wants it over IPv4 (RFC 3948 §2.1). False, and nothing written, when it
    /// does not fit.
    public static func write(
        into bytes: inout MutableRawSpan, at offset: Int, from source: UInt16, to destination: UInt16,
        payloadLength: Int, addresses: (source: IPAddress, destination: IPAddress)? = nil
    ) -> Bool {
        guard offset >= 0, payloadLength >= 0, offset <= bytes.byteCount,
            let datagram = UInt16(exactly: payloadLength + length), Int(datagram) <= bytes.byteCount - offset
        else { return false }
        bytes.put(source, at: offset)
        bytes.put(destination, at: offset + 2)
        bytes.put(datagram, at: offset + 4)
        bytes.put(UInt16(0), at: offset + 6)
        if let addresses {
            let value = PseudoHeader.checksum(
                of: bytes.bytes.extracting(offset..<(offset + Int(datagram))), from: addresses.source,
                to: addresses.destination, ipProtocol: .udp)
            bytes.put(value == 0 ? 0xffff : value, at: offset + 6)
        }
        return true
    }
}

/// The checksum over a payload and the addresses that go with it (RFC 793 §3.1, RFC 8200 §8.1).
public enum PseudoHeader {
    /// The checksum of `payload`, whose own checksum field holds zero, or zero when the field holds the right one.
    public static func checksum(
        of payload: RawSpan, from source: IPAddress, to destination: IPAddress, ipProtocol: IPProtocolNumber
    ) -> UInt16 {
        var checksum = InternetChecksum()
        // The sum does not mind the order of the words.
        for shift in 0..<(UInt128(source.family.bitWidth) / 32) {
            checksum.add(UInt32(truncatingIfNeeded: source.bits >> (32 * shift)))
            checksum.add(UInt32(truncatingIfNeeded: destination.bits >> (32 * shift)))
        }
        checksum.add(UInt32(truncatingIfNeeded: payload.byteCount))
        checksum.add(UInt16(ipProtocol.rawValue))
        checksum.add(Span<UInt8>(_bytes: payload))
        return checksum.value
    }
}
