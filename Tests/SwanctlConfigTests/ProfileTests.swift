import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes
import SwanctlConfig
import Testing

/// What profiles fill in, and what they refuse.
@Suite struct ProfileTests {
    /// A connection of this profile with one child.
    private func text(
        _ profile: String, _ lines: String = "", child: String = "", local: String = "",
        remote: String = "id = peer.example"
    ) -> String {
        """
        connections { gw {
            profile = \(profile)
            local_addrs = 192.0.2.1
            remote_addrs = 192.0.2.2
            \(lines)
            local { auth = psk
                \(local)
            }
            remote { auth = psk
                \(remote)
            }
            children { net {
                remote_ts = 10.0.0.0/8
                \(child)
            } }
        } }
        secrets { ike { secret = "a123456789.abcdef_"
        } }
        pools { p { addrs = 10.3.0.0/24
        } }
        """
    }

    private func connection(_ text: String) throws -> Connection { try #require(try load(text).connections.first) }

    /// What is wrong, without the place.
    private func mistakes(_ text: String) -> [String] {
        errors(text).map { $0.split(separator: "error: ", maxSplits: 1).last.map(String.init) ?? $0 }
    }

    private static let cloudflareID = "id = t1.acc.ipsec.cloudflare.com"

    @Test func cloudflareFillsIn() throws {
        let found = try connection(text("cloudflare", local: Self.cloudflareID))
        #expect(found.profile == "cloudflare")
        #expect(found.localPort == 4500 && found.remotePort == 4500 && found.remoteNATTraversalPort == 4500)
        #expect(found.forcesEncapsulation && found.dpdDelay == .seconds(30) && found.rekeyTime == .hours(24))
        let child = try #require(found.children.first)
        #expect(child.replayWindow == 0 && child.dpdAction == .start)
        #expect(!child.proposals.isEmpty && child.proposals.allSatisfy { !$0.transforms.contains(.esn) })
    }

    @Test func whatIsWrittenWins() throws {
        let found = try connection(
            text("cloudflare", "dpd_delay = 7s\nproposals = aes256gcm16-prfsha256-modp2048", local: Self.cloudflareID))
        #expect(found.dpdDelay == .seconds(7))
        #expect(found.proposals == [try Proposal(parsing: "aes256gcm16-prfsha256-modp2048", for: .ike)])
    }

    @Test(arguments: [
        "ipsec@t1.acc.ipsec.cloudflare.com", "t1.acc.ipsec.cloudflare.com", "site.acc.custom.ipsec.cloudflare.com",
        "keyid:acc_t1", "192.0.2.1",
    ])
    func cloudflareIdentities(id: String) throws {
        #expect(mistakes(text("cloudflare", local: "id = \(id)")) == [])
        #expect(mistakes(text("cloudflare-gateway", remote: "id = \(id)")) == [])
    }

    @Test(arguments: [
        "moon.example", "ipsec@cloudflare.com", "bob@t1.acc.ipsec.cloudflare.com", "a.b.c.ipsec.cloudflare.com",
        "keyid:acct1", "fd00::1", ".acc.ipsec.cloudflare.com",
    ])
    func otherIdentities(id: String) {
        for (profile, local, remote) in [
            ("cloudflare", "id = \(id)", "id = peer.example"), ("cloudflare-gateway", "", "id = \(id)"),
        ] {
            let found = mistakes(text(profile, local: local, remote: remote))
            #expect(found.count == 1 && found.first?.contains("none of the identities") == true, "\(found)")
        }
    }

    /// An address names a tunnel only where no other tunnel has the same two.
    @Test func anAddressHasToBeUnique() {
        func tunnel(_ name: String, _ id: String) -> String {
            text("cloudflare", local: id).replacing("connections { gw {", with: "\(name) {").split(
                separator: "secrets")[0]
                .description
        }
        func both(_ first: String, _ second: String) -> String {
            let bodies = [("a", first), ("b", second)].map { name, id in
                let body = tunnel(name, id)
                return String(body[..<(body.lastIndex(of: "}") ?? body.endIndex)])
            }
            return "connections { \(bodies.joined()) }\nsecrets { ike { secret = 0123456789\n} }"
        }
        let found = mistakes(both("id = 192.0.2.1", Self.cloudflareID))
        #expect(
            found.count == 1 && found.first?.contains("another tunnel, 'b', has the same two addresses") == true,
            "\(found)")
        #expect(mistakes(both("id = keyid:acc_t2", Self.cloudflareID)) == [])
    }

