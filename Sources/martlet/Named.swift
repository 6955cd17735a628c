import ViciMessages

/// What a name on the command line stands for: a connection, or one of its children.
enum Named {
    case connection(String)
    case child(String, connection: String)

    /// Among what is configured. Connections first; the error names what there is.
    init(_ name: String, _ report: StatusReport) throws {
        if let found = Self.configured(name, report) {
            self = found
        } else if Self.left(name, report) != nil {
            throw CommandFailure(
                "'\(name)' is no longer configured: what is left of it can be closed (`martlet down \(name)`), but not "
                    + "brought up.")
        } else {
            throw Self.unknown(name, report)
        }
    }

    /// Among what is configured, and then among the tunnels whose connection no longer is.
    init(anyOf name: String, _ report: StatusReport) throws {
        guard let found = Self.configured(name, report) ?? Self.left(name, report) else {
            throw Self.unknown(name, report)
        }
        self = found
    }

    private static func configured(_ name: String, _ report: StatusReport) -> Self? {
        if report.connections.contains(where: { $0.name == name }) { return .connection(name) }
        return report.connections.first { $0.children.contains(name) }.map { .child(name, connection: $0.name) }
    }

    private static func left(_ name: String, _ report: StatusReport) -> Self? {
        if report.other_ike_sas.contains(where: { $0.connection == name }) { return .connection(name) }
        let sas = report.other_ike_sas + report.connections.flatMap(\.ike_sas)
        return sas.first { $0.children.contains { $0.name == name } }
            .map { .child(name, connection: $0.connection) }
    }

    private static func unknown(_ name: String, _ report: StatusReport) -> CommandFailure {
        CommandFailure("No connection or child is called '\(name)'. \(report.whatThereIs)")
    }

    /// The connection.
    var owner: String {
        switch self {
        case .connection(let name), .child(_, let name): name
        }
    }

    /// The peer's addresses.
    func peer(_ report: StatusReport) -> String {
        let addresses = report.connections.first { $0.name == owner }?.remote_addrs ?? []
        return addresses.isEmpty ? "the peer" : addresses.joined(separator: ", ")
    }

    /// Whether there is nothing left to bring up. What is being deleted does not count.
    func isUp(_ report: StatusReport) -> Bool {
        guard let connection = report.connections.first(where: { $0.name == owner }) else { return false }
        let installed = Set(
            connection.ike_sas.filter { !$0.isLeaving }.flatMap(\.children).filter { $0.state == "INSTALLED" }.map(
                \.name))
        switch self {
        case .connection: return !connection.children.isEmpty && installed.isSuperset(of: connection.children)
        case .child(let name, _): return installed.contains(name)
        }
    }

    var arguments: ViciTree {
        ViciTree { tree in
            switch self {
            case .connection(let name): tree.set("ike", name)
            case .child(let name, let connection):
                tree.set("child", name)
                tree.set("ike", connection)
            }
        }
    }
}

extension StatusReport {
    /// All IKE SAs of a connection, configured or not.
    func ikeSAs(of connection: String) -> [IKESAStatus] {
        (connections.flatMap(\.ike_sas) + other_ike_sas).filter { $0.connection == connection }
    }

    /// `There are: 'a', 'b'.`, the names that commands take.
    var whatThereIs: String {
        var names = connections.map(\.name)
        for sa in other_ike_sas where !names.contains(sa.connection) { names.append(sa.connection) }
        if names.isEmpty { return "None is configured." }
        return "There are: \(names.map { "'\($0)'" }.joined(separator: ", "))."
    }

    /// Refuses the name of a connection that is neither configured nor has a tunnel left.
    func requireConnection(_ name: String) throws {
        if connections.contains(where: { $0.name == name }) || !ikeSAs(of: name).isEmpty { return }
        if let owner = connections.first(where: { $0.children.contains(name) })?.name {
            throw CommandFailure("'\(name)' is no connection, but a child of '\(owner)'. \(whatThereIs)")
        }
        throw CommandFailure("No connection is called '\(name)'. \(whatThereIs)")
    }
}

extension StatusReport.IKESAStatus {
    /// Whether it is being deleted: nothing new can come from it.
    var isLeaving: Bool { state == "DELETING" || state == "DESTROYING" }
}
