/// The one place where an algorithm is made known: its numbers, its names, how it is carried out.
///
/// An algorithm that libcrypto has and that works like one of these needs a line here and nothing anywhere else. The
/// order is the one in which listings show them. Numbers are IANA's "IKEv2 Parameters"; those from 1024 up are
/// strongSwan's, as its proposals carry them.
enum AlgorithmTable {
    static let entries: [Algorithm] =
        ciphers + aeads + oldCiphers + integrity + prfs + groups + sequenceNumbers

    // MARK: Encryption

    private static let ciphers: [Algorithm] =
        family("aes", 12, .cbc, "AES_CBC") { "AES-\($0)-CBC" }
        + family("aes", 13, .counter, "AES_CTR") { "AES-\($0)-CTR" }
        + family("camellia", 23, .cbc, "CAMELLIA_CBC") { "CAMELLIA-\($0)-CBC" }
        + family("camellia", 24, .counter, "CAMELLIA_CTR") { "CAMELLIA-\($0)-CTR" }
        + family("serpent", 1026, .cbc, "SERPENT_CBC", .nettle, needsPeerVendor: true) { _ in "serpent" }
        + family("twofish", 1027, .cbc, "TWOFISH_CBC", .nettle, needsPeerVendor: true) { _ in "twofish" }
        + [
            Algorithm(
                Transform(.encryption, 11), "null", displayName: "NULL", uses: .esp,
                weakness: "packets are not encrypted at all; use aes256gcm16 or aes128gcm16",
                .cipher(.init(library: "NULL", mode: .null, keyLength: 0, saltLength: 0, ivLength: 0, blockLength: 1)))
        ]

    private static let aeads: [Algorithm] =
        tagged(18, "aes", .stream, "AES_GCM") { "AES-\($0)-GCM" }
        + tagged(14, "aes", .ccm, "AES_CCM") { "AES-\($0)-CCM" }
        + [chacha(28, "chacha20poly1305", "CHACHA20_POLY1305")]
        + tagged(25, "camellia", .composedCCM, "CAMELLIA_CCM") { "CAMELLIA-\($0)" }
        + implicit(29, .ccm, tag: 8, "AES_CCM_8_IIV") { "AES-\($0)-CCM" }
        + implicit(30, .stream, tag: 16, "AES_GCM_16_IIV") { "AES-\($0)-GCM" }
        + [chacha(31, "chacha20poly1305iiv", "CHACHA20_POLY1305_IIV", isImplicit: true)]
        + sizes.map { bits in
            Algorithm(
                Transform(.encryption, 21, keyBits: bits), "aes\(bits)gmac", displayName: "NULL_AES_GMAC", uses: .esp,
                weakness: "packets are authenticated but not encrypted; use aes\(bits)gcm16",
                .aead(
                    .init(
                        library: "AES-\(bits)-GCM", mode: .gmac, keyLength: Int(bits) / 8, saltLength: 4, ivLength: 8,
                        icvLength: 16)))
        }

    private static let smallBlocks =
        "its blocks of 64 bits give text away after some gigabytes under one key; use aes256 or aes128gcm16"

    private static let oldCiphers: [Algorithm] =
        [
            old(3, nil, "3des", [], "3DES_CBC", "DES-EDE3-CBC", .standard, key: 24),
            old(6, 128, "cast128", [], "CAST_CBC", "CAST5-CBC", key: 16),
        ]
        + sizes.map { bits in
            old(
                7, bits, "blowfish\(bits)", bits == 128 ? ["blowfish"] : [], "BLOWFISH_CBC", "BF-CBC",
                key: Int(bits) / 8)
        }
        + [
            old(
                2, nil, "des", [], "DES_CBC", "DES-CBC", key: 8,
                weakness: "its keys of 56 bits can be found by trying; use aes256 or aes128gcm16")
        ]

    // MARK: Integrity

    private static let brokenHash = "MD5 is broken as a hash; use sha256"