    @Test(arguments: [
        ("cloudflare", "remote_port = 500", "", "gw.remote_port: Cloudflare can't follow"),
        ("cloudflare", "local_port = 500", "", "gw.local_port: Cloudflare can't follow"),
        ("cloudflare", "", "replay_window = 32", "net.replay_window: Cloudflare needs a replay window of 0"),
        ("cloudflare", "", "esp_proposals = aes256gcm16-esn", "net.esp_proposals: Cloudflare has no extended"),
        ("cloudflare", "", "esp_proposals = chacha20poly1305", "net.esp_proposals: Cloudflare does not take chacha20"),
        ("cloudflare", "proposals = aes256-sha256-x25519", "", "gw.proposals: Cloudflare does not take x25519"),
        ("cloudflare", "proposals = aes128-sha256-modp2048", "", "gw.proposals: Cloudflare does not take aes128"),
        (
            "cloudflare", "proposals = aes256gcm16-prfsha384-ecp384-ke1_x448-ke2_modp1024", "",
            "gw.proposals: Cloudflare does not take x448, modp1024 in an additional key exchange; write mlkem768"
        ),
        (
            "aws", "proposals = aes256gcm16-prfsha384-ecp384-ke1_mlkem768", "",
            "gw.proposals: AWS does not take mlkem768 in an additional"
        ),
        (
            "aws", "", "esp_proposals = aes256gcm16-ecp384-ke1_mlkem1024",
            "net.esp_proposals: AWS does not take mlkem1024 in an additional"
        ),
        (
            "zscaler", "proposals = aes256-sha256-modp2048-ke1_mlkem768", "",
            "gw.proposals: Zscaler does not take mlkem768 in an additional"
        ),
        (
            "google", "proposals = aes256gcm16-prfsha256-ecp256-ke1_mlkem768", "",
            "gw.proposals: Google Cloud does not take mlkem768 in an additional"
        ),
        ("cloudflare", "encap = no", "ah_proposals = sha256", "net.ah_proposals: Cloudflare has no AH"),
        ("aws", "", "ah_proposals = sha256", "net.ah_proposals: AWS has no AH"),
        ("azure", "", "ah_proposals = sha256", "net.ah_proposals: Azure has no AH"),
        ("google", "", "ah_proposals = sha256", "net.ah_proposals: Google Cloud has no AH"),
        ("zscaler", "", "ah_proposals = aescmac", "net.ah_proposals: Zscaler does not take aescmac"),
        ("zscaler", "", "ah_proposals = sha256-esn", "net.ah_proposals: Zscaler has no extended"),
        ("aws", "", "esp_proposals = aes128-sha1", "net.esp_proposals: AWS takes no Child SA without a key exchange"),
        ("aws", "", "esp_proposals = aes128-sha1-none", "net.esp_proposals: AWS does not take none"),
        ("aws", "reauth_time = 24h", "", "gw.reauth_time: AWS has lifetimes of 900 to 28800 s"),
        (
            "zscaler", "proposals = aes256-sha256-prfsha512-modp1024", "",
            "gw.proposals: Zscaler has SHA-384 and SHA-512 with group 14"
        ),
        ("android", "pools = p\nproposals = 3des-sha1-modp1024", "", "gw.proposals: Android has no combination"),
        ("cloudflare-gateway", "", "replay_window = 64", "net.replay_window: Cloudflare's service needs"),
        ("cloudflare-gateway", "", "esp_proposals = aes256gcm16-esn", "net.esp_proposals: Cloudflare's service has no"),
        (
            "zscaler", "proposals = aes256-sha512-modp1024", "",
            "gw.proposals: Zscaler has SHA-384 and SHA-512 with group 14"
        ),
        ("zscaler", "proposals = 3des-sha1-modp2048", "", "gw.proposals: Zscaler has 3DES with group 2"),
        (
            "zscaler", "proposals = aes256gcm16-prfsha256-modp2048", "",
            "gw.proposals: Zscaler does not take aes256gcm16"
        ),
        ("zscaler", "rekey_time = 25h", "", "gw.rekey_time: Zscaler has lifetimes of 300 to 86400 s"),
        ("zscaler", "", "rekey_time = 9h", "net.rekey_time: Zscaler has lifetimes of 300 to 28800 s"),
        ("zscaler", "", "esp_proposals = aes256gcm16-esn", "net.esp_proposals: Zscaler has no extended"),
        ("zscaler-gateway", "proposals = aes256-sha384-ecp256", "", "gw.proposals: Zscaler has SHA-384"),
        ("aws", "proposals = aes256gcm16-prfsha384-x25519", "", "gw.proposals: AWS does not take x25519"),
        ("aws", "rekey_time = 9h", "", "gw.rekey_time: AWS has lifetimes of 900 to 28800 s"),
        ("aws", "", "rekey_time = 2h", "net.rekey_time: AWS has lifetimes of 900 to 3600 s"),
        ("aws", "rekey_time = 1h", "rekey_time = 1h", "net.rekey_time: AWS wants the lifetime of phase 2 shorter"),
        ("aws", "", "replay_window = 32", "net.replay_window: AWS needs a replay window of 64 to 2048"),
        ("azure", "dpd_delay = 5s", "", "gw.dpd_delay: Azure takes 9 to 3600 s"),
        ("azure", "proposals = aes256-sha256-x25519", "", "gw.proposals: Azure does not take x25519"),
        ("google", "proposals = aes256-aes128-sha256-modp2048", "", "gw.proposals: Google Cloud wants one algorithm"),
        ("google", "fragmentation = no", "", "gw.fragmentation: Google Cloud needs IKE fragmentation"),
        ("google", "", "esp_proposals = aes256gcm16-aes128gcm16", "net.esp_proposals: Google Cloud wants one"),
        ("google", "rekey_time = 11h", "", "gw.rekey_time: Google Cloud has lifetimes"),
        ("apple", "", "", "gw.pools: this client always asks"),
        ("android", "", "", "gw.pools: this client always asks"),
    ])
    func refusedAndWhy(profile: String, lines: String, child: String, message: String) {
        let local = profile == "cloudflare" ? Self.cloudflareID : ""
        let remote = profile == "cloudflare-gateway" ? Self.cloudflareID : "id = peer.example"
        let found = mistakes(text(profile, lines, child: child, local: local, remote: remote))
        #expect(found.contains { $0.contains(message) }, "\(found)")
        #expect(found.count == 1, "\(found)")
    }

