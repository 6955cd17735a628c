import Foundation
import LinuxSystem
import ViciMessages
import ViciServer

/// The program when it is called as `swanctl`: strongSwan's options, texts and exit statuses, for the hands and scripts
/// that know them.
///
/// It owns the options. Loading files is the gateway's own: `--load-all` lets it read its file again.
struct SwanctlDoor {
    private var command = ""
    private var arguments = ViciTree()
    private var uri = "unix:///var/run/charon.vici"
    private var isRaw = false
    private var isUTC = false
    private var isShort = false
    private var isPEM = false
    private var isQuiet = false

    /// Why the command line makes no sense.
    private struct Misuse: Error { let reason: String }

    private static let commands: [String: String] = [
        "-i": "--initiate", "-t": "--terminate", "-R": "--rekey", "-l": "--list-sas", "-L": "--list-conns",
        "-d": "--redirect",
        "-P": "--list-pols", "-A": "--list-pools", "-S": "--stats", "-v": "--version", "-C": "--counters",
        "-T": "--log", "-m": "--monitor-sa", "-q": "--load-all", "-r": "--reload-settings",
        "-x": "--list-certs", "-B": "--list-authorities", "-g": "--list-algs", "-f": "--flush-certs",
        "-p": "--install", "-u": "--uninstall",
        "-c": "--load-conns", "-s": "--load-creds", "-a": "--load-pools", "-b": "--load-authorities",
    ]

    /// Options with a value, and the argument of the message that it becomes.
    private static let values: [String: String] = [
        "--ike": "ike", "--child": "child", "--ike-id": "ike-id", "--child-id": "child-id", "--timeout": "timeout",
        "--loglevel": "loglevel", "--name": "name", "--subject": "subject", "--type": "type", "--flag": "flag",
        "--peer-ip": "peer-ip", "--peer-id": "peer-id",
        "--gateway": "gateway", "-p": "peer-ip", "-g": "gateway",
        "-i": "ike", "-c": "child", "-I": "ike-id", "-C": "child-id",
    ]

    /// Carries out a command line (without the program's name); the exit status.
    static func run(_ words: [String]) -> Int32 {
        do {
            let door = try SwanctlDoor(words)
            return try door.carryOut()
        } catch let misuse as Misuse {
            FileHandle.standardError.write(Data("Error: \(misuse.reason)\n\(usage)".utf8))
            return 22
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            return 111
        }
    }

    private init(_ words: [String]) throws {
        guard let first = words.first else { throw Misuse(reason: "a command is missing") }
        command = Self.commands[first] ?? first
        guard Self.commands.values.contains(command) || command == "--help" else {
            throw Misuse(reason: "'\(first)' is no command of this swanctl")
        }
        var rest = words.dropFirst()
        while let word = rest.popFirst() {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            let option = parts.first ?? ""
            let attached = parts.count > 1 ? parts[1] : nil
            switch option {
            case "--raw", "-r": isRaw = true
            case "--pretty", "-P": isRaw = true
            case "--quiet", "-q": isQuiet = true
            case "--uri", "-u":
                guard let value = attached ?? rest.popFirst() else { throw Misuse(reason: "\(option) needs a value") }
                uri = value
            case "--trap", "--drop", "--pass", "--leases", "--force", "--all", "--noblock", "--reauth":
                arguments.set(String(option.dropFirst(2)), true)
            case "--utc", "-U": isUTC = true
            case "--short", "-S": isShort = true
            case "--pem": isPEM = true
            case "-p" where command == "--list-certs": isPEM = true
            case "-s" where command == "--list-certs": arguments.set("subject", attached ?? rest.popFirst() ?? "")
            case "-t" where command == "--list-certs": arguments.set("type", attached ?? rest.popFirst() ?? "")
            case "-f" where command == "--list-certs": arguments.set("flag", attached ?? rest.popFirst() ?? "")
            case "-d" where command == "--redirect":
                arguments.set("peer-id", attached ?? rest.popFirst() ?? "")
            case "--daemon", "-d", "--noprompt", "-n", "--clear": break
            case "--file", "-f": _ = attached ?? rest.popFirst()
            default:
                guard let key = Self.values[option], let value = attached ?? rest.popFirst() else {
                    throw Misuse(reason: "'\(word)' is no option of \(command)")
                }
                arguments.set(key, key == "timeout" ? "\((Int(value) ?? 0) * 1000)" : value)
            }
        }
    }

