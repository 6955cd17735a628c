import Foundation
import Testing

/// The floors hold in this package, as it lies on the disk.
@Suite struct ArchitectureTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    private static func check() throws -> ArchitectureCheck {
        ArchitectureCheck(plan: .martlet, manifest: Manifest(try text("Package.swift")))
    }

    @Test func theManifestPointsDown() throws {
        let check = try Self.check()
        #expect(check.manifest.targets.count > 30)
        let faults = check.manifestFaults()
        #expect(faults == [])
    }

    @Test func everyFolderIsATarget() throws {
        var folders: Set<String> = []
        for parent in ["Sources", "Tests"] {
            for entry in try FileManager.default.contentsOfDirectory(
                at: Self.root.appending(path: parent), includingPropertiesForKeys: [.isDirectoryKey])
            where try entry.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true {
                folders.insert("\(parent)/\(entry.lastPathComponent)")
            }
        }
        let faults = try Self.check().folderFaults(folders)
        #expect(faults == [])
    }

    @Test func everySourceKeepsToItsFloor() throws {
        let check = try Self.check()
        var read = 0
        for target in check.manifest.targets {
            let folder = Self.root.appending(path: target.path)
            let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
            while let file = files?.nextObject() as? URL {
                guard file.pathExtension == "swift" else { continue }
                let name = "\(target.path)/\(file.lastPathComponent)"
                let faults = check.faults(
                    of: try String(contentsOf: file, encoding: .utf8), in: target, file: name)
                #expect(faults == [])
                read += 1
            }
        }
        #expect(read > 40)
    }
}
