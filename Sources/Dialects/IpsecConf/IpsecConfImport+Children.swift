import IPsecCrypto

/// What a connection tunnels: selectors, ESP and AH, what starts it.
extension IpsecConfImport {
    mutating func children(
        _ name: String, _ settings: inout IpsecSettings, mode: String?, profile: ChildTimes
    ) -> SwanctlDocument.Section {
        var base = SwanctlDocument.Section(name)
        base.set("mode", mode)
        security(&base, &settings, groups: profile.groups)
        lifetimes(&base, &settings, profile)
        actions(&base, &settings, isPolicy: mode == "pass" || mode == "drop")
        others(&base, &settings)
        var device: [SwanctlDocument.Setting] = []
        if isFromAWS { device = interface(name, &settings) }
        base.settings += device
        let locals = networks(ours, &settings)
        let remotes = networks(theirs, &settings)
        var outer = SwanctlDocument.Section("children")
        for (first, local) in locals.enumerated() {
            for (second, remote) in remotes.enumerated() {
                var child = base
                if locals.count > 1 || remotes.count > 1 {
                    child.name = SwanctlDocument.name("\(name)-\(first + 1)x\(second + 1)")
                }
                let isTransport = mode == "transport"
                let selectors = [("local_ts", local), ("remote_ts", remote)].filter {
                    !isTransport || $0.1 != "dynamic"
                }
                for (key, text) in selectors.reversed() {
                    child.settings.insert(.init(key: key, value: .text(text), isOptional: false), at: 0)
                }
                outer.sections.append(child)
            }
        }
        return outer
    }

    // MARK: Selectors

