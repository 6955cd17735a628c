/// Text as line-oriented configurations have it: blanks, words, quotes, times.
enum Words {
    /// Without blanks at its ends.
    static func trimmed(_ text: some StringProtocol) -> String {
        var rest = Substring(text)
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest)
    }

    /// The words between blanks; what stands in double quotes is one word, without them.
    static func split(_ text: some StringProtocol) -> [String] {
        var words: [String] = []
        var current = ""
        var isInside = false
        var isQuoted = false
        for character in text {
            if isQuoted {
                if character == "\"" { isQuoted = false } else { current.append(character) }
            } else if character == "\"" {
                isQuoted = true
                isInside = true
            } else if character.isWhitespace {
                if isInside { words.append(current) }
                (current, isInside) = ("", false)
            } else {
                current.append(character)
                isInside = true
            }
        }
        if isInside { words.append(current) }
        return words
    }

    /// The parts of a list with commas, trimmed, without empty ones.
    static func list(_ text: String) -> [String] {
        text.split(separator: ",").map { trimmed($0) }.filter { !$0.isEmpty }
    }

    /// The lines of a file; a byte order mark and carriage returns say nothing.
    static func lines(_ octets: [UInt8]) -> [String] {
        var octets = octets[...]
        if octets.starts(with: [0xef, 0xbb, 0xbf]) { octets = octets.dropFirst(3) }
        return octets.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { line in
            String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
        }
    }

    /// Seconds of `1.5h`, `90m`, `3600`, `1d`, `2w`; nil for what is no time, or longer than a hundred years.
    static func seconds(_ text: String) -> Int? {
        let text = trimmed(text).lowercased()
        let digits = text.prefix { $0.isNumber || $0 == "." }
        let unit = trimmed(text.dropFirst(digits.count))
        guard let count = Double(digits), count >= 0 else { return nil }
        let factor: Double
        switch unit {
        case "", "s", "sec", "seconds": factor = 1
        case "ms": factor = 0.001
        case "m", "min": factor = 60
        case "h": factor = 3_600
        case "d": factor = 86_400
        case "w": factor = 604_800
        default: return nil
        }
        let total = (count * factor).rounded()
        return total <= 100 * 365 * 86_400 ? Int(total) : nil
    }

    /// Seconds as swanctl.conf writes them, in the largest unit that fits.
    static func time(_ seconds: Int) -> String {
        if seconds > 0, seconds % 3_600 == 0 { return "\(seconds / 3_600)h" }
        if seconds > 0, seconds % 60 == 0 { return "\(seconds / 60)m" }
        return "\(seconds)s"
    }

    /// Yes or no in any of the usual words; nil for others.
    static func truth(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "yes", "true", "on", "1", "enabled", "force", "insist": true
        case "no", "false", "off", "0", "disabled", "never": false
        default: nil
        }
    }
}
