import Clockwork
import Dialects
import Foundation
import GatewayModel
import IPsecCrypto
import NetworkTypes
import SwanctlConfig
import Testing
import WireFormat

struct PeerEmissionTests {
    /// Our end, as swanctl.conf has it.
    static func ours(
        ike: String = "aes256gcm16-prfsha384-ecp384, aes256-sha256-modp2048", esp: String = "aes256gcm16-ecp384",
        secret: String = "notArealKey.2345678901234567890123456789", extra: String = "",
        remote: String = "branch.example"
    ) throws -> LoadedConfiguration {
        let text = """
            connections {
              branch {
                local_addrs = 192.0.2.1
                remote_addrs = 198.51.100.2
                proposals = \(ike)
                dpd_delay = 30s
                local { auth = psk
                  id = hq.example
                }
                remote { auth = psk
                  id = \(remote)
                }
                children {
                  net {
                    local_ts = 10.1.0.0/16
                    remote_ts = 10.2.0.0/16
                    esp_proposals = \(esp)
                    \(extra)
                  }
                }
              }
            }
            secrets {
              ike-branch {
                id-1 = hq.example
                id-2 = \(remote)
                secret = \(secret)
              }
            }
            """
        return try LoadedConfiguration(path: "swanctl.conf", source: FilesInMemory(["swanctl.conf": text]))
    }

    static func emit(_ loaded: LoadedConfiguration, _ dialect: PeerDialect) throws -> EmittedPeer {
        let connection = try #require(loaded.connections.first)
        let side = try PeerSide(of: connection, secret: loaded.secrets.first?.value)
        return try EmittedPeer.emit(side, as: dialect)
    }

    /// What was written, read again as the other end's configuration, must match ours.
    static func requireMatch(_ loaded: LoadedConfiguration, _ theirs: LoadedConfiguration) throws {
        let mine = try #require(loaded.connections.first)
        let other = try #require(theirs.connections.first)
        #expect(PeerComparison.mismatches(ours: mine, theirs: other) == [])
        #expect(loaded.secrets.first?.value == theirs.secrets.first?.value)
    }

    private func reading(_ dialect: ImportDialect, _ emitted: EmittedPeer) throws -> LoadedConfiguration {
        let main = try #require(emitted.files.first)
        let imported = ConfigurationImport.read(
            dialect, [.init(main.name, Array(main.text.utf8))],
            secrets: emitted.files.dropFirst().map { .init($0.name, Array($0.text.utf8)) })
        #expect(imported.notes.filter { $0.kind == .lost } == [])
        let text = String(decoding: imported.document.rendered().octets, as: UTF8.self)
        return try LoadedConfiguration(path: "swanctl.conf", source: FilesInMemory(["swanctl.conf": text]))
    }

    @Test(arguments: ["notArealKey.23456789012345678901234", "0x00112233445566778899aabbccddeeff0011"])
    func whatIsWrittenMatchesWhenItIsReadAgain(_ secret: String) throws {
        let loaded = try Self.ours(secret: secret)
        let own = try #require(try Self.emit(loaded, .strongSwan).files.first)
        let theirs = try LoadedConfiguration(path: "a", source: FilesInMemory(["a": own.text]))
        try Self.requireMatch(loaded, theirs)
        try Self.requireMatch(loaded, try reading(.libreswan, try Self.emit(loaded, .libreswan)))
        try Self.requireMatch(loaded, try reading(.ciscoIOS, try Self.emit(loaded, .ciscoIOS)))
    }

