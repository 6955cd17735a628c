import IPsecCrypto

/// One suite of algorithms for a client: exactly one of each kind, in the words of no system in particular.
struct ClientSuite: Equatable {
    /// The cipher, its key in bits and whether it authenticates by itself.
    var cipher: Cipher
    /// The integrity algorithm; nil with a cipher that needs none.
    var integrity: Hash?
    /// The PRF; nil for ESP.
    var prf: Hash?
    /// The key exchange's number in IANA's list; nil for none.
    var group: UInt16?

    enum Cipher: Equatable {
        case cbc(bits: Int)
        case gcm(bits: Int)
        case chacha20poly1305
    }

    enum Hash: String, Equatable {
        case sha1
        case sha256
        case sha384
        case sha512
    }

    /// What a system's client can do.
    struct Abilities {
        var ciphers: [Cipher]
        var hashes: [Hash]
        var groups: [UInt16]
    }

    /// The best that both can do: our proposals in their order, and within one its transforms in theirs.
    static func best(_ proposals: [Proposal], _ abilities: Abilities) -> ClientSuite? {
        proposals.lazy.compactMap { ClientSuite($0, abilities) }.first
    }

    private init?(_ proposal: Proposal, _ abilities: Abilities) {
        let ciphers = proposal.transforms(of: .encryption).compactMap(Self.cipher)
        guard let cipher = ciphers.first(where: abilities.ciphers.contains) else { return nil }
        self.cipher = cipher
        integrity = nil
        if case .cbc = cipher {
            let hashes = proposal.transforms(of: .integrity).compactMap(Self.integrity)
            guard let hash = hashes.first(where: abilities.hashes.contains) else { return nil }
            integrity = hash
        }
        prf = nil
        if proposal.securityProtocol == .ike {
            let hashes = proposal.transforms(of: .prf).compactMap(Self.prf)
            guard let hash = hashes.first(where: { $0 == integrity || abilities.hashes.contains($0) }) else {
                return nil
            }
            prf = hash
        }
        let groups = proposal.transforms(of: .keyExchange).map(\.id)
        group = groups.first(where: abilities.groups.contains)
        // A proposal that demands a group which the client has not is of no use.
        if group == nil, !groups.isEmpty, !groups.contains(0) { return nil }
    }

    private static func cipher(_ transform: Transform) -> Cipher? {
        switch (transform.id, transform.keyBits) {
        case (12, let bits?): .cbc(bits: Int(bits))
        case (20, let bits?): .gcm(bits: Int(bits))
        case (28, _): .chacha20poly1305
        default: nil
        }
    }

    private static func integrity(_ transform: Transform) -> Hash? {
        switch transform {
        case .sha1: .sha1
        case .sha256: .sha256
        case .sha384: .sha384
        case .sha512: .sha512
        default: nil
        }
    }

    private static func prf(_ transform: Transform) -> Hash? {
        switch transform {
        case .prfsha1: .sha1
        case .prfsha256: .sha256
        case .prfsha384: .sha384
        case .prfsha512: .sha512
        default: nil
        }
    }

    /// As swanctl.conf writes it.
    var words: String {
        var words: [String] = []
        switch cipher {
        case .cbc(let bits): words.append("aes\(bits)")
        case .gcm(let bits): words.append("aes\(bits)gcm16")
        case .chacha20poly1305: words.append("chacha20poly1305")
        }
        if let integrity { words.append(integrity.rawValue) }
        if let prf, prf != integrity { words.append("prf\(prf.rawValue)") }
        if let group, let name = Self.groupNames[group] { words.append(name) }
        return words.joined(separator: "-")
    }

    /// The groups that clients know, by number.
    private static let groupNames: [UInt16: String] = [
        2: "modp1024", 5: "modp1536", 14: "modp2048", 15: "modp3072", 16: "modp4096", 19: "ecp256", 20: "ecp384",
        21: "ecp521", 31: "x25519",
    ]
}
