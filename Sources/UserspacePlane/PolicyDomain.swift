import ESPEngine
import IPPackets
import LinuxSystem

/// A device of one child's own, as the transmitting thread sees it: where packets come from, and the policies for them
/// alone.
///
/// It belongs to that thread. Two of them may speak of the same addresses and mean different networks.
final class PolicyDomain {
    /// Where packets come from.
    let port: any PacketPort
    /// Which domain it is.
    let number: UInt64
    /// What becomes of them.
    var policies = PolicyDatabase()

    /// The domain of a device.
    init(_ port: any PacketPort, _ number: UInt64) {
        self.port = port
        self.number = number
    }
}

/// A domain whose owner keeps it alive meanwhile: asking it about a packet counts no reference.
@safe
struct LentDomain {
    private let domain: Unmanaged<PolicyDomain>

    /// Unsafe: `domain` must outlive this value.
    @unsafe
    init(_ domain: PolicyDomain) { unsafe self.domain = .passUnretained(domain) }

    /// Which domain it is.
    var number: UInt64 {
        // Whoever lent it keeps it.
        unsafe domain._withUnsafeGuaranteedRef { $0.number }
    }

    /// What becomes of a packet.
    @inline(__always)
    func verdict(for fields: PacketSelectorFields) -> PolicyDatabase.Verdict {
        // Whoever lent it keeps it.
        unsafe domain._withUnsafeGuaranteedRef { $0.policies.verdict(for: fields) }
    }
}

/// A device of one child's own, as the receiving thread sees it.
///
/// It belongs to that thread.
final class VirtualExit {
    /// Packets on their way to the device.
    var delivery: Delivery
    /// Whether some wait for the flush.
    var isDirty = false

    /// The exit by a device.
    init(_ port: any PacketPort, drops: DropCounters) { delivery = Delivery(to: port, drops: drops) }
}
