import Foundation
import LinuxSystem
import Testing

/// The built executable, beside the tests themselves.
enum Executable {
    struct Outcome {
        var status: Int32
        var output: String
        var errors: String
    }

    struct Missing: Error, CustomStringConvertible {
        var description: String
    }

    /// Where it is; a test that does not find it fails.
    static func path() throws -> String {
        let places = [Bundle.main.executablePath ?? "", "/proc/self/exe"]
        for place in places {
            let real = URL(fileURLWithPath: place).resolvingSymlinksInPath()
            // In a bundle on other systems, the products are further up.
            var folder = real.deletingLastPathComponent()
            for _ in 0..<4 {
                let candidate = folder.appendingPathComponent("martlet").path
                if let type = try? FileManager.default.attributesOfItem(atPath: candidate)[.type] as? FileAttributeType,
                    type == .typeRegular, FileManager.default.isExecutableFile(atPath: candidate)
                {
                    return candidate
                }
                folder = folder.deletingLastPathComponent()
            }
        }
        throw Missing(description: "no executable `martlet` beside \(places)")
    }

    /// Runs it to its end, in a namespace when one is named. One that does not end is killed after 60 seconds.
    static func run(_ arguments: [String], in namespace: String? = nil) throws -> Outcome {
        let folder = try Folder()
        let process = try begin(arguments, in: namespace, output: folder.file("out"), errors: folder.file("err"))
        let end = Date() + 60
        while process.isRunning, Date() < end { Thread.sleep(forTimeInterval: 0.01) }
        if process.isRunning {
            Issue.record("martlet \(arguments.joined(separator: " ")) does not end")
            process.terminate()
        }
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, output: try folder.text("out"), errors: try folder.text("err"))
    }

    /// Starts it; its output goes to files.
    static func begin(
        _ arguments: [String], in namespace: String? = nil, output: String, errors: String
    ) throws -> Process {
        let process = Process()
        let path = try path()
        if let namespace {
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["ip", "netns", "exec", namespace, path] + arguments
        } else {
            process.executableURL = URL(fileURLWithPath: path)
            process.arguments = arguments
        }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try handle(output)
        process.standardError = try handle(errors)
        try process.run()
        return process
    }

    /// What another program prints.
    static func output(of arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return text
    }

    private static func handle(_ path: String) throws -> FileHandle {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw Missing(description: "\(path) can't be made") }
        return handle
    }
}

/// A folder for one test, which goes with it.
final class Folder {
    let path: String

    init() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        path = folder.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }
    func text(_ name: String) throws -> String { try String(contentsOfFile: file(name), encoding: .utf8) }
    func write(_ name: String, _ text: String) throws {
        try text.write(toFile: file(name), atomically: true, encoding: .utf8)
    }
    func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: file(name)) }
}

/// A network namespace for one test.
final class Namespace {
    let name: String

    init(_ purpose: String) throws {
        name = "mt-\(purpose)-\(ProcessInformation.identifier)"
        _ = try NetworkNamespace.create(name)
    }

    deinit { _ = try? NetworkNamespace.delete(name) }

    /// What `ip` shows of it.
    func shows(_ arguments: String...) throws -> String {
        try Executable.output(of: ["ip", "-n", name] + arguments)
    }

    /// Whether nothing of ours is in it: no device, no rule, no route.
    func isClean() throws -> Bool {
        try shows("-o", "link").split(separator: "\n").count == 1 && !(try shows("rule").contains("220"))
            && (try shows("route", "show", "table", "220")).isEmpty
    }
}

extension Trait where Self == ConditionTrait {
    /// As root these tests run and may fail; otherwise it is said that they do not run.
    static var needsRoot: Self {
        .enabled(if: ProcessInformation.effectiveUser == 0, "needs root: network namespaces and devices")
    }
}
