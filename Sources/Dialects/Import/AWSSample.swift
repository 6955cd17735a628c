/// What AWS gives out for a site-to-site connection: instructions in prose with pieces of ipsec.conf and ipsec.secrets
/// between them.
///
/// It owns the finding of the pieces. What they mean is ``IpsecConfImport``'s.
enum AWSSample {
    /// The pieces as files of their own, with line numbers kept.
    static func parts(
        of files: [ConfigurationImport.File]
    ) -> (configuration: [ConfigurationImport.File], secrets: [ConfigurationImport.File], notes: [ImportNote]) {
        var configuration: [ConfigurationImport.File] = []
        var secrets: [ConfigurationImport.File] = []
        var notes: [ImportNote] = []
        for file in files {
            var settings: [String] = []
            var keys: [String] = []
            var isInSection = false
            for (index, line) in Words.lines(file.octets).enumerated() {
                let kind = classify(line, &isInSection)
                settings.append(kind == .setting ? line : "")
                keys.append(kind == .secret ? line : "")
                let text = Words.trimmed(line)
                if text.hasPrefix("net.ipv4.") || text.hasPrefix("sudo ") || text.hasPrefix("ip route ")
                    || text.hasPrefix("sysctl ") || text.hasPrefix("iptables ")
                {
                    notes.append(
                        ImportNote(
                            .idle, ImportPlace(file.name, index + 1), IpsecConfFile.short(text),
                            "Martlet needs no such setting of the system's for its tunnels"))
                }
            }
            configuration.append(.init(file.name, Array(settings.joined(separator: "\n").utf8)))
            secrets.append(.init(file.name, Array(keys.joined(separator: "\n").utf8)))
        }
        return (configuration, secrets, notes)
    }

    private enum Kind { case prose, setting, secret }

    private static func classify(_ line: String, _ isInSection: inout Bool) -> Kind {
        let text = Words.trimmed(line)
        let words = Words.split(text)
        if words.count == 2, words[0] == "conn" || (words[0] == "config" && words[1] == "setup") {
            isInSection = true
            return .setting
        }
        // The secret's own line: two addresses, a colon, PSK and a quoted text.
        if let colon = words.firstIndex(of: ":"), words.count == colon + 3, words[colon + 1].uppercased() == "PSK" {
            return .secret
        }
        if words.count >= 3, words[words.count - 3].hasSuffix(":"), words[words.count - 2].uppercased() == "PSK" {
            return .secret
        }
        guard isInSection else { return .prose }
        // In a section stand settings, blank lines and comments; anything else ends it.
        if text.isEmpty || text.hasPrefix("#") { return .prose }
        let key = text.prefix { $0 != "=" && !$0.isWhitespace }
        if key.count < text.count, text.dropFirst(key.count).drop(while: \.isWhitespace).hasPrefix("="),
            !key.contains("."), !key.contains("$")
        {
            return .setting
        }
        isInSection = false
        return .prose
    }
}
