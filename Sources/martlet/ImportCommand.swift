import ArgumentParser
import Dialects
import Foundation
import Gateway
import LinuxSystem
import SwanctlConfig

/// `martlet import`.
struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a swanctl.conf of another program's or device's configuration.",
        discussion: """
            Reads strongSwan's and libreswan's ipsec.conf with ipsec.secrets, Cisco IOS and IOS-XE (crypto ikev2, crypto \
            ipsec, crypto maps, tunnel interfaces with access lists), and what AWS gives out for a site-to-site connection. \
            Writes swanctl.conf to the standard output or to --output, and what it could not carry over to the standard \
            error; the same list stands at the top of the file.

            Exit status: 0 it can be loaded (files with certificates aside, which have to be copied), 1 it can't.
            """)

    @Argument(help: ArgumentHelp("The configuration to read.", valueName: "FILE")) var file: String
    @Option(
        help: ArgumentHelp(
            "A file of secrets; repeat it for more. Without it, the ipsec.secrets beside an ipsec.conf.",
            valueName: "FILE"))
    var secrets: [String] = []
    @Option(
        help: ArgumentHelp(
            "What FILE is: strongswan, libreswan, cisco-ios or aws. Without it, it is guessed.", valueName: "DIALECT"))
    var from: String?
    @Option(help: ArgumentHelp("Which end of an ipsec.conf is this gateway: left or right.", valueName: "END"))
    var local = "left"
    @Flag(
        help: "Write an ipsec.conf's IKEv1 connections for IKEv2; the peer has to change too. Not for Cisco's isakmp.")
    var raiseVersion = false
    @Option(name: .shortAndLong, help: ArgumentHelp("Where to write.", valueName: "FILE")) var output: String?
    @Flag(help: "Print JSON, for programs: the configuration and the notes.") var json = false

    func run() throws {
        guard let local = ConfigurationImport.LocalSide(rawValue: local) else {
            throw ValidationError("--local is left or right.")
        }
        let reading = try ImportReading(
            file, secrets: secrets, dialect: try ImportReading.dialect(named: from), local: local,
            raisesVersion: raiseVersion)
        let target = URL(fileURLWithPath: output ?? "swanctl.conf").standardizedFileURL.path
        let result = ImportResult(reading, target: target)
        if let output {
            do { try RawFile.write(output, result.octets, mode: 0o600) } catch {
                throw CommandFailure("\(output) can't be written: \(error)")
            }
        }
        if json {
            print(try Status.json(result.report(withText: output == nil)))
        } else {
            if output == nil { FileHandle.standardOutput.write(Data(result.octets)) }
            FileHandle.standardError.write(Data(result.lines().joined(separator: "\n").appending("\n").utf8))
        }
        if !result.errors.isEmpty { throw ExitCode(1) }
    }
}

/// Somebody else's configuration, read from files.
struct ImportReading {
    let dialect: ImportDialect
    let files: [String]
    let imported: ImportedConfiguration

    /// Reads a file, what it includes, and its secrets.
    init(
        _ file: String, secrets: [String] = [], dialect: ImportDialect? = nil,
        local: ConfigurationImport.LocalSide = .left, raisesVersion: Bool = false
    ) throws {
        let main = try Self.read(file)
        guard let dialect = dialect ?? ImportDialect.detect(main) else {
            throw CommandFailure(
                "'\(file)' looks like nothing that can be read. Say with --from what it is: "
                    + ImportDialect.allCases.map(\.rawValue).joined(separator: ", ") + ".")
        }
        self.dialect = dialect
        var keys = secrets
        if keys.isEmpty, dialect == .strongSwan || dialect == .libreswan {
            let beside = URL(fileURLWithPath: file).deletingLastPathComponent().path + "/ipsec.secrets"
            if FileManager.default.fileExists(atPath: beside) { keys = [beside] }
        }
        let isLined = dialect == .strongSwan || dialect == .libreswan
        var budget = 256
        let read = try isLined ? Self.withIncludes(file, main, &budget) : [.init(file, main)]
        let readKeys = try keys.flatMap { try Self.withIncludes($0, try Self.read($0), &budget) }
        var options = ConfigurationImport.Options()
        options.local = local
        options.raisesVersion = raisesVersion
        files = (read + readKeys).map(\.name)
        imported = ConfigurationImport.read(dialect, read, secrets: readKeys, options: options)
    }

    /// The dialect of this name; nil where none is named.
    static func dialect(named name: String?) throws -> ImportDialect? {
        guard let name else { return nil }
        if let known = ImportDialect(rawValue: name) { return known }
        throw ValidationError("--from is one of \(ImportDialect.allCases.map(\.rawValue).joined(separator: ", ")).")
    }

