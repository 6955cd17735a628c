import WireFormat

/// Distinguished names as configurations write them: `C=CH, O=lab, CN=a.lab`, or `/C=CH/O=lab/CN=a.lab`.
///
/// It owns the keys and the escapes. It never touches DER.
enum DistinguishedNameSyntax {
    /// One attribute that a text names.
    struct Part: Hashable {
        let identifier: String
        let value: [UInt8]
        /// Whether it belongs to the relative name before it (`+`).
        let joins: Bool
    }

    /// Keys and the object identifiers that they stand for; the first key of each is the one that is printed.
    private static let keys: [(key: String, identifier: String)] = [
        ("C", "2.5.4.6"), ("ST", "2.5.4.8"), ("L", "2.5.4.7"), ("O", "2.5.4.10"), ("OU", "2.5.4.11"),
        ("CN", "2.5.4.3"), ("E", "1.2.840.113549.1.9.1"), ("email", "1.2.840.113549.1.9.1"),
        ("emailAddress", "1.2.840.113549.1.9.1"), ("DC", "0.9.2342.19200300.100.1.25"),
        ("UID", "0.9.2342.19200300.100.1.1"), ("SN", "2.5.4.4"), ("serialNumber", "2.5.4.5"), ("S/N", "2.5.4.5"),
        ("G", "2.5.4.42"), ("I", "2.5.4.43"), ("T", "2.5.4.12"), ("D", "2.5.4.13"), ("N", "2.5.4.41"),
        ("ID", "2.5.4.45"), ("ND", "0.2.262.1.10.7.20"), ("employeeNumber", "2.16.840.1.113730.3.1.3"),
        ("EN", "2.16.840.1.113730.3.1.3"), ("dnQualifier", "2.5.4.46"), ("TCGID", "1.3.6.1.4.1.1201.1.1.2.2.75"),
        ("unstructuredName", "1.2.840.113549.1.9.2"), ("UN", "1.2.840.113549.1.9.2"),
        ("unstructuredAddress", "1.2.840.113549.1.9.8"), ("UA", "1.2.840.113549.1.9.8"), ("STREET", "2.5.4.9"),
        ("postalCode", "2.5.4.17"), ("postalAddress", "2.5.4.16"), ("pseudonym", "2.5.4.65"),
    ]

    /// The key of an attribute type; where it has none, its dotted object identifier.
    static func key(for identifier: String) -> String {
        keys.first { $0.identifier == identifier }?.key ?? identifier
    }

