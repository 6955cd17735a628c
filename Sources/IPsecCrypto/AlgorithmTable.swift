/// The one place where an algorithm is made known: its numbers, its names, how it is carried out.
///
/// An algorithm that libcrypto has and that works like one of these needs a line here and nothing anywhere else. The
/// order is the one in which listings show them. Numbers are IANA's "IKEv2 Parameters".
enum AlgorithmTable {
    static let entries: [Algorithm] =
        ciphers + aeads + integrity + prfs + groups + sequenceNumbers

    private static let ciphers: [Algorithm] =
        sizes.map { bits in
            cipher(
                12, bits, "aes\(bits)", bits == 128 ? ["aes"] : [], "AES_CBC", "AES-\(bits)-CBC", .cbc, iv: 16,
                block: 16)
        }
        + sizes.map { bits in
            cipher(13, bits, "aes\(bits)ctr", [], "AES_CTR", "AES-\(bits)-CTR", .counter, salt: 4, iv: 8)
        }
        + [
            Algorithm(
                Transform(.encryption, 11), "null", displayName: "NULL", uses: .esp,
                weakness: "packets are not encrypted at all",
                .cipher(.init(library: "NULL", mode: .null, keyLength: 0, saltLength: 0, ivLength: 0, blockLength: 1)))
        ]

    private static let aeads: [Algorithm] =
        tags.flatMap { tag, id in
            sizes.map { bits in
                aead(18 + id, bits, "gcm", tag, "AES_GCM", "AES-\(bits)-GCM", salt: 4)
            }
        }
        + tags.flatMap { tag, id in
            sizes.map { bits in
                aead(14 + id, bits, "ccm", tag, "AES_CCM", "AES-\(bits)-CCM", salt: 3)
            }
        }
        + [
            Algorithm(
                Transform(.encryption, 28), "chacha20poly1305", displayName: "CHACHA20_POLY1305", uses: .both,
                .aead(
                    .init(
                        library: "ChaCha20-Poly1305", isCCM: false, keyLength: 32, saltLength: 4, ivLength: 8,
                        icvLength: 16)))
        ]

    private static let integrity: [Algorithm] = [
        mac(2, "sha1", ["sha"], "HMAC_SHA1_96", .sha1, icv: 12),
        mac(12, "sha256", ["sha2_256"], "HMAC_SHA2_256_128", .sha256, icv: 16),
        mac(13, "sha384", ["sha2_384"], "HMAC_SHA2_384_192", .sha384, icv: 24),
        mac(14, "sha512", ["sha2_512"], "HMAC_SHA2_512_256", .sha512, icv: 32),
    ]

    private static let prfs: [Algorithm] = [
        prf(2, "prfsha1", "PRF_HMAC_SHA1", .sha1),
        prf(5, "prfsha256", "PRF_HMAC_SHA2_256", .sha256),
        prf(6, "prfsha384", "PRF_HMAC_SHA2_384", .sha384),
        prf(7, "prfsha512", "PRF_HMAC_SHA2_512", .sha512),
    ]

    private static let groups: [Algorithm] = [
        group(31, "x25519", ["curve25519"], "CURVE_25519", .x25519),
        group(19, "ecp256", [], "ECP_256", .ecp(library: "P-256", length: 32, topMask: 0xff)),
        group(20, "ecp384", [], "ECP_384", .ecp(library: "P-384", length: 48, topMask: 0xff)),
        group(21, "ecp521", [], "ECP_521", .ecp(library: "P-521", length: 66, topMask: 0x01)),
        modp(14, 2048, exponent: 32),
        modp(15, 3072, exponent: 40),
        modp(16, 4096, exponent: 48),
        modp(17, 6144, exponent: 56),
        modp(18, 8192, exponent: 64),
        Algorithm(Transform(.keyExchange, 0), "none", displayName: "NONE", uses: .esp, .keyExchange(.none)),
    ]

    private static let sequenceNumbers: [Algorithm] = [
        Algorithm(
            Transform(.sequenceNumbers, 0), "noesn", displayName: "NO_EXT_SEQ", uses: .esp,
            .sequenceNumbers(extended: false)),
        Algorithm(
            Transform(.sequenceNumbers, 1), "esn", displayName: "EXT_SEQ", uses: .esp,
            .sequenceNumbers(extended: true)),
    ]

    private static let sizes: [UInt16] = [128, 192, 256]
    /// Octets of a tag, and how far its number lies above that of the shortest.
    private static let tags: [(Int, UInt16)] = [(16, 2), (12, 1), (8, 0)]

    private static func cipher(
        _ id: UInt16, _ bits: UInt16, _ keyword: String, _ aliases: [String], _ displayName: String,
        _ library: String, _ mode: CipherSpecification.Mode, salt: Int = 0, iv: Int, block: Int = 1
    ) -> Algorithm {
        Algorithm(
            Transform(.encryption, id, keyBits: bits), keyword, aliases, displayName: displayName, uses: .both,
            .cipher(
                .init(
                    library: library, mode: mode, keyLength: Int(bits) / 8, saltLength: salt, ivLength: iv,
                    blockLength: block)))
    }

    /// The keyword counts the tag in octets; swanctl takes bits as well, and 16 octets where nothing is said.
    private static func aead(
        _ id: UInt16, _ bits: UInt16, _ mode: String, _ tag: Int, _ displayName: String, _ library: String, salt: Int
    ) -> Algorithm {
        let stem = "aes\(bits)\(mode)"
        let aliases = ["\(stem)\(tag * 8)"] + (tag == 16 ? [stem] : [])
        return Algorithm(
            Transform(.encryption, id, keyBits: bits), "\(stem)\(tag)", aliases,
            displayName: "\(displayName)_\(tag)", uses: .both,
            .aead(
                .init(
                    library: library, isCCM: mode == "ccm", keyLength: Int(bits) / 8, saltLength: salt, ivLength: 8,
                    icvLength: tag)))
    }

    private static func mac(
        _ id: UInt16, _ keyword: String, _ aliases: [String], _ displayName: String, _ hash: HashFunction, icv: Int
    ) -> Algorithm {
        Algorithm(
            Transform(.integrity, id), keyword, aliases, displayName: displayName, uses: .both,
            .integrity(.init(hash: hash, icvLength: icv)))
    }

    private static func prf(
        _ id: UInt16, _ keyword: String, _ displayName: String, _ hash: HashFunction
    ) -> Algorithm {
        Algorithm(Transform(.prf, id), keyword, displayName: displayName, uses: .ike, .prf(.init(hash: hash)))
    }

    private static func group(
        _ id: UInt16, _ keyword: String, _ aliases: [String], _ displayName: String,
        _ specification: KeyExchangeSpecification
    ) -> Algorithm {
        Algorithm(
            Transform(.keyExchange, id), keyword, aliases, displayName: displayName, uses: .both,
            .keyExchange(specification))
    }

    private static func modp(_ id: UInt16, _ bits: Int, exponent: Int) -> Algorithm {
        group(
            id, "modp\(bits)", [], "MODP_\(bits)",
            .modp(bits: bits, library: "modp_\(bits)", exponentLength: exponent))
    }
}
