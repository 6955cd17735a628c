internal import CLinux
internal import NetworkTypes

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
