public import GatewayModel
public import IKEMessages
import IPsecCrypto

/// How a proof is signed: from what the key can, what the peer understands and what the configuration wants.
public struct SignatureChoice: Hashable, Sendable {
    /// AUTH's method.
    public let method: AuthenticationMethod
    /// The signature.
    public let scheme: SignatureScheme

    /// The best way to sign with a key of this kind.
    ///
    /// - Parameters:
    ///   - peerHashes: What the peer said in SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4); nil when it said nothing.
    ///   - announced: What the peer said that it takes (RFC 9593), the preferred first; nil when it said nothing.
    /// - Returns: nil where there is none: EdDSA with a peer that does not know RFC 8420, rules that allow nothing else, a
    ///   peer that takes nothing that this key can do.
    public static func choose(
        _ kind: KeyKind, peerHashes: [UInt16]?, announced: [AuthenticationAnnouncement]? = nil, _ rules: SignatureRules
    ) -> SignatureChoice? {
        let policy = SignaturePolicy(rules)
        if let peerHashes {
            let possible = modern(kind, rules).filter { scheme in
                scheme.hashNumber.map(peerHashes.contains) == true && policy.allows(scheme, kind)
            }
            let common = announced.map { preferred(possible, kind, by: $0) } ?? possible.first
            if let common { return SignatureChoice(method: .digitalSignature, scheme: common) }
        }
        guard let classic = classic(kind), policy.allows(classic.scheme, kind, allowsSHA1: peerHashes == nil),
            announced?.contains(where: { $0.method == classic.method }) ?? true
        else { return nil }
        return classic
    }

    /// The first that the peer announced.
    private static func preferred(
        _ schemes: [SignatureScheme], _ kind: KeyKind, by announced: [AuthenticationAnnouncement]
    ) -> SignatureScheme? {
        for announcement in announced where announcement.method == .digitalSignature {
            let named = schemes.first { AlgorithmIdentifier.der($0, kind) == announcement.algorithm }
            if let named { return named }
        }
        return nil
    }

    /// What method 14 can do with such a key, the preferred first.
    private static func modern(_ kind: KeyKind, _ rules: SignatureRules) -> [SignatureScheme] {
        let hashes: [HashFunction]
        switch kind.bits {
        case _ where kind == .ed25519 || kind == .ed448: return [.eddsa]
        case 0...383 where kind.isECDSA, 0...3072: hashes = [.sha256, .sha384, .sha512]
        case 384...511 where kind.isECDSA, 0...7680: hashes = [.sha384, .sha512, .sha256]
        default: hashes = [.sha512, .sha384, .sha256]
        }
        if kind.isECDSA {
            // By the curve's size, as RFC 7427 §4 recommends.
            let own: [HashFunction] =
                kind.bits < 384 ? [.sha256, .sha384, .sha512] : kind.bits < 512 ? [.sha384, .sha512] : [.sha512]
            return own.map { .ecdsaDER($0) }
        }
        // PKCS #1 first: RFC 7427 has no way to say who understands PSS. Rules that ask for PSS leave only that.
        return hashes.map { .rsaPKCS1($0) } + hashes.map { .rsaPSS($0) }
    }

    /// The method of a key's own for peers without RFC 7427.
    private static func classic(_ kind: KeyKind) -> SignatureChoice? {
        switch kind {
        case .rsa: SignatureChoice(method: .rsaSignature, scheme: .rsaPKCS1(.sha1))
        case .p256: SignatureChoice(method: .ecdsa256, scheme: .ecdsaPlain(.sha256))
        case .p384: SignatureChoice(method: .ecdsa384, scheme: .ecdsaPlain(.sha384))
        case .p521: SignatureChoice(method: .ecdsa521, scheme: .ecdsaPlain(.sha512))
        case .curve, .ed25519, .ed448: nil
        }
    }

    /// What an AUTH payload is signed with; nil when the method does not suit the key or is not understood.
    ///
    /// - Returns: The scheme, and the signature without what stands before it.
    public static func read(
        _ authentication: AuthenticationPayload, _ kind: KeyKind
    ) -> (scheme: SignatureScheme, signature: [UInt8])? {
        if authentication.method == .digitalSignature {
            // One octet of length, the AlgorithmIdentifier, the signature (RFC 7427 §3).
            guard let length = authentication.data.first.map(Int.init), authentication.data.count > 1 + length else {
                return nil
            }
            let identifier = Array(authentication.data[1..<(1 + length)])
            guard let scheme = AlgorithmIdentifier.scheme(identifier, kind) else { return nil }
            return (scheme, Array(authentication.data[(1 + length)...]))
        }
        guard let classic = classic(kind), classic.method == authentication.method else { return nil }
        return (classic.scheme, authentication.data)
    }

    /// An AUTH payload signed by `key`; nil when libcrypto refuses.
    public func authentication(_ octets: [UInt8], _ key: PrivateKey) -> AuthenticationPayload? {
        guard let signature = key.signature(over: octets, scheme) else { return nil }
        guard method == .digitalSignature else { return AuthenticationPayload(method, signature) }
        guard let identifier = AlgorithmIdentifier.der(scheme, key.publicKey.kind), identifier.count < 256 else {
            return nil
        }
        return AuthenticationPayload(method, [UInt8(identifier.count)] + identifier + signature)
    }
}

extension SignatureScheme {
    /// IANA's number of its hash (RFC 7427 §7, RFC 8420 §3); nil where it has none.
    public var hashNumber: UInt16? {
        switch hash {
        case .sha1?: 1
        case .sha256?: 2
        case .sha384?: 3
        case .sha512?: 4
        case .md5?: nil
        case nil: 5
        }
    }
}
