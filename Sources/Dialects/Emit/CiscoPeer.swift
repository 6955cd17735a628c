import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes

/// The other end as a Cisco router (IOS, IOS-XE) or a Cisco firewall (ASA).
enum CiscoPeer {
    /// A crypto map with an access list, or a tunnel interface where all packets of a device are meant.
    static func router(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        let its = try side.knownAddress()
        let name = side.name.uppercased()
        let esp = try transforms(side)
        var lines = ["crypto ikev2 proposal \(name)"] + (try ikeProposal(side))
        lines += ["crypto ikev2 policy \(name)", " match fvrf any", " proposal \(name)"]
        lines += ["crypto ikev2 keyring \(name)", " peer \(name)", "  address \(side.ourAddress)"]
        let key = side.key
        let secret = key.isHexadecimal ? "hex \(key.text.dropFirst(2))" : key.text
        lines += ["  pre-shared-key \(secret)"]
        lines += [
            "crypto ikev2 profile \(name)", " match identity remote \(try identity(side.ourIdentity, isMatch: true))",
        ]
        lines += [" identity local \(try identity(side.itsIdentity, isMatch: false))"]
        lines += [" authentication remote pre-share", " authentication local pre-share", " keyring local \(name)"]
        lines += [" lifetime \(side.ikeSeconds)"]
        if side.dpdDelay > .zero { lines.append(" dpd \(max(10, side.dpdDelay.wholeSeconds)) 3 periodic") }
        lines += ["crypto ipsec transform-set \(name) \(esp.words)"]
        lines += [side.children.allSatisfy(\.isTransport) ? " mode transport" : " mode tunnel"]
        var shared = [" set transform-set \(name)", " set ikev2-profile \(name)"]
        if let group = esp.group { shared.append(" set pfs group\(group)") }
        shared.append(" set security-association lifetime seconds \(side.childSeconds)")
        var notes: [String] = []
        if side.children.contains(where: \.isRouteBased) {
            lines += ["crypto ipsec profile \(name)"] + shared
            lines += ["interface Tunnel0", " ip unnumbered GigabitEthernet0/0", " tunnel source \(its)"]
            lines += [" tunnel mode ipsec ipv4", " tunnel destination \(side.ourAddress)"]
            lines += [" tunnel protection ipsec profile \(name)"]
            notes.append("Route the networks behind us into Tunnel0, and give it a free number.")
        } else {
            lines += ["ip access-list extended \(name)"] + side.children.flatMap { entries($0, its, side.ourAddress) }
            lines += ["crypto map \(name) 10 ipsec-isakmp", " set peer \(side.ourAddress)"] + shared
            lines += [" match address \(name)"]
            lines += ["interface GigabitEthernet0/0", " crypto map \(name)"]
            notes.append("GigabitEthernet0/0 stands for the interface that has \(its).")
        }
        return EmittedPeer(
            files: [.init(name: "\(side.name).cfg", text: lines.joined(separator: "\n") + "\n")], notes: notes)
    }

    // MARK: Algorithms of a router

    private static func ikeProposal(_ side: PeerSide) throws(PeerEmissionProblem) -> [String] {
        for proposal in side.proposals where proposal.additionalKeyExchanges.isEmpty {
            let isAEAD = proposal.first(.encryption).map(AlgorithmRegistry.isAEAD) ?? false
            func all(_ type: TransformType) -> String {
                proposal.transforms(of: type).compactMap(ikeWords.word).joined(separator: " ")
            }
            let (ciphers, macs, prfs, groups) = (all(.encryption), all(.integrity), all(.prf), all(.keyExchange))
            if ciphers.isEmpty || groups.isEmpty || prfs.isEmpty || (!isAEAD && macs.isEmpty) { continue }
            return [" encryption \(ciphers)"] + (isAEAD ? [] : [" integrity \(macs)"])
                + [" prf \(prfs)", " group \(groups)"]
        }
        throw .noAlgorithms(.ciscoIOS, side.proposals.map(\.description).joined(separator: ", "))
    }

    private static func transforms(_ side: PeerSide) throws(PeerEmissionProblem) -> (words: String, group: UInt16?) {
        let wanted = side.children.first?.proposals ?? []
        guard let suite = PeerSuite(wanted.filter { $0.securityProtocol == .esp }, espWords) else {
            throw .noAlgorithms(.ciscoIOS, wanted.map(\.description).joined(separator: ", "))
        }
        return ([suite.encryption, suite.integrity].filter { !$0.isEmpty }.joined(separator: " "), suite.groupNumber)
    }

    private static let macs = [("sha1", "sha1"), ("sha256", "sha256"), ("sha384", "sha384"), ("sha512", "sha512")]
    private static let ikeWords = PeerWords(
        encryption: [
            ("aes128", "aes-cbc-128"), ("aes192", "aes-cbc-192"), ("aes256", "aes-cbc-256"),
            ("aes128gcm16", "aes-gcm-128"), ("aes256gcm16", "aes-gcm-256"), ("3des", "3des"),
        ], integrity: macs, prf: macs.map { ("prf" + $0.0, $0.1) }, groups: PeerWords.groups(""))
    private static let espWords = PeerWords(
        encryption: [
            ("aes128", "esp-aes"), ("aes192", "esp-aes 192"), ("aes256", "esp-aes 256"),
            ("aes128gcm16", "esp-gcm"), ("aes192gcm16", "esp-gcm 192"), ("aes256gcm16", "esp-gcm 256"),
            ("3des", "esp-3des"),
        ],
        integrity: [
            ("sha1", "esp-sha-hmac"), ("sha256", "esp-sha256-hmac"), ("sha384", "esp-sha384-hmac"),
            ("sha512", "esp-sha512-hmac"),
        ], groups: PeerWords.groups(""))

