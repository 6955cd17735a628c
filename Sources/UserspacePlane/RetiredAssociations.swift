import Clockwork
import GatewayModel

/// Inbound SAs that others have replaced and for which packets may still be on their way: those that the peer sent before
/// it changed over, overtaken by the IKE message that closed them.
///
/// It owns their numbers and when they go. It belongs to the receiving thread.
struct RetiredAssociations {
    /// One of them.
    struct Entry {
        let spi: UInt32
        let child: ChildSAID
        let due: Instant
        /// Whether the Child SA's device is no longer its own once this one is gone.
        var isForgotten = false
    }

    private var entries: [Entry] = []

    /// So long may a packet be on its way: as long as strongSwan waits.
    static let patience = Interval.seconds(5)

    /// Whether there is none.
    var isEmpty: Bool { entries.isEmpty }

    /// One more. The oldest is first, since all wait equally long.
    mutating func add(_ spi: UInt32, _ child: ChildSAID, now: Instant) {
        entries.append(Entry(spi: spi, child: child, due: now + Self.patience))
    }

    /// Its Child SA is gone; false when none of that is here.
    mutating func forget(_ child: ChildSAID) -> Bool {
        guard let index = entries.lastIndex(where: { $0.child == child }) else { return false }
        entries[index].isForgotten = true
        return true
    }

    /// How long until the next one goes; nil when there is none.
    func pause(_ now: Instant) -> Interval? { entries.first.map { max($0.due - now, .zero) } }

    /// Takes out those whose time is over.
    mutating func expire(_ now: Instant) -> [Entry] {
        guard let first = entries.first, first.due <= now else { return [] }
        let count = entries.firstIndex { $0.due > now } ?? entries.count
        defer { entries.removeFirst(count) }
        return Array(entries.prefix(count))
    }
}
