/// Cuts a configuration file into tokens.
///
/// It owns the position in one file's octets. It never fails: what it cannot read becomes a token that says why, and it
/// goes on behind it.
struct Lexer {
    /// What a token is.
    enum Kind: Equatable {
        case name([UInt8])
        case openBrace
        case closeBrace
        case colon
        case comma
        case dot
        case equals
        case newline
        case end
        case invalid(String)
    }

    /// A token and where it begins.
    struct Token {
        let kind: Kind
        let location: SourceLocation
    }

    private let file: String
    private let octets: [UInt8]
    private var position = 0
    private var line = 1
    private var column = 1

    init(_ octets: [UInt8], file: String) {
        self.octets = octets
        self.file = file
        // A byte order mark says nothing.
        if octets.starts(with: [0xef, 0xbb, 0xbf]) { position = 3 }
    }

    /// Where the next octet stands.
    var location: SourceLocation { SourceLocation(file: file, line: line, column: column) }

    /// The octets up to the end of the line.
    var restOfLine: ArraySlice<UInt8> { octets[position...].prefix { $0 != UInt8(ascii: "\n") } }

    private var current: UInt8? { position < octets.count ? octets[position] : nil }

    private mutating func advance() {
        guard position < octets.count else { return }
        let octet = octets[position]
        position += 1
        if octet == UInt8(ascii: "\n") {
            line += 1
            column = 1
        } else if octet & 0xc0 != 0x80 {
            // Octets that continue a character of UTF-8 take no column of their own.
            column += 1
        }
    }

    private mutating func skipBlanks() {
        while let octet = current {
            if octet == UInt8(ascii: "#") {
                while let inComment = current, inComment != UInt8(ascii: "\n") { advance() }
            } else if octet == UInt8(ascii: " ") || octet == UInt8(ascii: "\t") || octet == UInt8(ascii: "\r") {
                advance()
            } else {
                return
            }
        }
    }

    /// The next token of the structure: a name or a sign.
    mutating func next() -> Token {
        skipBlanks()
        let start = location
        guard let octet = current else { return Token(kind: .end, location: start) }
        let sign: Kind? =
            switch octet {
            case UInt8(ascii: "{"): .openBrace
            case UInt8(ascii: "}"): .closeBrace
            case UInt8(ascii: ":"): .colon
            case UInt8(ascii: ","): .comma
            case UInt8(ascii: "."): .dot
            case UInt8(ascii: "="): .equals
            case UInt8(ascii: "\n"): .newline
            case UInt8(ascii: "\""): .invalid("a quote where a name should be")
            default: nil
            }
        if let sign {
            advance()
            return Token(kind: sign, location: start)
        }
        var name: [UInt8] = []
        while let octet = current, Self.mayBeInName(octet) {
            name.append(octet)
            advance()
        }
        if let control = name.first(where: { $0 < 0x20 || $0 == 0x7f }) {
            return Token(kind: .invalid("octet \(control) in a name"), location: start)
        }
        return Token(kind: .name(name), location: start)
    }

    private static func mayBeInName(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "#"), UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: ":"), UInt8(ascii: "."),
            UInt8(ascii: ","), UInt8(ascii: "="), UInt8(ascii: "\""), 0x09, 0x0a, 0x0d, 0x20:
            false
        default: true
        }
    }

    /// A value up to the end of its line, or to the brace that closes its section: parts, bare or quoted, joined by
    /// one space.
    mutating func value() throws(Diagnostic) -> Value {
        skipBlanks()
        var parts: [[UInt8]] = []
        var cut: SourceLocation?
        while let octet = current, octet != UInt8(ascii: "\n"), octet != UInt8(ascii: "}") {
            parts.append(octet == UInt8(ascii: "\"") ? try quoted() : bare())
            if current == UInt8(ascii: "#") { cut = location }
            skipBlanks()
        }
        return Value(octets: parts.isEmpty ? nil : Array(parts.joined(separator: [UInt8(ascii: " ")])), cut: cut)
    }

    /// A value; nil octets when there is none.
    struct Value {
        let octets: [UInt8]?
        /// Where a comment begins that touches the value, so that the `#` may have been meant to be part of it.
        let cut: SourceLocation?
    }

    private mutating func bare() -> [UInt8] {
        var part: [UInt8] = []
        while let octet = current, !Self.endsBare(octet) {
            part.append(octet)
            advance()
        }
        return part
    }

    private static func endsBare(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "#"), UInt8(ascii: "}"), UInt8(ascii: "\""), 0x09, 0x0a, 0x0d, 0x20: true
        default: false
        }
    }

    private mutating func quoted() throws(Diagnostic) -> [UInt8] {
        let start = location
        var part: [UInt8] = []
        advance()
        while let octet = current {
            advance()
            switch octet {
            case UInt8(ascii: "\""): return part
            case UInt8(ascii: "\\"):
                guard let escaped = current else { break }
                advance()
                switch escaped {
                case UInt8(ascii: "n"): part.append(0x0a)
                case UInt8(ascii: "r"): part.append(0x0d)
                case UInt8(ascii: "t"): part.append(0x09)
                case 0x0a: break
                case 0x0d:
                    if current == 0x0a { advance() }
                default: part.append(escaped)
                }
            default: part.append(octet)
            }
        }
        throw Diagnostic(.error, start, "a quoted text does not end", remedy: "close it with \"")
    }

    /// Whether a path follows, and neither a value nor a section: what makes `include` a statement.
    mutating func isBeforePath() -> Bool {
        guard let blank = current, blank == UInt8(ascii: " ") || blank == UInt8(ascii: "\t") else { return false }
        skipBlanks()
        guard let octet = current else { return false }
        return octet != UInt8(ascii: "=") && octet != UInt8(ascii: "{") && octet != UInt8(ascii: "\n")
            && octet != UInt8(ascii: ":")
    }

    /// Passes over the rest of the line.
    mutating func skipLine() {
        while let octet = current, octet != UInt8(ascii: "\n") { advance() }
    }
}
