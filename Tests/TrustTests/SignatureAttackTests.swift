import Foundation
import GatewayModel
import IKEMessages
import IPsecCrypto
import Testing
import WireFormat

@testable import Trust

/// Forged proofs as they come in an AUTH payload, by their numbers in the project's list.
@Suite struct SignatureAttackTests {
    /// What comes of an AUTH payload of a peer whose raw public key is configured.
    private static func verdict(
        _ info: [UInt8], _ authentication: AuthenticationPayload, over message: [UInt8], agreed: Bool = true,
        rules: SignatureRules = SignatureRules()
    ) -> PeerVerifier.Failure? {
        guard let key = try? PublicKey(file: info) else { return .method }
        let verifier = PeerVerifier(
            pinned: [], rawKeys: [key],
            validator: ChainValidator(anchors: [], policies: [], policy: SignaturePolicy(rules)))
        do throws(PeerVerifier.Failure) {
            _ = try verifier.verify(
                .fqdn("a.lab"), signed: message, authentication, [], agreedHashes: agreed, at: Lab.now)
            return nil
        } catch {
            return error
        }
    }

    /// Method 14 with this AlgorithmIdentifier (RFC 7427 §3).
    private static func payload(_ identifier: [UInt8], _ signature: [UInt8]) -> AuthenticationPayload {
        AuthenticationPayload(
            .digitalSignature, [UInt8(truncatingIfNeeded: identifier.count)] + identifier + signature)
    }

    /// Every case of Wycheproof's that lies beside the tests, as an AUTH payload: signatures not below the modulus, padding
    /// with garbage behind it or too little of it, a DigestInfo that is another's, salts of other lengths; r or s that is
    /// zero or the order, encodings that are none, EdDSA's S with the order added.
    private static func forgeries(_ isMeant: (SignatureScheme) -> Bool) throws -> (refused: Int, accepted: Int) {
        var counts = (refused: 0, accepted: 0)
        for url in SignatureVectors.files where url.path.contains("Vectors") {
            let vectors = try SignatureVectors.load(url)
            for group in vectors.testGroups {
                let info = try #require(Hex.decode(group.publicKeyDer))
                guard let scheme = group.scheme(vectors.schema), isMeant(scheme), let key = try? PublicKey(file: info)
                else { continue }
                for test in group.tests where test.result != "acceptable" {
                    let (message, signature) = (Hex.decode(test.msg) ?? [], Hex.decode(test.sig) ?? [])
                    let authentication: AuthenticationPayload
                    if case .ecdsaPlain = scheme {
                        let methods: [KeyKind: AuthenticationMethod] = [
                            .p256: .ecdsa256, .p384: .ecdsa384, .p521: .ecdsa521,
                        ]
                        authentication = AuthenticationPayload(try #require(methods[key.kind]), signature)
                    } else {
                        let der = try #require(AlgorithmIdentifier.der(scheme, key.kind))
                        authentication = payload(der, signature)
                    }
                    // No peer signs nothing: what IKE signs is never empty.
                    let failure = verdict(info, authentication, over: message)
                    #expect(
                        (failure == nil) == (test.result == "valid"),
                        "\(url.lastPathComponent) \(test.tcId): \(test.comment)")
                    if failure == nil { counts.accepted += 1 } else { counts.refused += 1 }
                }
            }
        }
        return counts
    }

    @Test("Attack 10: forged RSA signatures of every kind are refused, and nothing traps")
    func attack10() throws {
        let counts = try Self.forgeries {
            switch $0 {
            case .rsaPKCS1, .rsaPSS: true
            default: false
            }
        }
        #expect(counts.refused > 40)
        #expect(counts.accepted > 5)
    }

    /// A SubjectPublicKeyInfo of RSA-2048 with another exponent of one octet.
    private static func info(_ honest: [UInt8], exponent: UInt8) throws -> [UInt8] {
        // 30 82 01 22 30 0d … 03 82 01 0f 00 30 82 01 0a 02 82 01 01 … 02 03 01 00 01: three lengths count the exponent.
        #expect(honest.count == 294 && Array(honest.suffix(5)) == [2, 3, 1, 0, 1])
        var info = Array(honest.dropLast(5)) + [2, 1, exponent]
        for place in [3, 22, 27] { info[place] -= 2 }
        return info
    }

    /// The encoded message of RSASSA-PKCS1-v1_5 with SHA-256 for a modulus of 256 octets.
    private static func encoded(_ message: [UInt8]) -> [UInt8] {
        let digestInfo: [UInt8] = [
            0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04,
            0x20,
        ]
        return [0, 1] + [UInt8](repeating: 0xff, count: 202) + [0] + digestInfo + Digest.sha256([message])
    }

