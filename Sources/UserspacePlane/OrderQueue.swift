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

    /// Takes the signal back. To be called when the poller saw it, before ``hasOrders`` is asked: an order may have been
    /// taken out before its signal came, and a signal that nobody takes back would wake the owner for ever.
    func acknowledge() { wakeup.drain() }

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
