import ArgumentParser
import Dialects
import Foundation
import Gateway
import GatewayModel
import LinuxSystem
import NetworkTypes
import SwanctlConfig
import WireFormat

/// `martlet peer`.
struct Peer: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write or check the configuration of a tunnel's other end.", subcommands: [Emit.self, Check.self])

    /// `martlet peer emit`.
    struct Emit: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write the other end of a tunnel, in its own language.",
            discussion: """
                DIALECT is one of: \(PeerDialect.allCases.map(\.rawValue).joined(separator: ", ")). The text holds the shared \
                key: send it over something that you trust. What has not been tried against the device itself says so.
                """)

        @Argument(help: ArgumentHelp("The connection.", valueName: "NAME")) var name: String
        @Option(help: ArgumentHelp("The other end's language.", valueName: "DIALECT")) var dialect: String
        @Option(help: ArgumentHelp("Our address as the other end reaches it.", valueName: "ADDRESS")) var ourAddress:
            String?
        @Option(help: ArgumentHelp("The other end's own address.", valueName: "ADDRESS")) var theirAddress: String?
        @Option(help: ArgumentHelp("Write the files into this directory instead.", valueName: "DIR")) var directory:
            String?
        @Flag(help: "Print JSON, for programs.") var json = false
        @OptionGroup var site: SiteOptions

        func run() throws {
            let loaded = try PeerFiles.configuration(site.files.path)
            guard let connection = loaded.connections.first(where: { $0.name == name }) else {
                throw CommandFailure(PeerFiles.unknown(name, loaded))
            }
            let emitted = try PeerFiles.emit(
                connection, loaded, dialect: dialect, ours: try PeerFiles.address(ourAddress),
                theirs: try PeerFiles.address(theirAddress))
            PeerFiles.tellDemands(emitted)
            if let directory {
                try PeerFiles.makeDirectory(directory)
                for file in emitted.files {
                    let path = directory + "/" + (file.name.split(separator: "/").last.map(String.init) ?? file.name)
                    do { try RawFile.write(path, Array(file.text.utf8), mode: 0o600) } catch {
                        throw CommandFailure("\(path) can't be written: \(error)")
                    }
                    if !json { print("Wrote \(path).") }
                }
            }
            if json {
                print(try Status.json(PeerFiles.Report(emitted, dialect: dialect)))
            } else if directory == nil {
                print(PeerFiles.text(emitted), terminator: "")
            }
        }
    }

    /// `martlet peer check`.
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compare the other end's configuration with ours, and say what does not match.",
            discussion: """
                Reads what `martlet import` reads, and swanctl.conf. Exit status: 0 nothing stands in the way of a tunnel, 1 \
                something does.
                """)

        @Argument(help: ArgumentHelp("The other end's configuration.", valueName: "FILE")) var file: String
        @Option(help: ArgumentHelp("Our connection, when several could be meant.", valueName: "NAME")) var tunnel:
            String?
        @Option(help: ArgumentHelp("A file with its secrets; repeat it for more.", valueName: "FILE"))
        var secrets: [String] = []
        @Option(help: ArgumentHelp("What FILE is; without it, it is guessed.", valueName: "DIALECT")) var from: String?
        @Option(help: ArgumentHelp("Which end of an ipsec.conf the other end is.", valueName: "END")) var local = "left"
        @Flag(help: "Print JSON, for programs.") var json = false
        @OptionGroup var site: SiteOptions

        func run() throws {
            guard let local = ConfigurationImport.LocalSide(rawValue: local) else {
                throw ValidationError("--local is left or right.")
            }
            let ours = try PeerFiles.configuration(site.files.path)
            let theirs = try PeerReading(file, secrets: secrets, from: from, local: local)
            if let tunnel, !ours.connections.contains(where: { $0.name == tunnel }) {
                throw CommandFailure(PeerFiles.unknown(tunnel, ours))
            }
            guard let match = PeerMatch(ours, theirs, tunnel: tunnel) else {
                throw CommandFailure("There is no tunnel in \(site.files.path), or none in \(file).")
            }
            if json {
                print(try Status.json(match.report))
            } else {
                for line in match.lines() { print(line) }
            }
            if match.isFatal { throw ExitCode(1) }
        }
    }
}

