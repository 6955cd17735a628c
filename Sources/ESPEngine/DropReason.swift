/// Why a packet went no further: every reason there is, so that each can be counted.
///
/// It carries nothing, so that dropping a packet costs no allocation.
public enum DropReason: UInt8, Error, Hashable, Sendable, CaseIterable {
    // From the peer.

    /// Too short for ESP or AH, or of a length that its cipher cannot have made.
    case malformedESP
    /// No SA has this SPI.
    case unknownSPI
    /// The sequence number was seen, or lies before the window.
    case replayed
    /// The integrity check failed.
    case forged
    /// The padding is not 1, 2, 3…, or longer than the packet.
    case badPadding
    /// What was inside is neither IPv4 nor IPv6.
    case badNextHeader
    /// A dummy packet: it was sent to be dropped (RFC 4303 §2.6).
    case dummy
    /// What was inside is not a well-formed packet of its family.
    case malformedInner
    /// What was inside is not what the SA may carry (RFC 4301 §5.2).
    case outsideSelectors
    /// A compressed payload of which nothing comes, or more than a packet can have (RFC 3173 §2.2).
    case badCompression
    /// A compressed payload whose CPI is not the one that was agreed on.
    case unknownCompression
    /// Congestion was seen on the way of a packet that cannot say so (RFC 6040 §4.2).
    case congested

    // From our side.

    /// What should be protected is not a well-formed packet.
    case malformedPacket
    /// No policy speaks of it.
    case noPolicy
    /// A policy forbids it to leave in clear, and there is no SA.
    case blocked
    /// It waited for an SA, and the room for such packets was full.
    case holdFull
    /// It waited for an SA that did not come in time.
    case holdExpired
    /// It was to go in clear, and the kernel would not take it.
    case bypassFailed
    /// Its SA is gone.
    case noSA
    /// The SA has no sequence numbers left.
    case sequenceExhausted
    /// The SA has carried as much as it may.
    case volumeExhausted
    /// Too long for the path, and not to be cut: its sender was told, if that was not done too often.
    case tooBig
    /// The buffer has no room for what ESP adds.
    case noRoom
    /// The cipher would not take it.
    case cipherRefused
    /// A fragment, where only whole packets can be protected: transport mode and AH (RFC 4303 §3.3.4).
    case fragmentInTransport
    /// Its IP header has options or extension headers that would be lost on the way.
    case headerNotCarried

    // On the way.

    /// A keep-alive: it has done its work.
    case keepAlive
    /// Neither ESP nor IKE nor a keep-alive.
    case malformedDatagram
    /// The datagram was longer than the buffer.
    case truncated
    /// The queue to the control thread was full.
    case controlQueueFull
    /// The socket would not send it.
    case sendFailed
    /// The socket, or the device that it was to leave by, had no room for it: the way out is slower than what comes in.
    case queueFull
    /// The inner packet could not be handed over.
    case deliveryFailed
}