    /// The selectors of one end: one text for each Child SA that is wanted.
    private mutating func networks(_ end: String, _ settings: inout IpsecSettings) -> [String] {
        let suffix = protocolPort(settings.setting(end + "protoport"))
        var result: [String] = []
        if let several = settings.setting(end + "subnets") {
            for word in several.value.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
                if let selector = network(String(word), suffix, several) { result.append(selector) }
            }
            _ = settings.setting(end + "subnet")
        } else if let one = settings.setting(end + "subnet") {
            let parts = Words.list(one.value).compactMap { network($0, suffix, one) }
            if !parts.isEmpty { result = [parts.joined(separator: ", ")] }
        }
        return result.isEmpty ? ["dynamic" + suffix] : result
    }

    private mutating func network(_ text: String, _ suffix: String, _ setting: IpsecConfFile.Setting) -> String? {
        var base = text
        var ending = suffix
        if let bracket = text.firstIndex(of: "["), text.hasSuffix("]") {
            base = Words.trimmed(text[..<bracket])
            ending = protocolPort(
                .init(
                    key: setting.key, value: String(text[text.index(after: bracket)...].dropLast()),
                    place: setting.place))
        }
        let lower = base.lowercased()
        if lower == "%dynamic" || lower == "dynamic" { return "dynamic" + ending }
        if lower.hasPrefix("vhost:") || lower.hasPrefix("vnet:") || lower == "%priv" || lower == "%no"
            || lower.hasPrefix("%v")
        {
            note(.lost, setting, "the client's own address is taken")
            return nil
        }
        if base.contains("<") {
            note(.manual, setting, "write the network in its place")
            return nil
        }
        return base + ending
    }

    /// `tcp/http`, `17/1701`, `icmp` as swanctl.conf's ending of a selector; empty for everything.
    private mutating func protocolPort(_ setting: IpsecConfFile.Setting?) -> String {
        guard let setting, !setting.value.isEmpty else { return "" }
        let parts = setting.value.lowercased().split(separator: "/", maxSplits: 1).map { Words.trimmed($0) }
        let name = parts.first.map { $0 == "%any" || $0 == "0" ? "any" : $0 } ?? "any"
        let port = parts.count > 1 ? parts[1] : ""
        if ["", "%any", "any", "0"].contains(port) { return name == "any" ? "" : "[\(name)]" }
        return "[\(name)/\(port == "%opaque" ? "opaque" : port)]"
    }

    // MARK: ESP and AH

    private mutating func security(
        _ child: inout SwanctlDocument.Section, _ settings: inout IpsecSettings, groups: String?
    ) {
        let esn = settings.setting("esn").flatMap { Words.truth($0.value) }
        let isAuthenticatedOnly = settings.text("phase2")?.lowercased() == "ah"
        let forward = settings.setting("pfs").flatMap { Words.truth($0.value) } ?? isLibreswan
        let group = settings.text("pfsgroup")?.lowercased() ?? (isLibreswan && forward ? groups : nil)
        for (key, securityProtocol) in [("ah", SecurityProtocol.ah), ("esp", .esp)] {
            let isESP = securityProtocol == .esp
            let names = isESP ? settings.setting("esp", "phase2alg", "esp-alg") : settings.setting("ah", "ah-alg")
            guard let setting = names else { continue }
            let target = isESP && isAuthenticatedOnly ? SecurityProtocol.ah : securityProtocol
            var read = proposals(setting, target)
            read.proposals = read.proposals.map { complete($0, group: group, esn: esn) }
            child.set("\(target == .ah ? "ah" : key)_proposals", read.text)
        }
    }

    /// With the group and the sequence numbers that other keys of that dialect ask for.
    private func complete(_ proposal: Proposal, group: String?, esn: Bool?) -> Proposal {
        var proposal = proposal
        if let group, proposal.first(.keyExchange) == nil {
            proposal.transforms += group.split(separator: "-").compactMap { word in
                AlgorithmRegistry.algorithm(named: String(word))?.transform
            }.filter { $0.type == .keyExchange }
        }
        if esn == true, !proposal.transforms.contains(.esn) {
            proposal.transforms.removeAll { $0 == .noesn }
            proposal.transforms.append(.esn)
        }
        return proposal
    }

    // MARK: The rest

    private mutating func lifetimes(
        _ child: inout SwanctlDocument.Section, _ settings: inout IpsecSettings, _ times: ChildTimes
    ) {
        guard let life = times.life else { return }
        child.set("rekey_time", Words.time(times.rekey))
        child.set("life_time", Words.time(life))
        if times.random > 0 { child.set("rand_time", Words.time(times.random)) }
        for (life, margin, unit) in [
            ("lifebytes", "marginbytes", "bytes"), ("lifepackets", "marginpackets", "packets"),
        ] {
            guard let setting = settings.setting(life), let most = Int(setting.value), most > 0 else { continue }
            let less = settings.text(margin).flatMap(Int.init) ?? 0
            child.set("life_\(unit)", "\(most)")
            child.set("rekey_\(unit)", "\(less > 0 && less < most ? most - less : most / 10 * 9)")
        }
    }

    private mutating func actions(
        _ child: inout SwanctlDocument.Section, _ settings: inout IpsecSettings, isPolicy: Bool
    ) {
        let auto = settings.setting("auto")
        switch auto?.value.lowercased() ?? "ignore" {
        case "start", "up": child.set("start_action", isPolicy ? "trap" : "start")
        case "route", "ondemand", "trap": child.set("start_action", "trap")
        default: if isPolicy { child.set("start_action", "trap") }
        }
        for (key, name) in [("dpdaction", "dpd_action"), ("closeaction", "close_action")] {
            guard let setting = settings.setting(key) else {
                if isLibreswan, key == "dpdaction", settings.peek("dpddelay") != nil { child.set(name, "trap") }
                continue
            }
            switch setting.value.lowercased() {
            case "none", "clear", "": break
            case "hold", "trap", "route": child.set(name, "trap")
            case "restart", "restart_by_peer", "start", "restart-by-peer": child.set(name, "start")
            default: note(.lost, setting, "it is no action")
            }
        }
    }

    private mutating func others(_ child: inout SwanctlDocument.Section, _ settings: inout IpsecSettings) {
        if let setting = settings.setting("sha256_96", "sha2-truncbug"), Words.truth(setting.value) == true {
            child.set("sha256_96", "yes")
        }
        if let window = settings.setting("replay_window", "replay-window"), let size = Int(window.value), size >= 0 {
            child.set("replay_window", "\(size)")
        }
        child.set("inactivity", settings.text("inactivity").flatMap(Words.seconds).map(Words.time), isOptional: true)
        child.set("reqid", settings.text("reqid"), isOptional: true)
        child.set("priority", settings.text("priority"), isOptional: true)
        switch settings.text("tfc")?.lowercased() {
        case "%mtu"?: child.set("tfc_padding", "mtu")
        case let size?: child.set("tfc_padding", size)
        case nil: break
        }
        if let setting = settings.setting("compress"), Words.truth(setting.value) == true { compress(&child, setting) }
        if let setting = settings.setting("mtu") {
            note(.changed, setting, "the path's own size is found; mtu in the child fixes it")
        }
        for end in [ours, theirs] {
            guard !isFromAWS, let setting = settings.setting(end + "updown") else { continue }
            if end == theirs || setting.value.contains("_updown") && !setting.value.contains("/etc/") {
                note(.idle, setting, "Martlet sets up routes and the firewall itself")
            } else if setting.value.contains(where: \.isWhitespace) {
                note(.lost, setting, "a script with arguments would need a shell; write a file that is called without")
            } else {
                child.set("updown", setting.value, isOptional: true)
            }
        }
    }

    /// Only what ESP encrypts is compressed.
    private mutating func compress(_ child: inout SwanctlDocument.Section, _ setting: IpsecConfFile.Setting) {
        guard !["pass", "drop"].contains(child.text("mode") ?? "") else { return }
        if child.text("ah_proposals") != nil {
            note(.lost, setting, "payloads are compressed with ESP only")
        } else if let padding = child.text("tfc_padding"), padding != "0" {
            note(.lost, setting, "compressed packets show by their length what tfc hides")
        } else {
            child.set("ipcomp", "yes")
        }
    }

    /// AWS routes a tunnel's packets by a mark that a script puts on them, into a device that it makes: here the tunnel has
    /// a device.
    private mutating func interface(_ name: String, _ settings: inout IpsecSettings) -> [SwanctlDocument.Setting] {
        let mark = settings.setting("mark")
        guard let setting = settings.setting(ours + "updown") else { return [] }
        let words = Words.split(setting.value)
        func argument(_ option: String) -> String? {
            words.firstIndex(of: option).flatMap { words.indices.contains($0 + 1) ? words[$0 + 1] : nil }
        }
        guard let device = argument("-ln"), let inside = argument("-ll") else {
            note(.lost, setting, "a script with arguments would need a shell")
            return []
        }
        if let mark { note(.changed, mark, "the tunnel has a device of its own instead") }
        note(.changed, setting, "the tunnel has the device \(device) instead of the script's")
        if let route = argument("-r") {
            note(
                .manual, setting.place, "the route to \(route)",
                "send it into the device: ip route add \(route) dev \(device)")
        }
        let made = [("tunnel_interface", String(device.prefix(15))), ("tunnel_interface_addresses", inside)]
        return made.map { .init(key: $0.0, value: .text($0.1), isOptional: false) }
    }
}
