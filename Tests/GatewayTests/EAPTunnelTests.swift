import EAPEngine
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import SwanctlConfig
import Telemetry
import Testing
import Trust

@testable import Gateway

/// A client that proves itself by EAP to a gateway with a certificate: everything of ours but the network.
@Suite struct EAPTunnelTests {
    private static let password = "a-password-nobody-may-see"

    /// `hq` is the client, `branch` the gateway.
    static func pair(
        _ method: String, server: String? = nil, password: String = Self.password, name: String = "carol",
        asked: String = "eap_id = %any", proves: String = "pubkey", names: String = "email:carol@hq.example",
        host: String = "DNS:branch.example", serverSecrets: String? = nil, revoked: [[UInt8]]? = nil,
        policy: String = "relaxed"
    ) throws -> NodePair {
        let authority = try CertifiedTunnelTests.Authority()
        var hq = try CertifiedTunnelTests.Site(
            "hq", "branch", try authority.issue("hq", names: names), trusts: [authority])
        var branch = try CertifiedTunnelTests.Site(
            "branch", "hq", try authority.issue("branch", names: host), trusts: [authority])
        hq.local = "auth = \(method)\n id = hq.example\n eap_id = \"\(name)\""
        hq.remote = "auth = \(proves)\n id = branch.example"
        branch.local = "auth = \(proves)\n certs = own.pem\n id = branch.example"
        branch.remote = "auth = \(server ?? method)\n id = %any\n revocation = \(policy)\n \(asked)"
        if let revoked {
            let entries = revoked.map { RevocationList.Entry(serial: $0, moment: 1, reason: nil) }
            let list = CertificateIssuer(authority.certificate, authority.key).revocationList(
                entries, validity: 1...4_000_000_000, number: 1)
            branch.files["x509crl/list.der"] = try #require(list).der
        }
        return NodePair(
            hq: try hq.loaded(secrets: "eap-me { id = \"\(name)\"\n secret = \(password)\n }"),
            branch: try branch.loaded(
                secrets: serverSecrets ?? "eap-carol { id = \"carol\"\n secret = \(Self.password)\n }"))
    }

    private static func words(_ node: Node) -> String {
        node.refusals.map { Diagnosis($0).text }.joined(separator: "\n")
    }

    @Test(arguments: ["eap-mschapv2", "eap-md5", "eap-gtc", "eap-ttls", "eap-peap"])
    func passwordMethods(_ method: String) throws {
        let pair = try Self.pair(method)
        pair.initiate()
        #expect(pair.hq.installed.count == 1, "\(pair.hq.refusals)")
        #expect(pair.branch.installed.count == 1, "\(pair.branch.refusals)")
        #expect(pair.branch.gateway.ikeSAs.first?.remoteEAPIdentity == .fqdn("carol"))
    }

    @Test func certificatesInEAP() throws {
        let pair = try Self.pair("eap-tls", name: "carol@hq.example")
        pair.initiate()
        #expect(pair.hq.installed.count == 1, "\(pair.hq.refusals)")
        #expect(pair.branch.installed.count == 1, "\(pair.branch.refusals)")
        #expect(pair.branch.gateway.ikeSAs.first?.remoteEAPIdentity == .rfc822("carol@hq.example"))
        #expect(pair.branch.gateway.ikeSAs.first?.remoteCertificate?.chain.first == "O=Lab, CN=hq")
        // The client has seen the gateway's twice: in IKE, and in TLS.
        let seen = pair.hq.events.count { if case .peerCertified = $0.kind { true } else { false } }
        #expect(seen == 2)
    }

    @Test(arguments: ["eap-tls", "eap-ttls", "eap-peap"])
    func eapAlone(_ method: String) throws {
        let name = method == "eap-tls" ? "carol@hq.example" : "carol"
        let pair = try Self.pair(method, name: name, proves: "eap")
        pair.initiate()
        #expect(pair.hq.installed.count == 1, "\(pair.hq.refusals)")
        #expect(pair.branch.installed.count == 1, "\(pair.branch.refusals)")
    }

    @Test func mschapv2DoesNotStandAlone() throws {
        let pair = try Self.pair("eap-mschapv2", proves: "eap")
        pair.initiate()
        #expect(pair.hq.installed.isEmpty && pair.branch.installed.isEmpty)
    }

    @Test(arguments: ["eap-mschapv2", "eap-md5", "eap-gtc", "eap-ttls", "eap-peap"])
    func wrongPassword(_ method: String) throws {
        let pair = try Self.pair(method, password: "another-password-of-ours")
        pair.initiate()
        #expect(pair.hq.installed.isEmpty && pair.branch.installed.isEmpty)
        #expect(Self.words(pair.branch).contains("The password of 'carol' is wrong"))
        #expect(!Self.words(pair.hq).isEmpty)
    }

    @Test func unknownName() throws {
        let pair = try Self.pair("eap-mschapv2", name: "mallory")
        pair.initiate()
        #expect(Self.words(pair.branch).contains("no password for 'mallory'"))
        #expect(pair.branch.installed.isEmpty)
    }

    @Test func methodsAreNegotiatedAmongTheConfiguredOnes() throws {
        let agreeing = try Self.pair("eap-mschapv2", server: "eap-tls, eap-mschapv2")
        agreeing.initiate()
        #expect(agreeing.branch.installed.count == 1, "\(agreeing.branch.refusals)")
        let differing = try Self.pair("eap-md5", server: "eap-mschapv2")
        differing.initiate()
        #expect(differing.branch.installed.isEmpty)
        #expect(Self.words(differing.branch).contains("No EAP method suits both sides"))
        #expect(Self.words(differing.hq).contains("No EAP method suits both sides"))
    }

