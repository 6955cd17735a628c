import Dialects
import Foundation
import Gateway
import GatewayModel
import SwanctlConfig

/// The other end's configuration, read to be compared: what stands in the way of loading it here, but says nothing about
/// a tunnel, is passed over and told.
struct PeerReading {
    /// Its connections, those that use IKEv1 as if they did not.
    let loaded: LoadedConfiguration
    /// Connections that use IKEv1.
    private(set) var ikev1: Set<String> = []
    /// What could not be looked at, in sentences.
    private(set) var notes: [String] = []

    init(
        _ file: String, secrets: [String] = [], from: String? = nil, local: ConfigurationImport.LocalSide = .left
    ) throws {
        let dialect = try ImportReading.dialect(named: from)
        if dialect == nil, let octets = try? DiskFiles().contents(of: file), ImportDialect.detect(octets) == nil {
            (loaded, ikev1, notes) = try Self.swanctl(file, octets)
            return
        }
        func read(raisesVersion: Bool) throws -> ImportResult {
            let reading = try ImportReading(
                file, secrets: secrets, dialect: dialect, local: local, raisesVersion: raisesVersion)
            return ImportResult(reading, target: URL(fileURLWithPath: "swanctl.conf").standardizedFileURL.path)
        }
        let asItIs = try read(raisesVersion: false)
        let raised = try read(raisesVersion: true)
        guard let loaded = raised.loaded ?? asItIs.loaded, !loaded.connections.isEmpty else {
            throw CommandFailure(
                "\(file) can't be understood well enough:\n"
                    + (asItIs.errors.map(\.description) + asItIs.notes.map(\.description)).joined(separator: "\n"))
        }
        self.loaded = loaded
        let names = Set(asItIs.loaded?.connections.map(\.name) ?? [])
        if raised.loaded != nil { ikev1 = Set(loaded.connections.map(\.name)).subtracting(names) }
    }

    // MARK: swanctl.conf

    /// Reads a swanctl.conf as far as it can be compared: certificates that only the other end has are left out of it.
    private static func swanctl(
        _ file: String, _ octets: [UInt8]
    ) throws -> (LoadedConfiguration, Set<String>, [String]) {
        var texts: [String: String] = [file: String(decoding: octets, as: UTF8.self)]
        var ikev1: Set<String> = []
        var notes: [String] = []
        // Each round takes at least one setting out.
        for _ in 0..<1_000 {
            let source = FilesWithAdditions(texts.sorted { $0.key < $1.key }.map { (path: $0.key, text: $0.value) })
            do { return (try LoadedConfiguration(path: file, source: source), ikev1, notes) } catch {
                var hasChanged = false
                for problem in error.errors {
                    let path = problem.message.prefix { $0 != ":" }.split(separator: ".").map(String.init)
                    let isVersion = path.last == "version" && problem.message.contains("IKEv1")
                    guard isVersion || problem.message.contains("can't be read"), let key = path.last, path.count > 1,
                        try Self.takeOut(key, problem.location, &texts)
                    else { continue }
                    hasChanged = true
                    if isVersion { ikev1.insert(path[1]) } else { notes.append("not compared: \(problem.message)") }
                }
                guard hasChanged else {
                    throw CommandFailure(
                        "\(file) can't be read as swanctl.conf, and looks like nothing else:\n\(error.errors[0])")
                }
            }
        }
        throw CommandFailure("\(file) can't be read as swanctl.conf: there is too much in it that is not here.")
    }

    /// Takes a setting out of its line; false when it is not there.
    private static func takeOut(
        _ key: String, _ place: SourceLocation, _ texts: inout [String: String]
    ) throws -> Bool {
        let text = try texts[place.file] ?? String(decoding: PeerFiles.octets(place.file), as: UTF8.self)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let index = place.line - 1
        guard lines.indices.contains(index), let found = lines[index].firstRange(of: key),
            lines[index][found.upperBound...].drop(while: \.isWhitespace).first == "="
        else { return false }
        // A value ends with its line, or where its section does.
        let rest = lines[index][found.lowerBound...]
        let end = rest.firstIndex { $0 == "}" || $0 == "#" } ?? rest.endIndex
        lines[index].replaceSubrange(found.lowerBound..<end, with: "")
        texts[place.file] = lines.joined(separator: "\n")
        return true
    }
}
