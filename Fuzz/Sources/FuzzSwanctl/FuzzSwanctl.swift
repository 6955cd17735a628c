// A configuration file, and another one that it may include.
import FuzzSupport
import GatewayModel
import SwanctlConfig
import WireFormat

/// The input is a file; what follows its first zero octet is the file `b` beside it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSwanctl(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe Fuzz.octets(start, count)
    let parts = input.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
    let files = ["d/a": Array(parts.first ?? []), "d/b": parts.count > 1 ? Array(parts[1]) : []]
    do {
        let loaded = try LoadedConfiguration(path: "d/a", source: FilesInMemory(files))
        for connection in loaded.connections {
            Fuzz.require(!connection.proposals.isEmpty, "a connection has proposals")
            Fuzz.require(!connection.name.isEmpty, "a connection has a name")
        }
        for secret in loaded.secrets { Fuzz.require(!secret.value.isEmpty, "a secret is not empty") }
        for warning in loaded.warnings { _ = Fuzz.observe(warning.description) }
    } catch {
        Fuzz.require(!error.errors.isEmpty, "what is refused has a reason")
        _ = Fuzz.observe(error.description)
    }
    return 0
}
