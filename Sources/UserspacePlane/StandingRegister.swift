import GatewayModel

/// The standing policies as the control thread knows them: whose they are, and under which number the packet threads and
/// the routes know them.
///
/// It owns the numbers. They look like those of Child SAs and lie above all of them.
struct StandingRegister {
    /// A policy in force.
    struct Entry {
        /// Its number.
        let key: ChildSAID
        /// What it says.
        let policy: StandingPolicy
        /// Whether a Child SA left it behind, rather than the configuration having it.
        let isLeftBehind: Bool
        /// The device whose packets it is about; 0 for the shared one's.
        let domain: UInt64
    }

    /// In the order in which they came.
    private(set) var entries: [Entry] = []
    private var next: UInt32 = 1 << 31

    /// Enters a policy.
    mutating func add(_ policy: StandingPolicy, isLeftBehind: Bool, domain: UInt64) -> Entry {
        let entry = Entry(
            key: ChildSAID(rawValue: next), policy: policy, isLeftBehind: isLeftBehind, domain: domain)
        // Two thousand million changes later a number that is long free comes again.
        next = next == .max ? 1 << 31 : next + 1
        entries.append(entry)
        return entry
    }

    /// Forgets a policy.
    mutating func remove(_ entry: Entry) { entries.removeAll { $0.key == entry.key } }
}
