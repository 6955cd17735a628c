import Foundation
import GatewayModel
import IPsecCrypto
import NetworkTypes
import Trust

/// A profile for the strongSwan app on Android (`.sswan`): JSON as its documentation describes it.
struct StrongSwanProfile {
    let facts: ClientFacts

    /// What the app can do.
    private static let abilities = ClientSuite.Abilities(
        ciphers: [.gcm(bits: 256), .gcm(bits: 128), .chacha20poly1305, .cbc(bits: 256), .cbc(bits: 128)],
        hashes: [.sha512, .sha384, .sha256, .sha1], groups: [31, 20, 19, 21, 16, 15, 14])

    /// The file.
    func text() throws -> String {
        guard facts.proof != .sharedKey else {
            throw CommandFailure("The strongSwan app knows no shared keys: clients need certificates or EAP.")
        }
        guard let ike = ClientSuite.best(facts.connection.proposals, Self.abilities),
            let child = ClientSuite.best(facts.child.proposals, Self.abilities)
        else { throw CommandFailure("The strongSwan app can do none of the proposals of '\(facts.connection.name)'.") }
        var profile = Profile(
            uuid: facts.identifier("sswan").lowercased(), name: facts.title, type: "ikev2-eap",
            remote: .init(addr: facts.server, id: facts.serverIdentity, cert: nil, certreq: true),
            local: .init(), ikeProposal: ike.words, espProposal: child.words)
        if facts.authorities.count == 1, let authority = facts.authorities.first {
            profile.remote.cert = Data(authority.der).base64EncodedString()
        }
        switch facts.proof {
        case .certificate: profile.type = "ikev2-cert"
        case .eapCertificate: profile.type = "ikev2-eap-tls"
        default: profile.local.eapID = facts.user
        }
        if facts.proof != .password { profile.local.id = facts.user }
        profile.local.p12 = facts.container.map { Data($0).base64EncodedString() }
        if !facts.networks.isEmpty {
            profile.splitTunneling = .init(subnets: facts.networks.map(\.description))
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(profile), as: UTF8.self) + "\n"
    }

    private struct Profile: Encodable {
        var uuid: String
        var name: String
        var type: String
        var remote: Remote
        var local: Local
        var ikeProposal: String
        var espProposal: String
        var splitTunneling: SplitTunneling?

        enum CodingKeys: String, CodingKey {
            case uuid, name, type, remote, local
            case ikeProposal = "ike-proposal"
            case espProposal = "esp-proposal"
            case splitTunneling = "split-tunneling"
        }

        struct Remote: Encodable {
            var addr: String
            var id: String
            var cert: String?
            var certreq: Bool
        }

        struct Local: Encodable {
            var eapID: String?
            var id: String?
            var p12: String?

            enum CodingKeys: String, CodingKey {
                case eapID = "eap_id"
                case id, p12
            }
        }

        struct SplitTunneling: Encodable {
            var subnets: [String]
        }
    }
}

/// A swanctl.conf for a client: strongSwan's or Martlet's.
struct ClientSettings {
    let facts: ClientFacts

    /// The file, and beside it the files that it names.
    func files() throws -> [(path: String, octets: [UInt8])] {
        var files: [(path: String, octets: [UInt8])] = []
        var authorities: [String] = []
        for (number, authority) in facts.authorities.enumerated() {
            let name = "\(facts.connection.name)-ca\(number == 0 ? "" : "\(number)").pem"
            authorities.append(name)
            files.append((path: "x509ca/\(name)", octets: authority.pem))
        }
        if let container = facts.container {
            files.append((path: "pkcs12/\(facts.connection.name).p12", octets: container))
        }
        return [(path: "swanctl.conf", octets: Array(text(authorities).utf8))] + files
    }

    /// swanctl.conf itself.
    func text(_ authorities: [String]) -> String {
        let connection = facts.connection
        let ike = connection.proposals.map(\.description).joined(separator: ", ")
        let esp = facts.child.proposals.map(\.description).joined(separator: ", ")
        let networks =
            facts.networks.isEmpty ? "0.0.0.0/0, ::/0" : facts.networks.map(\.description).joined(separator: ", ")
        let families = Set(facts.networks.map(\.family))
        let addresses =
            families.isEmpty
            ? "0.0.0.0"
            : [families.contains(.v4) ? "0.0.0.0" : nil, families.contains(.v6) ? "::" : nil]
                .compactMap { $0 }.joined(separator: ", ")
        var lines = [
            "# Written by `martlet client-profile`.", "connections {", "  \(connection.name) {", "    version = 2",
            "    remote_addrs = \(facts.server)", "    vips = \(addresses)", "    proposals = \(ike)", "    local {",
        ]
        lines += local
        lines += ["    }", "    remote {", "      auth = \(authorities.isEmpty ? "psk" : "pubkey")"]
        lines.append("      id = \(facts.serverIdentity)")
        if !authorities.isEmpty { lines.append("      cacerts = \(authorities.joined(separator: ", "))") }
        lines += [
            "    }", "    children {", "      \(facts.child.name) {", "        remote_ts = \(networks)",
            "        esp_proposals = \(esp)", "        start_action = start", "      }", "    }", "  }", "}",
        ]
        lines += secrets
        return lines.joined(separator: "\n") + "\n"
    }

    private var local: [String] {
        switch facts.proof {
        case .certificate: ["      auth = pubkey", "      id = \(facts.user)"]
        case .sharedKey: ["      auth = psk", "      id = \(facts.user)"]
        case .eapCertificate: ["      auth = eap-tls", "      id = \(facts.user)"]
        case .password: ["      auth = eap-mschapv2", "      eap_id = \(facts.user)"]
        }
    }

    private var secrets: [String] {
        switch facts.proof {
        case .sharedKey:
            return section("ike-\(facts.connection.name)", "id-1 = \(facts.serverIdentity)")
        case .password: return section("eap-\(facts.connection.name)", "id = \(facts.user)")
        default: return []
        }
    }

    private func section(_ name: String, _ identity: String) -> [String] {
        let secret = facts.secret.map { "\"\(Self.escaped($0))\"" }
        return ["secrets {", "  \(name) {", "    \(identity)"]
            + [secret.map { "    secret = \($0)" } ?? "    # secret = …   (it is asked for where this line is missing)"]
            + ["  }", "}"]
    }

    /// What stands between quotes.
    private static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
    }
}
