private import CLinux

/// What a socket is that somebody else has made.
public struct SocketFacts: Hashable, Sendable, CustomStringConvertible {
    /// Whether it carries datagrams.
    public let isDatagram: Bool
    /// Whether it is of IPv4 or IPv6, and of UDP where it carries datagrams.
    public let isInternet: Bool
    /// Whether an IPv6 socket leaves IPv4 alone.
    public let isOnlyIPv6: Bool
    /// `a TCP socket`
    public let description: String

    /// Asks the kernel; ENOTSOCK when it is none.
    public init(_ descriptor: Descriptor) throws(SystemError) {
        var raw = martlet_socket_facts()
        // A local variable that the shim fills.
        _ = try checked(unsafe martlet_socket_describe(descriptor.number, &raw), "getsockopt")
        isDatagram = raw.is_datagram
        isInternet = raw.family == 4 || raw.family == 6
        isOnlyIPv6 = raw.only_v6
        description =
            switch (isInternet, raw.is_datagram, raw.is_stream) {
            case (true, true, _): raw.is_udp ? "a UDP socket" : "a socket of another protocol than UDP"
            case (true, _, true): "a TCP socket"
            case (true, _, _): "a raw socket"
            case (false, _, _): "a socket of another family than IPv4 and IPv6"
            }
    }
}
