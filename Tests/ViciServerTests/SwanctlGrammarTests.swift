import Foundation
import LinuxSystem
import Testing
import ViciMessages

@testable import SwanctlConfig

/// The same files, read by Debian's unmodified swanctl and by us, say the same.
///
/// `swanctl --load-conns` sends what it has read: a server that says yes to everything records it.
@Suite(.enabled(if: Swanctl.isExpected, "swanctl is not installed (Debian: strongswan-swanctl)"))
struct SwanctlGrammarTests {
    /// Keys whose values travel as lists.
    private static let listKeys: Set<String> = ["local_addrs", "remote_addrs", "proposals", "local_ts", "remote_ts"]

    /// The connections as swanctl reads them, by name.
    private static func recorded(_ text: String) throws -> [String: ViciTree] {
        let directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("grammar-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appendingPathComponent("conf")
        try Data(text.utf8).write(to: file)
        let listener = try UnixListener(directory.appendingPathComponent("s").path)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Swanctl.path)
        process.arguments = ["--load-conns", "--file", file.path, "--uri", "unix://\(listener.path)"]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        defer { process.waitUntilExit() }
        guard try listener.descriptor.wait(milliseconds: 10_000), let stream = try listener.accept() else { return [:] }
        var framer = ViciFramer()
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var connections: [String: ViciTree] = [:]
        while try stream.descriptor.wait(milliseconds: 10_000) {
            guard case .octets(let count) = try stream.read(into: &buffer) else { break }
            for case .request(let name, let tree) in try framer.receive(buffer[..<count]) {
                for section in tree.sections where name == "load-conn" { connections[section.name] = section.tree }
                let answer = ViciTree {
                    name == "get-conns" ? $0.setList("conns", [String]()) : $0.set("success", true)
                }
                _ = try stream.write(ViciPacket.response(answer).framed())
            }
        }
        return connections
    }

    /// The connections as we read them.
    private static func read(_ text: String) -> (connections: [String: ViciTree], errors: [String]) {
        let diagnostics = DiagnosticCollector()
        let parser = Parser("conf", source: FilesInMemory(["conf": text]), diagnostics: diagnostics)
        let resolver = SettingsResolver(parser.tree, diagnostics: diagnostics)
        let sections = resolver.root.section("connections")?.sections ?? []
        let trees = sections.map { ($0.name, tree($0)) }
        return (Dictionary(trees) { first, _ in first }, diagnostics.errors.map(\.description))
    }

    private static func tree(_ section: SectionView) -> ViciTree {
        ViciTree { tree in
            for setting in section.settings {
                let octets = setting.value ?? []
                guard listKeys.contains(setting.name) else {
                    tree[element: setting.name] = .value(octets)
                    continue
                }
                tree.setList(setting.name, ValueSyntax.list(String(decoding: octets, as: UTF8.self)))
            }
            for inner in section.sections { tree[element: inner.name] = .section(Self.tree(inner)) }
        }
    }

    @Test func aFileWithEverything() throws {
        let text = """
            # comment { = }
            connections {
                a : defaults, other { # comment
                    remote_addrs = 192.0.2.1,  10.0.0.0/8 , vpn.example.net
                    proposals = aes128-sha256-x25519 , default
                    dpd_delay =
                    local-b { auth = psk
                        id = "moon # x\\" \\\\ \\n y\\
             z"
                        round = 2
                    }
                    local-a
                    { auth = psk }
                    children{net{local_ts=10.1.0.0/16[tcp/80],dynamic
                        start_action = trap|start}}
                }
                b : connections.a { remote_addrs = "quoted { value"   with   parts#comment
                    children { net { rekey_time = 1 h } x { } } }
            }
            defaults { version = 2
                dpd_delay = 30s
                unique = keep
                remote { auth = psk
                    id = a=b:c,d.e{f }
                children { net { remote_ts = 10.2.0.0/16
                    rekey_time = 2h } }
            }
            other { unique = never
                keyingtries = 0x10
                encap = yes }
            connections { a { encap = no } }
            """
        let ours = Self.read(text)
        let theirs = try Self.recorded(text)
        #expect(ours.errors == [])
        #expect(theirs.count == 2)
        #expect(ours.connections["a"] == theirs["a"])
        #expect(ours.connections["b"] == theirs["b"])
    }

    @Test(arguments: 0..<60)
    func filesMadeByChance(_ seed: Int) throws {
        var writer = ConfigurationWriter(seed: UInt64(seed))
        let text = writer.file()
        let theirs = try Self.recorded(text)
        let ours = Self.read(text)
        #expect(ours.errors == [], "\(text)")
        #expect(ours.connections == theirs, "\(text)")
        #expect(!theirs.isEmpty)
    }
}

/// Writes configuration files in every spelling that the grammar allows.
private struct ConfigurationWriter {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    private mutating func random(_ bound: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(truncatingIfNeeded: state >> 33) % bound
    }

    private mutating func one(_ words: String...) -> String { words[random(words.count)] }

    mutating func file() -> String {
        var text = ""
        for name in ["t0", "t1", "t2"] {
            // A template inherits from those before it only, so that there are no circles.
            let earlier = ["t0", "t1", "t2"].filter { $0 < name }
            text += section(name, references: random(2) == 0 ? earlier : [], depth: 1)
        }
        for _ in 0...1 {
            text += "connections" + space() + "{" + space()
            for name in ["a", "b", "c"] {
                var references: [String] = []
                if random(2) == 0 { references.append(one("t0", "t1", "t2")) }
                if random(3) == 0 { references.append("t1.s") }
                text += section(name, references: references, depth: 1)
            }
            text += "}" + space()
        }
        // What is referred to must be there.
        return text + "t1 { s { } }\nconnections { a { k = v\n } }\n"
    }

    private mutating func section(_ name: String, references: [String], depth: Int) -> String {
        var text = name
        if !references.isEmpty { text += one(":", " : ", ": ") + references.joined(separator: one(",", ", ", " , ")) }
        text += space() + "{" + space()
        for _ in 0..<random(5) {
            if depth < 4, random(3) == 0 {
                text += section(one("s", "u", "w-1"), references: [], depth: depth + 1)
            } else {
                text += one("key", "x_y", "k9", "remote_addrs") + one("=", " = ", "= ", "\t=\t") + value()
                text += one("\n", "\n", "  # note }{\n", "\n\n") + one("", "  ", "\t")
            }
        }
        return text + "}" + one("\n", "", " ", " # end\n")
    }

    private mutating func value() -> String {
        let count = random(4)
        return (0..<count).map { _ in
            one(
                "plain", "a,b", "10.0.0.0/8[tcp/80]", "k=v", "x:y{z", "\"two words\"", "\"a \\\"quote\\\"\"",
                "\"hash # in\"", "\"brace } in\"", "\"\\\\back\"", "\"tab\\tand\\nline\"", "\"\"", "%any", "a.b.c",
                "\"over\ntwo\"", "\"join\\\ned\"")
        }.joined(separator: one(" ", "   ", "\t"))
    }

    private mutating func space() -> String { one("", " ", "\n", "\n\n ", " # note\n", "\t") }
}
