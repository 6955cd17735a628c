import SwanctlConfig
import Testing

/// Every mistake is found, named and placed, and none of them loads anything.
@Suite struct MistakeTests {
    @Test(arguments: [
        ("version = 1", "connections.gw.version: IKEv1 is not supported yet; write version = 2, on the peer as well"),
        ("version = x", "connections.gw.version: 'x' is not an IKE version; write version = 2"),
        (
            "remote_adrs = 10.0.0.1",
            "connections.gw.remote_adrs: unknown key 'remote_adrs'; did you mean 'remote_addrs'?"
        ),
        ("nonsense = 1", "connections.gw.nonsense: unknown key 'nonsense'; remove it; swanctl.conf(5) lists all keys"),
        (
            "vips = everywhere",
            "connections.gw.vips: 'everywhere' is not an address; write 0.0.0.0 or :: for any, or the address that you want"
        ),
        (
            "mediation = yes",
            "connections.gw.mediation: 'mediation' is not supported: mediation was an experiment of strongSwan's and never a standard; remove it; one end needs an address or a forwarded port that the other can reach"
        ),
        (
            "local_addrs = 10.0.0.256",
            "connections.gw.local_addrs: '10.0.0.256' is not an address; write an address, a block, from-to, a host name or %any"
        ),
        (
            "local_addrs = 10.0.0.9-10.0.0.1",
            "connections.gw.local_addrs: '10.0.0.9-10.0.0.1' goes backwards, or from one family to the other; write lower-upper"
        ),
        (
            "local_port = 70000",
            "connections.gw.local_port: '70000' is not a number from 1 to 65535; write a number from 1 to 65535"
        ),
        (
            "dpd_delay = 10 parsecs",
            "connections.gw.dpd_delay: '10 parsecs' is not a time; write a number of seconds, or one with s, m, h or d: 90s, 30m, 4h, 1d"
        ),
        (
            "dpd_delay = 99999999999999999999",
            "connections.gw.dpd_delay: '99999999999999999999' is not a time; write a number of seconds, or one with s, m, h or d: 90s, 30m, 4h, 1d"
        ),
        (
            "reauth_time = 3 hours",
            "connections.gw.reauth_time: '3 hours' is not a time; write a number of seconds, or one with s, m, h or d: 90s, 30m, 4h, 1d"
        ),
        ("encap = maybe", "connections.gw.encap: 'maybe' is neither yes nor no; write yes or no"),
        (
            "unique = repalce",
            "connections.gw.unique: 'repalce' is not one of the words allowed here; did you mean 'replace'?"
        ),
        (
            "proposals = aes128-sha256-modp20480",
            "connections.gw.proposals: proposal 'aes128-sha256-modp20480': there is no algorithm called 'modp20480' (character 15); did you mean 'modp2048'?"
        ),
        (
            "redirect_to = a b",
            "connections.gw.redirect_to: 'a b' is neither an address nor a domain name; write the gateway to go to"
        ),
        (
            "redirect_at = later",
            "connections.gw.redirect_at: 'later' is not one of the words allowed here; write one of: init, auth"
        ),
        ("children = 3", "connections.gw.children: 'children' is a section, not a setting; write 'children { … }'"),
        ("vips { }", "connections.gw.vips: 'vips' is a setting, not a section; write 'vips = …'"),
        ("chidren { }", "connections.gw.chidren: unknown section 'chidren'; did you mean 'children'?"),
    ])
    func inConnections(_ line: String, _ message: String) {
        let found = errors(connection(line))
        #expect(found == ["14:9: error: \(message)"])
    }

    @Test(arguments: [
        (
            "local_ts = 10.1.0.0/33",
            "local_ts: '10.1.0.0/33' is not a traffic selector; write a block (10.1.0.0/16), from-to, or dynamic, and behind it [protocol/port] where wanted"
        ),
        (
            "local_ts = 10.1.0.0/16[tcp/80",
            "local_ts: '10.1.0.0/16[tcp/80': the bracket is not closed; write it as 10.1.0.0/16[tcp/80]"
        ),
        ("local_ts = dynamic[tpc]", "local_ts: 'dynamic[tpc]': there is no protocol 'tpc'; write its number, or any"),
        ("local_ts = dynamic[tcp/90-80]", "local_ts: 'dynamic[tcp/90-80]': the ports go backwards; write lower-upper"),
        (
            "local_ts = dynamic[tcp/gopher]",
            "local_ts: 'dynamic[tcp/gopher]': there is no port 'gopher'; write its number"
        ),
        (
            "mode = beet",
            "mode: mode beet is not supported: it never became a standard; write mode = tunnel, transport, pass or drop"
        ),
        ("mode = tunel", "mode: 'tunel' is not a mode; write mode = tunnel, transport, pass or drop"),
        (
            "local_ts = 10.1.0.0/16\nmode = transport",
            "local_ts: 10.1.0.0/16 is more than one host, and transport mode is between two hosts only; "
                + "remove local_ts, or write mode = tunnel"
        ),
        (
            "start_action = up",
            "start_action: 'up' is not one of the words allowed here; write one of: none, clear, trap, route, hold, start, restart, trap|start, start|trap"
        ),
        (
            "replay_window = 1000000",
            "replay_window: '1000000' is not a number from 0 to 32768; write a number from 0 to 32768"
        ),
        (
            "esp_proposals = aes128",
            "esp_proposals: proposal 'aes128': 'aes128' (character 1) needs an integrity algorithm beside it; add for example 'sha256'"
        ),
        (
            "hw_offload = yes",
            "hw_offload: hardware offload is not supported: packets are sealed in user space; write no or auto"
        ),
        (
            "ipcomp = yes\nah_proposals = sha256",
            "ipcomp: payloads are compressed with ESP only; remove ah_proposals, or write ipcomp = no"
        ),
        (
            "ipcomp = yes\ntfc_padding = mtu",
            "ipcomp: compressed packets show by their length what tfc_padding hides; "
                + "remove tfc_padding, or write ipcomp = no"
        ),
        ("per_cpu_sas = encap", "per_cpu_sas: UDP ports for each of them are not supported; write yes or no"),
    ])
    func inChildren(_ line: String, _ message: String) {
        #expect(errors(connection("", child: line)) == ["12:13: error: connections.gw.children.net.\(message)"])
    }

