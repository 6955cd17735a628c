/// A command line of `swanctl`, understood as strongSwan 5.9.8's does: one command, then its options, long or short,
/// bundled or abbreviated.
///
/// It owns names and kinds. What they do is the ``SwanctlDoor``'s.
struct SwanctlOptions {
    /// An option of a command.
    struct Option {
        /// With its dashes.
        let long: String
        /// Without a dash.
        let short: Character
        /// How its value is called in the usage; nil when it has none.
        let value: String?

        init(_ long: String, _ short: Character, _ value: String? = nil) {
            (self.long, self.short, self.value) = ("--" + long, short, value)
        }

        /// The usage's line.
        var usage: String {
            let spelled = long + (value.map { " <\($0)>" } ?? "")
            return "           " + spelled.padding(to: 24) + "(-\(short))"
        }
    }

    /// A command with its options.
    struct Command {
        let long: String
        let short: Character
        /// What it does, in the usage.
        let about: String
        let options: [Option]

        init(_ long: String, _ short: Character, _ about: String, _ options: [Option] = []) {
            (self.long, self.short, self.about) = ("--" + long, short, about)
            self.options = options + SwanctlOptions.common
        }
    }

    /// Why the command line makes no sense.
    struct Misuse: Error {
        let reason: String
        /// Whose usage helps.
        var command: Command?
    }

    /// What was asked for.
    let command: Command
    /// Options with their values (empty where they have none), by their long names; the last of the same name counts.
    private(set) var given: [String: String] = [:]

    /// Whether an option is there.
    func has(_ name: String) -> Bool { given["--" + name] != nil }

    /// An option's value.
    subscript(_ name: String) -> String? { given["--" + name] }

    /// Reads the words behind the program's name; `file` gives the words of a file for `--options`.
    init(_ words: [String], file: (String) throws -> [String]) throws {
        var rest = words[...]
        guard let first = rest.popFirst() else {
            command = Self.help
            return
        }
        let names = Self.commands.map { (long: $0.long, short: $0.short) }
        guard let (index, attached) = try Self.find(first, names, "invalid operation", nil) else {
            throw Misuse(reason: "invalid operation: '\(first)'")
        }
        command = Self.commands[index]
        // What is bundled with the command's letter, or attached to its name.
        if let attached, !first.hasPrefix("--") { rest = ["-" + attached] + rest }
        if command.long == Self.help.long { return }
        let options = command.options
        let known = options.map { (long: $0.long, short: $0.short) }
        while let word = rest.popFirst() {
            if word == "--" { return }
            guard let (index, attached) = try Self.find(word, known, "invalid options", command) else { continue }
            let option = options[index]
            var value = ""
            if option.value != nil {
                guard let found = attached ?? rest.popFirst() else {
                    throw Misuse(reason: "invalid options: '\(word)' requires an argument", command: command)
                }
                value = found
            } else if let attached {
                guard !word.hasPrefix("--") else {
                    throw Misuse(reason: "invalid options: '\(option.long)' takes no argument", command: command)
                }
                rest = ["-" + attached] + rest
            }
            if option.long == "--options" { rest = try file(value) + rest } else { given[option.long] = value }
        }
    }

    /// Which of `names` a word means, and what is attached to it (`--ike=hq`, `-ihq`); nil for a word that is no option.
    private static func find(
        _ word: String, _ names: [(long: String, short: Character)], _ what: String, _ command: Command?
    ) throws -> (index: Int, attached: String?)? {
        guard word.hasPrefix("-"), word != "-" else { return nil }
        guard word.hasPrefix("--") else {
            guard let letter = word.dropFirst().first, let index = names.firstIndex(where: { $0.short == letter })
            else {
                throw Misuse(reason: "\(what): '\(word)' is not known", command: command)
            }
            let attached = word.dropFirst(2)
            return (index, attached.isEmpty ? nil : String(attached))
        }
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = parts[0]
        let attached = parts.count > 1 ? parts[1] : nil
        if let index = names.firstIndex(where: { $0.long == name }) { return (index, attached) }
        let candidates = names.indices.filter { names[$0].long.hasPrefix(name) }
        if candidates.count == 1 { return (candidates[0], attached) }
        let could = candidates.map { names[$0].long }.joined(separator: ", ")
        throw Misuse(
            reason: "\(what): '\(name)' " + (candidates.isEmpty ? "is not known" : "could be \(could)"),
            command: command)
    }

