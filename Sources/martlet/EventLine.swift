import Foundation
import ViciMessages
import WireFormat

/// An event of the control protocol as a line for people, or as JSON for programs.
///
/// It owns words. It never asks a gateway for anything.
struct EventLine {
    let name: String
    let tree: ViciTree

    /// The connection that it is about; nil when it is about none.
    var connection: String? { tree["ikesa-name"] ?? tree.sections.first?.name }

    /// `hq: child 'net' is up: 10.1.0.0/16 === 10.2.0.0/16`
    func text(_ terminal: Terminal) -> String {
        let isUp = tree["up"] == "yes"
        let who = terminal.paint(connection ?? "gateway", .bold)
        switch name {
        case "ike-updown": return "\(who): IKE SA \(state(isUp, terminal)) \(ends)"
        case "child-updown": return "\(who): \(children("child", terminal, isUp))"
        case "ike-rekey": return "\(who): IKE SA replaced, #\(number("old")) by #\(number("new"))"
        case "child-rekey":
            let children = body?.section("child-sas")?.sections.map(\.name).joined(separator: ", ") ?? ""
            return "\(who): child '\(children)' has new keys"
        case "ike-update":
            return "\(who): the peer is at \(tree["remote-host"] ?? "?")[\(tree["remote-port"] ?? "?")] now"
        case "alert":
            return "\(who): \(terminal.paint("! \(tree["type"] ?? "alert")", .red)) \(tree["message"] ?? "")"
        case "log":
            let id = tree["ikesa-uniqueid"].map { "|\($0)" } ?? ""
            let from = tree["ikesa-name"].map { "<\($0)\(id)> " } ?? ""
            return "[\(tree["group"] ?? "?")] \(from)\(tree["msg"] ?? "")"
        default: return "\(name) \(tree)"
        }
    }

    private var body: ViciTree? { tree.sections.first?.tree }

    private var ends: String {
        "\(body?["local-host"] ?? "?") ['\(body?["local-id"] ?? "?")'] with \(body?["remote-host"] ?? "?") "
            + "['\(body?["remote-id"] ?? "?")']"
    }

    private func number(_ which: String) -> String { body?.section(which)?["uniqueid"] ?? "?" }

    private func state(_ isUp: Bool, _ terminal: Terminal) -> String {
        isUp ? terminal.paint("● up", .green) : terminal.paint("✕ down", .red)
    }

    private func children(_ word: String, _ terminal: Terminal, _ isUp: Bool) -> String {
        let parts = (body?.section("child-sas")?.sections ?? []).map { _, child in
            let local = (child.list("local-ts") ?? []).joined(separator: " ")
            let remote = (child.list("remote-ts") ?? []).joined(separator: " ")
            return "\(word) '\(child["name"] ?? "?")' \(state(isUp, terminal)) \(local) === \(remote)"
        }
        return parts.joined(separator: "; ")
    }

    /// One line of JSON: the event's name, the time, and what came with it.
    func json(at time: Date = Date()) -> String {
        var object: [String: Any] = ["event": name, "time": Int(time.timeIntervalSince1970)]
        object["data"] = Self.object(tree)
        let data = try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
        return data.map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }

    /// A line of the daemon's log, `2026-11-22T01:09:11Z [DMN] text`, as one line of JSON.
    static func json(logged line: String) -> String {
        var fields: [String: Any] = ["message": line]
        if let parts = line.firstMatch(of: #/^(\S+) \[([A-Z]+)\] (?:<([^|>]*)(?:\|(\d+))?> )?/#) {
            fields["time"] = String(parts.1)
            fields["group"] = String(parts.2)
            if let name = parts.3 { fields["connection"] = String(name) }
            if let number = parts.4.flatMap({ Int($0) }) { fields["ike_sa"] = number }
            fields["message"] = String(line[parts.range.upperBound...])
        }
        let data = try? JSONSerialization.data(withJSONObject: fields, options: [.sortedKeys, .withoutEscapingSlashes])
        return data.map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }

    /// A message as JSON has it; text is text, and octets that are no text are replaced.
    static func object(_ tree: ViciTree) -> [String: Any] {
        var object: [String: Any] = [:]
        for entry in tree.entries {
            switch entry.element {
            case .value(let octets): object[entry.name] = String(decoding: octets, as: UTF8.self)
            case .list(let items): object[entry.name] = items.map { String(decoding: $0, as: UTF8.self) }
            case .section(let inner): object[entry.name] = Self.object(inner)
            case .secret(let secret): object[entry.name] = secret.description
            }
        }
        return object
    }
}

/// Which lines of the log are wanted: `2` for all parts, `ike=2,esp=1` for some.
struct LogLevels {
    /// The parts that speak, and `any` for the rest.
    static let parts = ["ike", "chd", "net", "esp", "cfg", "dmn"]
    /// Parts that strongSwan has besides: what they would say stands in ours, so that a habit is no mistake.
    static let others = [
        "any", "default", "mgr", "job", "knl", "asn", "enc", "tnc", "imc", "imv", "pts", "tls", "app", "lib",
    ]

    private var fallback = 1
    private var levels: [String: Int] = [:]

    /// Reads the option's text; nil when it makes no sense.
    init?(_ text: String) {
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=", omittingEmptySubsequences: false).map { $0.lowercased() }
            guard let last = pair.last, let level = Int(last), (-1...4).contains(level), pair.count <= 2 else {
                return nil
            }
            if pair.count == 1 || pair[0] == "any" || pair[0] == "default" {
                fallback = level
            } else if Self.parts.contains(pair[0]) || Self.others.contains(pair[0]) {
                levels[pair[0]] = level
            } else {
                return nil
            }
        }
    }

    /// Whether a line of this part and level is wanted.
    func includes(_ group: String, _ level: Int) -> Bool { level <= levels[group.lowercased()] ?? fallback }
}
