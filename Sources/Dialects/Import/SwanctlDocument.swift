public import WireFormat

/// A swanctl.conf that is being written: sections and settings in order, each setting with the line that it came from.
///
/// It owns the quoting. It never asks whether a setting makes sense, and never shows a secret but in what it renders.
public struct SwanctlDocument: Sendable {
    /// A setting's value.
    public enum Value: Sendable, Equatable {
        /// Text as it is meant, without quotes.
        case text(String)
        /// A secret's octets.
        case secret(SecretBytes)
    }

    /// One `key = value`.
    public struct Setting: Sendable, Equatable {
        /// The key.
        public var key: String
        /// The value.
        public var value: Value
        /// Whether the rest means the same without it: then it may be left out where it is not supported.
        public var isOptional: Bool
    }

    /// A section: settings first, then sections.
    public struct Section: Sendable, Equatable {
        /// Its name.
        public var name: String
        /// What is said above it, line by line.
        public var comments: [String]
        /// Its settings.
        public var settings: [Setting]
        /// The sections in it.
        public var sections: [Section]

        /// An empty section; characters that a name can't have become hyphens.
        public init(_ name: String) {
            self.name = SwanctlDocument.name(name)
            comments = []
            settings = []
            sections = []
        }

        /// Adds a setting; nil adds nothing.
        public mutating func set(_ key: String, _ value: String?, isOptional: Bool = false) {
            guard let value else { return }
            settings.append(Setting(key: key, value: .text(value), isOptional: isOptional))
        }

        /// Adds a secret.
        mutating func set(_ key: String, _ secret: SecretBytes) {
            settings.append(Setting(key: key, value: .secret(secret), isOptional: false))
        }

        /// The setting of this name, when it is text.
        func text(_ key: String) -> String? {
            guard case .text(let text)? = settings.first(where: { $0.key == key })?.value else { return nil }
            return text
        }
    }

    /// What was rendered.
    public struct Rendered: Sendable {
        /// The file's octets; secrets are among them.
        public var octets: [UInt8]
        /// By line (from 1), the number of the setting that stands there.
        public var settings: [Int: Int]
        /// By a setting's number: its key with its sections, and whether it may be left out.
        public var paths: [(path: String, isOptional: Bool)]
    }

    /// What is said at the top.
    public var comments: [String] = []
    /// The sections.
    public var sections: [Section] = []

    /// An empty one.
    public init() {}

    /// The file. Settings whose numbers are in `dropped` appear as comments with the reason.
    public func rendered(without dropped: [Int: String] = [:]) -> Rendered {
        var writer = Writer(dropped: dropped)
        for comment in comments { writer.line("# " + Self.comment(comment), 0) }
        for section in sections { writer.section(section, depth: 0, path: "") }
        return writer.result
    }

    // MARK: Spelling

    /// A name that a section may have.
    static func name(_ text: String) -> String {
        let clean = String(text.map { Self.cannotName($0) ? "-" : $0 })
        return clean.isEmpty ? "unnamed" : clean
    }

    private static func cannotName(_ character: Character) -> Bool {
        guard let octet = character.asciiValue else { return true }
        return octet <= 0x20 || octet == 0x7f || "#{}:.,=\"".contains(character)
    }

    /// A value, in quotes where it needs them.
    static func quoted(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && !Array("#{}\"\\".utf8).contains($0) }
        if isPlain, !text.isEmpty { return text }
        // Words with one blank between them come back as they are.
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        let areWords = words.allSatisfy { word in
            !word.isEmpty && word.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && !Array("#{}\"\\".utf8).contains($0) }
        }
        if areWords, !text.isEmpty { return text }
        var result = "\""
        for character in text {
            switch character {
            case "\"", "\\": result += "\\" + String(character)
            case "\n": result += "\\n"
            case "\r", "\r\n": result += "\\r"
            case "\t": result += "\\t"
            default: result.append(character)
            }
        }
        return result + "\""
    }

    /// A secret as text: in quotes when it is readable, else in hexadecimal. What begins like a number in hexadecimal or
    /// base64 would be read as one, whatever the quotes.
    static func quoted(_ secret: SecretBytes) -> String {
        let octets = secret.exposedBytes()
        let isReadable = octets.allSatisfy { (0x20...0x7e).contains($0) }
        let prefix = String(decoding: octets.prefix(2), as: UTF8.self).lowercased()
        guard isReadable, prefix != "0x", prefix != "0s" else { return "0x" + Hex.encode(octets) }
        let text = String(decoding: octets, as: UTF8.self)
        return "\"" + text.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "\""
    }

    /// Text that may stand in a comment: one line, printable.
    static func comment(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }))
    }

    private struct Writer {
        let dropped: [Int: String]
        var result = Rendered(octets: [], settings: [:], paths: [])
        private var lines = 0

        init(dropped: [Int: String]) { self.dropped = dropped }

        mutating func line(_ text: String, _ depth: Int) {
            result.octets += Array((text.isEmpty ? "" : String(repeating: "  ", count: depth) + text).utf8)
            result.octets.append(UInt8(ascii: "\n"))
            lines += 1
        }

        mutating func section(_ section: Section, depth: Int, path: String) {
            for comment in section.comments { line("# " + SwanctlDocument.comment(comment), depth) }
            line("\(section.name) {", depth)
            let path = path.isEmpty ? section.name : path + "." + section.name
            for setting in section.settings { write(setting, depth + 1, path) }
            for inner in section.sections { self.section(inner, depth: depth + 1, path: path) }
            line("}", depth)
        }

        private mutating func write(_ setting: Setting, _ depth: Int, _ path: String) {
            let number = result.paths.count
            result.paths.append((path + "." + setting.key, setting.isOptional))
            let value =
                switch setting.value {
                case .text(let text): SwanctlDocument.quoted(text)
                case .secret(let secret): SwanctlDocument.quoted(secret)
                }
            if let reason = dropped[number] {
                line("# \(setting.key) = \(SwanctlDocument.comment(value)): \(SwanctlDocument.comment(reason))", depth)
            } else {
                line("\(setting.key) = \(value)", depth)
                result.settings[lines] = number
            }
        }
    }
}
