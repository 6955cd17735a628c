import Clockwork
import Testing
import WireFormat

@testable import IPsecCrypto

@Suite("HMAC and digests")
struct HMACTests {
    struct Case: Decodable {
        let id: Int
        let result: String
        let tagSize: Int
        let key: HexBytes
        let msg: HexBytes
        let tag: HexBytes
    }

    @Test(
        arguments: [
            ("sha1", HashFunction.sha1, 170), ("sha256", .sha256, 174), ("sha384", .sha384, 174),
            ("sha512", .sha512, 174),
        ])
    func wycheproof(name: String, hash: HashFunction, count: Int) throws {
        let vectors = try VectorFiles.load("wycheproof_hmac_\(name)", as: Case.self)
        #expect(vectors.count == count)
        for vector in vectors {
            let key = SecretBytes(vector.key.bytes)
            let tag = HMAC.compute(hash, key: key, [vector.msg.bytes]).prefix(vector.tagSize / 8)
            #expect((Array(tag) == vector.tag.bytes) == (vector.result == "valid"), "\(name) \(vector.id)")
            #expect(
                HMAC.verify(vector.tag.bytes, hash, key: key, [vector.msg.bytes]) == (vector.result == "valid"),
                "\(name) \(vector.id)")
        }
    }

    /// RFC 4231 §4; case 5 is truncated to 128 bits.
    @Test func rfc4231() throws {
        struct Vector: Decodable {
            let key: HexBytes
            let msg: HexBytes
            let sha256: HexBytes
            let sha384: HexBytes
            let sha512: HexBytes
        }
        let vectors = try VectorFiles.load("rfc4231_hmac", as: Vector.self)
        #expect(vectors.count == 7)
        for vector in vectors {
            let key = SecretBytes(vector.key.bytes)
            for (hash, prf, expected) in [
                (HashFunction.sha256, Transform.prfsha256, vector.sha256), (.sha384, .prfsha384, vector.sha384),
                (.sha512, .prfsha512, vector.sha512),
            ] {
                // In pieces as well as whole.
                let pieces = vector.msg.bytes.map { [$0] }
                #expect(Array(HMAC.compute(hash, key: key, pieces).prefix(expected.bytes.count)) == expected.bytes)
                let output = try #require(PRF(prf)).compute(key: key, vector.msg.bytes)
                #expect(Array(output.exposedBytes().prefix(expected.bytes.count)) == expected.bytes)
            }
        }
    }

    @Test func refusesTagsThatAreTooShortOrTooLong() {
        let key = SecretBytes([1, 2, 3])
        let tag = HMAC.sha256(key: key, [[4]])
        #expect(HMAC.verify(tag, .sha256, key: key, [[4]]))
        #expect(HMAC.verify(Array(tag.prefix(8)), .sha256, key: key, [[4]]))
        #expect(!HMAC.verify(Array(tag.prefix(7)), .sha256, key: key, [[4]]))
        #expect(!HMAC.verify([], .sha256, key: key, [[4]]))
        #expect(!HMAC.verify(tag + [0], .sha256, key: key, [[4]]))
    }

    /// FIPS 180-4's own examples, `abc` and the empty message.
    @Test func digests() {
        let abc = [Array("ab".utf8), [], Array("c".utf8)]
        #expect(Hex.encode(Digest.sha1(abc)) == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(
            Hex.encode(Digest.sha256(abc)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(Hex.encode(Digest.sha384(abc)).hasPrefix("cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"))
        #expect(Hex.encode(Digest.sha512(abc)).hasPrefix("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea2"))
        #expect(Hex.encode(Digest.sha1([])) == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
        #expect(Digest.sha512([]).count == 64)
    }

    @Test func systemEntropyFillsAndNeverRepeats() {
        var entropy = SystemEntropy()
        let first = entropy.bytes(64)
        let second = entropy.bytes(64)
        #expect(first != second)
        // 64 octets of one value: never.
        #expect(Set(first).count > 16)
        #expect(entropy.bytes(0) == [])
    }
}
