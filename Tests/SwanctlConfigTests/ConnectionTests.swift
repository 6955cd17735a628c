import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes
import SwanctlConfig
import Testing

/// What connections, children and secrets mean.
@Suite struct ConnectionTests {
    @Test func everythingSaid() throws {
        let loaded = try load(
            connection(
                """
                version = 2
                local_addrs = 192.0.2.1, 10.0.0.0/8
                local_port = 4500
                remote_port = 4500
                proposals = aes256-sha256-x25519, default
                encap = yes
                dpd_delay = 20s
                unique = keep
                keyingtries = 0
                rekey_time = 2h
                over_time = 3m
                send_cert = always
                mobike = no
                fragmentation = accept
                """,
                child: """
                    esp_proposals = aes128gcm16-x25519
                    local_ts = 10.1.0.0/16[tcp/80], dynamic[udp], 10.9.0.1 - 10.9.0.7
                    remote_ts = 10.2.0.0/16, fd00::/8[ipv6-icmp/128]
                    rekey_time = 30m
                    life_time = 40m
                    start_action = trap|start
                    close_action = start
                    dpd_action = restart
                    replay_window = 128
                    per_cpu_sas = yes
                    inactivity = 90s
                    hw_offload = auto
                    copy_df = yes
                    mode = tunnel
                    """))
        #expect(loaded.warnings == [])
        let connection = try #require(loaded.connections.first)
        #expect(connection.name == "gw")
        #expect(connection.localAddresses.map(\.description) == ["192.0.2.1", "10.0.0.0/8"])
        #expect(connection.remoteAddresses.map(\.description) == ["192.0.2.2"])
        #expect(connection.localPort == 4500 && connection.remotePort == 4500)
        #expect(connection.remoteNATTraversalPort == 4500)
        #expect(connection.proposals.first == (try Proposal(parsing: "aes256-sha256-x25519", for: .ike)))
        #expect(Array(connection.proposals.dropFirst()) == Proposal.defaults(for: .ike))
        #expect(connection.forcesEncapsulation)
        #expect(connection.fragmentation == .accept && connection.fragmentSize == 1280)
        #expect(connection.dpdDelay == .seconds(20))
        #expect(connection.uniqueness == .keep)
        #expect(connection.keyingTries == 0)
        #expect(connection.rekeyTime == .hours(2))
        #expect(connection.overTime == .minutes(3))
        #expect(connection.local.identity == .fqdn("moon.example.net"))
        #expect(connection.remote.identity == .exactly(.fqdn("sun.example.net")))
        let child = try #require(connection.children.first)
        #expect(child.proposals == [try Proposal(parsing: "aes128gcm16-x25519", for: .esp)])
        #expect(child.inactivity == .seconds(90))
        #expect(
            child.localSelectors.map(\.description) == ["10.1.0.0/16[tcp/80]", "dynamic[udp]", "10.9.0.1..10.9.0.7"])
        #expect(child.remoteSelectors.map(\.description) == ["10.2.0.0/16", "fd00::/8[ipv6-icmp/128]"])
        #expect(child.rekeyTime == .minutes(30) && child.lifeTime == .minutes(40))
        #expect(child.usesPerResourceSAs)
        #expect(child.randTime == .minutes(10) && connection.randTime == connection.overTime)
        #expect(child.startAction == .trapAndStart)
        #expect(child.closeAction == .start && child.dpdAction == .start)
        #expect(child.replayWindow == 128)
        let secret = try #require(loaded.secrets.first)
        #expect(secret.identities == [.fqdn("sun.example.net")])
    }

    @Test func nothingSaidMeansTheDefaults() throws {
        let loaded = try load(
            "connections { gw { local { auth = psk\n }\n remote { auth = psk\n }\n children { net { } } } }")
        let connection = try #require(loaded.connections.first)
        var expected = Connection(name: "gw")
        expected.proposals = Proposal.defaults(for: .ike)
        var child = ChildTemplate(name: "net")
        child.proposals = Proposal.defaults(for: .esp)
        expected.children = [child]
        #expect(connection == expected)
    }

    @Test(arguments: [
        ("rekey_time = 100", 100, 110), ("life_time = 100m", 90 * 60, 100 * 60), ("", 3600, 3960),
        ("rekey_time = 0", 0, 0), ("rekey_time = 1 H\nlife_time = 2h", 3600, 7200),
    ])
    func lifetimesFollowFromEachOther(_ lines: String, _ rekey: Int64, _ life: Int64) throws {
        let child = try #require(try load(connection("", child: lines)).connections.first?.children.first)
        #expect(child.rekeyTime == .seconds(rekey))
        #expect(child.lifeTime == .seconds(life))
    }

    @Test func anotherRemotePortIsTheOnlyOne() throws {
        let loaded = try load(connection("remote_port = 5000"))
        #expect(loaded.connections.first?.remoteNATTraversalPort == 5000)
    }

    @Test(arguments: [
        ("moon.example.net", IdentityPattern.exactly(.fqdn("moon.example.net"))),
        ("@moon", .exactly(.fqdn("moon"))), ("@@moon", .exactly(.rfc822("moon"))),
        ("a@example.net", .exactly(.rfc822("a@example.net"))), ("@#4d61", .exactly(.keyID([0x4d, 0x61]))),
        ("192.0.2.1", .exactly(Identity(IPAddress(v4: 0xc000_0201)))), ("%any", .any), ("*", .any), ("::", .any),
        (
            "2001:db8::1",
            .exactly(Identity(.ipv6Address, [0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 0, count: 11) + [1]))
        ),
        ("some:thing", .exactly(.keyID(Array("some:thing".utf8)))), ("keyid:abc", .exactly(.keyID(Array("abc".utf8)))),
        ("fqdn:10.0.0.1", .exactly(.fqdn("10.0.0.1"))), ("email:x", .exactly(.rfc822("x"))),
        ("ipv4:192.0.2.1", .exactly(Identity(IPAddress(v4: 0xc000_0201)))), ("{11}:#00ff", .exactly(.keyID([0, 255]))),
        ("C=CH, O=lab, CN=a.lab", .exactly(Identity(.asn1DN, labName))),
        ("/c=CH/o=lab/cn=a.lab", .exactly(Identity(.asn1DN, labName))),
        ("asn1dn:C=CH,O=lab,CN=a.lab", .exactly(Identity(.asn1DN, labName))),
        ("a=b", .exactly(.keyID(Array("a=b".utf8)))), ("@a=b", .exactly(.keyID(Array("@a=b".utf8)))),
        ("keyid:CN=x", .exactly(.keyID(Array("CN=x".utf8)))),
        ("*.example.net", .suffix(.fqdn, ".example.net")), ("*@example.net", .suffix(.rfc822Address, "@example.net")),
    ])
    func identities(_ text: String, _ expected: IdentityPattern) throws {
        let loaded = try load(connection("", round: "id = \"\(text)\""))
        #expect(loaded.connections.first?.remote.identity == expected)
    }

    /// C=CH, O=lab, CN=a.lab, each a PrintableString.
    static let labName: [UInt8] =
        [0x30, 0x2b, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x06, 0x13, 0x02] + Array("CH".utf8)
        + [0x31, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x04, 0x0a, 0x13, 0x03] + Array("lab".utf8)
        + [0x31, 0x0e, 0x30, 0x0c, 0x06, 0x03, 0x55, 0x04, 0x03, 0x13, 0x05] + Array("a.lab".utf8)

    @Test func aStarInADistinguishedNameStandsForAnyValue() throws {
        let loaded = try load(connection("", round: "id = \"C=CH, O=lab, CN=*\""))
        let pattern = try #require(loaded.connections.first?.remote.identity)
        #expect(pattern.description == "C=CH, O=lab, CN=*")
        #expect(pattern.matches(Identity(.asn1DN, Self.labName)))
        var other = Self.labName
        other[12 + 2] ^= 1
        #expect(!pattern.matches(Identity(.asn1DN, other)))
        #expect(!pattern.matches(.fqdn("a.lab")))
    }

    @Test func secretsAreChosenByWhoseTheyAre() throws {
        let secrets = try load(
            """
            secrets {
                ike-any { secret = anybodys-secret-key
                }
                ike-us { id = moon
                    secret = ours-secret-key-1234
                }
                ike-peer { id-1 = sun
                    id-2 = venus
                    secret = peers-secret-key-123
                }
                ike-both { id-a = moon
                    id-b = sun
                    secret = both-secret-key-1234
                }
            }
            """
        ).secrets
        #expect(secrets.sharedKey(local: .fqdn("moon"), remote: .fqdn("SUN"))?.name == "ike-both")
        #expect(secrets.sharedKey(local: .fqdn("earth"), remote: .fqdn("sun"))?.name == "ike-peer")
        #expect(secrets.sharedKey(local: .fqdn("moon"), remote: .fqdn("venus"))?.name == "ike-peer")
        #expect(secrets.sharedKey(local: .fqdn("moon"), remote: .fqdn("mars"))?.name == "ike-us")
        #expect(secrets.sharedKey(local: .fqdn("earth"), remote: .fqdn("mars"))?.name == "ike-any")
    }

    @Test func warnings() throws {
        let loaded = try load(
            """
            connections {
                open { local { auth = psk
                    }
                    remote { auth = psk
                    }
                    children { c { esp_proposals = null-sha256
                        start_action = start
                    } }
                    dpd_timeout = 150s
                }
                b : rest { remote { id = sun
                } }
                c : rest { remote { id = venus
                } }
                d : rest { remote { id = mars
                } }
            }
            rest { remote_addrs = 192.0.2.1
                local { auth = psk
                    id = us
                }
                remote { auth = psk
                }
                children { c { } }
            }
            unused { }
            secrets { ike { secret = short
                id-1 = sun
                id-2 = venus
            } }
            """)
        let messages = loaded.warnings.map { "\($0.severity.rawValue): \($0.message)" }
        #expect(
            messages == [
                "warning: secrets.ike: a secret of 5 octets can be guessed",
                "note: connections.open.dpd_timeout has no effect: in IKEv2 the retransmissions decide when a peer is dead",
                "warning: connections.open.children.c.esp_proposals: null is weak: packets are not encrypted at all; "
                    + "use aes256gcm16 or aes128gcm16",
                "warning: section 'unused' is used by nobody",
                "warning: child 'c' of connection 'open' is to start by itself, but there is no one address to start to",
                "warning: connection 'open' lets in everybody who has a secret that fits",
                "warning: connection 'd' has no secret for 'mars'",
                "warning: secrets.ike is the key of 2 peers ('sun', 'venus'): each can pose as the others",
            ])
    }

    /// `%any` beside an address lets everybody in, and leaves the address as what to start to.
    @Test(arguments: [("192.0.2.2, %any", ["192.0.2.2", "%any"]), ("%any", []), ("%any, %any", [])])
    func whoMayComeAndWhereToStart(_ written: String, _ meant: [String]) throws {
        let loaded = try load(
            """
            connections { gw { remote_addrs = \(written)
                local { auth = psk
                    id = us
                }
                remote { auth = psk
                    id = them
                }
                children { c { } }
            } }
            secrets { ike { secret = 0123456789abcdef0123456789abcdef } }
            """)
        #expect(loaded.connections.first?.remoteAddresses.map(\.description) == meant)
    }

    /// Every weak algorithm is named with its reason when a configuration asks for it, and is never there by default.
    @Test func weakAlgorithmsAreTakenWithAWarning() throws {
        let loaded = try load(
            connection("proposals = 3des-md5-modp1024-modp2048s256", child: "esp_proposals = des-sha1"))
        let warnings = loaded.warnings.map(\.message).filter { $0.contains(" is weak: ") }
        #expect(warnings.count == 6, "\(warnings)")
        for (word, advice) in [
            ("3des", "aes256"), ("md5", "sha256"), ("prfmd5", "prfsha256"), ("modp1024", "x25519"),
            ("modp2048s256", "x25519"), ("des", "aes256"),
        ] {
            let warning = try #require(warnings.first { $0.contains("proposals: \(word) is weak: ") }, "\(word)")
            #expect(warning.contains(advice), "\(warning)")
        }
        let plain = try load(connection(""))
        #expect(!plain.warnings.contains { $0.message.contains(" is weak: ") })
    }
}
