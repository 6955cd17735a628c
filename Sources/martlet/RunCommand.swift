import ArgumentParser
import Foundation
import Gateway

/// `martlet run`.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a gateway in the foreground.",
        discussion: """
            Reads connections and secrets from FILE (swanctl.conf's syntax), opens UDP ports 500 and 4500 and a TUN \
            device, and waits for peers and for commands. SIGHUP reads FILE again; SIGTERM and SIGINT tell the peers \
            and stop. Needs root, or CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE.

            A broken FILE changes nothing: at the start the command ends with status 1 and all that is wrong with the \
            file; while running, the configuration stays as it was.
            """)

    @Option(help: ArgumentHelp("The configuration file.", valueName: "FILE"))
    var config = "/etc/martlet/swanctl.conf"

    @OptionGroup var control: ControlSocketOption

    @Option(help: ArgumentHelp("The name of the TUN device.", valueName: "NAME"))
    var tun = "martlet0"

    @Option(
        help: ArgumentHelp(
            "What to log: 0 failures, 1 the course of things, 2 every message, 3 what was dropped.", valueName: "LEVEL"))
    var log = 1

    func run() throws {
        let options = Daemon.Options(
            configuration: config, controlSocket: try control.path(), tunName: tun, logLevel: log)
        do {
            let daemon = try Daemon(options) { line in FileHandle.standardError.write(Data((line + "\n").utf8)) }
            try daemon.run()
        } catch {
            throw CommandFailure("\(error)")
        }
    }
}

/// `--vici`, the same for every command that talks to a gateway.
struct ControlSocketOption: ParsableArguments {
    @Option(
        name: .customLong("vici"),
        help: ArgumentHelp("The control socket: a path, also as unix://PATH.", valueName: "URI"))
    var uri = "unix:///var/run/charon.vici"

    /// The socket's path.
    func path() throws -> String {
        if uri.hasPrefix("unix://") { return String(uri.dropFirst("unix://".count)) }
        guard !uri.contains("://") else {
            throw ValidationError("--vici takes unix://PATH; '\(uri)' is something else.")
        }
        return uri
    }
}

/// Ends a command with status 1 and words on standard error.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
