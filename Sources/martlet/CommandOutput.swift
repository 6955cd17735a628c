import ArgumentParser
import Foundation
import ViciMessages
import WireFormat

/// A value as JSON has it.
///
/// It owns no meaning: commands put together what they tell.
enum JSONValue: Encodable, Equatable, ExpressibleByStringLiteral {
    case text(String)
    case number(Double)
    case truth(Bool)
    case list([JSONValue])
    case object([String: JSONValue])
    case null

    init(_ text: String?) { self = text.map { .text($0) } ?? .null }

    init(_ texts: [String]) { self = .list(texts.map { .text($0) }) }

    init(stringLiteral value: String) { self = .text(value) }

    /// A message of the control protocol; octets that are no text are replaced.
    init(_ tree: ViciTree) {
        var fields: [String: JSONValue] = [:]
        for entry in tree.entries {
            switch entry.element {
            case .value(let octets): fields[entry.name] = .text(String(decoding: octets, as: UTF8.self))
            case .list(let items): fields[entry.name] = Self(items.map { String(decoding: $0, as: UTF8.self) })
            case .section(let inner): fields[entry.name] = Self(inner)
            case .secret(let secret): fields[entry.name] = .text(secret.description)
            }
        }
        self = .object(fields)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .text(let text): try container.encode(text)
        case .number(let number):
            if let whole = Int64(exactly: number) { try container.encode(whole) } else { try container.encode(number) }
        case .truth(let truth): try container.encode(truth)
        case .list(let items): try container.encode(items)
        case .object(let fields): try container.encode(fields)
        case .null: try container.encodeNil()
        }
    }
}

extension JSONValue {
    /// On one line.
    func line() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}

/// `--json`, the same for every command that tells how it went.
struct OutputFormat: ParsableArguments {
    @Flag(help: "Print JSON, for programs.") var json = false

    /// Tells programs an object, and people lines.
    func tell(_ fields: [String: JSONValue], _ lines: [String]) throws {
        if json { print(try Status.json(JSONValue.object(fields))) } else { for line in lines { print(line) } }
    }

    /// Warns people, beside what a command prints; programs have it among the fields.
    func warn(_ warnings: [String]) {
        if json { return }
        for warning in warnings { FileHandle.standardError.write(Data("Warning: \(warning)\n".utf8)) }
    }
}

extension CommandFailure {
    /// An object with `error` for programs, and its `code` beside it where there is one.
    func json() -> JSONValue {
        var fields: [String: JSONValue] = ["error": .text(description)]
        if let code = description.firstMatch(of: #/\bE-[A-Z0-9-]+/#) { fields["code"] = .text(String(code.output)) }
        return .object(fields)
    }
}
