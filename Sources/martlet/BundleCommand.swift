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
            Writes one text file: the version and the system, the configuration without its secrets (of a file \
            that is no configuration, little more than names), what `martlet check` \
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
        let shown = RedactedConfiguration(path: path, source: DiskFiles())
        secrets += shown.secrets
        if let loaded = try? LoadedConfiguration(path: path, source: DiskFiles()) {
            secrets += loaded.secrets.map { $0.value.exposedBytes() }
        }
        let broken = Set(shown.files.filter { !$0.isWhole }.map(\.path))
        let report = CheckReport(path).quotingNothing(of: broken)
        add(
            "martlet check \(path)",
            report.lines(Terminal(hasColour: false), showsNotes: true).joined(separator: "\n"))
        for file in shown.files {
            add("\(file.path) (without comments\(file.isWhole ? "" : ", and most values"))", file.text)
        }
    }

    /// What a running gateway says of itself.
    mutating func add(gateway control: ControlSocketOption) {
        let client: ViciClient
        do { client = try GatewayClient(control).client } catch { return add("gateway", "(\(error))") }
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
        // The longest first: of one that holds another nothing may stay.
        for secret in Set(secrets).sorted(by: { $0.count > $1.count }) where secret.count >= 4 {
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
