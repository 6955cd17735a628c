import Clockwork
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
        additionalKeyExchanges: nil,
        rules: [
            needsPool, { noSharedKey($0, "Windows' client") }, windowsRekeying, windowsRounds,
            { needsMethod($0, "Windows' client", [.mschapv2, .tls, .peap, .ttls]) },
            { fitting($0, windowsTable, "Windows", write: "aes256-sha256-modp2048 or aes256-sha256-modp1024") },
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
        additionalKeyExchanges: nil,
        rules: [
            needsPool, { needsCertificate($0, "Apple's client") },
            { needsMethod($0, "Apple's client", [.mschapv2, .tls, .peap, .ttls]) },
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
        additionalKeyExchanges: nil,
        rules: [
            needsPool, { needsCertificate($0, "Android's client") },
            { needsMethod($0, "Android's client", [.mschapv2]) },
            { fitting($0, androidTable, "Android", write: "aes256gcm16-prfsha256-modp2048") },
        ])

    /// What Windows has once its group 2 was changed, as well.
    private static let windowsTable = AlgorithmTable(
        encryption: ["3des", "aes128", "aes192", "aes256", "aes128gcm16", "aes192gcm16", "aes256gcm16"],
        integrity: ["md5", "sha1", "sha256", "sha384"],
        groups: ["modp768", "modp1024", "modp2048", "modp2048s256", "ecp256", "ecp384"])
    private static let androidTable = AlgorithmTable(
        encryption: [128, 192, 256].flatMap { bits in
            ["aes\(bits)", "aes\(bits)ctr", "aes\(bits)gcm16", "aes\(bits)gcm12", "aes\(bits)gcm8"]
        } + ["chacha20poly1305"], integrity: ["sha512", "sha384", "sha256", "aesxcbc", "aescmac"],
        prf: ["prfsha512", "prfsha384", "prfsha256", "prfaesxcbc", "prfaescmac", "prfsha1"],
        groups: ["modp4096", "x25519", "modp3072", "modp2048"])

    /// Keys that the gateway changes: those of a child never, those of the IKE SA with group 14 first.
    @Sendable private static func windowsRekeying(_ connection: Connection) -> [Violation] {
        var found = connection.children.filter { $0.shunt == nil && $0.rekeyTime > .zero }.map { child in
            Violation(
                key: "rekey_time", child: child.name,
                message: "behind a NAT Windows refuses a rekeying that the gateway starts (error 13863)",
                remedy: "write rekey_time = 0s: Windows changes the keys itself")
        }
        let groups = connection.proposals.flatMap { $0.transforms(of: .keyExchange) }.map(\.description)
        if let small = groups.firstIndex(of: "modp1024"), let large = groups.firstIndex(of: "modp2048"), small < large {
            found.append(
                Violation(
                    key: "proposals", message: "where Windows has group 14, it has to come first for rekeying to work",
                    remedy: "write the proposals with modp2048 before those with modp1024",
                    isAdvice: connection.rekeyTime == .zero))
        }
        return found
    }

    @Sendable private static func windowsRounds(_ connection: Connection) -> [Violation] {
        var found: [Violation] = []
        for (key, rounds) in [
            ("local", connection.furtherLocal.count), ("remote", connection.furtherRemote.count),
        ] where rounds > 0 {
            found.append(
                Violation(
                    key: key, message: "Windows knows one round of authentication only (no RFC 4739)",
                    remedy: "leave one section '\(key)'"))
        }
        if connection.redirection != nil {
            found.append(
                Violation(
                    key: "redirect_to", message: "Windows knows no redirection (RFC 5685): its clients stay here",
                    remedy: "remove it, or change the name's address in the DNS", isAdvice: true))
        }
        return found
    }

    /// The client never asks for the gateway's certificate, and needs it all the same.
    private static func needsCertificate(_ connection: Connection, _ client: String) -> [Violation] {
        guard connection.local.method == .publicKey, connection.sendsCertificate != .always else { return [] }
        return [
            Violation(
                key: "send_cert", message: "\(client) does not ask for the gateway's certificate, and needs it",
                remedy: "write send_cert = always")
        ]
    }

    /// The client proves itself by one of these methods where it does so by EAP.
    private static func needsMethod(_ connection: Connection, _ client: String, _ known: [EAPMethod]) -> [Violation] {
        let rules = connection.remote.eap
        guard connection.remote.method == .eap, !rules.isRelayed, !rules.methods.contains(where: known.contains) else {
            return []
        }
        let names = rules.methods.map { "eap-\($0.name)" }.joined(separator: ", ")
        return [
            Violation(
                key: "remote", message: "\(client) has no \(names)",
                remedy: "write auth = \(known.map { "eap-\($0.name)" }.prefix(2).joined(separator: " or ")) there")
        ]
    }

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
