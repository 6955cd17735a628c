import ArgumentParser
import Foundation
import Gateway
import LinuxSystem

/// `martlet run`.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a gateway in the foreground.",
        usage: "martlet run [--config <FILE>] [--vici <URI>] [<options>]",
        discussion: """
            Reads connections and secrets from FILE (swanctl.conf's syntax), opens UDP ports 500 and 4500 and a TUN \
            device, and waits for peers and for commands. SIGHUP reads FILE again; SIGTERM and SIGINT tell the peers \
            and stop. SIGUSR2, or `martlet restart`, lets another process take this one's place, with all tunnels; \
            SIGUSR1 leaves them in the keeping of a service manager that is about to start another process (systemd's \
            descriptor store, as the packaged unit has it for `systemctl restart`). \
            Needs root, or CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE.

            A broken FILE changes nothing: at the start the command ends with status 1 and all that is wrong with the \
            file; while running, the configuration stays as it was, and the log says what is wrong.

            The log goes to standard error; where that leads to systemd's journal, entries have fields \
            (`journalctl MARTLET_CONNECTION=branch`, also MARTLET_SA, _CHILD, _PEER, _EVENT, _CODE, _GROUP). Networks of children with start_action start or trap are blocked until \
            their tunnel is up, so that nothing meant for it leaves in clear. When the gateway stops, its routes, rules \
            and blocks are removed; when it is killed, the blocks stay until it runs again.
            """)

    @Option(help: ArgumentHelp("The configuration file.", valueName: "FILE"))
    var config = "/etc/martlet/swanctl.conf"

    @OptionGroup var control: ControlSocketOption

    @Option(help: ArgumentHelp("The name of the TUN device.", valueName: "NAME"))
    var tun = "martlet0"

    @Option(
        help: ArgumentHelp(
            "What to log: 0 failures, 1 the course of things, 2 every message, 3 what was dropped.", valueName: "LEVEL")
    )
    var log = 1

    /// Whether the kernel hands over and takes trains of packets.
    enum Offload: String, ExpressibleByArgument, CaseIterable {
        case auto
        case off
    }

    @Option(
        help: ArgumentHelp(
            "Segmentation offload: auto tries each kind that the kernel has, off carries packets one by one.",
            valueName: "MODE"))
    var offload = Offload.auto

    /// Who encrypts packets.
    enum Crypto: String, ExpressibleByArgument, CaseIterable {
        case auto
        case libcrypto
    }

    @Option(
        help: ArgumentHelp(
            "Who encrypts packets: auto takes Intel's ipsec-mb where it is installed.", valueName: "WHICH"))
    var crypto = Crypto.auto

    @Option(
        help: ArgumentHelp(
            "Write the keys of all tunnels to DIR, a profile of Wireshark's. Needs --insecure.", valueName: "DIR"))
    var saveKeys: String?

    @Option(
        help: ArgumentHelp(
            "Say by the exit status whether the state at DESCRIPTOR can be gone on from.", visibility: .private))
    var checkResume: Int32?

    @Flag(help: "Write the log as lines of JSON.") var json = false

    @Flag(help: "Yes, whoever has the saved keys may read everything (for --save-keys only).")
    var insecure = false

    /// Shared with whoever started us, and never closed.
    private static let standardError = Descriptor(owning: 2)

    func validate() throws {
        guard (0...3).contains(log) else { throw ValidationError("--log is 0 to 3.") }
        guard saveKeys == nil || insecure else {
            throw ValidationError(
                "--save-keys writes the keys of all tunnels to a file: whoever gets it can read and forge all that they"
                    + " carry. If that is what you want, add --insecure.")
        }
        guard saveKeys != nil || !insecure else {
            throw ValidationError("--insecure is for --save-keys only; nothing else here can be made insecure with it.")
        }
    }

    func run() throws {
        // Lines of JSON were asked for: the journal gets them as they are.
        let journal = !json && JournalSocket.takes(Self.standardError.number) ? try? JournalSocket() : nil
        let output = LogOutput(Self.standardError, journal: journal)
        var options = Daemon.Options(
            configuration: config, controlSocket: try control.address(), tunName: tun, logLevel: log)
        options.prefersConfiguredSocket = control.given == nil
        options.usesOffload = offload == .auto
        options.usesAccelerator = crypto == .auto
        options.keyDirectory = saveKeys
        options.arguments = Array(CommandLine.arguments.dropFirst())
        if let checkResume {
            do { try Daemon.check(options, state: checkResume) } catch { throw CommandFailure("\(error)") }
            return
        }
        options.resumption = ProcessInformation.environment(Daemon.variable).flatMap { Int32($0) }
        do {
            options.passed = try PassedDescriptors.take()
            try ProcessInformation.keepMemoryPrivate()
            try Daemon(options) { record in
                if json { output.write(EventLine.json(logged: record.line)) } else { output.write(record) }
            }.run()
        } catch {
            throw CommandFailure("The gateway does not run.\n\(error)")
        }
    }
}

/// `--vici`, the same for every command that talks to a gateway.
struct ControlSocketOption: ParsableArguments {
    @Option(
        name: .customLong("vici"),
        help: ArgumentHelp(
            "The control socket: a path, also as unix://PATH; or tcp://127.0.0.1:PORT, which every user of this "
                + "machine may then control. No other address is served. Without it, `martlet run` looks for `socket` in "
                + "the section plugins.vici of the configuration. (default: \(Self.usual))", valueName: "URI"))
    var given: String?

    /// The one that was named, or the usual one.
    var uri: String { given ?? Self.usual }

    /// strongSwan's place, or where the packaged service has it.
    private static var usual: String {
        let packaged = "/run/martlet/charon.vici"
        return "unix://" + (FileManager.default.fileExists(atPath: packaged) ? packaged : "/var/run/charon.vici")
    }

    /// Whether it is where a gateway is looked for anyway.
    var isUsual: Bool { uri == Self.usual }

    /// The option as the next command needs it; empty where that finds the socket anyway.
    var asWritten: String { isUsual ? "" : " --vici \(StatusScreen.word(uri))" }

    /// Where it is.
    func address() throws -> ControlAddress {
        do throws(ControlAddress.Problem) { return try ControlAddress(uri) } catch {
            throw ValidationError("--vici: \(error).")
        }
    }
}

/// Ends a command with status 1 and words on standard error.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    /// An error's words with the full stop that they lack.
    static func sentence(_ error: any Error) -> String {
        let words = "\(error)"
        return words.last.map { ".?!".contains($0) } == true ? words : words + "."
    }
}
