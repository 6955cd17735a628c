/// What stands before a packet of a TUN device that leaves work undone: a missing checksum, a packet that is to be cut
/// (virtio 1.2 §5.1.6, in the legacy layout: 10 octets in the host's order).
///
/// A copy of the fields. Whether they fit the packet is for ``SegmentationPlan`` to say.
public struct VirtioHeader: Hashable, Sendable {
    /// How the packet is to be cut.
    public enum Segmentation: UInt8, Hashable, Sendable {
        /// Not at all.
        case none = 0
        /// As TCP over IPv4.
        case tcp4 = 1
        /// As TCP over IPv6.
        case tcp6 = 4
        /// As UDP datagrams of their own over either family.
        case udp = 5
    }

    /// How the packet is to be cut.
    public var segmentation: Segmentation
    /// Whether the checksum is missing: the field holds the sum of the pseudo-header only.
    public var needsChecksum: Bool
    /// Octets of all headers: a hint only.
    public var headerLength: UInt16
    /// Octets of payload in every piece but the last.
    public var segmentSize: UInt16
    /// From where on the checksum is made.
    public var checksumStart: UInt16
    /// Where its field is, counted from there.
    public var checksumOffset: UInt16

    /// Octets of the header.
    public static let length = 10

    /// Says nothing: a whole packet.
    public init() {
        segmentation = .none
        needsChecksum = false
        (headerLength, segmentSize, checksumStart, checksumOffset) = (0, 0, 0, 0)
    }

    /// Reads the header at the start of `bytes`.
    public init(parsing bytes: RawSpan) throws(PacketFault) {
        guard bytes.byteCount >= Self.length else { throw .short }
        // The highest bit says that the train may carry ECN's CWR, which is cut the same way.
        guard let kind = Segmentation(rawValue: bytes.uint8(at: 1) & 0x7f) else { throw .badOffload }
        segmentation = kind
        needsChecksum = bytes.uint8(at: 0) & 1 != 0
        // Swapped where the host's order is not the network's, and left alone where it is.
        headerLength = bytes.uint16(at: 2).bigEndian
        segmentSize = bytes.uint16(at: 4).bigEndian
        checksumStart = bytes.uint16(at: 6).bigEndian
        checksumOffset = bytes.uint16(at: 8).bigEndian
    }

    /// Writes the header at `offset`; false, and nothing written, when it does not fit.
    public func write(into bytes: inout MutableRawSpan, at offset: Int = 0) -> Bool {
        guard offset >= 0, bytes.byteCount >= Self.length, offset <= bytes.byteCount - Self.length else { return false }
        bytes.storeBytes(of: needsChecksum ? 1 : 0, toByteOffset: offset, as: UInt8.self)
        bytes.storeBytes(of: segmentation.rawValue, toByteOffset: offset + 1, as: UInt8.self)
        bytes.storeBytes(of: headerLength, toByteOffset: offset + 2, as: UInt16.self)
        bytes.storeBytes(of: segmentSize, toByteOffset: offset + 4, as: UInt16.self)
        bytes.storeBytes(of: checksumStart, toByteOffset: offset + 6, as: UInt16.self)
        bytes.storeBytes(of: checksumOffset, toByteOffset: offset + 8, as: UInt16.self)
        return true
    }
}
