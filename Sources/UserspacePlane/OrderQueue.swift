import LinuxSystem
import Synchronization

/// What one thread asks of another, in order: the way in which SAs and policies reach the packet threads.
///
/// The owner of the data takes the orders out between packets and carries them out itself, so what a packet thread works
/// with is touched by no other thread, and a packet costs one relaxed load here and no lock. It is bounded: who asks for
/// more than fits waits until the owner has caught up.
final class OrderQueue<Order: Sendable>: Sendable {
    private let orders = Mutex<[Order]>([])
    private let isPending = Atomic(false)
    private let caughtUp: Wakeup
    /// Wakes the owner.
    let wakeup: Wakeup
    private let capacity: Int

    init(capacity: Int = 4096) throws(SystemError) {
        self.capacity = capacity
        wakeup = try Wakeup()
        caughtUp = try Wakeup()
    }

    /// Asks for one thing more.
    func append(_ order: Order) {
        while true {
            let isIn = orders.withLock { orders in
                guard orders.count < capacity else { return false }
                orders.append(order)
                return true
            }
            if isIn { break }
            // The owner signals when it has taken everything out. The limit is for a signal that came before.
            _ = try? caughtUp.descriptor.wait(milliseconds: 10)
            caughtUp.drain()
        }
        isPending.store(true, ordering: .releasing)
        wakeup.signal()
    }

    /// Whether there may be something to do: one load.
    @inline(__always)
    var hasOrders: Bool { isPending.load(ordering: .acquiring) }

    /// Takes everything out, the oldest first.
    func take() -> [Order] {
        isPending.store(false, ordering: .relaxed)
        wakeup.drain()
        let taken = orders.withLock { orders in
            let taken = orders
            orders = []
            return taken
        }
        if taken.count >= capacity { caughtUp.signal() }
        return taken
    }
}

/// A place where one thread waits until another has come by.
final class Milestone: Sendable {
    private let wakeup: Wakeup

    init() throws(SystemError) { wakeup = try Wakeup() }

    /// The other has come by.
    func reach() { wakeup.signal() }

    /// Waits; false when `milliseconds` are over first.
    func wait(milliseconds: Int32) -> Bool { (try? wakeup.descriptor.wait(milliseconds: milliseconds)) ?? false }
}

/// Carries something that cannot be copied to the thread that is to have it.
///
/// `@unchecked`: it is filled before the thread starts and emptied by that thread alone.
final class Handover<Value: ~Copyable>: @unchecked Sendable {
    private var value: Value?

    init(_ value: consuming Value) { self.value = consume value }

    /// Takes the value out; nil when somebody has.
    func take() -> Value? { value.take() }
}
