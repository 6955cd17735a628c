import Clockwork
import GatewayModel
import NetworkTypes
import ViciMessages

/// Connections as clients list them.
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

    static func addresses(_ patterns: [AddressPattern]) -> [AddressPattern] {
        patterns.isEmpty ? [.any] : patterns
    }

    private static func className(_ method: Connection.AuthenticationMethod) -> String {
        switch method {
        case .sharedKey: "pre-shared key"
        case .publicKey: "public key"
        }
    }
}