/// Our connection beside the one of the other end that fits it best.
struct PeerMatch {
    let ours: String
    let theirs: String
    let mismatches: [PeerMismatch]
    /// What could not be looked at.
    let notes: [String]

    /// Whether the tunnel can't come up.
    var isFatal: Bool { mismatches.contains { $0.severity == .fatal } }

    /// The pair with the fewest things in its way; nil when one side has no tunnel.
    init?(_ ours: LoadedConfiguration, _ theirs: PeerReading, tunnel: String?) {
        var best: (cost: Int, match: (String, String, [PeerMismatch]))?
        for mine in ours.connections where !mine.isPolicyOnly && (tunnel == nil || mine.name == tunnel) {
            for other in theirs.loaded.connections where !other.isPolicyOnly {
                let found =
                    (theirs.ikev1.contains(other.name) ? [Self.version] : [])
                    + PeerComparison.mismatches(ours: mine, theirs: other)
                    + Self.secret(mine, ours, other, theirs.loaded)
                let cost = found.reduce(0) { $0 + ($1.severity == .fatal ? 100 : 1) }
                if cost < best?.cost ?? Int.max { best = (cost, (mine.name, other.name, found)) }
            }
        }
        guard let best else { return nil }
        (self.ours, self.theirs, mismatches) = best.match
        notes = theirs.notes
    }

    /// Martlet has no IKEv1.
    private static let version = PeerMismatch(
        severity: .fatal, subject: "the IKE version", ours: "IKEv2", theirs: "IKEv1",
        remedy: "Martlet does not do IKEv1: use IKEv2 on the peer (version = 2, keyexchange=ikev2).")

    /// Whether both have the same key for the pair. The keys themselves are never shown.
    private static func secret(
        _ mine: Connection, _ ours: LoadedConfiguration, _ other: Connection, _ theirs: LoadedConfiguration
    ) -> [PeerMismatch] {
        guard mine.local.method == .sharedKey, other.local.method == .sharedKey else { return [] }
        let first = PeerFiles.secret(of: mine, ours)
        let second = PeerFiles.secret(of: other, theirs)
        if first == second, first != nil { return [] }
        func words(_ secret: SecretBytes?) -> String { secret.map { "\($0.count) octets" } ?? "none" }
        return [
            PeerMismatch(
                severity: first == nil || second == nil ? .later : .fatal, subject: "the shared key",
                ours: words(first), theirs: words(second),
                remedy: second == nil
                    ? "It is not in that file, so it could not be compared."
                    : "AUTHENTICATION_FAILED: the two keys have to be the same octets.")
        ]
    }

    func lines() -> [String] {
        let terminal = Terminal.output
        guard !mismatches.isEmpty else {
            return ["'\(ours)' here and '\(theirs)' there match: nothing stands in the way of a tunnel."] + notes
        }
        var lines = notes + ["'\(ours)' here, '\(theirs)' there:"]
        for mismatch in mismatches {
            let isFatal = mismatch.severity == .fatal
            lines.append(terminal.paint(isFatal ? "✕ " : "! ", isFatal ? .red : .orange) + mismatch.subject)
            lines.append("    here:  \(mismatch.ours)")
            lines.append("    there: \(mismatch.theirs)")
            lines += Wrapping.lines(mismatch.remedy, width: terminal.width, indentation: 4)
        }
        return lines
    }

    struct Report: Codable {
        struct Mismatch: Codable {
            var severity: String
            var subject: String
            var ours: String
            var theirs: String
            var remedy: String
        }
        var ours: String
        var theirs: String
        var matches: Bool
        var mismatches: [Mismatch]
        /// What could not be looked at.
        var notes: [String]
    }

