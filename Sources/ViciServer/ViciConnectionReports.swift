import Clockwork
import GatewayModel
import NetworkTypes
import ViciMessages

/// Connections as clients list them, and what `martlet status` shows of them.
///
/// It owns key names, their order and their spelling, as ``ViciReports`` does for SAs.
extension ViciReports {
    /// A `list-conn` event.
    static func connection(_ connection: Connection) -> ViciTree {
        ViciTree { tree in
            tree.setSection(connection.name) { section in
                section.setList("local_addrs", addresses(connection.localAddresses))
                section.setList("remote_addrs", addresses(connection.remoteAddresses))
                section.set("version", "IKEv2")
                section.set("reauth_time", 0)
                section.set("rekey_time", connection.rekeyTime.wholeSeconds)
                section.set("unique", "UNIQUE_\(connection.uniqueness.rawValue)".uppercased())
                if connection.dpdDelay > .zero { section.set("dpd_delay", connection.dpdDelay.wholeSeconds) }
                section.setSection("local-1") {
                    $0.set("class", className(connection.local.method))
                    if let identity = connection.local.identity { $0.set("id", identity) }
                }
                section.setSection("remote-1") {
                    $0.set("class", className(connection.remote.method))
                    if let identity = connection.remote.identity { $0.set("id", identity) }
                }
                section.setSection("children") { children in
                    for child in connection.children {
                        children.setSection(child.name) { childFields(child, into: &$0) }
                    }
                }
            }
        }
    }

    private static func childFields(_ child: ChildTemplate, into tree: inout ViciTree) {
        tree.set("mode", child.mode.rawValue)
        tree.set("rekey_time", child.rekeyTime.wholeSeconds)
        tree.set("rekey_bytes", 0)
        tree.set("rekey_packets", 0)
        tree.set("dpd_action", child.dpdAction == .none ? "clear" : word(child.dpdAction))
        tree.set("close_action", word(child.closeAction))
        tree.setList("local-ts", child.localSelectors)
        tree.setList("remote-ts", child.remoteSelectors)
    }

    private static func word(_ action: ChildTemplate.CloseAction) -> String {
        switch action {
        case .none: "none"
        case .trap: "trap"
        case .start: "start"
        }
    }

    private static func addresses(_ patterns: [AddressPattern]) -> [AddressPattern] {
        patterns.isEmpty ? [.any] : patterns
    }

    private static func className(_ method: Connection.AuthenticationMethod) -> String {
        switch method {
        case .sharedKey: "pre-shared key"
        }
    }

    /// The answer to `martlet-status`: all connections with their IKE SAs and what last went wrong, then what no
    /// connection could be named for.
    static func status(
        connections: [Connection], ikeSAs: [ViciIKESA], failures: [String: ViciFailure], strays: [ViciFailure],
        now: Instant, unixTime: Int64
    ) -> ViciTree {
        ViciTree { tree in
            tree.setSection("connections") { section in
                for connection in connections {
                    section.setSection(connection.name) { fields in
                        let own = ikeSAs.filter { $0.summary.connection == connection.name }
                        fields.set("state", stateWord(own))
                        fields.setList("remote_addrs", addresses(connection.remoteAddresses))
                        fields.setList("children", connection.children.map(\.name))
                        if let failure = failures[connection.name] {
                            fields.setSection("last-error") {
                                failureFields(failure, now: now, unixTime: unixTime, into: &$0)
                            }
                        }
                    }
                }
            }
            tree.setSection("sas") { section in
                for sa in ikeSAs {
                    let inner = ikeSA(sa, now: now).section(sa.summary.connection) ?? ViciTree()
                    section.setSection("\(sa.summary.connection)-\(sa.summary.id)") { fields in
                        fields.set("connection", sa.summary.connection)
                        if let setup = sa.summary.setupTime {
                            fields.set("setup-milliseconds", setup.nanoseconds / 1_000_000)
                        }
                        for entry in inner.entries { fields[element: entry.name] = entry.element }
                    }
                }
            }
            tree.setSection("refusals") { section in
                for (index, failure) in strays.enumerated() {
                    section.setSection(String(index)) {
                        failureFields(failure, now: now, unixTime: unixTime, into: &$0)
                    }
                }
            }
        }
    }

    /// How far the connection is: established with a child, established, on its way, or down.
    private static func stateWord(_ ikeSAs: [ViciIKESA]) -> String {
        let established = ikeSAs.filter { $0.summary.state == .established || $0.summary.state == .rekeying }
        if established.contains(where: {
            $0.summary.children.contains { $0.state == .installed || $0.state == .rekeying }
        }) {
            return "up"
        }
        if !established.isEmpty { return "established" }
        return ikeSAs.contains { $0.summary.state == .connecting || $0.summary.state == .created }
            ? "connecting" : "down"
    }

    private static func failureFields(
        _ failure: ViciFailure, now: Instant, unixTime: Int64, into tree: inout ViciTree
    ) {
        let age = max(0, (now - failure.time).wholeSeconds)
        tree.set("code", failure.code)
        tree.set("text", failure.text)
        if let remedy = failure.remedy { tree.set("remedy", remedy) }
        tree.set("time", unixTime - age)
        tree.set("age", age)
    }
}
