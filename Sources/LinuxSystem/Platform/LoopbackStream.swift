private import CLinux
public import NetworkTypes

/// TCP between processes of this machine, in place of a Unix socket. It never leaves loopback.
public enum LoopbackStream {
    private static let notHere = ErrorNumber.invalidArgument

    /// Connects to a loopback address, which takes two seconds at most.
    public static func connect(_ endpoint: Endpoint) throws(SystemError) -> UnixStream {
        let descriptor = try open(endpoint, "connect")
        var name = martlet_endpoint(endpoint)
        // A local variable that the shim reads.
        if try checkedUnlessBlocked(unsafe martlet_stream_connect(descriptor.number, &name), "connect", "\(endpoint)")
            == nil
        {
            guard try descriptor.wait(writing: true, milliseconds: 2_000) else {
                throw SystemError(call: "connect", errno: .timedOut, context: "\(endpoint)")
            }
            _ = try checked(martlet_stream_error(descriptor.number), "connect", "\(endpoint)")
        }
        return UnixStream(descriptor: descriptor)
    }

    /// Listens at a loopback address.
    static func listen(_ endpoint: Endpoint, backlog: Int32) throws(SystemError) -> Descriptor {
        let descriptor = try open(endpoint, "listen")
        // Connections of an earlier process that are not forgotten yet are no reason to fail.
        _ = try checked(martlet_option_reuse_address(descriptor.number), "SO_REUSEADDR")
        var name = martlet_endpoint(endpoint)
        // A local variable that the shim reads.
        _ = try checked(unsafe martlet_datagram_bind(descriptor.number, &name), "bind", "\(endpoint)")
        _ = try checked(martlet_listen(descriptor.number, backlog), "listen", "\(endpoint)")
        return descriptor
    }

    private static func open(_ endpoint: Endpoint, _ call: String) throws(SystemError) -> Descriptor {
        guard endpoint.address.isLoopback else {
            throw SystemError(call: call, errno: notHere, context: "\(endpoint) is not on loopback")
        }
        return Descriptor(
            owning: try checked(martlet_stream_socket(Int32(endpoint.address.family.rawValue)), "socket", "TCP"))
    }
}
