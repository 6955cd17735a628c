import EAPEngine
import GatewayModel
import IPsecCrypto
import SwanctlConfig
import Testing
import Trust
import WireFormat

@testable import Gateway

/// What somebody who looks for a fault reads about an authentication, and what nobody ever reads.
@Suite struct AuthenticationNotesTests {
    /// What each end of a pair considered.
    private static func notes(_ pair: NodePair) -> (hq: String, branch: String) {
        var (hq, branch) = ("", "")
        for node in [pair.hq, pair.branch] { node.gateway.tellsConsiderations = true }
        pair.hq.gateway.onConsideration = { hq += "<\($0)> \($2)\n" }
        pair.branch.gateway.onConsideration = { branch += "<\($0)> \($2)\n" }
        pair.initiate()
        return (hq, branch)
    }

    @Test("Which shared key, by whose names, or which there are where none fits")
    func sharedKeys() throws {
        let secret = "a-key-of-two-sites-to-be-kept"
        let pair = NodePair(hq: try Fixtures.hq(secret: secret), branch: try Fixtures.branch(secret: secret))
        let told = Self.notes(pair)
        #expect(
            told.hq.contains(
                "<branch> we prove that we are 'hq.example', with 'branch.example' at the other end: shared key "
                    + "'ike-branch' for 'hq.example' and 'branch.example'"), "\(told.hq)")
        #expect(told.branch.contains("the peer is to prove itself to 'branch.example'"), "\(told.branch)")
        #expect(!(told.hq + told.branch).contains(secret))
        let stranger = try Fixtures.site(
            "mars", "branch", at: Fixtures.addresses.hq, to: Fixtures.addresses.branch,
            networks: ("10.1.0.0/16", "10.2.0.0/16"), secret: secret)
        let other = try Fixtures.branch(secret: secret, lines: "version = 2")
        var open = other
        open.connections[0].remote.identity = .any
        let refused = Self.notes(NodePair(hq: stranger, branch: open))
        #expect(
            refused.branch.contains("with 'mars.example' at the other end: shared key 'ike-hq' for 'branch.example'"),
            "\(refused.branch)")
    }

    @Test("Which certificate was tried, which was not, and why; what the peer sent and whom we trust")
    func certificates() throws {
        let authority = try CertifiedTunnelTests.Authority()
        let stranger = try CertifiedTunnelTests.Authority("Stranger")
        var hq = try CertifiedTunnelTests.Site("hq", "branch", try authority.issue("hq"), trusts: [authority])
        let (foreign, keyless) = (try stranger.issue("foreign", .ed25519), try authority.issue("keyless"))
        let small = try authority.issue("small", .rsa(bits: 2048), names: "DNS:hq.example")
        for (name, issued) in [("foreign", foreign), ("keyless", keyless), ("small", small)] {
            hq.files["x509/\(name).pem"] = issued.certificate.pem
            if name != "keyless" { hq.files["private/\(name).pem"] = issued.key.pem()?.exposedBytes() }
        }
        hq.local =
            "auth = ecdsa-256-ed25519\n certs = foreign.pem, keyless.pem, small.pem, own.pem\n id = hq.example"
        let branch = try CertifiedTunnelTests.Site("branch", "hq", try authority.issue("branch"), trusts: [authority])
        let told = Self.notes(NodePair(hq: try hq.loaded(), branch: try branch.loaded()))
        for clause in [
            "certificate 'O=Lab, CN=keyless' is not tried: its private key is not loaded",
            "certificate 'O=Lab, CN=small' (RSA 2048): bears 'hq.example', leads to an authority that the peer named, "
                + "can't sign in a way that the peer and auth = ecdsa-256-ed25519 allow: not used",
            "certificate 'O=Lab, CN=hq' (ECDSA P-256): bears 'hq.example', leads to an authority that the peer named, "
                + "can sign by ECDSA with SHA-256: used",
            "certificate 'O=Lab, CN=foreign' (Ed25519): does not bear 'hq.example', leads to none that the peer named, "
                + "can sign by",
        ] {
            #expect(told.hq.contains(clause), "\(clause) | \(told.hq)")
        }
        for clause in [
            "the peer says that it is 'hq.example'", "'O=Lab, CN=hq' issued by 'O=Lab, CN=Root'",
            "we trust 'O=Lab, CN=Root'; auth = pubkey, revocation = relaxed",
        ] {
            #expect(told.branch.contains(clause), "\(clause) | \(told.branch)")
        }
    }

    @Test("Which EAP method was offered, refused and used, and never a password")
    func methods() throws {
        let told = Self.notes(try EAPTunnelTests.pair("eap-mschapv2", server: "eap-tls, eap-mschapv2"))
        for clause in [
            "we offer EAP_TLS, EAP_MSCHAPV2", "EAP, we: request: who is it?", "response: it is 'carol'",
            "request: EAP_TLS, start", "response: not that method, rather EAP_MSCHAPV2",
            "request: EAP_MSCHAPV2 challenge", "response: EAP_MSCHAPV2 response",
            "EAP succeeds by EAP_MSCHAPV2 as 'carol', with a key",
        ] {
            #expect(told.branch.contains(clause), "\(clause) | \(told.branch)")
        }
        #expect(told.hq.contains("EAP, we: response: not that method, rather EAP_MSCHAPV2"), "\(told.hq)")
        for method in ["eap-mschapv2", "eap-md5", "eap-gtc", "eap-ttls", "eap-peap"] {
            for password in ["a-password-nobody-may-see", "another-of-ours"] {
                let both = Self.notes(try EAPTunnelTests.pair(method, password: password))
                #expect(!(both.hq + both.branch).contains("nobody-may-see"))
                #expect(!(both.hq + both.branch).contains("another-of-ours"))
            }
        }
    }

    @Test("Packets of any octets are described, in words that are bounded")
    func rubbish() {
        var packets: [[UInt8]] = [
            [], [1], [2, 1, 0, 5, 3], [2, 1, 0, 7, 3, 0, 254], [1, 1, 0, 5, 26], [1, 1, 0, 5, 13],
        ]
        packets.append(EAPPacket(.response, 1, .identity, [UInt8](repeating: 27, count: 5000)).encoded)
        packets.append(EAPPacket(.response, 1, .nak, [UInt8](0...255)).encoded)
        for kind in UInt8.min...UInt8.max { packets.append([1, 1, 0, 6, kind, 255]) }
        for packet in packets { #expect((1...2000).contains(AuthenticationNotes.describe(packet).utf8.count)) }
        #expect(
            AuthenticationNotes.describe([1, 2, 0, 14, 21, 0x80, 0, 0, 0, 7, 21, 3, 3, 0, 2, 2, 40]).isEmpty == false)
        let alert: [UInt8] = [1, 2, 0, 13, 21, 0, 21, 3, 3, 0, 2, 2, 40]
        #expect(AuthenticationNotes.describe(alert) == "request: EAP_TTLS, a TLS alert 40")
    }

    @Test("They are written at level 3 only, and name the connection")
    func level() {
        var lines: [String] = []
        let terse = EventLog(level: 2, unixTime: { 0 }, write: { lines.append($0.line) })
        terse.consider("gw", IKESAID(rawValue: 7), "what was considered\u{1b}[31m")
        #expect(lines.isEmpty)
        let log = EventLog(level: 3, unixTime: { 0 }, write: { lines.append($0.line) })
        log.consider("gw", IKESAID(rawValue: 7), "what was considered\u{1b}[31m")
        #expect(lines.count == 1 && lines[0].contains("[IKE] <gw|7> what was considered"))
        #expect(!lines[0].contains("\u{1b}"))
    }
}
