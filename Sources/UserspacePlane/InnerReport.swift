import Clockwork
import IPPackets
import LinuxSystem
import NetworkTypes

/// Tells hosts inside that their packets are too long.
///
/// It owns the memory of one message and how often there may be one. It belongs to the thread that transmits.
struct InnerReport: ~Copyable {
    /// Where the host is whose packet is in hand.
    var port: any PacketPort
    private let memory: PacketMemory
    private var allowance: TokenBucket

    init(to port: any PacketPort, now: Instant) {
        self.port = port
        memory = PacketMemory(VirtioHeader.length + TooBigMessage.maximumLength)
        // As a router: often enough for every flow that begins, too seldom to be of use as an amplifier.
        allowance = TokenBucket(rate: 100, burst: 200, now: now)
    }

    /// Says that the packet that fills `packet` may have `mtu` octets; or nothing, when it was said often enough.
    mutating func tooBig(_ packet: RawSpan, _ fields: PacketSelectorFields, mtu: Int, now: Instant) {
        guard allowance.take(now: now) else { return }
        let header = port.headerSize
        // The thread's own memory, which nobody else uses. What stands before the message says nothing: all zero.
        var message = unsafe MutableRawSpan(
            _unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: memory.all[header...]))
        guard let length = TooBigMessage.write(about: packet, fields, mtu: mtu, into: &message) else { return }
        // As above. A port that has no room loses it; there will be others.
        _ = try? port.write(
            unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(memory.all)).extracting(0..<(header + length)))
    }
}
