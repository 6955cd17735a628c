import IPPackets

/// How large an SA's packets are: known before one is sealed, so that packets can be laid one behind the other.
public struct SealedShape: Hashable, Sendable {
    /// Octets before the inner packet: SPI, sequence number, IV.
    public let headroom: Int
    /// The text is padded to a multiple of this, which is a power of two.
    let alignment: Int
    /// Octets of the ICV.
    let icvLength: Int
    /// Whether only the payloads of packets are protected, and the IP header stays behind (see ``TransportHeader``).
    public let isTransport: Bool

    /// The shape of AH's packets, without their IP header: AH has neither padding nor a trailer.
    static func authenticated(header: Int, isTransport: Bool) -> SealedShape {
        SealedShape(
            headroom: header, alignment: 1, icvLength: -ESPHeader.trailerLength, isTransport: isTransport)
    }

    /// Octets of the ESP packet around an inner packet, or in transport mode a payload, of `inner` octets.
    @inline(__always)
    public func length(around inner: Int) -> Int {
        let unpadded = inner + ESPHeader.trailerLength
        return headroom + ((unpadded + alignment - 1) & ~(alignment - 1)) + icvLength
    }

    /// The longest inner packet around which there is an ESP packet of at most `limit` octets; 0 when there is none.
    public func capacity(within limit: Int) -> Int {
        let text = (limit - headroom - icvLength) / alignment * alignment
        return max(text - ESPHeader.trailerLength, 0)
    }
}