    private static let integrity: [Algorithm] =
        [
            mac(2, "sha1", ["sha"], "HMAC_SHA1_96", .hmac(.sha1), icv: 12),
            mac(12, "sha256", ["sha2_256"], "HMAC_SHA2_256_128", .hmac(.sha256), icv: 16),
            mac(13, "sha384", ["sha2_384"], "HMAC_SHA2_384_192", .hmac(.sha384), icv: 24),
            mac(14, "sha512", ["sha2_512"], "HMAC_SHA2_512_256", .hmac(.sha512), icv: 32),
            mac(7, "sha1_160", [], "HMAC_SHA1_160", .hmac(.sha1), icv: 20),
            mac(5, "aesxcbc", [], "AES_XCBC_96", .aesXCBC, icv: 12),
            mac(8, "aescmac", [], "AES_CMAC_96", .aesCMAC, icv: 12),
            mac(1, "md5", [], "HMAC_MD5_96", .hmac(.md5), icv: 12, weakness: brokenHash),
            mac(6, "md5_128", [], "HMAC_MD5_128", .hmac(.md5), icv: 16, weakness: brokenHash),
            // SHA-256 as kernels before Linux 2.6.33 truncated it. strongSwan has a number for it; others say 12.
            Algorithm(
                .sha256Truncated96, "sha256_96", ["sha2_256_96"], displayName: "HMAC_SHA2_256_96",
                uses: [.esp, .ah],
                weakness: "the tag is shorter than RFC 4868 has it; use sha256", needsPeerVendor: true,
                .integrity(.init(function: .hmac(.sha256), icvLength: 12))),
        ]
        + zip(sizes, UInt16(9)...).map { bits, id in
            Algorithm(
                Transform(.integrity, id), "aes\(bits)gmac_ah", displayName: "AES_\(bits)_GMAC", uses: .ah,
                .integrity(.init(function: .aesGMAC(keyLength: Int(bits) / 8), icvLength: 24)))
        }

    private static let prfs: [Algorithm] = [
        prf(2, "prfsha1", "PRF_HMAC_SHA1", .hmac(.sha1)),
        prf(5, "prfsha256", "PRF_HMAC_SHA2_256", .hmac(.sha256)),
        prf(6, "prfsha384", "PRF_HMAC_SHA2_384", .hmac(.sha384)),
        prf(7, "prfsha512", "PRF_HMAC_SHA2_512", .hmac(.sha512)),
        prf(4, "prfaesxcbc", "PRF_AES128_XCBC", .aesXCBC),
        prf(8, "prfaescmac", "PRF_AES128_CMAC", .aesCMAC),
        prf(1, "prfmd5", "PRF_HMAC_MD5", .hmac(.md5), weakness: "MD5 is broken as a hash; use prfsha256"),
    ]

    // MARK: Key exchange

    private static let groups: [Algorithm] = [
        group(31, "x25519", ["curve25519"], "CURVE_25519", .x25519),
        group(32, "x448", ["curve448"], "CURVE_448", .x448),
        group(36, "mlkem768", [], "ML_KEM_768", .mlkem(.mlkem768)),
        group(37, "mlkem1024", [], "ML_KEM_1024", .mlkem(.mlkem1024)),
        group(19, "ecp256", [], "ECP_256", .ecp(library: "P-256", length: 32, topMask: 0xff)),
        group(20, "ecp384", [], "ECP_384", .ecp(library: "P-384", length: 48, topMask: 0xff)),
        group(21, "ecp521", [], "ECP_521", .ecp(library: "P-521", length: 66, topMask: 0x01)),
        modp(14, 2048, exponent: 29),
        modp(15, 3072, exponent: 35),
        modp(16, 4096, exponent: 41),
        modp(17, 6144, exponent: 47),
        modp(18, 8192, exponent: 50),
        brainpool(28, 256),
        brainpool(29, 384),
        brainpool(30, 512),
        brainpool(27, 224),
        group(26, "ecp224", [], "ECP_224", .ecp(library: "P-224", length: 28, topMask: 0xff)),
        group(
            25, "ecp192", [], "ECP_192", weakness: "a curve of 192 bits is too small; use x25519 or ecp256",
            .ecp(library: "P-192", length: 24, topMask: 0xff)),
        modp(5, 1536, exponent: 32, weakness: smallModulus),
        modp(2, 1024, exponent: 32, weakness: smallModulus),
        modp(1, 768, exponent: 32, weakness: smallModulus),
        subgroup(22, 1024, 160),
        subgroup(23, 2048, 224),
        subgroup(24, 2048, 256),
        Algorithm(Transform(.keyExchange, 0), "none", displayName: "NONE", uses: [.esp, .ah], .keyExchange(.none)),
    ]

