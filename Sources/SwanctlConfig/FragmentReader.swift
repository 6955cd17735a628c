extension SettingsFragment {
    /// Reads the file at `path` and all that it includes in the form in which a control client sends it: references are
    /// followed, and contents stand where the file names files. Secrets are left out.
    ///
    /// What the keys mean is not looked at.
    public init(path: String, source: any FileSource) throws(ConfigurationErrors) {
        let diagnostics = DiagnosticCollector()
        let parser = Parser(path, source: source, diagnostics: diagnostics)
        diagnostics.isComplete = diagnostics.errors.isEmpty
        let resolver = SettingsResolver(parser.tree, diagnostics: diagnostics)
        let reader = FragmentReader(
            source: source, directory: FilePath.directory(of: path), diagnostics: diagnostics)
        self = reader.fragment(of: resolver.root)
        guard diagnostics.errors.isEmpty else {
            throw ConfigurationErrors(errors: diagnostics.errors, warnings: diagnostics.warnings)
        }
    }

    /// The section `name`; nil when there is none.
    public func section(_ name: String) -> SettingsFragment? {
        for entry in entries where entry.name == name {
            if case .section(let inner) = entry.element { return inner }
        }
        return nil
    }
}

/// Turns sections of a file into fragments: what a ``FragmentWriter`` takes apart.
struct FragmentReader {
    let source: any FileSource
    /// Where swanctl's directories of certificates are.
    let directory: String
    let diagnostics: DiagnosticCollector

    /// Keys that name files, and the directories where those are.
    private static let folders = ["certs": "x509", "cacerts": "x509ca", "pubkeys": "pubkey", "cacert": "x509ca"]

    /// A section with everything that it inherits.
    func fragment(of view: SectionView) -> SettingsFragment {
        var result = SettingsFragment()
        var contents: [(key: String, items: [[UInt8]])] = []
        func add(_ key: String, _ item: [UInt8]) {
            if let index = contents.firstIndex(where: { $0.key == key }) {
                contents[index].items.append(item)
            } else {
                contents.append((key, [item]))
            }
        }
        for setting in view.settings where setting.name != "secret" {
            guard let value = setting.value else { continue }
            if let folder = Self.folders[setting.name] {
                for item in items(value, folder, setting.location) { add(setting.name, item) }
            } else {
                result.entries.append(.init(setting.name, .value(value)))
            }
        }
        let isRound = view.name.hasPrefix("local") || view.name.hasPrefix("remote")
        for section in view.sections {
            let key = section.name.hasPrefix("cacert") ? "cacerts" : section.name.hasPrefix("cert") ? "certs" : nil
            if isRound, let key, let file = section.setting("file"), let value = file.value {
                for item in items(value, Self.folders[key] ?? "", file.location) { add(key, item) }
            } else {
                result.entries.append(.init(section.name, .section(fragment(of: section))))
            }
        }
        result.entries += contents.map { .init($0.key, .list($0.items)) }
        return result
    }

    /// The contents of the files that a value names; PEM in its place is taken as it is.
    private func items(_ value: [UInt8], _ folder: String, _ location: SourceLocation) -> [[UInt8]] {
        if value.starts(with: Array("-----BEGIN".utf8)) { return [value] }
        return value.split(separator: UInt8(ascii: ",")).compactMap { part in
            let name = String(decoding: part, as: UTF8.self).filter { !$0.isNewline }
            let trimmed = name.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed()
            let path = FilePath.resolve(String(trimmed), in: FilePath.resolve(folder, in: directory))
            do throws(FileProblem) {
                return try source.contents(of: path)
            } catch {
                diagnostics.error(
                    location, "'\(path)' can't be read: \(error)",
                    remedy: "put the file into '\(folder)', or correct its name")
                return nil
            }
        }
    }
}