    @Test(arguments: [
        (
            "id = asn1dn:lab",
            "id: 'lab' is not a distinguished name; write key=value pairs, as in C=CH, O=lab, CN=a.lab"
        ),
        (
            "id = a*.example.net",
            "id: 'a*.example.net': a star may only stand for all that comes before a domain; write *.example.net or *@example.net"
        ),
        ("id = fqdn:^.*$", "id: 'fqdn:^.*$': regular expressions are not supported yet; write *.example.net, or %any"),
        ("id = ipv4:1.2.3", "id: '1.2.3' is not an address of type ipv4; correct the address"),
        (
            "id = ipv4net:1.2.3.0/24",
            "id: 'ipv4net:1.2.3.0/24': identities of type ipv4net are not supported yet; use a host name, an address, an e-mail address, a distinguished name or a keyid"
        ),
        ("id = \"@#xyz\"", "id: '@#xyz': what follows # is not hexadecimal; write pairs of hexadecimal digits"),
        ("id = @#xyz", "id: '@' alone is nobody; quote what begins with @#, since # begins a comment"),
    ])
    func inIdentities(_ line: String, _ message: String) {
        #expect(errors(connection("", round: line)) == ["9:13: error: connections.gw.remote.\(message)"])
    }

    @Test(arguments: [
        ("ike { }", "1:11: error: secrets.ike has no secret; add secret = …"),
        ("ike { secret = \"\" }", "1:17: error: secrets.ike.secret: the secret is empty; write the shared secret"),
        (
            "ike { secret = 0x123 }",
            "1:17: error: secrets.ike.secret: what follows 0x is not hexadecimal; correct it, or put the text in front of which 0x or 0s stands into hexadecimal form"
        ),
        (
            "ike { secret = 0sab!d }",
            "1:17: error: secrets.ike.secret: what follows 0s is not base64; correct it, or put the text in front of which 0x or 0s stands into hexadecimal form"
        ),
        (
            "ike { secret = x\n id = a*.example.net\n }",
            "2:2: error: secrets.ike.id: 'a*.example.net': a star may only stand for all that comes before a domain; write *.example.net or *@example.net"
        ),
        (
            "eap-bob { secret = x\n }",
            "1:11: error: secrets.eap-bob has no id, so nobody can use it; add id = the name that its owner has in EAP"
        ),
        ("ikee = 3", "1:11: error: secrets.ikee: 'ikee' is a section, not a setting; write 'ikee { … }'"),
    ])
    func inSecrets(_ section: String, _ message: String) {
        #expect(errors("secrets { \(section)\n}") == [message])
    }

    @Test func allAreFound() {
        let found = errors(
            connection("version = 1\nunique = x\nfoo = 1", child: "mode = beet")
                + "\npools { p { addrs = 10.0.0.0/\n } }\nconections { }")
        #expect(found.count == 6, "\(found.joined(separator: "\n"))")
    }

    @Test(arguments: [
        ("auth = dsa", "'dsa' is no kind of key, size or hash"),
        ("auth = eap-radius", "a RADIUS server proves nothing in our place"),
    ])
    func authentication(_ line: String, _ message: String) {
        let text = "connections { gw { local { \(line)\n }\n remote { auth = psk\n } } }"
        let found = errors(text)
        #expect(found.count == 1)
        #expect(found.first?.contains(message.replacing("connections.gw: ", with: "")) == true, "\(found)")
        #expect(
            errors("connections { gw { local { auth = psk\n } } }").first?.contains("has no 'remote' section") == true)
    }

    /// Keys at their defaults say nothing new and load, whatever Martlet can do.
    @Test func defaultsAreAlwaysAllowed() throws {
        let lines = """
            vips =
            aggressive = no
            pull = yes
            dscp = 000000
            childless = allow
            send_certreq = yes
            ocsp = reply
            ppk_required = no
            if_id_in = 0
            mediation = false
            reauth_time = 0s
            dpd_timeout = 0
            """
        let child = """
            sha256_96 = no
            rekey_bytes = 0
            hostaccess = 0
            policies = yes
            ipcomp = disabled
            inactivity = 0s
            reqid = 0
            mark_in = 0/0x00000000
            set_mark_out = 0
            tfc_padding = 0
            per_cpu_sas = no
            hw_offload = no
            copy_dscp = out
            icmp = no
            """
        #expect(try load(connection(lines, child: child)).warnings == [])
    }

    /// What a message says must never give a secret away.
    @Test func noMessageShowsASecret() {
        let text = """
            secrets { ike { secret = 0xTOPSECRET1 }
                ike-2 { secret = 0sTOPSECRET2!
                    sceret = TOPSECRET3
                }
                eap-x { secret = TOPSECRET4
                } }
            """
        let found = errors(text)
        #expect(found.count == 4)
        #expect(!found.joined().contains("TOPSECRET"))
    }
}
