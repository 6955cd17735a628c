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

    /// Whether Cloudflare is the peer, or we are in its place.
    static func isCloudflare(_ connection: Connection) -> Bool {
        connection.profile == cloudflare.name || connection.profile == cloudflareGateway.name
    }

    /// Two tunnels between the same two addresses can't both be told by an address. Other peers than Cloudflare do not
    /// mind.
    static func ambiguous(_ connection: Connection, in all: [Connection]) -> Violation? {
        guard isCloudflare(connection) else { return nil }
        let isGateway = connection.profile == cloudflareGateway.name
        let identity = isGateway ? connection.remote.identity : connection.local.identity.map { .exactly($0) }
        if let identity {
            guard case .exactly(let exact) = identity, exact.kind == .ipv4Address else { return nil }
        }
        let other = all.first {
            $0.profile == connection.profile && $0.name != connection.name
                && AddressPattern.overlap($0.localAddresses, connection.localAddresses)
                && AddressPattern.overlap($0.remoteAddresses, connection.remoteAddresses)
        }
        guard let other else { return nil }
        return Violation(
            key: isGateway ? "remote" : "local",
            message: "an address names this tunnel, and another tunnel, '\(other.name)', has the same two addresses",
            remedy: "give it the tunnel's FQDN, user FQDN or key-id")
    }
}

extension AddressPattern {
    /// Whether an address may be in both lists; an empty one stands for any. What a name stands for is not known.
    static func overlap(_ left: [AddressPattern], _ right: [AddressPattern]) -> Bool {
        guard !left.isEmpty, !right.isEmpty else { return true }
        return left.contains { one in right.contains { one.overlaps($0) } }
    }

    private func overlaps(_ other: AddressPattern) -> Bool {
        if self == .any || other == .any { return true }
        guard let range = addresses, let others = other.addresses else { return self == other }
        return range.intersection(others) != nil
    }

    private var addresses: AddressRange? {
        switch self {
        case .prefix(let prefix): prefix.range
        case .range(let range): range
        case .any, .name: nil
        }
    }
}
