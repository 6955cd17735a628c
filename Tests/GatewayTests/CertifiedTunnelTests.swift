import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import SwanctlConfig
import Testing
import Trust
import WireFormat

@testable import Gateway

/// Two gateways that prove themselves with certificates.
@Suite struct CertifiedTunnelTests {
    /// One authority, and whoever it issues a certificate to.
    final class Authority {
        let key: PrivateKey
        let certificate: Certificate
        private var serial: UInt8 = 1

        init(_ name: String = "Root", _ kind: KeyKind = .p256, below parent: Authority? = nil) throws {
            key = try PrivateKey(generating: kind)
            let maker = parent.map { CertificateIssuer($0.certificate, $0.key) } ?? CertificateIssuer(nil, key)
            let subject = try #require(DistinguishedName(text: "O=Lab, CN=\(name)"))
            certificate = try #require(
                maker.issue(
                    subject, key.publicKey, serial: [serial],
                    validity: 0...4_000_000_000, extensions: [.init("basicConstraints", "critical,CA:TRUE")]))
        }

        func issue(
            _ name: String, _ kind: KeyKind = .p256, names: String? = nil, ends: Int64 = 4_000_000_000
        ) throws -> (key: PrivateKey, certificate: Certificate) {
            serial += 1
            let key = try PrivateKey(generating: kind)
            let subject = try #require(DistinguishedName(text: "O=Lab, CN=\(name)"))
            let certificate = try #require(
                CertificateIssuer(self.certificate, self.key).issue(
                    subject, key.publicKey, serial: [serial],
                    validity: 0...ends, extensions: [.init("subjectAltName", names ?? "DNS:\(name).example")]))
            return (key, certificate)
        }
    }

    struct Site {
        var name: String
        var peer: String
        var files: [String: [UInt8]]
        var local: String
        var remote: String
        var more = ""

        init(
            _ name: String, _ peer: String, _ own: (key: PrivateKey, certificate: Certificate), trusts: [Authority],
            between: [Authority] = []
        ) throws {
            (self.name, self.peer) = (name, peer)
            files = [
                "x509/own.pem": own.certificate.pem, "private/own.pem": try #require(own.key.pem()).exposedBytes(),
            ]
            for (index, authority) in (trusts + between).enumerated() {
                files["x509ca/\(index).pem"] = authority.certificate.pem
            }
            local = "auth = pubkey\n certs = own.pem\n id = \(name).example"
            remote = "auth = pubkey\n id = \(peer).example"
        }

        func loaded(secrets: String = "") throws -> LoadedConfiguration {
            let isHQ = name == "hq"
            let (own, other) = isHQ ? ("127.0.0.1", "127.0.0.2") : ("127.0.0.2", "127.0.0.1")
            let (ours, theirs) = isHQ ? ("10.1.0.0/16", "10.2.0.0/16") : ("10.2.0.0/16", "10.1.0.0/16")
            var all = files
            all["test.conf"] = Array(
                """
                connections { \(peer) {
                    local_addrs = \(own)
                    remote_addrs = \(other)
                    \(more)
                    local { \(local)
                    }
                    remote { \(remote)
                    }
                    children { net { local_ts = \(ours)
                      remote_ts = \(theirs)
                    } }
                } }
                secrets { ike { secret = "a shared secret of two sites"
                }
                \(secrets)
                }
                """.utf8)
            return try LoadedConfiguration(path: "test.conf", source: FilesInMemory(all))
        }
    }

    private static func sites(
        _ kind: KeyKind = .p256, change: (inout Site, inout Site) throws -> Void = { _, _ in }
    ) throws -> NodePair {
        let authority = try Authority("Root", kind)
        var hq = try Site("hq", "branch", try authority.issue("hq", kind), trusts: [authority])
        var branch = try Site("branch", "hq", try authority.issue("branch", kind), trusts: [authority])
        try change(&hq, &branch)
        return NodePair(hq: try hq.loaded(), branch: try branch.loaded())
    }

    private static func proved(_ node: Node) -> [PeerCertificate] {
        node.events.compactMap { if case .peerCertified(let certificate) = $0.kind { certificate } else { nil } }
    }

    private static func problem(_ node: Node) -> CertificateProblem? {
        for case .untrusted(_, let problem) in node.refusals { return problem }
        return nil
    }

    @Test(
        "A tunnel comes up with every kind of key, and status names the peer's certificate",
        arguments: [KeyKind.rsa(bits: 2048), .p256, .p384, .p521, .ed25519, .ed448])
    func kinds(_ kind: KeyKind) throws {
        let pair = try Self.sites(kind)
        pair.initiate()
        for (node, peer) in [(pair.hq, "branch"), (pair.branch, "hq")] {
            #expect(node.refusals.isEmpty, "\(node.refusals)")
            #expect(node.installed.map(\.name) == ["net"])
            let certificate = try #require(Self.proved(node).first)
            #expect(certificate.chain == ["O=Lab, CN=\(peer)", "O=Lab, CN=Root"])
            #expect(certificate.key == kind.description)
            #expect(node.gateway.ikeSAs.first?.remoteCertificate == certificate)
        }
    }

    @Test("One end may use a certificate and the other the shared key")
    func mixed() throws {
        let pair = try Self.sites { hq, branch in
            hq.local = "auth = psk\n id = hq.example"
            branch.remote = "auth = psk\n id = hq.example"
        }
        pair.initiate()
        #expect(pair.hq.installed.count == 1 && pair.branch.installed.count == 1)
        #expect(Self.proved(pair.hq).count == 1 && Self.proved(pair.branch).isEmpty)
    }

    @Test("A shared key does not stand in for a certificate, nor a certificate for a shared key")
    func wrongMethod() throws {
        for isSigner in [true, false] {
            let pair = try Self.sites { hq, branch in
                if isSigner {
                    branch.remote = "auth = psk\n id = hq.example"
                } else {
                    hq.local = "auth = psk\n id = hq.example"
                }
            }
            pair.initiate()
            #expect(pair.branch.installed.isEmpty && pair.hq.installed.isEmpty)
            guard case .wrongMethod(let expected, let received, _)? = pair.branch.refusals.first else {
                Issue.record("\(pair.branch.refusals)")
                continue
            }
            #expect(expected == (isSigner ? .sharedKey : .publicKey) && received == (isSigner ? 14 : 2))
        }
    }

    @Test("Intermediate certificates travel, whichever root the other end trusts")
    func intermediate() throws {
        let root = try Authority()
        let middle = try Authority("Middle", below: root)
        let hq = try Site("hq", "branch", try middle.issue("hq"), trusts: [root], between: [middle])
        let branch = try Site("branch", "hq", try root.issue("branch"), trusts: [root])
        let pair = NodePair(hq: try hq.loaded(), branch: try branch.loaded())
        pair.initiate()
        #expect(pair.branch.refusals.isEmpty, "\(pair.branch.refusals)")
        #expect(Self.proved(pair.branch).first?.chain.count == 3)
    }

    @Test("Raw public keys, and certificates that are configured and not sent")
    func without() throws {
        let keys = try Self.sites { hq, branch in
            let pair = (try PrivateKey(generating: .ed25519), try PrivateKey(generating: .ed25519))
            for (index, key) in [pair.0, pair.1].enumerated() {
                for site in [0, 1] {
                    let path = "pubkey/\(index).der"
                    if site == 0 {
                        hq.files[path] = key.publicKey.info
                    } else {
                        branch.files[path] = key.publicKey.info
                    }
                }
            }
            hq.files["private/raw.pem"] = pair.0.pem()?.exposedBytes()
            branch.files["private/raw.pem"] = pair.1.pem()?.exposedBytes()
            hq.local = "auth = pubkey\n pubkeys = 0.der\n id = hq.example"
            hq.remote = "auth = pubkey\n pubkeys = 1.der\n id = branch.example"
            branch.local = "auth = pubkey\n pubkeys = 1.der\n id = branch.example"
            branch.remote = "auth = pubkey\n pubkeys = 0.der\n id = hq.example"
        }
        keys.initiate()
        #expect(keys.hq.installed.count == 1, "\(keys.hq.refusals) \(keys.branch.refusals)")
        #expect(Self.proved(keys.hq).first?.key == "Ed25519")

        let pinned = try Self.sites { hq, branch in
            (hq.files["x509/peer.pem"], branch.files["x509/peer.pem"]) = (
                branch.files["x509/own.pem"], hq.files["x509/own.pem"]
            )
            for index in [0, 1] {
                let peer = index == 0 ? "branch" : "hq"
                let remote = "auth = pubkey\n certs = peer.pem\n id = \(peer).example"
                if index == 0 { hq.remote = remote } else { branch.remote = remote }
            }
            (hq.more, branch.more) = ("send_cert = never", "send_cert = never")
        }
        pinned.initiate()
        #expect(pinned.branch.installed.count == 1, "\(pinned.hq.refusals) \(pinned.branch.refusals)")
        #expect(Self.proved(pinned.branch).first?.chain == ["O=Lab, CN=hq"])
    }

    @Test("Whom nobody trusts, whose time is over and who has another's name is refused, and learns no reason")
    func refusals() throws {
        func outcome(_ change: (inout Site, inout Site) throws -> Void) throws -> CertificateProblem? {
            let pair = try Self.sites(change: change)
            pair.initiate()
            #expect(pair.hq.installed.isEmpty && pair.branch.installed.isEmpty)
            // What the peer hears is the same in every case.
            guard case .byPeer(24, _, _, _)? = pair.hq.refusals.first else {
                Issue.record("\(pair.hq.refusals)")
                return nil
            }
            return Self.problem(pair.branch)
        }
        let stranger = try Authority("Stranger")
        func replace(_ site: inout Site, _ own: (key: PrivateKey, certificate: Certificate)) {
            site.files["x509/own.pem"] = own.certificate.pem
            site.files["private/own.pem"] = own.key.pem()?.exposedBytes()
        }
        let untrusted = try outcome { hq, _ in replace(&hq, try stranger.issue("hq")) }
        #expect(untrusted == .untrustedIssuer(subject: "O=Lab, CN=hq", issuer: "O=Lab, CN=Stranger"))
        let late = try outcome { hq, branch in
            let own = try stranger.issue("hq", ends: 1_000_000_000)
            replace(&hq, own)
            branch.files["x509ca/9.pem"] = stranger.certificate.pem
        }
        #expect(late == .expired(subject: "O=Lab, CN=hq", ended: 1_000_000_000))
        let renamed = try outcome { hq, branch in
            // The certificate is another's: we claim to be hq all the same.
            replace(&hq, try stranger.issue("mars", names: "DNS:mars.example"))
            hq.local = "auth = pubkey\n certs = own.pem\n id = mars.example"
            branch.files["x509ca/9.pem"] = stranger.certificate.pem
            branch.remote = "auth = pubkey\n id = %any\n cacerts = 0.pem"
        }
        #expect(renamed == .untrustedIssuer(subject: "O=Lab, CN=mars", issuer: "O=Lab, CN=Stranger"))
    }

    @Test("A false signature is refused, and a certificate alone proves nothing")
    func falseSignature() throws {
        let authority = try Authority()
        let (key, certificate) = try authority.issue("hq")
        var required = Connection.PeerAuthentication(method: .publicKey, identity: .any)
        required.authorities = [
            CertificateAuthority(
                certificate: authority.certificate.der, keyIdentifier: authority.certificate.key.identifier)
        ]
        let other = try PrivateKey(generating: .p256)
        let choice = try #require(SignatureChoice.choose(.p256, peerHashes: [2], SignatureRules()))
        func answer(_ signer: PrivateKey, _ certificates: [CertificatePayload]) throws -> Answer? {
            var proof = Query.Proof(
                connection: "c", method: .publicKey, signer: .fqdn("hq.example"), other: .fqdn("branch.example"),
                prf: .prfsha256, octets: [1, 2, 3])
            proof.evidence = Query.Proof.Evidence(
                required: required, authentication: try #require(choice.authentication([1, 2, 3], signer)),
                certificates: certificates, hashesAgreed: true)
            return SignatureStore().answer(.verify(proof, received: []), at: 1_700_000_000)
        }
        let payload = CertificatePayload(.x509Signature, certificate.der)
        if case .certified? = try answer(key, [payload]) {} else { Issue.record("the right key is refused") }
        if case .falseProof? = try answer(other, [payload]) {} else { Issue.record("another key is accepted") }
        if case .untrusted(.none)? = try answer(key, []) {} else { Issue.record("no certificate is accepted") }
    }

    /// The branch has an RSA and a P-256 certificate, the first preferred; what the other end takes decides (RFC 9593).
    @Test(
        "Of several keys, the one that the peer announced signs",
        arguments: ["pubkey", "pubkey-ike:ecdsa-sha256", "pubkey-ike:rsa/pss-sha384"])
    func announcedKey(_ rules: String) throws {
        let authority = try Authority()
        var hq = try Site("hq", "branch", try authority.issue("hq"), trusts: [authority])
        hq.remote = "auth = \(rules)\n id = branch.example"
        var branch = try Site("branch", "hq", try authority.issue("branch", .rsa(bits: 2048)), trusts: [authority])
        let second = try authority.issue("branch", .p256)
        branch.files["x509/second.pem"] = second.certificate.pem
        branch.files["private/second.pem"] = try #require(second.key.pem()).exposedBytes()
        branch.local = "auth = pubkey\n certs = own.pem, second.pem\n id = branch.example"
        // As the responder, and as the initiator.
        for starter in [\NodePair.hq, \NodePair.branch] {
            let pair = NodePair(hq: try hq.loaded(), branch: try branch.loaded())
            let node = pair[keyPath: starter]
            node.gateway.handle(
                .command(.initiate(connection: starter == \NodePair.hq ? "branch" : "hq", child: "net")))
            pair.run()
            let proof = try #require(Self.proved(pair.hq).first, "\(pair.hq.refusals)")
            #expect(proof.key.hasPrefix("RSA") != rules.contains("ecdsa"), "\(proof)")
            #expect((proof.signature == "RSA-PSS with SHA-384") == rules.contains("pss"), "\(proof)")
        }
    }

    @Test("Another configuration does not end tunnels; new ones use the new keys")
    func reload() throws {
        let authority = try Authority()
        let hq = try Site("hq", "branch", try authority.issue("hq"), trusts: [authority])
        let branch = try Site("branch", "hq", try authority.issue("branch"), trusts: [authority])
        let pair = NodePair(hq: try hq.loaded(), branch: try branch.loaded())
        pair.initiate()
        let stranger = try Authority("Stranger")
        pair.branch.gateway.replace(
            try Site("branch", "hq", try stranger.issue("branch"), trusts: [stranger]).loaded())
        #expect(pair.branch.gateway.ikeSAs.map(\.state) == [.established])
        pair.hq.gateway.handle(.command(.terminate(.connection("branch"))))
        pair.run()
        pair.initiate()
        #expect(pair.branch.gateway.ikeSAs.isEmpty)
        #expect(Self.problem(pair.branch) != nil)
        // And another one, with which both are content again: the new key is the one that proves.
        var mixed = try Site("branch", "hq", try stranger.issue("branch"), trusts: [authority, stranger])
        mixed.remote = "auth = pubkey\n id = hq.example\n cacerts = 0.pem"
        pair.branch.gateway.replace(try mixed.loaded())
        pair.hq.gateway.replace(
            try Site("hq", "branch", try authority.issue("hq"), trusts: [stranger]).loaded())
        pair.initiate()
        #expect(Self.proved(pair.hq).last?.chain == ["O=Lab, CN=branch", "O=Lab, CN=Stranger"])
    }

    @Test("The signing thread answers every question, and ends with its owner")
    func service() throws {
        let authority = try Authority()
        let (key, certificate) = try authority.issue("hq")
        var credentials = Credentials()
        credentials.keys = [key]
        credentials.certificates = [certificate]
        var own = Connection.Authentication(method: .publicKey, identity: nil)
        own.certificates = [certificate.der]
        let store = SignatureStore(credentials)
        let service = try SigningService(moment: { 1_700_000_000 })
        var proof = Query.Proof(
            connection: "c", method: .publicKey, signer: .fqdn("hq.example"), other: .fqdn("branch.example"),
            prf: .prfsha256, octets: [1])
        proof.wish = .init(own: own, peerHashes: [2], authorities: [], sendsCertificates: true)
        for number in 1...50 { service.ask(Ticket(rawValue: UInt64(number)), .prove(proof), store) }
        let poller = try Poller()
        try poller.add(service.descriptor, token: 1, .readable)
        var answered: [UInt64] = []
        var events: [PollEvent] = []
        while answered.count < 50 {
            try poller.wait(timeout: .seconds(30), into: &events)
            guard !events.isEmpty else { break }
            for (ticket, answer) in service.takeAnswers() {
                guard case .signed(let authentication, let certificates) = answer else { continue }
                #expect(authentication.method == .digitalSignature && certificates.count == 1)
                answered.append(ticket.rawValue)
            }
        }
        #expect(answered == Array(1...50))
    }
}
