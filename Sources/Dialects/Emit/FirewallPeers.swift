import Clockwork
import GatewayModel
import NetworkTypes

/// The other end as a FortiGate, a Palo Alto, a SonicWall or a MikroTik.
enum FirewallPeers {
    private static let hashes = [("sha1", "sha1"), ("sha256", "sha256"), ("sha384", "sha384"), ("sha512", "sha512")]
    private static let prfs = hashes.map { ("prf" + $0.0, $0.1) }

    // MARK: FortiGate

    static func fortiOS(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        let key = side.key
        let (ike, esp) = try side.suites(.fortiOS, fortiWords, fortiESPWords)
        let name = String(side.name.prefix(15))
        let first = ike.isAEAD ? "\(ike.encryption)-prf\(ike.prf)" : "\(ike.encryption)-\(ike.integrity)"
        var lines = [
            "config vpn ipsec phase1-interface", "  edit \"\(name)\"", "    set interface \"wan1\"",
            "    set ike-version 2", "    set keylife \(side.ikeSeconds)", "    set peertype one",
            "    set peerid \"\(side.ourIdentity)\"", "    set proposal \(first)", "    set dhgrp \(ike.group)",
            "    set localid \"\(side.itsIdentity)\"", "    set localid-type \(try fortiIdentity(side.itsIdentity))",
            "    set remote-gw \(side.ourAddress)", "    set psksecret \"\(key.text)\"",
        ]
        if side.forcesEncapsulation { lines.append("    set nattraversal forced") }
        if side.dpdDelay > .zero {
            lines += ["    set dpd on-idle", "    set dpd-retryinterval \(side.dpdDelay.wholeSeconds)"]
        }
        lines += ["  next", "end", "config vpn ipsec phase2-interface"]
        for (index, pair) in side.pairs.enumerated() {
            lines += ["  edit \"\(name)-\(index + 1)\"", "    set phase1name \"\(name)\""]
            lines += ["    set proposal \(esp.isAEAD ? esp.encryption : "\(esp.encryption)-\(esp.integrity)")"]
            lines += esp.group.isEmpty ? ["    set pfs disable"] : ["    set pfs enable", "    set dhgrp \(esp.group)"]
            lines += ["    set keylifeseconds \(side.childSeconds)"]
            lines += ["    set src-subnet \(pair.its.address) \(pair.its.mask)"]
            lines += ["    set dst-subnet \(pair.ours.address) \(pair.ours.mask)", "  next"]
        }
        lines.append("end")
        return EmittedPeer(
            files: [.init(name: "\(name).conf", text: lines.joined(separator: "\n") + "\n")],
            notes: [
                "Let wan1 be the outer interface; add a static route into \"\(name)\" and a policy each way.",
                "A FortiGate takes one pair of networks for each phase 2.",
            ])
    }

    private static func fortiIdentity(_ identity: Identity) throws(PeerEmissionProblem) -> String {
        switch identity.kind {
        case .ipv4Address, .ipv6Address: return "address"
        case .fqdn: return "fqdn"
        case .rfc822Address: return "user-fqdn"
        case .keyID: return "keyid"
        default: throw .impossible(.fortiOS, "an identity of type \(identity.kind)")
        }
    }

    private static let fortiCiphers = [
        ("aes128", "aes128"), ("aes192", "aes192"), ("aes256", "aes256"), ("3des", "3des"),
    ]
    private static let fortiWords = PeerWords(
        encryption: fortiCiphers + [
            ("aes128gcm16", "aes128gcm"), ("aes256gcm16", "aes256gcm"), ("chacha20poly1305", "chacha20poly1305"),
        ], integrity: hashes, prf: prfs, groups: PeerWords.groups("", without: []))
    private static let fortiESPWords = fortiWords

    // MARK: Palo Alto

