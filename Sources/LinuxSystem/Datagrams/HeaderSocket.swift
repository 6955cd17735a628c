internal import CLinux
public import NetworkTypes

/// A raw IP socket for one protocol number whose packets have their IP headers, over IPv4 and IPv6 and in both directions:
/// for AH, which covers them. Needs CAP_NET_RAW.
///
/// What is sent goes as it is, but for the checksum of an IPv4 header, which the kernel makes. What is larger than the
/// device takes is refused, never fragmented. Ports in endpoints are 0.
public final class HeaderSocket: DatagramSocket {
    /// The open socket, for a poller.
    public let descriptor: Descriptor
    /// Its number.
    public var number: Int32 { descriptor.number }
    /// The socket's family.
    public let family: IPAddress.Family
    /// Where it is bound: nowhere.
    public let localEndpoint: Endpoint
    private let protocolNumber: UInt8

    /// A socket for `protocolNumber` in the calling thread's network namespace.
    public init(
        protocolNumber: UInt8, family: IPAddress.Family, options: SocketOptions = SocketOptions()
    ) throws(SystemError) {
        self.family = family
        self.protocolNumber = protocolNumber
        localEndpoint = Endpoint(.unspecified(family), 0)
        let subject = "IP protocol \(protocolNumber) with headers"
        if protocolNumber == 0 { throw SystemError(call: "socket", errno: .invalidArgument, context: subject) }
        descriptor = Descriptor(
            owning: try checked(
                martlet_datagram_socket(Int32(family.rawValue), Int32(protocolNumber)), "socket", subject))
        try options.apply(to: descriptor, family: family, isRaw: true)
        _ = try checked(
            martlet_header_prepare(descriptor.number, Int32(family.rawValue)), "IP_HDRINCL", subject)
    }

    /// Receives one packet, its IP header first, into memory that the caller owns: its octets, 0 when one came that did
    /// not fit, nil when there is none.
    @unsafe
    public func receivePacket(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int? {
        for _ in 0..<8 {
            // The memory is the caller's and of the length that goes with it.
            let result = unsafe martlet_header_receive(
                descriptor.number, Int32(family.rawValue), Int32(protocolNumber), buffer.baseAddress, buffer.count)
            if result < 0, ErrorNumber(rawValue: Int32(truncatingIfNeeded: -result)).concernsOneDatagram { continue }
            return try checkedUnlessBlocked(Int32(truncatingIfNeeded: result), "recvmsg").map { Int($0) }
        }
        return nil
    }
}
