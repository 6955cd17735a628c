public import NetworkTypes

/// IPComp's header (RFC 3173 §3): next header, flags that are zero, and which compression association.
///
/// A copy of the fields, never of the packet. It compresses nothing.
public struct CompressionHeader: Hashable, Sendable {
    /// What the payload is when it has been decompressed.
    public var nextHeader: IPProtocolNumber
    /// The CPI.
    public var index: UInt16

    /// Octets of the header.
    public static let length = 4

    /// A header by its parts.
    public init(nextHeader: IPProtocolNumber, index: UInt16) {
        self.nextHeader = nextHeader
        self.index = index
    }

    /// Reads the header at the start of `bytes`. The flags are not looked at (RFC 3173 §3.3).
    public init(parsing bytes: RawSpan) throws(PacketFault) {
        guard bytes.byteCount >= Self.length else { throw .short }
        nextHeader = IPProtocolNumber(rawValue: bytes.uint8(at: 0))
        index = bytes.uint16(at: 2)
    }

    /// Writes the header at `offset`. False, and nothing written, when it does not fit.
    public func write(into bytes: inout MutableRawSpan, at offset: Int) -> Bool {
        guard offset >= 0, offset <= bytes.byteCount, bytes.byteCount - offset >= Self.length else { return false }
        bytes.put(UInt16(nextHeader.rawValue) << 8, at: offset)
        bytes.put(index, at: offset + 2)
        return true
    }
}