    @Test(arguments: ["zscaler", "aws", "azure", "google"]) func cloudsLoadAsTheyAre(profile: String) throws {
        let found = try connection(text(profile))
        #expect(!found.proposals.isEmpty && found.rekeyTime > .zero && found.dpdDelay > .zero)
        #expect(found.children.first?.dpdAction == .start)
    }

    @Test func zscalerAsksAtAFixedPace() throws {
        let found = try connection(text("zscaler"))
        #expect(found.dpdDelay == .seconds(20) && found.dpdInterval == .seconds(20) && found.dpdTries == 5)
        #expect(found.rekeyTime == .hours(24) && found.children.first?.rekeyTime == .hours(8))
        #expect(found.largestChildCount == 8)
    }

    @Test func zscalerKnowsThreeKindsOfNames() {
        #expect(mistakes(text("zscaler", local: "id = bob@corp.example")) == [])
        let found = mistakes(text("zscaler", local: "id = keyid:abc"))
        #expect(found.count == 1 && found.first?.contains("FQDN, user FQDN or a public IPv4") == true)
        #expect(mistakes(text("zscaler-gateway", remote: "id = keyid:abc")).count == 1)
    }

    @Test func tooManyChildren() {
        let more = (1...8).map { "c\($0) { remote_ts = 10.\($0).0.0/16\n }" }.joined(separator: "\n")
        let found = mistakes(text("zscaler").replacing("children { net {", with: "children { \(more)\n net {"))
        #expect(found.count == 1 && found.first?.contains("Zscaler takes 8 children at most") == true, "\(found)")
        let two = text("aws").replacing("children { net {", with: "children { c1 { remote_ts = 10.1.0.0/16\n }\n net {")
        #expect(mistakes(two).first?.contains("AWS takes 1 child at most") == true)
    }

    @Test func googleKnowsAddressesOnly() {
        let found = mistakes(text("google", local: "id = moon.example"))
        #expect(found.count == 1 && found.first?.contains("public addresses only") == true)
    }

