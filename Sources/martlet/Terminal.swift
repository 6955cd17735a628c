import Foundation

/// What the terminal can show.
///
/// It owns the decision whether to use colour. Colour never carries meaning alone: a word or a sign stands beside it.
struct Terminal {
    /// Whether colours are shown: a terminal, and nobody asked for none (`NO_COLOR`).
    let hasColour: Bool
    /// Columns.
    var width = 80

    /// A colour of the states' table.
    enum Colour: String {
        case grey = "\u{1B}[90m"
        case green = "\u{1B}[32m"
        case orange = "\u{1B}[33m"
        case red = "\u{1B}[31m"
        case bold = "\u{1B}[1m"
    }

    /// Standard output as it is.
    static var output: Terminal { at(STDOUT_FILENO) }

    /// The standard error as it is.
    static var error: Terminal { at(STDERR_FILENO) }

    private static func at(_ descriptor: Int32) -> Terminal {
        let environment = ProcessInfo.processInfo.environment
        let wantsNone = environment["NO_COLOR"].map { !$0.isEmpty } ?? false
        let columns = environment["COLUMNS"].flatMap { Int($0) } ?? 80
        return Terminal(
            hasColour: isatty(descriptor) == 1 && !wantsNone && environment["TERM"] != "dumb",
            width: min(max(columns, 40), 200))
    }

    /// `text` in a colour, where there are colours.
    func paint(_ text: String, _ colour: Colour) -> String {
        hasColour ? colour.rawValue + text + "\u{1B}[0m" : text
    }

    /// A state in the field's colour, with its sign: ● up, ◐ on its way, ○ not there, ✕ going.
    func state(_ word: String) -> String {
        switch word {
        case "ESTABLISHED", "PASSIVE", "REKEYED", "INSTALLED", "up": paint("● \(word)", .green)
        case "CONNECTING", "REKEYING", "INSTALLING", "UPDATING", "RETRYING", "connecting", "established":
            paint("◐ \(word)", .orange)
        case "DELETING", "DELETED", "DESTROYING": paint("✕ \(word)", .red)
        default: paint("○ \(word)", .grey)
        }
    }
}

/// Text in lines that a terminal can show.
enum Wrapping {
    /// `text` in lines of at most `width` columns, each after so many spaces; a longer word gets a line of its own.
    static func lines(_ text: String, width: Int, indentation: Int) -> [String] {
        let margin = String(repeating: " ", count: indentation)
        var lines: [String] = []
        for paragraph in text.split(separator: "\n") {
            var line = ""
            for word in paragraph.split(separator: " ") {
                if line.isEmpty {
                    line = margin + word
                } else if line.count + 1 + word.count > width {
                    lines.append(line)
                    line = margin + word
                } else {
                    line += " " + word
                }
            }
            if !line.isEmpty { lines.append(line) }
        }
        return lines
    }
}

/// Numbers as people read them.
enum Readable {
    /// `1.2 MB`, counting in thousands.
    static func bytes(_ count: Int64) -> String { scaled(Double(count), ["B", "kB", "MB", "GB", "TB"]) }

    /// `940 Mbit/s`.
    static func rate(bitsPerSecond: Double) -> String {
        scaled(bitsPerSecond, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"])
    }

    /// `3 h 55 min`, `12 s`.
    static func span(_ seconds: Int64) -> String {
        switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7200: "\(seconds / 60) min"
        case ..<172_800: "\(seconds / 3600) h \(seconds / 60 % 60) min"
        default: "\(seconds / 86_400) d"
        }
    }

    private static func scaled(_ value: Double, _ units: [String]) -> String {
        var value = value
        var unit = 0
        while value >= 1000, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        return
            (unit == 0
            ? String(Int(value)) : String(format: value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value))
            + " " + units[unit]
    }
}