    @Test("Attack 10: an RSA key whose exponent lets everybody sign is no key")
    func attack10Exponents() throws {
        let honest = try PrivateKey(generating: .rsa(bits: 2048)).publicKey.info
        let rsa = try #require(SignatureIdentifier.rsaPKCS1(.sha256).der)
        let message = Array("whatever IKE signs".utf8)
        // With the exponent 1, the encoded message is its own signature.
        let one = try Self.info(honest, exponent: 1)
        #expect(Self.encoded(message).count == 256)
        #expect(Self.verdict(one, Self.payload(rsa, Self.encoded(message)), over: message) != nil)
        #expect(throws: TrustError.self) { try PublicKey(file: one) }
        #expect(throws: TrustError.self) { try PublicKey(file: Self.info(honest, exponent: 2)) }
        // 3 is a good exponent, and its key takes no more than others do.
        let three = try Self.info(honest, exponent: 3)
        #expect(try PublicKey(file: three).kind == .rsa(bits: 2048))
        #expect(Self.verdict(three, Self.payload(rsa, Self.encoded(message)), over: message) == .falseProof)
    }

    /// Made with openssl for this test: a key of 1,024 bits, and its signature over 1, 2, 3.
    private static let smallKey =
        "30819f300d06092a864886f70d010101050003818d0030818902818100af4196d7d16307e38378ca9f05571b"
        + "c71e7d244be848baefd6ee77f42985d4feb401cdb6b3ad4378e9771bb812493f6bf9145d6328ae8d0bb30910"
        + "c971d465fa84c71644b9f514fc2e16e2ed02dcb9b963c14a79bc6ee7c6031310ad95119bd8aceb613d6a0eb9"
        + "8134ecd3d3b0aaf560071a88c18fb0bed5a5335ea88b37701d0203010001"
    private static let smallSignature =
        "278d4b5243280f1efc608dda457e7485034838f26cf54137842208b2b419103170bf0e9c992b9c1c7f409d74"
        + "a43fccd7ca3aa361908ce785cb8dd5fe7fcb4e5ac378da0922373cf1f33de5260b6a6c6e840b523c8302a12f"
        + "f02adc1410a2b4547f13b02d14f0c8f34648677fdf6cc58718784945d3bcfb8c4cba4e811b9967e8"

    @Test("Attack 10: small moduli, wrong lengths and salts without end are refused")
    func attack10Sizes() throws {
        let message: [UInt8] = [1, 2, 3]
        let scheme = SignatureScheme.rsaPKCS1(.sha256)
        let rsa = try #require(SignatureIdentifier.rsaPKCS1(.sha256).der)
        // A true signature, by a key of 1,024 bits.
        let small = try #require(Hex.decode(Self.smallKey))
        let weak = Self.payload(rsa, try #require(Hex.decode(Self.smallSignature)))
        guard case .problem(.weakSignature)? = Self.verdict(small, weak, over: message) else {
            Issue.record("a key of 1024 bits proves something")
            return
        }
        #expect(try PublicKey(file: small).accepts(Array(weak.data.dropFirst(1 + rsa.count)), over: message, scheme))
        let key = try PrivateKey(generating: .rsa(bits: 2048))
        let good = try #require(key.signature(over: message, scheme))
        #expect(Self.verdict(key.publicKey.info, Self.payload(rsa, good), over: message) == nil)
        for bad in [[], [0], [0] + good, good + [0], Array(good.dropLast()), [UInt8](repeating: 0xff, count: 256)] {
            #expect(
                Self.verdict(key.publicKey.info, Self.payload(rsa, bad), over: message) != nil,
                "\(bad.count) octets")
        }
        // The last octets of the identifier are the salt's length: 32, then all that fits.
        let pss = try #require(SignatureIdentifier.rsaPSS(.sha256).der)
        let signed = try #require(key.signature(over: message, .rsaPSS(.sha256)))
        #expect(Self.verdict(key.publicKey.info, Self.payload(pss, signed), over: message) == nil)
        for salt: UInt8 in [0, 31, 33, 127, 128, 255] {
            let other = Array(pss.dropLast()) + [salt]
            #expect(Self.verdict(key.publicKey.info, Self.payload(other, signed), over: message) != nil, "salt \(salt)")
        }
    }

