import GatewayModel
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import Trust

/// Attacks on signatures and certificates, one by one.
struct AttackTests {
    private static let octets = Array("what is signed".utf8)

    /// Whether a verifier that trusts `lab` believes a peer with this certificate and AUTH data.
    private static func isBelieved(
        _ lab: Lab, _ peer: Lab.Issued, _ data: [UInt8], method: AuthenticationMethod = .digitalSignature,
        agreed: Bool = true
    ) -> Bool {
        (try? lab.verifier().verify(
            .fqdn("a.lab"), signed: octets, AuthenticationPayload(method, data),
            [CertificatePayload(.x509Signature, peer.certificate.der)], agreedHashes: agreed, at: Lab.now)) != nil
    }

    private static func peer(_ lab: Lab, _ kind: KeyKind) throws -> Lab.Issued {
        try Lab.issue("CN=a", kind, by: lab.root, Lab.peer("DNS:a.lab"))
    }

    /// AUTH data that is right, and how many octets stand before the signature.
    private static func proof(
        _ key: PrivateKey, _ scheme: SignatureScheme
    ) throws -> (data: [UInt8], head: Int) {
        let identifier = try #require(AlgorithmIdentifier.der(scheme, key.publicKey.kind))
        let signature = try #require(key.signature(over: octets, scheme))
        return ([UInt8(identifier.count)] + identifier + signature, identifier.count + 1)
    }

