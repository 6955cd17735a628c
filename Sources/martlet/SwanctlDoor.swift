import Foundation
import Gateway
import LinuxSystem
import ViciMessages
import ViciServer

/// The program when it is called as `swanctl`: strongSwan's options, texts and exit statuses, for the hands and scripts
/// that know them.
///
/// It owns what the commands do. `--load-all` lets the gateway read its own file again; with `--file` another one is sent.
struct SwanctlDoor {
    private let options: SwanctlOptions
    private let arguments: ViciTree
    private let raw: SwanctlRaw?
    private let client: ViciClient

    private static let socket = "unix:///var/run/charon.vici"

    /// Carries out a command line (without the program's name); the exit status.
    static func run(_ words: [String]) -> Int32 {
        do {
            let options = try SwanctlOptions(words) { path in
                try RawFile.readText(path, limit: 1 << 16).split { $0.isWhitespace }.map(String.init)
            }
            if options.command.long == SwanctlOptions.help.long || options.has("help") {
                for line in SwanctlOptions.usage(options.command) { print(line) }
                return 0
            }
            let uri = options["uri"] ?? socket
            do { return try SwanctlDoor(options, uri).carryOut() } catch let misuse as SwanctlOptions.Misuse {
                throw misuse
            } catch ViciClientError.system(let error) where error.call == "connect" {
                report("Error: connecting to '\(uri)' URI failed: \(error.errno)", options.command)
                return error.errno.rawValue
            }
        } catch let misuse as SwanctlOptions.Misuse {
            report("Error: \(misuse.reason)", misuse.command)
            return 1
        } catch {
            say("\(error)")
            return 111
        }
    }

