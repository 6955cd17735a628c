import WireFormat

/// What the files say, before anybody asks what it means: sections, settings and references, each with its place.
///
/// It owns the merging of sections that are opened more than once (the later setting wins). References stay as they are
/// written; ``SettingsResolver`` follows them.
struct SettingsTree {
    /// `key = value`.
    struct Setting {
        let name: String
        /// The octets after the equals sign; nil when there are none, which clears an inherited value.
        let value: [UInt8]?
        /// Where the key stands.
        let location: SourceLocation
        /// What stands in the place of the octets, for a secret that came as such: they are none then.
        var secret: SecretBytes?
    }

    /// `: section.subsection` behind a section's name.
    struct Reference {
        let path: [String]
        let location: SourceLocation
    }

    /// A section.
    struct Node {
        let name: String
        /// Where its name stood first.
        let location: SourceLocation
        var settings: [Setting] = []
        var sections: [Int] = []
        var references: [Reference] = []
        private var settingIndex: [String: Int] = [:]
        private var sectionIndex: [String: Int] = [:]

        init(name: String, location: SourceLocation) {
            self.name = name
            self.location = location
        }

        func setting(_ name: String) -> Setting? { settingIndex[name].map { settings[$0] } }
        func section(_ name: String) -> Int? { sectionIndex[name] }

        fileprivate mutating func set(_ setting: Setting) {
            if let index = settingIndex[setting.name] {
                settings[index] = setting
            } else {
                settingIndex[setting.name] = settings.count
                settings.append(setting)
            }
        }

        fileprivate mutating func add(_ section: Int, named name: String) {
            sectionIndex[name] = section
            sections.append(section)
        }
    }

    /// All sections; the first is the root.
    private(set) var nodes: [Node]

    /// The root's number.
    static let root = 0

    /// An empty tree for the file at `path`.
    init(file path: String) { nodes = [Node(name: "", location: SourceLocation(file: path, line: 1, column: 1))] }

    /// Puts a setting into a section, in place of an earlier one of its name.
    mutating func set(_ setting: Setting, in section: Int) { nodes[section].set(setting) }

    /// The section of this name in another one, made when it is not there yet.
    mutating func open(_ name: String, in parent: Int, at location: SourceLocation) -> Int {
        if let existing = nodes[parent].section(name) { return existing }
        nodes.append(Node(name: name, location: location))
        nodes[parent].add(nodes.count - 1, named: name)
        return nodes.count - 1
    }

    /// Adds references to a section.
    mutating func refer(_ references: [Reference], from section: Int) { nodes[section].references += references }
}
