import ViciMessages

/// The texts that strongSwan's swanctl prints, which scripts read: made from the same messages.
///
/// It owns their layout, to the blank. It never asks a gateway for anything.
enum SwanctlText {
    /// `--list-sas`.
    static func securityAssociations(_ event: ViciTree) -> [String] {
        event.sections.flatMap { name, sa in ikeSA(name, sa) }
    }

    private static func ikeSA(_ name: String, _ sa: ViciTree) -> [String] {
        let value = { (key: String) in sa[key] ?? "" }
        let isInitiator = sa["initiator"] == "yes"
        var lines = [
            "\(name): #\(value("uniqueid")), \(value("state")), IKEv\(value("version")), "
                + "\(value("initiator-spi"))_i\(isInitiator ? "*" : "") "
                + "\(value("responder-spi"))_r\(isInitiator ? "" : "*")",
            end("local ", sa, "local"), end("remote", sa, "remote"),
        ]
        if sa["encr-alg"] != nil {
            lines.append("  " + algorithms(sa, ["encr-alg", "integ-alg", "prf-alg", "dh-group"]))
        }
        if let established = sa["established"] {
            var line = "  established \(established)s ago"
            if let rekey = sa["rekey-time"] { line += ", rekeying in \(rekey)s" }
            if let reauth = sa["reauth-time"] { line += ", reauth in \(reauth)s" }
            lines.append(line)
        }
        for (key, word) in [("tasks-queued", "queued: "), ("tasks-active", "active: "), ("tasks-passive", "passive:")] {
            if let tasks = sa.list(key) { lines.append("  \(word) " + tasks.joined(separator: " ")) }
        }
        for (_, child) in sa.section("child-sas")?.sections ?? [] { lines += childSA(child) }
        return lines
    }

    private static func end(_ word: String, _ sa: ViciTree, _ side: String) -> String {
        var line = "  \(word) '\(sa["\(side)-id"] ?? "")' @ \(sa["\(side)-host"] ?? "")[\(sa["\(side)-port"] ?? "")]"
        if let identity = sa["\(side)-eap-id"] { line += " EAP: '\(identity)'" }
        if let identity = sa["\(side)-xauth-id"] { line += " XAuth: '\(identity)'" }
        let lent = (sa.list("\(side)-vips") ?? []) + (sa.list("\(side)-prefixes") ?? [])
        if !lent.isEmpty { line += " [\(lent.joined(separator: " "))]" }
        return line
    }

    private static func algorithms(_ tree: ViciTree, _ keys: [String]) -> String {
        keys.compactMap { key -> String? in
            guard let name = tree[key] else { return nil }
            let size = key == "encr-alg" ? "encr-keysize" : key == "integ-alg" ? "integ-keysize" : ""
            return name + (tree[size].map { "-\($0)" } ?? "")
        }
        .joined(separator: "/")
    }

    private static func childSA(_ child: ViciTree) -> [String] {
        let value = { (key: String) in child[key] ?? "" }
        var head =
            "  \(value("name")): #\(value("uniqueid")), reqid \(value("reqid")), \(value("state")), "
            + "\(value("mode"))\(child["encap"] == "yes" ? "-in-UDP" : "")"
        if let securityProtocol = child["protocol"] {
            head += ", \(securityProtocol):" + algorithms(child, ["encr-alg", "integ-alg", "prf-alg", "dh-group"])
            if child["esn"] == "1" { head += "/ESN" }
        }
        var lines = [head]
        if let installed = child["install-time"] {
            var line = "    installed \(installed)s ago"
            if let rekey = child["rekey-time"] { line += ", rekeying in \(rekey)s" }
            if let life = child["life-time"] { line += ", expires in \(life)s" }
            lines.append(line)
        }
        if child["spi-in"] != nil {
            lines += [direction("in ", child, "in"), direction("out", child, "out")]
        }
        lines.append("    local  " + (child.list("local-ts") ?? []).joined(separator: " "))
        lines.append("    remote " + (child.list("remote-ts") ?? []).joined(separator: " "))
        return lines
    }

