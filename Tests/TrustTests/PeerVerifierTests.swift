import GatewayModel
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import Trust

/// Chains, names and proofs of peers.
struct PeerVerifierTests {
    @Test("A chain with an intermediate authority is trusted", arguments: KeyTests.kinds)
    func chain(_ kind: KeyKind) throws {
        let lab = try Lab(kind)
        let peer = try Lab.issue("CN=a", kind, by: lab.middle, Lab.peer("DNS:a.lab"))
        let verdict = try lab.verifier().verdict(.fqdn("A.lab"), peer.key, [peer.certificate, lab.middle.certificate])
        #expect(verdict == "trusted: CN=a < C=CH, O=Lab, CN=Middle < C=CH, O=Lab, CN=Root")
        // Without the one in between there is no way up; a stranger's signature is nobody's; so are other octets.
        #expect(try lab.verifier().verdict(.fqdn("a.lab"), peer.key, [peer.certificate]) == "untrustedIssuer")
        let other = try PrivateKey(generating: kind)
        let both = [peer.certificate, lab.middle.certificate]
        #expect(try lab.verifier().verdict(.fqdn("a.lab"), other, both) == "false proof")
        #expect(try lab.verifier().verdict(.fqdn("a.lab"), peer.key, both, signed: "others") == "false proof")
    }

