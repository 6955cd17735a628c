import Foundation
import IPsecCrypto
import Testing
import WireFormat

@testable import Trust

/// Wycheproof's signature vectors: a part of them lies beside the tests (`Vectors/LICENSES.md`), all of them where
/// `../shared/vectors` is there.
struct SignatureVectors: Decodable {
    struct Case: Decodable {
        let tcId: Int
        let comment: String
        let flags: [String]
        let msg: String
        let sig: String
        let result: String
    }

    struct Group: Decodable {
        struct EdKey: Decodable { let pk: String? }
        let publicKeyDer: String
        let sha: String?
        let mgfSha: String?
        let sLen: Int?
        let tests: [Case]
    }

    let schema: String
    let testGroups: [Group]

    /// The files of the part, and of the whole.
    static let files: [URL] = {
        let part = Bundle.module.bundleURL.appendingPathComponent("Vectors")
        let whole = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "../../../shared/vectors/wycheproof"
        ).standardized
        return [part, whole].flatMap { directory in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
            return names.filter { name in
                ["ecdsa_", "ed25519_", "ed448_", "rsa_signature_", "rsa_pss_", "rsa_pkcs1_"].contains {
                    name.hasPrefix($0)
                }
                    && name.hasSuffix(".json") && !name.contains("sig_gen")
            }.sorted().map { directory.appendingPathComponent($0) }
        }
    }()

    static func load(_ url: URL) throws -> SignatureVectors {
        try JSONDecoder().decode(SignatureVectors.self, from: Data(contentsOf: url))
    }
}

extension SignatureVectors.Group {
    /// The scheme of a group; nil for hashes that IKE never signs with.
    func scheme(_ schema: String) -> SignatureScheme? {
        let hash = Self.hash(sha)
        if schema.hasPrefix("eddsa") { return .eddsa }
        guard let hash else { return nil }
        if schema.hasPrefix("ecdsa_p1363") { return .ecdsaPlain(hash) }
        if schema.hasPrefix("ecdsa") { return .ecdsaDER(hash) }
        if schema.hasPrefix("rsassa_pss") {
            guard let mask = Self.hash(mgfSha), let sLen else { return nil }
            return .rsaPSS(hash, mask: mask, salt: sLen)
        }
        return .rsaPKCS1(hash)
    }

    private static func hash(_ name: String?) -> HashFunction? {
        switch name {
        case "SHA-1": .sha1
        case "SHA-256": .sha256
        case "SHA-384": .sha384
        case "SHA-512": .sha512
        default: nil
        }
    }
}