    private static func direction(_ word: String, _ child: ViciTree, _ side: String) -> String {
        var line =
            "    \(word) \(child["spi-\(side)"] ?? ""), \(padded(child["bytes-\(side)"] ?? "0", 6)) bytes, "
            + "\(padded(child["packets-\(side)"] ?? "0", 5)) packets"
        if let use = child["use-\(side)"] { line += ", \(padded(use, 5))s ago" }
        return line
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    /// `--list-conns`.
    static func connections(_ event: ViciTree) -> [String] {
        event.sections.flatMap { name, connection in self.connection(name, connection) }
    }

    private static func connection(_ name: String, _ tree: ViciTree) -> [String] {
        let isZero = { (key: String) in (tree[key] ?? "0") == "0" }
        var head = "\(name): \(tree["version"] ?? "")"
        head +=
            isZero("reauth_time") ? ", no reauthentication" : ", reauthentication every \(tree["reauth_time"] ?? "")s"
        head += isZero("rekey_time") ? ", no rekeying" : ", rekeying every \(tree["rekey_time"] ?? "")s"
        if let delay = tree["dpd_delay"] { head += ", dpd delay \(delay)s" }
        var lines = [head]
        lines += (tree.list("local_addrs") ?? []).map { "  local:  \($0)" }
        lines += (tree.list("remote_addrs") ?? []).map { "  remote: \($0)" }
        for (section, round) in tree.sections {
            guard let side = ["local", "remote"].first(where: { section.hasPrefix($0) }) else { continue }
            lines.append("  \(side) \(round["class"] ?? "") authentication:")
            for key in ["eap_id", "xauth_id", "aaa_id", "id"] {
                if let value = round[key] { lines.append("    \(key): \(value)") }
            }
            for (key, word) in [("groups", "groups"), ("certs", "certs"), ("cacerts", "cacerts")] {
                if let items = round.list(key), !items.isEmpty {
                    lines.append("    \(word): " + items.joined(separator: " "))
                }
            }
        }
        for (child, fields) in tree.section("children")?.sections ?? [] {
            lines += self.child(child, fields, showsAction: tree["dpd_delay"] != nil)
        }
        return lines
    }

    private static func child(_ name: String, _ tree: ViciTree, showsAction: Bool) -> [String] {
        var limits: [String] = []
        // What passes or is dropped has no keys.
        let hasKeys = tree["mode"] != "PASS" && tree["mode"] != "DROP"
        for (key, unit) in [("rekey_time", "s"), ("rekey_bytes", " bytes"), ("rekey_packets", " packets")] {
            if hasKeys, let value = tree[key], value != "0" { limits.append(value + unit) }
        }
        var head = "  \(name): \(tree["mode"] ?? "")"
        head += limits.isEmpty ? ", no rekeying" : ", rekeying every \(limits.joined(separator: " or "))"
        if showsAction, let action = tree["dpd_action"] { head += ", dpd action is \(action)" }
        return [
            head, "    local:  " + (tree.list("local-ts") ?? []).joined(separator: " "),
            "    remote: " + (tree.list("remote-ts") ?? []).joined(separator: " "),
        ]
    }

    /// `--list-pols`.
    static func policies(_ event: ViciTree) -> [String] {
        event.sections.flatMap { name, policy in
            [
                "\(name), \(policy["mode"] ?? "")",
                "  local:  " + (policy.list("local-ts") ?? []).joined(separator: " "),
                "  remote: " + (policy.list("remote-ts") ?? []).joined(separator: " "),
            ]
        }
    }

    /// `--list-authorities`.
    static func authorities(_ event: ViciTree) -> [String] {
        event.sections.flatMap { name, authority in
            var lines = ["\(name):", "  cacert: \(authority["cacert"] ?? "")"]
            for (key, word) in [("crl_uris", "crl_uris: "), ("ocsp_uris", "ocsp_uris:")] {
                for (index, uri) in (authority.list(key) ?? []).enumerated() {
                    lines.append(index == 0 ? "  \(word) \(uri)" : "             \(uri)")
                }
            }
            if let base = authority["cert_uri_base"] { lines.append("  cert_uri_base: \(base)") }
            return lines
        }
    }

    /// `--list-algs`.
    static func algorithms(_ answer: ViciTree) -> [String] {
        answer.sections.flatMap { kind, algorithms in
            ["\(kind):"] + algorithms.entries.map { "  \($0.name)[\(algorithms[$0.name] ?? "")]" }
        }
    }

    /// `--list-pools`.
    static func pools(_ answer: ViciTree) -> [String] {
        answer.sections.flatMap { name, pool in
            var lines = [poolLine(name, pool["base"] ?? "", pool, "")]
            if let block = pool["prefixes"] {
                lines.append(poolLine("", "\(block), /\(pool["prefix-length"] ?? "") each", pool, "prefixes-"))
            }
            return lines
        }
    }

    private static func poolLine(_ name: String, _ base: String, _ pool: ViciTree, _ kind: String) -> String {
        let counts = ["online", "offline", "size"].map { pool[kind + $0] ?? "0" }.joined(separator: " / ")
        return left(name, 20) + " " + left(base, 30) + " " + "\(padded(counts, 16))"
    }

    private static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// `--stats`.
    static func statistics(_ answer: ViciTree) -> [String] {
        let uptime = answer.section("uptime") ?? ViciTree()
        let workers = answer.section("workers") ?? ViciTree()
        let active = priorities(workers.section("active") ?? ViciTree())
        let sas = answer.section("ikesas") ?? ViciTree()
        return [
            "uptime: \(uptime["running"] ?? ""), since \(uptime["since"] ?? "")",
            "worker threads: \(workers["total"] ?? "") total, \(workers["idle"] ?? "") idle, working: \(active)",
            "job queues: \(priorities(answer.section("queues") ?? ViciTree()))",
            "jobs scheduled: \(answer["scheduled"] ?? "")",
            "IKE_SAs: \(sas["total"] ?? "") total, \(sas["half-open"] ?? "") half-open",
            "loaded plugins: \((answer.list("plugins") ?? []).joined(separator: " "))",
        ]
    }

    private static func priorities(_ tree: ViciTree) -> String {
        ["critical", "high", "medium", "low"].map { tree[$0] ?? "0" }.joined(separator: "/")
    }

    /// `--counters`.
    static func counters(_ answer: ViciTree) -> [String] {
        (answer.section("counters") ?? ViciTree()).sections.flatMap { name, values in
            ["\(name.isEmpty ? "global" : name):"]
                + values.entries.map { "  \(left($0.name, 22)): \(values[$0.name] ?? "")" }
        }
    }

    /// `--log`: the thread, the part and the words.
    static func log(_ event: ViciTree) -> [String] {
        let thread = event["thread"] ?? "0"
        return ["\(thread.count < 2 ? "0" : "")\(thread)[\(event["group"] ?? "")] \(event["msg"] ?? "")"]
    }

    /// `--monitor-sa`: the IKE SA with the children that an event is about; nothing where it is about none.
    static func monitored(_ event: ViciTree) -> [String] {
        event.sections.filter { $0.tree.section("child-sas") != nil }.flatMap { name, sa in ikeSA(name, sa) }
    }
}
