import LinuxSystem
import Synchronization

/// What one thread asks of another, in order: the way in which SAs and policies reach the packet threads.
///
/// The owner of the data takes the orders out between packets and carries them out itself, so what a packet thread works
/// with is touched by no other thread, and a packet costs one relaxed load here and no lock. Since it looks before every
/// batch of packets, an order is in force for all packets that come after it, woken or not: ``wake()`` is for those that
/// have something to do without a packet, and for many at once. It is bounded: who asks for more than fits waits until
/// the owner has caught up.
final class OrderQueue<Order: Sendable>: Sendable {
    private let orders = Mutex<[Order]>([])
    private let isPending = Atomic(false)
    /// Whether a signal is on its way that was not taken back.
    private let isSignalled = Atomic(false)
    private let caughtUp: Wakeup
    /// Wakes the owner.
    let wakeup: Wakeup
    private let capacity: Int
    /// What a few handshakes ask for.
    private static var usual: Int { 32 }

    init(capacity: Int = 4096) throws(SystemError) {
        self.capacity = capacity
        wakeup = try Wakeup()
        caughtUp = try Wakeup()
    }

    /// Asks for one thing more. The owner sees to it before its next packet, or when it is woken.
    func append(_ order: Order) {
        while true {
            let count = orders.withLock { orders in
                guard orders.count < capacity else { return 0 }
                if orders.isEmpty { orders.reserveCapacity(Self.usual) }
                orders.append(order)
                return orders.count
            }
            if count > 0 {
                isPending.store(true, ordering: .releasing)
                if count >= capacity / 4 { wake() }
                return
            }
            // The owner signals when it has taken everything out. The limit is for a signal that came before.
            _ = try? caughtUp.descriptor.wait(milliseconds: 10)
            caughtUp.drain()
        }
    }

    /// The same, but what finds the queue half full is not taken, and nobody waits: for what may be lost. The owner is
    /// woken at once.
    func offer(_ order: Order) -> Bool {
        let isIn = orders.withLock { orders in
            guard orders.count < capacity / 2 else { return false }
            orders.append(order)
            return true
        }
        guard isIn else { return false }
        isPending.store(true, ordering: .releasing)
        wake()
        return true
    }

    /// Wakes the owner if there is something that it has not taken out; one call of the system for any number.
    func wake() {
        guard hasOrders, !isSignalled.exchange(true, ordering: .acquiringAndReleasing) else { return }
        wakeup.signal()
    }

    /// Whether there may be something to do: one load.
    @inline(__always)
    var hasOrders: Bool { isPending.load(ordering: .acquiring) }

    /// Takes the signal back. To be called when the poller saw it, before ``hasOrders`` is asked: an order may have been
    /// taken out before its signal came, and a signal that nobody takes back would wake the owner for ever.
    func acknowledge() {
        // First the signal, then the flag: the other way round, a signal that came between the two would be lost, and the
        // flag would keep everybody from giving another. An exchange, so that what was asked for by those who relied on
        // this signal is seen.
        wakeup.drain()
        _ = isSignalled.exchange(false, ordering: .acquiringAndReleasing)
    }

    /// Takes everything out, the oldest first.
    func take() -> [Order] {
        isPending.store(false, ordering: .relaxed)
        let taken = orders.withLock { orders in
            let taken = orders
            orders = []
            return taken
        }
        if taken.count >= capacity { caughtUp.signal() }
        return taken
    }
}
