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
        secrets { ike { secret = "0123456789abcdef"
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
            found.count == 1 && found.first?.contains("another tunnel has the same two addresses") == true, "\(found)")
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

    @Test func anUnknownProfile() {
        #expect(
            mistakes(text("cloudfare")) == [
                "connections.gw.profile: 'cloudfare' is not one of the words allowed here; did you mean 'cloudflare'?"
            ])
    }
}
