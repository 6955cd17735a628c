import GatewayModel

/// The memory of one SA: what carries its packets, and right behind it the counters that any thread may read.
///
/// It owns both, in one piece: there are as many of these as there are SAs. `Carrier` is an ``Encapsulator`` or a
/// ``Decapsulator``, and uses the counters until it ends.
@safe
struct AssociationMemory<Carrier: ~Copyable>: ~Copyable {
    /// What carries the packets: for the one thread that has the SA.
    let carrier: UnsafeMutablePointer<Carrier>

    /// Makes the counters, then the carrier that writes them.
    init(_ counters: SACounters, _ make: (UnsafePointer<LiveCounters>) -> Carrier) {
        let size = MemoryLayout<Carrier>.stride + MemoryLayout<LiveCounters>.size
        let alignment = max(MemoryLayout<Carrier>.alignment, MemoryLayout<LiveCounters>.alignment)
        // Freed in `deinit`. The stride keeps what follows aligned.
        unsafe carrier = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: alignment)
            .bindMemory(to: Carrier.self, capacity: 1)
        unsafe live.initialize(to: LiveCounters(counters))
        unsafe carrier.initialize(to: make(UnsafePointer(live)))
    }

    deinit {
        // First who uses the counters.
        unsafe carrier.deinitialize(count: 1)
        unsafe live.deinitialize(count: 1)
        unsafe UnsafeMutableRawPointer(carrier).deallocate()
    }

    /// A copy of the counters.
    var counters: SACounters { unsafe live.pointee.snapshot }

    // Only ever bound to this.
    private var live: UnsafeMutablePointer<LiveCounters> {
        unsafe UnsafeMutableRawPointer(carrier + 1).assumingMemoryBound(to: LiveCounters.self)
    }
}
