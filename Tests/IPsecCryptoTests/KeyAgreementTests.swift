import Clockwork
import Testing
import WireFormat

@testable import IPsecCrypto

@Suite("KeyAgreement")
struct KeyAgreementTests {
    static let groups: [Transform] = AlgorithmRegistry.algorithms.map(\.transform).filter {
        $0.type == .keyExchange && $0 != .noKeyExchange && !KeyEncapsulation.isEncapsulation($0)
    }

    struct Case: Decodable {
        let id: Int
        let result: String
        let `public`: HexBytes
        let `private`: String
        let shared: HexBytes
    }

    private func secret(
        _ group: Transform, _ privateValue: [UInt8], _ peer: [UInt8]
    ) throws(KeyAgreementError) -> [UInt8] {
        let agreement = try KeyAgreement(group: group, privateValue: SecretBytes(privateValue))
        return try agreement.sharedSecret(with: peer).exposedBytes()
    }

    /// The private value of a vector, a hexadecimal number of any length, in the group's length.
    private func scalar(_ text: String, _ length: Int) throws -> [UInt8] {
        let bytes = try #require(Hex.decode(text.count % 2 == 0 ? text : "0" + text))
        let trimmed = Array(bytes.drop { $0 == 0 })
        return [UInt8](repeating: 0, count: max(0, length - trimmed.count)) + trimmed
    }

    /// IKE's points are x and y alone: the vectors' leading octet 4 is taken off, other encodings stay and are refused.
    @Test(
        arguments: [
            ("secp256r1", Transform.ecp256, 355, 330), ("secp384r1", .ecp384, 790, 771),
            ("secp521r1", .ecp521, 661, 632),
        ])
    func wycheproofCurves(name: String, group: Transform, count: Int, agreed: Int) throws {
        let length = try #require(KeyAgreement.publicValueLength(of: group))
        var successes = 0
        let vectors = try VectorFiles.load("wycheproof_ecdh_\(name)_ecpoint", as: Case.self)
        for vector in vectors {
            let encoded = vector.public.bytes
            let peer = encoded.first == 4 ? Array(encoded.dropFirst()) : encoded
            let ours = try scalar(vector.private, length / 2)
            do throws(KeyAgreementError) {
                let shared = try secret(group, ours, peer)
                #expect(shared == vector.shared.bytes, "\(name) \(vector.id)")
                #expect(vector.result == "valid", "\(name) \(vector.id)")
                successes += 1
            } catch {
                #expect(vector.result != "valid", "\(name) \(vector.id): \(error)")
            }
        }
        #expect(vectors.count == count)
        #expect(successes == agreed)
    }

    /// Brainpool's curves; from the larger ones' files valid cases were left out to keep them small.
    @Test(
        arguments: [
            ("brainpoolP256r1", UInt16(28), 32, 550), ("brainpoolP384r1", 29, 48, 354),
            ("brainpoolP512r1", 30, 64, 287),
        ])
    func wycheproofBrainpool(name: String, id: UInt16, length: Int, count: Int) throws {
        let vectors = try VectorFiles.load("wycheproof_ecdh_\(name)", as: Case.self)
        #expect(vectors.count == count)
        var agreed = 0
        for vector in vectors {
            let ours = try scalar(vector.private, length)
            do throws(KeyAgreementError) {
                let shared = try secret(Transform(.keyExchange, id), ours, vector.public.bytes)
                #expect(shared == vector.shared.bytes, "\(name) \(vector.id)")
                #expect(vector.result != "invalid", "\(name) \(vector.id)")
                agreed += 1
            } catch {
                #expect(vector.result != "valid", "\(name) \(vector.id): \(error)")
            }
        }
        #expect(agreed >= vectors.count { $0.result == "valid" })
        #expect(vectors.count { $0.result == "invalid" } == 18)
    }

