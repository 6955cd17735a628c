import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes

/// The other end as libreswan's ipsec.conf and ipsec.secrets.
enum LibreswanPeer {
    static func emit(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        var notes: [String] = []
        var text = ""
        let ike = try algorithms(side.proposals, &notes)
        for child in side.children {
            let name = side.children.count > 1 ? "\(side.name)-\(child.name)" : side.name
            let pairs = try selectors(child)
            for (index, pair) in pairs.enumerated() {
                text += "conn \(name)\(pairs.count > 1 ? "-\(index + 1)" : "")\n"
                let esp = try algorithms(child.proposals.filter { $0.securityProtocol == .esp }, &notes)
                let hasGroup = child.proposals.contains { $0.first(.keyExchange) != nil }
                var settings = [
                    ("left", side.itsAddress?.description ?? "%defaultroute"), ("leftid", identity(side.itsIdentity)),
                    ("right", side.ourAddress.description), ("rightid", identity(side.ourIdentity)),
                ]
                if child.isTransport {
                    settings.append(("type", "transport"))
                } else {
                    settings += [("leftsubnet", pair.its), ("rightsubnet", pair.ours)]
                }
                settings += [("authby", "secret"), ("ikev2", "insist"), ("ike", ike), ("esp", esp)]
                settings.append(("pfs", hasGroup ? "yes" : "no"))
                settings.append(("ikelifetime", "\(side.ikeSeconds + side.ikeSeconds / 10)s"))
                let life = child.lifeTime > .zero ? child.lifeTime.wholeSeconds : 28_800
                settings.append(("salifetime", "\(life)s"))
                settings.append(("rekeymargin", "\(max(1, min(540, life / 10)))s"))
                if side.dpdDelay > .zero {
                    let delay = side.dpdDelay.wholeSeconds
                    settings += [("dpddelay", "\(delay)"), ("dpdtimeout", "\(delay * 5)"), ("dpdaction", "hold")]
                }
                if side.forcesEncapsulation { settings.append(("encapsulation", "yes")) }
                if !side.mobike { settings.append(("mobike", "no")) }
                settings.append(("auto", "ondemand"))
                for (key, value) in settings { text += "\t\(key)=\(value)\n" }
            }
        }
        let key = side.key
        let owners = "\(identity(side.itsIdentity)) \(identity(side.ourIdentity))"
        let secret = "\(owners) : PSK \(key.isHexadecimal ? key.text : "\"\(key.text)\"")\n"
        return EmittedPeer(
            files: [
                .init(name: "/etc/ipsec.d/\(side.name).conf", text: text),
                .init(name: "/etc/ipsec.d/\(side.name).secrets", text: secret),
            ], notes: notes)
    }

    /// One connection for each pair: libreswan's leftsubnet is one network.
    private static func selectors(_ child: PeerSide.Child) throws(PeerEmissionProblem) -> [(its: String, ours: String)]
    {
        if child.isTransport { return [("", "")] }
        let hasPorts = (child.itsSelectors + child.ourSelectors).contains { $0.ipProtocol != .any || $0.ports != .any }
        let pairs = child.pairs
        guard !hasPorts, pairs.count == child.itsSelectors.count * child.ourSelectors.count else {
            throw .impossible(.libreswan, "selectors with protocols, ports or ranges in '\(child.name)'")
        }
        return pairs.map { ($0.its.description, $0.ours.description) }
    }

    private static func identity(_ identity: Identity) -> String {
        let text = identity.description
        switch identity.kind {
        case .ipv4Address, .ipv6Address, .rfc822Address: return text
        case .fqdn: return "@" + text
        case .keyID: return "@[\(text)]"
        default: return "\"\(text)\""
        }
    }

    private static func algorithms(
        _ proposals: [Proposal], _ notes: inout [String]
    ) throws(PeerEmissionProblem) -> String {
        var texts: [String] = []
        for proposal in proposals {
            let forms = forms(proposal)
            if forms.isEmpty { notes.append("libreswan has no words for \(proposal).") }
            texts += forms
        }
        // libreswan takes a group in all of them or in none.
        let grouped = texts.filter { $0.contains(";") }
        if !grouped.isEmpty, grouped.count < texts.count {
            let left = texts.filter { !$0.contains(";") }.joined(separator: ", ")
            let note = "Proposals without a group can't stand beside those with one: \(left) is left out."
            if !notes.contains(note) { notes.append(note) }
            texts = grouped
        }
        guard !texts.isEmpty else {
            throw .noAlgorithms(.libreswan, proposals.map(\.description).joined(separator: ", "))
        }
        return texts.joined(separator: ",")
    }

    /// A proposal as libreswan's: one for each cipher, since sizes of keys are not alternatives there.
    private static func forms(_ proposal: Proposal) -> [String] {
        func all(_ type: TransformType) -> [String] { proposal.transforms(of: type).compactMap(words.word) }
        let isIKE = proposal.securityProtocol == .ike
        let groups = all(.keyExchange).joined(separator: "+")
        if proposal.first(.keyExchange) != nil, groups.isEmpty { return [] }
        if !proposal.additionalKeyExchanges.isEmpty { return [] }
        return proposal.transforms(of: .encryption).compactMap { cipher in
            guard let name = words.word(cipher) else { return nil }
            let isAEAD = AlgorithmRegistry.isAEAD(cipher)
            let second = (isIKE && isAEAD ? all(.prf) : isAEAD ? [] : all(.integrity)).joined(separator: "+")
            if second.isEmpty, isIKE || !isAEAD { return nil }
            return name + (second.isEmpty ? "-null" : "-" + second) + (groups.isEmpty ? "" : ";" + groups)
        }
    }

    private static let words = PeerWords(
        encryption: [
            ("aes128", "aes128"), ("aes192", "aes192"), ("aes256", "aes256"), ("aes128gcm16", "aes_gcm128"),
            ("aes192gcm16", "aes_gcm192"), ("aes256gcm16", "aes_gcm256"), ("chacha20poly1305", "chacha20_poly1305"),
            ("3des", "3des"),
        ],
        integrity: [("sha256", "sha2_256"), ("sha384", "sha2_384"), ("sha512", "sha2_512"), ("sha1", "sha1")],
        prf: [("prfsha256", "sha2_256"), ("prfsha384", "sha2_384"), ("prfsha512", "sha2_512"), ("prfsha1", "sha1")],
        // Its builds of today leave the group of 1024 bits out.
        groups: PeerWords.groups("dh", without: ["modp1024"]))
}
