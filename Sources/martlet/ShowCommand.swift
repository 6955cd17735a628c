import ArgumentParser
import Foundation
import NetworkTypes
import ViciMessages
import ViciServer

/// `martlet show`.
struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show security associations in Cisco's layout.",
        discussion: """
            For the hands, and the scripts, that know a Cisco router:

              martlet show crypto ikev2 sa [detail]
              martlet show crypto ipsec sa [detail]

            What Martlet does not know, or does not have, is left out of the text.
            """)

    @Argument(help: ArgumentHelp("crypto ikev2 sa, or crypto ipsec sa, and detail.", valueName: "WORDS"))
    var words: [String]
    @OptionGroup var format: OutputFormat
    @OptionGroup var control: ControlSocketOption

    func run() throws {
        let wanted = words.map { $0.lowercased() }
        let isDetailed = wanted.last == "detail" || wanted.last == "detailed"
        let subject = isDetailed ? Array(wanted.dropLast()) : wanted
        guard subject == ["crypto", "ikev2", "sa"] || subject == ["crypto", "ipsec", "sa"] else {
            throw ValidationError(
                "Write: martlet show crypto ikev2 sa [detail], or martlet show crypto ipsec sa [detail].")
        }
        let client = try GatewayClient(control).client
        let sas: [ViciTree]
        var connections: [String: ViciTree] = [:]
        do {
            sas = (try client.status().section("sas")?.sections ?? []).map(\.tree)
            _ = try client.call("list-conns", streaming: "list-conn") { event in
                for (name, tree) in event.sections { connections[name] = tree }
            }
        } catch { throw CommandFailure(CommandFailure.sentence(error)) }
        let lines =
            subject[1] == "ikev2"
            ? CiscoText.ikeSAs(sas, connections, isDetailed: isDetailed)
            : CiscoText.childSAs(sas, isDetailed: isDetailed)
        try format.tell(["sas": .list(sas.map { JSONValue($0) })], lines)
    }
}

/// Security associations as a Cisco router prints them.
///
/// It owns the layout, to the column. It makes up no number: a line whose values nobody knows is not there.
enum CiscoText {
    // MARK: IKE SAs

    /// `show crypto ikev2 sa`.
    static func ikeSAs(_ sas: [ViciTree], _ connections: [String: ViciTree], isDetailed: Bool) -> [String] {
        var lines: [String] = []
        for (family, title) in [(4, " IPv4 Crypto IKEv2  SA "), (6, " IPv6 Crypto IKEv2  SA ")] {
            let wanted = sas.filter { ($0["local-host"] ?? "").contains(":") == (family == 6) }
            // A router says the first title whatever there is.
            if family == 6, wanted.isEmpty { continue }
            lines += [title, ""]
            for sa in wanted {
                lines.append(
                    padded("Tunnel-id", 10) + padded("Local", 22) + padded("Remote", 22) + padded("fvrf/ivrf", 21)
                        + "Status ")
                lines += ikeSA(sa, connections[sa["connection"] ?? ""], isDetailed: isDetailed) + [""]
            }
        }
        return lines
    }

    private static func ikeSA(_ sa: ViciTree, _ connection: ViciTree?, isDetailed: Bool) -> [String] {
        let state = sa["state"] ?? ""
        let end = { (side: String) in "\(sa["\(side)-host"] ?? "")/\(sa["\(side)-port"] ?? "")" }
        var lines = [
            padded(sa["uniqueid"] ?? "", 10) + padded(end("local"), 22) + padded(end("remote"), 22)
                + padded("none/none", 21) + status(state) + "  "
        ]
        if let encryption = sa["encr-alg"] {
            let (signs, verifies) = (authentication(connection, "local"), authentication(connection, "remote"))
            lines.append(
                "      Encr: \(ikeCipher(encryption)), keysize: \(sa["encr-keysize"] ?? "0"), "
                    + "PRF: \(hash(sa["prf-alg"])), Hash: \(hash(sa["integ-alg"])), DH Grp:\(group(sa["dh-group"])), "
                    + "Auth sign: \(signs), Auth verify: \(verifies)")
        }
        if let active = sa["established"].flatMap(Int.init) {
            let life = (sa["rekey-time"] ?? sa["reauth-time"]).flatMap(Int.init).map { $0 + active }
            lines.append("      Life/Active Time: \(life ?? 0)/\(active) sec")
        }
        guard isDetailed else { return lines }
        let isInitiator = sa["initiator"] == "yes"
        let (ours, theirs) = isInitiator ? ("initiator-spi", "responder-spi") : ("responder-spi", "initiator-spi")
        lines.append("      CE id: 0, Session-id: \(sa["uniqueid"] ?? "0")")
        lines.append("      Status Description: \(state == "ESTABLISHED" ? "Negotiation done" : state.capitalized)")
        lines.append(
            "      Local spi: \((sa[ours] ?? "").uppercased())       Remote spi: \((sa[theirs] ?? "").uppercased())")
        lines.append("      Local id: \(sa["local-id"] ?? "")")
        lines.append("      Remote id: \(sa["remote-id"] ?? "")")
        lines.append("      DPD configured for \(connection?["dpd_delay"] ?? "0") seconds, retry 5")
        let places = [("nat-local", "inside"), ("nat-remote", "outside")].filter { sa[$0.0] == "yes" }.map(\.1)
        lines.append(
            places.isEmpty
                ? "      NAT-T is not detected  " : "      NAT-T is detected \(places.joined(separator: " and ")) ")
        lines.append("      Initiator of SA : \(isInitiator ? "Yes" : "No")")
        return lines
    }

