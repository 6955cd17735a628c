public import GatewayModel
public import NetworkTypes

/// The configured connections, found by name or by address without looking at each of them.
///
/// It is made once for a configuration. It decides nothing: among those that it finds, ``ConnectionLookup`` has the say,
/// and what it finds is what a look at all of them would find.
public struct ConnectionDirectory: Sendable {
    private let connections: [ConfiguredConnection]
    private let places: [String: Int]
    /// Connections whose peers are single addresses, by these.
    private let hosts: [IPAddress: [Int]]
    /// All others.
    private let others: [Int]

    /// A directory of these connections.
    public init(_ connections: [Connection] = []) {
        self.connections = ConfiguredConnection.list(connections)
        var places: [String: Int] = [:]
        var hosts: [IPAddress: [Int]] = [:]
        var others: [Int] = []
        for (index, connection) in connections.enumerated() {
            // The first of a name, as whoever reads from the top would find it.
            if places[connection.name] == nil { places[connection.name] = index }
            let singles = connection.remoteAddresses.compactMap(\.single)
            if singles.isEmpty || singles.count < connection.remoteAddresses.count {
                others.append(index)
            } else {
                for address in Set(singles) { hosts[address, default: []].append(index) }
            }
        }
        self.places = places
        self.hosts = hosts
        self.others = others
    }

    /// The connection of this name.
    public func connection(named name: String) -> Connection? { configured(named: name)?.connection }

    /// The same without a copy.
    public func configured(named name: String) -> ConfiguredConnection? { places[name].map { connections[$0] } }

    /// Whether there is a connection of this name.
    public func has(_ name: String) -> Bool { places[name] != nil }

    /// The connections that allow both ends of `path`, the closest first.
    public func candidates(for path: Path) -> [ConfiguredConnection] {
        let named = hosts[path.remote.address] ?? []
        // Both lists are in the configuration's order, which decides where all else is equal.
        let found = named.isEmpty ? others : others.isEmpty ? named : (named + others).sorted()
        return ConnectionLookup.candidates(among: found, of: connections, for: path)
    }
}