    private static let smallModulus = "its modulus has less than 2048 bits; use x25519 or modp3072"

    private static let sequenceNumbers: [Algorithm] = [
        Algorithm(
            Transform(.sequenceNumbers, 0), "noesn", displayName: "NO_EXT_SEQ", uses: [.esp, .ah],
            .sequenceNumbers(extended: false)),
        Algorithm(
            Transform(.sequenceNumbers, 1), "esn", displayName: "EXT_SEQ", uses: [.esp, .ah],
            .sequenceNumbers(extended: true)),
    ]

    // MARK: Rows

    private static let sizes: [UInt16] = [128, 192, 256]
    /// Octets of a tag, and how far its number lies above that of the shortest.
    private static let tags: [(Int, UInt16)] = [(16, 2), (12, 1), (8, 0)]

    /// A block cipher of 128-bit blocks, in three key lengths; the name without a length means the shortest.
    private static func family(
        _ stem: String, _ id: UInt16, _ mode: CipherSpecification.Mode, _ displayName: String,
        _ provider: CipherProvider = .standard, needsPeerVendor: Bool = false, _ library: (UInt16) -> String
    ) -> [Algorithm] {
        sizes.map { bits in
            let isCounter = mode == .counter
            return Algorithm(
                Transform(.encryption, id, keyBits: bits), "\(stem)\(bits)" + (isCounter ? "ctr" : ""),
                bits == 128 && !isCounter ? [stem] : [], displayName: displayName, uses: .both,
                needsPeerVendor: needsPeerVendor,
                .cipher(
                    .init(
                        library: library(bits), provider: provider, mode: mode, keyLength: Int(bits) / 8,
                        saltLength: isCounter ? 4 : 0, ivLength: isCounter ? 8 : 16, blockLength: isCounter ? 1 : 16)))
        }
    }

    /// The keyword counts the tag in octets; swanctl takes bits as well, and 16 octets where nothing is said.
    private static func tagged(
        _ id: UInt16, _ cipher: String, _ mode: AEADSpecification.Mode, _ displayName: String,
        _ library: (UInt16) -> String
    ) -> [Algorithm] {
        tags.flatMap { tag, offset in
            sizes.map { bits in
                let stem = "\(cipher)\(bits)" + (mode == .stream ? "gcm" : "ccm")
                return Algorithm(
                    Transform(.encryption, id + offset, keyBits: bits), "\(stem)\(tag)",
                    ["\(stem)\(tag * 8)"] + (tag == 16 ? [stem] : []), displayName: "\(displayName)_\(tag)",
                    uses: .both,
                    .aead(
                        .init(
                            library: library(bits), mode: mode, keyLength: Int(bits) / 8,
                            saltLength: mode == .stream ? 4 : 3, ivLength: 8, icvLength: tag)))
            }
        }
    }

