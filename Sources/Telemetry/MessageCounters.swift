public import GatewayModel

/// How many messages of each kind came and went, and how often SAs were replaced: the counters that this field's tools
/// show, for each connection and for all together.
///
/// It owns the counts. It learns them from the events that everybody reads.
public struct MessageCounters: Sendable {
    /// The counters' names, in the order in which tools show them.
    public static let names = [
        "ike-rekey-init", "ike-rekey-resp", "child-rekey", "invalid", "invalid-spi", "ike-init-in-req",
        "ike-init-in-resp", "ike-init-out-req", "ike-init-out-resp", "ike-auth-in-req", "ike-auth-in-resp",
        "ike-auth-out-req", "ike-auth-out-resp", "create-child-in-req", "create-child-in-resp", "create-child-out-req",
        "create-child-out-resp", "info-in-req", "info-in-resp", "info-out-req", "info-out-resp",
    ]

    private static let places = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($0.element, $0.offset) })
    private static let nothing = [UInt64](repeating: 0, count: names.count)

    private var total = nothing
    private var byConnection: [String: [UInt64]] = [:]

    /// Starts at zero.
    public init() {}

    /// All counts: those of everything, then each connection's, in the order of the names.
    public var counts: (total: [UInt64], connections: [(name: String, counts: [UInt64])]) {
        (total, byConnection.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    }

    /// Goes on from counts; those of another number of counters are nobody's.
    public init(total: [UInt64], connections: [(name: String, counts: [UInt64])]) {
        if total.count == Self.names.count { self.total = total }
        for (name, counts) in connections where counts.count == Self.names.count { byConnection[name] = counts }
    }

    /// Counts a message, or one that was dropped.
    public mutating func count(_ event: Event) {
        switch event.kind {
        case .exchanged(let kind): count(Self.message(kind), event.connection)
        case .dropped(.unknownSPI, _): count("invalid-spi", event.connection)
        case .dropped(.malformed, _), .dropped(.forged, _), .dropped(.outsideWindow, _), .dropped(.unexpected, _):
            count("invalid", event.connection)
        default: return
        }
    }

    /// Counts the replacement of an IKE SA.
    public mutating func countIKERekey(weInitiated: Bool, _ connection: String) {
        count(weInitiated ? "ike-rekey-init" : "ike-rekey-resp", connection)
    }

    /// Counts the replacement of a Child SA.
    public mutating func countChildRekey(_ connection: String) { count("child-rekey", connection) }

    private mutating func count(_ name: String?, _ connection: String?) {
        count(name.flatMap { Self.places[$0] }, connection)
    }

    private mutating func count(_ place: Int?, _ connection: String?) {
        guard let place else { return }
        total[place] &+= 1
        if let connection { byConnection[connection, default: Self.nothing][place] &+= 1 }
    }

    /// The counter of a message; nil when no counter is its own.
    private static func message(_ kind: Event.MessageKind) -> Int? {
        let exchange = Int(kind.exchange) - 34
        guard exchange >= 0, exchange < 4 else { return nil }
        return messagePlaces[exchange * 4 + (kind.isSent ? 2 : 0) + (kind.isResponse ? 1 : 0)]
    }

    /// For each exchange: requests and responses that came, then those that were sent.
    private static let messagePlaces: [Int?] = ["ike-init", "ike-auth", "create-child", "info"].flatMap { exchange in
        ["in-req", "in-resp", "out-req", "out-resp"].map { places["\(exchange)-\($0)"] }
    }

    /// All connections together, in the order of ``names``.
    public var all: [UInt64] { total }

    /// One connection; nil when nothing was counted for it.
    public func connection(_ name: String) -> [UInt64]? { byConnection[name] }

    /// Connections for which something was counted, by name.
    public var connections: [String] { byConnection.keys.sorted() }

    /// Begins at zero again: everything, or one connection.
    public mutating func reset(_ connection: String? = nil) {
        if let connection {
            byConnection[connection] = nil
        } else {
            total = Self.nothing
        }
    }

    /// Begins each connection at zero again.
    public mutating func resetConnections() { byConnection = [:] }

    /// Forgets connections that are not configured any more.
    public mutating func keep(_ names: Set<String>) {
        if byConnection.count > names.count { byConnection = byConnection.filter { names.contains($0.key) } }
    }
}
