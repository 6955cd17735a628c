/// Compares the sources with the manifest and the floor plan.
///
/// It owns the rules; it never touches a file, so that every rule can be tried on a made-up source.
struct ArchitectureCheck {
    let plan: FloorPlan
    let manifest: Manifest

    /// Faults of the manifest alone: a target on no floor, a dependency that points up.
    func manifestFaults() -> [String] {
        manifest.targets.filter { $0.kind != .test }.flatMap { target -> [String] in
            guard let floor = plan.floors[target.name] else { return ["\(target.name) stands on no floor"] }
            return target.dependencies.compactMap { dependency in
                guard let other = plan.floors[dependency], other > floor else { return nil }
                return "\(target.name) (\(floor)) depends on \(dependency) (\(other)): upward"
            }
        }
    }

    /// Folders under Sources and Tests that no target owns, and targets without a folder.
    func folderFaults(_ folders: Set<String>) -> [String] {
        let declared = Set(manifest.targets.map(\.path))
        return folders.subtracting(declared).sorted().map { "\($0) belongs to no target of the manifest" }
            + declared.subtracting(folders).sorted().map { "\($0) is declared and not there" }
    }

    /// Faults of one source file of a target; `file` is only for the message.
    func faults(of source: String, in target: Manifest.Target, file: String) -> [String] {
        let text = SourceText(source)
        var faults: [String] = []
        for (line, module) in text.imports {
            if let fault = importFault(module, target) { faults.append("\(file):\(line): \(fault)") }
        }
        guard plan.isPure(target.name) else { return faults }
        let forbidden = FloorPlan.forbidden
        for (index, line) in text.lines.enumerated() {
            for (what, pattern) in forbidden where line.contains(pattern) {
                faults.append("\(file):\(index + 1): \(target.name) is below the line and brings in \(what)")
            }
        }
        return faults
    }

    private func importFault(_ module: String, _ target: Manifest.Target) -> String? {
        if FloorPlan.toolchain.contains(module) {
            let fits = FloorPlan.harmless.contains(module) || !plan.isPure(target.name)
            return fits ? nil : "\(target.name) is below the line and imports \(module)"
        }
        if let owners = plan.shims[module], target.kind != .test, !owners.contains(target.name) {
            return "\(target.name) imports the C target \(module), which belongs to \(owners.sorted())"
        }
        guard target.dependencies.contains(module) else {
            return "\(target.name) imports \(module) without declaring it"
        }
        if let floor = plan.floors[target.name], let other = plan.floors[module], other > floor {
            return "\(target.name) (\(floor)) imports \(module) (\(other)): upward"
        }
        return nil
    }
}
