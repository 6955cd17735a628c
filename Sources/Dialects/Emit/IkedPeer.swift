import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes

/// The other end as OpenBSD's iked.conf.
enum IkedPeer {
    static func emit(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        var text = ""
        for child in side.children {
            let name = side.children.count > 1 ? "\(side.name)-\(child.name)" : side.name
            var lines = ["ikev2 \"\(name)\" active \(child.isTransport ? "transport " : "")esp"]
            let pairs = child.itsSelectors.flatMap { its in child.ourSelectors.map { (its, $0) } }
            let flows = try pairs.map { (pair) throws(PeerEmissionProblem) in
                "from \(try network(pair.0, child)) to \(try network(pair.1, child))"
            }
            lines.append(flows.joined(separator: ", "))
            let local = side.itsAddress.map { "local \($0) " } ?? ""
            lines.append(local + "peer \(side.ourAddress)")
            lines += try sas("ikesa", side.proposals)
            lines += try sas("childsa", child.proposals.filter { $0.securityProtocol == .esp })
            lines.append("srcid \(try identity(side.itsIdentity)) dstid \(try identity(side.ourIdentity))")
            lines.append("ikelifetime \(side.ikeSeconds) lifetime \(max(1, child.rekeyTime.wholeSeconds))")
            lines.append("psk \"\(side.key.text)\"")
            text += lines.joined(separator: " \\\n\t") + "\n"
        }
        return EmittedPeer(files: [.init(name: "/etc/iked.conf", text: text)], notes: [])
    }

    private static func network(
        _ selector: SelectorTemplate, _ child: PeerSide.Child
    ) throws(PeerEmissionProblem) -> String {
        guard let addresses = selector.addresses, !addresses.description.contains("-"), selector.ipProtocol == .any,
            selector.ports == .any
        else { throw .impossible(.iked, "selectors with protocols, ports or ranges in '\(child.name)'") }
        return addresses.description
    }

    private static func identity(_ identity: Identity) throws(PeerEmissionProblem) -> String {
        switch identity.kind {
        case .ipv4Address, .ipv6Address, .fqdn, .rfc822Address: return "\"\(identity)\""
        case .asn1DN where identity.description.hasPrefix("/"): return "\"\(identity)\""
        default: throw .impossible(.iked, "an identity of type \(identity.kind)")
        }
    }

    /// `ikesa …` or `childsa …`, one for AEADs and one for ciphers of each proposal.
    private static func sas(_ kind: String, _ proposals: [Proposal]) throws(PeerEmissionProblem) -> [String] {
        let isIKE = kind == "ikesa"
        var lines: [String] = []
        for proposal in proposals where proposal.additionalKeyExchanges.isEmpty {
            func all(_ type: TransformType) -> [String] {
                proposal.transforms(of: type).compactMap(isIKE ? ikeWords.word : espWords.word)
            }
            let ciphers = all(.encryption)
            let groups = all(.keyExchange)
            let isAEAD = proposal.first(.encryption).map(AlgorithmRegistry.isAEAD) ?? false
            let macs = isAEAD ? [] : all(.integrity)
            let prfs = isIKE ? all(.prf) : []
            if ciphers.isEmpty || (!isAEAD && macs.isEmpty) || (isIKE && (groups.isEmpty || prfs.isEmpty)) { continue }
            if !isIKE, proposal.first(.keyExchange) != nil, groups.isEmpty { continue }
            let words =
                ciphers.map { "enc \($0)" } + macs.map { "auth \($0)" } + prfs.map { "prf \($0)" }
                + groups.map { "group \($0)" } + (isIKE ? [] : [proposal.transforms.contains(.esn) ? "esn" : "noesn"])
            lines.append("\(kind) " + words.joined(separator: " "))
        }
        guard !lines.isEmpty else {
            throw .noAlgorithms(.iked, proposals.map(\.description).joined(separator: ", "))
        }
        return lines
    }

    private static let macs = [
        ("sha1", "hmac-sha1"), ("sha256", "hmac-sha2-256"), ("sha384", "hmac-sha2-384"), ("sha512", "hmac-sha2-512"),
    ]
    private static let groups =
        [
            "modp1024", "modp1536", "modp2048", "modp3072", "modp4096", "modp8192", "ecp256", "ecp384", "ecp521",
        ].map { ($0, $0) } + [("x25519", "curve25519")]
    private static let ciphers = [
        ("aes128", "aes-128"), ("aes192", "aes-192"), ("aes256", "aes-256"), ("aes128gcm16", "aes-128-gcm"),
        ("aes256gcm16", "aes-256-gcm"), ("3des", "3des"),
    ]
    private static let ikeWords = PeerWords(
        encryption: ciphers, integrity: macs, prf: macs.map { ("prf" + $0.0, $0.1) }, groups: groups)
    private static let espWords = PeerWords(
        encryption: ciphers + [("aes192gcm16", "aes-192-gcm"), ("chacha20poly1305", "chacha20-poly1305")],
        integrity: macs, groups: groups)
}
