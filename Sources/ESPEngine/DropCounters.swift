import Synchronization

/// How many packets were dropped for each reason: written by one thread, read by any.
@safe
public final class DropCounters: @unchecked Sendable {
    // `@unchecked`: the array is made in `init` and freed in `deinit`; in between its atomics are only loaded and
    // stored.
    private let counts: UnsafeMutablePointer<Atomic<UInt64>>
    private static let capacity = DropReason.allCases.count

    /// All zero.
    public init() {
        unsafe counts = .allocate(capacity: Self.capacity)
        for index in 0..<Self.capacity { unsafe (counts + index).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe counts.deinitialize(count: Self.capacity)
        unsafe counts.deallocate()
    }

    /// One more. Only the thread that this object belongs to may call it.
    public func count(_ reason: DropReason) {
        // The raw values count up from zero without gaps, so each is below `capacity`.
        let counter = unsafe counts + Int(reason.rawValue)
        unsafe counter.pointee.store(counter.pointee.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    }

    /// How many so far.
    public subscript(_ reason: DropReason) -> UInt64 {
        unsafe (counts + Int(reason.rawValue)).pointee.load(ordering: .relaxed)
    }
}
