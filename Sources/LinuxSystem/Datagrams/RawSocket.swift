internal import CLinux
public import NetworkTypes

/// A raw IP socket for one protocol number: ESP or AH without UDP around it. Needs CAP_NET_RAW.
///
/// Over IPv4 what is received starts with the IP header; over IPv6 it does not. What is sent never has one: the kernel
/// writes it. Ports in endpoints are 0.
public final class RawSocket: DatagramSocket {
    /// The open socket, for a poller.
    public let descriptor: Descriptor
    /// Its number.
    public var number: Int32 { descriptor.number }
    /// The socket's family.
    public let family: IPAddress.Family
    /// Where it is bound.
    public let localEndpoint: Endpoint

    /// A socket for `protocolNumber` bound to `address`, in the calling thread's network namespace.
    public init(
        protocolNumber: UInt8, address: IPAddress, options: SocketOptions = SocketOptions()
    ) throws(SystemError) {
        family = address.family
        localEndpoint = Endpoint(address, 0)
        let subject = "IP protocol \(protocolNumber) at \(address)"
        if protocolNumber == 0 { throw SystemError(call: "socket", errno: .invalidArgument, context: subject) }
        descriptor = Descriptor(
            owning: try checked(
                martlet_datagram_socket(Int32(address.family.rawValue), Int32(protocolNumber)), "socket", subject))
        try options.apply(to: descriptor, family: address.family, isRaw: true)
        var name = martlet_endpoint(localEndpoint, scope: options.interface)
        // A local variable that the shim reads.
        _ = try checked(unsafe martlet_datagram_bind(descriptor.number, &name), "bind", subject)
    }
}
