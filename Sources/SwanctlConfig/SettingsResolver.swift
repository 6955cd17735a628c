/// Follows references: a section inherits the settings and subsections of those that it names.
///
/// It owns the order of precedence (a section's own words first, then those of its references from left to right, each
/// with its own references) and refuses circles. What was followed once is remembered.
final class SettingsResolver {
    private let tree: SettingsTree
    private let diagnostics: DiagnosticCollector
    private var expanded: [Int: [Int]] = [:]
    private var inProgress: Set<Int> = []
    private var referenced: Set<Int> = []

    /// How long a chain of references may be: following it takes the thread's stack.
    private static let maximumDepth = 64

    /// Checks every reference in `tree`, followed from anywhere or not.
    init(_ tree: SettingsTree, diagnostics: DiagnosticCollector) {
        self.tree = tree
        self.diagnostics = diagnostics
        for node in tree.nodes.indices { _ = expand(node) }
    }

    /// The whole configuration.
    var root: SectionView { SectionView(resolver: self, layers: [SettingsTree.root], name: "") }

    /// Whether another section inherits from this one of the root's sections.
    func isReferenced(_ name: String) -> Bool {
        tree.nodes[SettingsTree.root].section(name).map(referenced.contains) ?? false
    }

    func node(_ index: Int) -> SettingsTree.Node { tree.nodes[index] }

    /// The sections of this name within `layers`, with what they inherit, the strongest first.
    func layers(_ name: String, within layers: [Int]) -> [Int] {
        var result: [Int] = []
        var seen: Set<Int> = []
        for layer in layers {
            guard let section = tree.nodes[layer].section(name) else { continue }
            for found in expand(section) where seen.insert(found).inserted { result.append(found) }
        }
        return result
    }

    /// A section and all that it inherits from.
    private func expand(_ section: Int) -> [Int] {
        if let known = expanded[section] { return known }
        guard inProgress.count < Self.maximumDepth else {
            diagnostics.error(
                tree.nodes[section].location, "references follow each other deeper than \(Self.maximumDepth)",
                remedy: "refer to the last one directly")
            return [section]
        }
        inProgress.insert(section)
        defer { inProgress.remove(section) }
        var result = [section]
        var seen: Set<Int> = [section]
        for reference in tree.nodes[section].references {
            for found in follow(reference) where seen.insert(found).inserted { result.append(found) }
        }
        expanded[section] = result
        return result
    }

    private func follow(_ reference: SettingsTree.Reference) -> [Int] {
        let written = reference.path.joined(separator: ".")
        var current = [SettingsTree.root]
        for (depth, name) in reference.path.enumerated() {
            let sections = current.compactMap { tree.nodes[$0].section(name) }
            guard sections.allSatisfy({ !inProgress.contains($0) }) else {
                diagnostics.error(
                    reference.location, "'\(written)' inherits from itself, directly or through others",
                    remedy: "remove the reference that closes the circle")
                return []
            }
            guard !sections.isEmpty else {
                let names = current.flatMap { tree.nodes[$0].sections.map { tree.nodes[$0].name } }
                diagnostics.error(
                    reference.location, "there is no section '\(reference.path[...depth].joined(separator: "."))'",
                    remedy: EditDistance.nearest(to: name, among: names).map { "did you mean '\($0)'?" }
                        ?? "define it, or remove the reference")
                return []
            }
            if depth == 0 { referenced.formUnion(sections) }
            current = layers(name, within: current)
        }
        return current
    }
}

/// A section as its readers see it: with everything that it inherits.
struct SectionView {
    private let resolver: SettingsResolver
    private let layers: [Int]
    /// The section's name.
    let name: String

    init(resolver: SettingsResolver, layers: [Int], name: String) {
        self.resolver = resolver
        self.layers = layers
        self.name = name
    }

    /// Where the section stands.
    var location: SourceLocation { resolver.node(layers.first ?? SettingsTree.root).location }

    /// The settings that have a value, own ones first.
    var settings: [SettingsTree.Setting] {
        var seen: Set<String> = []
        var result: [SettingsTree.Setting] = []
        for layer in layers {
            for setting in resolver.node(layer).settings where seen.insert(setting.name).inserted {
                if setting.value != nil { result.append(setting) }
            }
        }
        return result
    }

    /// The setting of this name; nil when it has no value.
    func setting(_ name: String) -> SettingsTree.Setting? {
        for layer in layers {
            if let setting = resolver.node(layer).setting(name) { return setting.value == nil ? nil : setting }
        }
        return nil
    }

    /// The subsections, own ones first.
    var sections: [SectionView] {
        var seen: Set<String> = []
        var result: [SectionView] = []
        for layer in layers {
            for section in resolver.node(layer).sections {
                let name = resolver.node(section).name
                if seen.insert(name).inserted, let view = self.section(name) { result.append(view) }
            }
        }
        return result
    }

    /// The subsection of this name; nil when there is none.
    func section(_ name: String) -> SectionView? {
        let found = resolver.layers(name, within: layers)
        return found.isEmpty ? nil : SectionView(resolver: resolver, layers: found, name: name)
    }
}
