import IPPackets
import LinuxSystem
import NetworkTypes

/// Where packets leave that a route led into the device and that a policy lets through in clear: back into the kernel, with
/// our mark, so that they take the way that they would have without us.
///
/// It owns raw sockets and memory for one packet. It never decides.
struct BypassExit: ~Copyable {
    private let sockets: [IPAddress.Family: RawSocket]
    private let memory = PacketMemory(Self.size)

    private static let size = 65_536
    /// IPPROTO_RAW: whoever sends writes the IP header.
    private static let withHeader: UInt8 = 255

    /// `mark` is what keeps the packets from coming straight back; without it, or without the right to open such sockets,
    /// nothing can leave here.
    init(mark: UInt32?) {
        guard let mark else {
            sockets = [:]
            return
        }
        var options = SocketOptions()
        options.mark = mark
        var made: [IPAddress.Family: RawSocket] = [:]
        for family in IPAddress.Family.allCases {
            made[family] = try? RawSocket(
                protocolNumber: Self.withHeader, address: .unspecified(family), options: options)
        }
        sockets = made
    }

    /// Sends all pieces of a packet; returns how many the kernel would not take.
    mutating func send(_ packet: RawSpan, _ plan: SegmentationPlan, _ fields: PacketSelectorFields) -> Int {
        guard let socket = sockets[fields.family] else { return plan.count }
        let path = Path(
            local: Endpoint(.unspecified(fields.family), 0), remote: Endpoint(fields.destination, 0))
        var refused = 0
        for index in 0..<plan.count {
            let length = plan.length(of: index)
            // This struct owns the memory, and nobody else uses it.
            var slot = unsafe MutableRawSpan(_unsafeBytes: memory.all)
            guard length <= Self.size, plan.write(index, of: packet, into: &slot, at: 0) else {
                refused += 1
                continue
            }
            let isSent = try? socket.send(slot.bytes.extracting(0..<length), along: path)
            if isSent != true { refused += 1 }
        }
        return refused
    }
}
