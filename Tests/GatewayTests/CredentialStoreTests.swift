import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import SwanctlConfig
import Testing
import WireFormat

@testable import Gateway

@Suite struct CredentialStoreTests {
    private static let hq = Identity.fqdn("hq.example")
    private static let branch = Identity.fqdn("branch.example")
    private static let octets = Array("what IKE_AUTH signs".utf8)

    private static func secret(_ name: String, _ value: String, _ identities: [Identity] = []) -> Secret {
        Secret(
            name: name, kind: .ike, identities: identities, value: SecretBytes(Array(value.utf8)),
            location: SourceLocation(file: "", line: 1, column: 1))
    }

    private static func proof(_ signer: Identity, _ other: Identity) -> Query.Proof {
        Query.Proof(
            connection: "branch", method: .sharedKey, signer: signer, other: other, prf: .prfsha256, octets: octets)
    }

    /// HMAC-SHA-256 as RFC 2104 has it, from the bare hash function.
    private static func hmac(_ key: [UInt8], _ data: [UInt8]) -> [UInt8] {
        let short = key.count > 64 ? Digest.sha256([key]) : key
        let block = short + [UInt8](repeating: 0, count: 64 - short.count)
        let inner = Digest.sha256([block.map { $0 ^ 0x36 }, data])
        return Digest.sha256([block.map { $0 ^ 0x5c }, inner])
    }

    /// RFC 7296 §2.15, written down once more.
    private static func proofOctets(_ secret: [UInt8]) -> [UInt8] {
        hmac(hmac(secret, Array("Key Pad for IKEv2".utf8)), octets)
    }

    private static func verdict(_ answer: Answer?) -> String {
        switch answer {
        case .proof(let octets): "proof \(Hex.encode(octets))"
        case .verified: "verified"
        case .verifiedInReturn(let octets): "verified, proof \(Hex.encode(octets))"
        case .falseProof: "false"
        case .nearMiss(let found): "near \(found.secret) \(found.difference)"
        case .noSecret: "no secret"
        case .mixed: "mixed"
        case .encapsulated: "encapsulated"
        case .publicKeyRefused: "public key refused"
        case .path, .noPath: "a path"
        case .signed(let authentication, let certificates): "signed \(authentication.method) \(certificates.count)"
        case .noPrivateKey(let reason): "no private key: \(reason)"
        case .certified(let certificate): "certified \(certificate.chain.first ?? "")"
        case .untrusted(let problem): "untrusted \(problem)"
        case .leased, .noLease: "a lease"
        case .lastUse: "a moment"
        case .eap: "a step of EAP"
        case nil: "nothing"
        }
    }

    /// What a store that reads `ours` says about a peer that uses `theirs`.
    private static func verdict(ours: [Secret], theirs: [UInt8]) -> String {
        verdict(CredentialStore(ours).answer(.verify(proof(branch, hq), received: proofOctets(theirs))))
    }

    @Test func theHMACOfTheTestIsRight() {
        // RFC 4231, case 2.
        #expect(
            Hex.encode(Self.hmac(Array("Jefe".utf8), Array("what do ya want for nothing?".utf8)))
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    }

    @Test(arguments: ["k", "a key of some length", String(repeating: "long ", count: 40)])
    func provesAsTheRFCSays(_ key: String) {
        let store = CredentialStore([Self.secret("ike-1", key, [Self.hq, Self.branch])])
        let expected = "proof " + Hex.encode(Self.proofOctets(Array(key.utf8)))
        #expect(Self.verdict(store.answer(.prove(Self.proof(Self.hq, Self.branch)))) == expected)
        #expect(Self.verdict(ours: [Self.secret("ike-1", key)], theirs: Array(key.utf8)) == "verified")
    }

