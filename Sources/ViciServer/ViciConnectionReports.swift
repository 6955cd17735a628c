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
                section.set("reauth_time", connection.reauthTime.wholeSeconds)
                section.set("rekey_time", connection.rekeyTime.wholeSeconds)
                section.set("unique", "UNIQUE_\(connection.uniqueness.rawValue)".uppercased())
                if connection.dpdDelay > .zero { section.set("dpd_delay", connection.dpdDelay.wholeSeconds) }
                section.setSection("local-1") {
                    round(
                        connection.local.identity?.description, connection.local.method, connection.local.eap,
                        connection.local.eapIdentity?.description, into: &$0)
                }
                for (index, further) in connection.furtherLocal.enumerated() {
                    section.setSection("local-\(index + 2)") {
                        round(
                            further.identity?.description, further.method, further.eap,
                            further.eapIdentity?.description, into: &$0)
                    }
                }
                section.setSection("remote-1") {
                    round(
                        Self.identity(connection.remote.identity), connection.remote.method, connection.remote.eap,
                        connection.remote.eapIdentity?.description, into: &$0)
                }
                for (index, further) in connection.furtherRemote.enumerated() {
                    section.setSection("remote-\(index + 2)") {
                        round(
                            Self.identity(further.identity), further.method, further.eap,
                            further.eapIdentity?.description, into: &$0)
                    }
                }
                section.setSection("children") { children in
                    for child in connection.children {
                        children.setSection(child.name) { childFields(child, into: &$0) }
                    }
                }
            }
        }
    }

    /// One authentication round of one end.
    private static func round(
        _ identity: String?, _ method: Connection.AuthenticationMethod, _ eap: EAPRules, _ eapIdentity: String?,
        into tree: inout ViciTree
    ) {
        if let identity { tree.set("id", identity) }
        tree.set("class", className(method))
        if method == .eap {
            if eap.methods.count == 1, let only = eap.methods.first { tree.set("eap-type", only) }
            if let eapIdentity { tree.set("eap_id", eapIdentity) }
        }
        for key in ["groups", "cert_policy", "certs", "cacerts"] { tree.setList(key, [String]()) }
    }

    /// Whom the peer has to be; nil for anybody.
    private static func identity(_ pattern: IdentityPattern?) -> String? {
        switch pattern {
        case .any?, nil: nil
        case .some(let pattern): pattern.description
        }
    }

    private static func childFields(_ child: ChildTemplate, into tree: inout ViciTree) {
        tree.set("mode", child.shunt?.rawValue ?? child.mode.rawValue)
        tree.set("rekey_time", child.rekeyTime.wholeSeconds)
        tree.set("rekey_bytes", 0)
        tree.set("rekey_packets", 0)
        tree.set("dpd_action", word(child.dpdAction))
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
        case .eap: "EAP"
        }
    }
}