    @Test func ntHashDoes() throws {
        // The NT hash of the password, as Windows keeps it.
        let pair = try Self.pair(
            "eap-mschapv2", password: "clientPass",
            serverSecrets: "ntlm-carol { id = carol\n secret = 0x44ebba8d5312b8d611474411f56989ae\n }")
        pair.initiate()
        #expect(pair.branch.installed.count == 1, "\(pair.branch.refusals)")
    }

    @Test func windowsPutsADomainBeforeTheName() throws {
        let pair = try Self.pair("eap-mschapv2", name: "BIGCO\\\\carol")
        pair.initiate()
        #expect(pair.branch.installed.count == 1, "\(pair.branch.refusals)")
    }

    @Test(arguments: ["eap-tls", "eap-ttls", "eap-peap"])
    func attack5GatewayWithAnotherNameInTLS(_ method: String) throws {
        // Alone, so that only the certificate in TLS speaks for the gateway.
        let name = method == "eap-tls" ? "carol@hq.example" : "carol"
        let pair = try Self.pair(method, name: name, proves: "eap", host: "DNS:somebody.else")
        pair.initiate()
        #expect(pair.hq.installed.isEmpty && pair.branch.installed.isEmpty)
        #expect(Self.words(pair.hq).contains("somebody.else"))
    }

    @Test func attack17ClientCertificateWithAnotherName() throws {
        let pair = try Self.pair("eap-tls", name: "carol@hq.example", names: "email:dave@hq.example")
        pair.initiate()
        #expect(pair.branch.installed.isEmpty)
        #expect(Self.words(pair.branch).contains("dave@hq.example"))
    }

    @Test("A certificate that is shown in TLS may be revoked as any other")
    func revokedInTLS() throws {
        func end(_ revoked: [[UInt8]]?, _ policy: String) throws -> NodePair {
            let pair = try Self.pair("eap-tls", name: "carol@hq.example", revoked: revoked, policy: policy)
            pair.initiate()
            return pair
        }
        // The client's certificate is the first that the authority issued: number 2.
        for policy in ["relaxed", "ifuri", "strict"] {
            let gone = try end([[2]], policy)
            #expect(gone.branch.installed.isEmpty && gone.hq.installed.isEmpty)
            #expect(Self.words(gone.branch).contains("has been revoked"), "\(gone.branch.refusals)")
            // The client learns no reason, and hears that it is over.
            #expect(Self.words(gone.hq).contains("The gateway refused us in EAP"), "\(gone.hq.refusals)")
            let good = try end([[9]], policy)
            #expect(good.branch.installed.count == 1, "\(good.branch.refusals)")
            let known = good.branch.gateway.ikeSAs.first?.remoteCertificate?.revocation
            guard case .good? = known else {
                Issue.record("\(String(describing: known))")
                continue
            }
        }
        #expect(try end(nil, "relaxed").branch.installed.count == 1)
        let unknown = try end(nil, "strict")
        #expect(unknown.branch.installed.isEmpty)
        #expect(Self.words(unknown.branch).contains("Nobody could tell whether"), "\(unknown.branch.refusals)")
    }

    @Test func nothingSecretIsTold() throws {
        for method in ["eap-mschapv2", "eap-md5", "eap-gtc", "eap-ttls", "eap-peap"] {
            for password in [Self.password, "another-password-of-ours"] {
                let pair = try Self.pair(method, password: password)
                pair.initiate()
                for node in [pair.hq, pair.branch] {
                    var told = ""
                    for event in node.events {
                        dump(event, to: &told)
                        told += EventText(event).text
                    }
                    dump(node.gateway.ikeSAs, to: &told)
                    #expect(!told.contains(Self.password) && !told.contains("another-password-of-ours"))
                }
            }
        }
    }

    @Test func conversationsAreForgotten() throws {
        let store = EAPStore()
        let certificates = NoCertificates()
        var connection = Connection(name: "c")
        connection.remote.eap = EAPRules(methods: [.md5])
        connection.remote.eapIdentity = .any
        let path = Path(
            local: Endpoint(IPAddress(v4: 0x7f00_0001), 500), remote: Endpoint(IPAddress(v4: 0x7f00_0002), 500))
        for number in 0..<(EAPStore.mostConversations + 100) {
            let question = EAPQuestion(
                conversation: .init(ikeSA: IKESAID(rawValue: UInt32(number) + 1), number: 0), connection: connection,
                isAuthenticator: true, ownIdentity: .fqdn("a"), otherIdentity: .fqdn("b"), path: path, message: nil)
            _ = store.answer(question, EAPPasswords([]), certificates)
        }
        // The oldest gave way.
        #expect(store.count == EAPStore.mostConversations)
        store.forget(.init(ikeSA: IKESAID(rawValue: UInt32(EAPStore.mostConversations) + 50), number: 0))
        #expect(store.count == EAPStore.mostConversations - 1)
    }
}

/// Nobody has any.
private struct NoCertificates: EAPCertificates {
    func session(isServer: Bool, mutual: Bool) -> TLSSession? { nil }
    func judge(_ chain: [Certificate], name: [UInt8]?) throws(CertificateProblem) -> PeerCertificate { throw .none }
}
