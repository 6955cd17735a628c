import Clockwork
import GatewayModel
import NetworkTypes
import ViciMessages

/// Connections as clients list them.
///
/// It owns key names, their order and their spelling, as ``ViciReports`` does for SAs.
extension ViciReports {
    /// A `list-conn` event; `subject` says whose a certificate in DER is.
    static func connection(_ connection: Connection, subject: ([UInt8]) -> String?) -> ViciTree {
        ViciTree { tree in
            tree.setSection(connection.name) { section in
                section.setList("local_addrs", addresses(connection.localAddresses))
                section.setList("remote_addrs", addresses(connection.remoteAddresses))
                section.set("version", "IKEv2")
                section.set("reauth_time", connection.reauthTime.wholeSeconds)
                section.set("rekey_time", connection.rekeyTime.wholeSeconds)
                section.set("unique", "UNIQUE_\(connection.uniqueness.rawValue)".uppercased())
                if connection.dpdDelay > .zero { section.set("dpd_delay", connection.dpdDelay.wholeSeconds) }
                if let identity = connection.ppkIdentity { section.set("ppk_id", identity.description) }
                if connection.ppkRequired { section.set("ppk_required", true) }
                for (index, round) in ([connection.local] + connection.furtherLocal).enumerated() {
                    section.setSection("local-\(index + 1)") { own(round, subject, into: &$0) }
                }
                for (index, round) in ([connection.remote] + connection.furtherRemote).enumerated() {
                    section.setSection("remote-\(index + 1)") { peers(round, subject, into: &$0) }
                }
                section.setSection("children") { children in
                    for child in connection.children {
                        children.setSection(child.name) { childFields(child, into: &$0) }
                    }
                }
            }
        }
    }

    private static func own(
        _ round: Connection.Authentication, _ subject: ([UInt8]) -> String?, into tree: inout ViciTree
    ) {
        let certificates = round.certificates.compactMap(subject)
        if let identity = round.identity?.description ?? certificates.first { tree.set("id", identity) }
        method(round.method, round.eap, round.eapIdentity?.description, into: &tree)
        lists(certificates: certificates, into: &tree)
    }

    private static func peers(
        _ round: Connection.PeerAuthentication, _ subject: ([UInt8]) -> String?, into tree: inout ViciTree
    ) {
        if let identity = round.identity { tree.set("id", identity.description) }
        method(round.method, round.eap, round.eapIdentity?.description, into: &tree)
        switch round.revocation {
        case .strict: tree.set("revocation", "GOOD")
        case .ifURI: tree.set("revocation", "SKIPPED")
        case .relaxed: break
        }
        let authorities = round.trustsLoaded ? [] : round.authorities.compactMap { subject($0.certificate) }
        lists(
            groups: round.groups, policies: round.policies, certificates: round.certificates.compactMap(subject),
            authorities: authorities, into: &tree)
    }

    private static func method(
        _ method: Connection.AuthenticationMethod, _ eap: EAPRules, _ eapIdentity: String?, into tree: inout ViciTree
    ) {
        if method == .eap {
            if let eapIdentity { tree.set("eap_id", eapIdentity) }
            if eap.methods.count == 1, let only = eap.methods.first { tree.set("eap-type", only) }
        }
        tree.set("class", className(method))
    }

    private static func lists(
        groups: [String] = [], policies: [String] = [], certificates: [String], authorities: [String] = [],
        into tree: inout ViciTree
    ) {
        tree.setList("groups", groups)
        tree.setList("cert_policy", policies)
        tree.setList("certs", certificates)
        tree.setList("cacerts", authorities)
    }

    private static func childFields(_ child: ChildTemplate, into tree: inout ViciTree) {
        tree.set("mode", child.shunt?.rawValue ?? child.mode.rawValue)
        tree.set("rekey_time", child.rekeyTime.wholeSeconds)
        tree.set("rekey_bytes", child.volume.bytes.rekey)
        tree.set("rekey_packets", child.volume.packets.rekey)
        tree.set("dpd_action", word(child.dpdAction))
        tree.set("close_action", word(child.closeAction))
        tree.setList("local-ts", child.localSelectors)
        tree.setList("remote-ts", child.remoteSelectors)
        if child.priority > 0 { tree.set("priority", child.priority) }
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