    // MARK: What there is

    fileprivate static let common = [
        Option("help", "h"), Option("raw", "r"), Option("pretty", "P"), Option("debug", "v", "level"),
        Option("options", "+", "file"), Option("uri", "u", "uri"),
    ]
    static let help = Command("help", "h", "this text")
    private static let quiet = Option("quiet", "q")
    private static let sa = [
        Option("child", "c", "name"), Option("ike", "i", "name"), Option("child-id", "C", "id"),
        Option("ike-id", "I", "id"),
    ]
    private static let file = Option("file", "f", "path")
    private static let credentials = [Option("clear", "c"), Option("noprompt", "n"), file]

    /// All of them, in the usage's order.
    static let commands = [
        Command(
            "counters", "C", "what was counted, or set to zero",
            [Option("name", "n", "name"), Option("all", "a"), Option("reset", "R")]),
        Command(
            "initiate", "i", "bring a tunnel up",
            [
                Option("child", "c", "name"), Option("ike", "i", "name"), Option("timeout", "t", "s"),
                Option("loglevel", "l", "level"), quiet,
            ]),
        Command(
            "terminate", "t", "close a tunnel",
            sa + [Option("force", "f"), Option("timeout", "t", "s"), Option("loglevel", "l", "level"), quiet]),
        Command("rekey", "R", "new keys for an SA", sa + [Option("reauth", "a")]),
        Command(
            "redirect", "d", "send a client to another gateway",
            [
                Option("ike", "i", "name"), Option("ike-id", "I", "id"), Option("peer-ip", "p", "ip"),
                Option("peer-id", "d", "id"), Option("gateway", "g", "ip|fqdn"),
            ]),
        Command(
            "uninstall", "u", "take a trap or shunt out of force",
            [Option("child", "c", "name"), Option("ike", "i", "name")]),
        Command(
            "install", "p", "put a trap or shunt in force", [Option("child", "c", "name"), Option("ike", "i", "name")]),
        Command("list-sas", "l", "the SAs there are", sa + [Option("noblock", "n")]),
        Command("monitor-sa", "m", "changes of SAs as they come"),
        Command(
            "list-pols", "P", "traps and shunts in force",
            [Option("child", "c", "name"), Option("trap", "t"), Option("drop", "d"), Option("pass", "p")]),
        Command("list-authorities", "B", "the authorities loaded", [Option("name", "n", "name")]),
        Command("list-conns", "L", "the connections loaded"),
        Command(
            "list-certs", "x", "the certificates loaded",
            [
                Option("subject", "s", "dn/san"), Option("type", "t", "type"), Option("flag", "f", "flag"),
                Option("pem", "p"), Option("short", "S"), Option("utc", "U"),
            ]),
        Command("list-pools", "A", "the pools of addresses", [Option("leases", "l"), Option("name", "n", "name")]),
        Command("list-algs", "g", "the algorithms there are"),
        Command("flush-certs", "f", "forget fetched certificates and lists", [Option("type", "t", "type")]),
        Command("load-all", "q", "load everything: the gateway's file, or another one", credentials),
        Command("load-authorities", "b", "load authorities", [file]),
        Command("load-conns", "c", "load connections", [file]),
        Command("load-creds", "s", "load keys, certificates and secrets", credentials),
        Command("load-pools", "a", "load pools", [file]), Command("log", "T", "the log as it comes"),
        Command("version", "v", "which version this is, or the gateway's", [Option("daemon", "d")]),
        Command("stats", "S", "figures of the gateway"),
        Command("reload-settings", "r", "let the gateway read its file again"), help,
    ]

    /// The text of `--help`: of one command, or the list of all.
    static func usage(_ command: Command?) -> [String] {
        guard let command, command.long != help.long else {
            return ["usage:"] + commands.map { "  swanctl \($0.long.padding(to: 19))(-\($0.short))  \($0.about)" }
        }
        return ["usage:", "  swanctl \(command.long) (-\(command.short))  \(command.about)"]
            + command.options.map(\.usage)
    }
}
