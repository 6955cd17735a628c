/// Reads files in swanctl.conf's grammar, with the files that they include, into a ``SettingsTree``.
///
/// It owns the grammar, and limits on how much it reads. After a mistake it goes on with the next line, so that one
/// reading finds all mistakes.
struct Parser {
    /// Bounds that no sensible configuration meets, and that keep a wrong one from taking the machine's memory.
    enum Limit {
        static let includeDepth = 16
        static let files = 10_000
        static let octets = 64 << 20
        static let sectionDepth = 32
        static let sections = 500_000
    }

    private let source: any FileSource
    private let diagnostics: DiagnosticCollector
    private var octetsRead = 0
    /// What was read.
    private(set) var tree: SettingsTree
    /// The files that were read, in order.
    private(set) var files: [String] = []
    /// Those of them that do not follow the grammar.
    private(set) var brokenFiles: Set<String> = []
    /// Those of them that are included in a section of secrets.
    private(set) var filesOfSecrets: Set<String> = []
    private var sectionsOfSecrets: Set<Int> = []
    /// Whether a word of the current file may be a secret that went astray: no message quotes it.
    private var isDiscreet = false

    init(_ path: String, source: any FileSource, diagnostics: DiagnosticCollector) {
        self.source = source
        self.diagnostics = diagnostics
        tree = SettingsTree(file: path)
        read(path, into: SettingsTree.root, includedFrom: [], at: SourceLocation(file: path, line: 1, column: 1))
    }

    /// Reads one file into a section.
    private mutating func read(
        _ path: String, into section: Int, includedFrom outer: [String], at location: SourceLocation
    ) {
        guard !outer.contains(path) else {
            return diagnostics.error(
                location, "'\(path)' includes itself", remedy: "remove the include that closes the circle")
        }
        guard outer.count < Limit.includeDepth else {
            return diagnostics.error(
                location, "files include each other deeper than \(Limit.includeDepth)",
                remedy: "include them from one file, side by side")
        }
        guard files.count < Limit.files else {
            return diagnostics.error(
                location, "more than \(Limit.files) files are included", remedy: "put several into one")
        }
        do {
            let octets = try source.contents(of: path)
            octetsRead += octets.count
            guard octetsRead <= Limit.octets else {
                return diagnostics.error(
                    location, "the files have more than \(Limit.octets >> 20) MiB",
                    remedy: "check that they are configuration files")
            }
            files.append(path)
            let before = isDiscreet
            isDiscreet = sectionsOfSecrets.contains(section)
            if isDiscreet { filesOfSecrets.insert(path) }
            defer { isDiscreet = before }
            parse(Lexer(octets, file: path), into: section, chain: outer + [path])
        } catch {
            diagnostics.error(
                location, "'\(path)' can't be read: \(error)", remedy: "check the name and who may read it")
        }
    }

    private mutating func parse(_ start: Lexer, into section: Int, chain: [String]) {
        var lexer = start
        var open = [section]
        var pushedBack: Lexer.Token?
        while true {
            let token = pushedBack ?? lexer.next()
            pushedBack = nil
            let current = open[open.count - 1]
            switch token.kind {
            case .newline: continue
            case .end:
                if open.count > 1 {
                    let unclosed = tree.nodes[current]
                    mistake(
                        token.location,
                        "section \(quoted(unclosed.name, or: "of secrets")), opened at \(unclosed.location), is not closed",
                        remedy: "add a }")
                }
                return
            case .closeBrace:
                if open.count > 1 {
                    open.removeLast()
                } else {
                    mistake(token.location, "this } closes nothing", remedy: "remove it")
                }
            case .name(let octets):
                if octets.elementsEqual("include".utf8), lexer.isBeforePath() {
                    include(&lexer, into: current, chain: chain)
                } else if let name = text(octets, token.location) {
                    pushedBack = statement(name, token.location, &lexer, &open)
                } else {
                    lexer.skipLine()
                }
            case .invalid(let what):
                mistake(
                    token.location, what, remedy: "write 'name = value' or 'name { }', and check that it is a text file"
                )
                lexer.skipLine()
            case .openBrace, .colon, .comma, .dot, .equals:
                mistake(
                    token.location, "a name is missing here", remedy: "write 'name = value' or 'name { }'")
                // A brace without a name still has its end.
                if token.kind == .openBrace {
                    descend(into: "?", token.location, [], &open)
                } else {
                    lexer.skipLine()
                }
            }
        }
    }

