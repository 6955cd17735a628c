import ESPEngine
import GatewayModel
import LinuxSystem

/// The orders for one side's packet threads, each of which has a queue of its own: who an order is for, it says itself.
///
/// Every SA belongs to one worker, so that its sequence numbers and its window have one writer: an outbound one to that
/// which its slot says, an inbound one to that which the index in its SPI says, which is also how the kernel spreads what
/// comes in. The first worker does what is nobody else's.
final class OrderFan<Order: FannedOrder>: Sendable {
    /// By worker.
    let queues: [OrderQueue<Order>]

    /// `capacity` is how many orders may wait for each.
    init(workers: Int, capacity: Int = 4096) throws(SystemError) {
        var made: [OrderQueue<Order>] = []
        for _ in 0..<max(workers, 1) { made.append(try OrderQueue(capacity: capacity)) }
        queues = made
    }

    /// Asks those whom it concerns.
    func append(_ order: Order) {
        guard queues.count > 1, let worker = order.worker(among: queues.count) else {
            for queue in queues { queue.append(order) }
            return
        }
        queues[worker].append(order)
    }

    /// Wakes those that have something to do.
    func wake() { for queue in queues { queue.wake() } }
}

/// An order that knows whom it concerns.
protocol FannedOrder: Sendable {
    /// The worker that is meant, of so many; nil for all.
    func worker(among count: Int) -> Int?
}

/// Whose an outbound SA is.
enum OutboundOwner {
    /// The worker that seals for the SA in this place.
    @inline(__always)
    static func worker(slot: Int32, among count: Int) -> Int { Int(slot) % count }
}

extension TransmitOrder: FannedOrder {
    func worker(among count: Int) -> Int? {
        switch self {
        case .install(_, let slot, _, _, _), .authenticate(_, let slot, _, _, _), .move(let slot, _, _):
            OutboundOwner.worker(slot: slot, among: count)
        case .remove(let handle): OutboundOwner.worker(slot: handle.slot, among: count)
        case .protect(_, _, let handle, _, _):
            // What the first has, it seals for all; what another has is for its own packets only.
            OutboundOwner.worker(slot: handle.slot, among: count) == 0
                ? nil : OutboundOwner.worker(slot: handle.slot, among: count)
        case .openDomain, .closeDomain, .keepAlive, .relayed: 0
        case .stand, .block, .unprotect, .pathMTU, .reach, .rest, .stop: nil
        }
    }
}

extension ReceiveOrder: FannedOrder {
    func worker(among count: Int) -> Int? {
        switch self {
        case .install(let association): SPILayout.index(of: association.spi) % count
        case .authenticate: 0
        case .remove, .retire, .move, .openDomain, .closeDomain, .direct, .forget, .reach, .rest, .stray, .stop:
            nil
        }
    }
}
