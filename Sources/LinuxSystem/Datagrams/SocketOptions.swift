internal import CLinux
internal import NetworkTypes

/// What to say about a socket before it is bound.
public struct SocketOptions: Hashable, Sendable {
    /// Whether somebody else may have the address too (SO_REUSEADDR).
    public var reuseAddress = false
    /// Whether several of our sockets share the port, and the kernel spreads flows over them (SO_REUSEPORT).
    public var sharePort = false
    /// Whether an IPv6 socket leaves IPv4 alone.
    public var onlyIPv6 = true
    /// The interface to be bound to.
    public var device: String?
    /// The mark of everything that is sent.
    public var mark: UInt32?
    /// The interface that a link-local address belongs to.
    public var interface: UInt32 = 0

    /// A socket of its own for one family.
    public init() {}

    /// Whatever must be said before bind(), or what of it can be said later.
    func apply(
        to descriptor: Descriptor, family: IPAddress.Family, isRaw: Bool = false, isBound: Bool = false
    ) throws(SystemError) {
        let number = descriptor.number
        // A raw IPv6 socket never sees IPv4, and refuses to be told so.
        if family == .v6, !isRaw, !isBound { _ = try checked(martlet_option_only_v6(number, onlyIPv6), "IPV6_V6ONLY") }
        if reuseAddress { _ = try checked(martlet_option_reuse_address(number), "SO_REUSEADDR") }
        if sharePort { _ = try checked(martlet_option_reuse_port(number), "SO_REUSEPORT") }
        if let device {
            try checkedText(device, "SO_BINDTODEVICE")
            // The string is ended by a zero for the length of the call.
            _ = try checked(unsafe martlet_option_device(number, device), "SO_BINDTODEVICE", device)
        }
        if let mark { _ = try checked(martlet_option_mark(number, mark), "SO_MARK", String(mark, radix: 16)) }
        _ = try checked(
            martlet_datagram_ask_for_details(number, Int32(family.rawValue)), "IP_PKTINFO")
        if family == .v6, !onlyIPv6, !isRaw {
            _ = try checked(martlet_datagram_ask_for_details(number, 4), "IP_PKTINFO")
        }
    }
}
