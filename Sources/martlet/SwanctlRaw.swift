import ViciMessages
import WireFormat

/// Messages of the control protocol as strongSwan's swanctl prints them for `--raw` and `--pretty`.
enum SwanctlRaw {
    /// On one line.
    case line
    /// Indented, a line for each value.
    case indented

    /// A message, named: `list-sa event {hq {…}}`.
    func text(_ name: String, _ tree: ViciTree) -> String {
        switch self {
        case .line: "\(name) \(Self.line(tree))"
        case .indented: (["\(name) {"] + Self.lines(tree, "  ") + ["}"]).joined(separator: "\n")
        }
    }

    private static func line(_ tree: ViciTree) -> String {
        let parts = tree.entries.map { entry in
            switch entry.element {
            case .value(let octets): "\(entry.name)=\(value(octets))"
            case .list(let items): "\(entry.name)=[\(items.map(value).joined(separator: " "))]"
            case .section(let inner): "\(entry.name) \(line(inner))"
            case .secret(let secret): "\(entry.name)=\(secret)"
            }
        }
        return "{\(parts.joined(separator: " "))}"
    }

    private static func lines(_ tree: ViciTree, _ margin: String) -> [String] {
        tree.entries.flatMap { entry in
            switch entry.element {
            case .value(let octets): ["\(margin)\(entry.name) = \(value(octets))"]
            case .list(let items):
                ["\(margin)\(entry.name) = ["] + items.map { "\(margin)  \(value($0))" } + ["\(margin)]"]
            case .section(let inner):
                ["\(margin)\(entry.name) {"] + lines(inner, margin + "  ") + ["\(margin)}"]
            case .secret(let secret): ["\(margin)\(entry.name) = \(secret)"]
            }
        }
    }

    /// As text where all of it can be printed, else in hexadecimal digits.
    private static func value(_ octets: [UInt8]) -> String {
        octets.allSatisfy { (0x20...0x7e).contains($0) }
            ? String(decoding: octets, as: UTF8.self) : "0x" + Hex.encode(octets)
    }
}
