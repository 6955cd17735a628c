import Clockwork

/// How often packets may bring up a child that does not come up: once, then later and later.
///
/// It owns one entry for each configured child that packets asked for and that has not come up since. It never starts
/// anything.
struct AcquireLedger {
    private struct Name: Hashable {
        let connection: String
        let child: String
    }

    private struct Entry {
        var tries: Int
        var notBefore: Instant
    }

    /// The pause after the first try; each further one is twice as long, up to ``longest``.
    static let first = Interval.seconds(1)
    /// The longest pause.
    static let longest = Interval.seconds(60)

    private var entries: [Name: Entry] = [:]

    /// How many children wait for better days.
    var count: Int { entries.count }

    /// Whether a packet may bring this child up now; if so, that is one try more.
    mutating func admits(_ connection: String, _ child: String, now: Instant) -> Bool {
        let name = Name(connection: connection, child: child)
        let former = entries[name]
        if let former, now < former.notBefore { return false }
        let tries = (former?.tries ?? 0) + 1
        entries[name] = Entry(tries: tries, notBefore: now + Self.pause(after: tries))
        return true
    }

    /// It came up.
    mutating func cameUp(_ connection: String, _ child: String) {
        guard !entries.isEmpty else { return }
        entries[Name(connection: connection, child: child)] = nil
    }

    /// Forgets connections that are configured no longer, and what a changed configuration may have mended.
    mutating func forget() { entries = [:] }

    /// The pause after so many tries.
    static func pause(after tries: Int) -> Interval {
        min(first.scaled(by: Double(1 << min(max(tries - 1, 0), 10))), longest)
    }
}
