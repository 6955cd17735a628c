import ViciMessages

/// What has become of packets since the last look, as lines of the part `esp` of `martlet log`.
///
/// It owns the counts of the last look. The data plane tells nobody of single packets: it counts, and this compares.
struct PacketNews {
    private var drops: [String: Int64] = [:]
    private var children: [Int: StatusReport.ChildStatus] = [:]
    private var hasLooked = false

    /// A line: level 1 what was dropped, 2 what was carried.
    struct Line: Equatable {
        var level: Int
        /// The connection; nil for what belongs to none.
        var connection: String?
        var ikeSA: Int?
        var text: String

        /// As a line of the gateway's log.
        var event: EventLine {
            EventLine(
                name: "log",
                tree: ViciTree { tree in
                    tree.set("group", "ESP")
                    tree.set("level", level)
                    if let connection { tree.set("ikesa-name", connection) }
                    if let ikeSA { tree.set("ikesa-uniqueid", ikeSA) }
                    tree.set("msg", text)
                })
        }
    }

    /// What is new in `report`; nothing at the first look, which only counts.
    mutating func lines(_ report: StatusReport) -> [Line] {
        var lines: [Line] = []
        var seen: [Int: StatusReport.ChildStatus] = [:]
        for sa in report.connections.flatMap(\.ike_sas) + report.other_ike_sas {
            for child in sa.children {
                seen[child.id] = child
                guard hasLooked else { continue }
                for (level, text) in Self.news(of: child, since: children[child.id]) {
                    lines.append(Line(level: level, connection: sa.connection, ikeSA: sa.id, text: text))
                }
            }
        }
        if hasLooked {
            for (reason, count) in report.drops.sorted(by: { $0.key < $1.key }) where count > drops[reason] ?? 0 {
                lines.append(Line(level: 1, text: "dropped \(count - (drops[reason] ?? 0)) packets: \(reason)"))
            }
        }
        drops = report.drops
        children = seen
        hasLooked = true
        return lines
    }

    private static func news(
        of child: StatusReport.ChildStatus, since before: StatusReport.ChildStatus?
    ) -> [(Int, String)] {
        var news: [(Int, String)] = []
        let replays = child.replays - (before?.replays ?? 0)
        if replays > 0 { news.append((1, "child '\(child.name)': \(replays) packets came again or too late, dropped")) }
        let forgeries = child.forgeries - (before?.forgeries ?? 0)
        if forgeries > 0 {
            news.append((1, "child '\(child.name)': \(forgeries) packets failed their integrity check, dropped"))
        }
        for (word, spi, packets, octets) in [
            (
                "in", child.spi_in, child.packets_in - (before?.packets_in ?? 0),
                child.bytes_in - (before?.bytes_in ?? 0)
            ),
            (
                "out", child.spi_out, child.packets_out - (before?.packets_out ?? 0),
                child.bytes_out - (before?.bytes_out ?? 0)
            ),
        ] where packets > 0 {
            news.append((2, "child '\(child.name)': \(packets) packets \(word) (\(octets) octets), SPI \(spi)"))
        }
        return news
    }
}
