import Clockwork
public import GatewayModel
import Telemetry

/// Writes events as lines: the time, which part speaks, which IKE SA, what happened.
///
/// It owns a level for each part and a place to write to. It never holds events back and never writes a secret: an event
/// has none.
public final class EventLog {
    /// Lines above this level are not written: 0 errors only, 1 what an operator wants to know, up to 3.
    public var level: Int
    private let unixTime: () -> Int64
    private let write: (String) -> Void

    /// A log that gives each line to `write`.
    public init(level: Int, unixTime: @escaping () -> Int64, write: @escaping (String) -> Void) {
        self.level = level
        self.unixTime = unixTime
        self.write = write
    }

    /// Writes an event when its level is low enough.
    public func record(_ event: Event) {
        guard EventText.mayConcern(level: level, event.kind) else { return }
        let text = EventText(event)
        guard text.level <= level else { return }
        let name = event.connection.map { name in event.ikeSA.map { "<\(name)|\($0)> " } ?? "<\(name)> " } ?? ""
        write(text.group.rawValue, name + text.text)
    }

    /// The level of what is considered on the way to an identity.
    static let considerationLevel = 3

    /// Writes what was considered about a connection.
    func consider(_ connection: String, _ ikeSA: IKESAID?, _ clause: String) {
        guard level >= Self.considerationLevel else { return }
        let name = connection.isEmpty ? "" : "<\(connection)\(ikeSA.map { "|\($0)" } ?? "")> "
        write(EventText.Group.ike.rawValue, name + clause)
    }

    /// Writes what no event stands for; text of several lines as so many lines of the log.
    public func line(_ group: String, _ text: String) {
        for line in text.split(separator: "\n") { write(group, String(line)) }
    }

    private func write(_ group: String, _ text: String) {
        write("\(CivilTime(unixSeconds: unixTime())) [\(group)] \(Printable.text(text))")
    }
}
