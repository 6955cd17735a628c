import GatewayModel
import IKECore
import IPsecCrypto
import SwanctlConfig
import WireFormat

/// The secrets of one gateway, and the only code that uses them.
///
/// It answers an engine's questions: prove that we are somebody, tell whether a proof is true. It never hands a secret
/// out. About a false proof it may say which of the usual mistakes made it, in words that hold no secret.
struct CredentialStore {
    private let secrets: [Secret]

    /// A store with the secrets of a configuration.
    init(_ secrets: [Secret] = []) { self.secrets = secrets }

    /// Answers a question about a proof (RFC 7296 §2.15: `prf(prf(secret, "Key Pad for IKEv2"), octets)`).
    func answer(_ query: Query) -> Answer? {
        switch query {
        case .path, .lease, .lastUse, .eap: return nil
        case .mix(let identity, let prf, let keys):
            return secrets.postQuantumKey(identity).map { .mixing($0.value, prf: prf, keys) } ?? .noSecret
        case .encapsulate(let method, let value):
            var entropy = SystemEntropy()
            return .encapsulation(method, to: value, entropy: &entropy)
        case .prove(let proof):
            guard let place = secrets.placeOfSharedKey(local: proof.signer, remote: proof.other) else {
                return .noSecret
            }
            return authenticationData(secrets[place].value, proof).map { .proof($0.exposedBytes()) }
        case .verify(let proof, let received):
            let place = secrets.placeOfSharedKey(local: proof.other, remote: proof.signer)
            // A stranger costs the same work, so that the time to our answer does not tell who is known here.
            let value = place.map { secrets[$0].value } ?? Self.nobodys.value
            guard let prf = PRF(proof.prf) else { return nil }
            let pad = prf.compute(key: value, Self.keyPad)
            let given = SecretBytes(received)
            if prf.compute(key: pad, proof.octets) == given, place != nil {
                guard let reply = proof.reply else { return .verified }
                return .verifiedInReturn(prf.compute(key: pad, reply).exposedBytes())
            }
            let nearMiss = nearMiss(place.map { secrets[$0] } ?? Self.nobodys, proof, given)
            return place == nil ? .noSecret : nearMiss.map(Answer.nearMiss) ?? .falseProof
        }
    }

    /// The shared keys by name, with whose they are and how well they fit two ends, the best first.
    func fits(local: Identity, remote: Identity) -> [(name: String, owners: String, fit: Int)] {
        let all = secrets.filter { $0.kind == .ike }.map { secret in
            let names = secret.identities.map { "'\($0)'" } + secret.patterns.map { "'\($0)'" }
            return (
                name: secret.name, owners: names.isEmpty ? "anybody" : names.joined(separator: " and "),
                fit: secret.fit(local: local, remote: remote)
            )
        }
        // Stable: the configuration's order among equals.
        return Set(all.map(\.fit)).sorted(by: >).flatMap { fit in all.filter { $0.fit == fit } }
    }

    /// Whether the post-quantum preshared key of this identity is there.
    func hasPostQuantumKey(_ identity: [UInt8]) -> Bool { secrets.postQuantumKey(identity) != nil }

    /// Which of the usual mistakes made a proof that is false. Tries them all: the time is the same whatever it finds.
    private func nearMiss(_ secret: Secret, _ proof: Query.Proof, _ given: SecretBytes) -> NearMiss? {
        let others = secrets.filter { $0.kind == .ike && $0.name != secret.name }
        var found: NearMiss?
        for candidate in NearMissSearch.candidates(secret, others: others) {
            let isIt = authenticationData(candidate.value, proof) == given
            if isIt, found == nil { found = candidate.nearMiss }
        }
        return found
    }

    private static let nobodys = Secret(
        name: "", kind: .ike, identities: [], value: SecretBytes([UInt8](repeating: 0, count: 32)),
        location: SourceLocation(file: "", line: 0, column: 0))

    private static let keyPad = Array("Key Pad for IKEv2".utf8)

    private func authenticationData(_ secret: SecretBytes, _ proof: Query.Proof) -> SecretBytes? {
        guard let prf = PRF(proof.prf) else { return nil }
        let pad = prf.compute(key: secret, Self.keyPad)
        return prf.compute(key: pad, proof.octets)
    }
}
