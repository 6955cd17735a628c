import Testing

@testable import IPsecCrypto

@Suite("AlgorithmRegistry")
struct AlgorithmRegistryTests {
    @Test(arguments: AlgorithmRegistry.algorithms)
    func isFoundByEveryName(algorithm: Algorithm) {
        #expect(AlgorithmRegistry.algorithm(for: algorithm.transform) == algorithm)
        for keyword in algorithm.keywords {
            #expect(AlgorithmRegistry.algorithm(named: keyword) == algorithm, "\(keyword)")
            #expect(keyword == keyword.lowercased())
            #expect(!keyword.contains("-"), "a keyword with a hyphen could not stand in a proposal")
        }
        #expect(algorithm.transform.description == algorithm.keyword)
        #expect(algorithm.transform.displayName == algorithm.displayName)
    }

    @Test func hasNoNameOrNumberTwice() {
        let keywords = AlgorithmRegistry.algorithms.flatMap(\.keywords)
        #expect(Set(keywords).count == keywords.count)
        let transforms = AlgorithmRegistry.algorithms.map(\.transform)
        #expect(Set(transforms).count == transforms.count)
    }

    /// Numbers of IANA's registry, and the names that swanctl prints, both written down here by hand.
    @Test(
        arguments: [
            ("aes128", 1, 12, 128, "AES_CBC-128"), ("aes256", 1, 12, 256, "AES_CBC-256"),
            ("aes192ctr", 1, 13, 192, "AES_CTR-192"), ("aes128ccm8", 1, 14, 128, "AES_CCM_8-128"),
            ("aes128ccm96", 1, 15, 128, "AES_CCM_12-128"), ("aes256ccm128", 1, 16, 256, "AES_CCM_16-256"),
            ("aes128gcm64", 1, 18, 128, "AES_GCM_8-128"), ("aes192gcm12", 1, 19, 192, "AES_GCM_12-192"),
            ("aes128gcm", 1, 20, 128, "AES_GCM_16-128"), ("aes128gcm16", 1, 20, 128, "AES_GCM_16-128"),
            ("aes256gcm128", 1, 20, 256, "AES_GCM_16-256"), ("chacha20poly1305", 1, 28, 0, "CHACHA20_POLY1305"),
            ("null", 1, 11, 0, "NULL"), ("prfsha1", 2, 2, 0, "PRF_HMAC_SHA1"),
            ("prfsha256", 2, 5, 0, "PRF_HMAC_SHA2_256"), ("prfsha384", 2, 6, 0, "PRF_HMAC_SHA2_384"),
            ("prfsha512", 2, 7, 0, "PRF_HMAC_SHA2_512"), ("sha1", 3, 2, 0, "HMAC_SHA1_96"),
            ("sha256", 3, 12, 0, "HMAC_SHA2_256_128"), ("sha2_256", 3, 12, 0, "HMAC_SHA2_256_128"),
            ("sha384", 3, 13, 0, "HMAC_SHA2_384_192"), ("sha512", 3, 14, 0, "HMAC_SHA2_512_256"),
            ("modp2048", 4, 14, 0, "MODP_2048"), ("modp3072", 4, 15, 0, "MODP_3072"),
            ("modp4096", 4, 16, 0, "MODP_4096"), ("modp6144", 4, 17, 0, "MODP_6144"),
            ("modp8192", 4, 18, 0, "MODP_8192"), ("ecp256", 4, 19, 0, "ECP_256"), ("ecp384", 4, 20, 0, "ECP_384"),
            ("ecp521", 4, 21, 0, "ECP_521"), ("x25519", 4, 31, 0, "CURVE_25519"),
            ("curve25519", 4, 31, 0, "CURVE_25519"), ("none", 4, 0, 0, "NONE"), ("noesn", 5, 0, 0, "NO_EXT_SEQ"),
            ("esn", 5, 1, 0, "EXT_SEQ"),
        ] as [(String, UInt8, UInt16, UInt16, String)])
    func hasTheNumbersOfIANA(keyword: String, type: UInt8, id: UInt16, bits: UInt16, name: String) throws {
        let transform = try #require(AlgorithmRegistry.algorithm(named: keyword)).transform
        #expect(transform == Transform(TransformType(rawValue: type), id, keyBits: bits == 0 ? nil : bits))
        #expect(transform.displayNameWithKeyLength == name)
    }

    @Test func knowsEveryNamedConstant() {
        let constants: [(Transform, String)] = [
            (.aes128, "aes128"), (.aes256, "aes256"), (.aes128gcm16, "aes128gcm16"), (.aes256gcm16, "aes256gcm16"),
            (.chacha20poly1305, "chacha20poly1305"), (.nullEncryption, "null"), (.sha1, "sha1"), (.sha256, "sha256"),
            (.sha384, "sha384"), (.sha512, "sha512"), (.prfsha1, "prfsha1"), (.prfsha256, "prfsha256"),
            (.prfsha384, "prfsha384"), (.prfsha512, "prfsha512"), (.x25519, "x25519"), (.ecp256, "ecp256"),
            (.ecp384, "ecp384"), (.ecp521, "ecp521"), (.modp2048, "modp2048"), (.modp3072, "modp3072"),
            (.modp4096, "modp4096"), (.noKeyExchange, "none"), (.esn, "esn"), (.noesn, "noesn"),
        ]
        for (transform, keyword) in constants { #expect(transform.description == keyword) }
    }

    @Test func showsWhatItDoesNotHaveByNumber() {
        #expect(Transform(.encryption, 23, keyBits: 192).description == "ENCR#23_192")
        #expect(Transform(.prf, 4).displayName == "PRF#4")
        #expect(Transform(TransformType(rawValue: 9), 3).description == "TYPE9#3")
        #expect(Transform(.encryption, 12).description == "ENCR#12", "AES without a key length is no algorithm")
        #expect(AlgorithmRegistry.specification(of: Transform(.encryption, 20, keyBits: 512)) == nil)
    }

    @Test func libcryptoHasEveryAlgorithm() {
        for algorithm in AlgorithmRegistry.algorithms {
            switch algorithm.specification {
            case .cipher(let cipher):
                #expect(cipher.mode == .null || LibraryAlgorithms.cipher(cipher.library) != nil, "\(algorithm.keyword)")
            case .aead(let aead): #expect(LibraryAlgorithms.cipher(aead.library) != nil, "\(algorithm.keyword)")
            case .integrity(let mac): #expect(LibraryAlgorithms.digest(mac.hash) != nil)
            case .prf(let prf): #expect(LibraryAlgorithms.digest(prf.hash) != nil)
            case .keyExchange, .sequenceNumbers: break
            }
        }
    }

    @Test func weakAlgorithmsAreNeverDefaults() {
        let weak = AlgorithmRegistry.algorithms.filter(\.explicitOnly)
        #expect(weak.map(\.keyword) == ["null"])
        #expect(weak.allSatisfy { $0.weakness?.isEmpty == false })
        for securityProtocol in [SecurityProtocol.ike, .esp] {
            for transform in Proposal.defaults(for: securityProtocol).flatMap(\.transforms) {
                let algorithm = AlgorithmRegistry.algorithm(for: transform)
                #expect(algorithm?.explicitOnly == false, "\(transform)")
                #expect(algorithm?.uses.contains(securityProtocol == .ike ? .ike : .esp) == true)
            }
        }
    }
}
