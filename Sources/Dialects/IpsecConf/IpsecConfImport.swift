import IPsecCrypto

/// Makes a swanctl.conf of an ipsec.conf and its ipsec.secrets.
///
/// It owns what the keys of both dialects mean together; each group of keys has a file of its own. It carries over what a
/// connection asks for, and notes whatever it does not.
struct IpsecConfImport {
    /// The dialect: libreswan's where true, else strongSwan's.
    let isLibreswan: Bool
    let options: ConfigurationImport.Options
    /// Whether the text is what AWS gives out: its scripts' arguments are understood then.
    var isFromAWS = false
    var notes: [ImportNote] = []
    /// From `config setup`.
    private var unique: String?
    private var revocation: String?
    private var pools: [SwanctlDocument.Section] = []
    /// Inherited settings that a connection had no use for, and those that some connection read.
    private var unread: [IpsecConfFile.Setting] = []
    private var used: Set<ImportPlace> = []

    init(isLibreswan: Bool, options: ConfigurationImport.Options) {
        self.isLibreswan = isLibreswan
        self.options = options
    }

    /// The prefix of our end's keys, and of the peer's.
    var ours: String { options.local.rawValue }
    var theirs: String { options.local == .left ? "right" : "left" }

    mutating func note(_ kind: ImportNote.Kind, _ setting: IpsecConfFile.Setting, _ reason: String) {
        let value = IpsecConfFile.short(setting.value)
        notes.append(ImportNote(kind, setting.place, "\(setting.key) = \(value)", reason))
    }

    mutating func note(_ kind: ImportNote.Kind, _ place: ImportPlace, _ subject: String, _ reason: String) {
        notes.append(ImportNote(kind, place, subject, reason))
    }

    mutating func read(
        _ files: [ConfigurationImport.File], secrets: [ConfigurationImport.File]
    ) -> ImportedConfiguration {
        var file = IpsecConfFile(files)
        setup(file.sections.filter { $0.kind == .config }.flatMap(\.settings))
        let templates = file.templates
        var connections: [SwanctlDocument.Section] = []
        for section in file.sections where section.kind == .conn && section.name != "%default" {
            let count = file.notes.count
            var settings = file.resolved(section)
            let isLoaded = (settings.peek("auto") ?? "ignore") != "ignore"
            if !isLoaded, templates.contains(section.name) {
                file.dropNotes(behind: count)
                continue
            }
            if !isLoaded {
                note(.changed, section.place, "conn \(section.name)", "it has no auto, so nothing loads it there")
            }
            let made = connection(section.name, &settings)
            used.formUnion(settings.readPlaces)
            guard let made else { continue }
            noteRest(settings, own: Set(section.settings.map(\.place)))
            merge(made, into: &connections)
        }
        for setting in unread where !used.contains(setting.place) { noteUnread(setting) }
        let authorities = file.sections.filter { $0.kind == .ca && $0.name != "%default" }.compactMap { section in
            authority(section.name, file.resolved(section))
        }
        notes += file.notes
        let keys = self.secrets(secrets)
        var document = SwanctlDocument()
        add(connections, "connections", &document)
        add(keys, "secrets", &document)
        add(pools, "pools", &document)
        add(authorities, "authorities", &document)
        return ImportedConfiguration(document: document, notes: notes)
    }

    private func add(_ sections: [SwanctlDocument.Section], _ name: String, _ document: inout SwanctlDocument) {
        guard !sections.isEmpty else { return }
        var outer = SwanctlDocument.Section(name)
        outer.sections = Self.unique(sections)
        document.sections.append(outer)
    }

    /// The same with different names.
    static func unique(_ sections: [SwanctlDocument.Section]) -> [SwanctlDocument.Section] {
        var taken: Set<String> = []
        return sections.map { section in
            var section = section
            var number = 2
            let name = section.name
            while !taken.insert(section.name).inserted {
                section.name = "\(name)-\(number)"
                number += 1
            }
            return section
        }
    }

    /// Connections that differ in their children only share an IKE SA there, and do so here.
    private func merge(_ made: SwanctlDocument.Section, into connections: inout [SwanctlDocument.Section]) {
        func withoutChildren(_ section: SwanctlDocument.Section) -> SwanctlDocument.Section {
            var rest = section
            rest.name = ""
            rest.comments = []
            rest.sections.removeAll { $0.name == "children" }
            return rest
        }
        let bare = withoutChildren(made)
        let policies = made.sections.count == 1
        let index = connections.firstIndex { !policies && withoutChildren($0) == bare }
        guard let index, let place = connections[index].sections.firstIndex(where: { $0.name == "children" }),
            let children = made.sections.first(where: { $0.name == "children" })
        else { return connections.append(made) }
        connections[index].sections[place].sections = Self.unique(
            connections[index].sections[place].sections + children.sections)
    }

