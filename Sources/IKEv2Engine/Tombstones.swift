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
        let datagrams: [[UInt8]]
        let expires: Instant
        var left: Int
    }

    private var entries: [Entry] = []

    /// Keeps the last answer of an IKE SA that has ended.
    mutating func add(
        spi: UInt64, messageID: UInt32, address: IPAddress, _ datagrams: [[UInt8]], now: Instant
    ) {
        entries.removeAll { $0.expires <= now || $0.spi == spi }
        if entries.count >= Self.capacity { entries.removeFirst() }
        entries.append(
            Entry(
                spi: spi, messageID: messageID, address: address, datagrams: datagrams,
                expires: now + Self.lifetime, left: Self.answers))
    }

    /// The answer to a request that comes again.
    mutating func answer(spi: UInt64, messageID: UInt32, from address: IPAddress, now: Instant) -> [[UInt8]]? {
        entries.removeAll { $0.expires <= now || $0.left <= 0 }
        let found = entries.firstIndex { $0.spi == spi && $0.messageID == messageID && $0.address == address }
        guard let found else { return nil }
        entries[found].left -= 1
        return entries[found].datagrams
    }
}