    /// The rest of `name = value`, `name { … }` or `name : references { … }`; a token that is not part of it is given
    /// back.
    private mutating func statement(
        _ name: String, _ location: SourceLocation, _ lexer: inout Lexer, _ open: inout [Int]
    ) -> Lexer.Token? {
        var token = lexer.next()
        if token.kind == .equals {
            do {
                let value = try lexer.value()
                if let cut = value.cut {
                    diagnostics.warning(
                        cut, "this # begins a comment and ends the value of \(quoted(name, or: "this key"))",
                        remedy: "quote the value if # belongs to it, else put a blank before #")
                }
                tree.set(.init(name: name, value: value.octets, location: location), in: open[open.count - 1])
            } catch {
                // The quote has swallowed the rest of the file, and every brace in it.
                mistake(error)
                open.removeSubrange(1...)
            }
            return nil
        }
        var references: [SettingsTree.Reference] = []
        if token.kind == .colon {
            guard let (list, next) = readReferences(&lexer) else { return nil }
            references = list
            token = next
        }
        while token.kind == .newline { token = lexer.next() }
        if token.kind == .openBrace {
            descend(into: name, location, references, &open)
            return nil
        }
        if token.kind == .dot {
            mistake(
                token.location, "'.' can't be part of a key",
                remedy: "write nested sections: \(isDiscreet ? "name" : name) { … }")
            lexer.skipLine()
            return nil
        }
        mistake(
            location, "\(quoted(name)) is neither a setting nor a section",
            remedy: isDiscreet ? "write 'name = value' or 'name { … }'" : "write '\(name) = value' or '\(name) { … }'")
        return token
    }

    private mutating func descend(
        into name: String, _ location: SourceLocation, _ references: [SettingsTree.Reference], _ open: inout [Int]
    ) {
        if open.count > Limit.sectionDepth || tree.nodes.count > Limit.sections {
            diagnostics.error(
                location, "more than \(Limit.sections) sections, or sections deeper than \(Limit.sectionDepth)",
                remedy: "check that every { has its }")
            // Go on in the same section, so that the braces still match.
            open.append(open[open.count - 1])
            return
        }
        let section = tree.open(name, in: open[open.count - 1], at: location)
        tree.refer(references, from: section)
        if name == "secrets" || sectionsOfSecrets.contains(open[open.count - 1]) {
            sectionsOfSecrets.insert(section)
            isDiscreet = true
        }
        open.append(section)
    }

    /// References up to the token behind them; nil after a mistake, which has been reported.
    private mutating func readReferences(
        _ lexer: inout Lexer
    ) -> (references: [SettingsTree.Reference], next: Lexer.Token)? {
        var references: [SettingsTree.Reference] = []
        var path: [String] = []
        var start: SourceLocation?
        while true {
            let token = lexer.next()
            guard case .name(let octets) = token.kind, let name = text(octets, token.location) else {
                mistake(
                    token.location, "a section's name is missing behind ':', '.' or ','",
                    remedy: "write 'name : other.section { }'")
                lexer.skipLine()
                return nil
            }
            path.append(name)
            start = start ?? token.location
            let sign = lexer.next()
            if sign.kind == .dot { continue }
            references.append(.init(path: path, location: start ?? token.location))
            path = []
            start = nil
            if sign.kind != .comma { return (references, sign) }
        }
    }

    private mutating func include(_ lexer: inout Lexer, into section: Int, chain: [String]) {
        let location = lexer.location
        do {
            guard let octets = try lexer.value().octets, let pattern = text(octets, location), !pattern.isEmpty else {
                return
            }
            let directory = FilePath.directory(of: chain.last ?? "")
            let resolved = FilePath.resolve(pattern, in: directory)
            do {
                let paths = try source.glob(resolved)
                if paths.isEmpty, resolved.contains(where: { "*?[".contains($0) }) {
                    diagnostics.note(location, "no file matches '\(resolved)'; nothing is included")
                } else if paths.isEmpty {
                    diagnostics.warning(
                        location, "there is no file '\(resolved)'; nothing is included",
                        remedy: "correct the name, or write one with a * where there may be none")
                }
                for path in paths { read(path, into: section, includedFrom: chain, at: location) }
            } catch {
                diagnostics.error(
                    location, "'\(resolved)' can't be looked up: \(error)",
                    remedy: "check the directory and who may read it")
            }
        } catch {
            mistake(error)
        }
    }

    private mutating func mistake(_ location: SourceLocation, _ message: String, remedy: String) {
        mistake(Diagnostic(.error, location, message, remedy: remedy))
    }

    private mutating func mistake(_ diagnostic: Diagnostic) {
        brokenFiles.insert(diagnostic.location.file)
        diagnostics.add(diagnostic)
    }

    /// A word as messages quote it.
    private func quoted(_ word: String, or other: String = "this word") -> String {
        isDiscreet && !KnownKeys.isPlainAmongSecrets(word) ? other : "'\(word)'"
    }

    private mutating func text(_ octets: [UInt8], _ location: SourceLocation) -> String? {
        guard let text = String(validating: octets, as: UTF8.self) else {
            mistake(
                location, "these octets are not UTF-8", remedy: "save the file as UTF-8 text")
            return nil
        }
        return text
    }
}