    // MARK: Sections that are no connections

    private mutating func setup(_ settings: [IpsecConfFile.Setting]) {
        for setting in settings {
            switch setting.key {
            case "uniqueids":
                switch setting.value.lowercased() {
                case "no", "never", "replace", "keep": unique = setting.value.lowercased()
                case "yes": unique = "replace"
                default: note(.lost, setting, "it is none of yes, no, never, replace, keep")
                }
            case "strictcrlpolicy":
                switch setting.value.lowercased() {
                case "yes": revocation = "strict"
                case "ifuri": revocation = "ifuri"
                default: break
                }
            case "charondebug", "plutodebug", "logfile", "logtime", "klipsdebug", "plutostderrlog", "logappend",
                "logip", "audit-log":
                note(.idle, setting, "how much is logged is chosen with `martlet run --log` and `martlet log`")
            case "listen", "interfaces", "listen-tcp", "listen-udp", "nat_ikeport", "ikeport":
                note(.lost, setting, "`martlet run` decides where it listens")
            default: note(.idle, setting, "it says how that daemon runs")
            }
        }
    }

    private mutating func authority(_ name: String, _ settings: IpsecSettings) -> SwanctlDocument.Section? {
        var settings = settings
        var section = SwanctlDocument.Section(name)
        _ = settings.setting("auto")
        if let setting = settings.setting("cacert") {
            section.set("cacert", file(setting), isOptional: false)
            note(.manual, setting, "copy the file into the directory x509ca beside swanctl.conf")
        }
        let lists = [
            ("crl_uris", ["crluri", "crluri1", "crluri2"]), ("ocsp_uris", ["ocspuri", "ocspuri1", "ocspuri2"]),
        ]
        for (key, names) in lists {
            let uris = names.compactMap { settings.text($0) }
            section.set(key, uris.isEmpty ? nil : uris.joined(separator: ", "), isOptional: true)
        }
        section.set("cert_uri_base", settings.text("certuribase"), isOptional: true)
        noteRest(settings)
        guard section.text("cacert") != nil else {
            note(.lost, settings.place, "ca \(name)", "it names no certificate")
            return nil
        }
        return section
    }

    /// A file's name without its directory: swanctl.conf has one of its own for each kind.
    func file(_ setting: IpsecConfFile.Setting) -> String {
        setting.value.split(separator: "/").last.map(String.init) ?? setting.value
    }

    // MARK: Connections

    /// A connection with one child (several where libreswan has several networks); nil when it can't be one.
    private mutating func connection(_ name: String, _ settings: inout IpsecSettings) -> SwanctlDocument.Section? {
        if !isSupportedVersion(name, &settings) { return nil }
        var section = SwanctlDocument.Section(name)
        section.set("version", "2")
        let mode = mode(&settings)
        if mode == "pass" || mode == "drop" {
            section.settings = []
            section.sections = [children(name, &settings, mode: mode, profile: ChildTimes())]
            forgetEnds(&settings)
            return section
        }
        addresses(&section, &settings)
        var groups: String?
        if let setting = settings.setting("ike", "phase1alg") {
            let read = proposals(setting, .ike)
            section.set("proposals", read.text)
            groups = read.proposals.first.map { proposal in
                proposal.transforms(of: .keyExchange).map(\.description).joined(separator: "-")
            }
        } else if isLibreswan || isFromAWS {
            note(
                .changed, settings.place, "conn \(name)", "it names no ike algorithms: Martlet's own defaults are used")
        }
        let times = times(&section, &settings)
        behaviour(&section, &settings)
        if let unique { section.set("unique", unique) }
        section.sections = authentication(&settings, &section)
        if let revocation, let remote = section.sections.firstIndex(where: { $0.name == "remote" }) {
            section.sections[remote].set("revocation", revocation, isOptional: true)
        }
        virtualAddresses(name, &section, &settings)
        var profile = times
        profile.groups = groups
        section.sections.append(children(name, &settings, mode: mode, profile: profile))
        return section
    }

    mutating func add(pool: SwanctlDocument.Section) {
        if !pools.contains(pool) { pools.append(pool) }
    }

    /// Proposals of one key, with a note for each that is lost.
    mutating func proposals(_ setting: IpsecConfFile.Setting, _ securityProtocol: SecurityProtocol) -> IpsecProposals {
        let read = IpsecProposals(setting.value, for: securityProtocol, isLibreswan: isLibreswan)
        for problem in read.problems {
            note(.lost, setting.place, "\(setting.key) = \(problem.text)", problem.reason)
        }
        if read.proposals.isEmpty, !read.problems.isEmpty {
            note(.changed, setting.place, setting.key, "nothing of it is left: Martlet's own defaults are used")
        }
        return read
    }

