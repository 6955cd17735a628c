import Clockwork
import Dialects
import GatewayModel
import IPsecCrypto
import NetworkTypes
import SwanctlConfig
import Testing
import WireFormat

struct IpsecConfImportTests {
    @Test func anOldFileTakesItsTemplatesApart() throws {
        let sample = try Sample(.strongSwan, "strongswan-2010.conf", secrets: "strongswan-2010.secrets")
        let loaded = try sample.loaded()
        let connection = try #require(loaded.connections.first)
        #expect(loaded.connections.count == 1, "the section that only `also` names is no connection")
        #expect(connection.name == "net-net")
        #expect(connection.local.identity == .fqdn("moon.example.org"))
        #expect(connection.remote.identity == .exactly(.fqdn("sun.example.org")))
        #expect(connection.remoteAddresses.map(\.description) == ["198.51.100.2"])
        #expect(connection.mobike == false)
        // 60 minutes of life, replaced 3 minutes before that, up to 3 minutes earlier by chance.
        #expect(connection.rekeyTime == .minutes(57))
        #expect(connection.overTime == .minutes(3))
        #expect(connection.randTime == .minutes(3))
        let child = try #require(connection.children.first)
        #expect(child.lifeTime == .minutes(20))
        #expect(child.rekeyTime == .minutes(17))
        #expect(child.localSelectors.map(\.description) == ["10.1.0.0/24"])
        #expect(child.startAction == .none)
        #expect(connection.keyingTries == 1)
        let secret = try #require(loaded.secrets.first)
        #expect(secret.value.count == 41)
        #expect(secret.identities == [.fqdn("moon.example.org"), .fqdn("sun.example.org")])
        #expect(sample.notes(.manual).contains("the key moonKey.pem"))
        #expect(sample.notes(.idle).contains("leftfirewall = yes"))
    }

    @Test func timesActionsAndStrictProposals() throws {
        let sample = try Sample(.strongSwan, "strongswan-2018.conf", secrets: "strongswan-2018.secrets")
        let loaded = try sample.loaded()
        let connection = try #require(loaded.connections.first)
        #expect(connection.proposals == [try Proposal(parsing: "aes256-sha256-modp2048", for: .ike)])
        #expect(connection.keyingTries == 0)
        #expect(connection.forcesEncapsulation)
        #expect(connection.uniqueness == .replace)
        #expect(connection.dpdDelay == .seconds(30))
        #expect(connection.rekeyTime == .seconds(8 * 3600 - 540))
        #expect(connection.randTime == .seconds(270))
        let child = try #require(connection.children.first)
        #expect(child.lifeTime == .seconds(5400), "1.5h")
        #expect(child.rekeyTime == .seconds(5400 - 540))
        #expect((child.startAction, child.closeAction, child.dpdAction) == (.start, .start, .start))
        #expect(child.proposals == [try Proposal(parsing: "aes256-sha256-modp2048", for: .esp)])
        #expect(sample.notes(.lost) == [] && child.compresses)
        #expect(sample.notes(.idle).contains("dpdtimeout = 120s"))
        #expect(loaded.secrets.first?.value.count == 28, "0s stands for base64")
    }

    @Test func withoutAnExclamationMarkTheDefaultsFollow() throws {
        let sample = Sample(
            .strongSwan,
            text: "conn a\n left=%any\n right=198.51.100.2\n ike=aes128-sha256-x25519\n authby=psk\n auto=route\n")
        #expect(sample.text.contains("proposals = aes128-sha256-prfsha256-x25519, default"))
        let connection = try #require(try sample.loaded().connections.first)
        #expect(connection.proposals.count == 1 + Proposal.defaults(for: .ike).count)
        // Three hours and one hour are that dialect's defaults.
        #expect(connection.rekeyTime == .minutes(171))
        #expect(connection.children.first?.lifeTime == .hours(1))
        #expect(connection.children.first?.startAction == .trap)
        #expect(connection.dpdDelay == .zero, "without dpdaction nobody asks")
    }

