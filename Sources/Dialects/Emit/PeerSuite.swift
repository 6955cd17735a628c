import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes

/// One algorithm of each kind in a device's words: what is written for devices that are told one suite.
struct PeerSuite {
    /// The words; integrity is empty beside an AEAD, group empty where there is none.
    var encryption: String
    var integrity: String
    var prf: String
    var group: String
    /// The group's number.
    var groupNumber: UInt16?
    /// Whether the encryption brings its own integrity.
    var isAEAD: Bool
    /// Bits of the encryption's key.
    var bits: Int
    /// The transforms themselves.
    var transforms: (encryption: Transform, integrity: Transform?, prf: Transform?, group: Transform?)

    /// The first choice of the first proposal that can be said with these words; nil when there is none.
    init?(_ proposals: [Proposal], _ words: PeerWords) {
        for proposal in proposals {
            if let suite = PeerSuite(proposal, words) {
                self = suite
                return
            }
        }
        return nil
    }

    private init?(_ proposal: Proposal, _ words: PeerWords) {
        guard proposal.additionalKeyExchanges.isEmpty else { return nil }
        func first(_ type: TransformType) -> Transform? {
            proposal.transforms(of: type).first { words.word($0) != nil }
        }
        let wanted = proposal.securityProtocol == .ike ? [TransformType.encryption, .prf, .keyExchange] : [.encryption]
        guard wanted.allSatisfy({ first($0) != nil }), let cipher = first(.encryption) else { return nil }
        isAEAD = AlgorithmRegistry.isAEAD(cipher)
        let mac = isAEAD ? nil : first(.integrity)
        if !isAEAD, mac == nil { return nil }
        if proposal.first(.keyExchange) != nil, first(.keyExchange) == nil { return nil }
        let group = first(.keyExchange)
        encryption = words.word(cipher) ?? ""
        integrity = mac.flatMap(words.word) ?? ""
        prf = first(.prf).flatMap(words.word) ?? ""
        self.group = group.flatMap(words.word) ?? ""
        groupNumber = group?.id
        bits = Int(cipher.keyBits ?? 256)
        transforms = (cipher, mac, first(.prf), group)
    }

    /// The proposal, as swanctl.conf writes it; `group` for one that has none.
    func keywords(group: Transform? = nil) -> String {
        [transforms.encryption, transforms.integrity, transforms.prf, transforms.group ?? group].compactMap(\.self)
            .map(\.description).joined(separator: "-")
    }

    /// The hash that the PRF, or the integrity, is built on: 1, 256, 384 or 512.
    var hash: Int {
        switch (transforms.prf ?? transforms.integrity)?.id {
        case 2: 1
        case 6, 13: 384
        case 7, 14: 512
        default: 256
        }
    }
}

/// A device's words for transforms.
struct PeerWords: Sendable {
    private let table: [(keyword: String, word: String)]

    /// From tables of our keywords and the device's words.
    init(
        encryption: [(String, String)], integrity: [(String, String)] = [], prf: [(String, String)] = [],
        groups: [(String, String)] = []
    ) {
        table = (encryption + integrity + prf + groups).map { (keyword: $0.0, word: $0.1) }
    }

    /// The word for a transform; nil when the device does not have it.
    func word(_ transform: Transform) -> String? {
        let keyword = transform.description
        return table.first { $0.keyword == keyword }?.word
    }

    /// Groups by number with a prefix: those that most devices know.
    static func groups(_ prefix: String, without: Set<String> = ["x25519"]) -> [(String, String)] {
        [
            ("modp1024", 2), ("modp1536", 5), ("modp2048", 14), ("modp3072", 15), ("modp4096", 16), ("ecp256", 19),
            ("ecp384", 20), ("ecp521", 21), ("x25519", 31),
        ].filter { !without.contains($0.0) }.map { ($0.0, prefix + String($0.1)) }
    }
}

extension PeerSide {
    /// The suites of IKE and of the first child, in a device's words.
    func suites(
        _ dialect: PeerDialect, _ ikeWords: PeerWords, _ espWords: PeerWords
    ) throws(PeerEmissionProblem) -> (ike: PeerSuite, esp: PeerSuite) {
        guard let ike = PeerSuite(proposals, ikeWords) else {
            throw .noAlgorithms(dialect, proposals.map(\.description).joined(separator: ", "))
        }
        let wanted = children.first?.proposals ?? []
        guard let esp = PeerSuite(wanted.filter { $0.securityProtocol == .esp }, espWords) else {
            throw .noAlgorithms(dialect, wanted.map(\.description).joined(separator: ", "))
        }
        if children.contains(where: \.isTransport) { throw .impossible(dialect, "transport mode") }
        return (ike, esp)
    }

    /// Whole seconds after which the peer replaces the IKE SA.
    var ikeSeconds: Int64 { rekeyTime > .zero ? rekeyTime.wholeSeconds : 86_400 }

    /// Whole seconds of a Child SA's life.
    var childSeconds: Int64 {
        let life = children.first?.lifeTime ?? .hours(1)
        return life > .zero ? life.wholeSeconds : 28_800
    }

    /// All pairs of networks of all children.
    var pairs: [(its: IPPrefix, ours: IPPrefix)] { children.flatMap(\.pairs) }
}

extension IPPrefix {
    /// 255.255.255.0.
    var mask: String { Self.dotted(length) }

    /// 0.0.0.255.
    var wildcard: String {
        mask.split(separator: ".").compactMap { UInt8($0) }.map { String(~$0) }.joined(separator: ".")
    }

    private static func dotted(_ length: Int) -> String {
        let bits: UInt64 = length <= 0 ? 0 : (0xffff_ffff << UInt64(32 - min(length, 32))) & 0xffff_ffff
        return IPAddress(v4: UInt32(truncatingIfNeeded: bits)).description
    }
}

extension Identity {
    /// As swanctl.conf writes it, so that it is read back as the same kind.
    var swanctlText: String {
        let text = description
        switch kind {
        case .ipv4Address, .ipv6Address, .asn1DN: return text
        case .fqdn: return IPAddress(text) == nil && !text.contains(":") && !text.contains("=") ? text : "fqdn:" + text
        case .rfc822Address: return text.contains("@") ? text : "rfc822:" + text
        case .keyID: return "keyid:" + (text.hasPrefix("0x") ? "#" + text.dropFirst(2) : text)
        default: return "{\(kind.rawValue)}:#" + hexadecimal
        }
    }

    private var hexadecimal: String { data.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}