    /// Values that are acceptable to a library are so to us, but for those whose secret is zero.
    @Test(arguments: [("x25519", UInt16(31), 518), ("x448", 32, 510)])
    func wycheproofMontgomery(name: String, id: UInt16, count: Int) throws {
        let group = Transform(.keyExchange, id)
        let vectors = try VectorFiles.load("wycheproof_\(name)", as: Case.self)
        #expect(vectors.count == count)
        var refused = 0
        for vector in vectors {
            let zero = vector.shared.bytes.allSatisfy { $0 == 0 }
            do throws(KeyAgreementError) {
                let shared = try secret(group, Hex.decode(vector.private) ?? [], vector.public.bytes)
                #expect(shared == vector.shared.bytes, "\(vector.id)")
                #expect(!zero, "\(vector.id)")
            } catch {
                switch error {
                case .publicValueLength: #expect(vector.public.bytes.count != 56 || group == .x25519)
                default: #expect(error == .publicValueRefused(group))
                }
                #expect(zero, "\(vector.id): \(error)")
                refused += 1
            }
        }
        #expect(refused == vectors.count { $0.shared.bytes.allSatisfy { $0 == 0 } })
        #expect(refused >= 15)
    }

    /// RFC 5903 §8: both sides' KE payloads and the shared secret.
    @Test func rfc5903() throws {
        struct Vector: Decodable {
            let bits: Int
            let i: HexBytes
            let gi: HexBytes
            let r: HexBytes
            let gr: HexBytes
            let shared: HexBytes
        }
        let vectors = try VectorFiles.load("rfc5903_ecp", as: Vector.self)
        #expect(vectors.map(\.bits) == [256, 384, 521])
        for (vector, group) in zip(vectors, [Transform.ecp256, .ecp384, .ecp521]) {
            let initiator = try KeyAgreement(group: group, privateValue: SecretBytes(vector.i.bytes))
            let responder = try KeyAgreement(group: group, privateValue: SecretBytes(vector.r.bytes))
            #expect(initiator.publicValue == vector.gi.bytes)
            #expect(responder.publicValue == vector.gr.bytes)
            #expect(try initiator.sharedSecret(with: vector.gr.bytes).exposedBytes() == vector.shared.bytes)
            #expect(try responder.sharedSecret(with: vector.gi.bytes).exposedBytes() == vector.shared.bytes)
        }
    }

    /// RFC 7748 §5.2, §6.1 and §6.2.
    @Test(arguments: [("rfc7748_x25519", UInt16(31)), ("rfc7748_x448", 32)])
    func rfc7748(file: String, id: UInt16) throws {
        struct Vector: Decodable {
            let key: HexBytes
            let `public`: HexBytes
            let own: HexBytes?
            let shared: HexBytes
        }
        let vectors = try VectorFiles.load(file, as: Vector.self)
        #expect(vectors.count == 4)
        for vector in vectors {
            let agreement = try KeyAgreement(
                group: Transform(.keyExchange, id), privateValue: SecretBytes(vector.key.bytes))
            if let own = vector.own { #expect(agreement.publicValue == own.bytes) }
            #expect(try agreement.sharedSecret(with: vector.public.bytes).exposedBytes() == vector.shared.bytes)
        }
    }

    @Test func rfc7748ThousandTimes() throws {
        var key: [UInt8] = [9] + [UInt8](repeating: 0, count: 31)
        var point = key
        for round in 1...1000 {
            (key, point) = (try secret(.x25519, key, point), key)
            if round == 1 {
                #expect(Hex.encode(key) == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
            }
        }
        #expect(Hex.encode(key) == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")
    }

    @Test(arguments: groups)
    func bothSidesAgreeAndASeedRepeats(group: Transform) throws {
        var entropy = SeededEntropy(seed: 1)
        let left = try KeyAgreement(group: group, entropy: &entropy)
        let right = try KeyAgreement(group: group, entropy: &entropy)
        #expect(left.publicValue != right.publicValue)
        #expect(left.publicValue.count == KeyAgreement.publicValueLength(of: group))
        let secret = try left.sharedSecret(with: right.publicValue)
        #expect(secret == (try right.sharedSecret(with: left.publicValue)))
        #expect(secret.exposedBytes().contains { $0 != 0 })
        var again = SeededEntropy(seed: 1)
        #expect(try KeyAgreement(group: group, entropy: &again).publicValue == left.publicValue)
        var other = SeededEntropy(seed: 2)
        #expect(try KeyAgreement(group: group, entropy: &other).publicValue != left.publicValue)
    }

    @Test(arguments: groups)
    func refusesPublicValuesOfAnotherLength(group: Transform) throws {
        var entropy = SeededEntropy(seed: 3)
        let agreement = try KeyAgreement(group: group, entropy: &entropy)
        let length = agreement.publicValue.count
        for wrong in [0, 1, length - 1, length + 1] {
            #expect(throws: KeyAgreementError.publicValueLength(group, expected: length, had: wrong)) {
                try agreement.sharedSecret(with: [UInt8](repeating: 3, count: wrong))
            }
        }
    }

