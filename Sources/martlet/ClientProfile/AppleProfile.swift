import Foundation
import GatewayModel
import Trust

/// A configuration profile for iOS, iPadOS and macOS (`.mobileconfig`), as Apple's device management documents it.
///
/// It owns the property list's form. It is not signed: the person who installs it is told so by the system.
struct AppleProfile {
    let facts: ClientFacts

    /// What Apple's client can do, by its documentation.
    private static let abilities = ClientSuite.Abilities(
        ciphers: [.gcm(bits: 256), .gcm(bits: 128), .chacha20poly1305, .cbc(bits: 256), .cbc(bits: 128)],
        hashes: [.sha512, .sha384, .sha256, .sha1], groups: [31, 20, 19, 21, 16, 15, 14])

    /// The file.
    func text() throws -> String {
        var payloads: [[String: Any]] = facts.authorities.enumerated().map { number, authority in
            payload(
                "com.apple.security.root", "authority\(number)", authority.name,
                ["PayloadContent": Data(authority.der), "PayloadCertificateFileName": "authority\(number).cer"])
        }
        if let container = facts.container {
            payloads.append(
                payload(
                    "com.apple.security.pkcs12", "identity", facts.user,
                    ["PayloadContent": Data(container), "PayloadCertificateFileName": "identity.p12"]))
        }
        payloads.append(
            payload(
                "com.apple.vpn.managed", "vpn", facts.title,
                ["UserDefinedName": facts.title, "VPNType": "IKEv2", "IKEv2": try tunnel()]))
        var whole = payload("Configuration", "profile", facts.title, ["PayloadContent": payloads])
        whole["PayloadRemovalDisallowed"] = false
        let data = try PropertyListSerialization.data(fromPropertyList: whole, format: .xml, options: 0)
        return String(decoding: data, as: UTF8.self)
    }

    private func payload(_ type: String, _ part: String, _ name: String, _ more: [String: Any]) -> [String: Any] {
        let own: [String: Any] = [
            "PayloadType": type, "PayloadVersion": 1, "PayloadIdentifier": "\(facts.reversedName).\(part)",
            "PayloadUUID": facts.identifier("apple \(part)"), "PayloadDisplayName": name,
        ]
        return own.merging(more) { _, new in new }
    }

    private func tunnel() throws -> [String: Any] {
        guard let ike = ClientSuite.best(facts.connection.proposals, Self.abilities),
            let child = ClientSuite.best(facts.child.proposals, Self.abilities)
        else {
            throw CommandFailure(
                "None of the proposals of '\(facts.connection.name)' is one that Apple's client can do: write, for example, "
                    + "proposals = aes256-sha256-modp2048 and esp_proposals = aes256-sha256, or profile = apple.")
        }
        var tunnel: [String: Any] = [
            "RemoteAddress": facts.server, "RemoteIdentifier": facts.serverIdentity, "LocalIdentifier": facts.user,
            "DeadPeerDetectionRate": "Medium", "UseConfigurationAttributeInternalIPSubnet": 0, "DisableMOBIKE": 0,
            "DisableRedirect": 0, "EnablePFS": child.group == nil ? 0 : 1,
            "IKESecurityAssociationParameters": parameters(ike, group: ike.group),
            "ChildSecurityAssociationParameters": parameters(child, group: child.group ?? ike.group),
        ]
        switch facts.proof {
        case .certificate:
            tunnel["AuthenticationMethod"] = "Certificate"
            tunnel["ExtendedAuthEnabled"] = 0
        case .eapCertificate:
            tunnel["AuthenticationMethod"] = "None"
            tunnel["ExtendedAuthEnabled"] = 1
        case .password:
            tunnel["AuthenticationMethod"] = "None"
            tunnel["ExtendedAuthEnabled"] = 1
            tunnel["AuthName"] = facts.user
            if let password = facts.secret { tunnel["AuthPassword"] = password }
        case .sharedKey:
            tunnel["AuthenticationMethod"] = "SharedSecret"
            tunnel["ExtendedAuthEnabled"] = 0
            if let secret = facts.secret { tunnel["SharedSecret"] = secret }
        }
        if facts.container != nil { tunnel["PayloadCertificateUUID"] = facts.identifier("apple identity") }
        // Without this, macOS does not send its certificate where the gateway does not ask for one.
        if let authority = facts.authorities.first, facts.proof != .sharedKey {
            tunnel["ServerCertificateIssuerCommonName"] = Self.commonName(authority)
        }
        return tunnel
    }

    private func parameters(_ suite: ClientSuite, group: UInt16?) -> [String: Any] {
        var parameters: [String: Any] = ["LifeTimeInMinutes": 1440]
        switch suite.cipher {
        case .cbc(let bits): parameters["EncryptionAlgorithm"] = "AES-\(bits)"
        case .gcm(let bits): parameters["EncryptionAlgorithm"] = "AES-\(bits)-GCM"
        case .chacha20poly1305: parameters["EncryptionAlgorithm"] = "ChaCha20Poly1305"
        }
        // For a cipher that needs no integrity algorithm, the key names the PRF.
        switch suite.integrity ?? suite.prf {
        case .sha1: parameters["IntegrityAlgorithm"] = "SHA1-96"
        case .sha256, nil: parameters["IntegrityAlgorithm"] = "SHA2-256"
        case .sha384: parameters["IntegrityAlgorithm"] = "SHA2-384"
        case .sha512: parameters["IntegrityAlgorithm"] = "SHA2-512"
        }
        if let group { parameters["DiffieHellmanGroup"] = Int(group) }
        return parameters
    }

    /// The CN of a name, or all of it.
    private static func commonName(_ certificate: Certificate) -> String {
        let parts = certificate.name.split(separator: ",").map { $0.trimmingPrefix(while: \.isWhitespace) }
        return parts.last { $0.hasPrefix("CN=") }.map { String($0.dropFirst(3)) } ?? certificate.name
    }
}
