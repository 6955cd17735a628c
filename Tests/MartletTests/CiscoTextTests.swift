import Testing
import ViciMessages

@testable import martlet

struct CiscoTextTests {
    private let sa = ViciTree {
        $0.set("connection", "branch")
        $0.set("uniqueid", "7")
        $0.set("state", "ESTABLISHED")
        for (key, value) in [
            ("local-host", "192.0.2.1"), ("local-port", "4500"), ("local-id", "hq"), ("remote-host", "198.51.100.2"),
            ("remote-port", "4500"), ("remote-id", "branch"), ("initiator", "yes"),
            ("initiator-spi", "00112233445566aa"), ("responder-spi", "8899aabbccddeeff"), ("encr-alg", "AES_CBC"),
            ("encr-keysize", "256"), ("integ-alg", "HMAC_SHA2_256_128"), ("prf-alg", "PRF_HMAC_SHA2_256"),
            ("dh-group", "MODP_2048"), ("established", "640"), ("rekey-time", "13760"), ("nat-local", "yes"),
        ] { $0.set(key, value) }
        $0.setSection("child-sas") { children in
            children.setSection("net-1") { child in
                for (key, value) in [
                    ("name", "net"), ("uniqueid", "9"), ("state", "INSTALLED"), ("mode", "TUNNEL"), ("protocol", "ESP"),
                    ("encap", "yes"), ("spi-in", "c0ffee00"), ("spi-out", "0000beef"), ("encr-alg", "AES_GCM_16"),
                    ("encr-keysize", "256"), ("dh-group", "ECP_384"), ("packets-in", "11"), ("packets-out", "13"),
                    ("life-time", "3210"),
                ] { child.set(key, value) }
                child.setList("local-ts", ["10.1.0.0/16"])
                child.setList("remote-ts", ["10.2.0.9/32[tcp/443]"])
            }
        }
        $0.setSection("child-drops") { drops in drops.setSection("net-1") { $0.set("replays", "2") } }
    }

    @Test func anIKESAInDetail() {
        let connection = ViciTree {
            $0.set("dpd_delay", "30")
            $0.setSection("local-1") { $0.set("class", "pre-shared key") }
            $0.setSection("remote-1") { $0.set("class", "public key") }
        }
        #expect(
            CiscoText.ikeSAs([sa], ["branch": connection], isDetailed: true) == [
                " IPv4 Crypto IKEv2  SA ", "",
                "Tunnel-id Local                 Remote                fvrf/ivrf            Status ",
                "7         192.0.2.1/4500        198.51.100.2/4500     none/none            READY  ",
                "      Encr: AES-CBC, keysize: 256, PRF: SHA256, Hash: SHA256, DH Grp:14, Auth sign: PSK, Auth verify: RSA",
                "      Life/Active Time: 14400/640 sec", "      CE id: 0, Session-id: 7",
                "      Status Description: Negotiation done",
                "      Local spi: 00112233445566AA       Remote spi: 8899AABBCCDDEEFF", "      Local id: hq",
                "      Remote id: branch", "      DPD configured for 30 seconds, retry 5",
                "      NAT-T is detected inside ", "      Initiator of SA : Yes", "",
            ])
        #expect(CiscoText.ikeSAs([], [:], isDetailed: false) == [" IPv4 Crypto IKEv2  SA ", ""])
    }

    @Test func aChildSA() {
        let lines = CiscoText.childSAs([sa], isDetailed: false)
        for line in [
            "    Crypto map tag: net, local addr 192.0.2.1",
            "   local  ident (addr/mask/prot/port): (10.1.0.0/255.255.0.0/0/0)",
            "   remote ident (addr/mask/prot/port): (10.2.0.9/255.255.255.255/6/443)",
            "   current_peer 198.51.100.2 port 4500",
            "    #pkts encaps: 13, #pkts encrypt: 13, #pkts digest: 13",
            "    #pkts decaps: 11, #pkts decrypt: 11, #pkts verify: 11", "    #send errors 0, #recv errors 2",
            "     current outbound spi: 0x0000BEEF(48879)", "     PFS (Y/N): Y, DH group: group20",
            "      spi: 0xC0FFEE00(3237998080)", "        transform: esp-gcm 256 ,",
            "        in use settings ={Tunnel UDP-Encaps, }",
            "        sa timing: remaining key lifetime (sec): 3210", "        Status: ACTIVE(ACTIVE)",
        ] { #expect(lines.contains(line), "\(line)") }
        #expect(CiscoText.childSAs([sa], isDetailed: true).contains("    ##pkts replay failed (rcv): 2"))
    }
}
