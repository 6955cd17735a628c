import ArgumentParser
import Clockwork
import Foundation
import LinuxSystem
import ViciMessages
import ViciServer

/// A connection to a running gateway.
struct GatewayClient {
    let client: ViciClient

    init(_ option: ControlSocketOption) throws {
        let address = try option.address()
        do { client = try ViciClient(connectingTo: address) } catch {
            throw CommandFailure(
                CommandFailure.sentence(error)
                    + "\nIs a gateway running there? `martlet run --config FILE --vici \(address.uri)` starts one."
            )
        }
        try requireMartlet(address.uri)
    }

    private init(_ client: ViciClient, at uri: String) throws {
        self.client = client
        try requireMartlet(uri)
    }

    /// The gateway that answers there; nil when nobody does.
    static func running(_ option: ControlSocketOption) throws -> GatewayClient? {
        try running(at: option.address())
    }

    /// The same.
    static func running(at address: ControlAddress) throws -> GatewayClient? {
        guard let client = try? ViciClient(connectingTo: address) else { return nil }
        return try GatewayClient(client, at: address.uri)
    }

    /// Others speak the protocol as well, at the same place.
    private func requireMartlet(_ uri: String) throws {
        let daemon = try call("version")["daemon"] ?? "another program"
        guard daemon != "martlet" else { return }
        let whose = daemon.hasPrefix("charon") ? "strongSwan's \(daemon)" : daemon
        throw CommandFailure(
            "At \(uri) answers \(whose), not Martlet. Stop it, or name Martlet's own socket with --vici.")
    }

    /// Whether it has a connection of this name.
    func has(_ connection: String) throws -> Bool { try status().connections.contains { $0.name == connection } }

    /// What the gateway says of itself.
    func status() throws -> StatusReport {
        do { return StatusReport(try client.status()) } catch { throw CommandFailure(CommandFailure.sentence(error)) }
    }

    /// A line of the gateway's log that belongs to a command.
    struct Line {
        var level: Int
        var text: String
    }

    /// Carries out a command; gives each log line that belongs to it to `onLine`.
    func call(
        _ command: String, _ arguments: ViciTree = ViciTree(), onLine: ((Line) -> Void)? = nil
    ) throws -> ViciTree {
        do {
            return try client.call(
                command, arguments, streaming: onLine == nil ? nil : "control-log",
                timeout: onLine == nil ? .seconds(30) : nil
            ) { event in
                if let text = event["msg"] { onLine?(Line(level: event["level"].flatMap { Int($0) } ?? 1, text: text)) }
            }
        } catch {
            throw CommandFailure(CommandFailure.sentence(error))
        }
    }
}

/// `martlet up`.
struct Up: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring a connection up, and wait until traffic can flow.",
        discussion: "Prints what happens on the way. When it fails, says why and what to do, and exits with status 1.")

    @Argument(help: ArgumentHelp("A connection, or one of its children.", valueName: "NAME")) var name: String
    @Option(
        help: ArgumentHelp("Wait at most so many seconds; 0 waits until there is an outcome.", valueName: "SECONDS"))
    var timeout = 0
    @Flag(help: "Print nothing but the outcome.") var quiet = false
    @OptionGroup var format: OutputFormat
    @OptionGroup var control: ControlSocketOption

    func validate() throws {
        guard timeout >= 0, timeout <= 86_400 else { throw ValidationError("--timeout is 0 to 86400 seconds.") }
    }

    func run() throws {
        let isQuiet = quiet || format.json
        let gateway = try GatewayClient(control)
        let report = try gateway.status()
        let named = try Named(name, report)
        if named.isUp(report) {
            return try format.tell(
                ["name": .text(name), "up": .truth(true), "was_up": .truth(true)],
                ["'\(name)' is up. It was up already."])
        }
        var arguments = named.arguments
        arguments.set("timeout", timeout * 1000)
        arguments.set("loglevel", isQuiet ? -1 : 1)
        if !isQuiet { print("Connecting to \(named.peer(report)) …") }
        let answer = try gateway.call("initiate", arguments) { line in
            // What went wrong is said once, at the end.
            if line.level > 0 { print("  \(line.text)") }
        }
        guard answer["success"] == "yes" else {
            if format.json { throw CommandFailure(answer["errmsg"] ?? "") }
            let reason = Wrapping.lines(answer["errmsg"] ?? "", width: Terminal.output.width, indentation: 2)
            throw CommandFailure((["'\(name)' is not up."] + reason).joined(separator: "\n"))
        }
        try format.tell(["name": .text(name), "up": .truth(true), "was_up": .truth(false)], ["'\(name)' is up."])
        let children = try? gateway.status().connections.first { $0.name == named.owner }?.ike_sas.flatMap(\.children)
        format.warn(Networks.forwardingIsOff((children ?? []).flatMap(\.local_ts)).map { [$0] } ?? [])
    }
}

/// `martlet down`.
struct Down: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Close a connection or one of its children.",
        discussion: "Afterwards its networks are no longer protected: nothing is blocked any more.")

    @Argument(help: ArgumentHelp("A connection, or one of its children.", valueName: "NAME")) var name: String
    @OptionGroup var format: OutputFormat
    @OptionGroup var control: ControlSocketOption

    func run() throws {
        let gateway = try GatewayClient(control)
        let report = try gateway.status()
        var arguments = try Named(anyOf: name, report).arguments
        arguments.set("timeout", 30_000)
        let answer = try gateway.call("terminate", arguments) { _ in }
        if answer["success"] == "yes" {
            try format.tell(["name": .text(name), "up": .truth(false), "was_up": .truth(true)], ["'\(name)' is down."])
        } else if answer["matches"] == "0" || answer["matches"] == nil {
            try format.tell(
                ["name": .text(name), "up": .truth(false), "was_up": .truth(false)], ["'\(name)' was not up."])
        } else {
            throw CommandFailure("'\(name)' is not down. \(answer["errmsg"] ?? "")")
        }
    }
}

/// `martlet status`.
struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show connections, tunnels, traffic, and what went wrong last.",
        discussion: "● is up, ◐ on its way, ○ not there, ✕ going away.")

    @Flag(help: "Print JSON, for programs.") var json = false
    @OptionGroup var control: ControlSocketOption

    func run() throws {
        let report = try GatewayClient(control).status()
        if json {
            print(try Self.json(report))
        } else {
            for line in StatusScreen(terminal: .output).lines(report) { print(line) }
        }
    }

    /// The report as JSON, its keys in alphabetical order.
    static func json(_ report: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(report), as: UTF8.self)
    }
}
