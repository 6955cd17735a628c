/// The targets that a Package.swift declares.
///
/// It reads the text of the manifest: `swift package` inside `swift test` would wait for the build's own lock. It knows
/// the declarations that the manifest uses (`floor`, `tests`, and SwiftPM's own) and nothing else; a target that it
/// missed shows as a folder without a target.
struct Manifest {
    /// One target.
    struct Target: Equatable {
        enum Kind { case library, executable, test }
        var name: String
        var kind: Kind
        /// Targets and modules of packages, by name.
        var dependencies: [String]
        /// The folder, from the root of the package.
        var path: String
    }

    /// In the order of the manifest.
    let targets: [Target]

    init(_ text: String) {
        let code = SourceText.withoutComments(text)
        guard let start = code.firstRange(of: "\n    targets: [") else {
            targets = []
            return
        }
        let body = code[start.upperBound...]
        let products = Self.products(code)
        targets = Self.declarations.flatMap { word, kind in
            Self.calls(of: word, in: body).compactMap { Self.target($0, kind, products) }
        }
    }

    private static let declarations: [(String, Target.Kind)] = [
        ("floor(", .library), (".target(", .library), (".executableTarget(", .executable), ("tests(", .test),
        (".testTarget(", .test),
    ]

    /// Names that the manifest gives to products of packages.
    private static func products(_ code: String) -> [String: String] {
        var found: [String: String] = [:]
        for match in code.matches(of: #/let (\w+) = Target\.Dependency\.product\(name: "(\w+)"/#) {
            found[String(match.output.1)] = String(match.output.2)
        }
        return found
    }

    /// The arguments of every call of `word`.
    private static func calls(of word: String, in body: Substring) -> [Substring] {
        body.ranges(of: word).compactMap { range in
            if let before = body[..<range.lowerBound].last, before.isLetter { return nil }
            var depth = 1
            var index = range.upperBound
            while index < body.endIndex {
                if "([".contains(body[index]) { depth += 1 }
                if ")]".contains(body[index]) { depth -= 1 }
                if depth == 0 { return body[range.upperBound..<index] }
                index = body.index(after: index)
            }
            return nil
        }
    }

    private static func target(_ arguments: Substring, _ kind: Target.Kind, _ products: [String: String]) -> Target? {
        let parts = split(arguments)
        func value(_ label: String) -> Substring? {
            parts.first { $0.hasPrefix(label + ":") }?.dropFirst(label.count + 1)
        }
        let unlabelled = parts.filter { $0.hasPrefix("\"") || $0.hasPrefix("[") }
        guard let name = (value("name") ?? unlabelled.first).map(unquoted), !name.isEmpty else { return nil }
        let list = value("dependencies") ?? unlabelled.dropFirst().first ?? ""
        let inside = list.drop { $0 != "[" }.dropFirst().prefix { $0 != "]" }
        let dependencies = split(inside).map { entry in
            if entry.hasPrefix("\"") { return unquoted(entry) }
            if let named = entry.firstMatch(of: #/name:\s*"(\w+)"/#) { return String(named.output.1) }
            return products[String(entry)] ?? String(entry)
        }
        let folder = kind == .test ? "Tests" : "Sources"
        return Target(
            name: name, kind: kind, dependencies: dependencies,
            path: value("path").map(unquoted) ?? "\(folder)/\(name)")
    }

    /// Splits at the commas that stand in no bracket.
    private static func split(_ text: Substring) -> [Substring] {
        var parts: [Substring] = []
        var depth = 0
        var start = text.startIndex
        for index in text.indices {
            if "([".contains(text[index]) { depth += 1 }
            if ")]".contains(text[index]) { depth -= 1 }
            if text[index] == ",", depth == 0 {
                parts.append(text[start..<index])
                start = text.index(after: index)
            }
        }
        parts.append(text[start...])
        return parts.map(trimmed).filter { !$0.isEmpty }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop(while: \.isWhitespace)
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text
    }

    private static func unquoted(_ text: Substring) -> String {
        String(trimmed(text).filter { $0 != "\"" })
    }
}

extension SourceText {
    /// The text with whole-line comments blanked; enough for a manifest, whose strings matter.
    static func withoutComments(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.drop(while: \.isWhitespace).hasPrefix("//") ? "" : String($0) }
            .joined(separator: "\n")
    }
}
