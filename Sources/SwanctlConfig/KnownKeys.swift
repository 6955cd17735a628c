/// Every key of swanctl.conf, with its default: what is known, whether or not Martlet can do it yet.
///
/// It owns names only. What a supported key means is its reader's business.
struct KnownKeys {
    /// A key or a section as the table has it.
    final class Entry: Sendable {
        /// `version`, `<conn>` for any name, `local<suffix>` for any name that begins so.
        let pattern: String
        /// Its default as text, empty for none; nil for a section.
        let defaultValue: String?
        let children: [Entry]

        init(pattern: String, defaultValue: String?, children: [Entry]) {
            self.pattern = pattern
            self.defaultValue = defaultValue
            self.children = children
        }

        /// The pattern without `<suffix>`; nil when any name fits.
        var stem: String? {
            if pattern.hasSuffix("<suffix>") { return String(pattern.dropLast("<suffix>".count)) }
            return pattern.hasPrefix("<") ? nil : pattern
        }

        private func fits(_ name: String) -> Bool {
            guard let stem else { return true }
            return pattern == stem ? name == stem : name.hasPrefix(stem)
        }

        /// The section of this name below this one; nil when none is known.
        func section(_ name: String) -> Entry? { child(name) { $0.defaultValue == nil } }

        /// The setting of this name below this one; nil when none is known.
        func setting(_ name: String) -> Entry? { child(name) { $0.defaultValue != nil } }

        /// The closest pattern that fits: the exact name, then the longest stem, then any name.
        private func child(_ name: String, where isWanted: (Entry) -> Bool) -> Entry? {
            let fitting = children.filter { isWanted($0) && $0.fits(name) }
            if let exact = fitting.first(where: { $0.pattern == name }) { return exact }
            return fitting.max { ($0.stem?.utf8.count ?? -1) < ($1.stem?.utf8.count ?? -1) }
        }

        /// What `name` was probably meant to be.
        func suggestion(for name: String, isSection: Bool) -> String? {
            let candidates = children.filter { ($0.defaultValue == nil) == isSection }
            return EditDistance.nearest(to: name, among: candidates.compactMap(\.stem))
        }
    }

    /// The top of the tree.
    static let root = build()

    /// Whether a word is a key or a section's name below `secrets`: with any other, a secret may stand in the wrong place.
    static func isPlainAmongSecrets(_ word: String) -> Bool {
        guard let secrets = root.section("secrets") else { return false }
        if word == "secrets" || secrets.section(word) != nil { return true }
        if word.hasPrefix("id"), !word.dropFirst(2).allSatisfy({ $0 == "-" || ("0"..."9").contains($0) }) {
            return false
        }
        return secrets.children.contains { $0.setting(word) != nil }
    }

    /// Whether any section has a setting of this name.
    static func isSetting(_ word: String) -> Bool { settingNames.contains(word) }

    private static let settingNames = Set(
        table.compactMap { path, value in
            path.split(separator: ".").last.flatMap { value == "(section)" || $0.hasPrefix("<") ? nil : String($0) }
        })

    /// Rows of the table.
    static var count: Int { table.count }

    private final class Draft {
        let pattern: String
        var defaultValue: String?
        var children: [Draft] = []
        init(_ pattern: String) { self.pattern = pattern }

        func child(_ pattern: String) -> Draft {
            if let known = children.first(where: { $0.pattern == pattern }) { return known }
            let new = Draft(pattern)
            children.append(new)
            return new
        }

        func finished() -> Entry {
            Entry(pattern: pattern, defaultValue: defaultValue, children: children.map { $0.finished() })
        }
    }

    private static func build() -> Entry {
        let root = Draft("")
        for (path, value) in table {
            let leaf = path.split(separator: ".").reduce(root) { $0.child(String($1)) }
            if value != "(section)" { leaf.defaultValue = value }
        }
        return root.finished()
    }

