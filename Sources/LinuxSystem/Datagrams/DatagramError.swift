public import NetworkTypes

/// What happened to an earlier datagram, from the socket's error queue.
public struct DatagramError: Hashable, Sendable {
    /// Who reports it.
    public enum Origin: UInt8, Hashable, Sendable {
        case local = 1
        case icmp = 2
        case icmpv6 = 3
    }

    /// What happened.
    public let error: ErrorNumber
    /// Who reports it; nil for a kind that we do not know.
    public let origin: Origin?
    /// The ICMP message's type and code.
    public let type: UInt8, code: UInt8
    /// The path MTU for ``ErrorNumber/messageTooLong``, else nil.
    public let pathMTU: Int?
    /// Where the datagram was going.
    public let destination: Endpoint?
    /// The router or host that reports it.
    public let reporter: IPAddress?
}
