import GatewayModel

/// What is wrong with a certificate, a key or a signature, in words.
extension Diagnosis {
    init(_ problem: CertificateProblem, of remote: Identity) {
        let peer = "The peer says that it is \(Self.describe(remote))"
        let (code, summary, facts, remedy) = Self.words(problem)
        self.init(code: code, summary: summary, facts: [peer] + facts, causes: [], remedy: remedy)
    }

    init(falseSignatureOf remote: Identity, to local: Identity) {
        self.init(
            code: "E-FALSE-SIGNATURE", summary: "The peer's signature does not match its certificate.",
            facts: ["We are \(Self.describe(local))", "The peer says that it is \(Self.describe(remote))"],
            causes: [
                "the peer's private key and its certificate do not belong together", "somebody poses as the peer",
                "something on the way changes messages",
            ],
            remedy: "Compare the public keys of the peer's certificate and of its private key.")
    }

    init(noPrivateKeyFor local: Identity, _ reason: String) {
        self.init(
            code: "E-NO-PRIVATE-KEY", summary: "We can't prove that we are \(local).",
            facts: ["It is so since \(reason)"],
            causes: [],
            remedy: "Put the key of the certificate in `local.certs` into the directory `private`, and load it again.")
    }

    private typealias Words = (code: String, summary: String, facts: [String], remedy: String)

    private static func words(_ problem: CertificateProblem) -> Words {
        switch problem {
        case .none:
            (
                "E-NO-CERTIFICATE", "The peer sent no certificate, and none is configured for it.", [],
                "Let the peer send it (`send_cert = always` there), or name it in `remote.certs` here."
            )
        case .malformed(let reason):
            (
                "E-CERT-MALFORMED", "The peer's certificate can't be read.", ["It is so since \(reason)"],
                "Look at the certificate there; it should be X.509 version 3."
            )
        case .expired(let subject, let ended):
            (
                "E-CERT-EXPIRED", "The certificate '\(subject)' has expired.",
                ["It ended on \(CalendarText.moment(ended))"],
                "Issue a new one, and check the clocks on both sides."
            )
        case .notYetValid(let subject, let begins):
            (
                "E-CERT-NOT-YET-VALID", "The certificate '\(subject)' is not valid yet.",
                ["It begins on \(CalendarText.moment(begins))"], "Check the clocks here, there and where it was issued."
            )
        case .wrongName(let claimed, let subject, let names):
            (
                "E-CERT-WRONG-NAME", "The certificate '\(subject)' does not belong to \(claimed).",
                ["It belongs to \(names.isEmpty ? "nobody" : names.map { "'\($0)'" }.joined(separator: ", "))"],
                "Set the peer's `local.id` to one of these names, or issue a certificate with this name in it."
            )
        case .untrustedIssuer(let subject, let issuer):
            (
                "E-CERT-UNTRUSTED", "Nobody whom we trust has issued the certificate '\(subject)'.",
                ["Its issuer is '\(issuer)'"],
                "Put the authority's certificate into the directory `x509ca` (and into `remote.cacerts`, where that is set)."
            )
        case .notConfigured(let subject):
            (
                "E-CERT-NOT-CONFIGURED", "'\(subject)' is not one of those that are configured for this peer.", [],
                "Put the peer's present certificate or key into `remote.certs` or `remote.pubkeys`."
            )
        default: furtherWords(problem)
        }
    }

    private static func furtherWords(_ problem: CertificateProblem) -> Words {
        switch problem {
        case .falseSignature(let subject):
            (
                "E-CERT-FALSE-SIGNATURE", "The signature on the certificate '\(subject)' is false.", [],
                "Make sure that both sides mean the same authority: another one may have the same name."
            )
        case .issuerIsNoAuthority(let subject):
            (
                "E-CERT-NO-AUTHORITY", "'\(subject)' issued a certificate and is no authority.", [],
                "Issue the certificate by an authority (basicConstraints CA:TRUE, keyUsage keyCertSign)."
            )
        case .pathTooLong(let subject):
            (
                "E-CERT-PATH-LENGTH", "There are more authorities below '\(subject)' than it allows.", [],
                "Issue the certificate by an authority further up."
            )
        case .forbiddenName(let subject):
            (
                "E-CERT-NAME-CONSTRAINTS", "'\(subject)' has a name that its authority may not give.", [],
                "Issue a certificate with names that the authority's name constraints permit."
            )
        case .wrongPolicy(let subject, let wanted):
            (
                "E-CERT-POLICY", "'\(subject)' has none of the certificate policies that are asked for.",
                ["We ask for \(wanted.joined(separator: ", "))"], "Change `cert_policy`, or issue another certificate."
            )
        case .keyMayNotSign(let subject):
            (
                "E-CERT-KEY-USAGE", "The key of '\(subject)' may not sign.",
                ["Its key usage has neither digitalSignature nor nonRepudiation"],
                "Issue a certificate with keyUsage digitalSignature."
            )
        case .wrongPurpose(let subject, let has):
            (
                "E-CERT-PURPOSE", "The certificate '\(subject)' is for other purposes.",
                ["Its extended key usages are \(has.isEmpty ? "none" : has.joined(separator: ", "))"],
                "Issue a certificate with extendedKeyUsage serverAuth (a gateway) or clientAuth (a client)."
            )
        case .weakKey(let subject, let key, let wanted):
            (
                "E-WEAK-KEY", "The key of '\(subject)' is not good enough.", ["It is \(key)", "We want \(wanted)"],
                "Issue a certificate for a stronger key, or allow this one in `remote.auth`."
            )
        case .weakSignature(let subject, let signature, let wanted):
            (
                "E-WEAK-SIGNATURE", "A signature of or by '\(subject)' is not good enough.",
                ["It is \(signature)", "We want \(wanted)"],
                "Let the peer sign in another way, or allow this one in `remote.auth`."
            )
        case .revoked(let subject, let source):
            (
                "E-CERT-REVOKED", "The certificate '\(subject)' has been revoked.", ["So says \(source)"],
                "If that is a mistake, issue a new one; a revocation is final."
            )
        case .revocationUnknown(let subject, let reason):
            (
                "E-CERT-REVOCATION-UNKNOWN", "Nobody could tell whether '\(subject)' has been revoked.",
                ["It is so since \(reason)"],
                "See to a present revocation list or a responder that answers, or set `revocation = relaxed`."
            )
        case .invalid(let subject, let reason):
            (
                "E-CERT-INVALID", "The certificate '\(subject)' is not valid.", ["The library says: \(reason)"],
                "Issue another certificate."
            )
        default: ("E-CERT-INVALID", "The certificate is not valid.", [], "Issue another certificate.")
        }
    }
}
