public import WireFormat

/// The tree that a VICI message carries: named values, lists and sections, in order.
///
/// It owns values of octets, which nearly always are text. It never interprets them: what a key means is the command's
/// business. Names are unique within a section.
public struct ViciTree: Hashable, Sendable {
    /// How deep sections may nest: more than any message of this field needs, and little enough for any stack.
    public static let maximumDepth = 32

    /// What a name stands for.
    public enum Element: Hashable, Sendable {
        /// A value.
        case value([UInt8])
        /// Values.
        case list([[UInt8]])
        /// A section of its own.
        case section(ViciTree)
        /// A value that is a key or a password, in memory that is wiped.
        case secret(SecretBytes)

        /// By everything but secrets, which are never hashed.
        public func hash(into hasher: inout Hasher) {
            switch self {
            case .value(let octets): hasher.combine(octets)
            case .list(let items): hasher.combine(items)
            case .section(let tree): hasher.combine(tree)
            case .secret(let secret): hasher.combine(secret.count)
            }
        }
    }

    /// A name and what it stands for.
    public struct Entry: Hashable, Sendable {
        /// The name: 1 to 255 octets (a section's may be empty) of UTF-8 without control characters.
        public let name: String
        /// What it stands for.
        public var element: Element
    }

    /// Everything in the section, in order.
    public private(set) var entries: [Entry] = []

    /// Starts empty.
    public init() {}

    /// Starts with what `build` puts in.
    public init(_ build: (inout ViciTree) -> Void) { build(&self) }

    /// Starts with these elements, in order; of those with the same name, the first stays.
    public init(_ elements: some Sequence<(name: String, element: Element)>) {
        var names: Set<String> = []
        for (name, element) in elements where names.insert(name).inserted { append(name, element) }
    }

    /// Whether there is nothing in it.
    public var isEmpty: Bool { entries.isEmpty }

    /// What `name` stands for; setting replaces it where it stands, or adds it at the end; nil takes it out.
    public subscript(element name: String) -> Element? {
        get { entries.first { $0.name == name }?.element }
        set {
            let index = entries.firstIndex { $0.name == name }
            switch (index, newValue) {
            case (let index?, let element?): entries[index].element = element
            case (nil, let element?): entries.append(Entry(name: name, element: element))
            case (let index?, nil): entries.remove(at: index)
            case (nil, nil): break
            }
        }
    }

    /// The value of `name` as text (octets that are not UTF-8 are replaced); nil when there is none or it is not a value.
    public subscript(name: String) -> String? {
        get {
            guard case .value(let octets)? = self[element: name] else { return nil }
            return String(decoding: octets, as: UTF8.self)
        }
        set { self[element: name] = newValue.map { .value(Array($0.utf8)) } }
    }

    /// The octets of a value that is a secret; nil when there is none.
    public func secret(_ name: String) -> SecretBytes? {
        switch self[element: name] {
        case .secret(let secret): secret
        case .value(let octets): SecretBytes(octets)
        default: nil
        }
    }

    /// The values of the list `name` as text; nil when there is no such list.
    public func list(_ name: String) -> [String]? {
        guard case .list(let items)? = self[element: name] else { return nil }
        return items.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The section `name`; nil when there is none.
    public func section(_ name: String) -> ViciTree? {
        guard case .section(let tree)? = self[element: name] else { return nil }
        return tree
    }

    /// All sections with their names, in order.
    public var sections: [(name: String, tree: ViciTree)] {
        entries.compactMap { entry in
            guard case .section(let tree) = entry.element else { return nil }
            return (entry.name, tree)
        }
    }

    /// Puts a value in.
    public mutating func set(_ name: String, _ value: some CustomStringConvertible) {
        self[name] = value.description
    }

    /// Puts `yes` or `no` in.
    public mutating func set(_ name: String, _ value: Bool) { self[name] = value ? "yes" : "no" }

    /// Puts a list in.
    public mutating func setList(_ name: String, _ items: some Sequence<some CustomStringConvertible>) {
        self[element: name] = .list(items.map { Array($0.description.utf8) })
    }

    /// Puts a section in, with what `build` puts into it.
    public mutating func setSection(_ name: String, _ build: (inout ViciTree) -> Void) {
        self[element: name] = .section(ViciTree(build))
    }

    /// Adds an entry whose name is known to be new.
    mutating func append(_ name: String, _ element: Element) { entries.append(Entry(name: name, element: element)) }
}

extension ViciTree: CustomStringConvertible {
    /// One line, as `swanctl --raw` prints it: `{k=v sec {…} list=[a b]}`, with octets that are not printable ASCII
    /// escaped.
    public var description: String {
        let parts = entries.map { entry in
            switch entry.element {
            case .value(let octets): "\(entry.name)=\(Self.printable(octets))"
            case .list(let items): "\(entry.name)=[\(items.map(Self.printable).joined(separator: " "))]"
            case .section(let tree): "\(entry.name) \(tree)"
            case .secret(let secret): "\(entry.name)=\(secret)"
            }
        }
        return "{" + parts.joined(separator: " ") + "}"
    }

    private static func printable(_ octets: [UInt8]) -> String {
        var text = ""
        for octet in octets {
            if (0x20...0x7e).contains(octet) {
                text.unicodeScalars.append(Unicode.Scalar(octet))
            } else {
                text += "\\x" + (octet < 16 ? "0" : "") + String(octet, radix: 16)
            }
        }
        return text
    }
}