    private static func status(_ state: String) -> String {
        switch state {
        case "ESTABLISHED", "REKEYING", "PASSIVE": "READY"
        case "DELETING", "DESTROYING", "REKEYED": "DELETE"
        default: "IN-NEG"
        }
    }

    private static func authentication(_ connection: ViciTree?, _ side: String) -> String {
        let round = connection?.sections.first { $0.name.hasPrefix(side) }?.tree
        switch round?["class"] {
        case "pre-shared key"?: return "PSK"
        case "public key"?: return "RSA"
        case let other?: return other.uppercased()
        case nil: return "Unknown - 0"
        }
    }

    private static func ikeCipher(_ name: String) -> String {
        switch name {
        case "AES_CBC": "AES-CBC"
        case _ where name.hasPrefix("AES_GCM"): "AES-GCM"
        case "3DES_CBC": "3DES"
        default: name.replacing("_", with: "-")
        }
    }

    /// `SHA256` of `PRF_HMAC_SHA2_256` and `HMAC_SHA2_256_128`; None where there is none.
    private static func hash(_ name: String?) -> String {
        guard let name else { return "None" }
        for (part, word) in [
            ("SHA2_256", "SHA256"), ("SHA2_384", "SHA384"), ("SHA2_512", "SHA512"), ("SHA1", "SHA96"),
            ("MD5", "MD596"),
        ] where name.contains(part) { return word }
        return name
    }

    private static let groups: [String: Int] = [
        "MODP_768": 1, "MODP_1024": 2, "MODP_1536": 5, "MODP_2048": 14, "MODP_3072": 15, "MODP_4096": 16,
        "ECP_256": 19, "ECP_384": 20, "ECP_521": 21, "MODP_2048_256": 24, "CURVE_25519": 31, "CURVE_448": 32,
    ]

    private static func group(_ name: String?) -> String {
        name.map { groups[$0].map { String($0) } ?? $0 } ?? "none"
    }

    // MARK: Child SAs

    /// `show crypto ipsec sa`.
    static func childSAs(_ sas: [ViciTree], isDetailed: Bool) -> [String] {
        sas.flatMap { sa -> [String] in
            let drops = sa.section("child-drops")
            return (sa.section("child-sas")?.sections ?? []).flatMap { name, child in
                childSA(child, of: sa, drops: drops?.section(name), isDetailed: isDetailed)
            }
        }
    }

