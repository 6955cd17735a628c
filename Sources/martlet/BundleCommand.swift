import ArgumentParser
import Foundation
import Gateway
import LinuxSystem
import SwanctlConfig
import ViciMessages
import ViciServer
import WireFormat

/// `martlet bundle`.
struct BundleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bundle", abstract: "Collect a report for whoever helps, without secrets.",
        discussion: """
            Writes one text file: the version and the system, the configuration without its secrets, what `martlet check` \
            says of it, and, of a gateway that runs, its status, its tunnels, counters and recent log. Secrets are left out \
            where they stand, and searched for once more in the finished text; it holds addresses, names and identities.
            """)

    @Option(name: .shortAndLong, help: ArgumentHelp("Where to write; - for the standard output.", valueName: "FILE"))
    var output = "martlet-bundle.txt"
    @OptionGroup var site: SiteOptions
    @OptionGroup var format: OutputFormat
    @OptionGroup var control: ControlSocketOption

    func run() throws {
        var report = BundleReport()
        report.add("martlet", "martlet \(MartletVersion.current) (\(MartletVersion.machine))")
        for file in ["/proc/version", "/etc/os-release", "/proc/uptime", "/proc/loadavg", "/proc/net/snmp"] {
            report.add(file, (try? RawFile.read(file)).map { String(decoding: $0, as: UTF8.self) } ?? "(can't be read)")
        }
        for arguments in [
            ["/usr/sbin/ip", "-brief", "address"], ["/usr/sbin/ip", "rule"],
            ["/usr/sbin/ip", "route", "show", "table", "220"], ["/usr/sbin/ip", "-6", "route", "show", "table", "220"],
        ] { report.add(arguments.joined(separator: " "), Self.output(of: arguments)) }
        report.add(configuration: site.files.path)
        report.add(gateway: control)
        let text = report.finished()
        if output == "-" {
            return format.json ? try format.tell(["report": .text(text)], []) : print(text, terminator: "")
        }
        do { try RawFile.write(output, Array(text.utf8), mode: 0o600) } catch {
            throw CommandFailure("\(output) can't be written: \(error)")
        }
        try format.tell(
            ["file": .text(output), "octets": .number(Double(text.utf8.count))],
            ["Wrote \(output): \(text.utf8.count / 1024 + 1) kB, without secrets. Read it before you send it."])
    }

    private static func output(of arguments: [String]) -> String {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: arguments[0])
        process.arguments = Array(arguments.dropFirst())
        process.standardOutput = pipe
        process.standardError = pipe
        do { try process.run() } catch { return "(can't be run: \(error.localizedDescription))" }
        let octets = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: octets, as: UTF8.self)
    }
}

/// A report in sections, from which secrets are taken out.
struct BundleReport {
    private var sections: [(title: String, text: String)] = []
    private var secrets: [[UInt8]] = []

    mutating func add(_ title: String, _ text: String) { sections.append((title, text)) }

    /// A configuration, the files that it includes, and what is wrong with it.
    mutating func add(configuration path: String) {
        add(
            "martlet check \(path)",
            CheckReport(path).lines(Terminal(hasColour: false), showsNotes: true).joined(separator: "\n"))
        var files = [path]
        if let loaded = try? LoadedConfiguration(path: path, source: DiskFiles()) {
            files = loaded.files
            secrets += loaded.secrets.map { $0.value.exposedBytes() }
        }
        for file in files {
            let text = (try? RawFile.read(file)).map { String(decoding: $0, as: UTF8.self) }
            add(file, text.map(Redaction.redacted) ?? "(can't be read)")
        }
    }

