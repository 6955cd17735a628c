import GatewayModel
import IKEMessages
import IPsecCrypto
import Testing
import WireFormat

@testable import Trust

/// Authorities and certificates made for a test.
struct Lab {
    /// The moment at which everything is valid: 2026-01-01.
    static let now: Int64 = 1_767_225_600
    static let day: Int64 = 86_400

    let root: Issued
    /// Below ``root``.
    let middle: Issued

    struct Issued {
        let certificate: Certificate
        let key: PrivateKey
        var issuer: CertificateIssuer { CertificateIssuer(certificate, key) }
    }

    init(_ kind: KeyKind = .p256, rootExtensions: [CertificateIssuer.Extension] = Lab.authority) throws {
        root = try Self.issue("C=CH, O=Lab, CN=Root", kind, by: nil, rootExtensions)
        middle = try Self.issue("C=CH, O=Lab, CN=Middle", kind, by: root, Self.authority)
    }

    static let authority: [CertificateIssuer.Extension] = [
        .init("basicConstraints", "critical,CA:TRUE"), .init("keyUsage", "critical,keyCertSign,cRLSign"),
        .init("subjectKeyIdentifier", "hash"),
    ]

    static func peer(_ names: String, _ more: [CertificateIssuer.Extension] = []) -> [CertificateIssuer.Extension] {
        [.init("keyUsage", "critical,digitalSignature"), .init("subjectAltName", names)] + more
    }

    nonisolated(unsafe) private static var last: UInt8 = 0

    static func issue(
        _ subject: String, _ kind: KeyKind, by issuer: Issued?, _ extensions: [CertificateIssuer.Extension],
        validity: ClosedRange<Int64> = (now - 10 * day)...(now + 10 * day), serial: [UInt8] = [1, 2, 3],
        hash: HashFunction? = nil
    ) throws -> Issued {
        let key = try PrivateKey(generating: kind)
        let maker = issuer?.issuer ?? CertificateIssuer(nil, key)
        let name = try #require(DistinguishedName(text: subject))
        let certificate = try #require(
            maker.issue(
                name, key.publicKey, serial: serial, validity: validity, extensions: extensions, hash: hash))
        return Issued(certificate: certificate, key: key)
    }

    /// A verifier that trusts ``root``.
    func verifier(_ rules: SignatureRules = SignatureRules(), policies: [String] = []) -> PeerVerifier {
        PeerVerifier(
            pinned: [], rawKeys: [],
            validator: ChainValidator(
                anchors: [root.certificate], policies: policies, policy: SignaturePolicy(rules)))
    }
}

extension PeerVerifier {
    /// What comes of a peer that signs with a key and sends certificates.
    func verdict(
        _ identity: Identity, _ key: PrivateKey, _ certificates: [Certificate], at moment: Int64 = Lab.now,
        hashes: [UInt16]? = [2, 3, 4, 5], signed: String = "octets", rules: SignatureRules = SignatureRules()
    ) throws -> String {
        let choice = try #require(SignatureChoice.choose(key.publicKey.kind, peerHashes: hashes, rules))
        let authentication = try #require(choice.authentication(Array("octets".utf8), key))
        do throws(Failure) {
            let trusted = try verify(
                identity, signed: Array(signed.utf8), authentication,
                certificates.map { CertificatePayload(.x509Signature, $0.der) }, agreedHashes: hashes != nil, at: moment
            )
            return "trusted: " + trusted.facts.chain.joined(separator: " < ")
        } catch {
            switch error {
            case .falseProof: return "false proof"
            case .method: return "method"
            case .problem(let problem): return "\(problem)".prefix { $0 != "(" }.description
            }
        }
    }
}