    static func panOS(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        let key = try side.readableKey(.panOS)
        let (ike, esp) = try side.suites(.panOS, panWords, panESPWords)
        let name = side.name
        let profiles = "set network ike crypto-profiles"
        var lines = [
            "\(profiles) ike-crypto-profiles \(name) hash \(ike.isAEAD ? ike.prf : ike.integrity)",
            "\(profiles) ike-crypto-profiles \(name) dh-group \(ike.group)",
            "\(profiles) ike-crypto-profiles \(name) encryption \(ike.encryption)",
            "\(profiles) ike-crypto-profiles \(name) lifetime seconds \(max(180, min(65_535, side.ikeSeconds)))",
            "\(profiles) ipsec-crypto-profiles \(name) esp encryption \(esp.encryption)",
            "\(profiles) ipsec-crypto-profiles \(name) esp authentication \(esp.isAEAD ? "none" : esp.integrity)",
            "\(profiles) ipsec-crypto-profiles \(name) dh-group \(esp.group.isEmpty ? "no-pfs" : esp.group)",
            "\(profiles) ipsec-crypto-profiles \(name) lifetime seconds \(max(180, min(65_535, side.childSeconds)))",
        ]
        let gateway = "set network ike gateway \(name)"
        lines += [
            "\(gateway) protocol version ikev2", "\(gateway) protocol ikev2 ike-crypto-profile \(name)",
            "\(gateway) protocol ikev2 dpd enable \(side.dpdDelay > .zero ? "yes" : "no")",
            "\(gateway) authentication pre-shared-key key \(key)", "\(gateway) local-address interface ethernet1/1",
            "\(gateway) peer-address ip \(side.ourAddress)",
            "\(gateway) local-id \(try panIdentity(side.itsIdentity))",
            "\(gateway) peer-id \(try panIdentity(side.ourIdentity))",
        ]
        let tunnel = "set network tunnel ipsec \(name)"
        lines += [
            "\(tunnel) auto-key ike-gateway \(name)", "\(tunnel) auto-key ipsec-crypto-profile \(name)",
            "\(tunnel) tunnel-interface tunnel.1",
        ]
        for (index, pair) in side.pairs.enumerated() {
            lines.append(
                "\(tunnel) auto-key proxy-id id\(index + 1) local \(pair.its) remote \(pair.ours) protocol any")
        }
        return EmittedPeer(
            files: [.init(name: "\(name).set", text: lines.joined(separator: "\n") + "\n")],
            notes: ["Let ethernet1/1 be the outer interface; put tunnel.1 into a zone, and route our networks into it."]
        )
    }

    private static func panIdentity(_ identity: Identity) throws(PeerEmissionProblem) -> String {
        switch identity.kind {
        case .ipv4Address, .ipv6Address: return "type ipaddr id \(identity)"
        case .fqdn: return "type fqdn id \(identity)"
        case .rfc822Address: return "type ufqdn id \(identity)"
        case .keyID: return "type keyid id \(identity)"
        default: throw .impossible(.panOS, "an identity of type \(identity.kind)")
        }
    }

    private static let panCiphers = [
        ("aes128", "aes-128-cbc"), ("aes192", "aes-192-cbc"), ("aes256", "aes-256-cbc"),
        ("aes128gcm16", "aes-128-gcm"), ("aes256gcm16", "aes-256-gcm"), ("3des", "3des"),
    ]
    private static let panWords = PeerWords(
        encryption: panCiphers, integrity: hashes, prf: prfs, groups: PeerWords.groups("group"))
    private static let panESPWords = panWords

    // MARK: SonicWall

    static func sonicWall(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        let key = try side.readableKey(.sonicWall)
        let (ike, esp) = try side.suites(.sonicWall, sonicWords, sonicESPWords)
        let name = side.name
        var lines = [
            "vpn policy site-to-site \"\(name)\"", "  gateway primary \(side.ourAddress)",
            "  auth-method shared-secret",
            "    shared-secret \"\(key)\"", "    ike-id local \(try sonicIdentity(side.itsIdentity))",
            "    ike-id peer \(try sonicIdentity(side.ourIdentity))", "    exit",
        ]
        for pair in side.pairs {
            lines += ["  network local network \(pair.its.address) \(pair.its.mask)"]
            lines += ["  network remote destination-network network \(pair.ours.address) \(pair.ours.mask)"]
        }
        lines += [
            "  proposal ike exchange ikev2", "  proposal ike encryption \(ike.encryption)",
            "  proposal ike authentication \(ike.integrity)", "  proposal ike dh-group \(ike.group)",
            "  proposal ike lifetime \(side.ikeSeconds)", "  proposal ipsec protocol esp",
            "  proposal ipsec encryption \(esp.encryption)",
            "  proposal ipsec authentication \(esp.isAEAD ? "none" : esp.integrity)",
            "  proposal ipsec dh-group \(esp.group.isEmpty ? "none" : esp.group)",
            "  proposal ipsec lifetime \(side.childSeconds)", "  enable", "  exit",
        ]
        return EmittedPeer(
            files: [.init(name: "\(name).cli", text: lines.joined(separator: "\n") + "\n")],
            notes: side.pairs.count > 1 ? ["Put the networks into a group of address objects: it takes one each."] : [])
    }

    private static func sonicIdentity(_ identity: Identity) throws(PeerEmissionProblem) -> String {
        switch identity.kind {
        case .ipv4Address: return "ip \(identity)"
        case .fqdn: return "domain-name \"\(identity)\""
        case .rfc822Address: return "email-id \"\(identity)\""
        case .keyID: return "key-id \"\(identity)\""
        default: throw .impossible(.sonicWall, "an identity of type \(identity.kind)")
        }
    }