    /// The object identifier that a key stands for, in any letter case; an object identifier stands for itself.
    static func identifier(for key: String) -> String? {
        let wanted = key.lowercased()
        if let known = keys.first(where: { $0.key.lowercased() == wanted }) { return known.identifier }
        let numbers = key.split(separator: ".", omittingEmptySubsequences: false)
        guard numbers.count >= 2, key.utf8.count <= 100,
            numbers.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } })
        else { return nil }
        return key
    }

    /// The attributes of a text; nil when it is no distinguished name.
    static func parse(_ text: String) -> [Part]? {
        guard text.utf8.count <= DistinguishedName.maximumLength else { return nil }
        var reader = Reader(Array(text.utf8))
        return reader.parts()
    }

    /// Reads a text octet by octet; what separates is ASCII, so that the octets of other characters pass through.
    private struct Reader {
        private let text: [UInt8]
        private let separator: UInt8
        private var position = 0

        init(_ text: [UInt8]) {
            self.text = text
            separator = text.first == UInt8(ascii: "/") ? UInt8(ascii: "/") : UInt8(ascii: ",")
        }

        mutating func parts() -> [Part]? {
            var parts: [Part] = []
            var joins = false
            while true {
                let between = separator
                skip { $0 == between || $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
                guard position < text.count else { return parts.isEmpty || joins ? nil : parts }
                guard let identifier = key() else { return nil }
                guard let value = value() else { return nil }
                parts.append(Part(identifier: identifier, value: value, joins: joins))
                joins = position < text.count && text[position] == UInt8(ascii: "+")
                if joins { position += 1 }
            }
        }

        private mutating func skip(_ matches: (UInt8) -> Bool) {
            while position < text.count, matches(text[position]) { position += 1 }
        }

        /// What stands before the next `=`, which is passed over.
        private mutating func key() -> String? {
            guard let end = text[position...].firstIndex(of: UInt8(ascii: "=")) else { return nil }
            let key = String(decoding: text[position..<end], as: UTF8.self).trimmingSpaces()
            position = end + 1
            return DistinguishedNameSyntax.identifier(for: key)
        }

        /// The value up to the next separator, its escapes resolved.
        private mutating func value() -> [UInt8]? {
            skip { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            var value: [UInt8] = []
            // How much of it an escape or a quote protects from being trimmed.
            var kept = 0
            let isQuoted = position < text.count && text[position] == UInt8(ascii: "\"")
            if isQuoted { position += 1 }
            while position < text.count {
                let octet = text[position]
                if isQuoted, octet == UInt8(ascii: "\"") {
                    position += 1
                    skip { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
                    guard position == text.count || text[position] == separator || isPlus else { return nil }
                    return value
                }
                if !isQuoted, octet == separator || isPlus { break }
                if octet == UInt8(ascii: "\\"), let escaped = escape() {
                    value.append(escaped)
                    kept = value.count
                } else {
                    value.append(octet)
                    position += 1
                }
            }
            guard !isQuoted else { return nil }
            while value.count > kept, value.last == UInt8(ascii: " ") || value.last == UInt8(ascii: "\t") {
                value.removeLast()
            }
            return value
        }

        /// A `+` joins only where a key follows: names with a plus sign in them are older than sets are common.
        private var isPlus: Bool {
            guard text[position] == UInt8(ascii: "+") else { return false }
            let rest = text[(position + 1)...]
            guard let end = rest.firstIndex(of: UInt8(ascii: "=")) else { return false }
            let key = String(decoding: rest[..<end], as: UTF8.self).trimmingSpaces()
            return DistinguishedNameSyntax.identifier(for: key) != nil
        }

        /// The octet that the escape here stands for; nil for a backslash that is itself.
        private mutating func escape() -> UInt8? {
            guard position + 1 < text.count else { return nil }
            let next = text[position + 1]
            if "\\,+\"/= ".utf8.contains(next) {
                position += 2
                return next
            }
            guard next == UInt8(ascii: "x"), position + 3 < text.count,
                let octet: [UInt8] = Hex.decode(
                    String(decoding: text[(position + 2)...(position + 3)], as: UTF8.self)),
                octet.count == 1
            else { return nil }
            position += 4
            return octet[0]
        }
    }
}

extension DistinguishedName {
    /// Reads a name from text: `key=value` separated by commas, or by slashes if it begins with one.
    ///
    /// Keys are `C`, `ST`, `L`, `O`, `OU`, `CN`, `E`, `DC`, `UID`, `SN`, `serialNumber` and others, in any letter case,
    /// or dotted object identifiers. In a value a backslash takes away the meaning of a separator, a plus sign, a quote
    /// or a backslash, and `\x` stands before two hexadecimal digits; a value may stand between double quotes; a plus
    /// sign before another key makes a set. nil when the text is no distinguished name.
    public init?(text: String) {
        guard let parts = DistinguishedNameSyntax.parse(text) else { return nil }
        self.init(parts)
    }
}

extension DistinguishedName: CustomStringConvertible {
    /// Characters of a description at most; what is longer ends in `…`.
    public static let maximumDescription = 1024

    /// The name as ``init(text:)`` reads it. Characters that do not print are escaped, so that it may go into a log or
    /// onto a terminal.
    public var description: String {
        var text = ""
        var previous: Int?
        for attribute in attributes {
            if let previous { text += previous == attribute.relativeName ? " + " : ", " }
            previous = attribute.relativeName
            text += DistinguishedNameSyntax.key(for: attribute.identifier) + "="
            text += attribute.isText ? Self.shown(attribute.value) : "#" + Hex.encode(attribute.value)
            if text.count > Self.maximumDescription { return text.prefix(Self.maximumDescription) + "…" }
        }
        return text
    }

    /// A value with its escapes.
    private static func shown(_ value: [UInt8]) -> String {
        var text = ""
        let characters = Array(String(decoding: value, as: UTF8.self).unicodeScalars)
        for (index, character) in characters.enumerated() {
            let isOuter = index == 0 || index == characters.count - 1
            switch character {
            case "\\", ",", "\"": text += "\\\(character)"
            case "+" where characters[index...].contains("="): text += "\\+"
            case " " where isOuter: text += "\\ "
            default:
                if character.isPrintable {
                    text.unicodeScalars.append(character)
                } else {
                    for octet in String(character).utf8 { text += "\\x" + Hex.encode(CollectionOfOne(octet)) }
                }
            }
            if text.utf8.count > 4 * maximumDescription { break }
        }
        return text
    }
}

extension Unicode.Scalar {
    /// Whether it shows as itself: no control, no mark that turns the direction of writing, no character to come.
    fileprivate var isPrintable: Bool {
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }
}

extension String {
    fileprivate func trimmingSpaces() -> String {
        var rest = self[...]
        while rest.first == " " || rest.first == "\t" { rest.removeFirst() }
        while rest.last == " " || rest.last == "\t" { rest.removeLast() }
        return String(rest)
    }
}
