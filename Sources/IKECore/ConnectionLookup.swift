public import GatewayModel
public import NetworkTypes

/// Which configured connection a peer means: first by the two addresses, later by the identities as well.
///
/// It owns the order of preference and nothing else. The order is total: where two connections fit equally well, the one
/// that the configuration names first is taken.
public struct ConnectionLookup: Sendable {
    private let connections: [ConfiguredConnection]

    /// A look-up among these connections.
    public init(_ connections: [Connection]) { self.connections = ConfiguredConnection.list(connections) }

    /// The connections that allow both ends of `path`, the closest first: the peer's address weighs more than ours.
    public func candidates(for path: Path) -> [ConfiguredConnection] {
        Self.candidates(among: connections.indices, of: connections, for: path)
    }

    /// The same among the connections at `places`, which are in the configuration's order.
    static func candidates(
        among places: some Collection<Int>, of connections: [ConfiguredConnection], for path: Path
    ) -> [ConfiguredConnection] {
        if places.count == 1, let place = places.first {
            return rank(place, connections[place], path) == nil ? [] : [connections[place]]
        }
        return places.compactMap { rank($0, connections[$0], path) }.sorted().map { connections[$0.index] }
    }

    /// How closely a connection fits `path`; nil when it does not.
    private static func rank(_ place: Int, _ configured: ConfiguredConnection, _ path: Path) -> Rank? {
        guard !configured.isPolicyOnly,
            let remote = specificity(configured.connection.remoteAddresses, path.remote.address),
            let local = specificity(configured.connection.localAddresses, path.local.address)
        else { return nil }
        return Rank(identity: 0, remote: remote, local: local, index: place)
    }

    /// How the identities of IKE_AUTH pick one of the candidates.
    public enum Verdict: Hashable, Sendable {
        /// This connection.
        case connection(ConfiguredConnection)
        /// None accepts the peer's identity; what they would accept.
        case identityMismatch(expected: [IdentityPattern])
        /// Some accept the peer, but none is whom it asks for; who they are.
        case notUs(ours: [Identity])
    }

    /// The best of `candidates` (which are in order of preference already) for these identities: the closest pattern for
    /// the peer's identity wins, then the order of the candidates. `asked` is whom the peer wants to reach; nil for
    /// anybody.
    public static func verdict(
        among candidates: [ConfiguredConnection], peer: Identity, asked: Identity?, path: Path
    ) -> Verdict {
        var best: (rank: Rank, connection: ConfiguredConnection)?
        var expected: [IdentityPattern] = []
        var ours: [Identity] = []
        for (index, candidate) in candidates.enumerated() {
            let pattern = candidate.expectedIdentity(of: path.remote.address)
            guard pattern.matches(peer) else {
                if !expected.contains(pattern) { expected.append(pattern) }
                continue
            }
            let identity = candidate.ownIdentity(at: path.local.address)
            if let asked, !IdentityPattern.exactly(identity).matches(asked) {
                if !ours.contains(identity) { ours.append(identity) }
                continue
            }
            let rank = Rank(identity: pattern.specificity, remote: 0, local: 0, index: index)
            if best.map({ rank < $0.rank }) ?? true { best = (rank, candidate) }
        }
        if let best { return .connection(best.connection) }
        return ours.isEmpty ? .identityMismatch(expected: expected) : .notUs(ours: ours)
    }

    /// How closely the closest of `patterns` names `address`; nil when none does. No patterns stand for any address.
    private static func specificity(_ patterns: [AddressPattern], _ address: IPAddress) -> Int? {
        if patterns.isEmpty { return 0 }
        var closest: Int?
        for pattern in patterns where pattern.contains(address) {
            closest = max(closest ?? 0, pattern.specificity)
        }
        return closest
    }

    /// Smaller is better.
    private struct Rank: Comparable, Sendable {
        var identity: Int
        var remote: Int
        var local: Int
        var index: Int

        static func < (left: Rank, right: Rank) -> Bool {
            (right.identity, right.remote, right.local, left.index)
                < (left.identity, left.remote, left.local, right.index)
        }
    }
}

extension Connection {
    /// Who we are on this connection: as configured, else our address.
    @inlinable
    public func ownIdentity(at address: IPAddress) -> Identity { local.identity ?? Identity(address) }

    /// Whom we accept on this connection: as configured, else the peer's address.
    @inlinable
    public func expectedIdentity(of address: IPAddress) -> IdentityPattern {
        remote.identity ?? .exactly(Identity(address))
    }
}
