public import GatewayModel
import Telemetry

/// Writes events as entries of the log: the time, which part speaks, which IKE SA, what happened.
///
/// It owns a level for each part and a place to write to. It never holds events back and never writes a secret: an event
/// has none.
public final class EventLog {
    /// Lines above this level are not written: 0 errors only, 1 what an operator wants to know, up to 3.
    public let level: Int
    private let unixTime: () -> Int64
    private let write: (LogRecord) -> Void

    /// A log that gives each entry to `write`.
    public init(level: Int, unixTime: @escaping () -> Int64, write: @escaping (LogRecord) -> Void) {
        self.level = level
        self.unixTime = unixTime
        self.write = write
    }

    /// The events of which some may be written.
    var kinds: EventKinds {
        var kinds = EventKinds.all
        if level < 1 { kinds.subtract([.ikeEstablished, .ikeClosed, .childInstalled, .childClosed]) }
        if level < EventText.messageLevel { kinds.subtract([.messages, .progress]) }
        return kinds
    }

    /// Writes an event when its level is low enough.
    public func record(_ event: Event) {
        guard !event.isForCountersOnly, EventText.mayConcern(level: level, event.kind) else { return }
        let text = EventText(event)
        guard text.level <= level else { return }
        var record = LogRecord(
            text.group.rawValue, text.level, text.text, at: unixTime(),
            prefix: Self.prefix(event.connection, event.ikeSA))
        record.connection = event.connection
        record.ikeSA = event.ikeSA?.rawValue
        record.event = event
        write(record)
    }

    /// The level of what is considered on the way to an identity.
    static let considerationLevel = 3

    /// Writes what was considered about a connection.
    func consider(_ connection: String, _ ikeSA: IKESAID?, _ clause: String) {
        guard level >= Self.considerationLevel else { return }
        let name = connection.isEmpty ? nil : connection
        var record = LogRecord(
            EventText.Group.ike.rawValue, Self.considerationLevel, clause, at: unixTime(),
            prefix: Self.prefix(name, ikeSA))
        record.connection = name
        record.ikeSA = ikeSA?.rawValue
        write(record)
    }

    /// Writes what no event stands for; text of several lines as so many entries of the log.
    public func line(_ group: String, _ text: String) {
        for line in text.split(separator: "\n") { write(LogRecord(group, 1, String(line), at: unixTime())) }
    }

    private static func prefix(_ connection: String?, _ ikeSA: IKESAID?) -> String {
        connection.map { name in ikeSA.map { "<\(name)|\($0)> " } ?? "<\(name)> " } ?? ""
    }
}