    private static let table: [(path: String, value: String)] = text.split(separator: "\n").compactMap { line in
        let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        func trimmed(_ part: Substring) -> String {
            String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        return (trimmed(parts[0]), trimmed(parts[1]))
    }

    /// Whether a value says what the default says anyway: the same text, the same truth, or zero in another dress.
    static func isDefault(_ value: String, _ defaultValue: String) -> Bool {
        normal(value) == normal(defaultValue)
    }

    private static func normal(_ value: String) -> String {
        let lower = value.lowercased()
        if let truth = ValueSyntax.truth(lower) { return truth ? "yes" : "no" }
        if !lower.isEmpty, lower.utf8.contains(UInt8(ascii: "0")), lower.allSatisfy({ "0xs/ ".contains($0) }) {
            return "no"
        }
        return lower
    }

    // From swanctl.conf(5). Where the manual computes a volume limit from others that are off, the default is 0.
    // Those that begin with tunnel_interface are ours.
    private static let text = """
        connections = (section)
        connections.<conn> = (section)
        connections.<conn>.version = 0
        connections.<conn>.profile =
        connections.<conn>.local_addrs = %any
        connections.<conn>.remote_addrs = %any
        connections.<conn>.local_port = 500
        connections.<conn>.remote_port = 500
        connections.<conn>.proposals = default
        connections.<conn>.vips =
        connections.<conn>.aggressive = no
        connections.<conn>.pull = yes
        connections.<conn>.dscp = 000000
        connections.<conn>.encap = no
        connections.<conn>.send_vendor_id = no
        connections.<conn>.mobike = yes
        connections.<conn>.dpd_delay = 0s
        connections.<conn>.dpd_timeout = 0s
        connections.<conn>.dpd_interval = 0s
        connections.<conn>.dpd_tries = 5
        connections.<conn>.fragmentation = yes
        connections.<conn>.childless = allow
        connections.<conn>.send_certreq = yes
        connections.<conn>.send_cert = ifasked
        connections.<conn>.ocsp = reply
        connections.<conn>.ppk_id =
        connections.<conn>.ppk_required = no
        connections.<conn>.keyingtries = 1
        connections.<conn>.redirect_to =
        connections.<conn>.redirect_at = auth
        connections.<conn>.redirect_grace = 60s
        connections.<conn>.unique = no
        connections.<conn>.reauth_time = 0s
        connections.<conn>.rekey_time = 4h
        connections.<conn>.rekey_bytes = 0
        connections.<conn>.over_time = 10% of rekey_time/reauth_time
        connections.<conn>.rand_time = over_time
        connections.<conn>.pools =
        connections.<conn>.if_id_in = 0
        connections.<conn>.if_id_out = 0
        connections.<conn>.mediation = no
        connections.<conn>.mediated_by =
        connections.<conn>.mediation_peer =
        connections.<conn>.local<suffix> = (section)
        connections.<conn>.local<suffix>.round = 0
        connections.<conn>.local<suffix>.certs =
        connections.<conn>.local<suffix>.cert<suffix> = (section)
        connections.<conn>.local<suffix>.cert<suffix>.file =
        connections.<conn>.local<suffix>.cert<suffix>.handle =
        connections.<conn>.local<suffix>.cert<suffix>.slot =
        connections.<conn>.local<suffix>.cert<suffix>.module =
        connections.<conn>.local<suffix>.pubkeys =
        connections.<conn>.local<suffix>.auth = pubkey
        connections.<conn>.local<suffix>.id =
        connections.<conn>.local<suffix>.eap_id = id
        connections.<conn>.local<suffix>.aaa_id = remote-id
        connections.<conn>.local<suffix>.xauth_id = id
        connections.<conn>.remote<suffix> = (section)
        connections.<conn>.remote<suffix>.round = 0
        connections.<conn>.remote<suffix>.id = %any
        connections.<conn>.remote<suffix>.eap_id = id
        connections.<conn>.remote<suffix>.groups =
        connections.<conn>.remote<suffix>.cert_policy =
        connections.<conn>.remote<suffix>.certs =
        connections.<conn>.remote<suffix>.cert<suffix> = (section)
        connections.<conn>.remote<suffix>.cert<suffix>.file =
        connections.<conn>.remote<suffix>.cert<suffix>.handle =
        connections.<conn>.remote<suffix>.cert<suffix>.slot =
        connections.<conn>.remote<suffix>.cert<suffix>.module =
        connections.<conn>.remote<suffix>.cacerts =
        connections.<conn>.remote<suffix>.cacert<suffix> = (section)
        connections.<conn>.remote<suffix>.cacert<suffix>.file =
        connections.<conn>.remote<suffix>.cacert<suffix>.handle =
        connections.<conn>.remote<suffix>.cacert<suffix>.slot =
        connections.<conn>.remote<suffix>.cacert<suffix>.module =
        connections.<conn>.remote<suffix>.ca_id =
        connections.<conn>.remote<suffix>.pubkeys =
        connections.<conn>.remote<suffix>.revocation = relaxed
        connections.<conn>.remote<suffix>.auth = pubkey
        connections.<conn>.children.<child> = (section)
        connections.<conn>.children.<child>.ah_proposals =
        connections.<conn>.children.<child>.esp_proposals = default
        connections.<conn>.children.<child>.sha256_96 = no
        connections.<conn>.children.<child>.local_ts = dynamic
        connections.<conn>.children.<child>.remote_ts = dynamic
        connections.<conn>.children.<child>.rekey_time = 1h or life_time - 10%
        connections.<conn>.children.<child>.life_time = rekey_time + 10%
        connections.<conn>.children.<child>.rand_time = life_time - rekey_time
        connections.<conn>.children.<child>.rekey_bytes = 0
        connections.<conn>.children.<child>.life_bytes = 0
        connections.<conn>.children.<child>.rand_bytes = 0
        connections.<conn>.children.<child>.rekey_packets = 0
        connections.<conn>.children.<child>.life_packets = 0
        connections.<conn>.children.<child>.rand_packets = 0
        connections.<conn>.children.<child>.updown =
        connections.<conn>.children.<child>.hostaccess = no
        connections.<conn>.children.<child>.mode = tunnel
        connections.<conn>.children.<child>.policies = yes
        connections.<conn>.children.<child>.policies_fwd_out = no
        connections.<conn>.children.<child>.dpd_action = clear
        connections.<conn>.children.<child>.ipcomp = no
        connections.<conn>.children.<child>.inactivity = 0s
        connections.<conn>.children.<child>.reqid = 0
        connections.<conn>.children.<child>.priority = 0
        connections.<conn>.children.<child>.tunnel_interface =
        connections.<conn>.children.<child>.tunnel_interface_addresses =
        connections.<conn>.children.<child>.tunnel_interface_mtu =
        connections.<conn>.children.<child>.tunnel_interface_netns =
        connections.<conn>.children.<child>.interface =
        connections.<conn>.children.<child>.mark_in = 0/0x00000000
        connections.<conn>.children.<child>.mark_in_sa = no
        connections.<conn>.children.<child>.mark_out = 0/0x00000000
        connections.<conn>.children.<child>.set_mark_in = 0/0x00000000
        connections.<conn>.children.<child>.set_mark_out = 0/0x00000000
        connections.<conn>.children.<child>.if_id_in = 0
        connections.<conn>.children.<child>.if_id_out = 0
        connections.<conn>.children.<child>.label =
        connections.<conn>.children.<child>.label_mode = system
        connections.<conn>.children.<child>.tfc_padding = 0
        connections.<conn>.children.<child>.dummy_interval = 0s
        connections.<conn>.children.<child>.replay_window = 32
        connections.<conn>.children.<child>.per_cpu_sas = no
        connections.<conn>.children.<child>.hw_offload = no
        connections.<conn>.children.<child>.copy_df = yes
        connections.<conn>.children.<child>.copy_ecn = yes
        connections.<conn>.children.<child>.copy_dscp = out
        connections.<conn>.children.<child>.mss = auto
        connections.<conn>.children.<child>.mtu = auto
        connections.<conn>.children.<child>.fragment = before
        connections.<conn>.children.<child>.icmp = no
        connections.<conn>.children.<child>.start_action = none
        connections.<conn>.children.<child>.close_action = none
        secrets = (section)
        secrets.eap<suffix> = (section)
        secrets.xauth<suffix> = (section)
        secrets.eap<suffix>.secret =
        secrets.eap<suffix>.id<suffix> =
        secrets.ntlm<suffix> = (section)
        secrets.ntlm<suffix>.secret =
        secrets.ntlm<suffix>.id<suffix> =
        secrets.ike<suffix> = (section)
        secrets.ike<suffix>.secret =
        secrets.ike<suffix>.id<suffix> =
        secrets.ppk<suffix> = (section)
        secrets.ppk<suffix>.secret =
        secrets.ppk<suffix>.id<suffix> =
        secrets.private<suffix> = (section)
        secrets.private<suffix>.file =
        secrets.private<suffix>.secret =
        secrets.rsa<suffix> = (section)
        secrets.rsa<suffix>.file =
        secrets.rsa<suffix>.secret =
        secrets.ecdsa<suffix> = (section)
        secrets.ecdsa<suffix>.file =
        secrets.ecdsa<suffix>.secret =
        secrets.pkcs8<suffix> = (section)
        secrets.pkcs8<suffix>.file =
        secrets.pkcs8<suffix>.secret =
        secrets.pkcs12<suffix> = (section)
        secrets.pkcs12<suffix>.file =
        secrets.pkcs12<suffix>.secret =
        secrets.token<suffix> = (section)
        secrets.token<suffix>.handle =
        secrets.token<suffix>.slot =
        secrets.token<suffix>.module =
        secrets.token<suffix>.pin =
        pools = (section)
        pools.<name> = (section)
        pools.<name>.addrs =
        pools.<name>.prefixes =
        pools.<name>.prefix_length = 64
        pools.<name>.<attr> =
        authorities = (section)
        authorities.<name> = (section)
        authorities.<name>.cacert =
        authorities.<name>.file =
        authorities.<name>.handle =
        authorities.<name>.slot =
        authorities.<name>.module =
        authorities.<name>.crl_uris =
        authorities.<name>.ocsp_uris =
        authorities.<name>.cert_uri_base =
        """
}
