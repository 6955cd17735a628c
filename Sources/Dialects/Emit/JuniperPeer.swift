import Clockwork
import GatewayModel
import NetworkTypes

/// The other end as a Juniper device: SRX (Junos), or the older ScreenOS.
enum JuniperPeer {
    static func junos(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        let (ike, esp) = try side.suites(.junos, ikeWords, espWords)
        let name = side.name
        let key = side.key
        var lines: [String] = []
        func set(_ path: String, _ texts: String...) { lines += texts.map { "set security \(path) \($0)" } }
        set(
            "ike proposal \(name)", "authentication-method pre-shared-keys", "dh-group \(ike.group)",
            "encryption-algorithm \(ike.encryption)", "lifetime-seconds \(side.ikeSeconds)")
        // Beside GCM it names the PRF.
        set("ike proposal \(name)", "authentication-algorithm \(ike.isAEAD ? ike.prf : ike.integrity)")
        let written =
            key.isHexadecimal ? "hexadecimal \(key.text.dropFirst(2))" : "ascii-text \"\(key.text)\""
        set("ike policy \(name)", "proposals \(name)", "pre-shared-key \(written)")
        set(
            "ike gateway \(name)", "ike-policy \(name)", "address \(side.ourAddress)",
            "external-interface ge-0/0/0.0", "version v2-only",
            "local-identity \(try identity(side.itsIdentity))", "remote-identity \(try identity(side.ourIdentity))")
        if side.dpdDelay > .zero {
            set("ike gateway \(name)", "dead-peer-detection interval \(max(2, min(60, side.dpdDelay.wholeSeconds)))")
        }
        set("ipsec proposal \(name)", "protocol esp", "encryption-algorithm \(esp.encryption)")
        if !esp.isAEAD { set("ipsec proposal \(name)", "authentication-algorithm \(esp.integrity)") }
        set("ipsec proposal \(name)", "lifetime-seconds \(side.childSeconds)")
        set("ipsec policy \(name)", "proposals \(name)")
        if !esp.group.isEmpty { set("ipsec policy \(name)", "perfect-forward-secrecy keys \(esp.group)") }
        set("ipsec vpn \(name)", "bind-interface st0.0", "ike gateway \(name)", "ike ipsec-policy \(name)")
        for (index, pair) in side.pairs.enumerated() {
            set("ipsec vpn \(name)", "traffic-selector ts\(index + 1) local-ip \(pair.its) remote-ip \(pair.ours)")
        }
        set("ipsec vpn \(name)", "establish-tunnels on-traffic")
        return EmittedPeer(
            files: [.init(name: "\(name).set", text: lines.joined(separator: "\n") + "\n")],
            notes: ["Let ge-0/0/0.0 be the outer interface, and allow ike as host-inbound-traffic of its zone."])
    }

    private static func identity(_ identity: Identity) throws(PeerEmissionProblem) -> String {
        switch identity.kind {
        case .ipv4Address: return "inet \(identity)"
        case .ipv6Address: return "inet6 \(identity)"
        case .fqdn: return "hostname \(identity)"
        case .rfc822Address: return "user-at-hostname \"\(identity)\""
        case .keyID: return "key-id \"\(identity)\""
        default: throw .impossible(.junos, "an identity of type \(identity.kind)")
        }
    }

    private static let ciphers = [
        ("aes128", "aes-128-cbc"), ("aes192", "aes-192-cbc"), ("aes256", "aes-256-cbc"),
        ("aes128gcm16", "aes-128-gcm"), ("aes256gcm16", "aes-256-gcm"), ("3des", "3des-cbc"),
    ]
    private static let hashes = [("sha1", "sha1"), ("sha256", "sha-256"), ("sha384", "sha-384"), ("sha512", "sha-512")]
    private static let ikeWords = PeerWords(
        encryption: ciphers, integrity: hashes, prf: hashes.map { ("prf" + $0.0, $0.1) },
        groups: PeerWords.groups("group"))
    private static let espWords = PeerWords(
        encryption: ciphers + [("aes192gcm16", "aes-192-gcm")],
        integrity: [
            ("sha1", "hmac-sha1-96"), ("sha256", "hmac-sha-256-128"), ("sha384", "hmac-sha-384"),
            ("sha512", "hmac-sha-512"),
        ], groups: PeerWords.groups("group"))

    // MARK: ScreenOS

    static func screenOS(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        let key = try side.readableKey(.screenOS)
        let (ike, esp) = try side.suites(.screenOS, screenWords, screenWords)
        let name = side.name
        let pfs = esp.group.isEmpty ? "no-pfs" : esp.group
        var identities = ""
        switch side.itsIdentity.kind {
        case .fqdn, .rfc822Address, .ipv4Address: identities += " local-id \"\(side.itsIdentity)\""
        default: throw .impossible(.screenOS, "an identity of type \(side.itsIdentity.kind)")
        }
        var lines = [
            "set ike p1-proposal \"\(name)-p1\" preshare \(ike.group) esp \(ike.encryption) \(ike.integrity) second"
                + " \(side.ikeSeconds)",
            "set ike p2-proposal \"\(name)-p2\" \(pfs) esp \(esp.encryption) \(esp.integrity) second \(side.childSeconds)",
            "set ike gateway ikev2 \"\(name)\" address \(side.ourAddress) id \"\(side.ourIdentity)\"\(identities)"
                + " outgoing-interface \"ethernet0/0\" preshare \"\(key)\" proposal \"\(name)-p1\"",
            "set vpn \"\(name)\" gateway \"\(name)\" replay tunnel idletime 0 proposal \"\(name)-p2\"",
            "set vpn \"\(name)\" bind interface tunnel.1",
        ]
        for pair in side.pairs {
            lines.append("set vpn \"\(name)\" proxy-id local-ip \(pair.its) remote-ip \(pair.ours) \"ANY\"")
        }
        if side.dpdDelay > .zero {
            lines.append("set ike gateway \"\(name)\" dpd-liveness interval \(side.dpdDelay.wholeSeconds)")
        }
        return EmittedPeer(
            files: [.init(name: "\(name).cfg", text: lines.joined(separator: "\n") + "\n")],
            notes: ["Let ethernet0/0 be the outer interface, and route our networks into tunnel.1."])
    }

    private static let screenMACs = [("sha1", "sha-1"), ("sha256", "sha2-256")]
    private static let screenWords = PeerWords(
        encryption: [("aes128", "aes128"), ("aes192", "aes192"), ("aes256", "aes256"), ("3des", "3des")],
        integrity: screenMACs, prf: screenMACs.map { ("prf" + $0.0, $0.1) },
        groups: [
            ("modp1024", "group2"), ("modp1536", "group5"), ("modp2048", "group14"), ("ecp256", "group19"),
            ("ecp384", "group20"),
        ])
}