    @Test func clientsLoadWithAPool() throws {
        let found = try connection(text("apple", "pools = p"))
        #expect(found.children.first?.rekeyTime == .hours(24))
        let android = try connection(text("android", "pools = p"))
        #expect(android.pools == ["p"] && android.sendsCertificate == .always)
        // Windows has certificates or EAP only.
        let windows = mistakes(text("windows", "pools = p"))
        #expect(windows.count == 2 && windows.allSatisfy { $0.contains("no pre-shared keys") }, "\(windows)")
        let group = mistakes(text("windows", "pools = p", child: "esp_proposals = aes256-sha1-modp2048"))
        #expect(group.contains { $0.contains("error 13816") })
    }

    /// A client that proves itself by EAP; the gateway by a certificate, which is not looked at here.
    private func eapText(_ profile: String, _ lines: String = "", method: String, child: String = "") -> String {
        text(profile, "pools = p\n" + lines, child: child).replacing(
            "local { auth = psk", with: "local { auth = pubkey"
        )
        .replacing("remote { auth = psk", with: "remote { auth = \(method)")
    }

    @Test(arguments: [
        ("windows", "", "eap-md5", "gw.remote: Windows' client has no eap-md5"),
        ("apple", "", "eap-gtc", "gw.remote: Apple's client has no eap-gtc"),
        ("android", "", "eap-tls", "gw.remote: Android's client has no eap-tls; write auth = eap-mschapv2"),
        ("apple", "send_cert = never", "eap-tls", "gw.send_cert: Apple's client does not ask"),
        ("android", "send_cert = ifasked", "eap-mschapv2", "gw.send_cert: Android's client does not ask"),
        (
            "windows", "proposals = aes256-sha256-x25519", "eap-mschapv2",
            "gw.proposals: Windows has no combination of these algorithms; add aes256-sha256-modp2048"
        ),
        (
            "windows", "rekey_time = 4h\nproposals = aes256-sha256-modp1024, aes256-sha256-modp2048", "eap-mschapv2",
            "gw.proposals: where Windows has group 14, it has to come first"
        ),
        (
            "windows", "remote-2 { auth = eap-mschapv2\n }", "pubkey",
            "gw.remote: Windows knows one round of authentication only"
        ),
    ])
    func clientsAndTheirProofs(profile: String, lines: String, method: String, message: String) {
        let found = mistakes(eapText(profile, lines, method: method))
        #expect(found.contains { $0.contains(message) }, "\(found)")
        #expect(mistakes(eapText(profile, method: "eap-mschapv2")) == [])
    }

    @Test func windowsChangesAChildsKeysItself() {
        let found = mistakes(eapText("windows", method: "eap-mschapv2", child: "rekey_time = 1h"))
        #expect(found.contains { $0.contains("net.rekey_time: behind a NAT Windows refuses") }, "\(found)")
    }

