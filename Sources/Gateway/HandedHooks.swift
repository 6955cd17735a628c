import GatewayModel
import NetworkTypes
import StateRecords

/// What the programs that a gateway calls on this machine were told: one process has told them, another one takes it back.
struct HandedHooks {
    /// Who was told that it is up.
    var active: [UpdownHooks.Tunnel: UpdownHooks.Active]
    /// What peers have given, by IKE SA.
    var nameServers: [IKESAID: [IPAddress]]
    /// Calls that nobody has begun.
    var waiting: [UpdownHooks.Call]
}

extension HandedHooks: Recorded {
    func write(to writer: RecordWriter) {
        // In an order that does not depend on hashes: by the oldest Child SA of each.
        let told = active.sorted { first, second in
            (first.value.children.min()?.rawValue ?? 0) < (second.value.children.min()?.rawValue ?? 0)
        }
        writer.list(told) { tunnel, state in
            writer.text(tunnel.connection)
            writer.text(tunnel.child)
            writer.list(tunnel.local)
            writer.list(tunnel.remote)
            writer.list(state.children.sorted())
            writer.list(state.calls)
        }
        writer.list(nameServers.sorted { $0.key < $1.key }) { owner, servers in
            writer.put(owner)
            writer.list(servers)
        }
        writer.list(waiting)
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        let told = try reader.list("tunnels") { reader throws(RecordError) in
            let tunnel = UpdownHooks.Tunnel(
                connection: try reader.text("connection"), child: try reader.text("child"),
                local: try reader.list("local selectors"), remote: try reader.list("remote selectors"))
            let children = try reader.list("children", of: ChildSAID.self)
            return (tunnel, UpdownHooks.Active(children: Set(children), calls: try reader.list("calls")))
        }
        let servers = try reader.list("name servers") { reader throws(RecordError) in
            let owner = try reader.value(IKESAID.self)
            return (owner, try reader.list("name servers", of: IPAddress.self))
        }
        self.init(
            active: Dictionary(told) { first, _ in first }, nameServers: Dictionary(servers) { first, _ in first },
            waiting: try reader.list("calls"))
    }
}

extension UpdownHooks.Call: Recorded {
    func write(to writer: RecordWriter) {
        writer.list(arguments) { writer.text($0) }
        writer.list(environment) { writer.text($0) }
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        let arguments = try reader.list("arguments") { reader throws(RecordError) in try reader.text("argument") }
        let environment = try reader.list("environment") { reader throws(RecordError) in try reader.text("variable") }
        self.init(arguments: arguments, environment: environment)
    }
}

/// The name servers that the system has from us.
struct HandedNameServers: Recorded {
    /// What peers have given.
    var settings: [HostSettings]
    /// Whether the system has all of it.
    var isHandedOver: Bool

    /// Settings that the system has, or is to have.
    init(_ settings: [HostSettings], isHandedOver: Bool) {
        self.settings = settings
        self.isHandedOver = isHandedOver
    }

    func write(to writer: RecordWriter) {
        writer.bool(isHandedOver)
        writer.list(settings)
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        isHandedOver = try reader.bool("handed over")
        settings = try reader.list("settings")
    }
}
