import Clockwork
import GatewayModel
import NetworkTypes
import RADIUS
import SwanctlConfig
import Testing
import WireFormat

/// `plugins.eap-radius`, `auth = eap-radius`, `groups` and `pools = radius`.
struct RADIUSConfigurationTests {
    private static func text(
        _ lines: String, in section: String = "martlet", remote: String = "auth = eap-radius\neap_id = %any",
        more: String = ""
    ) -> String {
        """
        connections {
            gw {
                \(more)
                local { auth = pubkey
                    id = gw.example
                    pubkeys = gw.pub
                }
                remote { \(remote)
                }
                children { net { } }
            }
        }
        \(section) {
            plugins {
                eap-radius {
                    \(lines)
                }
            }
        }
        """
    }

    private static let key = ["/etc/pubkey/gw.pub": pem]
    private static let pem = """
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
        -----END PUBLIC KEY-----
        """
    private static let secret = "secret = 0123456789abcdef"

    private static func complaints(_ text: String) -> [String] { errors(text, key) }

    @Test(arguments: ["charon", "martlet"])
    func serversAsStrongSwanSpellsThem(_ section: String) throws {
        let lines = """
            accounting = yes
            accounting_interval = 300
            accounting_send_class = yes
            accounting_requires_vip = yes
            accounting_close_on_timeout = no
            close_all_on_timeout = yes
            class_group = yes
            filter_id = yes
            eap_start = yes
            id_prefix = 0
            nas_identifier = hq
            sockets = 5
            station_id_with_port = no
            retransmit_tries = 2
            dae {
                enable = yes
                listen = 10.0.0.9
                port = 3800
                secret = another secret of sixteen
            }
            servers {
                first {
                    address = 10.0.0.1
                    secret = 0123456789abcdef
                    preference = 10
                    retransmit_timeout = 0.5
                }
                second {
                    address = fd00::1
                    auth_port = 1645
                    acct_port = 1646
                    secret = fedcba9876543210
                    nas_identifier = branch
                    sockets = 2
                }
            }
            """
        let loaded = try load(Self.text(lines, in: section), Self.key)
        let settings = loaded.settings.radius
        #expect(settings.accounts && settings.interimInterval == .seconds(300) && settings.returnsClass)
        #expect(settings.accountsAddressedOnly && !settings.closesUnaccounted && settings.closesAll)
        #expect(settings.classNamesGroups && settings.filterNamesGroups && settings.beginsWithStart)
        #expect(settings.identityPrefix == "0" && !settings.stationsHavePorts)
        #expect(settings.dynamicAuthorization?.listen == Endpoint(IPAddress(v4: 0x0a00_0009), 3800))
        #expect(settings.servers.map(\.name) == ["first", "second"])
        let (first, second) = (settings.servers[0], settings.servers[1])
        #expect(first.authentication == Endpoint(IPAddress(v4: 0x0a00_0001), 1812))
        #expect(first.accounting.port == 1813 && first.preference == 10 && first.sockets == 5)
        #expect(first.nasIdentifier == "hq" && first.secret == SecretBytes(Array("0123456789abcdef".utf8)))
        #expect(first.retransmission.timeout == .milliseconds(500) && first.retransmission.tries == 2)
        #expect(second.authentication.port == 1645 && second.accounting.port == 1646)
        #expect(second.nasIdentifier == "branch" && second.sockets == 2 && second.preference == 0)
        let remote = try #require(loaded.connections.first?.remote)
        #expect(remote.method == .eap && remote.eap.isRelayed && remote.eap.methods.isEmpty)
    }

    @Test func oneServerBesideTheSettings() throws {
        let loaded = try load(Self.text("server = 10.0.0.1\n\(Self.secret)\nport = 1645"), Self.key)
        #expect(loaded.settings.radius.servers.map(\.authentication.port) == [1645])
        #expect(loaded.settings.radius.servers.map(\.accounting.port) == [1813])
        #expect(loaded.settings.radius.servers[0].retransmission.total > .seconds(20))
    }

    @Test func groupsAndAddresses() throws {
        let loaded = try load(
            Self.text(
                "server = 10.0.0.1\n\(Self.secret)", remote: "auth = eap-radius\ngroups = staff, admins",
                more: "pools = radius"), Self.key)
        #expect(loaded.connections.first?.remote.groups == ["staff", "admins"])
        #expect(loaded.connections.first?.pools == ["radius"])
    }

    @Test(arguments: [
        ("", "there is no RADIUS server"), ("servers { a { \(secret)\n } }", "has no address"),
        ("servers { a { address = 10.0.0.1\n } }", "has no secret"),
        ("servers { a { address = radius.example\n \(secret)\n } }", "names are not looked up"),
        ("servers { a { address = 0.0.0.0\n \(secret)\n } }", "is not a server's address"),
        ("servers { a { address = 10.0.0.1\n \(secret)\n source = fd00::1\n } }", "two families"),
        ("servers { a { address = 10.0.0.1\n \(secret)\n sockets = 0\n } }", "number from 1 to 64"),
        ("servers { a { address = 10.0.0.1\n \(secret)\n secert = x\n } }", "did you mean 'secret'"),
        ("server = 10.0.0.1\n\(secret)\nacounting = yes", "did you mean 'accounting'"),
        ("server = 10.0.0.1\n\(secret)\ndae { enable = yes\n }", "dae has no secret"),
        ("server = 10.0.0.1\n\(secret)\nforward { ike_to_radius = 11\n }", "'ike_to_radius' is not supported yet"),
        ("server = 10.0.0.1\n\(secret)\nxauth { a { b = c\n } }", "sections 'xauth' are not supported yet"),
        ("server = 10.0.0.1\n\(secret)\nretransmit_timeout = soon", "is not a number from 0.1 to 60"),
    ])
    func mistakes(_ lines: String, _ message: String) {
        let found = Self.complaints(Self.text(lines))
        #expect(found.contains { $0.contains(message) }, "\(found)")
        #expect(!found.contains { $0.contains("0123456789abcdef") })
    }

    @Test func whatHasNoServerIsRefused() {
        let server = "server = 10.0.0.1\n\(Self.secret)"
        for (remote, more, message) in [
            ("auth = eap-radius, eap-mschapv2", "", "the server chooses the methods"),
            ("auth = eap-mschapv2\ngroups = staff", "", "knows a peer's groups"),
            ("auth = eap-mschapv2", "pools = radius", "gives addresses of pool 'radius', which is not there"),
        ] {
            let found = Self.complaints(Self.text(server, remote: remote, more: more))
            #expect(found.contains { $0.contains(message) }, "\(found)")
        }
        let pool = Self.complaints(Self.text(server) + "\npools { radius { addrs = 10.0.0.0/24\n } }")
        #expect(pool.contains { $0.contains("can't be called 'radius'") }, "\(pool)")
    }

    @Test func secretsAreNotTold() throws {
        let loaded = try load(Self.text("server = 10.0.0.1\n\(Self.secret)"), Self.key)
        var told = ""
        dump(loaded.settings, to: &told)
        #expect(!told.contains("0123456789abcdef"))
        let short = try load(Self.text("server = 10.0.0.1\nsecret = testing123"), Self.key)
        #expect(short.warnings.contains { $0.message.contains("can be guessed") && !$0.message.contains("testing") })
    }
}
