import Clockwork

/// What is known of one port of one server: whether it answers, and what is under way to it.
///
/// It owns the numbers of requests: each is free again only when its request is over, and the one that was free longest is
/// taken, so that a late answer finds nobody to confuse.
struct ServerState: Sendable {
    /// How long a silent server is left alone before one request tries it again.
    static let rest = Interval.seconds(30)

    /// Since when it has not answered; nil while it does.
    private(set) var silentSince: Instant?
    /// When a silent one may be tried again.
    private(set) var retryAfter = Instant.zero
    /// Why its last answer was not believed, since it last gave one that was.
    var disbelieved: String?
    /// By socket: which requests use which identifier.
    private var tables: [IdentifierTable]
    /// Requests that wait for an identifier.
    var waiting: [UInt64] = []

    /// A port that is spoken to from so many sockets.
    init(sockets: Int) {
        tables = [IdentifierTable](repeating: IdentifierTable(), count: max(1, sockets))
    }

    /// Whether it may be asked now.
    func mayBeAsked(_ now: Instant) -> Bool { silentSince == nil || now >= retryAfter }

    /// It has answered; whether that is news.
    mutating func heard() -> Bool {
        defer { (silentSince, disbelieved) = (nil, nil) }
        return silentSince != nil
    }

    /// It has not answered a request for as long as it could; whether that is news.
    mutating func missed(_ now: Instant) -> Bool {
        defer { retryAfter = now + Self.rest }
        guard silentSince == nil else { return false }
        silentSince = now
        return true
    }

    /// One request tries a silent server; others leave it alone meanwhile.
    mutating func probe(_ now: Instant) {
        if silentSince != nil { retryAfter = now + Self.rest }
    }

    /// A socket with a free identifier, the emptiest first; nil when all are taken.
    mutating func take(for request: UInt64) -> (socket: Int, identifier: UInt8)? {
        let emptiest = tables.indices.min { (tables[$0].used, $0) < (tables[$1].used, $1) }
        guard let emptiest, let identifier = tables[emptiest].take(for: request) else { return nil }
        return (emptiest, identifier)
    }

    /// The request under an identifier.
    func request(_ socket: Int, _ identifier: UInt8) -> UInt64? {
        tables.indices.contains(socket) ? tables[socket].owners[Int(identifier)] : nil
    }

    /// A request is over.
    mutating func free(_ socket: Int, _ identifier: UInt8) {
        if tables.indices.contains(socket) { tables[socket].free(identifier) }
    }

    /// Requests under way or waiting.
    var load: Int { tables.reduce(waiting.count) { $0 + $1.used } }
}

/// The 256 identifiers of one socket.
struct IdentifierTable: Sendable {
    /// Who has which.
    private(set) var owners = [UInt64?](repeating: nil, count: 256)
    /// How many are taken.
    private(set) var used = 0
    private var next: UInt8 = 0

    /// One that is free, the one that was free longest first; nil when none is.
    mutating func take(for request: UInt64) -> UInt8? {
        guard used < owners.count else { return nil }
        while owners[Int(next)] != nil { next &+= 1 }
        let taken = next
        owners[Int(taken)] = request
        used += 1
        next &+= 1
        return taken
    }

    /// It is free again.
    mutating func free(_ identifier: UInt8) {
        guard owners[Int(identifier)] != nil else { return }
        owners[Int(identifier)] = nil
        used -= 1
    }
}
