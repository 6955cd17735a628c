import Clockwork
import Dialects
import GatewayModel
import IPsecCrypto
import NetworkTypes
import SwanctlConfig
import Testing
import WireFormat

struct CiscoImportTests {
    @Test func aCryptoMapBecomesAConnection() throws {
        let sample = try Sample(.ciscoIOS, "cisco-site-to-site.cfg")
        let loaded = try sample.loaded()
        let connection = try #require(loaded.connections.first)
        #expect(connection.name == "CMAP-10")
        #expect(connection.localAddresses.map(\.description) == ["192.0.2.1"])
        #expect(connection.remoteAddresses.map(\.description) == ["198.51.100.2"])
        #expect(connection.proposals == [try Proposal(parsing: "aes256-sha256-modp2048-ecp256", for: .ike)])
        #expect(connection.rekeyTime == .seconds(28_800 - 2_880))
        #expect(connection.dpdDelay == .seconds(10))
        let child = try #require(connection.children.first)
        #expect(child.name == "VPN-TRAFFIC")
        #expect(child.localSelectors.map(\.description) == ["10.1.0.0/24"])
        #expect(child.remoteSelectors.map(\.description) == ["10.2.0.0/24"])
        #expect(child.proposals == [try Proposal(parsing: "aes256-sha256-modp2048", for: .esp)])
        #expect(child.lifeTime == .hours(1))
        #expect(loaded.secrets.first?.value.exposedBytes() == Array("not-a-real-key-Q2lzY28".utf8))
        #expect(sample.notes(.lost).isEmpty)
    }

    @Test func aTunnelInterfaceWithoutIndentation() throws {
        let sample = try Sample(.ciscoIOS, "cisco-tunnel-interface.cfg")
        let loaded = try sample.loaded()
        let connection = try #require(loaded.connections.first)
        #expect(connection.name == "tunnel0")
        #expect(connection.localAddresses.map(\.description) == ["192.0.2.1"])
        #expect(connection.local.identity == .fqdn("hq.example.org"))
        #expect(connection.remote.identity == .exactly(.fqdn("branch.example.org")))
        #expect(
            connection.proposals == [
                try Proposal(parsing: "aes256gcm16-aes128gcm16-prfsha384-prfsha256-ecp384-ecp256", for: .ike)
            ])
        let child = try #require(connection.children.first)
        #expect(child.interface?.nameTemplate == "tunnel0")
        #expect(child.interface?.mtu == 1400)
        #expect(child.replayWindow == 1024)
        #expect(child.lifeTime == .seconds(3000))
        #expect(child.proposals == [try Proposal(parsing: "aes256gcm16-ecp256", for: .esp)])
        #expect(child.remoteSelectors.map(\.description) == ["0.0.0.0/0"])
        #expect(sample.notes(.manual) == ["ip route 10.2.0.0 255.255.255.0 Tunnel0"])
    }

    @Test func accessListsInAllTheirForms() throws {
        let sample = Sample(
            .ciscoIOS,
            text: """
                crypto ikev2 keyring K
                 peer P
                  address 198.51.100.2
                  pre-shared-key 6 encryptedtext
                crypto ikev2 profile P
                 authentication local pre-share
                 authentication remote pre-share
                 keyring local K
                crypto ipsec transform-set T esp-gcm 256
                crypto map M 1 ipsec-isakmp
                 set peer 198.51.100.2
                 set transform-set T
                 set ikev2-profile P
                 match address 101
                interface Gi0/0
                 ip address 192.0.2.1 255.255.255.0
                 crypto map M
                access-list 101 permit tcp 10.1.0.0 0.0.0.255 host 10.2.0.9 eq 443
                access-list 101 permit udp host 10.1.0.1 any range 5000 5100
                access-list 101 deny ip any any
                access-list 101 permit ip 10.1.0.0 0.0.255.1 any
                crypto isakmp policy 10
                 encr aes 256
                """)
        #expect(sample.text.contains("local_ts = 10.1.0.0/24[tcp]"))
        #expect(sample.text.contains("remote_ts = 10.2.0.9/32[tcp/443]"))
        #expect(sample.text.contains("remote_ts = 0.0.0.0/0[udp/5000-5100]"))
        let lost = sample.notes(.lost)
        #expect(lost.contains("101 deny ip any any") || lost.contains("deny ip any any"))
        #expect(lost.contains { $0.hasSuffix("permit ip 10.1.0.0 0.0.255.1 any") })
        #expect(lost.contains("crypto isakmp policy 10"))
        #expect(sample.notes(.manual).contains("pre-shared-key …"), "and no key is shown")
    }

    @Test func noNoteShowsAKey() throws {
        let sample = try Sample(.ciscoIOS, "cisco-site-to-site.cfg")
        for note in sample.imported.notes { #expect(!note.description.contains("not-a-real-key")) }
    }
}

struct AWSSampleTests {
    @Test func theInstructionsHoldAConnection() throws {
        let octets = try Sample.octets("aws-strongswan.txt")
        #expect(ImportDialect.detect(octets) == .aws)
        let sample = try Sample(.aws, "aws-strongswan.txt")
        let loaded = try sample.loaded()
        let connection = try #require(loaded.connections.first)
        #expect(loaded.connections.count == 1)
        #expect(connection.name == "Tunnel1")
        #expect(connection.local.identity == Identity(IPAddress(v4: 0xc000_0201)))
        #expect(connection.remote.identity == .exactly(Identity(IPAddress(v4: 0xc633_6402))))
        #expect(connection.children.first?.interface?.nameTemplate == "Tunnel1")
        #expect(connection.children.first?.interface?.addresses.count == 1)
        #expect(connection.children.first?.startAction == .start)
        #expect(loaded.secrets.first?.value.exposedBytes() == Array("notArealKey.TWFydGxldA_AWS".utf8))
        #expect(sample.notes(.changed).contains("keyexchange = ikev1"))
        #expect(sample.notes(.manual).contains("the route to 10.2.0.0/24"))
    }
}

struct AWSOpenswanSampleTests {
    @Test func theOlderInstructionsHoldAConnectionToo() throws {
        let sample = try Sample(.aws, "aws-openswan.txt")
        let loaded = try sample.loaded()
        let connection = try #require(loaded.connections.first)
        #expect(loaded.connections.count == 1 && connection.name == "Tunnel1")
        #expect(connection.local.identity == Identity(IPAddress(v4: 0xc000_0201)))
        #expect(connection.children.first?.interface == nil)
        #expect(connection.children.first?.startAction == .start)
        #expect(loaded.secrets.first?.value.exposedBytes() == Array("notArealKey.TWFydGxldA_OSW".utf8))
        // `auth = esp` says what is so anyway.
        #expect(sample.notes(.lost).isEmpty)
    }
}

struct ImportDialectTests {
    @Test(arguments: [
        ("strongswan-2010.conf", ImportDialect.strongSwan), ("strongswan-2018.conf", .strongSwan),
        ("libreswan-2023.conf", .libreswan), ("cisco-site-to-site.cfg", .ciscoIOS),
        ("cisco-tunnel-interface.cfg", .ciscoIOS), ("aws-strongswan.txt", .aws),
        ("aws-openswan.txt", .aws),
    ])
    func aDialectIsKnownByItsLooks(_ file: String, _ dialect: ImportDialect) throws {
        #expect(ImportDialect.detect(try Sample.octets(file)) == dialect)
    }

    @Test func nothingIsMadeOfAnythingElse() {
        #expect(ImportDialect.detect(Array("connections {\n}\n".utf8)) == nil)
        #expect(ImportDialect.detect([]) == nil)
    }
}
