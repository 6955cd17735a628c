import GatewayModel

/// What can be wrong with certificates, keys and signatures, with made-up values.
extension DiagnosisCatalogue {
    static func certificates(us: Identity, peer: Identity) -> [Entry] {
        let subject = "C=CH, O=Example, CN=branch.example"
        let problems: [CertificateProblem] = [
            .none, .malformed("it ends in the middle of a name"), .expired(subject: subject, ended: 1_735_689_600),
            .notYetValid(subject: subject, begins: 1_893_456_000),
            .untrustedIssuer(subject: subject, issuer: "C=CH, O=Example, CN=Another CA"),
            .notConfigured(subject: subject), .falseSignature(subject: subject),
            .issuerIsNoAuthority(subject: "C=CH, O=Example, CN=hq.example"),
            .pathTooLong(subject: "C=CH, O=Example, CN=CA"), .forbiddenName(subject: subject),
            .wrongPolicy(subject: subject, wanted: ["1.3.6.1.4.1.55555.1"]), .keyMayNotSign(subject: subject),
            .wrongPurpose(subject: subject, has: ["1.3.6.1.5.5.7.3.4"]),
            .wrongName(claimed: peer, subject: "C=CH, O=Example, CN=gw", names: ["gw.example"]),
            .weakKey(subject: subject, key: "RSA 1024", wanted: "RSA 2048 or more"),
            .weakSignature(subject: subject, signature: "RSA with SHA-1", wanted: "SHA-256 or stronger"),
            .revoked(subject: subject, source: "the list of CN=CA of 2025-01-01"),
            .revocationUnknown(subject: subject, reason: "there is no list of CN=CA"),
            .invalid(subject: subject, reason: "unhandled critical extension"),
        ]
        let others: [(Refusal, Observer)] = [
            (.noPrivateKey(local: us, reason: "no private key fits the certificate 'CN=hq.example'"), .here),
            (.wrongProof(local: us, remote: peer, method: .publicKey, nearMiss: nil), .here),
        ]
        return others.map { Entry(example: Diagnosis($0.0, child: nil), observer: $0.1) }
            + problems.map { Entry(example: Diagnosis(.untrusted(remote: peer, $0), child: nil), observer: .here) }
    }
}
