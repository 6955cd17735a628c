/// The two ends: addresses, identities, how each proves itself, virtual addresses.
extension IpsecConfImport {
    mutating func addresses(_ section: inout SwanctlDocument.Section, _ settings: inout IpsecSettings) {
        section.set("local_addrs", address(ours, &settings))
        let remote = address(theirs, &settings)
        section.set("remote_addrs", remote)
        if remote == nil, settings.peek(theirs) == nil, settings.peek(ours) != nil {
            note(.changed, settings.place, theirs, "it is not set: the peer may come from anywhere")
        }
        for (key, end) in [("local_port", ours), ("remote_port", theirs)] {
            section.set(key, settings.text(end + "ikeport"))
        }
        if isLibreswan, remote != nil, section.text("local_addrs") != nil {
            note(
                .changed, settings.place, "left, right",
                "\(ours) is taken as this gateway; --local \(theirs) takes the other")
        }
    }

    /// The addresses of one end; nil for any.
    private mutating func address(_ end: String, _ settings: inout IpsecSettings) -> String? {
        guard let setting = settings.setting(end) else { return nil }
        var addresses: [String] = []
        for word in Words.list(setting.value) {
            switch word.lowercased() {
            case "%any", "%any4", "%any6", "%defaultroute", "%group", "%opportunistic", "0.0.0.0", "::": return nil
            default:
                if word.hasPrefix("%") {
                    note(.changed, setting, "the peer may come from elsewhere with mobike only")
                }
                let name = word.hasPrefix("%") ? String(word.dropFirst()) : word
                if name.contains("<") {
                    note(.manual, setting, "write the address in its place")
                    return nil
                }
                addresses.append(name)
            }
        }
        return addresses.isEmpty ? nil : addresses.joined(separator: ", ")
    }

    // MARK: Authentication

    mutating func authentication(
        _ settings: inout IpsecSettings, _ section: inout SwanctlDocument.Section
    ) -> [SwanctlDocument.Section] {
        let both = settings.setting("authby", "auth-by")
        var local = SwanctlDocument.Section("local")
        var remote = SwanctlDocument.Section("remote")
        local.set("auth", method(ours, both, &settings))
        remote.set("auth", method(theirs, both, &settings))
        identity(ours, &local, &settings, isLocal: true)
        identity(theirs, &remote, &settings, isLocal: false)
        // Who is not named is expected under its address, as there.
        if remote.text("id") == nil, let address = section.text("remote_addrs"), Self.isOneAddress(address) {
            remote.set("id", address)
        }
        certificates(ours, &local, &settings, isLocal: true, &section)
        certificates(theirs, &remote, &settings, isLocal: false, &section)
        eapIdentity(&local, &remote, &settings)
        local.set("aaa_id", settings.text("aaa_identity"), isOptional: true)
        remote.set("groups", settings.text(theirs + "groups"), isOptional: true)
        return [local, remote]
    }

    /// Who does EAP is called so in it: the peer where it is a client of ours, we where we are one. On a gateway `%identity`
    /// and `%any` ask the client; we can't be asked for a name that nobody wrote.
    private mutating func eapIdentity(
        _ local: inout SwanctlDocument.Section, _ remote: inout SwanctlDocument.Section, _ settings: inout IpsecSettings
    ) {
        let either = settings.setting("eap_identity")
        let own = settings.setting(theirs + "eapidentity")
        let isClient = local.text("auth")?.hasPrefix("eap") ?? false
        let isGateway = remote.text("auth")?.hasPrefix("eap") ?? false
        if let setting = own ?? either, !setting.value.isEmpty, isGateway, own != nil || !isClient {
            let asks = ["%any", "%identity"].contains(setting.value.lowercased())
            remote.set("eap_id", asks ? "%any" : setting.value, isOptional: true)
        }
        guard let setting = either, !setting.value.isEmpty else { return }
        if isClient, !setting.value.hasPrefix("%") {
            local.set("eap_id", setting.value, isOptional: true)
        } else if !isClient, !isGateway {
            note(.idle, setting, "neither end does EAP")
        }
    }