    @Test("A right key with another's name is refused, whatever the kind of name")
    func names() throws {
        let lab = try Lab()
        let peer = try Lab.issue(
            "C=CH, O=Lab, CN=gate.lab", .p256, by: lab.root,
            Lab.peer("DNS:a.lab,DNS:*.wild.lab,IP:10.0.0.1,IP:fd00::1,email:Carol@lab.net"))
        func verdict(_ identity: Identity) throws -> Bool {
            let text = try lab.verifier().verdict(identity, peer.key, [peer.certificate])
            #expect(text == "wrongName" || text.hasPrefix("trusted"))
            return text.hasPrefix("trusted")
        }
        let dn = try #require(DistinguishedName(text: "C=ch, O=lab, CN=GATE.lab"))
        let good: [Identity] = [
            .fqdn("a.lab"), .fqdn("A.LAB"), .fqdn("x.wild.lab"), .rfc822("carol@LAB.net"), Identity(dn),
            Identity(try #require(IPAddress("10.0.0.1"))), Identity(try #require(IPAddress("fd00::1"))),
            .keyID(peer.certificate.key.identifier),
        ]
        for identity in good { #expect(try verdict(identity), "\(identity)") }
        let bad: [Identity] = [
            // The common name is not a host name.
            .fqdn("gate.lab"), .fqdn("b.lab"), .fqdn("wild.lab"), .fqdn("x.y.wild.lab"), .fqdn("*.wild.lab"),
            .fqdn(""), .fqdn("a.lab\0.evil"), .rfc822("bob@lab.net"), .rfc822("a.lab"),
            Identity(try #require(IPAddress("10.0.0.2"))), .keyID([1, 2, 3]), Identity(.asn1DN, [0x30, 0]),
            Identity(try #require(DistinguishedName(text: "C=CH, O=Lab, CN=*"))), Identity(.null, []),
        ]
        for identity in bad { #expect(try !verdict(identity), "\(identity)") }
    }

    @Test("Times, authorities, usages and purposes are looked at")
    func limits() throws {
        let lab = try Lab()
        func verdict(
            _ extensions: [CertificateIssuer.Extension], by issuer: Lab.Issued? = nil, at moment: Int64 = Lab.now,
            hash: HashFunction? = nil, kind: KeyKind = .p256, helpers: [Certificate] = []
        ) throws -> String {
            let peer = try Lab.issue("CN=a", kind, by: issuer ?? lab.root, extensions, hash: hash)
            return try lab.verifier().verdict(.fqdn("a.lab"), peer.key, [peer.certificate] + helpers, at: moment)
        }
        let plain = Lab.peer("DNS:a.lab")
        #expect(try verdict(plain) == "trusted: CN=a < C=CH, O=Lab, CN=Root")
        #expect(try verdict(plain, at: Lab.now + 11 * Lab.day) == "expired")
        #expect(try verdict(plain, at: Lab.now - 11 * Lab.day) == "notYetValid")
        #expect(try verdict(plain, hash: .sha1) == "weakSignature")
        let names = CertificateIssuer.Extension("subjectAltName", "DNS:a.lab")
        #expect(try verdict([names]).hasPrefix("trusted"))
        #expect(try verdict([names, .init("keyUsage", "keyEncipherment")]) == "keyMayNotSign")
        #expect(try verdict([names, .init("keyUsage", "nonRepudiation")]).hasPrefix("trusted"))
        #expect(try verdict([names, .init("extendedKeyUsage", "codeSigning")]) == "wrongPurpose")
        for purpose in ["serverAuth", "clientAuth", "anyExtendedKeyUsage", "1.3.6.1.5.5.8.2.2", "ipsecIKE"] {
            #expect(try verdict([names, .init("extendedKeyUsage", purpose)]).hasPrefix("trusted"), "\(purpose)")
        }
        #expect(try verdict([names, .init("1.2.3.4.5", "critical,DER:0500")]) == "invalid")
        // A peer's certificate is no authority's.
        let false_ = try Lab.issue("CN=false", .p256, by: lab.root, plain)
        #expect(try verdict(plain, by: false_, helpers: [false_.certificate]) == "issuerIsNoAuthority")
        // Another root with the same name.
        let impostor = try Lab()
        #expect(
            try verdict(plain, by: impostor.root, helpers: [impostor.root.certificate]).hasPrefix("untrusted")
                || verdict(plain, by: impostor.root) == "falseSignature")
        // An expired authority.
        let old = try Lab.issue(
            "CN=old", .p256, by: lab.root, Lab.authority, validity: (Lab.now - 9 * Lab.day)...(Lab.now - Lab.day))
        #expect(try verdict(plain, by: old, helpers: [old.certificate]) == "expired")
    }

    @Test("Path lengths, name constraints (by any case) and policies hold")
    func constraints() throws {
        let short = try Lab(rootExtensions: [
            .init("basicConstraints", "critical,CA:TRUE,pathlen:0"), .init("keyUsage", "critical,keyCertSign"),
        ])
        let deep = try Lab.issue("CN=a", .p256, by: short.middle, Lab.peer("DNS:a.lab"))
        let both = [deep.certificate, short.middle.certificate]
        #expect(try short.verifier().verdict(.fqdn("a.lab"), deep.key, both) == "pathTooLong")

        let narrow = try Lab(
            rootExtensions: Lab.authority + [
                .init(
                    "nameConstraints",
                    "critical,permitted;DNS:good.lab,excluded;DNS:bad.good.lab,excluded;email:evil.net")
            ])
        func verdict(_ names: String, _ identity: Identity) throws -> String {
            let peer = try Lab.issue("CN=a", .p256, by: narrow.root, Lab.peer(names))
            return try narrow.verifier().verdict(identity, peer.key, [peer.certificate])
        }
        #expect(try verdict("DNS:a.good.lab", .fqdn("a.good.lab")).hasPrefix("trusted"))
        #expect(try verdict("DNS:A.GOOD.LAB", .fqdn("a.good.lab")).hasPrefix("trusted"))
        for name in ["a.other.lab", "A.OTHER.LAB", "x.bad.good.lab", "X.BAD.Good.Lab", "BAD.good.lab"] {
            #expect(try verdict("DNS:\(name)", .fqdn(name)) == "forbiddenName", "\(name)")
        }
        #expect(try verdict("DNS:a.good.lab,email:x@EVIL.net", .rfc822("x@evil.net")) == "forbiddenName")

        let lab = try Lab()
        let stamped = try Lab.issue(
            "CN=a", .p256, by: lab.root, Lab.peer("DNS:a.lab", [.init("certificatePolicies", "1.2.3.4")]))
        let wanted = lab.verifier(policies: ["1.2.3.4", "1.2.3.5"])
        #expect(try wanted.verdict(.fqdn("a.lab"), stamped.key, [stamped.certificate]).hasPrefix("trusted"))
        let others = lab.verifier(policies: ["1.2.3.5"])
        #expect(try others.verdict(.fqdn("a.lab"), stamped.key, [stamped.certificate]) == "wrongPolicy")
    }

    @Test("Weak keys are refused by default, and what is stronger than asked for is not")
    func strength() throws {
        let lab = try Lab(.rsa(bits: 2048))
        let peer = try Lab.issue("CN=a", .rsa(bits: 2048), by: lab.root, Lab.peer("DNS:a.lab"))
        func verdict(_ rules: SignatureRules, hashes: [UInt16]? = [2, 3, 4]) throws -> String {
            try lab.verifier(rules).verdict(.fqdn("a.lab"), peer.key, [peer.certificate], hashes: hashes)
        }
        #expect(try verdict(SignatureRules()).hasPrefix("trusted"))
        #expect(try verdict(SignatureRules(chain: [.init(.rsa, minimumBits: 3072)])) == "weakKey")
        #expect(try verdict(SignatureRules(chain: [.init(.ecdsa, minimumBits: 256)])) == "weakKey")
        #expect(try verdict(SignatureRules(chain: [.init(.any, hashes: [.sha384])])) == "weakSignature")
        #expect(try verdict(SignatureRules(exchange: [.init(.rsaPSS)])) == "weakSignature")
        // SHA-1 in AUTH: only where RFC 7427 was not agreed on.
        #expect(try verdict(SignatureRules(), hashes: nil).hasPrefix("trusted"))
        let old = AuthenticationPayload(
            .rsaSignature, try #require(peer.key.signature(over: [1], .rsaPKCS1(.sha1))))
        #expect(throws: PeerVerifier.Failure.self) {
            try lab.verifier().verify(
                .fqdn("a.lab"), signed: [1], old, [CertificatePayload(.x509Signature, peer.certificate.der)],
                agreedHashes: true, at: Lab.now)
        }
    }

    @Test("Pinned certificates and raw keys are the only ones, and need nobody above them")
    func pinned() throws {
        let lab = try Lab()
        let own = try Lab.issue("CN=self", .ed25519, by: nil, Lab.peer("DNS:a.lab"))
        let other = try Lab.issue("CN=a", .p256, by: lab.root, Lab.peer("DNS:a.lab"))
        var verifier = lab.verifier()
        #expect(try verifier.verdict(.fqdn("a.lab"), own.key, [own.certificate]) == "untrustedIssuer")
        verifier.pinned = [own.certificate]
        #expect(try verifier.verdict(.fqdn("a.lab"), own.key, [own.certificate]) == "trusted: CN=self")
        #expect(try verifier.verdict(.fqdn("a.lab"), own.key, []) == "trusted: CN=self")
        #expect(try verifier.verdict(.fqdn("b.lab"), own.key, [own.certificate]) == "wrongName")
        #expect(try verifier.verdict(.fqdn("a.lab"), other.key, [other.certificate]) == "notConfigured")
        let late = Lab.now + 11 * Lab.day
        #expect(try verifier.verdict(.fqdn("a.lab"), own.key, [own.certificate], at: late) == "expired")
        verifier.pinned = []
        verifier.rawKeys = [own.key.publicKey]
        #expect(try verifier.verdict(.fqdn("a.lab"), own.key, []) == "trusted: a raw public key")
        #expect(try verifier.verdict(.fqdn("a.lab"), other.key, []) == "method")
        #expect(try lab.verifier().verdict(.fqdn("a.lab"), other.key, []) == "none")
    }

    @Test("Damaged certificates are refused, octet by octet, and nothing traps")
    func damage() throws {
        let lab = try Lab()
        let peer = try Lab.issue("CN=a", .p256, by: lab.root, Lab.peer("DNS:a.lab,IP:10.0.0.1"))
        let choice = try #require(SignatureChoice.choose(.p256, peerHashes: [2], SignatureRules()))
        let authentication = try #require(choice.authentication([1], peer.key))
        let good = peer.certificate.der
        for index in good.indices {
            var bad = good
            bad[index] ^= 0x55
            for candidate in [bad, Array(good.prefix(index))] {
                #expect(throws: PeerVerifier.Failure.self, "octet \(index)") {
                    try lab.verifier().verify(
                        .fqdn("a.lab"), signed: [1], authentication, [CertificatePayload(.x509Signature, candidate)],
                        agreedHashes: true, at: Lab.now)
                }
            }
        }
    }
}
