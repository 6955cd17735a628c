import GatewayModel
import IPsecCrypto
import NetworkTypes

/// Cloudflare's network as the peer, and us in its place.
///
/// Its addresses are anycast: packets of one SA come from many machines, so that no replay window can work, and the port
/// cannot change in the middle of a handshake.
extension PeerProfile {
    static let cloudflare = PeerProfile(
        name: "cloudflare", peer: "Cloudflare",
        connection: [
            "version": "2", "local_port": "4500", "remote_port": "4500", "encap": "yes", "mobike": "no",
            "proposals": "aes256gcm16-prfsha512-ecp384, aes256gcm16-prfsha256-modp2048, aes256-sha256-modp2048",
            "rekey_time": "24h", "dpd_delay": "30s",
        ],
        child: [
            "replay_window": "0", "esp_proposals": "aes256gcm16-modp2048, aes256gcm16, aes256-sha256-modp2048",
            "dpd_action": "restart", "rekey_time": "8h",
        ], ike: ikeTable, esp: espTable, needsSharedKeys: true, replayWindow: 0...0,
        allowsExtendedSequenceNumbers: false, additionalKeyExchanges: postQuantum,
        rules: [{ portViolations($0) + identityViolations($0.local.identity.map { .exactly($0) }, "local") }])

    static let cloudflareGateway = PeerProfile(
        name: "cloudflare-gateway", peer: "Cloudflare's service",
        connection: [
            // A NAT that we only pretended would make every customer on port 500 change to 4500.
            "version": "2", "encap": "no", "mobike": "no",
            "proposals": "aes256gcm16-prfsha512-ecp384, aes256gcm16-prfsha256-modp2048, aes256-sha256-modp2048",
        ],
        child: ["replay_window": "0", "esp_proposals": "aes256gcm16-modp2048, aes256gcm16, aes256-sha256-modp2048"],
        ike: ikeTable, esp: espTable, needsSharedKeys: true, replayWindow: 0...0,
        allowsExtendedSequenceNumbers: false, additionalKeyExchanges: postQuantum, refusesPortChange: true,
        rules: [{ identityViolations($0.remote.identity, "remote") }])

    private static let postQuantum = ["mlkem768", "mlkem1024"]

    private static let ikeTable = AlgorithmTable(
        encryption: ["aes128gcm16", "aes256gcm16", "aes256"], integrity: ["sha256"],
        prf: ["prfsha256", "prfsha384", "prfsha512"],
        groups: ["modp2048", "modp1536", "ecp384"])
    private static let espTable = AlgorithmTable(
        encryption: ["aes128gcm16", "aes256gcm16", "aes128", "aes256"], integrity: ["sha256", "sha1"],
        groups: ["modp2048", "modp1536", "ecp384", "none"])

    private static func portViolations(_ connection: Connection) -> [Violation] {
        var found: [Violation] = []
        if connection.remotePort != 4500 {
            found.append(
                Violation(
                    key: "remote_port", message: "Cloudflare can't follow a change from port 500 to 4500",
                    remedy: "write remote_port = 4500"))
        }
        if connection.localPort == 500 {
            found.append(
                Violation(
                    key: "local_port", message: "Cloudflare can't follow a change from port 500 to 4500",
                    remedy: "write local_port = 4500"))
        }
        return found
    }

    /// The four forms: `ipsec@TUNNEL.ACCOUNT.ipsec.cloudflare.com`, `TUNNEL.ACCOUNT.ipsec.cloudflare.com`,
    /// `LABEL.ACCOUNT.custom.ipsec.cloudflare.com`, the key-id `ACCOUNT_TUNNEL`; and an IPv4 address, where it alone tells
    /// the tunnel.
    private static func identityViolations(_ pattern: IdentityPattern?, _ end: String) -> [Violation] {
        let identity: Identity?
        switch pattern {
        case .exactly(let exact)?: identity = exact
        // Our own address, which is a form of its own.
        case nil: return []
        default: identity = nil
        }
        guard let identity, isForm(identity) else {
            return [
                Violation(
                    key: end,
                    message:
                        "'\(pattern.map { "\($0)" } ?? "")' is none of the identities that Cloudflare gives to tunnels",
                    remedy:
                        "copy one of the tunnel's identities: FQDN, user FQDN, key-id (write keyid:…), or its address")
            ]
        }
        return []
    }

    private static func isForm(_ identity: Identity) -> Bool {
        let text = String(decoding: identity.data, as: UTF8.self)
        switch identity.kind {
        case .ipv4Address: return true
        case .rfc822Address:
            return text.hasPrefix("ipsec@") && isTunnelName(String(text.dropFirst("ipsec@".count)))
        case .fqdn: return isTunnelName(text)
        case .keyID:
            let parts = text.split(separator: "_", omittingEmptySubsequences: false)
            return parts.count == 2 && parts.allSatisfy(isLabel)
        default: return false
        }
    }

    private static func isTunnelName(_ text: String) -> Bool {
        for ending in [".custom.ipsec.cloudflare.com", ".ipsec.cloudflare.com"] where text.hasSuffix(ending) {
            let parts = text.dropLast(ending.utf8.count).split(separator: ".", omittingEmptySubsequences: false)
            return parts.count == 2 && parts.allSatisfy(isLabel)
        }
        return false
    }

    private static func isLabel(_ text: Substring) -> Bool {
        (1...63).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}