    private static func isOneAddress(_ text: String) -> Bool {
        !text.contains(",") && !text.contains("/") && !text.contains("-")
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2e || $0 == 0x3a || $0 | 0x20 >= 0x61 }
            && (text.contains(":") || text.utf8.allSatisfy { $0 < 0x3a })
    }

    private mutating func method(
        _ end: String, _ both: IpsecConfFile.Setting?, _ settings: inout IpsecSettings
    ) -> String {
        if let second = settings.setting(end + "auth2") {
            let section = end == ours ? "local-2" : "remote-2"
            note(.lost, second, "write the second round as a section \(section) with this auth")
        }
        guard let setting = settings.setting(end + "auth") ?? both else { return "pubkey" }
        for word in Words.list(setting.value.lowercased()) {
            switch word {
            case "secret", "psk": return "psk"
            case "rsasig", "rsa", "pubkey", "ecdsasig", "ecdsa", "rsa-sha2", "rsa-sha1", "rsa-sha2_256",
                "rsa-sha2_384", "rsa-sha2_512", "ecdsa-sha2", "ecdsa-sha2_256", "ecdsa-sha2_384", "ecdsa-sha2_512":
                return "pubkey"
            case "null", "never", "xauthpsk", "xauthrsasig":
                note(.lost, setting, "there is nothing like it: pubkey is written")
            default:
                if word.hasPrefix("eap") || word.hasPrefix("rsa-") || word.hasPrefix("ecdsa-")
                    || word.hasPrefix("pubkey-")
                {
                    return word
                }
                note(.lost, setting, "it is no method that is known: pubkey is written")
            }
        }
        return "pubkey"
    }

    private mutating func identity(
        _ end: String, _ section: inout SwanctlDocument.Section, _ settings: inout IpsecSettings, isLocal: Bool
    ) {
        guard let setting = settings.setting(end + "id"), !setting.value.isEmpty else { return }
        var text = setting.value
        switch text.lowercased() {
        case "%any", "%fromcert", "%null", "%none":
            if !["%any", "%fromcert"].contains(text.lowercased()) { note(.lost, setting, "there is nothing like it") }
            return
        case "%myid", "%hostname":
            note(.lost, setting, "write the name itself")
            return
        default: break
        }
        if text.contains("<") {
            note(.manual, setting, "write the identity in its place")
            return
        }
        if text.hasPrefix("@["), text.hasSuffix("]") { text = "keyid:" + text.dropFirst(2).dropLast() }
        if text.hasPrefix("%"), !isLocal {
            note(.changed, setting, "the peer is not told whom we expect there; here it is")
            text.removeFirst()
        }
        section.set("id", text)
    }

    private mutating func certificates(
        _ end: String, _ round: inout SwanctlDocument.Section, _ settings: inout IpsecSettings, isLocal: Bool,
        _ section: inout SwanctlDocument.Section
    ) {
        if let setting = settings.setting(end + "cert") {
            let isFile = !isLibreswan && !setting.value.hasPrefix("%")
            if isFile {
                round.set("certs", file(setting))
                note(
                    .manual, setting,
                    isLocal
                        ? "copy the certificate into x509 and its key into private, beside swanctl.conf"
                        : "copy the certificate into x509, beside swanctl.conf")
            } else {
                note(.manual, setting, "export it from where it is kept, and name its file with certs = …")
            }
        }
        if let setting = settings.setting(end + "ca"), setting.value.lowercased() != "%same" {
            if isLocal {
                note(.idle, setting, "our certificate names its authority itself")
            } else {
                round.set("ca_id", setting.value)
            }
        }
        for key in ["sigkey", "rsasigkey", "ecdsakey", "pubkey"] {
            guard let setting = settings.setting(end + key), !setting.value.hasPrefix("%") else { continue }
            note(
                .manual, setting.place, end + key,
                "export the key as PEM into the directory pubkey, and name it with pubkeys = …")
        }
        if let policy = settings.text(end + "certpolicy") { round.set("cert_policy", policy) }
        guard isLocal, let sending = settings.setting(end + "sendcert") else { return }
        switch sending.value.lowercased() {
        case "never", "no": section.set("send_cert", "never")
        case "always", "yes", "forced", "alwayssend": section.set("send_cert", "always")
        default: break
        }
    }

    // MARK: Virtual addresses

    mutating func virtualAddresses(
        _ name: String, _ section: inout SwanctlDocument.Section, _ settings: inout IpsecSettings
    ) {
        var wanted: [String] = []
        for word in Words.list(settings.text(ours + "sourceip") ?? "") {
            switch word.lowercased() {
            case "%config", "%config4", "%modeconfig", "%modecfg", "%cfg": wanted.append("0.0.0.0")
            case "%config6": wanted.append("::")
            default:
                // In libreswan it is the address that the gateway itself uses, and nobody is asked for it.
                if !isLibreswan {
                    wanted.append(word)
                } else {
                    note(.lost, settings.place, ours + "sourceip = \(word)", "the system chooses its own addresses")
                }
            }
        }
        if let setting = settings.setting(ours + "modecfgclient"), Words.truth(setting.value) == true {
            wanted.append("0.0.0.0")
        }
        if !wanted.isEmpty { section.set("vips", wanted.joined(separator: ", ")) }
        if let setting = settings.setting(ours + "dns") {
            note(.lost, setting, "which name servers are asked for is not chosen")
        }
        lend(name, &section, &settings)
    }

    private mutating func lend(
        _ name: String, _ section: inout SwanctlDocument.Section, _ settings: inout IpsecSettings
    ) {
        guard let setting = settings.setting(theirs + "sourceip", theirs + "addresspool") else { return }
        let dns = settings.setting(theirs + "dns", "modecfgdns", "modecfgdns1")?.value
        var names: [String] = []
        for word in Words.list(setting.value) {
            if word.lowercased() == "%config" { continue }
            if word.hasPrefix("%") {
                note(.lost, setting, "pools of other sources are not supported: write the addresses into pools { }")
                continue
            }
            var pool = SwanctlDocument.Section(names.isEmpty ? name : "\(name)-\(names.count + 1)")
            pool.set("addrs", word)
            pool.set("dns", dns)
            names.append(pool.name)
            add(pool: pool)
        }
        if !names.isEmpty { section.set("pools", names.joined(separator: ", ")) }
    }
}
