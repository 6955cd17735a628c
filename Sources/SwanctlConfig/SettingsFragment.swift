public import WireFormat

/// Settings that come without a file, piece by piece: what a control client loads.
///
/// It owns their form: as in a file, but lists stand as lists, and contents stand where a file would name files. What the
/// keys mean is the same readers' business as ever.
public struct SettingsFragment: Hashable, Sendable {
    /// What a name stands for.
    public enum Element: Hashable, Sendable {
        /// A value.
        case value([UInt8])
        /// Values.
        case list([[UInt8]])
        /// A section of its own.
        case section(SettingsFragment)
        /// A key or a password: these octets as they are, in memory that is wiped.
        case secret(SecretBytes)

        /// By everything but secrets, which are never hashed.
        public func hash(into hasher: inout Hasher) {
            switch self {
            case .value(let octets): hasher.combine(octets)
            case .list(let items): hasher.combine(items)
            case .section(let inner): hasher.combine(inner)
            case .secret(let secret): hasher.combine(secret.count)
            }
        }
    }

    /// A name and what it stands for.
    public struct Entry: Hashable, Sendable {
        /// The name.
        public var name: String
        /// What it stands for.
        public var element: Element

        /// A name and what it stands for.
        public init(_ name: String, _ element: Element) {
            self.name = name
            self.element = element
        }
    }

    /// Everything, in order.
    public var entries: [Entry]

    /// Settings in order.
    public init(_ entries: [Entry] = []) { self.entries = entries }

    /// A value as text.
    public mutating func set(_ name: String, _ text: String) { entries.append(Entry(name, .value(Array(text.utf8)))) }
}

/// Turns a fragment into the tree that readers read, and the contents in it into files of its own.
struct FragmentWriter: FileSource {
    /// Keys that hold contents where a file would name files.
    private static let contentKeys: Set<String> = ["certs", "cacerts", "pubkeys", "cacert"]

    /// Where the files seem to lie.
    static let directory = "/control-client/"

    private(set) var tree: SettingsTree
    private var files: [String: [UInt8]] = [:]
    private let origin: String

    /// Writes a fragment; `origin` stands in for a file's name in messages.
    init(_ fragment: SettingsFragment, origin: String) {
        self.origin = origin
        tree = SettingsTree(file: origin)
        write(fragment, into: SettingsTree.root, path: "", depth: 0)
    }

    private var location: SourceLocation { SourceLocation(file: origin, line: 1, column: 1) }

    private mutating func write(_ fragment: SettingsFragment, into section: Int, path: String, depth: Int) {
        guard depth <= Parser.Limit.sectionDepth else { return }
        for entry in fragment.entries {
            switch entry.element {
            case .section(let inner):
                let index = tree.open(entry.name, in: section, at: location)
                write(inner, into: index, path: path + entry.name + "-", depth: depth + 1)
            case .value(let octets): set(entry.name, [octets], path, in: section)
            case .list(let items): set(entry.name, items, path, in: section)
            case .secret(let secret):
                var setting = SettingsTree.Setting(name: entry.name, value: [], location: location)
                setting.secret = secret
                tree.set(setting, in: section)
            }
        }
    }

    private mutating func set(_ name: String, _ items: [[UInt8]], _ path: String, in section: Int) {
        var values = items
        if Self.contentKeys.contains(name) {
            values = items.enumerated().map { index, contents in
                // The number makes it the only one of its name; a comma would end it in a list of names.
                let label = (path + "\(name)-\(index)").filter { $0 != "," && $0 != " " && $0 != "*" && $0 != "?" }
                let file = "\(Self.directory)\(files.count)-\(label)"
                files[file] = contents
                return Array(file.utf8)
            }
        }
        let value = Array(values.joined(separator: [UInt8(ascii: ",")]))
        tree.set(.init(name: name, value: value.isEmpty ? nil : value, location: location), in: section)
    }

    func contents(of path: String) throws(FileProblem) -> [UInt8] {
        guard let contents = files[path] else { throw FileProblem("a control client has to send the contents") }
        return contents
    }

    func glob(_ pattern: String) throws(FileProblem) -> [String] { files.keys.contains(pattern) ? [pattern] : [] }
}