    @Test func libreswanHasSeveralNetworksAndForwardSecrecy() throws {
        let sample = try Sample(.libreswan, "libreswan-2023.conf", secrets: "libreswan-2023.secrets")
        let connection = try #require(try sample.loaded().connections.first)
        #expect(
            connection.proposals == [
                try Proposal(parsing: "aes256gcm16-prfsha512-ecp256", for: .ike),
                try Proposal(parsing: "aes256-sha256-modp2048", for: .ike),
            ])
        #expect(connection.children.map(\.name) == ["hq-branch-1x1", "hq-branch-2x1"])
        #expect(connection.children.map { $0.localSelectors[0].description } == ["10.1.0.0/25", "10.1.0.128/25"])
        #expect(
            connection.children[0].proposals == [
                try Proposal(parsing: "aes256gcm16-ecp256", for: .esp),
                try Proposal(parsing: "aes256-sha512-ecp256", for: .esp),
            ], "pfs takes the first IKE group")
        #expect(connection.children[0].startAction == .trap)
        #expect(connection.children[0].dpdAction == .trap)
        #expect(connection.dpdDelay == .seconds(30))
        #expect(connection.children[0].lifeTime == .hours(8))
    }

    @Test func whichEndIsOursCanBeSaid() throws {
        var options = ConfigurationImport.Options()
        options.local = .right
        let sample = try Sample(
            .libreswan, "libreswan-2023.conf", secrets: "libreswan-2023.secrets", options: options)
        let connection = try #require(try sample.loaded().connections.first)
        #expect(connection.local.identity == .fqdn("branch.example.org"))
        #expect(connection.remoteAddresses.map(\.description) == ["192.0.2.1"])
        #expect(connection.children.map { $0.remoteSelectors[0].description } == ["10.1.0.0/25", "10.1.0.128/25"])
    }

    @Test func versionOneIsRefusedUnlessRaised() throws {
        let text = "conn a\n left=192.0.2.1\n right=198.51.100.2\n authby=psk\n keyexchange=ikev1\n auto=add\n"
        let refused = Sample(.strongSwan, text: text)
        #expect(refused.imported.connectionCount == 0)
        #expect(refused.notes(.lost) == ["keyexchange = ikev1"])
        var options = ConfigurationImport.Options()
        options.raisesVersion = true
        let raised = Sample(.strongSwan, text: text, options: options)
        #expect(raised.imported.connectionCount == 1)
        #expect(raised.notes(.changed).contains("keyexchange = ikev1"))
    }

    @Test func policiesTransportPoolsAndPorts() throws {
        let sample = Sample(
            .strongSwan,
            text: """
                conn local-net
                 leftsubnet=10.1.0.0/16
                 rightsubnet=10.1.0.0/16
                 type=passthrough
                 auto=route
                conn l2tp
                 left=192.0.2.1
                 right=198.51.100.2
                 leftprotoport=17/1701
                 rightprotoport=udp/%any
                 type=transport
                 authby=psk
                 auto=add
                conn roadwarriors
                 left=192.0.2.1
                 leftid="C=CH, O=lab, CN=gw"
                 leftcert=gw.pem
                 leftsubnet=0.0.0.0/0
                 right=%any
                 rightid=*@example.org
                 rightsourceip=10.3.0.0/24
                 rightdns=10.1.0.53
                 rightauth=pubkey
                 auto=add
                 inactivity=10m
                """)
        #expect(sample.text.contains("mode = pass"))
        #expect(sample.text.contains("local_ts = dynamic[17/1701]"))
        #expect(sample.text.contains("remote_ts = dynamic[udp]"))
        #expect(sample.text.contains("id = \"C=CH, O=lab, CN=gw\"") || sample.text.contains("id = C=CH, O=lab, CN=gw"))
        #expect(sample.text.contains("addrs = 10.3.0.0/24\n    dns = 10.1.0.53"))
        #expect(sample.text.contains("pools = roadwarriors"))
        #expect(sample.text.contains("remote_addrs") == true)
        #expect(sample.notes(.manual).contains("leftcert = gw.pem"))
        let optional = sample.imported.document.rendered().paths.filter(\.isOptional).map(\.path)
        #expect(optional.contains("connections.roadwarriors.children.roadwarriors.inactivity"))
    }

    @Test func connectionsThatDifferInTheirChildrenAreOne() throws {
        let end = " left=192.0.2.1\n right=198.51.100.2\n authby=psk\n auto=add\n"
        let sample = Sample(
            .strongSwan, text: "conn a\n leftsubnet=10.1.0.0/24\n\(end)conn b\n leftsubnet=10.1.1.0/24\n\(end)")
        let connections = try sample.loaded().connections
        #expect(connections.map { $0.children.map(\.name) } == [["a", "b"]])
    }

    @Test func templatesMayNameEachOtherInACircle() throws {
        let sample = Sample(
            .strongSwan,
            text: "conn a\n also=b\n right=198.51.100.2\n authby=psk\n auto=add\nconn b\n also=a\n also=c\n")
        #expect(sample.imported.connectionCount == 1)
        #expect(sample.notes(.lost) == ["also = c"])
    }
}