    private static func say(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

    private static func report(_ text: String, _ command: SwanctlOptions.Command?) {
        say(([text] + SwanctlOptions.usage(command)).joined(separator: "\n"))
    }

    private init(_ options: SwanctlOptions, _ uri: String) throws {
        self.options = options
        raw = options.has("pretty") ? .indented : options.has("raw") ? .line : nil
        arguments = try Self.arguments(options)
        client = try ViciClient(connectingTo: try ControlAddress(uri))
    }

    /// The message that the options become.
    static func arguments(_ options: SwanctlOptions) throws -> ViciTree {
        var tree = ViciTree()
        for name in ["child", "ike", "child-id", "ike-id", "name", "subject", "type", "flag", "peer-ip", "peer-id"] {
            if let value = options[name] { tree.set(name, value) }
        }
        for name in ["gateway", "loglevel"] { if let value = options[name] { tree.set(name, value) } }
        for name in ["force", "reauth", "noblock", "all", "leases", "trap", "drop", "pass"] where options.has(name) {
            tree.set(name, true)
        }
        if let seconds = options["timeout"] {
            guard let number = Int32(seconds), number >= 0 else {
                throw SwanctlOptions.Misuse(
                    reason: "invalid options: --timeout takes seconds, not '\(seconds)'", command: options.command)
            }
            tree.set("timeout", Int(number) * 1000)
        }
        // Without a kind, all of them.
        let kinds = ["trap", "drop", "pass"]
        if options.command.long == "--list-pols", !kinds.contains(where: options.has) {
            for kind in kinds { tree.set(kind, true) }
        }
        return tree
    }

    private func carryOut() throws -> Int32 {
        switch options.command.long {
        case "--list-sas": return try list("list-sas", "list-sa", SwanctlText.securityAssociations)
        case "--list-conns": return try list("list-conns", "list-conn", SwanctlText.connections)
        case "--list-pols": return try list("list-policies", "list-policy", SwanctlText.policies)
        case "--list-pools": return try answer("get-pools", SwanctlText.pools)
        case "--stats": return try answer("stats", SwanctlText.statistics)
        case "--counters":
            if options.has("reset") { return try act("reset-counters", as: "counters") }
            return try answer("get-counters", as: "counters", SwanctlText.counters)
        case "--version":
            guard options.has("daemon") else {
                print("strongSwan swanctl \(MartletVersion.current) (Martlet)")
                return 0
            }
            return try answer("version") { tree in
                [
                    "strongSwan \(tree["version"] ?? "") \(tree["daemon"] ?? "") (\(tree["sysname"] ?? ""), "
                        + "\(tree["release"] ?? ""), \(tree["machine"] ?? ""))"
                ]
            }
        case "--initiate": return try act("initiate")
        case "--terminate": return try act("terminate")
        case "--rekey": return try act("rekey")
        case "--redirect": return try act("redirect")
        case "--install": return try act("install", showsRaw: false)
        case "--uninstall": return try act("uninstall", showsRaw: false)
        case "--list-certs": return try listCertificates()
        case "--list-authorities": return try list("list-authorities", "list-authority", SwanctlText.authorities)
        case "--list-algs": return try answer("get-algorithms", SwanctlText.algorithms)
        case "--flush-certs": return try act("flush-certs", isSilent: true)
        case "--log": return try follow(["log"]) { SwanctlText.log($1) }
        case "--monitor-sa":
            return try follow(["ike-updown", "child-updown"]) { SwanctlText.monitored($1) }
        default:
            guard options.command.long.hasPrefix("--load-"), let file = options["file"] else {
                return try act("reload-settings", isSilent: true)
            }
            do {
                return try SwanctlLoading(file, client, raw).carryOut(
                    options.command.long, clears: options.has("clear"))
            } catch let broken as SwanctlLoading.Broken {
                Self.say("Error: \(file) can't be loaded; nothing was changed.\n\(broken)")
                return 1
            }
        }
    }

    private func list(_ name: String, _ event: String, _ text: (ViciTree) -> [String]) throws -> Int32 {
        let reply = try client.call(name, arguments, streaming: event) { tree in
            if let raw { print(raw.text("\(event) event", tree)) } else { for line in text(tree) { print(line) } }
        }
        if let raw { print(raw.text("\(name) reply", reply)) }
        return 0
    }

    private func listCertificates() throws -> Int32 {
        if raw != nil { return try list("list-certs", "list-cert") { _ in [] } }
        var found: [ViciTree] = []
        _ = try client.call("list-certs", arguments, streaming: "list-cert") { found.append($0) }
        let text = SwanctlCertificates(
            now: Int64(Date().timeIntervalSince1970), isUTC: options.has("utc"), isShort: options.has("short"),
            isPEM: options.has("pem"))
        for line in text.lines(found) { print(line) }
        return 0
    }

    private func answer(_ name: String, as title: String? = nil, _ text: (ViciTree) -> [String]) throws -> Int32 {
        let reply = try client.call(name, arguments)
        if let raw {
            print(raw.text("\(title ?? name) reply", reply))
        } else if reply["success"] == "no" {
            return failed(name, reply)
        } else {
            for line in text(reply) { print(line) }
        }
        return 0
    }

    /// Asks for something to be done. Who wants the reply as it is reads the outcome from it, and gets status 0.
    private func act(
        _ name: String, as title: String? = nil, showsRaw: Bool = true, isSilent: Bool = false
    ) throws -> Int32 {
        let streams = name == "initiate" || name == "terminate"
        let isQuiet = options.has("quiet")
        let reply = try client.call(name, arguments, streaming: streams ? "control-log" : nil, timeout: nil) { tree in
            if isQuiet { return }
            Live.print(raw?.text("log", tree) ?? "[\(tree["group"] ?? "")] \(tree["msg"] ?? "")")
        }
        if let raw, showsRaw {
            print(raw.text("\(title ?? name) reply", reply))
            return 0
        }
        guard reply["success"] == "yes" else { return failed(name, reply) }
        if !isSilent, !isQuiet { print("\(name) completed successfully") }
        return 0
    }

    private func failed(_ name: String, _ reply: ViciTree) -> Int32 {
        Self.say("\(name) failed: \(reply["errmsg"] ?? "")")
        return 1
    }

    private func follow(_ events: [String], _ text: (String, ViciTree) -> [String]) throws -> Int32 {
        try client.register(for: events)
        while let (name, tree) = try client.nextEvent(timeout: nil) {
            if let raw {
                Live.print(raw.text(name == "log" ? name : "\(name) event", tree))
            } else {
                for line in text(name, tree) { Live.print(line) }
            }
        }
        return 0
    }
}