    var report: Report {
        Report(
            ours: ours, theirs: theirs, matches: !isFatal,
            mismatches: mismatches.map {
                .init(
                    severity: $0.severity.rawValue, subject: $0.subject, ours: $0.ours, theirs: $0.theirs,
                    remedy: $0.remedy)
            }, notes: notes)
    }
}

/// The files of both ends.
enum PeerFiles {
    /// Our configuration.
    static func configuration(_ path: String) throws -> LoadedConfiguration {
        do { return try LoadedConfiguration(path: path, source: DiskFiles()) } catch {
            throw CommandFailure("\(path) can't be loaded: `martlet check \(path)` says why.\n\(error.errors[0])")
        }
    }

    static func unknown(_ name: String, _ loaded: LoadedConfiguration) -> String {
        let names = loaded.connections.map(\.name).joined(separator: ", ")
        return "There is no connection '\(name)'" + (names.isEmpty ? "." : "; there are: \(names).")
    }

    static func address(_ text: String?) throws -> IPAddress? {
        guard let text else { return nil }
        guard let address = IPAddress(text) else { throw ValidationError("'\(text)' is not an address.") }
        return address
    }

    /// The key that a connection's two ends share; nil when there is none, or it is not clear who they are.
    static func secret(of connection: Connection, _ loaded: LoadedConfiguration) -> SecretBytes? {
        let local =
            connection.local.identity ?? connection.localAddresses.compactMap(\.single).first.map { Identity($0) }
        var remote = connection.remoteAddresses.compactMap(\.single).first.map { Identity($0) }
        if case .exactly(let identity)? = connection.remote.identity { remote = identity }
        guard let remote else { return nil }
        return loaded.secrets.sharedKey(local: local ?? remote, remote: remote)?.value
    }

    /// The other end of one of our connections.
    static func emit(
        _ connection: Connection, _ loaded: LoadedConfiguration, dialect: String, ours: IPAddress?, theirs: IPAddress?
    ) throws -> EmittedPeer {
        guard let known = PeerDialect(rawValue: dialect) else {
            throw ValidationError(
                "--dialect is one of \(PeerDialect.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        do throws(PeerEmissionProblem) {
            let side = try PeerSide(
                of: connection, secret: secret(of: connection, loaded), itsAddress: theirs, ourAddress: ours)
            return try EmittedPeer.emit(side, as: known)
        } catch { throw CommandFailure(error.description) }
    }

    /// Says on the standard error what this end lacks: the text is for the other one.
    static func tellDemands(_ emitted: EmittedPeer) {
        let lines = emitted.demands.map { "On this gateway: \($0)\n" }
        FileHandle.standardError.write(Data(lines.joined().utf8))
    }

    /// All files in one text, each behind its name where there are several.
    static func text(_ emitted: EmittedPeer) -> String {
        guard emitted.files.count > 1 else { return emitted.files.first?.text ?? "" }
        return emitted.files.map { "# File \($0.name)\n\($0.text)" }.joined(separator: "\n")
    }

    /// Makes a directory for secrets, and what is above it; one that is there stays as it is.
    static func makeDirectory(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch { throw CommandFailure("\(path) can't be made: \(error.localizedDescription)") }
    }

    static func octets(_ path: String) throws -> [UInt8] {
        do { return try DiskFiles().contents(of: path) } catch {
            throw CommandFailure("\(path) can't be read: \(error)")
        }
    }

    struct Report: Codable {
        struct File: Codable {
            var name: String
            var text: String
        }
        var dialect: String
        var tried: Bool
        var files: [File]
        var notes: [String]
        /// What this gateway's own connection has to say.
        var demands: [String]
    }
}

extension PeerFiles.Report {
    init(_ emitted: EmittedPeer, dialect: String) {
        self.init(
            dialect: dialect, tried: PeerDialect(rawValue: dialect)?.isTried ?? false,
            files: emitted.files.map { .init(name: $0.name, text: $0.text) }, notes: emitted.notes,
            demands: emitted.demands)
    }
}
