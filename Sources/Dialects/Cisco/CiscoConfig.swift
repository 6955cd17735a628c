/// A configuration of Cisco IOS as commands with the commands below them, whatever these mean.
///
/// It owns the form. Text that was pasted from a page may have lost its indentation: then a command that only exists below
/// another is taken as standing there.
struct CiscoConfig {
    /// One command.
    struct Command {
        var words: [String]
        var place: ImportPlace
        var below: [Command]

        /// As it stands there, without what may be a key.
        var text: String {
            let end = words.firstIndex { $0 == "pre-shared-key" || $0 == "key" }.map { $0 + 1 } ?? words.count
            return words[..<end].joined(separator: " ") + (end < words.count ? " …" : "")
        }

        /// Whether it begins with these words, in any case of letters.
        func begins(_ beginning: String...) -> Bool {
            words.count >= beginning.count
                && zip(words, beginning).allSatisfy { $0.lowercased() == $1 }
        }

        /// The words from a place on; empty when there are fewer.
        func words(from index: Int) -> [String] { Array(words.dropFirst(index)) }

        /// One word; empty when there are fewer.
        func word(_ index: Int) -> String { words.indices.contains(index) ? words[index] : "" }
    }

    private(set) var commands: [Command] = []

    /// Commands above which nothing more is read.
    private static let limit = 200_000

    init(_ files: [ConfigurationImport.File]) {
        for file in files { read(file) }
    }

    private mutating func read(_ file: ConfigurationImport.File) {
        // Where the second level goes: a keyring's peer has a third.
        var count = 0
        for (index, line) in Words.lines(file.octets).enumerated() {
            let isIndented = line.first?.isWhitespace ?? false
            var text = Words.trimmed(line)
            // A console's prompt in front of a command: R1(config-ikev2-profile)#match …
            if let hash = text.firstIndex(of: "#"), text[..<hash].hasSuffix(")") {
                text = Words.trimmed(text[text.index(after: hash)...])
            }
            if text.isEmpty || text.hasPrefix("!") || text == "exit" || text == "end" { continue }
            count += 1
            guard count < Self.limit else { return }
            let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
            let command = Command(words: words, place: ImportPlace(file.name, index + 1), below: [])
            let isBelow = isIndented || (commands.last.map { Self.belongs(command, below: $0) } ?? false)
            guard isBelow, let last = commands.indices.last else {
                commands.append(command)
                continue
            }
            add(command, below: last)
        }
    }

    private mutating func add(_ command: Command, below last: Int) {
        let isKeyring = commands[last].begins("crypto", "ikev2", "keyring")
        if isKeyring, command.word(0).lowercased() != "peer", let peer = commands[last].below.indices.last {
            commands[last].below[peer].below.append(command)
        } else {
            commands[last].below.append(command)
        }
    }

    /// Whether a command that stands in the first column can only belong below another.
    private static func belongs(_ command: Command, below other: Command) -> Bool {
        let first = command.word(0).lowercased()
        let sub: Set<String>
        switch (other.word(0).lowercased(), other.word(1).lowercased(), other.word(2).lowercased()) {
        case ("crypto", "ikev2", "proposal"): sub = ["encryption", "integrity", "prf", "group"]
        case ("crypto", "ikev2", "policy"): sub = ["proposal", "match"]
        case ("crypto", "ikev2", "keyring"): sub = ["peer", "address", "pre-shared-key", "identity", "hostname"]
        case ("crypto", "ikev2", "profile"):
            sub = ["match", "identity", "authentication", "keyring", "lifetime", "dpd", "pki", "nat", "aaa"]
        case ("crypto", "ipsec", "transform-set"): sub = ["mode"]
        case ("crypto", "ipsec", "profile"), ("crypto", "map", _): sub = ["set", "match", "description"]
        case ("crypto", "isakmp", "policy"):
            sub = ["encr", "encryption", "hash", "authentication", "group", "lifetime"]
        case ("interface", _, _):
            return ["ip", "tunnel", "crypto", "description", "no", "shutdown", "ipv6"].contains(first)
                && !command.begins("ip", "route") && !command.begins("ip", "access-list")
                && !(first == "crypto" && command.words.count > 3)
        case ("ip", "access-list", _):
            return ["permit", "deny", "remark"].contains(first) || UInt32(first) != nil
        default: return false
        }
        return sub.contains(first)
    }
}
