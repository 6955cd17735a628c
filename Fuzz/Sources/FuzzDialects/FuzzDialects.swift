// Somebody else's configuration: ipsec.conf with ipsec.secrets, Cisco IOS, what AWS gives out.
import Dialects
import FuzzSupport
import SwanctlConfig

/// The first octet says which dialect; what follows is the configuration, and behind a zero octet the secrets.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDialects(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe Fuzz.octets(start, count)
    guard let first = input.first else { return 0 }
    let parts = input.dropFirst().split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
    let dialects = ImportDialect.allCases
    let file = ConfigurationImport.File("a", parts.first ?? [])
    _ = Fuzz.observe(ImportDialect.detect(file.octets)?.rawValue ?? "")
    var options = ConfigurationImport.Options()
    options.local = first & 0x80 != 0 ? .right : .left
    options.raisesVersion = first & 0x40 != 0
    let imported = ConfigurationImport.read(
        dialects[Int(first & 0x3f) % dialects.count], [file],
        secrets: parts.count > 1 ? [.init("b", parts[1])] : [], options: options)
    for note in imported.notes { _ = Fuzz.observe(note.description) }
    let rendered = imported.document.rendered()
    Fuzz.require(rendered.settings.count == rendered.paths.count, "each setting stands in a line of its own")
    // What was written is a configuration that the reader of our own files can take apart; whether it makes sense is
    // another question.
    let files = ["d/a": rendered.octets]
    do {
        let loaded = try LoadedConfiguration(path: "d/a", source: FilesInMemory(files))
        Fuzz.require(
            loaded.connections.count == imported.connectionCount, "each connection that was written can be read")
    } catch {
        for problem in error.errors {
            Fuzz.require(rendered.octets.isEmpty || problem.location.line > 0, "each mistake has its line")
        }
    }
    return 0
}
