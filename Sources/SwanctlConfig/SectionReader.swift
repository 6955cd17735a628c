/// Reads one section key by key, and reports what nobody asked for.
///
/// It owns the list of keys that were taken; what is left at the end is either known but not supported yet, or unknown.
struct SectionReader {
    let view: SectionView
    let known: KnownKeys.Entry
    /// The section's path, as messages name it.
    let path: String
    let diagnostics: DiagnosticCollector
    /// What settings say that are not there.
    var defaults: [String: String] = [:]
    private var taken: Set<String> = []

    init(_ view: SectionView, known: KnownKeys.Entry, path: String, diagnostics: DiagnosticCollector) {
        self.view = view
        self.known = known
        self.path = path
        self.diagnostics = diagnostics
    }

    /// The setting of this name, which counts as read; nil when it has no value.
    mutating func setting(_ name: String) -> SettingsTree.Setting? {
        taken.insert(name)
        if let written = view.setting(name) { return written }
        return defaults[name].map {
            SettingsTree.Setting(name: name, value: Array($0.utf8), location: view.location)
        }
    }

    /// The value of a setting as text; nil when it has none. What is not UTF-8 is reported.
    mutating func text(_ name: String) -> String? {
        guard let setting = setting(name), let octets = setting.value else { return nil }
        guard let text = String(validating: octets, as: UTF8.self) else {
            diagnostics.error(
                setting.location, "\(path).\(name): the value is not UTF-8", remedy: "write it as UTF-8 text")
            return nil
        }
        return text
    }

    /// What `parse` makes of a setting; `fallback` when it has no value, or when `parse` refuses it, which is reported.
    mutating func read<Value>(
        _ name: String, or fallback: Value, _ parse: (String) throws(ValueProblem) -> Value
    ) -> Value {
        guard let text = text(name) else { return fallback }
        do {
            return try parse(text)
        } catch {
            report(name, error)
            return fallback
        }
    }

    /// What `parse` makes of each part of a list; `fallback` when it has no value.
    mutating func readList<Value>(
        _ name: String, or fallback: [Value], _ parse: (String) throws(ValueProblem) -> [Value]
    ) -> [Value] {
        guard let text = text(name) else { return fallback }
        var values: [Value] = []
        for part in ValueSyntax.list(text) {
            do {
                values += try parse(part)
            } catch {
                report(name, error)
            }
        }
        return values
    }

    private func report(_ name: String, _ problem: ValueProblem) {
        diagnostics.error(
            location(of: name), "\(path).\(name): \(problem.message)",
            remedy: problem.remedy ?? "correct the value; swanctl.conf(5) says what may stand here")
    }

    /// Where a setting stands, or the section when it has none.
    func location(of name: String) -> SourceLocation { view.setting(name)?.location ?? view.location }

    /// The subsection of this name, which counts as read; nil when there is none.
    mutating func section(_ name: String) -> SectionReader? {
        guard let section = view.section(name), let entry = known.section(name) else { return nil }
        taken.insert(name + "{}")
        return SectionReader(section, known: entry, path: join(name), diagnostics: diagnostics)
    }

    /// The subsections that the table knows as `pattern`, which count as read.
    mutating func sections(_ pattern: String) -> [SectionReader] {
        var readers: [SectionReader] = []
        for section in view.sections {
            guard let entry = known.section(section.name), entry.pattern == pattern else { continue }
            taken.insert(section.name + "{}")
            readers.append(
                SectionReader(section, known: entry, path: join(section.name), diagnostics: diagnostics))
        }
        return readers
    }

    /// The settings that the table knows as `pattern`, which count as read.
    mutating func settings(_ pattern: String) -> [SettingsTree.Setting] {
        let found = view.settings.filter { known.setting($0.name)?.pattern == pattern }
        for setting in found { taken.insert(setting.name) }
        return found
    }

    private func join(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    /// Reports every setting and subsection that nobody asked for.
    ///
    /// - Parameter sparesUnknownSections: Whether sections that the table does not know are somebody else's to judge.
    func finish(sparesUnknownSections: Bool = false) {
        for setting in view.settings where !taken.contains(setting.name) {
            if let entry = known.setting(setting.name) {
                let value = String(decoding: setting.value ?? [], as: UTF8.self)
                guard !KnownKeys.isDefault(value, entry.defaultValue ?? "") else { continue }
                let reason = UnsupportedKeys.reason(entry.pattern)
                diagnostics.error(
                    setting.location,
                    "\(join(setting.name)): '\(setting.name)' is not supported\(reason.map { ": \($0.why)" } ?? " yet")",
                    remedy: reason?.remedy
                        ?? "remove it, or leave it at its default"
                        + (entry.defaultValue.flatMap { $0.isEmpty ? nil : " (\($0))" } ?? ""))
            } else {
                unknown(setting.name, setting.location, isSection: false)
            }
        }
        for section in view.sections where !taken.contains(section.name + "{}") {
            if let entry = known.section(section.name) {
                if section.settings.isEmpty, section.sections.isEmpty { continue }
                let reason = UnsupportedKeys.reason(entry.pattern)
                diagnostics.error(
                    section.location,
                    "\(join(section.name)): sections '\(section.name)' are not supported"
                        + (reason.map { ": \($0.why)" } ?? " yet"),
                    remedy: reason?.remedy ?? "remove it")
            } else if !sparesUnknownSections {
                unknown(section.name, section.location, isSection: true)
            }
        }
    }

    private func unknown(_ name: String, _ location: SourceLocation, isSection: Bool) {
        let kind = isSection ? "section" : "key"
        let other = isSection ? known.setting(name) : known.section(name)
        // A name that only begins like a section's is more likely to be a mistyped key.
        let meant = other?.stem == name ? nil : known.suggestion(for: name, isSection: isSection)
        if let meant {
            diagnostics.unknown(
                location, "\(join(name)): unknown \(kind) '\(name)'", remedy: "did you mean '\(meant)'?")
        } else if other != nil {
            diagnostics.unknown(
                location,
                "\(join(name)): '\(name)' is a \(isSection ? "setting, not a section" : "section, not a setting")",
                remedy: isSection ? "write '\(name) = …'" : "write '\(name) { … }'")
        } else {
            // Among secrets it may be one, on a line of its own.
            let isDiscreet = path == "secrets" || path.hasPrefix("secrets.")
            diagnostics.unknown(
                location, isDiscreet ? "\(path): unknown \(kind)" : "\(join(name)): unknown \(kind) '\(name)'",
                remedy: "remove it; swanctl.conf(5) lists all keys")
        }
    }
}
