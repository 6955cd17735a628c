import ArgumentParser
import Foundation
import Gateway
import GatewayModel
import LinuxSystem
import SwanctlConfig
import WireFormat

/// `martlet client-profile`.
struct ClientProfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client-profile",
        abstract: "Write what one person's device needs to connect to this gateway.",
        discussion: """
            Takes a connection of this gateway's configuration and writes the other end of it for USER:

              apple      a .mobileconfig for iOS, iPadOS and macOS
              windows    a PowerShell script for Windows 10 and 11
              android    a .sswan for the strongSwan app
              swanctl    a directory with swanctl.conf and the authority's certificate, for strongSwan or Martlet

            Algorithms, names and networks are those of the connection; where the system can't do them, or would refuse \
            the gateway's certificate, it says so. No password and no private key is inside, unless --secret or --p12 asks \
            for it.
            """)

    /// For which system.
    enum System: String, ExpressibleByArgument, CaseIterable {
        case apple
        case windows
        case android
        case swanctl
    }

    @Argument(help: ArgumentHelp("The person or device: an e-mail address, or a name.", valueName: "USER"))
    var user: String
    @Option(name: .customLong("for"), help: "The system: apple, windows, android or swanctl.")
    var system: System
    @Option(help: ArgumentHelp("The connection, when there are several.", valueName: "NAME"))
    var connection: String?
    @Option(help: ArgumentHelp("The configuration file.", valueName: "FILE"))
    var config = "/etc/martlet/swanctl.conf"
    @Option(
        help: ArgumentHelp("Where clients reach the gateway: a name that stands in its certificate.", valueName: "HOST")
    )
    var server: String?
    @Option(help: ArgumentHelp("What the connection is called on the device.", valueName: "TEXT"))
    var title: String?
    @Option(help: ArgumentHelp("Put this PKCS #12 file inside: the client's key and certificate.", valueName: "FILE"))
    var p12: String?
    @Flag(help: "Put a password or shared key inside: one line on standard input.")
    var secret = false
    @Option(
        help: ArgumentHelp(
            "Write here instead of to standard output; swanctl needs a directory.", valueName: "PATH"))
    var output: String?
    @OptionGroup var format: OutputFormat

    func validate() throws {
        if system == .swanctl, output == nil { throw ValidationError("swanctl needs --output DIRECTORY.") }
        guard !user.isEmpty, user.allSatisfy({ !$0.isWhitespace && !$0.isNewline && $0 != "\"" && $0 != "#" }) else {
            throw ValidationError("USER is one word: an e-mail address, or a name.")
        }
    }

    func run() throws {
        let configuration: LoadedConfiguration
        do { configuration = try LoadedConfiguration(path: config, source: DiskFiles()) } catch {
            throw CommandFailure("\(config) can't be loaded: `martlet check \(config)` says why.")
        }
        var wishes = ClientFacts.Wishes()
        wishes.title = title
        wishes.server = server
        if let p12 { wishes.container = try RawFile.read(p12) }
        if secret {
            guard let line = readLine(), !line.isEmpty else {
                throw CommandFailure("--secret expects the password as one line on standard input.")
            }
            wishes.secret = line
        }
        let facts = try ClientFacts(user, try chosen(configuration), configuration, wishes)
        switch system {
        case .apple: try write(AppleProfile(facts: facts).text())
        case .windows: try write(WindowsScript(facts: facts).text())
        case .android: try write(StrongSwanProfile(facts: facts).text())
        case .swanctl:
            let directory = output ?? "."
            var written: [String] = []
            for file in try ClientSettings(facts: facts).files() {
                let path = "\(directory)/\(file.path)"
                try FileManager.default.createDirectory(
                    at: URL(fileURLWithPath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
                try RawFile.write(path, file.octets, mode: 0o600)
                written.append(path)
            }
            try format.tell(["files": JSONValue(written)], written)
        }
    }

    private func chosen(_ configuration: LoadedConfiguration) throws -> Connection {
        let names = configuration.connections.map(\.name).joined(separator: ", ")
        if let connection {
            guard let found = configuration.connections.first(where: { $0.name == connection }) else {
                throw CommandFailure("\(config) has no connection '\(connection)'; it has: \(names).")
            }
            return found
        }
        let lending = configuration.connections.filter { !$0.pools.isEmpty }
        guard let only = lending.first, lending.count == 1 else {
            throw CommandFailure(
                lending.isEmpty
                    ? "\(config) has no connection with `pools`, which clients need."
                    : "Several connections are for clients; choose one with --connection: "
                        + lending.map(\.name).joined(separator: ", "))
        }
        return only
    }

    private func write(_ text: String) throws {
        guard let output else {
            return format.json ? try format.tell(["profile": .text(text)], []) : print(text, terminator: "")
        }
        try RawFile.write(output, Array(text.utf8), mode: 0o600)
        try format.tell(["files": JSONValue([output])], [output])
    }
}
