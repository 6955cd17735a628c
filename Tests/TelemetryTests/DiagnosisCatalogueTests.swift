import Foundation
import Testing

@testable import Telemetry

/// The catalogue has every code once, and each says what to do.
@Suite struct DiagnosisCatalogueTests {
    @Test func everyCodeOnceAndComplete() {
        let codes = DiagnosisCatalogue.entries.map(\.code)
        #expect(Set(codes).count == codes.count)
        for entry in DiagnosisCatalogue.entries {
            #expect(entry.code.hasPrefix("E-") && entry.code == entry.code.uppercased())
            #expect(entry.example.summary.hasSuffix(".") && !entry.example.remedy.isEmpty, "\(entry.code)")
            #expect(!entry.example.facts.isEmpty, "\(entry.code)")
        }
    }

    /// Every code that stands in the sources of `Telemetry` can be explained.
    @Test func everyCodeThatIsSaidIsInTheCatalogue() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources/Telemetry")
        let files = try FileManager.default.contentsOfDirectory(at: root, includingPropertiesForKeys: nil)
        var said: Set<String> = []
        for file in files where file.pathExtension == "swift" {
            for match in try String(contentsOf: file, encoding: .utf8).matches(of: #/"(E-[A-Z0-9-]+)"/#) {
                said.insert(String(match.1))
            }
        }
        #expect(said.count > 50)
        #expect(said.subtracting(DiagnosisCatalogue.entries.map(\.code)) == [])
    }

    @Test func codesAreFoundHoweverWritten() {
        for text in ["E-SELECTORS", "e-selectors", "selectors"] {
            #expect(DiagnosisCatalogue.entry(text)?.code == "E-SELECTORS")
        }
        #expect(DiagnosisCatalogue.entry("nothing") == nil)
    }

    @Test func theTableHasARowForEachCause() {
        let rows = DiagnosisCatalogue.table.split(separator: "\n").dropFirst(2)
        let count = DiagnosisCatalogue.entries.reduce(0) { $0 + $1.causes.count + ($1.example.causes.isEmpty ? 1 : 0) }
        #expect(rows.count == count)
        #expect(rows.allSatisfy { $0.hasPrefix("| ") && $0.hasSuffix(" |") })
    }
}

/// The documentation says what the program says.
@Suite struct DiagnosisDocumentationTests {
    @Test func theTableInTheDocumentationIsCurrent() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appendingPathComponent("Documentation/diagnoses.md"), encoding: .utf8)
        #expect(page.hasSuffix(DiagnosisCatalogue.table), "run `martlet explain --table` again")
    }
}
