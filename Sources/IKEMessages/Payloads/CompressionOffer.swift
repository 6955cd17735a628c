/// What IPCOMP_SUPPORTED says: that its sender takes packets compressed so, under this CPI (RFC 7296 §2.22, §3.10.1).
///
/// It owns three octets. Who compresses, and whether, is decided elsewhere.
public struct CompressionOffer: Hashable, Sendable {
    /// The CPI by which whoever receives this sends compressed packets.
    public var index: UInt16
    /// The algorithm.
    public var transform: UInt8

    /// DEFLATE (RFC 2394), the one that everybody has.
    public static let deflate: UInt8 = 2
    /// The CPIs that are negotiated or free for private use; those below have a meaning of their own (RFC 3173 §3.3).
    public static let indices: ClosedRange<UInt16> = 256...65_535
    /// The CPIs for what is negotiated.
    public static let negotiated: ClosedRange<UInt16> = 256...61_439

    /// An offer of DEFLATE.
    public init(index: UInt16) {
        self.index = index
        transform = Self.deflate
    }

    /// Reads a notification; nil when it is none of these, too short, or has a CPI that cannot be negotiated.
    public init?(_ notify: NotifyPayload) {
        guard notify.type == .ipcompSupported, notify.data.count >= 3 else { return nil }
        index = UInt16(notify.data[0]) << 8 | UInt16(notify.data[1])
        transform = notify.data[2]
        guard Self.indices.contains(index) else { return nil }
    }

    /// The notification.
    public var notify: NotifyPayload {
        NotifyPayload(
            .ipcompSupported, [UInt8(truncatingIfNeeded: index >> 8), UInt8(truncatingIfNeeded: index), transform])
    }
}

extension Sequence where Element == NotifyPayload {
    /// The CPI of the first offer of DEFLATE; a peer offers each of its algorithms by itself.
    public var deflateIndex: UInt16? {
        for notify in self {
            if let offer = CompressionOffer(notify), offer.transform == CompressionOffer.deflate { return offer.index }
        }
        return nil
    }
}
