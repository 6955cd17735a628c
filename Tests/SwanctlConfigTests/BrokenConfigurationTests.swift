import Testing

@testable import SwanctlConfig

/// Broken configurations, made from the table of all keys: each is refused whole, with where, what, and what to do.
@Suite struct BrokenConfigurationTests {
    /// A file that is broken, and why, for the test's own messages.
    private struct Broken {
        var what: String
        var octets: [UInt8]

        init(_ what: String, _ octets: [UInt8]) {
            self.what = what
            self.octets = octets
        }

        init(_ what: String, _ text: String) { self.init(what, Array(text.utf8)) }
    }

    /// Checks one; says what is wrong with the complaint.
    private func complaintFault(_ broken: Broken) -> String? {
        let source = FilesInMemory(["/etc/swanctl.conf": broken.octets])
        do {
            _ = try LoadedConfiguration(path: "/etc/swanctl.conf", source: source)
            return "\(broken.what): it loads"
        } catch {
            for diagnostic in error.errors {
                if diagnostic.location.file != "/etc/swanctl.conf" || diagnostic.location.line < 1
                    || diagnostic.location.column < 1
                {
                    return "\(broken.what): no place in \(diagnostic)"
                }
                if diagnostic.message.isEmpty || diagnostic.remedy?.isEmpty ?? true {
                    return "\(broken.what): no remedy in \(diagnostic)"
                }
            }
            return error.errors.isEmpty ? "\(broken.what): no error" : nil
        }
    }

    /// A file in which `statement` stands in the section that `path` names.
    private func file(_ path: [String], _ statement: [UInt8]) -> [UInt8] {
        let names = path.map { $0.hasPrefix("<") ? "x" : $0.replacing("<suffix>", with: "") }
        return Array(names.map { $0 + " {\n" }.joined().utf8) + statement
            + Array((String(repeating: "\n}", count: names.count) + "\n").utf8)
    }

    /// Every key of the table with the path to it: sections have no default.
    private func keys(_ entry: KnownKeys.Entry, _ path: [String] = []) -> [(path: [String], key: KnownKeys.Entry)] {
        entry.children.flatMap { child in
            [(path, child)] + (child.children.isEmpty ? [] : keys(child, path + [child.pattern]))
        }
    }

    private func name(_ key: KnownKeys.Entry) -> String { key.stem ?? "x" }

    /// A value that is no value of this key: octets that are no text; where any octets will do, bad hexadecimal.
    private func wrongValue(_ key: KnownKeys.Entry) -> [UInt8] {
        key.pattern == "secret" ? Array("0xnothex".utf8) : [0xff, 0xfe, 0xfd]
    }

    @Test func everyKeyWithAWrongValue() {
        let settings = keys(KnownKeys.root).filter { $0.key.defaultValue != nil }
        let faults = settings.compactMap { path, key in
            complaintFault(
                Broken(
                    (path + [key.pattern]).joined(separator: "."),
                    file(path, Array("\(name(key)) = ".utf8) + wrongValue(key))))
        }
        #expect(settings.count > 130)
        #expect(faults.isEmpty, "\(faults.joined(separator: "\n"))")
    }

    @Test func everyKeyMistyped() {
        var count = 0
        var faults: [String] = []
        for (path, key) in keys(KnownKeys.root) {
            guard let stem = key.stem, stem.utf8.count > 3 else { continue }
            // The first two letters change places; a name that then is another key's, or nobody's to judge, is left out.
            let letters = Array(stem)
            let typo = String([letters[1], letters[0]] + letters[2...])
            guard typo != stem, path != [], !isKnown(typo, at: path) else { continue }
            count += 1
            let statement = key.defaultValue == nil ? "\(typo) {\n a = 1\n}" : "\(typo) = 1"
            if let fault = complaintFault(Broken("\(path).\(typo)", file(path, Array(statement.utf8)))) {
                faults.append(fault)
            }
        }
        #expect(count > 60)
        #expect(faults.isEmpty, "\(faults.joined(separator: "\n"))")
    }

    private func isKnown(_ name: String, at path: [String]) -> Bool {
        var entry = KnownKeys.root
        for part in path {
            guard let next = entry.children.first(where: { $0.pattern == part && $0.defaultValue == nil }) else {
                return true
            }
            entry = next
        }
        return entry.setting(name) != nil || entry.section(name) != nil
    }

    @Test func settingsWhereSectionsBelongAndTheOtherWayRound() {
        let faults = keys(KnownKeys.root).compactMap { path, key -> String? in
            guard key.stem != nil, !(path.isEmpty), !key.pattern.hasSuffix("<suffix>") else { return nil }
            let statement = key.defaultValue == nil ? "\(name(key)) = 1" : "\(name(key)) {\n a = 1\n}"
            return complaintFault(Broken("\(path).\(key.pattern) turned", file(path, Array(statement.utf8))))
        }
        #expect(faults.isEmpty, "\(faults.joined(separator: "\n"))")
    }

