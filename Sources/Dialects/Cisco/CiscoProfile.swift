import IPsecCrypto
import NetworkTypes
import WireFormat

/// What a crypto map's entry or an IPsec profile says, with the IKEv2 profile that it names.
///
/// It owns the meaning of `crypto ikev2 …`, `crypto ipsec transform-set` and of `set …`.
struct CiscoProfile {
    private let command: CiscoConfig.Command
    private let config: CiscoConfig
    private let profile: CiscoConfig.Command?
    private(set) var notes: [ImportNote] = []
    /// Whether packets go without a tunnel's own addresses, whatever the transform set says.
    var isTransport = false

    init(_ command: CiscoConfig.Command, _ config: CiscoConfig) {
        self.command = command
        self.config = config
        let all = config.commands.filter { $0.begins("crypto", "ikev2", "profile") }
        let hasVersion1 = config.commands.contains { $0.begins("crypto", "isakmp") }
        if let set = command.below.first(where: { $0.begins("set", "ikev2-profile") }) {
            profile = all.first { $0.word(3) == set.word(2) }
            if profile == nil { notes.append(ImportNote(.lost, set.place, set.text, "there is no such profile")) }
        } else if all.count == 1, !hasVersion1, let only = all.first {
            profile = only
            notes.append(
                ImportNote(.changed, command.place, command.text, "it names no ikev2-profile; \(only.word(3)) is taken")
            )
        } else {
            profile = nil
        }
    }

    /// Whether it has an IKEv2 profile.
    var hasIKEv2: Bool { profile != nil }

    private mutating func note(_ kind: ImportNote.Kind, _ command: CiscoConfig.Command, _ reason: String) {
        notes.append(ImportNote(kind, command.place, command.text, reason))
    }

    // MARK: IKE

    mutating func write(connection section: inout SwanctlDocument.Section) {
        section.set("proposals", proposals())
        let lifetime = profile?.below.first { $0.begins("lifetime") }.flatMap { Int($0.word(1)) } ?? 86_400
        let (rekey, over, _) = IpsecConfImport.schedule(lifetime, margin: lifetime / 10, fuzz: 1)
        section.set("rekey_time", Words.time(rekey))
        section.set("over_time", Words.time(over))
        let own = profile?.below.first { $0.begins("dpd") }
        let global = config.commands.first { $0.begins("crypto", "ikev2", "dpd") }
        if let delay = own.map({ $0.word(1) }) ?? global.map({ $0.word(3) }), let seconds = Int(delay), seconds > 0 {
            section.set("dpd_delay", Words.time(seconds))
        }
        for line in profile?.below ?? [] {
            let known = [
                "match", "identity", "authentication", "keyring", "lifetime", "dpd", "description", "nat", "no",
            ]
            if !known.contains(line.word(0).lowercased()) { note(.lost, line, "there is nothing like it") }
        }
    }

    private mutating func proposals() -> String? {
        let policies = config.commands.filter { $0.begins("crypto", "ikev2", "policy") }
        let all = config.commands.filter { $0.begins("crypto", "ikev2", "proposal") }
        let names = policies.flatMap { $0.below }.filter { $0.begins("proposal") }.map { $0.word(1) }
        var chosen = names.compactMap { name in all.first { $0.word(3) == name } }
        if chosen.isEmpty, let first = all.first {
            chosen = all
            note(.changed, first, "no policy names it; it is taken all the same")
        }
        guard !chosen.isEmpty else {
            note(.changed, command, "it uses the router's default algorithms; here Martlet's own are used")
            return nil
        }
        var texts: [String] = []
        for proposal in chosen {
            if let text = text(of: proposal), !texts.contains(text) { texts.append(text) }
        }
        return texts.isEmpty ? nil : texts.joined(separator: ", ")
    }

    private mutating func text(of proposal: CiscoConfig.Command) -> String? {
        var words: [String] = []
        for line in proposal.below {
            let kind = line.word(0).lowercased()
            for word in line.words(from: 1) {
                let name = kind == "group" ? CiscoAlgorithms.group(word) : CiscoAlgorithms.ike(word)
                guard let name, ["encryption", "integrity", "prf", "group"].contains(kind) else {
                    note(.lost, line, "'\(word)' is not known")
                    continue
                }
                words.append(kind == "prf" ? "prf" + name : name)
            }
        }
        // An AEAD and a cipher take two proposals here.
        let aeads = words.filter { $0.contains("gcm") }
        let ciphers = words.filter { word in
            AlgorithmRegistry.algorithm(named: word)?.transform.type == .encryption && !aeads.contains(word)
        }
        var made: [String] = []
        for (kept, left) in [(aeads, ciphers), (ciphers, aeads)] where !kept.isEmpty {
            let text = words.filter { !left.contains($0) }.joined(separator: "-")
            do {
                made.append(try Proposal(parsing: text, for: .ike).description)
            } catch {
                note(.lost, proposal, "\(error)")
            }
        }
        return made.isEmpty ? nil : made.joined(separator: ", ")
    }

