import Clockwork
import GatewayModel
import Testing

@testable import SwanctlConfig

/// What a configuration says about how revocation is found out, and about the daemon's threads.
struct RevocationConfigurationTests {
    private static func text(_ lines: String, section: String = "martlet", outside: String = "") -> String {
        connection("") + "\n\(section) {\n\(outside)\nplugins { revocation {\n\(lines)\n} }\n}"
    }

    private static func settings(_ lines: String, outside: String = "") throws -> RevocationSettings {
        try load(text(lines, outside: outside)).settings.revocation
    }

    @Test func defaults() throws {
        let settings = try Self.settings("")
        #expect(settings.fetchesLists && settings.asksResponders && !settings.mayBePrivate)
        #expect(settings.timeout == .seconds(10) && settings.patience == .seconds(20))
        #expect(settings.largestList == 64 << 20 && settings.cacheDirectory == nil)
        #expect(try load(connection("")).settings.revocation == settings)
    }

    @Test func everyKeyIsRead() throws {
        #expect(try !Self.settings("enable_crl = no").fetchesLists)
        #expect(try !Self.settings("enable_ocsp = no").asksResponders)
        #expect(try Self.settings("private_addresses = yes").mayBePrivate)
        for (text, seconds) in [("1", 1), ("1s", 1), ("7s", 7), ("1m", 60), ("60", 60)] as [(String, Int64)] {
            let settings = try Self.settings("timeout = \(text)")
            #expect(settings.timeout == .seconds(seconds) && settings.patience == .seconds(seconds) + .seconds(seconds))
        }
        for (text, octets) in [("1", 1), ("70000", 70_000), ("1M", 1 << 20), ("128m", 128 << 20)] {
            #expect(try Self.settings("max_crl_size = \(text)").largestList == octets)
        }
        // strongSwan's own file may say so as well.
        #expect(try load(Self.text("private_addresses = yes", section: "charon")).settings.revocation.mayBePrivate)
        #expect(
            try Self.settings("", outside: "cache_crls = yes").cacheDirectory?.hasSuffix("/etc/x509crl") == true)
    }

    @Test func mistakesAreNamed() {
        for (line, words) in [
            ("timeout = 0", "from 1 s to 60 s"), ("timeout = 61", "from 1 s to 60 s"),
            ("timeout = 2h", "from 1 s to 60 s"),
            ("timeout = soon", "soon"), ("max_crl_size = 0", "0"), ("max_crl_size = 129M", "more than 128M"),
            ("max_crl_size = 99999999999", "99999999999"), ("max_crl_size = -1", "-1"),
            ("max_crl_size = M", "is not a number"),
            ("private_addresses = perhaps", "perhaps"), ("enable_ocsp = 2", "2"),
            ("private_address = yes", "private_address"),
        ] {
            let found = errors(Self.text(line))
            #expect(found.count == 1 && found.first?.contains(words) == true, "\(line): \(found)")
        }
    }

    @Test func workers() throws {
        let with = { (text: String) in connection("") + "\nmartlet {\nworkers = \(text)\n}" }
        #expect(try load(connection("")).settings.workers == 1)
        for number in [1, 2, 64] { #expect(try load(with("\(number)")).settings.workers == number) }
        for text in ["0", "65", "-1", "two", "99999999999999999999"] {
            let found = errors(with(text))
            #expect(found.count == 1 && found.first?.contains("workers") == true, "\(text): \(found)")
        }
    }

    @Test("`ocsp` says whether OCSP answers travel with certificates (RFC 4806)")
    func inBand() throws {
        #expect(try load(connection("")).connections.first?.statusExchange == .reply)
        for (text, asks, brings) in [
            ("never", false, false), ("reply", false, true), ("request", true, false), ("both", true, true),
        ] {
            let exchange = try #require(try load(connection("ocsp = \(text)")).connections.first?.statusExchange)
            #expect(exchange.isAsked == asks && exchange.isBrought == brings)
        }
        let found = errors(connection("ocsp = always"))
        #expect(found.count == 1 && found.first?.contains("always") == true)
    }

    private static func rounds(_ local: [String], _ remote: [String]) -> [String] {
        let sections = { (name: String, methods: [String]) in
            methods.enumerated().map { index, method in
                "\(name)-\(index) {\nround = \(index)\nauth = \(method)\nid = \(name)\(index).example\n}"
            }.joined(separator: "\n")
        }
        return errors(
            """
            connections { gw {
                remote_addrs = 192.0.2.2
                \(sections("local", local))
                \(sections("remote", remote))
                children { net { } }
            } }
            """)
    }

    @Test("EAP may be one of several rounds (RFC 4739), against a gateway that proves itself once")
    func rounds() {
        for (one, other) in [
            (["psk", "eap-mschapv2"], ["psk"]), (["eap-md5", "psk"], ["psk"]), (["eap-md5", "eap-mschapv2"], ["psk"]),
            (["eap-tls"], ["eap-tls"]),
        ] {
            #expect(Self.rounds(one, other) == [])
            #expect(Self.rounds(other, one) == [])
        }
        for (one, other, words) in [
            (["psk", "eap-mschapv2"], ["psk", "psk"], "proves itself once"),
            (["eap-mschapv2"], ["psk", "psk"], "proves itself once"),
            (["psk", "eap-tls"], ["eap-tls"], "nothing else is proved"),
            (["eap-tls", "psk"], ["eap-tls"], "nothing else is proved"),
        ] {
            for found in [Self.rounds(one, other), Self.rounds(other, one)] {
                #expect(found.contains { $0.contains(words) }, "\(one) \(other): \(found)")
            }
        }
    }
}