    @Test func theBestFittingSecretIsUsed() {
        let all = [
            Self.secret("ike-any", "anybody's"), Self.secret("ike-us", "ours", [Self.hq]),
            Self.secret("ike-them", "theirs", [Self.branch]), Self.secret("ike-both", "both", [Self.hq, Self.branch]),
        ]
        for count in 1...4 {
            let expected = ["anybody's", "ours", "theirs", "both"][count - 1]
            let store = CredentialStore(Array(all.prefix(count)).reversed())
            #expect(
                Self.verdict(store.answer(.prove(Self.proof(Self.hq, Self.branch))))
                    == "proof " + Hex.encode(Self.proofOctets(Array(expected.utf8))))
            #expect(
                Self.verdict(
                    store.answer(
                        .verify(Self.proof(Self.branch, Self.hq), received: Self.proofOctets(Array(expected.utf8)))))
                    == "verified")
        }
    }

    @Test func aTrueProofIsAnsweredInReturn() {
        let store = CredentialStore([Self.secret("ike-1", "a key")])
        var proof = Self.proof(Self.branch, Self.hq)
        proof.octets = Array("what the peer signs".utf8)
        proof.reply = Self.octets
        let key = Array("a key".utf8)
        let received = Self.hmac(Self.hmac(key, Array("Key Pad for IKEv2".utf8)), proof.octets)
        let own = Hex.encode(Self.proofOctets(key))
        #expect(Self.verdict(store.answer(.verify(proof, received: received))) == "verified, proof \(own)")
        // Whoever does not know the key gets nothing that is made with it.
        #expect(Self.verdict(store.answer(.verify(proof, received: Self.proofOctets(key)))) == "false")
        #expect(Self.verdict(CredentialStore([]).answer(.verify(proof, received: received))) == "no secret")
    }

    @Test func strangersHaveNoSecret() {
        let store = CredentialStore([Self.secret("ike-x", "a key", [.fqdn("x.example")])])
        #expect(Self.verdict(store.answer(.prove(Self.proof(Self.hq, Self.branch)))) == "no secret")
        // Not even the stand-in for nobody's secret makes a proof true.
        for theirs in [Array("a key".utf8), [], [UInt8](repeating: 0, count: 32)] {
            #expect(
                Self.verdict(ours: [Self.secret("ike-x", "a key", [.fqdn("x.example")])], theirs: theirs) == "no secret"
            )
        }
    }

    @Test func aFalseProofIsFalse() {
        let store = CredentialStore([Self.secret("ike-1", "a key")])
        let right = Self.proofOctets(Array("a key".utf8))
        for received in [
            [], Array(right.dropLast()), right + [0], right.map { $0 ^ 1 }, [UInt8](repeating: 0, count: 32),
        ] {
            #expect(
                Self.verdict(store.answer(.verify(Self.proof(Self.branch, Self.hq), received: received))) == "false")
        }
    }

    @Test func anUnknownFunctionGetsNoAnswer() {
        var proof = Self.proof(Self.hq, Self.branch)
        proof.prf = Transform(.prf, 999)
        let store = CredentialStore([Self.secret("ike-1", "a key")])
        #expect(Self.verdict(store.answer(.prove(proof))) == "nothing")
        #expect(Self.verdict(store.answer(.verify(proof, received: []))) == "nothing")
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var ours: String
        var theirs: [UInt8]
        var verdict: String
        var testDescription: String { verdict }

        init(_ ours: String, _ theirs: String, _ difference: NearMiss.Difference) {
            self.init(ours, Array(theirs.utf8), difference)
        }

        init(_ ours: String, _ theirs: [UInt8], _ difference: NearMiss.Difference) {
            self.ours = ours
            self.theirs = theirs
            verdict = "near ike-1 \(difference)"
        }
    }

    static let cases: [Case] = [
        Case("secret", "secret\n", .has(.newline)), Case("secret", "secret\r", .has(.carriageReturn)),
        Case("secret", "secret\r\n", .has(.carriageReturnAndNewline)), Case("secret", "secret ", .has(.space)),
        Case("secret", "secret\t", .has(.tab)), Case("secret\n", "secret", .lacks(.newline)),
        Case("secret ", "secret", .lacks(.space)), Case("secret\r\n", "secret", .lacks(.carriageReturnAndNewline)),
        Case("secret", "\"secret\"", .hasQuotes), Case("secret", "'secret'", .hasQuotes),
        Case("\"secret\"", "secret", .lacksQuotes),
        // Octets that we read from 0x… or 0s…, and the peer took as they stand there.
        Case("abc", "616263", .takesAsText(.hexadecimal)), Case("abc", "0x616263", .takesAsText(.hexadecimal)),
        Case("jkl", "6A6B6C", .takesAsText(.hexadecimal)), Case("jkl", "0x6A6B6C", .takesAsText(.hexadecimal)),
        Case("abcd", "YWJjZA==", .takesAsText(.base64)), Case("abcd", "YWJjZA", .takesAsText(.base64)),
        Case("abcd", "0sYWJjZA==", .takesAsText(.base64)), Case("??>", "Pz8+", .takesAsText(.base64)),
        // Text of ours that the peer reads as digits.
        Case("00ff10", [0, 0xff, 0x10], .reads(.hexadecimal)),
        Case("ABCDEF", [0xab, 0xcd, 0xef], .reads(.hexadecimal)),
        Case("YWJjZA==", "abcd", .reads(.base64)), Case("YWJjZA", "abcd", .reads(.base64)),
        Case("Pz8+/w==", [0x3f, 0x3f, 0x3e, 0xff], .reads(.base64)),
    ]

    @Test(arguments: cases) func theUsualMistakesAreRecognised(_ sample: Case) {
        #expect(Self.verdict(ours: [Self.secret("ike-1", sample.ours)], theirs: sample.theirs) == sample.verdict)
    }

    @Test func anotherPeersSecretIsRecognised() {
        let ours = [
            Self.secret("ike-branch", "the right one", [Self.branch]),
            Self.secret("ike-branch2", "the wrong one", [.fqdn("branch2.example")]),
        ]
        #expect(Self.verdict(ours: ours, theirs: Array("the wrong one".utf8)) == "near ike-branch2 usesItForUs")
        #expect(Self.verdict(ours: ours, theirs: Array("a third".utf8)) == "false")
    }

    /// However many secrets there are, one false proof costs a bounded number of tries.
    @Test func theSearchIsBounded() {
        let many = (0..<500).map { Self.secret("ike-\($0)", "secret \($0)", [.fqdn("\($0).example")]) }
        let own = Self.secret("ike-own", "the right one", [Self.branch])
        #expect(NearMissSearch.candidates(own, others: many).count < NearMissSearch.limit + 40)
    }

    @Test func readingsOfASecretAreExact() {
        for count in 0..<20 {
            let octets = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 37 + count) }
            let secret = SecretBytes(octets)
            let upper = SecretText.hexadecimal(secret, isUpper: true).exposedBytes()
            #expect(String(decoding: upper, as: UTF8.self) == Hex.encode(octets).uppercased())
            guard count > 0 else { continue }
            #expect(SecretText.readHexadecimal(SecretBytes(upper)) == secret)
            for isPadded in [true, false] {
                let text = SecretText.base64(secret, isPadded: isPadded)
                #expect(text.count == (isPadded ? (count + 2) / 3 * 4 : (count * 8 + 5) / 6))
                #expect(SecretText.readBase64(text) == secret)
            }
        }
        for text in ["", "=", "==", "a", "abcde", "ab=c", "a b c d", "ab!d", "abcd===="] {
            #expect(SecretText.readBase64(SecretBytes(Array(text.utf8))) == nil, "\(text)")
        }
        for text in ["", "a", "0g", "0x61", "61 62"] {
            #expect(SecretText.readHexadecimal(SecretBytes(Array(text.utf8))) == nil, "\(text)")
        }
    }
}