    // MARK: Authentication

    mutating func rounds(
        peer: String, own: String?
    ) -> (local: SwanctlDocument.Section, remote: SwanctlDocument.Section) {
        var local = SwanctlDocument.Section("local")
        var remote = SwanctlDocument.Section("remote")
        let lines = profile?.below ?? []
        local.set("auth", method(lines.first { $0.begins("authentication", "local") }))
        remote.set("auth", method(lines.first { $0.begins("authentication", "remote") }))
        if let line = lines.first(where: { $0.begins("identity", "local") }) {
            local.set("id", identity(line, from: 2))
        } else {
            local.set("id", own)
        }
        let matches = lines.filter { $0.begins("match", "identity", "remote") }
        let ids = matches.compactMap { identity($0, from: 3) }
        if let exact = ids.first(where: { $0 == peer }) {
            remote.set("id", exact)
        } else if let only = ids.first {
            remote.set("id", only)
            if ids.count > 1, let second = matches.dropFirst().first {
                note(.changed, second, "only the first match is carried over")
            }
        } else {
            remote.set("id", "%any")
        }
        if local.text("auth") == "pubkey", let line = lines.first(where: { $0.begins("authentication", "local") }) {
            note(.manual, line, "put the certificate into x509, its key into private, and the authority's into x509ca")
        }
        return (local, remote)
    }

    private mutating func method(_ line: CiscoConfig.Command?) -> String {
        guard let line else { return "psk" }
        switch line.word(2).lowercased() {
        case "pre-share": return "psk"
        case "rsa-sig", "ecdsa-sig": return "pubkey"
        default:
            note(.lost, line, "this method is not read; pubkey is written")
            return "pubkey"
        }
    }

    private mutating func identity(_ line: CiscoConfig.Command, from index: Int) -> String? {
        let value = line.word(index + 1)
        switch line.word(index).lowercased() {
        case "address":
            guard let address = IPAddress(value) else { return nil }
            let mask = line.word(index + 2)
            if mask.isEmpty || mask == "255.255.255.255" { return address.description }
            if mask != "0.0.0.0" { note(.changed, line, "any peer is let in that has the key, whatever its address") }
            return "%any"
        case "fqdn", "email":
            let isDomain = value.lowercased() == "domain"
            let name = isDomain ? line.word(index + 2) : value
            let star = line.word(index).lowercased() == "fqdn" ? "*." : "*@"
            return name.isEmpty ? nil : isDomain ? star + name : name
        case "key-id": return "keyid:" + value
        case "any": return "%any"
        case "dn": return nil
        default:
            note(.lost, line, "this identity is not read")
            return nil
        }
    }

    /// The key that a keyring of the profile has for a peer.
    mutating func key(for peer: String) -> (secret: SecretBytes, place: ImportPlace)? {
        guard let profile else { return nil }
        for line in profile.below where line.begins("authentication") {
            if let index = line.words.firstIndex(of: "key"), let key = secret(line, line.words(from: index + 1)) {
                return (key, line.place)
            }
        }
        let names = profile.below.filter { $0.begins("keyring") }.map { $0.words.last ?? "" }
        let rings = config.commands.filter { $0.begins("crypto", "ikev2", "keyring") && names.contains($0.word(3)) }
        var best: (length: Int, peer: CiscoConfig.Command)?
        for entry in rings.flatMap(\.below) where entry.begins("peer") {
            guard let length = fit(entry, peer), length > best?.length ?? -1 else { continue }
            best = (length, entry)
        }
        guard let entry = best?.peer else { return nil }
        let keys = entry.below.filter { $0.begins("pre-shared-key") }
        var read: [(SecretBytes, ImportPlace)] = []
        for line in keys {
            let words = line.words(from: ["local", "remote"].contains(line.word(1).lowercased()) ? 2 : 1)
            if let key = secret(line, words) { read.append((key, line.place)) }
        }
        if read.count > 1, read[0].0 != read[1].0, let line = keys.last {
            note(.lost, line, "the two ends have different keys there; Martlet has one for both")
        }
        return read.first.map { ($0.0, $0.1) }
    }