    @Test("Attack 10: an AlgorithmIdentifier that is none, or another's, is refused")
    func attack10Identifiers() throws {
        let key = try PrivateKey(generating: .rsa(bits: 2048))
        let message: [UInt8] = [1, 2, 3]
        let good = try #require(key.signature(over: message, .rsaPKCS1(.sha256)))
        let rsa = try #require(SignatureIdentifier.rsaPKCS1(.sha256).der)
        let others = [
            [], [0x30], [0x30, 0x80], [0x30, 0x00], rsa + [0], Array(rsa.dropLast()),
            [UInt8](repeating: 0x30, count: 200),
            SignatureIdentifier.ecdsa(.sha256).der, SignatureIdentifier.ed25519.der,
            SignatureIdentifier.rsaPKCS1(.sha384).der,
        ].compactMap { $0 }
        for identifier in others {
            #expect(
                Self.verdict(key.publicKey.info, Self.payload(identifier, good), over: message) != nil,
                "\(Hex.encode(identifier))")
        }
        // One whose length says more than there is.
        let lying = AuthenticationPayload(.digitalSignature, [255] + rsa + good)
        #expect(Self.verdict(key.publicKey.info, lying, over: message) != nil)
        // SHA-1, which both have agreed not to use.
        let sha1 = try #require(SignatureIdentifier.rsaPKCS1(.sha1).der)
        let old = Self.payload(sha1, try #require(key.signature(over: message, .rsaPKCS1(.sha1))))
        guard case .problem(.weakSignature)? = Self.verdict(key.publicKey.info, old, over: message) else {
            Issue.record("SHA-1 proves something")
            return
        }
    }

    @Test("Attack 11: forged ECDSA and EdDSA signatures of every kind are refused, and nothing traps")
    func attack11() throws {
        let counts = try Self.forgeries {
            switch $0 {
            case .ecdsaPlain, .ecdsaDER, .eddsa: true
            default: false
            }
        }
        #expect(counts.refused > 140)
        #expect(counts.accepted > 80)
    }

    @Test(
        "Attack 11: zeros, nothing, and lengths that are wrong prove nothing",
        arguments: [KeyKind.p256, .p384, .p521, .ed25519, .ed448])
    func attack11Shapes(_ kind: KeyKind) throws {
        let key = try PrivateKey(generating: kind)
        let message: [UInt8] = [1, 2, 3]
        let choice = try #require(SignatureChoice.choose(kind, peerHashes: [2, 3, 4, 5], SignatureRules()))
        let honest = try #require(choice.authentication(message, key))
        #expect(Self.verdict(key.publicKey.info, honest, over: message) == nil)
        let identifier = try #require(AlgorithmIdentifier.der(choice.scheme, kind))
        let signature = Array(honest.data.dropFirst(1 + identifier.count))
        let shapes: [[UInt8]] = [
            [], [0], [0x30, 0x06, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00],
            [0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x00],
            [0x30, 0x06, 0x02, 0x01, 0x00, 0x02, 0x01, 0x01], [UInt8](repeating: 0, count: signature.count),
            [UInt8](repeating: 0xff, count: signature.count), signature + [0], Array(signature.dropLast()),
            [UInt8](repeating: 0x30, count: 5000),
        ]
        for shape in shapes {
            #expect(
                Self.verdict(key.publicKey.info, Self.payload(identifier, shape), over: message) != nil,
                "\(shape.count) octets")
        }
        #expect(Self.verdict(key.publicKey.info, honest, over: message + [0]) == .falseProof)
    }

    @Test("Attack 11: a hash that nobody offered proves nothing")
    func attack11Hashes() throws {
        let key = try PrivateKey(generating: .p256)
        let message: [UInt8] = [1, 2, 3]
        let sha1 = try #require(SignatureIdentifier.ecdsa(.sha1).der)
        let old = Self.payload(sha1, try #require(key.signature(over: message, .ecdsaDER(.sha1))))
        guard case .problem(.weakSignature)? = Self.verdict(key.publicKey.info, old, over: message) else {
            Issue.record("SHA-1 proves something")
            return
        }
        let strict = SignatureRules(exchange: [.init(.ecdsa, hashes: [.sha384])])
        let sha256 = try #require(SignatureIdentifier.ecdsa(.sha256).der)
        let other = Self.payload(sha256, try #require(key.signature(over: message, .ecdsaDER(.sha256))))
        #expect(Self.verdict(key.publicKey.info, other, over: message) == nil)
        guard case .problem(.weakSignature)? = Self.verdict(key.publicKey.info, other, over: message, rules: strict)
        else {
            Issue.record("a hash that the rules do not name proves something")
            return
        }
    }
}
