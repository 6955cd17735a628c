import Clockwork
import Testing
import WireFormat

@testable import IPsecCrypto

@Suite("KeyEncapsulation")
struct KeyEncapsulationTests {
    static let methods = [Transform(.keyExchange, 36), Transform(.keyExchange, 37)]

    struct Case: Decodable {
        let id: Int
        let size: Int
        let result: String
        let seed: HexBytes
        let publicKey: HexBytes
        let ciphertext: HexBytes
        let secret: HexBytes
    }

    struct KeyCase: Decodable {
        let id: Int
        let publicKey: HexBytes
    }

    private func method(_ size: Int) -> Transform { Self.methods[size == 768 ? 0 : 1] }

    @Test func wycheproof() throws {
        let vectors = try VectorFiles.load("wycheproof_mlkem_subset", as: Case.self)
        var opened = 0
        for vector in vectors {
            do throws(KeyAgreementError) {
                let key = try KeyEncapsulation(method: method(vector.size), seed: SecretBytes(vector.seed.bytes))
                let secret = try key.decapsulate(vector.ciphertext.bytes)
                #expect(key.publicKey == vector.publicKey.bytes, "\(vector.size) \(vector.id)")
                #expect(secret.exposedBytes() == vector.secret.bytes, "\(vector.size) \(vector.id)")
                #expect(vector.result == "valid", "\(vector.size) \(vector.id)")
                opened += 1
            } catch {
                #expect(vector.result == "invalid", "\(vector.size) \(vector.id): \(error)")
            }
        }
        #expect(opened == 18 && vectors.count > opened)
    }

    /// Coefficients above the modulus, and keys of another length (FIPS 203 §7.2).
    @Test func wycheproofKeysThatAreNone() throws {
        let vectors = try VectorFiles.load("wycheproof_mlkem_keys_subset", as: KeyCase.self)
        #expect(vectors.count == 7)
        for vector in vectors {
            #expect(throws: KeyAgreementError.self, "\(vector.id)") {
                try KeyEncapsulation.encapsulate(method(768), to: vector.publicKey.bytes)
            }
        }
    }

    @Test(arguments: methods) func bothEndsHaveTheSameSecretAndNobodyElse(method: Transform) throws {
        var entropy = SeededEntropy(seed: 7)
        let key = try KeyEncapsulation(method: method, entropy: &entropy)
        let other = try KeyEncapsulation(method: method, entropy: &entropy)
        #expect(key.publicKey.count == KeyEncapsulation.publicKeyLength(of: method))
        let made = try KeyEncapsulation.encapsulate(method, to: key.publicKey)
        #expect(try key.decapsulate(made.ciphertext) == made.secret)
        #expect(made.secret.count == 32)
        #expect(try other.decapsulate(made.ciphertext) != made.secret)
        var damaged = made.ciphertext
        damaged[5] ^= 1
        #expect(try key.decapsulate(damaged) != made.secret)
        #expect(throws: KeyAgreementError.self) { try key.decapsulate(Array(made.ciphertext.dropLast())) }
        #expect(throws: KeyAgreementError.self) { try KeyEncapsulation.encapsulate(method, to: [1, 2, 3]) }
        // Chance is the caller's: the same seed, the same key.
        var again = SeededEntropy(seed: 7)
        #expect(try KeyEncapsulation(method: method, entropy: &again).publicKey == key.publicKey)
    }

    @Test func onlyEncapsulationsEncapsulate() {
        #expect(throws: KeyAgreementError.unknownGroup(.x25519)) {
            var entropy = SeededEntropy(seed: 1)
            _ = try KeyEncapsulation(method: .x25519, entropy: &entropy)
        }
        for method in Self.methods {
            #expect(throws: KeyAgreementError.unknownGroup(method)) {
                var entropy = SeededEntropy(seed: 1)
                _ = try KeyAgreement(group: method, entropy: &entropy)
            }
        }
    }
}

/// Proposals with additional key exchanges (RFC 9370).
@Suite struct AdditionalKeyExchangeTests {
    private func parse(_ text: String, _ use: SecurityProtocol = .ike) throws -> Proposal {
        try Proposal(parsing: text, for: use)
    }

    @Test(
        arguments: [
            "aes256gcm16-prfsha384-ecp384-ke1_mlkem768", "aes128gcm16-prfsha256-x25519-ke1_mlkem1024-ke2_x448",
            "aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke1_none",
            "aes128gcm16-prfsha256-x25519-ke3_mlkem768-ke7_ecp521",
        ])
    func proposalsComeBackAsTheyWereWritten(text: String) throws {
        #expect(try parse(text).description == text)
    }

    @Test func anyOrderOfWordsMeansTheSame() throws {
        let proposal = try parse("aes128gcm16-ke2_x448-prfsha256-ke1_mlkem768-x25519")
        #expect(proposal.description == "aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke2_x448")
        #expect(proposal.transforms(of: TransformType(rawValue: 6)) == [Transform(TransformType(rawValue: 6), 36)])
        #expect(proposal.transforms(of: TransformType(rawValue: 7)) == [Transform(TransformType(rawValue: 7), 32)])
    }

    @Test(
        arguments: [
            ("aes128gcm16-prfsha256-x25519-mlkem768", ProposalSyntaxError.Problem.onlyAdditional),
            ("aes128gcm16-prfsha256-x25519-ke1_sha256", .notAdditional),
            ("aes128gcm16-prfsha256-x25519-ke8_mlkem768", .unknownWord),
            ("aes128gcm16-prfsha256-x25519-ke1_mlkem786", .unknownWord),
            ("aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke1_mlkem768", .repeated),
            ("aes128gcm16-prfsha256-ke1_mlkem768", .keyExchangeMissing),
        ])
    func mistakes(text: String, problem: ProposalSyntaxError.Problem) {
        #expect { try parse(text) } throws: { ($0 as? ProposalSyntaxError)?.problem == problem }
    }

    @Test func aChildNeedsAFirstKeyExchangeToo() {
        #expect { try parse("aes128gcm16-ke1_mlkem768", .esp) } throws: {
            ($0 as? ProposalSyntaxError)?.problem == .keyExchangeBesideMissing
        }
        #expect { try parse("aes128gcm16-none-ke1_mlkem768", .esp) } throws: {
            ($0 as? ProposalSyntaxError)?.problem == .keyExchangeBesideMissing
        }
    }

    @Test func whatBothHaveIsChosen() throws {
        let ours = try parse("aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke1_none")
        let hybrid = try parse("aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke2_none")
        let plain = try parse("aes128gcm16-prfsha256-x25519")
        let strict = try parse("aes128gcm16-prfsha256-x25519-ke1_mlkem768")
        #expect(ours.chosen(from: hybrid)?.additionalKeyExchanges.map(\.id) == [36])
        #expect(ours.chosen(from: plain)?.additionalKeyExchanges == [])
        #expect(strict.chosen(from: plain) == nil && plain.chosen(from: strict) == nil)
        #expect(ours.chosen(from: strict).map { strict.allows(answer: $0) } == true)
    }

    @Test func noMethodIsUsedTwice() throws {
        let ours = try parse("aes128gcm16-prfsha256-x25519-ke1_x25519-ke1_x448-ke2_x448-ke2_ecp384")
        let chosen = try #require(ours.chosen(from: ours))
        #expect(chosen.first(.keyExchange) == .x25519)
        #expect(chosen.additionalKeyExchanges.map(\.id) == [32, 20])
        let same = try parse("aes128gcm16-prfsha256-x25519-ke1_x25519")
        #expect(same.chosen(from: same) == nil)
    }
}
