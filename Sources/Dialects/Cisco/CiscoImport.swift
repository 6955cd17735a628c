import NetworkTypes

/// Makes a swanctl.conf of a configuration of Cisco IOS or IOS-XE, as the router that it configures.
///
/// It owns the way from crypto maps and tunnel interfaces to connections. What a profile says is ``CiscoProfile``'s.
struct CiscoImport {
    private var notes: [ImportNote] = []
    private var connections: [SwanctlDocument.Section] = []
    private var secrets: [SwanctlDocument.Section] = []
    /// Lines of keyrings whose secret has been written.
    private var keyed: Set<ImportPlace> = []

    init() {}

    mutating func read(_ files: [ConfigurationImport.File]) -> ImportedConfiguration {
        let config = CiscoConfig(files)
        refuseVersion1(config)
        for command in config.commands where command.begins("crypto", "map") {
            if UInt32(command.word(3)) != nil { map(command, config) }
        }
        for command in config.commands where command.begins("interface") { tunnel(command, config) }
        rest(config)
        var document = SwanctlDocument()
        for (name, sections) in [("connections", connections), ("secrets", secrets)] where !sections.isEmpty {
            var outer = SwanctlDocument.Section(name)
            outer.sections = IpsecConfImport.unique(sections)
            document.sections.append(outer)
        }
        return ImportedConfiguration(document: document, notes: notes)
    }

    private mutating func note(_ kind: ImportNote.Kind, _ command: CiscoConfig.Command, _ reason: String) {
        notes.append(ImportNote(kind, command.place, command.text, reason))
    }

    private mutating func refuseVersion1(_ config: CiscoConfig) {
        for command in config.commands where command.begins("crypto", "isakmp") {
            note(
                .lost, command,
                "it belongs to IKEv1, which Martlet does not do, and --raise-version is for ipsec.conf: use crypto ikev2 on the"
                    + " peer as well")
        }
    }

    // MARK: Crypto maps

    private mutating func map(_ command: CiscoConfig.Command, _ config: CiscoConfig) {
        let name = command.word(2)
        guard command.word(4).lowercased() == "ipsec-isakmp" || command.word(4).isEmpty else {
            return note(.lost, command, "only ipsec-isakmp entries are negotiated")
        }
        if command.word(5).lowercased() == "dynamic" {
            return note(.lost, command, "dynamic crypto maps are not read")
        }
        var template = CiscoProfile(command, config)
        let peers = command.below.filter { $0.begins("set", "peer") }.map { $0.word(2) }
        guard let first = peers.first else { return note(.lost, command, "it has no set peer") }
        guard let list = command.below.first(where: { $0.begins("match", "address") })?.word(2), !list.isEmpty else {
            return note(.lost, command, "it has no match address")
        }
        guard let selectors = CiscoAccessList(list, in: config) else {
            return note(.lost, command, "there is no access list \(list)")
        }
        notes += selectors.notes
        var section = SwanctlDocument.Section("\(name)-\(command.word(3))")
        section.set("version", "2")
        let own = address(ofMap: name, config)
        if own == nil { note(.manual, command, "no interface has it: name our address with local_addrs") }
        section.set("local_addrs", own)
        section.set("remote_addrs", peers.joined(separator: ", "))
        guard finish(&section, &template, peer: first, own: own, command) else { return }
        var children = SwanctlDocument.Section("children")
        for (index, entry) in selectors.entries.enumerated() {
            var child = SwanctlDocument.Section(selectors.entries.count > 1 ? "\(list)-\(index + 1)" : list)
            child.set("local_ts", entry.local)
            child.set("remote_ts", entry.remote)
            template.write(child: &child)
            child.set("start_action", "trap")
            children.sections.append(child)
        }
        if children.sections.isEmpty { return note(.lost, command, "its access list permits nothing") }
        section.sections.append(children)
        notes += template.notes
        connections.append(section)
    }

    /// The address of the interface that has a crypto map.
    private func address(ofMap name: String, _ config: CiscoConfig) -> String? {
        if let local = config.commands.first(where: {
            $0.begins("crypto", "map") && $0.word(2) == name && $0.word(3).lowercased() == "local-address"
        }) {
            return address(of: local.word(4), config)
        }
        let interface = config.commands.first { command in
            command.begins("interface") && command.below.contains { $0.begins("crypto", "map") && $0.word(2) == name }
        }
        return interface.flatMap(Self.address)
    }

    /// An address as it stands, or that of the interface of this name.
    private func address(of text: String, _ config: CiscoConfig) -> String? {
        if let address = IPAddress(text) { return address.description }
        return config.commands.first {
            $0.begins("interface") && $0.words(from: 1).joined().lowercased() == text.lowercased()
        }.flatMap(Self.address)
    }

    private static func address(_ interface: CiscoConfig.Command) -> String? {
        interface.below.first { $0.begins("ip", "address") }.flatMap { IPAddress($0.word(2)) }?.description
    }

    // MARK: Tunnel interfaces