    /// What a running gateway says of itself.
    mutating func add(gateway control: ControlSocketOption) {
        guard let client = try? GatewayClient(control).client else {
            return add("gateway", "(none runs, or it does not answer)")
        }
        for command in ["version", "stats", "get-counters", "get-pools", "get-keys"] {
            add(command, (try? client.call(command)).map(Self.text) ?? "(no answer)")
        }
        add("status", (try? client.status()).map(Self.text) ?? "(no answer)")
        for (command, event) in [
            ("list-conns", "list-conn"), ("list-sas", "list-sa"), ("list-policies", "list-policy"),
            ("list-certs", "list-cert"),
        ] {
            var lines: [String] = []
            _ = try? client.call(command, streaming: event) { lines.append(Self.text($0)) }
            add(command, lines.joined(separator: "\n"))
        }
        add("martlet-log", (try? client.call("martlet-log")).map(Self.text) ?? "(no answer)")
    }

    /// A tree as lines; certificates' octets are left out.
    static func text(_ tree: ViciTree) -> String {
        lines(tree, depth: 0).joined(separator: "\n")
    }

    private static func lines(_ tree: ViciTree, depth: Int) -> [String] {
        let margin = String(repeating: "  ", count: depth)
        var result: [String] = []
        for entry in tree.entries {
            if let section = tree.section(entry.name) {
                result += ["\(margin)\(entry.name) {"] + lines(section, depth: depth + 1) + ["\(margin)}"]
            } else if let list = tree.list(entry.name) {
                result.append("\(margin)\(entry.name) = [\(list.joined(separator: " "))]")
            } else if let value = tree[entry.name] {
                result.append("\(margin)\(entry.name) = \(value.count > 4096 ? "(\(value.count) characters)" : value)")
            }
        }
        return result
    }

    /// The whole text. A secret that is found in it in any of its forms after all is taken out.
    func finished() -> String {
        var text = sections.map { "===== \($0.title)\n\($0.text)\n" }.joined(separator: "\n")
        for secret in secrets where secret.count >= 4 {
            for form in [
                String(validating: secret, as: UTF8.self), Hex.encode(secret), Hex.encode(secret).uppercased(),
                Data(secret).base64EncodedString(),
            ].compactMap({ $0 }) where !form.isEmpty {
                text = text.replacingOccurrences(of: form, with: "(a secret)")
            }
        }
        return text
    }
}

/// Takes secrets out of a configuration's text.
enum Redaction {
    /// Keys whose values nobody else may see.
    private static let keys: Set<String> = ["secret", "pin", "password", "psk", "passphrase"]

    /// The text without the values of such keys, wherever these end.
    static func redacted(_ text: String) -> String {
        var result = ""
        var rest = text[...]
        var isAtWord = true
        while let character = rest.first {
            if isAtWord, let key = keys.first(where: { startsSetting($0, rest) }) {
                result += key + " = (removed)"
                rest = afterValue(rest.dropFirst(key.count))
                continue
            }
            // A comment may hold an old value.
            if character == "#" {
                let line = rest.prefix { !$0.isNewline }
                let words = line.lowercased()
                result += keys.contains { words.contains($0) } ? "# (removed)" : String(line)
                rest = rest[line.endIndex...]
                continue
            }
            isAtWord = !(character.isLetter || character.isNumber || character == "_" || character == "-")
            result.append(character)
            rest.removeFirst()
        }
        return result
    }

    private static func startsSetting(_ key: String, _ text: Substring) -> Bool {
        guard text.prefix(key.count).lowercased() == key else { return false }
        return text.dropFirst(key.count).drop { $0 == " " || $0 == "\t" }.first == "="
    }

    /// What comes behind `= value`: quoted parts may span lines.
    private static func afterValue(_ text: Substring) -> Substring {
        var rest = text.drop { $0 == " " || $0 == "\t" }.dropFirst()
        var isQuoted = false
        while let character = rest.first {
            if isQuoted {
                if character == "\\" {
                    rest = rest.dropFirst(2)
                    continue
                }
                if character == "\"" { isQuoted = false }
            } else if character == "\"" {
                isQuoted = true
            } else if character == "#" {
                // Nobody knows what was noted beside it.
                return rest.drop { !$0.isNewline }
            } else if character.isNewline || character == "}" {
                return rest
            }
            rest.removeFirst()
        }
        return rest
    }
}