    private static func read(_ file: String) throws -> [UInt8] {
        do { return try DiskFiles().contents(of: file) } catch {
            throw CommandFailure("\(file) can't be read: \(error)")
        }
    }

    /// A file and what it includes, each once, 256 at most.
    private static func withIncludes(
        _ file: String, _ octets: [UInt8], _ budget: inout Int
    ) throws -> [ConfigurationImport.File] {
        var result = [ConfigurationImport.File(file, octets)]
        var seen: Set<String> = [file]
        var next = 0
        while next < result.count {
            let current = result[next]
            next += 1
            let directory = URL(fileURLWithPath: current.name).deletingLastPathComponent().path
            for pattern in IpsecConfFile.includes(in: current.octets) {
                let path = pattern.hasPrefix("/") ? pattern : directory + "/" + pattern
                for found in (try? DiskFiles().glob(path)) ?? [] where seen.insert(found).inserted && budget > 0 {
                    budget -= 1
                    result.append(.init(found, try read(found)))
                }
            }
        }
        return result
    }
}

/// An import as it is written: what this gateway does not support is left out of it, and what is left has been tried.
struct ImportResult {
    let dialect: ImportDialect
    let files: [String]
    private(set) var notes: [ImportNote]
    /// What still keeps it from being loaded; files that have to be copied are not counted.
    private(set) var errors: [Diagnostic] = []
    private(set) var octets: [UInt8] = []
    /// What the gateway would make of it; nil when it can't be loaded yet.
    private(set) var loaded: LoadedConfiguration?
    let connections: Int

    /// Reads the configuration as if it stood at `target`, and leaves out what can be left out.
    init(_ reading: ImportReading, target: String) {
        dialect = reading.dialect
        files = reading.files
        notes = reading.imported.notes
        connections = reading.imported.connectionCount
        var document = reading.imported.document
        var dropped: [Int: String] = [:]
        // Each round leaves at least one more setting out.
        for _ in 0..<1_000 {
            let rendered = document.rendered(without: dropped)
            octets = rendered.octets
            let text = String(decoding: octets, as: UTF8.self)
            do {
                loaded = try LoadedConfiguration(
                    path: target, source: FilesWithAdditions([(path: target, text: text)]))
                errors = []
                break
            } catch {
                let before = dropped.count
                for error in error.errors {
                    guard let number = rendered.settings[error.location.line], rendered.paths[number].isOptional,
                        dropped[number] == nil
                    else { continue }
                    dropped[number] = error.message
                    let place = ImportPlace(files.first ?? "", 0)
                    let note = ImportNote(.lost, place, rendered.paths[number].path, error.message)
                    notes.append(note)
                    document.comments.append("  \(note)")
                }
                errors = error.errors.filter { error in
                    guard let number = rendered.settings[error.location.line] else { return true }
                    return !Self.namesFile(rendered.paths[number].path)
                }
                if dropped.count == before { break }
            }
        }
        if connections == 0 {
            errors.append(
                Diagnostic(
                    .error, SourceLocation(file: files.first ?? "", line: 0, column: 0), "there is no connection in it")
            )
        }
    }

    /// Whether a setting names a file that somebody has to copy first.
    private static func namesFile(_ path: String) -> Bool {
        ["certs", "cacerts", "cacert", "file"].contains(path.split(separator: ".").last.map(String.init) ?? "")
    }

    /// What is said on the terminal.
    func lines() -> [String] {
        let terminal = Terminal.error
        var lines = notes.filter { $0.kind != .idle }.map { note in
            "\(note.place): \(terminal.paint(note.kind.rawValue, .orange)): \(note.subject): \(note.reason)"
        }
        lines += errors.map { "\(terminal.paint("error", .red)): \($0.description)" }
        let idle = notes.count { $0.kind == .idle }
        lines.append(
            "\(connections) connection\(connections == 1 ? "" : "s") from \(files.joined(separator: ", ")) "
                + "(\(dialect.rawValue)); \(notes.count - idle) to look at"
                + (idle > 0 ? ", \(idle) without a counterpart that nobody will miss" : "") + ".")
        return lines
    }

    /// The same for programs.
    func report(withText: Bool) -> Report {
        Report(
            dialect: dialect.rawValue, files: files, connections: connections, loadable: errors.isEmpty,
            notes: notes.map {
                .init(
                    kind: $0.kind.rawValue, file: $0.place.file, line: $0.place.line, subject: $0.subject,
                    reason: $0.reason)
            }, errors: errors.map(\.description),
            configuration: withText ? String(decoding: octets, as: UTF8.self) : nil)
    }

    struct Report: Codable {
        struct Note: Codable {
            var kind: String
            var file: String
            var line: Int
            var subject: String
            var reason: String
        }
        var dialect: String
        var files: [String]
        var connections: Int
        var loadable: Bool
        var notes: [Note]
        var errors: [String]
        var configuration: String?
    }
}
