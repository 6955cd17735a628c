public import GatewayModel

/// How often tunnels failed, by connection and by cause: what a dashboard draws and an alarm goes by.
///
/// It owns the counts, of which there are so many at most. It learns them from the events that everybody reads.
public struct FailureCounters: Sendable {
    /// A count.
    public struct Count: Hashable, Sendable {
        /// The connection; empty where none could be named.
        public var connection: String
        /// The cause: a code of the catalogue.
        public var code: String
        /// How often.
        public var count: Int64

        /// So many failures of a connection, for one cause.
        public init(connection: String, code: String, count: Int64) {
            self.connection = connection
            self.code = code
            self.count = count
        }
    }

    /// Pairs of connection and cause that are told apart; further ones are counted without their connection.
    static let limit = 4096

    private var byName: [String: [String: Int64]] = [:]
    private var pairs = 0

    /// Starts at zero.
    public init() {}

    /// Counts an event that is a failure.
    public mutating func count(_ event: Event) {
        guard case .refused(let refusal, let child) = event.kind else { return }
        let code = Diagnosis(refusal, child: child).code
        let name = event.connection ?? ""
        if byName[name]?[code] != nil || pairs < Self.limit {
            add(code, to: name)
        } else {
            add(code, to: "")
        }
    }

    private mutating func add(_ code: String, to name: String) {
        if byName[name]?[code] == nil { pairs += 1 }
        byName[name, default: [:]][code, default: 0] += 1
    }

    /// All counts, by name and code.
    public var counts: [Count] {
        byName.sorted { $0.key < $1.key }.flatMap { name, codes in
            codes.sorted { $0.key < $1.key }.map { Count(connection: name, code: $0.key, count: $0.value) }
        }
    }
}