    private mutating func tunnel(_ interface: CiscoConfig.Command, _ config: CiscoConfig) {
        let below = interface.below
        guard let protection = below.first(where: { $0.begins("tunnel", "protection", "ipsec", "profile") }) else {
            return
        }
        guard
            let profile = config.commands.first(where: {
                $0.begins("crypto", "ipsec", "profile") && $0.word(3) == protection.word(4)
            })
        else { return note(.lost, protection, "there is no such profile") }
        let name = interface.words(from: 1).joined().lowercased()
        var template = CiscoProfile(profile, config)
        let source = below.first { $0.begins("tunnel", "source") }?.words(from: 2).joined() ?? ""
        let own = address(of: source, config)
        let peer = below.first { $0.begins("tunnel", "destination") }?.word(2) ?? ""
        guard IPAddress(peer) != nil else {
            return note(.lost, interface, "it has no tunnel destination that is an address")
        }
        if own == nil { note(.manual, interface, "its source has no address here: name ours with local_addrs") }
        var section = SwanctlDocument.Section(name)
        section.set("version", "2")
        section.set("local_addrs", own)
        section.set("remote_addrs", peer)
        guard finish(&section, &template, peer: peer, own: own, interface) else { return }
        var children = SwanctlDocument.Section("children")
        var child = SwanctlDocument.Section(name)
        let mode = below.first { $0.begins("tunnel", "mode") }
        if mode?.begins("tunnel", "mode", "ipsec") == true {
            let any = mode?.word(3).lowercased() == "ipv6" ? "::/0" : "0.0.0.0/0"
            child.set("local_ts", any)
            child.set("remote_ts", any)
            child.set("tunnel_interface", String(name.prefix(15)))
            if let ip = below.first(where: { $0.begins("ip", "address") }), let length = CiscoAddress.length(ip.word(3))
            {
                child.set("tunnel_interface_addresses", "\(ip.word(2))/\(length)")
            }
            child.set("tunnel_interface_mtu", below.first { $0.begins("ip", "mtu") }?.word(2))
            child.set("mss", below.first { $0.begins("ip", "tcp", "adjust-mss") }?.word(3), isOptional: true)
        } else {
            note(.manual, interface, "it is a GRE tunnel in transport mode: make the GRE device yourself")
            child.set("local_ts", "dynamic[gre]")
            child.set("remote_ts", "dynamic[gre]")
            template.isTransport = true
        }
        template.write(child: &child)
        child.set("start_action", "start")
        children.sections.append(child)
        section.sections.append(children)
        notes += template.notes
        connections.append(section)
    }

    // MARK: What both have

    /// Algorithms, lifetimes, authentication and the secret; false when it can't be a connection.
    private mutating func finish(
        _ section: inout SwanctlDocument.Section, _ template: inout CiscoProfile, peer: String, own: String?,
        _ command: CiscoConfig.Command
    ) -> Bool {
        guard template.hasIKEv2 else {
            note(.lost, command, "it names no ikev2-profile, so it uses IKEv1, which Martlet does not do")
            return false
        }
        template.write(connection: &section)
        let (local, remote) = template.rounds(peer: peer, own: own)
        section.sections = [local, remote]
        guard local.text("auth") == "psk" || remote.text("auth") == "psk" else { return true }
        guard let key = template.key(for: peer) else {
            note(.lost, command, "no keyring has a key for \(peer)")
            return true
        }
        guard keyed.insert(key.place).inserted else { return true }
        var secret = SwanctlDocument.Section("ike-\(section.name)")
        for (index, id) in [local.text("id") ?? own, remote.text("id")].compactMap({ $0 }).filter({ $0 != "%any" })
            .enumerated()
        {
            secret.set("id-\(index + 1)", id)
        }
        secret.set("secret", key.secret)
        secrets.append(secret)
        return true
    }

    /// Commands about IPsec that nothing above has a place for.
    private mutating func rest(_ config: CiscoConfig) {
        var others = 0
        for command in config.commands {
            if command.begins("crypto") {
                let known = [
                    "ikev2 proposal", "ikev2 policy", "ikev2 keyring", "ikev2 profile", "ipsec transform-set",
                    "ipsec profile", "ipsec security-association", "isakmp", "map", "ikev2 dpd",
                ]
                let text = command.words(from: 1).prefix(2).joined(separator: " ").lowercased()
                if !known.contains(where: { text.hasPrefix($0) }) { note(.lost, command, "there is nothing like it") }
            } else if command.begins("ip", "route"), command.word(4).lowercased().hasPrefix("tunnel"),
                let prefix = CiscoAddress.prefix(command.word(2), mask: command.word(3))
            {
                note(.manual, command, "set the route: ip route add \(prefix) dev \(command.word(4).lowercased())")
            } else if !command.begins("interface"), !command.begins("ip", "access-list"),
                !command.begins("access-list")
            {
                others += 1
            }
        }
        if others > 0, let file = config.commands.first?.place.file {
            notes.append(
                ImportNote(
                    .idle, ImportPlace(file, 0), "\(others) other commands", "they have nothing to do with IPsec"))
        }
    }
}
