import Clockwork
import GatewayModel
public import LinuxSystem
import Telemetry

/// One entry of the log, for whoever writes it down: a line for people, or fields for the journal.
///
/// It owns how an entry is spelt. It never writes, and holds no secret: an event has none.
public struct LogRecord: Sendable {
    /// Which part speaks: `IKE`, `DMN`…
    public let group: String
    /// 0 for failures, 1 for the course of things, 2 and 3 for what a person looking for a fault wants to know.
    public let level: Int
    /// Whom it is about: `<branch|1> `, or nothing.
    let prefix: String
    /// The words; nothing in them steers a terminal.
    let text: String
    /// Seconds since 1970.
    let unixTime: Int64
    var connection: String?
    var ikeSA: UInt32?
    var event: Event?

    init(_ group: String, _ level: Int, _ text: String, at unixTime: Int64, prefix: String = "") {
        self.group = group
        self.level = level
        self.text = Printable.text(text)
        self.prefix = Printable.text(prefix)
        self.unixTime = unixTime
    }

    /// `2026-11-21T12:00:00Z [IKE] <branch|1> IKE SA closed: asked for here`
    public var line: String { "\(CivilTime(unixSeconds: unixTime)) \(message)" }

    /// The same without the time, which whoever keeps a journal knows.
    private var message: String { "[\(group)] \(prefix)\(text)" }

    /// syslog's priorities: an error, something to know, something for whoever looks for a fault.
    private var priority: Int {
        switch level {
        case ...0: 3
        case 1: 6
        default: 7
        }
    }

    /// The entry as the journal's fields, those first that every entry has. Their names are part of our interface.
    public var fields: [JournalSocket.Field] {
        var fields = [
            JournalSocket.Field("MESSAGE", message), JournalSocket.Field("PRIORITY", String(priority)),
            JournalSocket.Field("SYSLOG_IDENTIFIER", "martlet"), JournalSocket.Field("SYSLOG_FACILITY", "3"),
            JournalSocket.Field("MARTLET_GROUP", group),
        ]
        func add(_ name: String, _ value: String?) {
            if let value { fields.append(JournalSocket.Field(name, value)) }
        }
        let facts = event.map { EventFacts($0) }
        add("MARTLET_EVENT", facts?.name)
        add("MARTLET_CONNECTION", connection)
        add("MARTLET_SA", ikeSA.map { String($0) })
        add("MARTLET_CHILD", facts?.child)
        add("MARTLET_PEER", facts?.peer)
        add("MARTLET_CODE", facts?.code)
        return fields
    }
}
