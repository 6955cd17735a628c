import Foundation
import IPsecCrypto
import Testing
import WireFormat

@testable import Trust

/// Signatures that others made, true and false (Wycheproof; RFC 4754, 8032).
struct SignatureVectorTests {
    @Test("Wycheproof: what is valid is accepted, what is not is refused", arguments: SignatureVectors.files)
    func wycheproof(_ url: URL) throws {
        let vectors = try SignatureVectors.load(url)
        var run = 0
        for group in vectors.testGroups {
            guard let scheme = group.scheme(vectors.schema) else { continue }
            let key = try PublicKey(file: try #require(Hex.decode(group.publicKeyDer)))
            for test in group.tests {
                let accepted = key.accepts(
                    try #require(Hex.decode(test.sig)), over: try #require(Hex.decode(test.msg)), scheme)
                run += 1
                if test.result == "acceptable" { continue }
                #expect(accepted == (test.result == "valid"), "\(url.lastPathComponent) \(test.tcId): \(test.comment)")
            }
        }
        #expect(run >= 10 || url.lastPathComponent.contains("misc"))
    }

    /// RFC 4754 §8: the key, the text "abc", r and s.
    @Test("RFC 4754 §8", arguments: Self.rfc4754)
    func ecdsa(_ vector: ECDSAVector) throws {
        let key = try PublicKey(file: try #require(Hex.decode(vector.prefix + vector.point)))
        let signature = try #require(Hex.decode(vector.signature))
        #expect(key.accepts(signature, over: Array("abc".utf8), .ecdsaPlain(vector.hash)))
        #expect(!key.accepts(signature, over: Array("abd".utf8), .ecdsaPlain(vector.hash)))
        #expect(!key.accepts(Array(signature.dropLast()), over: Array("abc".utf8), .ecdsaPlain(vector.hash)))
    }

    struct ECDSAVector: Sendable {
        let hash: HashFunction
        /// The SubjectPublicKeyInfo before the coordinates.
        let prefix: String
        let point: String
        let signature: String
    }

    static let rfc4754 = [
        ECDSAVector(
            hash: .sha256, prefix: "3059301306072a8648ce3d020106082a8648ce3d03010703420004",
            point: "2442a5cc0ecd015fa3ca31dc8e2bbc70bf42d60cbca20085e0822cb04235e9706fc98bd7e50211a4a27102fa"
                + "3549df79ebcb4bf246b80945cddfe7d509bbfd7d",
            signature: "cb28e0999b9c7715fd0a80d8e47a77079716cbbf917dd72e97566ea1c066957c86fa3bb4e26cad5bf90b7f81"
                + "899256ce7594bb1ea0c89212748bff3b3d5b0315"),
        ECDSAVector(
            hash: .sha384, prefix: "3076301006072a8648ce3d020106052b8104002203620004",
            point: "96281bf8dd5e0525ca049c048d345d3082968d10fedf5c5aca0c64e6465a97ea5ce10c9dfec2179741571072"
                + "1f437922447688ba94708eb6e2e4d59f6ab6d7edff9301d249fe49c33096655f5d502fad3d383b91c5e7edaa"
                + "2b714cc99d5743ca",
            signature: "fb017b914e29149432d8bac29a514640b46f53ddab2c69948084e2930f1c8f7e08e07c9c63f2d21a07dcb56a"
                + "6af56eb3b263a1305e057f984d38726a1b46874109f417bca112674c528262a40a629af1cbb9f516ce0fa7d2"
                + "ff630863a00e8b9f"),
        ECDSAVector(
            hash: .sha512, prefix: "30819b301006072a8648ce3d020106052b810400230381860004",
            point: "0151518f1af0f563517edd5485190df95a4bf57b5cba4cf2a9a3f6474725a35f7afe0a6ddeb8bedbcd6a197e"
                + "592d40188901cecd650699c9b5e456aea5add19052a8006f3b142ea1bfff7e2837ad44c9e4ff6d2d34c73184"
                + "bbad90026dd5e6e85317d9df45cad7803c6c20035b2f3ff63aff4e1ba64d1c077577da3f4286c58f0aeae643",
            signature: "0154fd3836af92d0dca57dd5341d3053988534fde8318fc6aaaab68e2e6f4339b19f2f281a7e0b22c269d93c"
                + "f8794a9278880ed7dbb8d9362caeacee544320552251017705a7030290d1ceb605a9a1bb03ff9cdd521e87a6"
                + "96ec926c8c10c8362df4975367101f67d1cf9bccbf2f3d239534fa509e70aac851ae01aac68d62f866472660"),
    ]

    @Test("RFC 8032 §7.1 test 2, and that keys of ours make the same signature")
    func ed25519() throws {
        let pkcs8 =
            "302e020100300506032b657004220420"
            + "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
        let key = try PrivateKey(file: SecretBytes(try #require(Hex.decode(pkcs8))))
        let expected = try #require(
            Hex.decode(
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                    + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"))
        #expect(key.signature(over: [0x72], .eddsa) == expected)
        #expect(key.publicKey.accepts(expected, over: [0x72], .eddsa))
        #expect(!key.publicKey.accepts(expected, over: [0x73], .eddsa))
    }
}
