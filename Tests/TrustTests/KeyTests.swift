import GatewayModel
import IKEMessages
import IPsecCrypto
import Testing
import WireFormat

@testable import Trust

/// Keys from files, and what they sign.
struct KeyTests {
    static let kinds: [KeyKind] = [.rsa(bits: 2048), .p256, .p384, .p521, .ed25519, .ed448]

    @Test("A key survives its file, encrypted or not, and signs the same", arguments: kinds)
    func files(_ kind: KeyKind) throws {
        let key = try PrivateKey(generating: kind)
        #expect(key.publicKey.kind == kind)
        let clear = try #require(key.pem())
        let again = try PrivateKey(file: clear)
        #expect(again.publicKey.info == key.publicKey.info)
        let password = SecretBytes(Array("a password".utf8))
        let sealed = try #require(key.pem(password: password))
        #expect(try PrivateKey(file: sealed, password: password).publicKey.info == key.publicKey.info)
        #expect(throws: TrustError.needsPassword) { try PrivateKey(file: sealed) }
        #expect(throws: TrustError.wrongPassword) {
            try PrivateKey(file: sealed, password: SecretBytes(Array("another".utf8)))
        }
        // DER is PEM without its dress.
        let der = try #require(Self.undressed(sealed))
        #expect(try PrivateKey(file: SecretBytes(der), password: password).publicKey.info == key.publicKey.info)
        #expect(throws: TrustError.needsPassword) { try PrivateKey(file: SecretBytes(der)) }
        let plainDER = try #require(Self.undressed(clear))
        #expect(try PrivateKey(file: SecretBytes(plainDER)).publicKey.info == key.publicKey.info)
    }

    @Test("What is no key is refused")
    func rubbish() throws {
        for text in ["", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            #expect(throws: TrustError.noPrivateKey) { try PrivateKey(file: SecretBytes(Array(text.utf8))) }
            #expect(throws: TrustError.noPublicKey) { try PublicKey(file: Array(text.utf8)) }
            #expect(throws: TrustError.noCertificate) { try CertificateFile.certificates(Array(text.utf8)) }
            #expect(throws: TrustError.noContainer) {
                try CertificateFile.container(SecretBytes(Array(text.utf8)), password: nil)
            }
        }
        let info = try PrivateKey(generating: .p256).publicKey.info
        #expect(throws: TrustError.noPublicKey) { try PublicKey(file: info + [0]) }
        #expect(throws: TrustError.noPublicKey) { try PublicKey(file: Array(info.dropLast())) }
    }

    @Test("A proof is read back as it was made, for every kind of key and every agreement", arguments: kinds)
    func proofs(_ kind: KeyKind) throws {
        let key = try PrivateKey(generating: kind)
        let octets = Array("octets".utf8)
        let agreements: [[UInt16]?] = [nil, [2], [3], [4], [2, 3, 4, 5], [5]]
        var made = 0
        for hashes in agreements {
            guard let choice = SignatureChoice.choose(kind, peerHashes: hashes, SignatureRules()) else { continue }
            made += 1
            let authentication = try #require(choice.authentication(octets, key))
            if let hashes, choice.method == .digitalSignature {
                #expect(choice.scheme.hashNumber.map(hashes.contains) == true)
            }
            let (scheme, signature) = try #require(SignatureChoice.read(authentication, kind))
            #expect(scheme == choice.scheme)
            #expect(key.publicKey.accepts(signature, over: octets, scheme))
            #expect(!key.publicKey.accepts(signature, over: octets + [0], scheme))
        }
        #expect(made >= 2)
        if kind == .ed25519 {
            #expect(SignatureChoice.choose(kind, peerHashes: nil, SignatureRules()) == nil)
            #expect(SignatureChoice.choose(kind, peerHashes: [2, 3, 4], SignatureRules()) == nil)
        }
    }

    @Test("What the peer announced decides (RFC 9593), the first that the key and our rules allow")
    func announced() throws {
        func list(_ identifiers: [SignatureIdentifier]) -> [AuthenticationAnnouncement] {
            identifiers.compactMap { AuthenticationAnnouncement($0) }
        }
        let rsa = KeyKind.rsa(bits: 2048)
        func chosen(_ announced: [AuthenticationAnnouncement]?, _ rules: SignatureRules = SignatureRules())
            -> SignatureScheme?
        {
            SignatureChoice.choose(rsa, peerHashes: [2, 3, 4, 5], announced: announced, rules)?.scheme
        }
        #expect(chosen(nil) == .rsaPKCS1(.sha256))
        #expect(chosen(list([.ed25519, .rsaPSS(.sha512), .rsaPKCS1(.sha256)])) == .rsaPSS(.sha512))
        #expect(
            chosen(
                list([.rsaPSS(.sha512), .rsaPKCS1(.sha384)]), SignatureRules(chain: [.init(.rsa, hashes: [.sha384])]))
                == .rsaPKCS1(.sha384))
        // Nothing that this key can do.
        #expect(chosen(list([.ed25519, .ecdsa(.sha256)])) == nil)
        #expect(chosen([]) == nil)
        // A hash that the peer did not name is not used, whatever it announced.
        #expect(
            SignatureChoice.choose(rsa, peerHashes: [2], announced: list([.rsaPSS(.sha512)]), SignatureRules()) == nil)
        let own = SignatureChoice.choose(
            .p256, peerHashes: [3], announced: [AuthenticationAnnouncement(.ecdsa256)], SignatureRules())
        #expect(own?.method == .ecdsa256)
        #expect(
            SignatureChoice.choose(
                .p256, peerHashes: [3], announced: [AuthenticationAnnouncement(.ecdsa384)], SignatureRules()) == nil)
    }

    @Test("Rules choose PSS, sizes and hashes, and refuse the rest")
    func rules() throws {
        let rsa = KeyKind.rsa(bits: 3072)
        let pss = SignatureRules(chain: [.init(.rsaPSS, hashes: [.sha384])])
        let choice = try #require(SignatureChoice.choose(rsa, peerHashes: [2, 3, 4], pss))
        #expect(choice.scheme == .rsaPSS(.sha384))
        #expect(SignatureChoice.choose(rsa, peerHashes: [2], pss) == nil)
        // Only a peer without RFC 7427 may have SHA-1.
        #expect(SignatureChoice.choose(rsa, peerHashes: nil, SignatureRules())?.scheme == .rsaPKCS1(.sha1))
        #expect(SignatureChoice.choose(rsa, peerHashes: [1], SignatureRules()) == nil)
        let policy = SignaturePolicy(
            SignatureRules(chain: [.init(.rsa, minimumBits: 3072), .init(.ecdsa, minimumBits: 384)]))
        #expect(policy.allows(.rsaPKCS1(.sha256), rsa))
        #expect(policy.allows(.rsaPSS(.sha256), rsa))
        #expect(!policy.allows(.rsaPKCS1(.sha256), .rsa(bits: 2048)))
        #expect(!policy.allows(.ecdsaDER(.sha256), .p256))
        #expect(policy.allows(.ecdsaDER(.sha384), .p384))
        #expect(!policy.allows(.eddsa, .ed25519))
        #expect(!SignaturePolicy(SignatureRules()).allows(.rsaPKCS1(.sha256), .rsa(bits: 1024)))
    }

    @Test("Identifiers of signature algorithms are RFC 7427's, and are read back")
    func identifiers() throws {
        let schemes: [(SignatureScheme, KeyKind)] =
            [HashFunction.sha256, .sha384, .sha512].flatMap { hash in
                [
                    (SignatureScheme.rsaPKCS1(hash), KeyKind.rsa(bits: 2048)), (.rsaPSS(hash), .rsa(bits: 2048)),
                    (.ecdsaDER(hash), .p256),
                ]
            } + [(.eddsa, .ed25519), (.eddsa, .ed448)]
        for (scheme, kind) in schemes {
            let der = try #require(AlgorithmIdentifier.der(scheme, kind))
            #expect(AlgorithmIdentifier.scheme(der, kind) == scheme)
            #expect(AlgorithmIdentifier.scheme(der + [0], kind) == nil)
            #expect(AlgorithmIdentifier.scheme(der, kind == .ed25519 ? .ed448 : .ed25519) == nil)
        }
        // RSASSA-PSS with everything at its default: SHA-1.
        let empty = try #require(Hex.decode("300d06092a864886f70d01010a3000"))
        #expect(AlgorithmIdentifier.scheme(empty, .rsa(bits: 2048)) == .rsaPSS(.sha1, mask: .sha1, salt: 20))
        for length in 0..<20 {
            #expect(AlgorithmIdentifier.scheme(Array(empty.prefix(length).dropLast()), .p256) == nil)
        }
    }

    /// The octets in a PEM file with one block.
    static func undressed(_ pem: SecretBytes) -> [UInt8]? {
        let lines = String(decoding: pem.exposedBytes(), as: UTF8.self).split(separator: "\n")
        var digits: [UInt8] = []
        for line in lines where !line.hasPrefix("-") { digits += line.utf8 }
        var bits: UInt32 = 0
        var count = 0
        var octets: [UInt8] = []
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        for digit in digits where digit != UInt8(ascii: "=") {
            guard let value = alphabet.firstIndex(of: digit) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                octets.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return octets
    }
}
