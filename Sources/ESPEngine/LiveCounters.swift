import Clockwork
import GatewayModel
import Synchronization

/// The counters of one SA: written by the one thread that carries its packets, read by any.
///
/// Relaxed atomics with a single writer are plain loads and stores: no lock, no locked instruction.
struct LiveCounters: ~Copyable {
    private let packets: Atomic<UInt64>
    private let bytes: Atomic<UInt64>
    private let lastUse: Atomic<Int64>
    private let replays: Atomic<UInt64>
    private let forgeries: Atomic<UInt64>

    /// Goes on from there.
    init(_ counters: SACounters = SACounters()) {
        packets = Atomic(counters.packets)
        bytes = Atomic(counters.bytes)
        lastUse = Atomic(counters.lastUse?.nanoseconds ?? .min)
        replays = Atomic(counters.replays)
        forgeries = Atomic(counters.forgeries)
    }

    /// A packet was carried, with so many octets inside. Returns what it comes to.
    @inline(__always)
    func carried(_ octets: Int, now: Instant) -> (packets: UInt64, bytes: UInt64) {
        let total = packets.load(ordering: .relaxed) &+ 1
        let totalBytes = bytes.load(ordering: .relaxed) &+ UInt64(truncatingIfNeeded: octets)
        packets.store(total, ordering: .relaxed)
        bytes.store(totalBytes, ordering: .relaxed)
        lastUse.store(now.nanoseconds, ordering: .relaxed)
        return (total, totalBytes)
    }

    /// A packet was old or seen.
    func replayed() { replays.store(replays.load(ordering: .relaxed) &+ 1, ordering: .relaxed) }

    /// A packet's integrity check failed.
    func forged() { forgeries.store(forgeries.load(ordering: .relaxed) &+ 1, ordering: .relaxed) }

    /// A copy. The fields are read one after the other while the writer goes on.
    var snapshot: SACounters {
        let last = lastUse.load(ordering: .relaxed)
        return SACounters(
            packets: packets.load(ordering: .relaxed), bytes: bytes.load(ordering: .relaxed),
            lastUse: last == .min ? nil : Instant(nanoseconds: last), replays: replays.load(ordering: .relaxed),
            forgeries: forgeries.load(ordering: .relaxed))
    }
}
