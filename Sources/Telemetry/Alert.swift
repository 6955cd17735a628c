public import GatewayModel

/// An event that somebody may have to know of at once, under the name that this field's tools have for it.
///
/// It owns the names. Most events are none.
public struct Alert: Hashable, Sendable {
    /// `peer-auth-failed`, `ts-mismatch`…
    public let type: String
    /// What happened, as a sentence.
    public let message: String

    /// The alerts that an event is; none for most.
    public static func all(_ event: Event) -> [Alert] {
        guard let first = Alert(event) else { return [] }
        guard event.ikeSA != nil, case .refused(_, let child?) = event.kind else { return [first] }
        return [
            first, Alert(type: "keep-on-child-sa-failure", message: "the IKE SA stays without its child '\(child)'"),
        ]
    }

    private init(type: String, message: String) {
        self.type = type
        self.message = message
    }

    /// The alert that an event is; nil for most.
    public init?(_ event: Event) {
        let type: String?
        switch event.kind {
        case .refused(let refusal, let child):
            guard let name = Self.type(of: refusal) else { return nil }
            self.type = name
            let diagnosis = Diagnosis(refusal, child: child)
            message = "\(diagnosis.code): \(diagnosis.summary)"
            return
        case .retransmitted: type = "retransmit-send"
        case .answeredAgain: type = "retransmit-receive"
        case .dropped(.malformed, _): type = "parse-error-header"
        case .dropped(.unknownSPI, _): type = "invalid-ike-spi"
        case .ikeClosed(.expired): type = "ike-sa-expired"
        case .ikeClosed(.shutdown): type = "shutdown-signal"
        default: type = nil
        }
        guard let type else { return nil }
        self.type = type
        message = EventText(event).text
    }

    private static func type(of refusal: Refusal) -> String? {
        switch refusal {
        case .noIKEProposal: "proposal-mismatch-ike"
        case .noChildProposal: "proposal-mismatch-child"
        case .identityMismatch, .wrongProof, .wrongMethod, .notUs, .portChanged: "peer-auth-failed"
        case .noSecret, .noPrivateKey: "local-auth-failed"
        case .untrusted(_, let problem), .eapFailed(_, _, .untrusted(let problem)): type(of: problem)
        case .eapFailed(_, _, .noServer): "radius-not-responding"
        case .eapFailed(_, let isPeer, _): isPeer ? "peer-auth-failed" : "local-auth-failed"
        case .noLease, .noVirtualAddress: "vip-failure"
        case .selectorsDisjoint: "ts-mismatch"
        case .malformed: "parse-error-body"
        case .planeRefused(_, let isPolicy): isPolicy ? "install-child-policy-failed" : "install-child-sa-failed"
        case .alreadyConnected: "unique-keep"
        case .noAnswer(let exchange, _, _, _):
            exchange == "IKE_SA_INIT" ? "peer-init-unreachable" : "retransmit-send-timeout"
        case .notGoneOn: "half-open-timeout"
        case .noPath: "peer-addr-failed"
        case .byPeer(let notify, _, let exchange, _):
            switch notify {
            case 14: exchange == "IKE_SA_INIT" ? "proposal-mismatch-ike" : "proposal-mismatch-child"
            case 24: "local-auth-failed"
            case 38: "ts-mismatch"
            default: "authorization-failed"
            }
        default: nil
        }
    }

    private static func type(of problem: CertificateProblem) -> String {
        switch problem {
        case .expired, .notYetValid: "cert-expired"
        case .revoked: "cert-revoked"
        case .revocationUnknown: "cert-validation-failed"
        // One that has issued itself is a root that nobody here trusts.
        case .untrustedIssuer(let subject, let issuer): subject == issuer ? "cert-untrusted-root" : "cert-no-issuer"
        case .pathTooLong: "cert-exceeded-path-len"
        case .wrongPolicy, .forbiddenName: "cert-policy-violation"
        default: "peer-auth-failed"
        }
    }
}
