import GatewayModel
import IPsecCrypto

/// The clients that come with Windows, with Apple's systems and with Android; we are their gateway.
extension PeerProfile {
    static let windows = PeerProfile(
        name: "windows", peer: "Windows",
        connection: [
            "version": "2",
            // Its own default is group 2 only; where that was changed, group 14 has to come first for its rekeying.
            "proposals": "aes256-sha256-modp2048, aes256gcm16-prfsha384-ecp384, aes256-sha256-modp1024, "
                + "aes256-sha384-modp1024",
            "send_cert": "always", "fragmentation": "yes", "dpd_delay": "60s", "rekey_time": "0s",
        ],
        child: [
            "esp_proposals": "aes256gcm16, aes128gcm16, aes256-sha256, aes256-sha1, aes128-sha1",
            // Behind a NAT it refuses a rekeying that the gateway starts, with error 13863.
            "rekey_time": "0s",
        ],
        rules: [
            needsPool, { noSharedKey($0, "Windows' client") },
            { connection in
                connection.children.filter { child in
                    !child.proposals.isEmpty && child.proposals.allSatisfy(needsGroup)
                }.map { child in
                    Violation(
                        key: "esp_proposals", child: child.name,
                        message: "Windows refuses a key exchange of a Child SA's own (error 13816)",
                        remedy: "add a proposal without a group")
                }
            },
            { connection in
                guard connection.fragmentation == .no else { return [] }
                return [
                    Violation(
                        key: "fragmentation",
                        message: "Windows sends long messages, which get lost without fragmentation",
                        remedy: "write fragmentation = yes")
                ]
            },
        ])

    static let apple = PeerProfile(
        name: "apple", peer: "Apple's client",
        connection: [
            "version": "2", "proposals": "aes256-sha256-modp2048, aes256-sha256-ecp256, aes256gcm16-prfsha384-ecp384",
            "send_cert": "always", "dpd_delay": "300s", "rekey_time": "24h",
        ],
        child: ["esp_proposals": "aes256-sha256, aes256gcm16", "rekey_time": "24h"],
        rules: [
            needsPool,
            { connection in
                guard case .exactly(let identity)? = connection.remote.identity, identity.kind == .asn1DN else {
                    return []
                }
                return [
                    Violation(
                        key: "remote", message: "Apple's client sends a distinguished name as FQDN",
                        remedy: "write fqdn:… with the same text as the peer's id")
                ]
            },
        ])

    static let android = PeerProfile(
        name: "android", peer: "Android's client",
        connection: [
            "version": "2",
            // Its first guess is group 16: naming that saves a round trip.
            "proposals": "aes256gcm16-prfsha512-modp4096, aes256-sha512-modp4096, chacha20poly1305-prfsha512-x25519, "
                + "aes256gcm16-prfsha256-modp2048",
            // It asks nobody for a certificate, and needs the gateway's all the same.
            "send_cert": "always", "dpd_delay": "300s", "rekey_time": "4h", "fragmentation": "yes",
        ],
        child: ["esp_proposals": "aes256gcm16, chacha20poly1305, aes256-sha256", "rekey_time": "2h"],
        rules: [needsPool])

    private static func needsGroup(_ proposal: Proposal) -> Bool {
        let groups = proposal.transforms(of: .keyExchange)
        return !groups.isEmpty && !groups.contains(.noKeyExchange)
    }

    @Sendable private static func needsPool(_ connection: Connection) -> [Violation] {
        guard connection.pools.isEmpty else { return [] }
        return [
            Violation(
                key: "pools", message: "this client always asks for a virtual address",
                remedy: "write pools = NAME, and pools { NAME { addrs = … } }")
        ]
    }

    private static func noSharedKey(_ connection: Connection, _ client: String) -> [Violation] {
        var found: [Violation] = []
        for (end, method) in [("local", connection.local.method), ("remote", connection.remote.method)]
        where method == .sharedKey {
            found.append(
                Violation(
                    key: end, message: "\(client) has no pre-shared keys with IKEv2",
                    remedy: "authenticate with certificates or EAP in the section '\(end)'"))
        }
        return found
    }
}