struct IpsecSecretsTests {
    private func secrets(_ text: String) throws -> (values: [[UInt8]], sample: Sample) {
        let sample = Sample(
            .strongSwan, text: "conn a\n left=192.0.2.1\n right=198.51.100.2\n authby=psk\n auto=add\n", secrets: text)
        return (try sample.loaded().secrets.map { $0.value.exposedBytes() }, sample)
    }

    @Test func everyFormOfASecret() throws {
        let (values, _) = try secrets(
            """
            : PSK "quoted # text with \\ and spaces"
            a b : PSK 0x00112233445566778899aabbccddeeff
            c : PSK 0sAAECAwQFBgcICQoLDA0ODw==
            d: PSK "0x30783078"
            fd00::1 : PSK "behind an address of IPv6"
            """)
        #expect(values[0] == Array("quoted # text with \\ and spaces".utf8))
        #expect(
            values[1] == [
                0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
            ])
        #expect(values[2] == Array(0...15))
        #expect(values[3] == Array("0x30783078".utf8), "in quotes it is text, and stays so in swanctl.conf")
        #expect(values[4] == Array("behind an address of IPv6".utf8))
    }

    @Test func noNoteShowsASecret() throws {
        let (_, sample) = try secrets(
            """
            a : PSK "tell-nobody-1"
            b : XAUTH "tell-nobody-2"
            c PSK tell-nobody-3
            : PIN %smartcard tell-nobody-4
            e : PSK 0xtell-nobody-5
            """)
        for note in sample.imported.notes { #expect(!note.description.contains("tell-nobody")) }
        #expect(sample.imported.notes.count { $0.place.file == "ipsec.secrets" } == 4)
        #expect(!"\(sample.imported.document.comments)".contains("tell-nobody"))
    }

    /// Who does EAP has the name in it: a road warrior's gateway asks for that, its client says it.
    @Test func theEAPIdentityGoesToTheEndThatDoesEAP() throws {
        let gateway = """
            conn rw
             left=192.0.2.1
             leftauth=psk
             leftid=@gw.example
             right=%any
             rightauth=eap-mschapv2
             rightsendcert=never
             eap_identity=%any
             rightsourceip=10.3.0.0/24
             auto=add
            """
        let sample = Sample(.strongSwan, text: gateway)
        let connection = try #require(try sample.loaded().connections.first)
        #expect(connection.remote.method == .eap && connection.remote.eapIdentity == .any)
        #expect(connection.local.eapIdentity == nil && sample.notes(.lost) == [])
        let named = Sample(
            .strongSwan, text: gateway.replacing("=%any\n rightsourceip", with: "=carol\n rightsourceip"))
        #expect(try named.loaded().connections.first?.remote.eapIdentity?.matches(.fqdn("carol")) == true)
        let client = Sample(
            .strongSwan,
            text: """
                conn home
                 left=%defaultroute
                 leftsourceip=%config
                 leftauth=eap-mschapv2
                 eap_identity=carol
                 right=192.0.2.1
                 rightauth=psk
                 rightid=@gw.example
                 auto=add
                """)
        let home = try #require(try client.loaded().connections.first)
        #expect(home.local.eapIdentity?.description == "carol" && home.remote.eapIdentity == nil)
    }

    /// What a policy has no use for is not lost where a tunnel inherits it as well.
    @Test func whatSomeConnectionReadsIsNotLost() throws {
        let text = """
            conn %default
             ikelifetime=3h
             lifetime=1h
             rekeymargin=9m
             keyingtries=1
             dpddelay=30s
             ike=aes256-sha256-modp2048!
             nonsense=1
            conn local-net
             leftsubnet=10.1.0.0/16
             rightsubnet=10.1.0.0/16
             type=passthrough
             auto=route
             esp=aes256-sha256
            conn net
             left=192.0.2.1
             right=198.51.100.2
             authby=psk
             compress=yes
             auto=add
            """
        let sample = Sample(.strongSwan, text: text)
        #expect(sample.notes(.lost) == ["nonsense = 1"])
        #expect(sample.text.contains("ipcomp = yes"))
        let alone = Sample(.strongSwan, text: text.split(separator: "conn net").joined())
        #expect(alone.notes(.lost).contains("ike = aes256-sha256-modp2048!"))
        let padded = Sample(.strongSwan, text: text + "\n tfc=%mtu\n")
        #expect(padded.notes(.lost).contains("compress = yes") && !padded.text.contains("ipcomp"))
        #expect(try padded.loaded().connections.count == 2)
    }
}
