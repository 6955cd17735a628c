import Testing

/// Every rule of the check fails on a source that breaks it, and only then.
@Suite struct ArchitectureCheckTests {
    private static let manifest = Manifest(
        """
        let parser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
        let package = Package(
            products: [.library(name: "Decoy", targets: ["Low"])],
            targets: [
                // floor("Commented"),
                .target(name: "CShim", linkerSettings: [.linkedLibrary("crypto")]),
                floor("Low", ["CShim"], extra: [.enableExperimentalFeature("Lifetimes")]),
                floor("Beside", extra: [.enableExperimentalFeature("Lifetimes")]),
                floor(
                    "High",
                    [
                        "Low", "Beside",
                    ]),
                .executableTarget(
                    name: "door", dependencies: ["High", parser, .product(name: "Other", package: "x")],
                    path: "Sources/Door", swiftSettings: strict),
                tests("LowTests", ["Low"], resources: [.copy("Vectors")]),
            ]
        )
        """)
    private static let plan = FloorPlan(
        floors: ["CShim": .alphabet, "Low": .alphabet, "Beside": .alphabet, "High": .house, "door": .doors],
        alsoPure: [], shims: ["CShim": ["Low"]])
    private static let check = ArchitectureCheck(plan: plan, manifest: manifest)

    private func faults(_ source: String, in name: String) throws -> [String] {
        let target = try #require(Self.manifest.targets.first { $0.name == name })
        return Self.check.faults(of: source, in: target, file: "File.swift")
    }

    @Test func readsTheManifest() {
        let byName = Dictionary(uniqueKeysWithValues: Self.manifest.targets.map { ($0.name, $0) })
        #expect(byName.keys.sorted() == ["Beside", "CShim", "High", "Low", "LowTests", "door"])
        #expect(byName["Low"]?.dependencies == ["CShim"])
        #expect(byName["Beside"]?.dependencies == [])
        #expect(byName["High"]?.dependencies == ["Low", "Beside"])
        #expect(byName["door"]?.dependencies == ["High", "ArgumentParser", "Other"])
        #expect(byName["door"]?.path == "Sources/Door")
        #expect(
            byName["LowTests"] == .init(name: "LowTests", kind: .test, dependencies: ["Low"], path: "Tests/LowTests"))
    }

    @Test func refusesAnUpwardDependency() {
        var plan = Self.plan
        plan.floors["Low"] = .doors
        let faults = ArchitectureCheck(plan: plan, manifest: Self.manifest).manifestFaults()
        #expect(faults == ["High (house) depends on Low (doors): upward"])
        #expect(Self.check.manifestFaults() == [])
    }

    @Test func refusesATargetOnNoFloor() {
        var plan = Self.plan
        plan.floors["Beside"] = nil
        #expect(
            ArchitectureCheck(plan: plan, manifest: Self.manifest).manifestFaults() == ["Beside stands on no floor"])
    }

    @Test func refusesAFolderOfNoTarget() {
        let folders = Set(Self.manifest.targets.map(\.path))
        #expect(Self.check.folderFaults(folders) == [])
        #expect(Self.check.folderFaults(folders.union(["Sources/Stray"])).count == 1)
        #expect(Self.check.folderFaults(folders.subtracting(["Sources/Low"])).count == 1)
    }

    @Test func refusesAnUndeclaredImport() throws {
        #expect(try faults("import Beside", in: "Low") == ["File.swift:1: Low imports Beside without declaring it"])
        #expect(try faults("\n@testable import High", in: "LowTests").count == 1)
        #expect(try faults("@preconcurrency public import struct Beside.Thing", in: "Low").count == 1)
        #expect(try faults("import ArgumentParser\nimport High", in: "door") == [])
    }

    @Test func refusesAnUpwardImport() throws {
        var plan = Self.plan
        plan.floors["Beside"] = .doors
        let target = try #require(Self.manifest.targets.first { $0.name == "High" })
        let check = ArchitectureCheck(plan: plan, manifest: Self.manifest)
        #expect(check.faults(of: "public import Beside", in: target, file: "F").count == 1)
        #expect(try faults("public import Beside", in: "High") == [])
    }

    @Test func refusesAForeignShim() throws {
        #expect(try faults("import CShim", in: "High").count == 1)
        #expect(try faults("import CShim", in: "Low") == [])
    }

    @Test(arguments: ["Foundation", "Glibc", "Dispatch", "FoundationEssentials"])
    func refusesTheSystemBelowTheLine(module: String) throws {
        #expect(try faults("import \(module)", in: "Low").count == 1)
        #expect(try faults("import \(module)", in: "High") == [])
    }

    @Test(arguments: [
        "Task { }", "Task.detached { }", "func f() async {", "let x = await y", "actor Keeper {", "let t = Thread()",
        "let m = Mutex(0)", "let now = Date()", "ContinuousClock.now", "FileManager.default", "let s = socket(1, 2, 3)",
        "var g = SystemRandomNumberGenerator()", "UInt8.random(in: 0...9)", "list.shuffled()", "print(x)",
        "getenv(name)", #"let text = "now: \(Date())""#, ##"let text = #"now: \#(Date()) and \(x)"#"##,
    ])
    func refusesForbiddenCodeBelowTheLine(line: String) throws {
        #expect(try faults("let before = 1\n" + line, in: "Low").count == 1)
        #expect(try faults(line, in: "High") == [])
    }

    @Test(arguments: [
        "// Task { await print(Date()) }", "/* a /* nested */ Date() */", #"let text = "await socket(1)""#,
        "let text = \"\"\"\n  Date() \" await\n  \"\"\"", ##"let text = #"a " Date() \(Date())"#"##,
        #"let text = "a \" Date()""#, "let taskCount = 1", "let updated = candidate(1)", "table.socket(1)",
        "struct Awaiting {}", "let asynchronous = 1", "value.print(x)", "// import Foundation",
        "import Synchronization",
        #"let s = "\\"; let t = "await""#,
    ])
    func passesOverProseAndLookalikes(line: String) throws {
        #expect(try faults(line, in: "Low") == [])
    }

    @Test func keepsLineNumbers() throws {
        let source = "/* one\n two */\nlet text = \"\"\"\n await\n \"\"\"\nlet now = Date()"
        #expect(try faults(source, in: "Low") == ["File.swift:6: Low is below the line and brings in a date"])
    }
}
