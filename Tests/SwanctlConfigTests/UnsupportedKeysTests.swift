import Testing

@testable import SwanctlConfig

/// What is refused is refused by name, with the reason and with what to write instead.
@Suite struct UnsupportedKeysTests {
    private func complaints(_ path: [String], _ value: String) -> [String] {
        let names = path.map { $0.hasPrefix("<") ? "x" : $0.replacing("<suffix>", with: "") }
        let text =
            names.dropLast().map { $0 + " {\n" }.joined() + "\(names.last ?? "") = \(value)\n"
            + String(repeating: "}\n", count: names.count - 1)
        do {
            _ = try LoadedConfiguration(path: "/c", source: FilesInMemory(["/c": text]))
            return []
        } catch { return error.errors.map { "\($0)" } }
    }

    private func settings(_ entry: KnownKeys.Entry, _ path: [String] = []) -> [[String]] {
        entry.children.flatMap { child in
            child.defaultValue == nil ? settings(child, path + [child.pattern]) : [path + [child.pattern]]
        }
    }

    @Test func everyKeyIsHonouredOrRefusedWithAReason() {
        let all = settings(KnownKeys.root)
        #expect(all.count > 150)
        var refused: [String] = []
        for path in all {
            for value in ["yes", "no", "5", "foo", "1h"] {
                let found = complaints(path, value)
                #expect(!found.contains { $0.contains("supported yet") }, "\(path) = \(value): \(found)")
                if found.contains(where: { $0.contains("is not supported: ") || $0.contains("are not supported: ") }) {
                    refused.append(path.joined(separator: "."))
                    break
                }
            }
        }
        // Nothing is refused by surprise, and nothing that is refused here has been forgotten to be honoured.
        #expect(refused.count == 40, "\(refused)")
    }

    @Test(arguments: [
        ("mediation = yes", "never a standard"), ("if_id_in = 3", "tunnel_interface = vti%02d"),
        ("dscp = 101110", "with nftables"),
    ])
    func reasons(_ setting: String, _ word: String) {
        let parts = setting.split(separator: " = ").map(String.init)
        #expect(complaints(["connections", "<conn>", parts[0]], parts[1]).contains { $0.contains(word) })
    }
}
