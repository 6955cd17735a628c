import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes
import Testing

@testable import Telemetry

/// What is counted, and what is worth an alert.
@Suite struct MessageCountersTests {
    private let path = Path(
        local: Endpoint(IPAddress(v4: 0xc000_0201), 500), remote: Endpoint(IPAddress(v4: 0xc000_0202), 500))

    private func event(_ kind: Event.Kind, _ connection: String? = "gw") -> Event {
        Event(time: .zero, ikeSA: nil, connection: connection, kind: kind)
    }

    private func value(_ name: String, _ counts: [UInt64]?) -> UInt64? {
        MessageCounters.names.firstIndex(of: name).flatMap { counts?[$0] }
    }

    @Test func messagesByKindAndDirection() {
        var counters = MessageCounters()
        counters.count(event(.exchanged(.init(exchange: 34, isResponse: false, isSent: true))))
        counters.count(event(.exchanged(.init(exchange: 34, isResponse: true, isSent: false))))
        counters.count(event(.exchanged(.init(exchange: 37, isResponse: false, isSent: false)), nil))
        counters.count(event(.dropped(.unknownSPI, path), nil))
        counters.countIKERekey(weInitiated: false, "gw")
        #expect(value("ike-init-out-req", counters.all) == 1 && value("ike-init-in-resp", counters.all) == 1)
        #expect(value("info-in-req", counters.all) == 1 && value("invalid-spi", counters.all) == 1)
        #expect(value("info-in-req", counters.connection("gw")) == 0)
        #expect(value("ike-rekey-resp", counters.connection("gw")) == 1)
        counters.reset()
        #expect(counters.all.allSatisfy { $0 == 0 } && counters.connections == ["gw"])
        counters.reset("gw")
        #expect(counters.connection("gw") == nil)
    }

    @Test(
        arguments: [
            (.noConnection(nil), nil), (.tooFew, "proposal-mismatch-ike"), (.silence, "peer-init-unreachable"),
        ] as [(Sample, String?)])
    func alerts(_ sample: Sample, _ type: String?) {
        let refusal: Refusal =
            switch sample {
            case .noConnection: .noConnection(path)
            case .tooFew: .noIKEProposal(ours: [], theirs: [])
            case .silence: .noAnswer(exchange: "IKE_SA_INIT", path: path, tries: 5, waited: .seconds(165))
            }
        #expect(Alert(event(.refused(refusal, child: nil)))?.type == type)
        #expect(Alert(event(.peerAlive)) == nil)
    }

    /// Each cause that strongSwan's alerts tell apart is told apart here.
    @Test func alertsOfCertificatesAndOthers() {
        let who = Identity.fqdn("peer")
        func certificate(_ problem: CertificateProblem) -> String? {
            let inTLS = Alert(event(.refused(.eapFailed(identity: who, isPeer: true, .untrusted(problem)), child: nil)))
            let alert = Alert(event(.refused(.untrusted(remote: who, problem), child: nil)))
            #expect(inTLS?.type == alert?.type)
            return alert?.type
        }
        #expect(certificate(.expired(subject: "a", ended: 0)) == "cert-expired")
        #expect(certificate(.notYetValid(subject: "a", begins: 0)) == "cert-expired")
        #expect(certificate(.revoked(subject: "a", source: "b")) == "cert-revoked")
        #expect(certificate(.revocationUnknown(subject: "a", reason: "b")) == "cert-validation-failed")
        #expect(certificate(.untrustedIssuer(subject: "a", issuer: "b")) == "cert-no-issuer")
        #expect(certificate(.untrustedIssuer(subject: "a", issuer: "a")) == "cert-untrusted-root")
        #expect(certificate(.pathTooLong(subject: "a")) == "cert-exceeded-path-len")
        #expect(certificate(.wrongPolicy(subject: "a", wanted: [])) == "cert-policy-violation")
        #expect(certificate(.forbiddenName(subject: "a")) == "cert-policy-violation")
        #expect(certificate(.wrongPurpose(subject: "a", has: [])) == "peer-auth-failed")
        func alert(_ refusal: Refusal) -> String? { Alert(event(.refused(refusal, child: nil)))?.type }
        #expect(alert(.eapFailed(identity: who, isPeer: true, .noServer("x"))) == "radius-not-responding")
        #expect(alert(.eapFailed(identity: who, isPeer: true, .wrongPassword("x"))) == "peer-auth-failed")
        #expect(alert(.eapFailed(identity: who, isPeer: false, .refused(method: nil))) == "local-auth-failed")
        #expect(alert(.noPrivateKey(local: who, reason: "x")) == "local-auth-failed")
        #expect(alert(.noLease(identity: who, wanted: [], reason: "x")) == "vip-failure")
        #expect(alert(.noVirtualAddress(wanted: [])) == "vip-failure")
        #expect(alert(.planeRefused(reason: "x")) == "install-child-sa-failed")
        #expect(alert(.planeRefused(reason: "x", isPolicy: true)) == "install-child-policy-failed")
    }

    @Test func anIKESAThatStaysWithoutItsChildIsAnAlertOfItsOwn() {
        var refused = event(.refused(.noChildProposal(child: "net", ours: [], theirs: []), child: "net"))
        #expect(Alert.all(refused).map(\.type) == ["proposal-mismatch-child"])
        refused.ikeSA = IKESAID(rawValue: 1)
        #expect(Alert.all(refused).map(\.type) == ["proposal-mismatch-child", "keep-on-child-sa-failure"])
        #expect(Alert.all(event(.peerAlive)).isEmpty)
    }

    enum Sample: Sendable {
        case noConnection(Int?)
        case tooFew
        case silence
    }
}
