import WireFormat

/// A configuration as somebody else may see it, whatever mistakes it has.
///
/// It owns what of each file is shown. It never decides that a configuration is right, and needs no right one.
public struct RedactedConfiguration {
    /// A file that was read.
    public struct File: Hashable, Sendable {
        /// Its path.
        public let path: String
        /// Its lines at their places, without comments and without what may be a secret.
        public let text: String
        /// Whether it follows the grammar. Of one that does not, only names and whose secrets there are is shown.
        public let isWhole: Bool
    }

    /// The files, in the order in which they are read.
    public private(set) var files: [File] = []
    /// What was left out and may be a secret, as it stands there and as it is used: to be looked for elsewhere.
    public private(set) var secrets: [[UInt8]] = []

    /// Reads the file at `path` and all that it includes.
    public init(path: String, source: any FileSource) {
        let parser = Parser(path, source: source, diagnostics: DiagnosticCollector())
        var seen: Set<String> = []
        for file in parser.files where seen.insert(file).inserted {
            guard let octets = try? source.contents(of: file) else { continue }
            let isWhole = !parser.brokenFiles.contains(file)
            var redaction = FileRedaction(isWhole: isWhole, isOfSecrets: parser.filesOfSecrets.contains(file))
            redaction.read(Lexer(octets, file: file))
            files.append(File(path: file, text: redaction.text, isWhole: isWhole))
            secrets += redaction.secrets
        }
        if files.isEmpty { files = [File(path: path, text: "(can't be read)", isWhole: false)] }
    }
}

/// Takes one file apart as ``Parser`` does, and keeps what may be shown.
struct FileRedaction {
    /// Keys whose values nobody else may see, wherever they stand.
    private static let keys = ["secret", "pin", "password", "psk", "passphrase"]
    private static let removed = "(removed)"
    /// What names the parts of a distinguished name.
    private static let nameTypes: Set<String> = [
        "C", "ST", "L", "O", "OU", "CN", "DC", "E", "S", "G", "T", "N", "I", "UID", "SN", "serialNumber",
        "emailAddress",
    ]

    private let isWhole: Bool
    /// For each open section, the file's own level first, whether it holds secrets.
    private var open: [Bool]
    private var line = 1
    /// Whether the last statement was none, or a secret without its value: what follows may be that.
    private var isBehindGap = false
    private(set) var text = ""
    private(set) var secrets: [[UInt8]] = []

    init(isWhole: Bool, isOfSecrets: Bool) {
        self.isWhole = isWhole
        open = [isOfSecrets]
    }

    private var isAmongSecrets: Bool { open.last ?? false }

    mutating func read(_ start: Lexer) {
        var lexer = start
        var pushedBack: Lexer.Token?
        while true {
            let token = pushedBack ?? lexer.next()
            pushedBack = nil
            switch token.kind {
            case .newline: continue
            case .end: return
            case .closeBrace:
                if open.count > 1 { open.removeLast() }
                put("}", token)
                isBehindGap = false
            case .openBrace: enter(Self.removed, isOfSecrets: isAmongSecrets, token)
            case .name(let octets):
                let name = String(decoding: octets, as: UTF8.self)
                if name == "include", lexer.isBeforePath() {
                    include(&lexer, token)
                } else {
                    pushedBack = statement(name, token, &lexer)
                }
            default: skip(&lexer, token)
            }
        }
    }

    private mutating func statement(_ name: String, _ start: Lexer.Token, _ lexer: inout Lexer) -> Lexer.Token? {
        var token = lexer.next()
        if token.kind == .equals {
            let before = lexer
            guard let value = try? lexer.value() else {
                // A quote without its end: what follows on other lines is looked at by itself.
                lexer = before
                skip(&lexer, start)
                return nil
            }
            setting(name, value.octets, start)
            return nil
        }
        var references: [String] = []
        if token.kind == .colon {
            token = lexer.next()
            while case .name(let octets) = token.kind {
                references.append(String(decoding: octets, as: UTF8.self))
                token = lexer.next()
                if token.kind == .dot || token.kind == .comma {
                    references.append(token.kind == .dot ? "." : ", ")
                    token = lexer.next()
                }
            }
        }
        while token.kind == .newline { token = lexer.next() }
        guard token.kind == .openBrace else {
            put(Self.removed, start)
            for word in [name] + references { keep(word) }
            isBehindGap = true
            return token
        }
        let isOfSecrets = isAmongSecrets || name == "secrets"
        let isShown = !isBehindGap && (!isAmongSecrets || KnownKeys.isPlainAmongSecrets(name))
        if !isShown { keep(name) }
        if isAmongSecrets { for word in references { keep(word) } }
        let list = isWhole && !isAmongSecrets && !references.isEmpty ? " : " + references.joined() : ""
        enter((isShown ? name : Self.removed) + list, isOfSecrets: isOfSecrets, start)
        return nil
    }

    private mutating func include(_ lexer: inout Lexer, _ token: Lexer.Token) {
        let path = (try? lexer.value())?.octets.map { String(decoding: $0, as: UTF8.self) } ?? ""
        let first = Self.firstWord(path)
        let isPath = !isAmongSecrets || first.contains { "./*".contains($0) }
        if !isPath || first != path { keepWords(path) }
        put("include " + (isPath ? first : Self.removed), token)
    }

