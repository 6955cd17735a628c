import GatewayModel
import IPsecCrypto
import NetworkTypes

/// Zscaler's service as the peer, and us in its place.
extension PeerProfile {
    static let zscaler = PeerProfile(
        name: "zscaler", peer: "Zscaler",
        connection: [
            "version": "2", "proposals": "aes256-sha256-modp2048", "rekey_time": "24h", "dpd_delay": "20s",
            "dpd_interval": "20s", "dpd_tries": "5", "mobike": "no",
        ],
        child: [
            "esp_proposals": "aes256gcm16, aes128gcm16", "rekey_time": "8h", "dpd_action": "restart", "mtu": "1400",
            "mss": "1360",
        ], ike: ikeTable, esp: espTable, needsSharedKeys: true, ikeLifetime: seconds(300, 86_400),
        childLifetime: seconds(300, 28_800), allowsExtendedSequenceNumbers: false, allowsAH: true, largestChildCount: 8,
        rules: [
            crossViolations, sizes, { identityViolations($0.local.identity.map { .exactly($0) }, "local") },
        ])

    static let zscalerGateway = PeerProfile(
        name: "zscaler-gateway", peer: "Zscaler's service",
        connection: [
            "version": "2", "proposals": "aes256-sha256-modp2048", "rekey_time": "24h", "dpd_delay": "20s",
            "dpd_interval": "20s", "dpd_tries": "5", "mobike": "no",
        ], child: ["esp_proposals": "aes256gcm16, aes128gcm16", "rekey_time": "8h", "mtu": "1400", "mss": "1360"],
        ike: ikeTable, esp: espTable,
        needsSharedKeys: true, ikeLifetime: seconds(300, 86_400), childLifetime: seconds(300, 28_800),
        allowsExtendedSequenceNumbers: false, allowsAH: true, largestChildCount: 8,
        rules: [crossViolations, sizes, { identityViolations($0.remote.identity, "remote") }])

    private static let ikeTable = AlgorithmTable(
        encryption: ["aes256", "aes192", "aes128", "3des"], integrity: ["sha512", "sha384", "sha256", "sha1"],
        prf: ["prfsha512", "prfsha384", "prfsha256", "prfsha1"],
        groups: ["modp1024", "modp1536", "modp2048", "ecp256", "ecp384", "ecp521"])
    private static let espTable = AlgorithmTable(
        encryption: ["aes256gcm16", "aes192gcm16", "aes128gcm16", "aes256", "aes192", "aes128", "null"],
        integrity: ["sha512", "sha384", "sha256", "sha1", "md5"],
        groups: ["none", "modp1024", "modp1536", "modp2048", "ecp256", "ecp384", "ecp521"])

    @Sendable private static func sizes(_ connection: Connection) -> [Violation] {
        sizes(connection, "Zscaler", mtu: 1400, segment: 1360)
    }

    /// SHA-384 and SHA-512, as the PRF too, go with group 14 only; 3DES with group 2 and SHA-1 or SHA-256.
    @Sendable private static func crossViolations(_ connection: Connection) -> [Violation] {
        var found: [Violation] = []
        for proposal in connection.proposals {
            let names = proposal.transforms.map(\.description)
            let groups = proposal.transforms(of: .keyExchange).map(\.description)
            let hashes =
                proposal.transforms(of: .integrity).map(\.description)
                + proposal.transforms(of: .prf).map { String($0.description.dropFirst("prf".count)) }
            if hashes.contains(where: { $0 == "sha384" || $0 == "sha512" }), groups != ["modp2048"] {
                found.append(
                    Violation(
                        key: "proposals", message: "Zscaler has SHA-384 and SHA-512 with group 14 (modp2048) only",
                        remedy: "write modp2048 in that proposal, or sha256"))
            }
            if names.contains("3des"),
                groups != ["modp1024"] || hashes.contains(where: { $0 != "sha1" && $0 != "sha256" })
            {
                found.append(
                    Violation(
                        key: "proposals",
                        message: "Zscaler has 3DES with group 2 (modp1024) and SHA-1 or SHA-256 only",
                        remedy: "write aes256-sha256-modp2048"))
            }
        }
        return found
    }

    private static func identityViolations(_ pattern: IdentityPattern?, _ end: String) -> [Violation] {
        switch pattern {
        case .exactly(let identity)?
        where [.fqdn, .rfc822Address, .ipv4Address].contains(identity.kind): return []
        case nil: return []
        default:
            return [
                Violation(
                    key: end, message: "Zscaler knows tunnels by FQDN, user FQDN or a public IPv4 address",
                    remedy: "write the id of the VPN credential in the section '\(end)'")
            ]
        }
    }
}