    @Test func structure() {
        let broken = [
            Broken("unclosed", "connections {\n"), Broken("closed twice", "connections { }\n}\n"),
            Broken("no name", "= 3\n"), Broken("brace without a name", "{ }\n"),
            Broken("quote without an end", "secrets { ike { secret = \"abc\n } }"),
            Broken("own parent", "connections : connections { }"), Broken("circle", "a : b { }\nb : a { }\n"),
            Broken("nobody", "connections : nobody { }"), Broken("includes itself", "include swanctl.conf\n"),
            Broken("a lone word", "connections\n"), Broken("a dot", "connections.x.version = 2\n"),
            Broken("deep", String(repeating: "a {\n", count: 200)),
            Broken("a colon and nothing", "connections : { }\n"),
        ]
        let faults = broken.compactMap(complaintFault)
        #expect(faults.isEmpty, "\(faults.joined(separator: "\n"))")
    }

    /// Rubbish from a small generator of our own, so that a failure can be found again by its seed.
    @Test(arguments: 1...64)
    func rubbish(_ seed: UInt32) {
        var state = seed &* 2_654_435_761 | 1
        var octets = Array("connections {\n".utf8)
        for _ in 0..<400 {
            state ^= state << 13
            state ^= state >> 17
            state ^= state << 5
            octets.append(UInt8(truncatingIfNeeded: state >> 11))
        }
        let fault = complaintFault(Broken("seed \(seed)", octets))
        #expect(fault == nil)
    }

    @Test func missingFiles() {
        let error = #expect(throws: ConfigurationErrors.self) {
            try LoadedConfiguration(path: "/nowhere.conf", source: FilesInMemory([String: String]()))
        }
        #expect(error?.errors.first?.remedy == "check the name and who may read it")
    }
}

/// What works and is unwise.
@Suite struct UnwiseSettingsTests {
    private func warnings(_ text: String) throws -> [String] {
        try load(text).warnings.filter { $0.severity == .warning }.map(\.message)
    }

    @Test func lifetimes() throws {
        #expect(try warnings(connection("")).isEmpty)
        #expect(
            try warnings(connection("rekey_time = 30h", child: "rekey_time = 25h")) == [
                "child 'net' of connection 'gw' keeps its keys for longer than a day (25 h)"
            ])
        #expect(
            try warnings(connection("rekey_time = 1h", child: "rekey_time = 2h")) == [
                "child 'net' of connection 'gw' lives longer (2 h) than its IKE SA (1 h)"
            ])
        #expect(
            try warnings(connection("", child: "rekey_time = 0")).first
                == "child 'net' of connection 'gw' never changes its keys")
    }

    /// Keys live as long as they are let, whatever is tried before.
    @Test func longLivesBehindShortRekeyings() throws {
        #expect(
            try warnings(connection("rekey_time = 20h", child: "rekey_time = 1h\nlife_time = 30h")).contains {
                $0.hasSuffix("may live for longer than a day (30 h)")
            })
        #expect(
            try warnings(connection("", child: "rekey_time = 3h\nlife_time = 5h")) == [
                "child 'net' of connection 'gw' lives longer (5 h) than its IKE SA (4 h)"
            ])
        #expect(try warnings(connection("", child: "rekey_time = 4h")).isEmpty)
        #expect(
            try warnings(connection("rekey_time = 0\nreauth_time = 1h", child: "rekey_time = 4h")) == [
                "child 'net' of connection 'gw' lives longer (4 h) than its IKE SA (1 h)"
            ])
    }

    @Test func oneKeyUnderTwoNames() throws {
        let text =
            connection("") + "\nsecrets { ike-x { id = mars.example.net\nsecret = oncemore }\n"
            + "ike-y { id = venus.example.net\nsecret = oncemore } }"
        #expect(try warnings(text).contains { $0.hasPrefix("secrets.ike-y and secrets.ike-x are the same key") })
        #expect(
            try !warnings(text.replacing("ike-y { id = venus.example.net\nsecret = oncemore }", with: "")).contains {
                $0.contains("the same key")
            })
    }

    @Test func aPrivateIdentityTowardsAPublicPeer() throws {
        let text = connection("local_addrs = 192.168.1.2").replacing("id = moon.example.net", with: "")
            .replacing("192.0.2.2", with: "203.0.113.9")
        #expect(try warnings(text).contains { $0.contains("'192.168.1.2', a private address") })
        let both = text.replacing("203.0.113.9", with: "192.168.1.9")
        #expect(try !warnings(both).contains { $0.contains("a private address") })
    }

    @Test func aggressiveMode() throws {
        #expect(try warnings(connection("aggressive = yes")).contains { $0.contains("guess the key at leisure") })
    }
}