    /// 0, 1, p-1, p and what lies above: an exponentiation of these tells nothing or leaks the exponent's parity.
    @Test(arguments: groups.filter { (14...18).contains($0.id) || [1, 2, 5].contains($0.id) })
    func refusesNumbersOutOfRange(group: Transform) throws {
        var entropy = SeededEntropy(seed: 4)
        let agreement = try KeyAgreement(group: group, entropy: &entropy)
        let length = agreement.publicValue.count
        let zeros = [UInt8](repeating: 0, count: length)
        // Every prime of RFC 2409 and RFC 3526 begins and ends with 64 bits of one: p-1 is its predecessor in the last octet.
        let prime = try #require(modulus(of: group))
        #expect(prime.prefix(8).allSatisfy { $0 == 0xff } && prime.suffix(8).allSatisfy { $0 == 0xff })
        for refused in [
            zeros, Array(zeros.dropLast()) + [1], Array(prime.dropLast()) + [0xfe], prime,
            [UInt8](repeating: 0xff, count: length),
        ] {
            #expect(throws: KeyAgreementError.publicValueRefused(group)) {
                try agreement.sharedSecret(with: refused)
            }
        }
        for allowed in [Array(zeros.dropLast()) + [2], Array(prime.dropLast()) + [0xfd]] {
            #expect(try agreement.sharedSecret(with: allowed).count == length)
        }
    }

    /// SHA-256 of the primes as RFC 3526 prints them.
    @Test(
        arguments: [
            (UInt16(14), "d66436f79bbd6b2e38c0ffbd079be904d2641415e2e67140e09448be9a60890e"),
            (UInt16(15), "48cf8b092fbce4359d9871abf74f98e25b6163379eaa15cd9087e800c6d1c55c"),
            (UInt16(16), "4ee95187682bcb230ad26a95205f6920e84708f6251b3894329b09ec23919e33"),
            (UInt16(17), "d1bfe6d0925ce7e4da262b62861514a7755e35831e429f343e7b864848657efd"),
            (UInt16(18), "39ab4feab950a3128fb71accb9fc3965d857012e081998a85996e3ea8b3c3bcf"),
        ])
    func hasThePrimesOfRFC3526(id: UInt16, digest: String) throws {
        let prime = try #require(modulus(of: Transform(.keyExchange, id)))
        #expect(Hex.encode(Digest.sha256([prime])) == digest)
    }

    /// With a small exponent every number is known beforehand: 2³ = 8, 4³ = 64; both padded to the modulus.
    @Test(arguments: groups.filter { (14...18).contains($0.id) || [1, 2, 5].contains($0.id) })
    func padsNumbersToTheModulus(group: Transform) throws {
        let agreement = try KeyAgreement(group: group, privateValue: SecretBytes([3]))
        let zeros = [UInt8](repeating: 0, count: agreement.publicValue.count - 1)
        #expect(agreement.publicValue == zeros + [8])
        #expect(try agreement.sharedSecret(with: zeros + [4]).exposedBytes() == zeros + [64])
    }

    /// 2^x mod p with p read from libcrypto by way of the API: p = 2^(bits) - r is found by asking for 2^bits mod p.
    private func modulus(of group: Transform) -> [UInt8]? {
        guard let length = KeyAgreement.publicValueLength(of: group) else { return nil }
        let bits = length * 8
        let exponent: [UInt8] = [UInt8(bits >> 8), UInt8(bits & 255)]
        guard let agreement = try? KeyAgreement(group: group, privateValue: SecretBytes(exponent)) else { return nil }
        // 2^bits - p, subtracted from 2^bits: the two's complement.
        var result = agreement.publicValue.map { ~$0 }
        for index in result.indices.reversed() {
            let (sum, overflow) = result[index].addingReportingOverflow(1)
            result[index] = sum
            if !overflow { break }
        }
        return result
    }

    @Test(arguments: groups.filter { (19...21).contains($0.id) || (25...30).contains($0.id) })
    func refusesPointsOffTheCurve(group: Transform) throws {
        var entropy = SeededEntropy(seed: 5)
        let agreement = try KeyAgreement(group: group, entropy: &entropy)
        var point = try KeyAgreement(group: group, entropy: &entropy).publicValue
        point[point.count - 1] ^= 1
        for refused in [point, [UInt8](repeating: 0, count: point.count), [UInt8](repeating: 255, count: point.count)] {
            #expect(throws: KeyAgreementError.publicValueRefused(group)) {
                try agreement.sharedSecret(with: refused)
            }
        }
    }

    /// The strengths that SP 800-56A (revision 3, table 26) gives these groups; an exponent has twice as many bits, at least.
    @Test(arguments: [(14, 112), (15, 128), (16, 152), (17, 176), (18, 200)])
    func exponentsAreTwiceAsLongAsTheGroupIsStrong(group: UInt16, strength: Int) throws {
        let specification = AlgorithmRegistry.specification(of: Transform(.keyExchange, group))
        guard case .keyExchange(.modp(_, _, let octets)) = specification else {
            Issue.record("\(group) is no group of numbers")
            return
        }
        #expect((2 * strength...2 * strength + 80).contains(8 * octets))
    }

    /// A curve's scalar is drawn again until it lies below the order: zeros and ones are passed over.
    @Test func drawsAgainWhenOutOfRange() throws {
        struct Script: Entropy {
            var draws: [UInt8]
            mutating func fill(_ span: inout MutableSpan<UInt8>) {
                let value = draws.isEmpty ? 7 : draws.removeFirst()
                for index in span.indices { span[index] = value }
            }
        }
        for group in [Transform.ecp256, .ecp384, .ecp521] {
            var script = Script(draws: [0x00, 0xff, 0x11])
            var plain = Script(draws: [0x11])
            #expect(
                try KeyAgreement(group: group, entropy: &script).publicValue
                    == KeyAgreement(group: group, entropy: &plain).publicValue)
            #expect(script.draws.isEmpty)
        }
        var broken = Script(draws: [UInt8](repeating: 0, count: 1000))
        #expect(throws: KeyAgreementError.libraryRefused(.ecp256)) {
            try KeyAgreement(group: .ecp256, entropy: &broken)
        }
    }

    @Test func knowsItsGroups() {
        var entropy = SeededEntropy(seed: 6)
        #expect(KeyAgreement.publicValueLength(of: .modp2048) == 256)
        #expect(KeyAgreement.publicValueLength(of: .ecp521) == 132)
        #expect(KeyAgreement.publicValueLength(of: .noKeyExchange) == nil)
        #expect(KeyAgreement.publicValueLength(of: .sha256) == nil)
        for group in [Transform.noKeyExchange, Transform(.keyExchange, 3), .sha256] {
            #expect(throws: KeyAgreementError.unknownGroup(group)) {
                try KeyAgreement(group: group, entropy: &entropy)
            }
        }
    }
}
