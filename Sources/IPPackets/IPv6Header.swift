public import NetworkTypes

/// The fields of an IPv6 header that a gateway looks at, and where its extension headers end (RFC 8200 §3 and §4).
///
/// A copy of the fields, never of the packet. Reading one proves that header and packet lie within the bytes.
public struct IPv6Header: Hashable, Sendable {
    /// Octets of header and payload.
    public let totalLength: Int
    /// DSCP and ECN.
    public let trafficClass: UInt8
    /// What packets of one flow share.
    public let flowLabel: UInt32
    /// How many routers it may still pass.
    public let hopLimit: UInt8
    /// From whom.
    public let source: IPAddress
    /// To whom.
    public let destination: IPAddress
    /// What follows the extension headers. In a fragment that is not the first, what the fragment header names.
    public let upperProtocol: IPProtocolNumber
    /// Where it starts, counted from the packet's start.
    public let upperOffset: Int
    /// Whether it is a fragment that is not the first, so that the upper header is elsewhere.
    public let isLaterFragment: Bool
    /// Where the fragment header is that says that the packet is a part of one only; nil when it is whole.
    public let fragmentHeader: Int?

    /// The fixed header.
    public static let length = 40
    /// More extension headers than this are refused: every one costs time, and no honest packet has more.
    public static let maximumExtensions = 8

    /// Reads the header at the start of `bytes`. The bytes may go on after the packet: its own length counts.
    public init(parsing bytes: RawSpan) throws(PacketFault) {
        guard bytes.byteCount >= Self.length else { throw .short }
        let word = bytes.uint32(at: 0)
        guard word >> 28 == 6 else { throw .notIP }
        totalLength = Int(bytes.uint16(at: 4)) + Self.length
        guard totalLength <= bytes.byteCount else { throw .short }
        trafficClass = UInt8(truncatingIfNeeded: word >> 20)
        flowLabel = word & 0xf_ffff
        hopLimit = bytes.uint8(at: 7)
        source = IPAddress(.v6, bits: bytes.uint128(at: 8))
        destination = IPAddress(.v6, bits: bytes.uint128(at: 24))

        var next = bytes.uint8(at: 6)
        var offset = Self.length
        var later = false
        var fragmentHeader: Int?
        var extensions = 0
        walk: while true {
            let size: Int
            switch next {
            // Hop-by-hop, routing, destination options, mobility, HIP, shim6.
            case 0, 43, 60, 135, 139, 140:
                guard totalLength - offset >= 8 else { throw .badLength }
                size = (Int(bytes.uint8(at: offset + 1)) + 1) * 8
            case 51:
                guard totalLength - offset >= 8 else { throw .badLength }
                size = (Int(bytes.uint8(at: offset + 1)) + 2) * 4
            case 44:
                guard totalLength - offset >= 8 else { throw .badLength }
                size = 8
                let field = bytes.uint16(at: offset + 2)
                if field & 0xfff8 != 0 { later = true }
                // One that says neither an offset nor that more follows cuts nothing (RFC 6946).
                if field & 0xfff9 != 0, fragmentHeader == nil { fragmentHeader = offset }
            default: break walk
            }
            guard size <= totalLength - offset else { throw .badLength }
            extensions += 1
            guard extensions <= Self.maximumExtensions else { throw .tooManyExtensions }
            next = bytes.uint8(at: offset)
            offset += size
            // What follows the fragment header of a later fragment is not a header.
            if later { break }
        }
        upperProtocol = IPProtocolNumber(rawValue: next)
        upperOffset = offset
        isLaterFragment = later
        self.fragmentHeader = fragmentHeader
    }

    /// Writes a header at `offset`. `payloadLength` counts what follows it. False, and nothing written, when it does
    /// not fit or the addresses are not IPv6.
    public static func write(
        into bytes: inout MutableRawSpan, at offset: Int = 0, from source: IPAddress, to destination: IPAddress,
        nextHeader: IPProtocolNumber, payloadLength: Int, trafficClass: UInt8 = 0, flowLabel: UInt32 = 0,
        hopLimit: UInt8 = 64
    ) -> Bool {
        guard offset >= 0, bytes.byteCount >= length, offset <= bytes.byteCount - length,
            let payload = UInt16(exactly: payloadLength), source.family == .v6, destination.family == .v6
        else { return false }
        bytes.put(UInt32(6) << 28 | UInt32(trafficClass) << 20 | flowLabel & 0xf_ffff, at: offset)
        bytes.put(payload, at: offset + 4)
        bytes.put(UInt16(nextHeader.rawValue) << 8 | UInt16(hopLimit), at: offset + 6)
        bytes.put(source.bits, at: offset + 8)
        bytes.put(destination.bits, at: offset + 24)
        return true
    }
}