    // MARK: Identities and selectors

    private static func identity(_ identity: Identity, isMatch: Bool) throws(PeerEmissionProblem) -> String {
        switch identity.kind {
        case .ipv4Address: return "address \(identity)" + (isMatch ? " 255.255.255.255" : "")
        case .ipv6Address: return "address \(identity)"
        case .fqdn: return "fqdn \(identity)"
        case .rfc822Address: return "email \(identity)"
        case .keyID: return "key-id \(identity)"
        default: throw .impossible(.ciscoIOS, "an identity of type \(identity.kind)")
        }
    }

    private static func entries(_ child: PeerSide.Child, _ its: IPAddress, _ ours: IPAddress) -> [String] {
        let pairs = child.pairs
        if pairs.isEmpty || child.isTransport { return [" permit ip host \(its) host \(ours)"] }
        return pairs.map { " permit ip \(network($0.its, wildcard: true)) \(network($0.ours, wildcard: true))" }
    }

    private static func network(_ prefix: IPPrefix, wildcard: Bool) -> String {
        if prefix.isHost { return "host \(prefix.address)" }
        if prefix.length == 0 { return "any" }
        return "\(prefix.address) \(wildcard ? prefix.wildcard : prefix.mask)"
    }

    // MARK: ASA

    static func firewall(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        let key = try side.readableKey(.asa)
        let (ike, esp) = try side.suites(.asa, asaWords, asaESPWords)
        let (name, peer) = (side.name, side.ourAddress)
        var lines = [
            "crypto ikev2 policy 10", " encryption \(ike.encryption)",
            " integrity \(ike.isAEAD ? "null" : ike.integrity)", " group \(ike.group)", " prf \(ike.prf)",
            " lifetime seconds \(side.ikeSeconds)", "crypto ikev2 enable outside",
            "crypto ipsec ikev2 ipsec-proposal \(name)", " protocol esp encryption \(esp.encryption)",
            " protocol esp integrity \(esp.isAEAD ? "null" : esp.integrity)",
        ]
        for pair in side.pairs {
            lines.append(
                "access-list \(name) extended permit ip \(network(pair.its, wildcard: false)) "
                    + network(pair.ours, wildcard: false))
        }
        let map = "crypto map outside_map 10"
        lines += ["\(map) match address \(name)"]
        if !esp.group.isEmpty { lines.append("\(map) set pfs group\(esp.group)") }
        lines += ["\(map) set peer \(peer)", "\(map) set ikev2 ipsec-proposal \(name)"]
        lines += ["\(map) set security-association lifetime seconds \(side.childSeconds)"]
        lines += ["crypto map outside_map interface outside", "tunnel-group \(peer) type ipsec-l2l"]
        lines += ["tunnel-group \(peer) ipsec-attributes", " ikev2 remote-authentication pre-shared-key \(key)"]
        lines += [" ikev2 local-authentication pre-shared-key \(key)"]
        if side.dpdDelay > .zero {
            lines.append(" isakmp keepalive threshold \(max(10, side.dpdDelay.wholeSeconds)) retry 5")
        }
        var notes = ["Except the two networks from address translation (nat … no-proxy-arp route-lookup)."]
        switch side.itsIdentity.kind {
        case .ipv4Address, .ipv6Address: lines.append("crypto isakmp identity address")
        case .keyID: lines.append("crypto isakmp identity key-id \(side.itsIdentity)")
        default:
            notes.append(
                "An ASA says its address or its host name: let its host name and domain be '\(side.itsIdentity)', and set"
                    + " crypto isakmp identity hostname.")
        }
        return EmittedPeer(
            files: [.init(name: "\(name).cfg", text: lines.joined(separator: "\n") + "\n")], notes: notes)
    }

    private static let asaCiphers = [
        ("aes128", "aes"), ("aes192", "aes-192"), ("aes256", "aes-256"), ("aes128gcm16", "aes-gcm"),
        ("aes192gcm16", "aes-gcm-192"), ("aes256gcm16", "aes-gcm-256"), ("3des", "3des"),
    ]
    private static let asaMACs = [("sha1", "sha"), ("sha256", "sha256"), ("sha384", "sha384"), ("sha512", "sha512")]
    private static let asaWords = PeerWords(
        encryption: asaCiphers, integrity: asaMACs, prf: asaMACs.map { ("prf" + $0.0, $0.1) },
        groups: PeerWords.groups("", without: []))
    private static let asaESPWords = PeerWords(
        encryption: asaCiphers,
        integrity: [("sha1", "sha-1"), ("sha256", "sha-256"), ("sha384", "sha-384"), ("sha512", "sha-512")],
        groups: PeerWords.groups("", without: []))
}
