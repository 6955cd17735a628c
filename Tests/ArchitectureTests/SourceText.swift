/// Swift source with comments and string contents blanked out, so that a word in prose is not taken for code.
///
/// It owns the lexing: line and nested block comments, plain, multi-line and raw strings, and interpolation, whose
/// inside is code again. Lines keep their numbers. It does not know regular-expression literals, and never parses.
struct SourceText {
    /// The code, line by line.
    let lines: [String]

    init(_ source: String) {
        var lexer = Lexer(Array(source))
        lines = lexer.run().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// The modules that the file imports, each with its line number.
    var imports: [(line: Int, module: String)] {
        let statement =
            #/(?:^|;)\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+(?:(?:struct|class|enum|protocol|typealias|func|var|let)\s+)?(\w+)/#
        return lines.enumerated().flatMap { index, line in
            line.matches(of: statement).map { (index + 1, String($0.output.1)) }
        }
    }
}

private struct Lexer {
    private let input: [Character]
    private var position = 0
    private var output = ""

    init(_ input: [Character]) { self.input = input }

    mutating func run() -> String {
        code(untilClosingParenthesis: false)
        return output
    }

    private func at(_ text: String) -> Bool {
        var index = position
        for character in text {
            guard index < input.count, input[index] == character else { return false }
            index += 1
        }
        return true
    }

    /// Copies `count` characters, or leaves a blank (or the line break) in place of each.
    private mutating func take(_ count: Int, blank: Bool) {
        for _ in 0..<count where position < input.count {
            let character = input[position]
            output.append(blank && !character.isNewline ? " " : character)
            position += 1
        }
    }

    private mutating func code(untilClosingParenthesis: Bool) {
        var depth = 0
        while position < input.count {
            if at("//") {
                while position < input.count, !input[position].isNewline { take(1, blank: true) }
            } else if at("/*") {
                blockComment()
            } else if let hashes = openingQuote() {
                string(hashes: hashes)
            } else {
                if at("(") { depth += 1 }
                if at(")") {
                    if untilClosingParenthesis && depth == 0 { return }
                    depth -= 1
                }
                take(1, blank: false)
            }
        }
    }

    private mutating func blockComment() {
        var depth = 0
        repeat {
            if at("/*") {
                depth += 1
                take(2, blank: true)
            } else if at("*/") {
                depth -= 1
                take(2, blank: true)
            } else {
                take(1, blank: true)
            }
        } while depth > 0 && position < input.count
    }

    /// The number of `#` before a quote that starts here; nil when no string starts here.
    private func openingQuote() -> Int? {
        var index = position
        while index < input.count, input[index] == "#" { index += 1 }
        return index < input.count && input[index] == "\"" ? index - position : nil
    }

    private mutating func string(hashes: Int) {
        take(hashes, blank: true)
        let quote = at("\"\"\"") ? "\"\"\"" : "\""
        let fence = String(repeating: "#", count: hashes)
        take(quote.count, blank: false)
        while position < input.count {
            if at(quote + fence) {
                take(quote.count, blank: false)
                take(hashes, blank: true)
                return
            } else if at("\\" + fence + "(") {
                take(1 + hashes, blank: true)
                take(1, blank: false)
                code(untilClosingParenthesis: true)
                take(1, blank: false)
            } else if at("\\" + fence) {
                take(2 + hashes, blank: true)
            } else if quote.count == 1, input[position].isNewline {
                return
            } else {
                take(1, blank: true)
            }
        }
    }
}
