internal import CLinux
public import NetworkTypes

/// A UDP socket that knows which of our addresses each datagram came to, and can choose it for each it sends.
public final class UDPSocket: DatagramSocket {
    /// The open socket, for a poller.
    public let descriptor: Descriptor
    /// Its number.
    public var number: Int32 { descriptor.number }
    /// The socket's family.
    public let family: IPAddress.Family
    /// Where it is bound; the port is the kernel's choice when none was asked for.
    public let localEndpoint: Endpoint

    private init(descriptor: Descriptor, family: IPAddress.Family, localEndpoint: Endpoint) {
        self.descriptor = descriptor
        self.family = family
        self.localEndpoint = localEndpoint
    }

    /// A socket bound to `endpoint`, in the calling thread's network namespace. Port 0 takes any free port.
    public static func bind(
        _ endpoint: Endpoint, options: SocketOptions = SocketOptions()
    ) throws(SystemError) -> UDPSocket {
        let family = endpoint.address.family
        let descriptor = Descriptor(
            owning: try checked(martlet_datagram_socket(Int32(family.rawValue), 0), "socket", "UDP over IP\(family)"))
        try options.apply(to: descriptor, family: family)
        var name = martlet_endpoint(endpoint, scope: options.interface)
        // A local variable that the shim reads.
        _ = try checked(unsafe martlet_datagram_bind(descriptor.number, &name), "bind", "UDP \(endpoint)")
        return UDPSocket(
            descriptor: descriptor, family: family, localEndpoint: try boundEndpoint(descriptor, else: endpoint))
    }

    /// A socket that another process has bound, and handed over by its number, with all its options.
    public static func adopt(_ descriptor: Descriptor) throws(SystemError) -> UDPSocket {
        let bound = try boundEndpoint(descriptor, else: Endpoint(.unspecified(.v4), 0))
        return UDPSocket(descriptor: descriptor, family: bound.address.family, localEndpoint: bound)
    }

    /// A socket that somebody has opened for this process, bound at one of its ports, without our options.
    public static func adopt(_ descriptor: Descriptor, options: SocketOptions) throws(SystemError) -> UDPSocket {
        let socket = try adopt(descriptor)
        _ = try checked(martlet_set_nonblocking(descriptor.number), "O_NONBLOCK")
        // Which families it is for was settled when it was bound.
        try options.apply(to: descriptor, family: socket.family, isBound: true)
        return socket
    }

    /// Spreads datagrams over the `count` sockets that share this one's port (``SocketOptions/sharePort``), in the order
    /// in which they were bound: each goes to the one whose number is its first 32 bits, masked, modulo `count`; what is
    /// shorter goes to the first. With `zerosApart` there is one socket more, bound as the second: it gets the datagrams
    /// whose first 32 bits are zero.
    public func spread(over count: Int, mask: UInt32, zerosApart: Bool = false) throws(SystemError) {
        _ = try checked(
            martlet_option_spread(descriptor.number, mask, UInt32(clamping: count), zerosApart),
            "SO_ATTACH_REUSEPORT_CBPF")
    }

    /// Lets the kernel join datagrams of one size between the same ends into a train (UDP_GRO): then every buffer must
    /// have room for 65,535 octets. False when the kernel cannot; nothing changes then.
    public func enableReceiveTrains() -> Bool { martlet_option_udp_gro(descriptor.number, true) == 0 }

    /// Undoes ``enableReceiveTrains()``.
    public func disableReceiveTrains() { _ = martlet_option_udp_gro(descriptor.number, false) }
}