    private mutating func enter(_ name: String, isOfSecrets: Bool, _ token: Lexer.Token) {
        put(name + " {", token)
        open.append(isOfSecrets)
        isBehindGap = false
    }

    private mutating func setting(_ name: String, _ octets: [UInt8]?, _ start: Lexer.Token) {
        let value = octets.map { String(decoding: $0, as: UTF8.self) } ?? ""
        let isKnown = isAmongSecrets ? KnownKeys.isPlainAmongSecrets(name) : KnownKeys.isSetting(name)
        let isOfSecret = !KnownKeys.isSetting(name) && Self.isNearSecret(name) || Self.keys.contains(name)
        let isStray = isBehindGap && !isKnown
        isBehindGap = isOfSecret && octets == nil
        if isStray {
            keep(name)
            // What ends with = looks like a key.
            keep(name + "=" + value)
        }
        if isAmongSecrets, !isKnown, !isOfSecret { keep(name) }
        let key = isKnown || !isStray && (isOfSecret || isWhole && !isAmongSecrets) ? name : Self.removed
        if isOfSecret || isStray || isAmongSecrets && !Self.isOwner(name) {
            keep(octets ?? [])
            return put(octets == nil ? "\(key) =" : "\(key) = \(Self.removed)", start)
        }
        if Self.isOwner(name) {
            let shown = Self.owner(value)
            if shown != value { keepWords(value) }
            return put("\(key) = \(shown)", start)
        }
        guard isWhole else { return put("\(key) = \(Self.removed)", start) }
        put("\(key) = \(withoutSecrets(value))", start)
    }

    /// Passes over the rest of a line that nobody understands.
    private mutating func skip(_ lexer: inout Lexer, _ token: Lexer.Token) {
        keepWords(String(decoding: lexer.restOfLine, as: UTF8.self))
        lexer.skipLine()
        put(Self.removed, token)
        isBehindGap = true
    }

    // MARK: What may be shown

    /// `id`, `id-1`, `file`: whose a secret is.
    private static func isOwner(_ name: String) -> Bool {
        name == "file" || name.hasPrefix("id") && KnownKeys.isPlainAmongSecrets(name)
    }

    /// An identity or a file; not what has got behind it because a value ends with its line.
    private static func owner(_ value: String) -> String {
        let pieces = value.split(separator: ",", omittingEmptySubsequences: false)
        let isName = pieces.allSatisfy { piece in
            let sides = piece.split(separator: "=", omittingEmptySubsequences: false)
            guard sides.count == 2, !sides[1].contains(where: \.isNewline) else { return false }
            return nameTypes.contains(String(sides[0].drop { $0 == " " }))
        }
        if isName { return value }
        let first = firstWord(value)
        if first.contains("=") { return removed }
        return first == value ? value : "\(first) \(removed)"
    }

    private static func firstWord(_ text: String) -> String { String(text.prefix { !$0.isWhitespace }) }

    /// Whether the word is one of those keys, contains one, or is meant to be one.
    private static func isNearSecret(_ word: String) -> Bool {
        let lower = word.lowercased()
        if keys.contains(where: { $0.count > 3 && lower.contains($0) || lower == $0 }) { return true }
        return keys.contains { $0.count > 3 && EditDistance.between(lower, $0) <= 2 }
    }

    /// A value up to where a setting of a secret follows on the same line.
    private mutating func withoutSecrets(_ value: String) -> String {
        let words = value.split(whereSeparator: \.isWhitespace).map(String.init)
        let place = words.indices.first { index in
            let (word, next) = (words[index], index + 1 < words.count ? words[index + 1] : "")
            guard word.contains("=") || next.hasPrefix("=") else { return false }
            return Self.isNearSecret(String(word.prefix { $0 != "=" }))
        }
        guard let place else { return words.joined(separator: " ") }
        for word in words[place...] { keepWords(word) }
        return (words[..<place] + [Self.removed]).joined(separator: " ")
    }

    // MARK: What was left out

    private mutating func keepWords(_ text: String) {
        for word in text.split(whereSeparator: { $0.isWhitespace || $0 == "\"" }) { keep(String(word)) }
        for word in text.split(whereSeparator: { $0.isWhitespace || "\"={}:;,#".contains($0) }) { keep(String(word)) }
    }

    private mutating func keep(_ word: String) {
        if !KnownKeys.isPlainAmongSecrets(word), !KnownKeys.isSetting(word), KnownKeys.root.section(word) == nil,
            !["local", "remote", "children"].contains(word)
        {
            keep(Array(word.utf8))
        }
    }

    private mutating func keep(_ octets: [UInt8]) {
        guard octets.count >= 4 else { return }
        secrets.append(octets)
        if let used = try? SecretSyntax.octets(octets).exposedBytes(), used != octets { secrets.append(used) }
        // A quote that ends on a later line has taken in more than the secret.
        let value = String(decoding: octets, as: UTF8.self)
        if value.contains(where: \.isNewline) { keepWords(value) }
    }

    private mutating func put(_ words: String, _ token: Lexer.Token) {
        let isNewLine = line < token.location.line || text.isEmpty
        while line < token.location.line {
            text += "\n"
            line += 1
        }
        let margin = String(repeating: "  ", count: open.count - 1)
        text += isNewLine ? margin + words : " " + words
    }
}