    /// How closely a keyring's peer names an address; nil when it does not.
    private func fit(_ entry: CiscoConfig.Command, _ peer: String) -> Int? {
        var best: Int?
        for line in entry.below where line.begins("address") || line.begins("identity", "address") {
            let index = line.begins("address") ? 1 : 2
            let mask = line.word(index + 1)
            guard
                let prefix = CiscoAddress.prefix(line.word(index), mask: mask.isEmpty ? "255.255.255.255" : mask),
                let address = IPAddress(peer), prefix.contains(address)
            else { continue }
            best = max(best ?? 0, prefix.length)
        }
        let namesAnother = entry.below.contains { $0.begins("address") }
        return best ?? (namesAnother ? nil : 0)
    }

    private mutating func secret(_ line: CiscoConfig.Command, _ words: [String]) -> SecretBytes? {
        guard let first = words.first else { return nil }
        if words.count > 1, first == "6" || first == "7" {
            note(.manual, line, "the key is encrypted there: write it into secrets yourself")
            return nil
        }
        if words.count > 1, first.lowercased() == "hex" { return Hex.decode(words[1]).map { SecretBytes($0) } }
        let text = (first == "0" && words.count > 1 ? Array(words.dropFirst()) : words).joined(separator: " ")
        return SecretBytes(Array(text.utf8))
    }

    // MARK: ESP

    mutating func write(child: inout SwanctlDocument.Section) {
        let sets = command.below.filter { $0.begins("set", "transform-set") }.flatMap { $0.words(from: 2) }
        let group = command.below.first { $0.begins("set", "pfs") }.map { line in
            CiscoAlgorithms.group(line.word(2).isEmpty ? "group1" : line.word(2)) ?? ""
        }
        var esp: [String] = []
        var ah: [String] = []
        for name in sets {
            guard
                let set = config.commands.first(where: {
                    $0.begins("crypto", "ipsec", "transform-set") && $0.word(3) == name
                })
            else { continue }
            if set.below.contains(where: { $0.begins("mode", "transport") }) { isTransport = true }
            guard let read = CiscoAlgorithms.transforms(set.words(from: 4)) else {
                note(.lost, set, "its transforms are not known")
                continue
            }
            let text = read.proposal + (group.map { $0.isEmpty ? "" : "-" + $0 } ?? "")
            do {
                let proposal = try Proposal(parsing: text, for: read.isAH ? .ah : .esp).description
                if read.isAH { ah.append(proposal) } else { esp.append(proposal) }
            } catch {
                note(.lost, set, "\(error)")
            }
        }
        if sets.isEmpty { note(.changed, command, "it names no transform set: Martlet's default algorithms are used") }
        child.set("esp_proposals", esp.isEmpty ? nil : esp.joined(separator: ", "))
        child.set("ah_proposals", ah.isEmpty ? nil : ah.joined(separator: ", "))
        if isTransport { child.set("mode", "transport") }
        let life = limit("seconds", ["set", "security-association", "lifetime"]) ?? 3_600
        child.set("rekey_time", Words.time(life - life / 10))
        child.set("life_time", Words.time(life))
        if let kilobytes = limit("kilobytes", ["set", "security-association", "lifetime"]) {
            let (octets, overflow) = kilobytes.multipliedReportingOverflow(by: 1024)
            if !overflow {
                child.set("rekey_bytes", "\(octets / 10 * 9)")
                child.set("life_bytes", "\(octets)")
            }
        }
        if let window = limit("window-size", ["set", "security-association", "replay"]) {
            child.set("replay_window", "\(window)")
        }
    }

    /// A number behind a word, from this profile, else from `crypto ipsec security-association …`.
    private func limit(_ word: String, _ beginning: [String]) -> Int? {
        let own = command.below.filter { $0.words.prefix(3).map { $0.lowercased() } == beginning }
        let global = config.commands.filter {
            $0.words.prefix(4).map { $0.lowercased() } == ["crypto", "ipsec"] + beginning.dropFirst()
        }
        for line in own + global {
            guard let index = line.words.firstIndex(where: { $0.lowercased() == word }) else { continue }
            if let number = Int(line.word(index + 1)), number > 0 { return number }
        }
        return nil
    }
}