    private mutating func isSupportedVersion(_ name: String, _ settings: inout IpsecSettings) -> Bool {
        var first: IpsecConfFile.Setting?
        let version = settings.setting("keyexchange")
        if let version, ["ikev1", "1"].contains(version.value.lowercased()) { first = version }
        if let ikev2 = settings.setting("ikev2"), ["never", "no", "permit"].contains(ikev2.value.lowercased()) {
            first = ikev2
        }
        if let aggressive = settings.setting("aggressive", "aggrmode"), Words.truth(aggressive.value) == true {
            first = first ?? aggressive
        }
        guard let first else { return true }
        if options.raisesVersion {
            note(.changed, first, "written for IKEv2: the peer has to use it as well")
            return true
        }
        note(
            .lost, first,
            "conn \(name) uses IKEv1, which Martlet does not; --raise-version writes it for IKEv2, which the peer must then"
                + " use too")
        return false
    }

    private mutating func mode(_ settings: inout IpsecSettings) -> String? {
        guard let setting = settings.setting("type") else { return nil }
        switch setting.value.lowercased() {
        case "tunnel": return nil
        case "transport": return "transport"
        case "passthrough", "pass": return "pass"
        case "drop", "reject": return "drop"
        default:
            note(.lost, setting, "written as a tunnel")
            return nil
        }
    }

    /// A policy has no ends: their keys say nothing.
    private func forgetEnds(_ settings: inout IpsecSettings) {
        for key in ["left", "right", "authby", "auto", "leftid", "rightid", "leftauth", "rightauth"] {
            _ = settings.setting(key)
        }
    }

    /// Whatever nobody read; what is inherited (not among `own`) may be read by another connection that inherits it.
    private mutating func noteRest(_ settings: IpsecSettings, own: Set<ImportPlace>? = nil) {
        for setting in settings.rest {
            if own?.contains(setting.place) ?? true { noteUnread(setting) } else { unread.append(setting) }
        }
    }

    private mutating func noteUnread(_ setting: IpsecConfFile.Setting) {
        // What a Child SA is anyway.
        if setting.key == "auth", setting.value.lowercased() == "esp" { return }
        if let reason = Self.idle[setting.key] {
            note(.idle, setting, reason)
        } else {
            note(.lost, setting, Self.lost[setting.key] ?? "there is nothing like it")
        }
    }

    private static let idle: [String: String] = [
        "leftfirewall": "Martlet lets in what a tunnel carries, and guards it itself",
        "rightfirewall": "Martlet lets in what a tunnel carries, and guards it itself",
        "leftnexthop": "the system's routes decide", "rightnexthop": "the system's routes decide",
        "lefthostaccess": "the gateway's own addresses are reachable", "righthostaccess": "it is the peer's",
        "leftsendcert": "the peer decides what it sends", "rightsendcert": "the peer decides what it sends",
        "dpdtimeout": "in IKEv2 the retransmissions decide when a peer is dead",
        "installpolicy": "Martlet's data plane has policies of its own", "overlapip": "it is always allowed",
        "nat-keepalive": "keepalives are sent where there is a NAT", "keep_alive": "keepalives are sent behind a NAT",
        "narrowing": "selectors are always narrowed", "dpdaction": "it is said with dpddelay",
        "modeconfig": "in IKEv2 the client asks", "leftallowany": "IKEv2 lets a peer move with mobike",
        "rightallowany": "IKEv2 lets a peer move with mobike", "phase2": "ESP is the default",
        "connaddrfamily": "the addresses say it", "hostaddrfamily": "the addresses say it",
        "clientaddrfamily": "the addresses say it", "nic-offload": "packets are encrypted in user space",
        "cisco-unity": "it belongs to IKEv1", "remote-peer-type": "it belongs to IKEv1",
        "initial-contact": "it is sent",
    ]

    private static let lost: [String: String] = [
        "mark": "tunnel_interface gives a tunnel a device of its own instead",
        "mark_in": "tunnel_interface gives a tunnel a device of its own instead",
        "mark_out": "tunnel_interface gives a tunnel a device of its own instead",
        "xauth": "it belongs to IKEv1", "leftxauthserver": "it belongs to IKEv1",
        "mediation": "mediation is not supported", "mediated_by": "mediation is not supported",
        "me_peerid": "mediation is not supported",
    ]
}
