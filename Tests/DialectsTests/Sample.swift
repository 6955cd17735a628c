import Dialects
import Foundation
import GatewayModel
import SwanctlConfig
import Testing

/// A sample from the folder `Samples`, imported, and loaded as a gateway would load it.
struct Sample {
    let imported: ImportedConfiguration
    let text: String

    init(
        _ dialect: ImportDialect, _ file: String, secrets: String? = nil, options: ConfigurationImport.Options = .init()
    ) throws {
        let secrets = try secrets.map { [ConfigurationImport.File($0, try Self.octets($0))] } ?? []
        imported = ConfigurationImport.read(
            dialect, [.init(file, try Self.octets(file))], secrets: secrets, options: options)
        text = String(decoding: imported.document.rendered().octets, as: UTF8.self)
    }

    init(
        _ dialect: ImportDialect, text written: String, secrets: String? = nil,
        options: ConfigurationImport.Options = .init()
    ) {
        imported = ConfigurationImport.read(
            dialect, [.init("ipsec.conf", Array(written.utf8))],
            secrets: secrets.map { [.init("ipsec.secrets", Array($0.utf8))] } ?? [], options: options)
        text = String(decoding: imported.document.rendered().octets, as: UTF8.self)
    }

    static func octets(_ name: String) throws -> [UInt8] {
        let folder = try #require(Bundle.module.url(forResource: "Samples", withExtension: nil))
        return Array(try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    func loaded() throws -> LoadedConfiguration {
        try LoadedConfiguration(path: "swanctl.conf", source: FilesInMemory(["swanctl.conf": text]))
    }

    func notes(_ kind: ImportNote.Kind) -> [String] { imported.notes.filter { $0.kind == kind }.map(\.subject) }
}
