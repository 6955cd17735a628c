import GatewayModel
import IPsecCrypto
import Testing
import Trust
import WireFormat

@testable import EAPEngine

/// An authority, a server and a client, and what each end of a conversation has of them.
struct Zoo: Sendable {
    /// 2027-01-15.
    static let now: Int64 = 1_800_000_000

    let authority: Certificate
    let server: TLSSession.Credential
    let client: TLSSession.Credential

    init(clientEmail: String = "carol@example.org", serverHost: String = "moon.example") throws {
        let key = try PrivateKey(generating: .p256)
        authority = try #require(
            Self.issue(CertificateIssuer(nil, key), "root", key, .init(.authority(pathLength: nil))))
        let issuer = CertificateIssuer(authority, key)
        var gateway = CertificateProfile(.gateway)
        gateway.hosts = [serverHost]
        let serverKey = try PrivateKey(generating: .p256)
        server = TLSSession.Credential(
            key: serverKey, chain: [try #require(Self.issue(issuer, serverHost, serverKey, gateway))])
        var user = CertificateProfile(.client)
        user.emails = [clientEmail]
        let clientKey = try PrivateKey(generating: .p256)
        client = TLSSession.Credential(
            key: clientKey, chain: [try #require(Self.issue(issuer, "carol", clientKey, user))])
    }

    private static func issue(
        _ issuer: CertificateIssuer, _ name: String, _ key: PrivateKey, _ profile: CertificateProfile
    ) -> Certificate? {
        guard let subject = DistinguishedName(text: "C=CH, CN=\(name)") else { return nil }
        return issuer.issue(
            subject, key.publicKey, profile, serial: [UInt8(name.utf8.count)],
            validity: (now - 86_400)...(now + 86_400))
    }
}

/// One end's keys and whom it trusts.
struct End: EAPCertificates {
    var own: TLSSession.Credential?
    var anchors: [Certificate]
    var wanted: Identity
    var latest = TLSSession.Version.tls13

    func session(isServer: Bool, mutual: Bool) -> TLSSession? {
        TLSSession(
            isServer: isServer, own: isServer || mutual ? own : nil, anchors: !isServer || mutual ? anchors : [],
            at: Zoo.now, latest: latest)
    }

    func judge(_ chain: [Certificate], name: [UInt8]?) throws(CertificateProblem) -> PeerCertificate {
        guard let leaf = chain.first else { throw .none }
        let identity = name.map { Identity(eapName: $0) } ?? wanted
        guard IdentityBinding.holds(identity, leaf) else {
            throw .wrongName(claimed: identity, subject: leaf.name, names: IdentityBinding.names(of: leaf))
        }
        return PeerCertificate(
            chain: chain.map(\.name), serial: "", ends: nil, key: "", signature: "", revocation: .notChecked)
    }
}

/// TLS inside EAP: EAP-TLS, TTLS and PEAP against each other.
@Suite struct TLSConversationTests {
    private func talk(
        _ method: EAPMethod, _ inner: EAPMethod = .mschapv2, _ latest: TLSSession.Version = .tls13,
        name: String = "carol@example.org", zoo: Zoo, peerPassword: String = "Ar3etTnp",
        change: (inout End, inout End) -> Void = { _, _ in }
    ) -> Conversation {
        let rules = EAPRules(methods: [method], inner: [inner])
        var conversation = Conversation(
            rules, rules, name: name, server: Passwords(known: [name: "Ar3etTnp"]),
            peer: Passwords(known: [name: peerPassword]))
        var server = End(
            own: zoo.server, anchors: [zoo.authority], wanted: .rfc822(name), latest: latest)
        var client = End(
            own: zoo.client, anchors: [zoo.authority], wanted: .fqdn("moon.example"), latest: latest)
        change(&server, &client)
        conversation.serverSide.certificates = server
        conversation.peerSide.certificates = client
        return conversation
    }

    @Test(arguments: [TLSSession.Version.tls12, .tls13])
    func certificatesOnBothSides(_ version: TLSSession.Version) throws {
        var conversation = talk(.tls, .mschapv2, version, zoo: try Zoo())
        let end = conversation.run()
        let (server, peer) = (try #require(end.server.outcome), try #require(end.peer?.outcome))
        #expect(server.key != nil && server.key == peer.key && server.key?.count == 64)
        #expect(server.provesServer && peer.provesServer)
        #expect(server.identity == .rfc822("carol@example.org"))
        #expect(server.certificate?.chain.first == "C=CH, CN=carol")
        #expect(peer.certificate?.chain.first == "C=CH, CN=moon.example")
        // Certificates are longer than one piece: it was cut, in both directions.
        #expect(conversation.packets.allSatisfy { $0.count <= TLSFraming.piece + 10 })
    }

    @Test(arguments: [EAPMethod.ttls, .peap], [EAPMethod.mschapv2, .md5, .gtc])
    func passwordsInsideTunnels(_ method: EAPMethod, _ inner: EAPMethod) throws {
        for version in [TLSSession.Version.tls12, .tls13] {
            var conversation = talk(method, inner, version, zoo: try Zoo())
            let end = conversation.run()
            let server = try #require(end.server.outcome, "\(end.server) \(version)")
            let peer = try #require(end.peer?.outcome, "\(String(describing: end.peer)) \(version)")
            #expect(server.key != nil && server.key == peer.key)
            #expect(server.identity == .rfc822("carol@example.org"))
            // Even a password as it is goes nowhere in clear.
            let secret = Array("Ar3etTnp".utf8)
            for packet in conversation.packets where packet.count >= secret.count {
                #expect(
                    !(0...(packet.count - secret.count)).contains { Array(packet[$0..<($0 + secret.count)]) == secret })
            }
        }
    }

    @Test(arguments: [EAPMethod.ttls, .peap])
    func wrongPasswordInsideFails(_ method: EAPMethod) throws {
        var conversation = talk(method, zoo: try Zoo(), peerPassword: "Ar3etTnq")
        let end = conversation.run()
        #expect(end.server.problem == .wrongPassword("carol@example.org"))
        #expect(end.peer?.problem != nil)
    }

    @Test func differentMethodsMakeDifferentKeys() throws {
        let zoo = try Zoo()
        for version in [TLSSession.Version.tls12, .tls13] {
            let made = [EAPMethod.tls, .ttls].map { method in
                (method, TLSSession(isServer: false, own: nil, anchors: [zoo.authority], at: Zoo.now, latest: version))
            }
            // Before a handshake is done there is no key at all.
            for (method, session) in made {
                #expect(session.flatMap { TLSKeys.sessionKey(method, $0) } == nil)
            }
        }
    }

    // MARK: Attack 15: certificates that are not good enough

    @Test(arguments: [EAPMethod.tls, .ttls, .peap], [TLSSession.Version.tls12, .tls13])
    func attack15ServerOfAStranger(_ method: EAPMethod, _ version: TLSSession.Version) throws {
        let (zoo, stranger) = (try Zoo(), try Zoo())
        var conversation = talk(method, .gtc, version, zoo: zoo) { server, _ in
            server.own = stranger.server
            server.anchors = [stranger.authority]
        }
        let end = conversation.run()
        guard case .tls? = end.peer?.problem else {
            Issue.record("\(String(describing: end.peer))")
            return
        }
    }

    @Test(arguments: [EAPMethod.tls, .ttls, .peap], [TLSSession.Version.tls12, .tls13])
    func attack5ServerWithAnotherName(_ method: EAPMethod, _ version: TLSSession.Version) throws {
        // A certificate of the right authority, and not the server's: nothing inside the tunnel may be said to it.
        var conversation = talk(method, .gtc, version, zoo: try Zoo(serverHost: "sun.example"))
        let end = conversation.run()
        guard case .untrusted(.wrongName)? = end.peer?.problem else {
            Issue.record("\(String(describing: end.peer))")
            return
        }
    }

    @Test(arguments: [TLSSession.Version.tls12, .tls13])
    func attack15ClientOfAStrangerOrWithoutACertificate(_ version: TLSSession.Version) throws {
        let (zoo, stranger) = (try Zoo(), try Zoo())
        for own in [stranger.client, nil] {
            var conversation = talk(.tls, .gtc, version, zoo: zoo) { _, client in client.own = own }
            let end = conversation.run()
            #expect(end.server.problem != nil)
            #expect(end.peer?.outcome == nil)
        }
    }

    @Test func attack17ClientWithAnothersName() throws {
        // Dave's certificate is good; she says that she is carol.
        var conversation = talk(.tls, zoo: try Zoo(clientEmail: "dave@example.org"))
        let end = conversation.run()
        guard case .untrusted(.wrongName)? = end.server.problem else {
            Issue.record("\(end.server)")
            return
        }
    }

    @Test func clientCertificateIsNotAServers() throws {
        // Purposes: what is made for a client does not serve (RFC 5216 §5.3).
        let zoo = try Zoo()
        var conversation = talk(.ttls, zoo: zoo) { server, client in
            server.own = zoo.client
            client.wanted = .rfc822("carol@example.org")
        }
        guard case .tls? = conversation.run().peer?.problem else {
            Issue.record("a client's certificate serves")
            return
        }
    }

    // MARK: Attack 1 in tunnels, attacks 25 and 26

    @Test(arguments: [EAPMethod.tls, .ttls, .peap], 1...12)
    func attack1SuccessAnywhereInTheMiddle(_ method: EAPMethod, _ place: Int) throws {
        var conversation = talk(method, zoo: try Zoo())
        let honest = conversation.run()
        #expect(honest.peer?.outcome != nil)
        let last = conversation.packets.count - 1
        let index = 2 * place
        guard index < last else { return }
        var cut = talk(method, zoo: try Zoo())
        let end = cut.run { $0 == index ? EAPPacket(.success, $1[1]).encoded : $1 }
        // What is inside a tunnel may be done a message before the end, and nothing before that.
        if index < last - 2 { #expect(end.peer?.outcome == nil, "\(method) at \(index) of \(last)") }
    }

    @Test func attack25FragmentsWithoutEnd() {
        var framing = TLSFraming()
        var count = 0
        do {
            while count < 1000 {
                #expect(try framing.take([0x40] + [UInt8](repeating: 1, count: 1000)) == .part)
                count += 1
            }
        } catch {}
        #expect(count == TLSFraming.most / 1000)
    }

    @Test(arguments: [
        [UInt8](), [0x80], [0x80, 0, 0, 0], [0x80, 0xff, 0xff, 0xff, 0xff, 1], [0xc0, 0, 0, 0, 9], [0x40],
        [0x80, 0, 0, 0, 1, 1, 2], [0x80, 0, 0, 0, 5, 1],
    ])
    func attack25LengthsThatLie(_ message: [UInt8]) {
        var framing = TLSFraming()
        #expect(throws: EAPProblem.self) { try framing.take(message) }
    }

    @Test func piecesFitTogether() throws {
        for count in [0, 1, 1023, 1024, 1025, 5000] {
            var (out, into) = (TLSFraming(), TLSFraming())
            let octets = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
            out.load(octets)
            var arrival = try into.take(out.next())
            while arrival == .part { arrival = try into.take(out.next()) }
            #expect(arrival == (count == 0 ? .acknowledgement : .whole(octets)))
            #expect(!out.hasMore)
        }
    }

    @Test(arguments: [
        [UInt8](repeating: 0, count: 7), [0, 0, 0, 79, 0x40, 0, 0, 7, 1, 2, 3, 4], [0, 0, 0, 79, 0x40, 0, 0, 0],
        [0, 0, 0, 79, 0xc0, 0, 0, 8], [0, 0, 0, 79, 0xc0, 0, 0, 11, 1, 2, 3], [0, 0, 0, 79, 0x40, 0xff, 0xff, 0xff],
    ])
    func attack25AttributeLengths(_ octets: [UInt8]) {
        #expect(throws: WireError.self) { try TunnelAttribute.list(octets) }
    }

    @Test func attributesRoundTrip() throws {
        var vendor = TunnelAttribute(11, [1, 2, 3, 4, 5])
        vendor.vendor = 311
        let list = [TunnelAttribute(1, Array("carol".utf8)), vendor, TunnelAttribute(79, [])]
        #expect(try TunnelAttribute.list(list.flatMap(\.encoded)) == list)
    }

    @Test func passwordAsItIsInTTLS() throws {
        // PAP (RFC 5281 §11.2.5), as phones send it: the password filled up with zeros.
        let terms = EAPServer.Terms(
            rules: EAPRules(methods: [.ttls], inner: [.gtc]), asked: .any, name: [], ownName: [])
        var side = EAPSurroundings(
            entropy: SystemEntropy(), secrets: Passwords(known: ["carol": "Ar3etTnp"]))
        func said(_ password: String) -> [UInt8] {
            let padded = Array(password.utf8) + [UInt8](repeating: 0, count: 16 - password.utf8.count)
            return TunnelAttribute(1, Array("carol".utf8)).encoded + TunnelAttribute(2, padded).encoded
        }
        var tunnel = TTLSServer(terms)
        guard case .done(let name) = tunnel.receive(said("Ar3etTnp"), next: 1, &side) else {
            Issue.record("the right password fails")
            return
        }
        #expect(name == Array("carol".utf8))
        tunnel = TTLSServer(terms)
        guard case .failed(.wrongPassword("carol")) = tunnel.receive(said("Ar3etTnq"), next: 1, &side) else {
            Issue.record("the wrong password does not fail")
            return
        }
        // Where no method that shows a password is allowed inside, this is none either.
        var strict = terms
        strict.rules.inner = [.mschapv2]
        tunnel = TTLSServer(strict)
        guard case .failed(.noCommonMethod) = tunnel.receive(said("Ar3etTnp"), next: 1, &side) else {
            Issue.record("a password as it is is taken")
            return
        }
    }
}
