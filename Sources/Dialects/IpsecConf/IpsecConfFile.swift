/// An ipsec.conf as sections of settings, whatever these mean.
///
/// It owns the grammar that strongSwan's and libreswan's dialects share, read with more patience than either has: files
/// that were pasted from a page have often lost their indentation.
public struct IpsecConfFile: Sendable {
    /// One `key = value`.
    struct Setting: Sendable, Equatable {
        var key: String
        var value: String
        var place: ImportPlace
    }

    /// `config setup`, `conn NAME` or `ca NAME`.
    struct Section: Sendable, Equatable {
        enum Kind: String, Sendable { case config, conn, ca }
        var kind: Kind
        var name: String
        var settings: [Setting]
        var place: ImportPlace
    }

    /// The sections, in the order of the files.
    private(set) var sections: [Section] = []
    /// What was not understood.
    private(set) var notes: [ImportNote] = []

    /// Sections or settings above which nothing more is read.
    private static let limit = 200_000

    init(_ files: [ConfigurationImport.File]) {
        for file in files { read(file) }
    }

    /// The files that a file of this form includes, as they stand there: `include` with a path or a pattern. For the
    /// files of secrets as well.
    public static func includes(in octets: [UInt8]) -> [String] {
        Words.lines(octets).compactMap { line in
            let words = Words.split(line)
            return words.count == 2 && words[0] == "include" ? words[1] : nil
        }
    }

    private mutating func read(_ file: ConfigurationImport.File) {
        // Settings before any section of this file belong to none.
        var isInSection = false
        for (index, line) in Words.lines(file.octets).enumerated() {
            let place = ImportPlace(file.name, index + 1)
            let text = Words.trimmed(Self.withoutComment(line))
            if text.isEmpty { continue }
            guard sections.count + notes.count < Self.limit else { return }
            if let section = Self.heading(text, place) {
                sections.append(section)
                isInSection = true
            } else if let setting = Self.setting(text, place) {
                if isInSection, let last = sections.indices.last {
                    sections[last].settings.append(setting)
                } else {
                    notes.append(ImportNote(.lost, place, setting.key, "it stands in no section"))
                }
            } else if !["include", "version"].contains(Words.split(text).first ?? "") {
                notes.append(ImportNote(.lost, place, Self.short(text), "this line is neither a section nor a setting"))
            }
        }
    }

    private static func heading(_ text: String, _ place: ImportPlace) -> Section? {
        let words = Words.split(text)
        guard words.count == 2, let kind = Section.Kind(rawValue: words[0]), !words[1].hasPrefix("=") else {
            return nil
        }
        if kind == .config, words[1] != "setup" { return nil }
        return Section(kind: kind, name: words[1], settings: [], place: place)
    }

    private static func setting(_ text: String, _ place: ImportPlace) -> Setting? {
        guard let equals = text.firstIndex(of: "=") else { return nil }
        let key = Words.trimmed(text[..<equals]).lowercased()
        guard !key.isEmpty, key.utf8.allSatisfy(isKeyOctet) else { return nil }
        var value = Words.trimmed(text[text.index(after: equals)...])
        for (opening, closing) in [("\"", "\""), ("'", "'"), ("{", "}")]
        where value.count >= 2 && value.hasPrefix(opening) && value.hasSuffix(closing) {
            value = Words.trimmed(value.dropFirst().dropLast())
            break
        }
        return Setting(key: key, value: value, place: place)
    }

    private static func isKeyOctet(_ octet: UInt8) -> Bool {
        (0x61...0x7a).contains(octet) || (0x30...0x39).contains(octet) || octet == 0x2d || octet == 0x5f
    }

    /// A `#` begins a comment at the start of a line and behind a blank, but not in quotes.
    private static func withoutComment(_ line: String) -> Substring {
        var isQuoted = false
        var isBehindBlank = true
        for index in line.indices {
            let character = line[index]
            if character == "\"" { isQuoted.toggle() }
            if character == "#", isBehindBlank, !isQuoted { return line[..<index] }
            isBehindBlank = character.isWhitespace
        }
        return line[...]
    }

    /// The first words of a line, for a message: what may be a secret does not stand in front.
    static func short(_ text: String) -> String { text.count > 40 ? text.prefix(40) + "…" : text }
}

/// The settings of one connection, all that it inherits included.
struct IpsecSettings {
    private var order: [String] = []
    private var values: [String: IpsecConfFile.Setting] = [:]
    /// Keys that somebody has read.
    private var read: Set<String> = []
    /// Where the connection begins.
    let place: ImportPlace

    init(_ place: ImportPlace) { self.place = place }

    /// A later setting takes the place of an earlier one.
    mutating func add(_ settings: [IpsecConfFile.Setting]) {
        for setting in settings {
            if values[setting.key] == nil { order.append(setting.key) }
            values[setting.key] = setting
        }
    }

    /// The setting of the first of these keys that is there; all of them count as read.
    mutating func setting(_ keys: String...) -> IpsecConfFile.Setting? {
        for key in keys { read.insert(key) }
        return keys.compactMap { values[$0] }.first
    }

    /// Its value; nil when it is empty as well.
    mutating func text(_ key: String) -> String? {
        read.insert(key)
        return values[key].flatMap { $0.value.isEmpty ? nil : $0.value }
    }

    /// Its value, without counting it as read.
    func peek(_ key: String) -> String? { values[key]?.value }

    /// Where the settings that somebody has read stand.
    var readPlaces: [ImportPlace] { order.filter { read.contains($0) }.compactMap { values[$0]?.place } }

    /// What nobody has read, in order.
    var rest: [IpsecConfFile.Setting] { order.filter { !read.contains($0) }.compactMap { values[$0] } }
}

extension IpsecConfFile {
    /// Forgets what was found while a template was read: it is found again with the connections that use it.
    mutating func dropNotes(behind count: Int) {
        notes.removeLast(max(0, notes.count - count))
    }

    /// Names that some `also` of a connection takes settings from.
    var templates: Set<String> {
        Set(sections.filter { $0.kind == .conn }.flatMap { $0.settings }.filter { $0.key == "also" }.map(\.value))
    }

    /// A connection's settings: those of `%default`, then of its `also`s, then its own.
    mutating func resolved(_ section: Section) -> IpsecSettings {
        var settings = IpsecSettings(section.place)
        for inherited in sections where inherited.kind == section.kind && inherited.name == "%default" {
            settings.add(inherited.settings.filter { $0.key != "also" })
        }
        var seen: Set<String> = [section.name]
        add(section, to: &settings, &seen, depth: 0)
        return settings
    }

    /// Each section is taken in once: one that names itself, or that two others name, changes nothing the second time.
    private mutating func add(
        _ section: Section, to settings: inout IpsecSettings, _ seen: inout Set<String>, depth: Int
    ) {
        for also in section.settings where also.key == "also" {
            let name = also.value
            let found = sections.filter { $0.kind == section.kind && $0.name == name }
            if found.isEmpty {
                notes.append(ImportNote(.lost, also.place, "also = \(name)", "there is no such section"))
            } else if depth >= 16 {
                notes.append(ImportNote(.lost, also.place, "also = \(name)", "sections are nested too deep"))
            } else if seen.insert(name).inserted {
                for other in found { add(other, to: &settings, &seen, depth: depth + 1) }
            }
        }
        settings.add(section.settings.filter { $0.key != "also" })
    }
}
