import ArgumentParser
import Foundation
import Gateway
import GatewayModel
import SwanctlConfig

/// `martlet check`.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what is wrong with a configuration, and touch nothing.",
        discussion: """
            Reads FILE and all that it includes, as `martlet run` would: every mistake with file, line, column and what to \
            write instead, then what works but is unwise. No gateway need be running, and none is disturbed.

            Exit status: 0 it can be loaded, 1 it can't.
            """)

    @Argument(help: ArgumentHelp("The configuration file.", valueName: "FILE"))
    var file = "/etc/martlet/swanctl.conf"
    @Flag(help: "Print JSON, for programs.") var json = false
    @Flag(help: "Let warnings count as mistakes.") var strict = false
    @Flag(help: "Show notes too: what is passed over without harm.") var notes = false

    func run() throws {
        let report = CheckReport(file)
        if json {
            print(try Status.json(report))
        } else {
            for line in report.lines(.output, showsNotes: notes) { print(line) }
        }
        if !report.errors.isEmpty || (strict && !report.warnings.isEmpty) { throw ExitCode(1) }
    }
}

/// What `martlet check` says about a file.
struct CheckReport: Codable, Equatable {
    var file: String
    var loadable: Bool
    var errors: [Finding]
    var warnings: [Finding]
    var notes: [Finding]
    /// What would be loaded: connections with their children.
    var connections: [Loaded]
    /// How many secrets.
    var secrets: Int

    struct Finding: Codable, Equatable {
        var file: String
        var line: Int
        var column: Int
        var message: String
        var remedy: String?
    }

    struct Loaded: Codable, Equatable {
        var name: String
        var children: [String]
    }

    /// Reads the file.
    init(_ file: String) {
        self.file = file
        var found: [Diagnostic] = []
        connections = []
        secrets = 0
        errors = []
        do {
            let loaded = try LoadedConfiguration(path: file, source: DiskFiles())
            found = loaded.warnings
            connections = loaded.connections.map { Loaded(name: $0.name, children: $0.children.map(\.name)) }
            secrets = loaded.secrets.count
        } catch {
            errors = error.errors.sorted { $0.location < $1.location }.map(Finding.init)
            found = error.warnings
        }
        loadable = errors.isEmpty
        found.sort { $0.location < $1.location }
        warnings = found.filter { $0.severity == .warning }.map(Finding.init)
        notes = found.filter { $0.severity == .note }.map(Finding.init)
    }

    /// The lines to print.
    func lines(_ terminal: Terminal, showsNotes: Bool) -> [String] {
        var lines = errors.map { $0.line(terminal.paint("error", .red)) }
        lines += warnings.map { $0.line(terminal.paint("warning", .orange)) }
        if showsNotes { lines += notes.map { $0.line("note") } }
        let hidden = showsNotes || notes.isEmpty ? "" : ", \(Self.count(notes.count, "note")) (--notes shows them)"
        if loadable {
            let children = connections.reduce(0) { $0 + $1.children.count }
            lines.append(
                "\(file) can be loaded: \(Self.count(connections.count, "connection")), "
                    + "\(Self.count(children, "child", "children")), \(Self.count(secrets, "secret")); "
                    + "\(Self.count(warnings.count, "warning"))\(hidden).")
        } else {
            lines.append(
                "\(file) can't be loaded: \(Self.count(errors.count, "mistake")), "
                    + "\(Self.count(warnings.count, "warning"))\(hidden).")
        }
        return lines
    }

    /// The same without words from these files: what is quoted from there may be a secret in the wrong place.
    func quotingNothing(of files: Set<String>) -> CheckReport {
        var report = self
        for list in [\CheckReport.errors, \.warnings, \.notes] {
            for index in report[keyPath: list].indices where files.contains(report[keyPath: list][index].file) {
                let message = report[keyPath: list][index].message
                if let first = message.firstIndex(of: "'"), let last = message.lastIndex(of: "'"), first < last {
                    report[keyPath: list][index].message = message[...first] + "…" + message[last...]
                }
                report[keyPath: list][index].remedy = nil
            }
        }
        return report
    }

    private static func count(_ number: Int, _ one: String, _ many: String? = nil) -> String {
        "\(number) " + (number == 1 ? one : many ?? one + "s")
    }
}

extension CheckReport.Finding {
    init(_ diagnostic: Diagnostic) {
        file = diagnostic.location.file
        line = diagnostic.location.line
        column = diagnostic.location.column
        message = diagnostic.message
        remedy = diagnostic.remedy
    }

    /// `file:line:column: severity: message; remedy`
    fileprivate func line(_ severity: String) -> String {
        "\(file):\(line):\(column): \(severity): \(message)" + (remedy.map { "; \($0)" } ?? "")
    }
}
