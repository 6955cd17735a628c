import Clockwork
import NetworkTypes

/// The last words of IKE SAs that have ended: a peer whose copy of them was lost asks again, and gets the same octets.
///
/// It owns a bounded number of datagrams for a bounded time. Nothing in it can be brought back to life. A question is
/// recognised by its header, which nobody can authenticate any more; so few answers are given, to the address only that
/// the first one went to.
struct Tombstones {
    /// How many are kept.
    static let capacity = 256
    /// How long: as long as the field's peers repeat a request.
    static let lifetime = Interval.seconds(180)
    /// How often each is shown.
    static let answers = 8

    private struct Entry {
        let spi: UInt64
        let messageID: UInt32
        let address: IPAddress
        var datagrams: [[UInt8]]
        let expires: Instant
        var left: Int
    }

    /// In the order in which they expire. Those before the first that is kept are empty, and go when they are many: to
    /// take out each of them would move all others.
    private var entries: [Entry] = []
    private var first = 0

    /// Keeps the last answer of an IKE SA that has ended. An SPI that comes again speaks for its last owner.
    mutating func add(
        spi: UInt64, messageID: UInt32, address: IPAddress, _ datagrams: [[UInt8]], now: Instant
    ) {
        forget(by: now, keeping: Self.capacity - 1)
        entries.append(
            Entry(
                spi: spi, messageID: messageID, address: address, datagrams: datagrams,
                expires: now + Self.lifetime, left: Self.answers))
    }

    /// The answer to a request that comes again.
    mutating func answer(spi: UInt64, messageID: UInt32, from address: IPAddress, now: Instant) -> [[UInt8]]? {
        forget(by: now, keeping: Self.capacity)
        guard let found = entries.lastIndex(where: { $0.spi == spi }), found >= first, entries[found].left > 0,
            entries[found].messageID == messageID, entries[found].address == address
        else { return nil }
        entries[found].left -= 1
        return entries[found].datagrams
    }

    /// Forgets those whose time is over, and the oldest of more than `count`.
    private mutating func forget(by now: Instant, keeping count: Int) {
        while first < entries.count, entries.count - first > count || entries[first].expires <= now {
            entries[first].datagrams = []
            first += 1
        }
        if first >= Self.capacity || first == entries.count {
            entries.removeFirst(first)
            first = 0
        }
    }
}
