internal import CLinux
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

extension DatagramSocket {
    /// Asks for room for `octets` of received datagrams, above the system's limit where we may. Returns what the kernel
    /// gave, with its own overhead.
    @discardableResult
    public func setReceiveBuffer(_ octets: Int) throws(SystemError) -> Int {
        Int(
            try checked(
                martlet_option_receive_buffer(descriptor.number, Int32(clamping: octets)), "SO_RCVBUF",
                "\(octets) octets"))
    }

    /// Asks for room for `octets` of datagrams to send, above the system's limit where we may. Returns what the kernel
    /// gave, with its own overhead.
    @discardableResult
    public func setSendBuffer(_ octets: Int) throws(SystemError) -> Int {
        Int(
            try checked(
                martlet_option_send_buffer(descriptor.number, Int32(clamping: octets)), "SO_SNDBUF", "\(octets) octets")
        )
    }

    /// Chooses how the size of the path is treated.
    public func setPathMTUPolicy(_ policy: PathMTUPolicy) throws(SystemError) {
        _ = try checked(
            martlet_option_path_mtu(descriptor.number, Int32(family.rawValue), policy.rawValue), "IP_MTU_DISCOVER")
    }

    /// The DSCP and ECN bits of everything that is sent.
    public func setTrafficClass(_ value: UInt8) throws(SystemError) {
        _ = try checked(
            martlet_option_traffic_class(descriptor.number, Int32(family.rawValue), Int32(value)), "IP_TOS")
    }

    /// The mark of everything that is sent, for rules and packet filters. Needs CAP_NET_ADMIN.
    public func setMark(_ mark: UInt32) throws(SystemError) {
        _ = try checked(martlet_option_mark(descriptor.number, mark), "SO_MARK", String(mark, radix: 16))
    }

    /// Keeps what ICMP says about sent datagrams for ``nextError()``. Sending and receiving then meet those errors too,
    /// and pass over them.
    public func keepErrors(_ on: Bool = true) throws(SystemError) {
        _ = try checked(
            martlet_option_error_queue(descriptor.number, Int32(family.rawValue), on), "IP_RECVERR")
    }

    /// The next report on an earlier datagram; nil when there is none.
    public func nextError() throws(SystemError) -> DatagramError? {
        var raw = martlet_datagram_error()
        // A local variable that the shim fills.
        let result = unsafe martlet_datagram_error(descriptor.number, &raw)
        guard try checkedUnlessBlocked(result, "recvmsg MSG_ERRQUEUE") != nil else { return nil }
        let error = ErrorNumber(rawValue: raw.number)
        return DatagramError(
            error: error, origin: DatagramError.Origin(rawValue: raw.origin), type: raw.type, code: raw.code,
            pathMTU: error == .messageTooLong ? Int(raw.information) : nil, destination: raw.destination.endpoint,
            reporter: raw.offender.endpoint?.address)
    }

    /// Where an open socket is bound.
    static func boundEndpoint(_ descriptor: Descriptor, else fallback: Endpoint) throws(SystemError) -> Endpoint {
        var raw = martlet_endpoint()
        // A local variable that the shim fills.
        _ = try checked(unsafe martlet_datagram_local(descriptor.number, &raw), "getsockname")
        return raw.endpoint ?? fallback
    }
}

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

    /// Whatever must be said before bind().
    func apply(to descriptor: Descriptor, family: IPAddress.Family) throws(SystemError) {
        let number = descriptor.number
        if family == .v6 { _ = try checked(martlet_option_only_v6(number, onlyIPv6), "IPV6_V6ONLY") }
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
        if family == .v6, !onlyIPv6 {
            _ = try checked(martlet_datagram_ask_for_details(number, 4), "IP_PKTINFO")
        }
    }
}