    @Test(
        "Attack 10: RSA signatures that are too long, too large, empty, of another padding or hash",
        arguments: [SignatureScheme.rsaPKCS1(.sha256), .rsaPSS(.sha256)])
    func attack10(_ scheme: SignatureScheme) throws {
        let lab = try Lab()
        let peer = try Self.peer(lab, .rsa(bits: 2048))
        let (good, head) = try Self.proof(peer.key, scheme)
        #expect(Self.isBelieved(lab, peer, good))
        let before = Array(good[..<head])
        let signature = Array(good[head...])
        let wrong: [[UInt8]] = [
            before, Array(good.dropLast()), good + [0], good + [UInt8](repeating: 0, count: 256),
            before + [0] + signature, before + [UInt8](repeating: 0, count: 256),
            // At least the modulus.
            before + [UInt8](repeating: 0xff, count: 256), before + [UInt8](repeating: 0, count: 255) + [1],
            before + signature.reversed(), [], [0], [255], [UInt8(head - 1)],
        ]
        for data in wrong { #expect(!Self.isBelieved(lab, peer, data), "\(data.count) octets") }
        // The signature of one scheme under the name of another.
        for other in [SignatureScheme.rsaPKCS1(.sha256), .rsaPSS(.sha256), .rsaPKCS1(.sha384), .rsaPSS(.sha512)]
        where other != scheme {
            let identifier = try #require(AlgorithmIdentifier.der(other, peer.key.publicKey.kind))
            #expect(!Self.isBelieved(lab, peer, [UInt8(identifier.count)] + identifier + signature))
        }
        // RSA without RFC 7427 is SHA-1's, which has no excuse where both know better.
        let old = try #require(peer.key.signature(over: Self.octets, .rsaPKCS1(.sha1)))
        #expect(!Self.isBelieved(lab, peer, old, method: .rsaSignature))
    }

    @Test("Attack 10: salts of any length but the hash's")
    func attack10Salts() throws {
        let lab = try Lab()
        let peer = try Self.peer(lab, .rsa(bits: 2048))
        // The salt that is named is the salt that counts: never another one.
        let plain = try #require(AlgorithmIdentifier.der(.rsaPSS(.sha256), peer.key.publicKey.kind))
        for salt in [0, 20, 31, 32, 33, 190, 222] {
            let scheme = SignatureScheme.rsaPSS(.sha256, mask: .sha256, salt: salt)
            let signature = try #require(peer.key.signature(over: Self.octets, scheme))
            let isBelieved = Self.isBelieved(lab, peer, [UInt8(plain.count)] + plain + signature)
            #expect(isBelieved == (salt == 32), "salt \(salt)")
        }
    }

    @Test("Attack 11: zeros, nothing, too much, and hashes that nobody offered", arguments: KeyTests.kinds)
    func attack11(_ kind: KeyKind) throws {
        if case .rsa = kind { return }
        let lab = try Lab()
        let peer = try Self.peer(lab, kind)
        let scheme: SignatureScheme = kind.isECDSA ? .ecdsaDER(.sha256) : .eddsa
        guard let (good, head) = try? Self.proof(peer.key, scheme) else { return }
        let before = Array(good[..<head])
        let signature = Array(good[head...])
        var wrong: [[UInt8]] = [
            before, before + [0], before + [UInt8](repeating: 0, count: signature.count),
            before + [UInt8](repeating: 0xff, count: signature.count), Array(good.dropLast()), good + [0],
            before + signature + signature,
        ]
        // r and s in DER: both zero, one zero, negative, of length zero.
        wrong += [
            [0x30, 6, 2, 1, 0, 2, 1, 0], [0x30, 6, 2, 1, 1, 2, 1, 0], [0x30, 6, 2, 1, 0, 2, 1, 1],
            [0x30, 6, 2, 1, 0x81, 2, 1, 1], [0x30, 4, 2, 0, 2, 0], [0x30, 0], [0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0],
        ].map { before + $0 }
        if kind == .ed25519 {
            // S plus the group's order is the same number and another encoding.
            let order: [UInt8] = [
                0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
                0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
            ]
            var (sum, carry) = (signature, 0)
            for index in 0..<32 {
                let total = Int(signature[32 + index]) + Int(order[index]) + carry
                sum[32 + index] = UInt8(total & 255)
                carry = total >> 8
            }
            wrong.append(before + sum)
        }
        for data in wrong { #expect(!Self.isBelieved(lab, peer, data), "\(kind): \(data.count) octets") }
        #expect(!Self.isBelieved(lab, peer, []))
        if kind.isECDSA, let old = peer.key.signature(over: Self.octets, .ecdsaDER(.sha1)),
            let identifier = AlgorithmIdentifier.der(.ecdsaDER(.sha1), kind)
        {
            #expect(!Self.isBelieved(lab, peer, [UInt8(identifier.count)] + identifier + old))
        }
        // The method of another curve.
        for method in [AuthenticationMethod.ecdsa256, .ecdsa384, .ecdsa521, .rsaSignature, .sharedKey] {
            #expect(!Self.isBelieved(lab, peer, [UInt8](repeating: 0, count: 64), method: method, agreed: false))
        }
    }

    @Test("Attack 15: a leaf as authority, a path too long, an authority without the right to sign, out of time")
    func attack15() throws {
        let lab = try Lab()
        let plain = Lab.peer("DNS:a.lab")
        func verdict(
            below issuer: Lab.Issued, _ extensions: [CertificateIssuer.Extension] = Lab.peer("DNS:a.lab"),
            at moment: Int64 = Lab.now
        ) throws -> String {
            let peer = try Lab.issue("CN=a", .p256, by: issuer, extensions)
            return try lab.verifier().verdict(
                .fqdn("a.lab"), peer.key, [peer.certificate, issuer.certificate], at: moment)
        }
        #expect(try verdict(below: lab.middle).hasPrefix("trusted"))
        let leaf = try Lab.issue("CN=leaf", .p256, by: lab.root, plain)
        #expect(try verdict(below: leaf) == "issuerIsNoAuthority")
        let mute = try Lab.issue(
            "CN=mute", .p256, by: lab.root,
            [.init("basicConstraints", "critical,CA:TRUE"), .init("keyUsage", "critical,cRLSign")])
        #expect(try verdict(below: mute) == "issuerIsNoAuthority")
        let bare = try Lab.issue("CN=bare", .p256, by: lab.root, [.init("keyUsage", "critical,keyCertSign")])
        #expect(try verdict(below: bare) == "issuerIsNoAuthority")
        #expect(try verdict(below: lab.middle, at: Lab.now + 11 * Lab.day) == "expired")
        #expect(try verdict(below: lab.root, plain + [.init("extendedKeyUsage", "codeSigning")]) == "wrongPurpose")
        #expect(try verdict(below: lab.root, plain + [.init("1.2.3.4.5", "critical,DER:0500")]) == "invalid")
        // An authority that the peer brings itself is nobody's.
        let stranger = try Lab()
        #expect(try verdict(below: stranger.root) != "trusted")
        #expect(try !verdict(below: stranger.middle).hasPrefix("trusted"))
    }

    @Test("Attack 16: constraints and names by case, dots, zeros, wildcards, and addresses as text")
    func attack16() throws {
        let narrow = try Lab(
            rootExtensions: Lab.authority + [
                .init("nameConstraints", "critical,permitted;DNS:good.lab,excluded;DNS:bad.good.lab")
            ])
        func verdict(_ names: String, _ identity: Identity) -> String {
            let peer = try? Lab.issue("CN=a", .p256, by: narrow.root, Lab.peer(names))
            // What can't even be issued is not believed either.
            guard let peer else { return "nothing" }
            return (try? narrow.verifier().verdict(identity, peer.key, [peer.certificate])) ?? "nothing"
        }
        #expect(verdict("DNS:a.good.lab", .fqdn("a.good.lab")).hasPrefix("trusted"))
        for (names, identity) in [
            ("DNS:X.BAD.GOOD.LAB", "x.bad.good.lab"), ("DNS:x.Bad.good.lab", "X.bAD.good.lab"),
            ("DNS:x.bad.good.lab.", "x.bad.good.lab"), ("DNS:x.bad.good.lab.", "x.bad.good.lab."),
            ("DNS:a.evil.lab", "a.good.lab"), ("DNS:*.bad.good.lab", "x.bad.good.lab"),
            ("DNS:*.lab", "x.lab"), ("DNS:evilgood.lab", "evilgood.lab"),
        ] {
            #expect(!verdict(names, .fqdn(identity)).hasPrefix("trusted"), "\(names) as \(identity)")
        }
        let lab = try Lab()
        func holds(_ names: String, _ identity: Identity) throws -> Bool {
            let peer = try Lab.issue("CN=10.0.0.1", .p256, by: lab.root, Lab.peer(names))
            return IdentityBinding.holds(identity, peer.certificate)
        }
        let address = Identity(try #require(IPAddress("10.0.0.1")))
        #expect(try holds("IP:10.0.0.1", address))
        #expect(try !holds("DNS:10.0.0.1", address))
        #expect(try !holds("IP:10.0.0.1", .fqdn("10.0.0.1")))
        #expect(try !holds("email:a.lab@x.lab", .fqdn("a.lab")))
        #expect(try !holds("DNS:a.lab", .fqdn("a.lab\0.x.lab")))
        #expect(try !holds("DNS:a.lab", .fqdn("a.lab\0")))
        for wild in ["*", "*.lab", "a.*", "*.*.lab", "a*.lab"] {
            #expect(try !holds("DNS:\(wild)", .fqdn("a.b.lab")), "\(wild)")
        }
    }

    @Test("Attack 17: the right key under a wrong name, the right name of another authority, another key for AUTH")
    func attack17() throws {
        let lab = try Lab()
        let other = try Lab()
        let peer = try Self.peer(lab, .p256)
        #expect(try lab.verifier().verdict(.fqdn("b.lab"), peer.key, [peer.certificate]) == "wrongName")
        let twin = try Self.peer(other, .p256)
        #expect(try !lab.verifier().verdict(.fqdn("a.lab"), twin.key, [twin.certificate]).hasPrefix("trusted"))
        // The right certificate, and a signature by another key, even one that is trusted as well.
        let second = try Self.peer(lab, .p256)
        #expect(try lab.verifier().verdict(.fqdn("a.lab"), second.key, [peer.certificate]) == "false proof")
        #expect(
            try lab.verifier().verdict(.fqdn("a.lab"), second.key, [peer.certificate, second.certificate])
                == "false proof")
        // The right key, and something else signed.
        #expect(
            try lab.verifier().verdict(.fqdn("a.lab"), peer.key, [peer.certificate], signed: "others")
                == "false proof")
        // With two authorities trusted, the one that the connection names is the one that counts.
        var named = PeerVerifier(
            pinned: [], rawKeys: [],
            validator: ChainValidator(
                anchors: [lab.root.certificate, other.root.certificate], policies: [],
                policy: SignaturePolicy(SignatureRules())),
            authority: .exactly(Identity(try #require(DistinguishedName(text: "C=CH, O=Lab, CN=Middle")))))
        #expect(try !named.verdict(.fqdn("a.lab"), peer.key, [peer.certificate]).hasPrefix("trusted"))
        named.authority = .exactly(Identity(try #require(DistinguishedName(text: "C=CH, O=Lab, CN=Root"))))
        #expect(try named.verdict(.fqdn("a.lab"), peer.key, [peer.certificate]).hasPrefix("trusted"))
    }

    @Test("Attack 20: DER that nests, lies about lengths, never ends, or is very large")
    func attack20() throws {
        func wrapped(_ tag: UInt8, _ depth: Int) -> [UInt8] {
            var inner: [UInt8] = [5, 0]
            for _ in 0..<depth {
                let count = inner.count
                let length: [UInt8] =
                    count < 128
                    ? [UInt8(count)]
                    : [0x83, UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)]
                inner = [tag] + length + inner
            }
            return inner
        }
        let lab = try Lab()
        let good = try Self.peer(lab, .p256).certificate.der
        var long = good
        long.replaceSubrange(0..<4, with: [0x30, 0x84, 0xff, 0xff, 0xff, 0xff])
        let samples: [[UInt8]] = [
            wrapped(0x30, 1000), wrapped(0x31, 1000), wrapped(0xa0, 1000), [0x30, 0x80] + good + [0, 0],
            [UInt8](repeating: 0x30, count: 100_000), [UInt8](repeating: 0xa0, count: 100_000),
            Array(repeating: [UInt8](arrayLiteral: 0x30, 0x80), count: 20_000).flatMap { $0 }, long,
            [0x30, 0x88] + [UInt8](repeating: 0xff, count: 8) + good,
            // An identifier of a megabyte.
            [0x30, 0x83, 0x10, 0, 4, 6, 0x83, 0x0f, 0xff, 0xff] + [UInt8](repeating: 0x81, count: 0x0fffff), [], [0x30],
            [0x30, 0x84],
        ]
        for sample in samples {
            #expect(throws: TrustError.self) { try Certificate(der: sample) }
            #expect(throws: TrustError.self) { try RevocationList(file: sample) }
            #expect(throws: TrustError.self) { try PublicKey(file: sample) }
            #expect(throws: TrustError.self) { try PrivateKey(file: SecretBytes(sample)) }
            #expect(throws: TrustError.self) {
                try CertificateFile.container(SecretBytes(sample), password: SecretBytes(Array("x".utf8)))
            }
            #expect(DistinguishedName(der: sample) == nil || sample.isEmpty)
            let question = OCSPQuestion(
                lab.middle.certificate, issuer: lab.root.certificate, nonce: [])
            guard case .useless = question.verdict(on: sample, moment: Lab.now) else {
                Issue.record("an answer of \(sample.count) octets counts")
                continue
            }
        }
    }
}
