public import GatewayModel
import IPsecCrypto
import NetworkTypes

/// Whether an identity is one of a certificate's names (RFC 7296 §4, RFC 4945 §3.1).
///
/// It owns the rule that a right key with another's name is nobody. The common name is never taken for a host name.
public enum IdentityBinding {
    /// Whether the certificate says that it belongs to `identity`.
    public static func holds(_ identity: Identity, _ certificate: Certificate) -> Bool {
        switch identity.kind {
        case .asn1DN:
            guard let claimed = identity.distinguishedName, !claimed.attributes.isEmpty else { return false }
            if let subject = certificate.subject, subject.isSame(as: claimed) { return true }
            return certificate.alternativeNames.contains { name in
                if case .directory(let other) = name { other.isSame(as: claimed) } else { false }
            }
        case .fqdn:
            return certificate.alternativeNames.contains { name in
                if case .host(let pattern) = name { matches(Array(pattern.utf8), identity.data) } else { false }
            }
        case .rfc822Address:
            return certificate.alternativeNames.contains { name in
                if case .email(let address) = name {
                    lowercased(Array(address.utf8)) == lowercased(identity.data)
                } else {
                    false
                }
            }
        case .ipv4Address, .ipv6Address:
            return certificate.alternativeNames.contains { name in
                if case .address(let address) = name { address.bytes == identity.data } else { false }
            }
        case .keyID: return identity.data == certificate.key.identifier
        default: return false
        }
    }

    /// The names by which a certificate can be known, for people.
    public static func names(of certificate: Certificate) -> [String] {
        let subject = certificate.subject.flatMap { $0.attributes.isEmpty ? nil : $0.description }
        return (subject.map { [$0] } ?? []) + certificate.alternativeNames.prefix(20).map(\.description)
    }

    /// A host name as a certificate has it: `*.example.net` stands for one label, and not for a name that begins with a
    /// star itself.
    private static func matches(_ pattern: [UInt8], _ name: [UInt8]) -> Bool {
        let (pattern, name) = (lowercased(pattern), lowercased(name))
        guard pattern.starts(with: Array("*.".utf8)) else { return pattern == name && !pattern.isEmpty }
        let rest = pattern.dropFirst()
        guard rest.dropFirst().contains(UInt8(ascii: ".")), let dot = name.firstIndex(of: UInt8(ascii: ".")), dot > 0
        else { return false }
        return name[dot...] == rest && !name.contains(UInt8(ascii: "*"))
    }

    private static func lowercased(_ octets: [UInt8]) -> [UInt8] {
        octets.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }
    }
}
