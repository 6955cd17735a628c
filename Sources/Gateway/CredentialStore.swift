import GatewayModel
import IKECore
import IPsecCrypto
import SwanctlConfig
import WireFormat

/// The secrets of one gateway, and the only code that uses them.
///
/// It answers an engine's questions: prove that we are somebody, tell whether a proof is true. It never hands a secret
/// out, and never says in which way a false proof is false.
struct CredentialStore {
    private var secrets: [Secret]

    /// A store with the secrets of a configuration.
    init(_ secrets: [Secret] = []) { self.secrets = secrets }

    /// Answers a question about a proof (RFC 7296 §2.15: `prf(prf(secret, "Key Pad for IKEv2"), octets)`).
    func answer(_ query: Query) -> Answer? {
        switch query {
        case .path: return nil
        case .prove(let proof):
            guard let secret = secrets.sharedKey(local: proof.signer, remote: proof.other)?.value else { return .noSecret }
            return authenticationData(secret, proof).map { .proof($0.exposedBytes()) }
        case .verify(let proof, let received):
            guard let secret = secrets.sharedKey(local: proof.other, remote: proof.signer)?.value else { return .noSecret }
            guard let expected = authenticationData(secret, proof) else { return nil }
            return expected == SecretBytes(received) ? .verified : .falseProof
        }
    }

    private func authenticationData(_ secret: SecretBytes, _ proof: Query.Proof) -> SecretBytes? {
        guard let prf = PRF(proof.prf) else { return nil }
        let pad = prf.compute(key: secret, Array("Key Pad for IKEv2".utf8))
        return prf.compute(key: pad, proof.octets)
    }
}