    private static let sonicHashes = [
        ("sha1", "sha-1"), ("sha256", "sha-256"), ("sha384", "sha-384"), ("sha512", "sha-512"),
    ]
    private static let sonicGroups = [
        ("modp1024", "2"), ("modp1536", "5"), ("modp2048", "14"), ("ecp256", "256-bit-random-ecp-group"),
        ("ecp384", "384-bit-random-ecp-group"), ("ecp521", "521-bit-random-ecp-group"),
    ]
    private static let sonicCiphers = [
        ("aes128", "aes-128"), ("aes192", "aes-192"), ("aes256", "aes-256"), ("3des", "triple-des"),
    ]
    private static let sonicWords = PeerWords(
        encryption: sonicCiphers, integrity: sonicHashes, prf: sonicHashes.map { ("prf" + $0.0, $0.1) },
        groups: sonicGroups)
    private static let sonicESPWords = PeerWords(
        encryption: sonicCiphers + [("aes128gcm16", "aesgcm16-128"), ("aes256gcm16", "aesgcm16-256")],
        integrity: sonicHashes, groups: sonicGroups)

    // MARK: MikroTik

    static func mikroTik(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        let key = try side.readableKey(.mikroTik)
        let (ike, esp) = try side.suites(.mikroTik, tikWords, tikESPWords)
        let name = side.name
        let dpd = side.dpdDelay > .zero ? "\(side.dpdDelay.wholeSeconds)s" : "disable-dpd"
        let local = side.itsAddress.map { " local-address=\($0)" } ?? ""
        var lines = [
            "/ip ipsec profile add name=\(name) hash-algorithm=\(ike.integrity) enc-algorithm=\(ike.encryption)"
                + " dh-group=\(ike.group) lifetime=\(side.ikeSeconds)s dpd-interval=\(dpd)",
            "/ip ipsec proposal add name=\(name) enc-algorithms=\(esp.encryption)"
                + " auth-algorithms=\(esp.isAEAD ? "null" : esp.integrity) pfs-group=\(esp.group.isEmpty ? "none" : esp.group)"
                + " lifetime=\(side.childSeconds)s",
            "/ip ipsec peer add name=\(name) address=\(side.ourAddress)/\(side.ourAddress.family == .v4 ? 32 : 128)"
                + " profile=\(name) exchange-mode=ike2\(local)",
            "/ip ipsec identity add peer=\(name) auth-method=pre-shared-key secret=\"\(key)\""
                + " my-id=\(try tikIdentity(side.itsIdentity)) remote-id=\(try tikIdentity(side.ourIdentity))",
        ]
        for pair in side.pairs {
            lines.append(
                "/ip ipsec policy add peer=\(name) tunnel=yes src-address=\(pair.its) dst-address=\(pair.ours)"
                    + " proposal=\(name) level=unique")
        }
        return EmittedPeer(
            files: [.init(name: "\(name).rsc", text: lines.joined(separator: "\n") + "\n")],
            notes: ["Except the two networks from masquerading (srcnat, action=accept, before the masquerade)."])
    }

    private static func tikIdentity(_ identity: Identity) throws(PeerEmissionProblem) -> String {
        switch identity.kind {
        case .ipv4Address, .ipv6Address: return "address:\(identity)"
        case .fqdn: return "fqdn:\(identity)"
        case .rfc822Address: return "user-fqdn:\(identity)"
        case .keyID: return "key-id:\(identity)"
        default: throw .impossible(.mikroTik, "an identity of type \(identity.kind)")
        }
    }

    private static let tikHashes = [("sha1", "sha1"), ("sha256", "sha256"), ("sha384", "sha384"), ("sha512", "sha512")]
    private static let tikGroups = [
        "modp1024", "modp1536", "modp2048", "modp3072", "modp4096", "ecp256", "ecp384", "ecp521",
    ]
    .map { ($0, $0) }
    private static let tikWords = PeerWords(
        encryption: [("aes128", "aes-128"), ("aes192", "aes-192"), ("aes256", "aes-256"), ("3des", "3des")],
        integrity: tikHashes, prf: tikHashes.map { ("prf" + $0.0, $0.1) }, groups: tikGroups)
    private static let tikESPWords = PeerWords(
        encryption: [
            ("aes128", "aes-128-cbc"), ("aes192", "aes-192-cbc"), ("aes256", "aes-256-cbc"),
            ("aes128gcm16", "aes-128-gcm"), ("aes192gcm16", "aes-192-gcm"), ("aes256gcm16", "aes-256-gcm"),
            ("3des", "3des"),
        ], integrity: tikHashes, groups: tikGroups + [("x25519", "x25519")])
}
