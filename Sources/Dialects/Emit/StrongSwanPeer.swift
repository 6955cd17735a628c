import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes

/// The other end in swanctl.conf's syntax, with keys that strongSwan and Martlet both have.
enum StrongSwanPeer {
    static func emit(_ side: PeerSide) -> EmittedPeer {
        var connection = SwanctlDocument.Section(side.name)
        connection.set("version", "2")
        connection.set("local_addrs", side.itsAddress?.description)
        connection.set("remote_addrs", side.ourAddress.description)
        connection.set("proposals", list(side.proposals))
        if !side.mobike { connection.set("mobike", "no") }
        if side.forcesEncapsulation { connection.set("encap", "yes") }
        if side.dpdDelay > .zero { connection.set("dpd_delay", "\(side.dpdDelay.wholeSeconds)s") }
        if side.rekeyTime > .zero { connection.set("rekey_time", "\(side.rekeyTime.wholeSeconds)s") }
        for (name, identity) in [("local", side.itsIdentity), ("remote", side.ourIdentity)] {
            var round = SwanctlDocument.Section(name)
            round.set("auth", "psk")
            round.set("id", identity.swanctlText)
            connection.sections.append(round)
        }
        var children = SwanctlDocument.Section("children")
        for child in side.children { children.sections.append(section(child)) }
        connection.sections.append(children)
        var secret = SwanctlDocument.Section("ike-\(side.name)")
        secret.set("id-1", side.itsIdentity.swanctlText)
        secret.set("id-2", side.ourIdentity.swanctlText)
        secret.set("secret", side.secret)
        var document = SwanctlDocument()
        for (name, inner) in [("connections", connection), ("secrets", secret)] {
            var outer = SwanctlDocument.Section(name)
            outer.sections = [inner]
            document.sections.append(outer)
        }
        let text = String(decoding: document.rendered().octets, as: UTF8.self)
        return EmittedPeer(files: [.init(name: "/etc/swanctl/conf.d/\(side.name).conf", text: text)], notes: [])
    }

    private static func section(_ child: PeerSide.Child) -> SwanctlDocument.Section {
        var section = SwanctlDocument.Section(child.name)
        if !child.isTransport {
            section.set("local_ts", child.itsSelectors.map(\.description).joined(separator: ", "))
            section.set("remote_ts", child.ourSelectors.map(\.description).joined(separator: ", "))
        }
        let esp = child.proposals.filter { $0.securityProtocol == .esp }
        let ah = child.proposals.filter { $0.securityProtocol == .ah }
        section.set("esp_proposals", esp.isEmpty ? nil : list(esp))
        section.set("ah_proposals", ah.isEmpty ? nil : list(ah))
        if child.isTransport { section.set("mode", "transport") }
        if child.rekeyTime > .zero { section.set("rekey_time", "\(child.rekeyTime.wholeSeconds)s") }
        if child.lifeTime > .zero { section.set("life_time", "\(child.lifeTime.wholeSeconds)s") }
        section.set("start_action", "trap")
        return section
    }

    private static func list(_ proposals: [Proposal]) -> String {
        proposals.map(\.description).joined(separator: ", ")
    }
}