    private static func implicit(
        _ id: UInt16, _ mode: AEADSpecification.Mode, tag: Int, _ displayName: String, _ library: (UInt16) -> String
    ) -> [Algorithm] {
        sizes.map { bits in
            Algorithm(
                Transform(.encryption, id, keyBits: bits),
                "aes\(bits)" + (mode == .stream ? "gcm" : "ccm") + "\(tag)iiv",
                displayName: displayName, uses: .esp,
                .aead(
                    .init(
                        library: library(bits), mode: mode, keyLength: Int(bits) / 8,
                        saltLength: mode == .stream ? 4 : 3, ivLength: 0, icvLength: tag, hasImplicitIV: true)))
        }
    }

    private static func chacha(
        _ id: UInt16, _ keyword: String, _ displayName: String, isImplicit: Bool = false
    ) -> Algorithm {
        Algorithm(
            Transform(.encryption, id), keyword, displayName: displayName, uses: isImplicit ? .esp : .both,
            .aead(
                .init(
                    library: "ChaCha20-Poly1305", mode: .stream, keyLength: 32, saltLength: 4,
                    ivLength: isImplicit ? 0 : 8, icvLength: 16, hasImplicitIV: isImplicit)))
    }

    /// A block cipher of 64-bit blocks (RFC 2451).
    private static func old(
        _ id: UInt16, _ bits: UInt16?, _ keyword: String, _ aliases: [String], _ displayName: String,
        _ library: String, _ provider: CipherProvider = .legacy, key: Int, weakness: String = smallBlocks
    ) -> Algorithm {
        Algorithm(
            Transform(.encryption, id, keyBits: bits), keyword, aliases, displayName: displayName, uses: .both,
            weakness: weakness,
            .cipher(
                .init(
                    library: library, provider: provider, mode: .cbc, keyLength: key, saltLength: 0, ivLength: 8,
                    blockLength: 8)))
    }

    private static func mac(
        _ id: UInt16, _ keyword: String, _ aliases: [String], _ displayName: String, _ function: MACFunction,
        icv: Int, weakness: String? = nil
    ) -> Algorithm {
        Algorithm(
            Transform(.integrity, id), keyword, aliases, displayName: displayName, uses: .all, weakness: weakness,
            .integrity(.init(function: function, icvLength: icv)))
    }

    private static func prf(
        _ id: UInt16, _ keyword: String, _ displayName: String, _ function: MACFunction, weakness: String? = nil
    ) -> Algorithm {
        Algorithm(
            Transform(.prf, id), keyword, displayName: displayName, uses: .ike, weakness: weakness,
            .prf(.init(function: function)))
    }

    private static func group(
        _ id: UInt16, _ keyword: String, _ aliases: [String], _ displayName: String, weakness: String? = nil,
        _ specification: KeyExchangeSpecification
    ) -> Algorithm {
        Algorithm(
            Transform(.keyExchange, id), keyword, aliases, displayName: displayName, uses: .all, weakness: weakness,
            .keyExchange(specification))
    }

    private static func modp(_ id: UInt16, _ bits: Int, exponent: Int, weakness: String? = nil) -> Algorithm {
        group(
            id, "modp\(bits)", [], "MODP_\(bits)", weakness: weakness,
            .modp(bits: bits, library: "modp_\(bits)", exponentLength: exponent))
    }

    /// A group of RFC 5114, whose exponents are numbers below the order of its subgroup.
    private static func subgroup(_ id: UInt16, _ bits: Int, _ order: Int) -> Algorithm {
        group(
            id, "modp\(bits)s\(order)", [], "MODP_\(bits)_\(order)",
            weakness: "nobody says how its prime was chosen (RFC 8247 §2.4); use x25519 or modp3072",
            .modp(bits: bits, library: "dh_\(bits)_\(order)", exponentLength: order / 8))
    }

    private static func brainpool(_ id: UInt16, _ bits: Int) -> Algorithm {
        group(
            id, "ecp\(bits)bp", [], "ECP_\(bits)_BP",
            .ecp(library: "brainpoolP\(bits)r1", length: bits / 8, topMask: 0xff))
    }
}