    private static func childSA(
        _ child: ViciTree, of sa: ViciTree, drops: ViciTree?, isDetailed: Bool
    ) -> [String] {
        let (local, remote) = (sa["local-host"] ?? "", sa["remote-host"] ?? "")
        let (sent, received) = (child["packets-out"] ?? "0", child["packets-in"] ?? "0")
        let replays = drops?["replays"] ?? "0"
        let forgeries = drops?["forgeries"] ?? "0"
        let errors = (Int(replays) ?? 0) + (Int(forgeries) ?? 0)
        // Where a router names the device, the connection stands: its device is not told.
        var lines = ["", "interface: \(sa["connection"] ?? "")"]
        lines += ["    Crypto map tag: \(child["name"] ?? ""), local addr \(local)", "", "   protected vrf: (none)"]
        lines += [
            "   local  ident (addr/mask/prot/port): (\(ident(child.list("local-ts"))))",
            "   remote ident (addr/mask/prot/port): (\(ident(child.list("remote-ts"))))",
            "   current_peer \(remote) port \(sa["remote-port"] ?? "500")", "     PERMIT, flags={origin_is_acl,}",
            "    #pkts encaps: \(sent), #pkts encrypt: \(sent), #pkts digest: \(sent)",
            "    #pkts decaps: \(received), #pkts decrypt: \(received), #pkts verify: \(received)",
            "    #pkts compressed: 0, #pkts decompressed: 0", "    #pkts not compressed: 0, #pkts compr. failed: 0",
            "    #pkts not decompressed: 0, #pkts decompress failed: 0",
        ]
        if isDetailed {
            lines += ["    #pkts verify failed: \(forgeries)", "    ##pkts replay failed (rcv): \(replays)"]
        } else {
            lines.append("    #send errors 0, #recv errors \(errors)")
        }
        lines += ["", "     local crypto endpt.: \(local), remote crypto endpt.: \(remote)"]
        if let outbound = child["spi-out"] { lines.append("     current outbound spi: \(spi(outbound))") }
        let dh = child["dh-group"]
        lines.append(
            "     PFS (Y/N): \(dh == nil ? "N" : "Y"), DH group: \(dh.map { "group\(group($0))" } ?? "none")")
        let isAH = child["protocol"] == "AH"
        for (word, side) in [("inbound", "in"), ("outbound", "out")] {
            for kind in ["esp", "ah", "pcp"] {
                lines += ["", "     \(word) \(kind) sas:"]
                if kind == (isAH ? "ah" : "esp") { lines += direction(child, side) }
            }
        }
        return lines
    }

    private static func direction(_ child: ViciTree, _ side: String) -> [String] {
        guard let number = child["spi-\(side)"] else { return [] }
        let mode = child["mode"] == "TRANSPORT" ? "Transport" : "Tunnel"
        let inside = child["encap"] == "yes" ? "\(mode) UDP-Encaps" : mode
        let isActive = ["INSTALLED", "REKEYING"].contains(child["state"] ?? "")
        return [
            "      spi: \(spi(number))", "        transform: \(transform(child)) ,",
            "        in use settings ={\(inside), }",
            "        conn id: \(child["uniqueid"] ?? "0"), crypto map: \(child["name"] ?? "")",
            "        sa timing: remaining key lifetime (sec): \(child["life-time"] ?? "0")",
            "        IV size: \(child["encr-alg"] == "AES_CBC" ? 16 : 8) bytes",
            "        Status: \(isActive ? "ACTIVE(ACTIVE)" : "DELETED")",
        ]
    }

    /// `0xC0FFEE00(3237998080)`
    private static func spi(_ text: String) -> String {
        "0x\(text.uppercased())(\(UInt32(text, radix: 16).map { String($0) } ?? "?"))"
    }

    private static func transform(_ child: ViciTree) -> String {
        let bits = child["encr-keysize"] ?? ""
        var words: [String] = []
        switch child["encr-alg"] ?? "" {
        case "AES_CBC": words = ["esp-\(bits)-aes"]
        case "3DES_CBC": words = ["esp-3des"]
        case "NULL": words = ["esp-null"]
        case let name where name.hasPrefix("AES_GCM"): words = ["esp-gcm \(bits)"]
        case "": break
        case let name: words = ["esp-\(name.lowercased().replacing("_", with: "-"))"]
        }
        let prefix = child["protocol"] == "AH" ? "ah" : "esp"
        if let integrity = child["integ-alg"] {
            let word = hash(integrity).replacing("SHA96", with: "SHA").replacing("MD596", with: "MD5")
            words.append("\(prefix)-\(word.lowercased())-hmac")
        }
        return words.joined(separator: " ")
    }

    /// `10.1.0.0/255.255.0.0/0/0` of the first selector.
    private static func ident(_ selectors: [String]?) -> String {
        guard let first = selectors?.first else { return "0.0.0.0/0.0.0.0/0/0" }
        var (base, number, port) = (first[...], "0", "0")
        if let bracket = first.firstIndex(of: "[") {
            base = first[..<bracket]
            let inner = first[first.index(after: bracket)...].dropLast().split(separator: "/", maxSplits: 1)
            number = inner.first.flatMap { IPProtocolNumber(named: String($0)) }.map { String($0.rawValue) } ?? "0"
            port = inner.count > 1 ? String(inner[1]) : "0"
        }
        guard let prefix = IPPrefix(String(base)) else { return "\(base)/\(number)/\(port)" }
        guard prefix.family == .v4 else { return "\(prefix)/\(number)/\(port)" }
        let bits: UInt64 = (0xffff_ffff << UInt64(32 - prefix.length)) & 0xffff_ffff
        return "\(prefix.address)/\(IPAddress(v4: UInt32(truncatingIfNeeded: bits)))/\(number)/\(port)"
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