    @Test func aTunnelInterfaceForAllPackets() throws {
        let text = try #require(
            try Self.emit(
                Self.ours(extra: "tunnel_interface = vti%d\n local_ts = 0.0.0.0/0\n remote_ts = 0.0.0.0/0"), .ciscoIOS
            ).files.first?.text)
        #expect(text.contains("tunnel protection ipsec profile BRANCH"))
        #expect(text.contains("set pfs group20"))
        #expect(!text.contains("crypto map"))
    }

    @Test(arguments: PeerDialect.allCases)
    func everyDialectSaysWhatItIs(_ dialect: PeerDialect) throws {
        // AES-CBC and MODP: what every device knows; Zscaler knows us by an e-mail address.
        var loaded = try Self.ours(ike: "aes256-sha256-modp2048", esp: "aes256-sha256-modp2048")
        loaded.connections[0].local.identity = .rfc822("hq@example.net")
        let emitted = try Self.emit(loaded, dialect)
        let text = emitted.files.map(\.text).joined()
        #expect(text.contains("notArealKey.2345678901234567890123456789"))
        #expect(text.contains("not been tried") == !dialect.isTried)
        #expect(text.hasPrefix(dialect == .ciscoIOS || dialect == .asa ? "! The other end" : "# The other end"))
        // Zscaler's and Google's own addresses are theirs to choose; all others name ours.
        if dialect != .zscaler { #expect(text.contains("192.0.2.1")) }
    }

    /// A cloud knows both ends by their addresses: ours must say so too, or nobody is believed.
    @Test(arguments: [PeerDialect.aws, .azure, .gcp]) func whatOurEndHasToSayIsSaid(_ dialect: PeerDialect) throws {
        var loaded = try Self.ours(ike: "aes256-sha256-modp2048", esp: "aes256-sha256-modp2048")
        let emitted = try Self.emit(loaded, dialect)
        let demands = emitted.demands.joined(separator: "\n")
        #expect(demands.contains("`local { id = 192.0.2.1 }`") && demands.contains("`id-1`"))
        #expect(demands.contains("`remote { id = 198.51.100.2 }`"))
        #expect(demands.contains("`profile = \(dialect == .gcp ? "google" : dialect.rawValue)`"))
        for demand in emitted.demands { #expect(emitted.files[0].text.contains("# On this gateway: \(demand)\n")) }
        loaded.connections[0].local.identity = Identity(IPAddress(v4: 0xc000_0201))
        loaded.connections[0].remote.identity = .exactly(Identity(IPAddress(v4: 0xc633_6402)))
        #expect(try !Self.emit(loaded, dialect).demands.joined().contains("id-1"))
        #expect(try Self.emit(loaded, .strongSwan).demands.isEmpty)
        let suites = dialect == .gcp ? "aes256gcm16-prfsha256-modp2048" : "aes256-sha256-prfsha256-modp2048"
        let other = try Self.ours(
            ike: "aes256-sha256-modp2048, aes128-sha256-modp3072", esp: "aes256-sha256-x25519-modp2048")
        #expect(try Self.emit(other, dialect).demands.last?.contains("`proposals = \(suites)`") == true)
        #expect(
            try Self.emit(other, dialect).demands.last?.contains(
                dialect == .gcp ? "`esp_proposals = aes256gcm16-modp2048`" : "`esp_proposals = aes256-sha256-modp2048`")
                == true)
        loaded.connections[0].remoteAddresses = []
        let nowhere = try Self.emit(loaded, dialect).demands.joined()
        #expect(nowhere.contains("`remote_addrs = ADDRESS`"))
    }

    @Test func aSecondNetworkThatAWSDoesNotTakeIsSaid() throws {
        let loaded = try Self.ours(
            ike: "aes256-sha256-modp2048", esp: "aes256-sha256-modp2048", extra: "local_ts = 10.1.0.0/16, 10.7.0.0/16")
        let emitted = try Self.emit(loaded, .aws)
        #expect(emitted.demands.contains { $0.contains("Left out: 10.7.0.0/16 with 10.2.0.0/16") })
    }

    @Test func whatADeviceCanNotBeToldIsSaid() throws {
        let binary = try Self.ours(secret: "0x00112233445566778899aabbccddeeff")
        #expect(throws: PeerEmissionProblem.keyIsNotText(.asa)) { try Self.emit(binary, .asa) }
        let hybrid = try Self.ours(ike: "aes256gcm16-prfsha384-x25519-ke1_mlkem768")
        #expect(throws: PeerEmissionProblem.self) { try Self.emit(hybrid, .sonicWall) }
        var nameless = try Self.ours()
        nameless.connections[0].localAddresses = []
        #expect(throws: PeerEmissionProblem.ourAddressUnknown) { try Self.emit(nameless, .strongSwan) }
        #expect(PeerEmissionProblem.keyIsNotText(.asa).description.contains("invite --dialect asa"))
    }
}

struct PeerComparisonTests {
    private func mismatches(_ change: (inout Connection) -> Void) throws -> [PeerMismatch] {
        let loaded = try PeerEmissionTests.ours()
        let own = try #require(try PeerEmissionTests.emit(loaded, .strongSwan).files.first)
        let mine = try #require(loaded.connections.first)
        var theirs = try #require(
            try LoadedConfiguration(path: "a", source: FilesInMemory(["a": own.text])).connections.first)
        change(&theirs)
        return PeerComparison.mismatches(ours: mine, theirs: theirs)
    }

    @Test func eachDisagreementIsFoundAlone() throws {
        let group = try mismatches {
            $0.proposals = (try? [Proposal(parsing: "aes256-sha256-modp4096", for: .ike)]) ?? []
        }
        #expect(group.map(\.subject) == ["IKE algorithms"])
        #expect(group.first?.remedy.contains("key exchange") == true)

        let identity = try mismatches { $0.local.identity = .rfc822("branch.example") }
        #expect(identity.map(\.subject) == ["the peer's identity"])
        #expect(identity.first?.remedy.contains("different types") == true)

        let forward = try mismatches {
            $0.children[0].proposals = (try? [Proposal(parsing: "aes256gcm16", for: .esp)]) ?? []
        }
        #expect(forward.map(\.subject) == ["forward secrecy of 'net'"])
        #expect(forward.first?.severity == .later)

        let networks = try mismatches {
            $0.children[0].localSelectors = [SelectorTemplate(IPPrefix("10.9.0.0/16") ?? .everything(.v4))]
        }
        #expect(networks.map(\.subject) == ["networks of 'net'"])
        #expect(networks.first?.severity == .fatal)

        let narrow = try mismatches {
            $0.children[0].localSelectors = [SelectorTemplate(IPPrefix("10.2.3.0/24") ?? .everything(.v4))]
        }
        #expect(narrow.map(\.severity) == [.later])

        let address = try mismatches { $0.remoteAddresses = [.prefix(IPPrefix("192.0.2.9/32") ?? .everything(.v4))] }
        #expect(address.map(\.subject) == ["our address"])

        let method = try mismatches { $0.local.method = .publicKey }
        #expect(method.map(\.subject) == ["how the peer proves itself"])
    }
}
