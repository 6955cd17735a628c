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
            ("esn", 5, 1, 0, "EXT_SEQ"), ("des", 1, 2, 0, "DES_CBC"), ("3des", 1, 3, 0, "3DES_CBC"),
            ("cast128", 1, 6, 128, "CAST_CBC-128"), ("blowfish", 1, 7, 128, "BLOWFISH_CBC-128"),
            ("blowfish192", 1, 7, 192, "BLOWFISH_CBC-192"), ("blowfish256", 1, 7, 256, "BLOWFISH_CBC-256"),
            ("aes192gmac", 1, 21, 192, "NULL_AES_GMAC-192"), ("camellia", 1, 23, 128, "CAMELLIA_CBC-128"),
            ("camellia192", 1, 23, 192, "CAMELLIA_CBC-192"), ("camellia256ctr", 1, 24, 256, "CAMELLIA_CTR-256"),
            ("camellia128ccm64", 1, 25, 128, "CAMELLIA_CCM_8-128"),
            ("camellia192ccm12", 1, 26, 192, "CAMELLIA_CCM_12-192"),
            ("camellia256ccm128", 1, 27, 256, "CAMELLIA_CCM_16-256"),
            ("aes128ccm8iiv", 1, 29, 128, "AES_CCM_8_IIV-128"), ("aes256gcm16iiv", 1, 30, 256, "AES_GCM_16_IIV-256"),
            ("chacha20poly1305iiv", 1, 31, 0, "CHACHA20_POLY1305_IIV"), ("serpent", 1, 1026, 128, "SERPENT_CBC-128"),
            ("serpent256", 1, 1026, 256, "SERPENT_CBC-256"), ("twofish192", 1, 1027, 192, "TWOFISH_CBC-192"),
            ("prfmd5", 2, 1, 0, "PRF_HMAC_MD5"), ("prfaesxcbc", 2, 4, 0, "PRF_AES128_XCBC"),
            ("prfaescmac", 2, 8, 0, "PRF_AES128_CMAC"), ("md5", 3, 1, 0, "HMAC_MD5_96"),
            ("md5_128", 3, 6, 0, "HMAC_MD5_128"), ("sha", 3, 2, 0, "HMAC_SHA1_96"),
            ("sha1_160", 3, 7, 0, "HMAC_SHA1_160"), ("aesxcbc", 3, 5, 0, "AES_XCBC_96"),
            ("aescmac", 3, 8, 0, "AES_CMAC_96"), ("sha256_96", 3, 1026, 0, "HMAC_SHA2_256_96"),
            ("sha2_256_96", 3, 1026, 0, "HMAC_SHA2_256_96"), ("aes128gmac_ah", 3, 9, 0, "AES_128_GMAC"),
            ("aes256gmac_ah", 3, 11, 0, "AES_256_GMAC"), ("modp768", 4, 1, 0, "MODP_768"),
            ("modp1024", 4, 2, 0, "MODP_1024"), ("modp1536", 4, 5, 0, "MODP_1536"),
            ("modp1024s160", 4, 22, 0, "MODP_1024_160"), ("modp2048s224", 4, 23, 0, "MODP_2048_224"),
            ("modp2048s256", 4, 24, 0, "MODP_2048_256"), ("ecp192", 4, 25, 0, "ECP_192"),
            ("ecp224", 4, 26, 0, "ECP_224"), ("ecp224bp", 4, 27, 0, "ECP_224_BP"), ("ecp256bp", 4, 28, 0, "ECP_256_BP"),
            ("ecp384bp", 4, 29, 0, "ECP_384_BP"), ("ecp512bp", 4, 30, 0, "ECP_512_BP"),
            ("x448", 4, 32, 0, "CURVE_448"), ("curve448", 4, 32, 0, "CURVE_448"),
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
        #expect(Transform(.encryption, 4, keyBits: 192).description == "ENCR#4_192")
        #expect(Transform(.prf, 3).displayName == "PRF#3")
        #expect(Transform(TransformType(rawValue: 13), 3).description == "TYPE13#3")
        #expect(Transform(.encryption, 12).description == "ENCR#12", "AES without a key length is no algorithm")
        #expect(AlgorithmRegistry.specification(of: Transform(.encryption, 20, keyBits: 512)) == nil)
    }

    @Test func libcryptoHasEveryAlgorithm() {
        for algorithm in AlgorithmRegistry.algorithms {
            switch algorithm.specification {
            case .cipher(let cipher):
                #expect(
                    cipher.mode == .null || cipher.provider == .nettle
                        || LibraryAlgorithms.cipher(cipher.library, cipher.provider) != nil, "\(algorithm.keyword)")
            case .aead(let aead):
                for name in aead.libraryNames { #expect(LibraryAlgorithms.cipher(name) != nil, "\(name)") }
            case .integrity(let mac):
                if case .hmac(let hash) = mac.function { #expect(LibraryAlgorithms.allowsDigest(hash)) }
            case .prf(let prf):
                if case .hmac(let hash) = prf.function { #expect(LibraryAlgorithms.allowsDigest(hash)) }
            case .keyExchange, .sequenceNumbers: break
            }
        }
    }

    @Test func weakAlgorithmsAreNeverDefaults() {
        let weak = AlgorithmRegistry.algorithms.filter(\.explicitOnly)
        #expect(
            weak.map(\.keyword) == [
                "null", "aes128gmac", "aes192gmac", "aes256gmac", "3des", "cast128", "blowfish128", "blowfish192",
                "blowfish256", "des", "md5", "md5_128", "sha256_96", "prfmd5", "ecp192", "modp1536", "modp1024",
                "modp768", "modp1024s160", "modp2048s224", "modp2048s256",
            ])
        // Each says what to use instead, and that is not weak.
        for algorithm in weak {
            let instead = algorithm.weakness?.split(separator: "; use ").last?.split(separator: " or ") ?? []
            #expect(algorithm.weakness?.contains("; use ") == true, "\(algorithm.keyword)")
            for word in instead {
                #expect(AlgorithmRegistry.algorithm(named: String(word))?.weakness == nil, "\(algorithm.keyword)")
                #expect(AlgorithmRegistry.algorithm(named: String(word)) != nil, "\(algorithm.keyword)")
            }
        }
        for securityProtocol in [SecurityProtocol.ike, .esp] {
            for transform in Proposal.defaults(for: securityProtocol).flatMap(\.transforms) {
                let algorithm = AlgorithmRegistry.algorithm(for: transform)
                #expect(algorithm?.explicitOnly == false, "\(transform)")
                #expect(algorithm?.uses.contains(securityProtocol == .ike ? .ike : .esp) == true)
            }
        }
    }

    /// What has a number for private use is the one algorithm only with a peer that gave the number out.
    @Test func privateNumbersNeedThePeersVendor() {
        for algorithm in AlgorithmRegistry.algorithms {
            #expect(algorithm.needsPeerVendor == (algorithm.transform.id >= 1024), "\(algorithm.keyword)")
        }
    }
}