    private func carryOut() throws -> Int32 {
        if command == "--help" {
            print(Self.usage, terminator: "")
            return 0
        }
        let client = try ViciClient(
            connectingTo: try ControlAddress(uri))
        switch command {
        case "--list-sas": return try list(client, "list-sas", "list-sa", SwanctlText.securityAssociations)
        case "--list-conns": return try list(client, "list-conns", "list-conn", SwanctlText.connections)
        case "--list-pols": return try list(client, "list-policies", "list-policy", SwanctlText.policies)
        case "--list-pools": return try answer(client, "get-pools", SwanctlText.pools)
        case "--stats": return try answer(client, "stats", SwanctlText.statistics)
        case "--counters": return try answer(client, "get-counters", SwanctlText.counters)
        case "--version":
            return try answer(client, "version") { tree in
                [
                    "strongSwan \(tree["version"] ?? "") \(tree["daemon"] ?? "") (\(tree["sysname"] ?? ""), "
                        + "\(tree["release"] ?? ""), \(tree["machine"] ?? ""))"
                ]
            }
        case "--initiate": return try act(client, "initiate")
        case "--terminate": return try act(client, "terminate")
        case "--rekey": return try act(client, "rekey")
        case "--redirect": return try act(client, "redirect")
        case "--list-certs": return try listCertificates(client)
        case "--list-authorities":
            return try list(client, "list-authorities", "list-authority", SwanctlText.authorities)
        case "--list-algs": return try answer(client, "get-algorithms", SwanctlText.algorithms)
        case "--flush-certs": return try act(client, "flush-certs")
        case "--install": return try act(client, "install")
        case "--uninstall": return try act(client, "uninstall")
        case "--load-all", "--load-conns", "--load-creds", "--load-pools", "--load-authorities", "--reload-settings":
            return try act(client, "reload-settings")
        case "--log": return try follow(client, ["log"])
        case "--monitor-sa":
            return try follow(client, ["ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey"])
        default: throw Misuse(reason: "\(command) is not done by this swanctl; use strongSwan's")
        }
    }

    private func list(
        _ client: ViciClient, _ name: String, _ event: String, _ text: (ViciTree) -> [String]
    ) throws -> Int32 {
        let reply = try client.call(name, arguments, streaming: event) { tree in
            if isRaw { print(SwanctlText.raw(event, "event", tree)) } else { for line in text(tree) { print(line) } }
        }
        if isRaw { print(SwanctlText.raw(name, "reply", reply)) }
        return 0
    }

    private func listCertificates(_ client: ViciClient) throws -> Int32 {
        if isRaw { return try list(client, "list-certs", "list-cert") { _ in [] } }
        var found: [ViciTree] = []
        _ = try client.call("list-certs", arguments, streaming: "list-cert") { found.append($0) }
        let text = SwanctlCertificates(
            now: Int64(Date().timeIntervalSince1970), isUTC: isUTC, isShort: isShort, isPEM: isPEM)
        for line in text.lines(found) { print(line) }
        return 0
    }

    private func answer(_ client: ViciClient, _ name: String, _ text: (ViciTree) -> [String]) throws -> Int32 {
        let reply = try client.call(name, arguments)
        if isRaw { print(SwanctlText.raw(name, "reply", reply)) } else { for line in text(reply) { print(line) } }
        return 0
    }

    private func act(_ client: ViciClient, _ name: String) throws -> Int32 {
        let streams = name == "initiate" || name == "terminate"
        let reply = try client.call(name, arguments, streaming: streams ? "control-log" : nil, timeout: nil) { tree in
            if isQuiet { return }
            Live.print(
                isRaw
                    ? SwanctlText.raw("control-log", "event", tree) : "[\(tree["group"] ?? "")] \(tree["msg"] ?? "")")
        }
        if isRaw { print(SwanctlText.raw(name, "reply", reply)) }
        guard reply["success"] == "yes" else {
            FileHandle.standardError.write(Data("\(name) failed: \(reply["errmsg"] ?? "")\n".utf8))
            return 1
        }
        if !isRaw, !isQuiet, name != "reload-settings" { print("\(name) completed successfully") }
        return 0
    }

    private func follow(_ client: ViciClient, _ events: [String]) throws -> Int32 {
        try client.register(for: events)
        while let (name, tree) = try client.nextEvent(timeout: nil) {
            if isRaw {
                Live.print(SwanctlText.raw(name, "event", tree))
            } else {
                Live.print(EventLine(name: name, tree: tree).text(Terminal(hasColour: false)))
            }
        }
        return 0
    }

    private static let usage = """
        Martlet, called as swanctl. Commands:
          --initiate|-i --terminate|-t --rekey|-R   with --ike, --child, --ike-id, --child-id, --timeout
          --redirect|-d                             with --ike, --ike-id, --peer-ip, --peer-id; --gateway
          --install|-p --uninstall|-u               with --child, --ike
          --list-sas|-l --list-conns|-L --list-pols|-P --list-pools|-A --list-authorities|-B --list-algs|-g
          --list-certs|-x                           with --subject, --type, --flag, --pem, --short, --utc
          --stats|-S --counters|-C --version|-v --log|-T --monitor-sa|-m --flush-certs|-f --reload-settings|-r
          --load-all|-q --load-conns|-c --load-creds|-s --load-pools|-a --load-authorities|-b
        All take --raw and --uri; files are read by the gateway, strongSwan's own swanctl can load them too.

        """
}
