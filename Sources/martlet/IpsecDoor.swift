import Foundation
import LinuxSystem
import ViciMessages
import ViciServer

/// The program when it is called as `ipsec`: the four commands that hands and scripts still have.
///
/// It owns `status`, `statusall`, `up` and `down` in the layout of strongSwan's `ipsec`.
struct IpsecDoor {
    private static let socket = "/var/run/charon.vici"

    /// Carries out a command line (without the program's name); the exit status.
    static func run(_ words: [String]) -> Int32 {
        do {
            let path = try ControlAddress(ProcessInfo.processInfo.environment["MARTLET_VICI"] ?? socket)
            switch (words.first, words.dropFirst().first) {
            case ("status", let name): return try status(path, name, isLong: false)
            case ("statusall", let name): return try status(path, name, isLong: true)
            case ("up", let name?): return try bringUp(path, name)
            case ("down", let name?): return try close(path, name)
            case ("version", _), ("--version", _):
                let tree = try ViciClient(connectingTo: path).call("version")
                print("Martlet \(tree["version"] ?? "") (\(tree["sysname"] ?? "") \(tree["release"] ?? ""))")
                return 0
            default:
                FileHandle.standardError.write(
                    Data("usage: ipsec status|statusall [NAME] | up NAME | down NAME | version\n".utf8))
                return 2
            }
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            return 3
        }
    }

    private static func status(_ path: ControlAddress, _ word: String?, isLong: Bool) throws -> Int32 {
        let wanted = try word.map { try name($0) }
        let client = try ViciClient(connectingTo: path)
        if isLong {
            let stats = try client.call("stats")
            let version = try client.call("version")
            print(
                "Status of IKE charon daemon (Martlet \(version["version"] ?? ""), \(version["sysname"] ?? "") "
                    + "\(version["release"] ?? ""), \(version["machine"] ?? "")):")
            let uptime = stats.section("uptime")
            print("  uptime: \(uptime?["running"] ?? ""), since \(uptime?["since"] ?? "")")
            print("Connections:")
            for (name, tree) in try connections(client) where wanted?.isMeant(name, tree) ?? true {
                for line in connection(name, tree) { print(line) }
            }
        }
        var sas: [(name: String, tree: ViciTree)] = []
        _ = try client.call("list-sas", ViciTree(), streaming: "list-sa") { sas += $0.sections }
        let up = sas.count { $0.tree["state"] == "ESTABLISHED" }
        print("Security Associations (\(up) up, \(sas.count - up) connecting):")
        let shown = sas.compactMap { name, sa in
            (wanted.map { $0.part(of: sa, named: name) } ?? sa).map { (name, $0) }
        }
        if shown.isEmpty { print(wanted == nil ? "  none" : "  no match") }
        for (name, sa) in shown { for line in lines(name, sa, isLong) { print(line) } }
        return 0
    }

    private static func name(_ word: String) throws -> IpsecName {
        guard let name = IpsecName(word) else {
            throw CommandFailure("'\(word)' is no name: a connection or a child, also as name{5}, name{*}, name[20].")
        }
        return name
    }

    private static func connections(_ client: ViciClient) throws -> [(name: String, tree: ViciTree)] {
        var found: [(name: String, tree: ViciTree)] = []
        _ = try client.call("list-conns", streaming: "list-conn") { found += $0.sections }
        return found
    }

    /// The lines of a configured connection.
    static func connection(_ name: String, _ tree: ViciTree) -> [String] {
        let label = padded(name, 12)
        let local = (tree.list("local_addrs") ?? []).joined(separator: ",")
        let remote = (tree.list("remote_addrs") ?? []).joined(separator: ",")
        var lines = ["\(label):  \(local)...\(remote)  \(tree["version"] ?? "")"]
        for (child, fields) in tree.section("children")?.sections ?? [] {
            let here = (fields.list("local-ts") ?? []).joined(separator: " ")
            let there = (fields.list("remote-ts") ?? []).joined(separator: " ")
            lines.append("\(padded(child, 12)):   child:  \(here) === \(there) \(fields["mode"] ?? "")")
        }
        return lines
    }

    /// The lines of an IKE SA.
    static func lines(_ name: String, _ sa: ViciTree, _ isLong: Bool) -> [String] {
        let label = padded("\(name)[\(sa["uniqueid"] ?? "")]", 12)
        var head = "\(label): \(sa["state"] ?? "")"
        if let age = sa["established"] { head += " \(age) seconds ago" }
        head +=
            ", \(sa["local-host"] ?? "")[\(sa["local-id"] ?? "")]...\(sa["remote-host"] ?? "")[\(sa["remote-id"] ?? "")]"
        var lines = [head]
        if isLong {
            let isInitiator = sa["initiator"] == "yes"
            lines.append(
                "\(label): IKEv\(sa["version"] ?? "") SPIs: \(sa["initiator-spi"] ?? "")_i\(isInitiator ? "*" : "") "
                    + "\(sa["responder-spi"] ?? "")_r\(isInitiator ? "" : "*")")
        }
        for (_, child) in sa.section("child-sas")?.sections ?? [] {
            let label = padded("\(child["name"] ?? ""){\(child["uniqueid"] ?? "")}", 12)
            let kind = "\(child["protocol"] ?? "ESP")\(child["encap"] == "yes" ? " in UDP" : "")"
            lines.append(
                "\(label):  \(child["state"] ?? ""), \(child["mode"] ?? ""), reqid \(child["reqid"] ?? ""), \(kind) "
                    + "SPIs: \(child["spi-in"] ?? "")_i \(child["spi-out"] ?? "")_o")
            if isLong {
                lines.append(
                    "\(label):  \(child["bytes-in"] ?? "0") bytes_i, \(child["bytes-out"] ?? "0") bytes_o")
            }
            let local = (child.list("local-ts") ?? []).joined(separator: " ")
            lines.append("\(label):   \(local) === \((child.list("remote-ts") ?? []).joined(separator: " "))")
        }
        return lines
    }

    private static func bringUp(_ path: ControlAddress, _ name: String) throws -> Int32 {
        let client = try ViciClient(connectingTo: path)
        let isConnection = try connections(client).contains { $0.name == name }
        let reply = try follow(client, "initiate", ViciTree { $0.set(isConnection ? "ike" : "child", name) })
        guard reply["success"] == "yes" else {
            print("establishing connection '\(name)' failed: \(reply["errmsg"] ?? "")")
            return 1
        }
        print("connection '\(name)' established successfully")
        return 0
    }

    private static func close(_ path: ControlAddress, _ word: String) throws -> Int32 {
        let wanted = try name(word)
        let client = try ViciClient(connectingTo: path)
        var isConnection = try connections(client).contains { $0.name == wanted.name }
        _ = try client.call("list-sas", ViciTree(), streaming: "list-sa") { event in
            isConnection = isConnection || event.sections.contains { $0.name == wanted.name }
        }
        let reply = try follow(client, "terminate", wanted.termination(isConnection: isConnection))
        guard reply["success"] == "yes" else {
            print("closing connection '\(word)' failed: \(reply["errmsg"] ?? "")")
            return 1
        }
        print("connection '\(word)' closed")
        return 0
    }

    private static func follow(_ client: ViciClient, _ command: String, _ arguments: ViciTree) throws -> ViciTree {
        try client.call(command, arguments, streaming: "control-log", timeout: nil) { Live.print("\($0["msg"] ?? "")") }
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
