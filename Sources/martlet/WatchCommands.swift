import ArgumentParser
import Clockwork
import Foundation
import ViciMessages
import ViciServer

/// `martlet watch`.
struct Watch: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tell what happens to tunnels, as it happens.",
        discussion: "Tunnels that come up and go down, new keys, peers that move, and alarms. Ctrl-C ends it.")

    @Argument(help: ArgumentHelp("One connection; all when left out.", valueName: "NAME")) var name: String?
    @Flag(help: "Print a line of JSON for each event.") var json = false
    @Option(help: ArgumentHelp("Stop after so many seconds.", valueName: "SECONDS")) var seconds: Int?
    @OptionGroup var control: ControlSocketOption

    private static let events = [
        "ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey", "alert",
    ]

    func run() throws {
        if let name { try GatewayClient(control).status().requireConnection(name) }
        try EventStream(control, Self.events).forEach(for: seconds) { event in
            if let name, event.connection != name { return }
            Live.print(json ? event.json() : "\(Readable.clock()) \(event.text(.output))")
        }
    }
}

/// `martlet log`.
struct Log: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the gateway's log, live and as detailed as you like.",
        discussion: """
            Prints the last lines that the gateway remembers and, with --follow, new ones as they come, in any detail: the \
            daemon's own --log level does not limit it. Parts: ike, chd, net, esp, cfg, dmn. Levels: 0 failures, 1 the \
            course of things, 2 every message, 3 what was dropped. esp tells of packets, once a second and only with \
            --follow: 1 those that were dropped, 2 those that were carried as well.
            """)

    @Argument(help: ArgumentHelp("One connection; all when left out.", valueName: "NAME")) var name: String?
    @Flag(name: .shortAndLong, help: "Go on with new lines as they come.") var follow = false
    @Option(help: ArgumentHelp("How detailed: 2 for all parts, or ike=2,esp=1.", valueName: "LEVELS")) var level = "1"
    @Flag(help: "Print a line of JSON for each line.") var json = false
    @Option(help: ArgumentHelp("Stop after so many seconds.", valueName: "SECONDS")) var seconds: Int?
    @OptionGroup var control: ControlSocketOption

    func validate() throws {
        guard LogLevels(level) != nil else {
            throw ValidationError(
                "--level takes a number from -1 to 4, or parts with theirs: ike=2,esp=1. Parts: "
                    + "\(LogLevels.parts.joined(separator: ", ")).")
        }
    }

    func run() throws {
        let levels = LogLevels(level)
        var isKnown = name == nil
        let show = { (event: EventLine) in
            let line = event.tree
            if let name, event.connection != name { return }
            isKnown = true
            guard levels?.includes(line["group"] ?? "", line["level"].flatMap { Int($0) } ?? 1) ?? true else { return }
            let time = line["time"].flatMap { Double($0) }.map { Date(timeIntervalSince1970: $0) } ?? Date()
            Live.print(json ? event.json(at: time) : "\(Readable.clock(time)) \(event.text(.output))")
        }
        // First the ear, then the memory: a line in between comes twice rather than never.
        let stream = follow ? try EventStream(control, ["log"]) : nil
        let gateway = try GatewayClient(control)
        do {
            _ = try gateway.client.call("martlet-log", streaming: "martlet-log") { tree in
                show(EventLine(name: "log", tree: tree))
            }
        } catch { throw CommandFailure(CommandFailure.sentence(error)) }
        // What the log remembers of a connection that is gone is worth its lines.
        if let name, !isKnown { try gateway.status().requireConnection(name) }
        try stream?.forEach(for: seconds, everySecond: packets(gateway, levels, show), show)
    }
}

extension Log {
    /// Tells of packets, once a second; nil when nobody wants to know.
    private func packets(
        _ gateway: GatewayClient, _ levels: LogLevels?, _ show: @escaping (EventLine) -> Void
    ) -> (() throws -> Void)? {
        guard levels?.includes("esp", 1) ?? false else { return nil }
        var news = PacketNews()
        return { for line in news.lines(try gateway.status()) { show(line.event) } }
    }
}

/// Lines that are seen at once, in a pipe as well: standard output would keep them until it has many.
enum Live {
    static func print(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
}

/// Events of a gateway, one after the other.
struct EventStream {
    private let client: ViciClient

    /// Registers for events of these names.
    init(_ control: ControlSocketOption, _ names: [String]) throws {
        client = try GatewayClient(control).client
        do { try client.register(for: names) } catch { throw CommandFailure(CommandFailure.sentence(error)) }
    }

    /// Calls `body` with each event, until the gateway stops or the time is over.
    func forEach(
        for seconds: Int?, everySecond tick: (() throws -> Void)? = nil, _ body: (EventLine) -> Void
    ) throws {
        let end = seconds.map { Date().addingTimeInterval(Double($0)) }
        var nextTick = tick == nil ? nil : Optional(Date())
        while true {
            if let due = nextTick, due.timeIntervalSinceNow <= 0 {
                try tick?()
                nextTick = Date().addingTimeInterval(1)
            }
            if let end, end.timeIntervalSinceNow <= 0 { return }
            let left = [end, nextTick].compactMap { $0?.timeIntervalSinceNow }.min()
            do {
                let timeout = left.map { Interval.milliseconds(max(0, Int64($0 * 1000)) + 1) }
                if let (name, tree) = try client.nextEvent(timeout: timeout) { body(EventLine(name: name, tree: tree)) }
            } catch {
                if error == .closed { throw CommandFailure("The gateway has stopped.") }
                throw CommandFailure(CommandFailure.sentence(error))
            }
        }
    }

    /// The next event; nil when none comes in time.
    func next(within seconds: Double) throws -> EventLine? {
        do {
            return try client.nextEvent(timeout: .milliseconds(Int64(max(0, seconds) * 1000) + 1)).map {
                EventLine(name: $0.name, tree: $0.tree)
            }
        } catch { throw CommandFailure(CommandFailure.sentence(error)) }
    }
}

extension Readable {
    /// `14:03:59`, the local time.
    static func clock(_ date: Date = Date()) -> String {
        let parts = Calendar.current.dateComponents([.hour, .minute, .second], from: date)
        return [parts.hour, parts.minute, parts.second].map { part in
            let number = part ?? 0
            return number < 10 ? "0\(number)" : "\(number)"
        }
        .joined(separator: ":")
    }
}