    /// Packets and segments as long as the peer wants them; longer ones work, and cost.
    @Test(
        arguments: [
            ("zscaler", 1400, 1360), ("zscaler-gateway", 1400, 1360), ("azure", 1400, 1350), ("google", 1460, nil),
        ] as [(String, Int, Int?)])
    func packetSizes(profile: String, mtu: Int, segment: Int?) throws {
        let child = try #require(try connection(text(profile)).children.first)
        #expect(child.tunnel.mtu == mtu)
        #expect(child.tunnel.segmentSize == segment.map { .octets($0) } ?? .automatic)
        let long = try load(text(profile, child: "mtu = 1500\nmss = off")).warnings.map(\.message)
        #expect(
            long.contains { $0.contains("net.mtu: ") && $0.contains("packets of \(mtu) octets at most") }, "\(long)")
        #expect(long.contains { $0.contains("net.mss: ") } == (segment != nil), "\(long)")
        let short = try load(text(profile, child: "mtu = 1300\nmss = auto")).warnings
        #expect(short.allSatisfy { !$0.message.contains("octets at most") }, "\(short)")
    }

    /// Azure is content with one of the two.
    @Test func azureTakesEitherSize() throws {
        for line in ["mtu = 1500", "mss = off"] {
            let found = try load(text("azure", child: line)).warnings
            #expect(found.allSatisfy { !$0.message.contains("octets at most") }, "\(found)")
        }
    }

    @Test func azuresOwnPolicyIsOneCombination() throws {
        func warnings(_ lines: String) throws -> [String] { try load(text("azure", lines)).warnings.map(\.message) }
        #expect(try warnings("").allSatisfy { !$0.contains("one full combination") })
        #expect(try warnings("proposals = aes256-sha256-modp2048").contains { $0.contains("net.esp_proposals: with") })
        #expect(
            try warnings("proposals = aes256-sha256-modp2048, aes128-sha1-modp1024").contains {
                $0.contains("gw.proposals: with another group than modp1024")
            })
    }

    @Test func zscalerTakesAH() throws {
        #expect(mistakes(text("zscaler", child: "ah_proposals = sha256")) == [])
    }

    @Test func cloudflareTakesMLKEM() {
        let lines = "proposals = aes256gcm16-prfsha384-ecp384-ke1_mlkem768"
        #expect(mistakes(text("cloudflare", lines, local: Self.cloudflareID)) == [])
    }

    /// The service can't follow a change of ports; its customer does not make one.
    @Test func theServiceFollowsNoPort() throws {
        let service = try connection(text("cloudflare-gateway", remote: Self.cloudflareID))
        #expect(service.refusesPortChange && service.avoidsEncapsulation && !service.forcesEncapsulation)
        #expect(try !connection(text("cloudflare", local: Self.cloudflareID)).refusesPortChange)
    }

    @Test(arguments: ["abc", "0bcdefghijk", "abc-def!ghijkl", "a b c d e f", ""]) func awsSecrets(secret: String) {
        let found = mistakes(text("aws").replacing("a123456789.abcdef_", with: secret))
        #expect(found.contains { $0.contains("secrets.ike") }, "\(found)")
        #expect(secret.isEmpty || found.contains { $0.contains("8 to 64 letters, digits, '.' and '_'") }, "\(found)")
        #expect(secret.isEmpty || found.allSatisfy { !$0.contains(secret) }, "a secret is never told")
    }

    /// What a profile itself sets is not advised against.
    @Test func aProfileIsNotUnwise() throws {
        let warnings = try load(eapText("windows", method: "eap-mschapv2")).warnings.map(\.message)
        #expect(warnings.allSatisfy { !$0.contains("never changes its keys") }, "\(warnings)")
        let written = try load(text("zscaler", child: "rekey_time = 0s")).warnings
        #expect(written.contains { $0.message.contains("never changes its keys") })
    }

    /// Where the peer's tables decide which algorithms there are, nobody is told to write others.
    @Test(arguments: [("aws", true), ("azure", true), ("zscaler", true), ("google", false), ("apple", false)])
    func fixedAlgorithms(profile: String, isFixed: Bool) throws {
        #expect(try connection(text(profile, "pools = p")).hasFixedAlgorithms == isFixed)
    }

    /// Addresses need not be written alike to be the same.
    @Test(arguments: [
        ("remote_addrs = 192.0.2.2, 192.0.2.3", true), ("local_addrs = %any", true),
        ("remote_addrs = 192.0.2.0/30", true),
        ("remote_addrs = 192.0.2.9", false), ("local_addrs = 192.0.2.4-192.0.2.7", false),
    ])
    func addressesThatOverlap(line: String, isSame: Bool) {
        let first = text("cloudflare", local: "id = 192.0.2.1")
        let key = line.prefix { $0 != " " }
        let second = text("cloudflare", local: Self.cloudflareID).split(separator: "\n")
            .map { $0.contains("\(key) =") ? line : String($0) }.joined(separator: "\n")
        func body(_ text: String, _ name: String) -> String {
            let inner = text.split(separator: "secrets {")[0].replacing("connections { gw {", with: "\(name) {")
            return String(inner[..<(inner.lastIndex(of: "}") ?? inner.endIndex)])
        }
        let found = mistakes(
            "connections { \(body(first, "a"))\n\(body(second, "b")) }\nsecrets { ike { secret = a123456789\n} }")
        #expect(found.count == (isSame ? 1 : 0), "\(found)")
        if isSame {
            #expect(found.first?.contains("another tunnel, 'b', has the same two addresses") == true, "\(found)")
        }
    }

    @Test func anUnknownProfile() {
        #expect(
            mistakes(text("cloudfare")) == [
                "connections.gw.profile: 'cloudfare' is not one of the words allowed here; did you mean 'cloudflare'?"
            ])
    }
}
