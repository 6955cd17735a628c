import Foundation
import Gateway
import SwanctlConfig
import Trust
import ViciMessages
import ViciServer
import WireFormat

/// `swanctl --load-… --file FILE`: a file that the gateway does not read itself, sent to it over the control socket.
///
/// It owns what is sent and the texts about it. The file is read whole first, so that a mistake changes nothing.
struct SwanctlLoading {
    private let client: ViciClient
    private let raw: SwanctlRaw?
    private let loaded: LoadedConfiguration
    private let fragment: SettingsFragment

    /// A file that can't be loaded.
    struct Broken: Error, CustomStringConvertible { let description: String }

    init(_ path: String, _ client: ViciClient, _ raw: SwanctlRaw?) throws {
        self.client = client
        self.raw = raw
        do {
            loaded = try LoadedConfiguration(path: path, source: DiskFiles())
            fragment = try SettingsFragment(path: path, source: DiskFiles())
        } catch {
            throw Broken(description: error.errors.map(\.description).joined(separator: "\n"))
        }
    }

    /// Carries out a command; the exit status. `clears` forgets all keys and certificates first.
    func carryOut(_ command: String, clears: Bool) throws -> Int32 {
        var isWhole = true
        let isAll = command == "--load-all"
        if isAll || command == "--load-creds" { isWhole = try credentials(clears: clears) && isWhole }
        if isAll || command == "--load-authorities" {
            isWhole = try replace("authorities", "authority", "authorities") && isWhole
        }
        if isAll || command == "--load-pools" { isWhole = try replace("pools", "pool", "pools") && isWhole }
        if isAll || command == "--load-conns" { isWhole = try replace("connections", "conn", "conns") && isWhole }
        return isWhole ? 0 : 1
    }

    /// Sends a command; its reply, shown to who wants it as it is.
    private func ask(_ name: String, _ arguments: ViciTree = ViciTree()) throws -> ViciTree {
        let reply = try client.call(name, arguments)
        if let raw { print(raw.text("\(name) reply", reply)) }
        return reply
    }

    /// Asks for something to be taken in, and says how it went.
    private func load(_ name: String, _ arguments: ViciTree, _ what: String) throws -> ViciTree? {
        let reply = try ask(name, arguments)
        if reply["success"] == "yes" {
            if raw == nil { print("loaded \(what)") }
            return reply
        }
        FileHandle.standardError.write(Data("loading \(what) failed: \(reply["errmsg"] ?? "")\n".utf8))
        return nil
    }

    /// Loads the sections of one kind, and unloads those that are not in the file.
    private func replace(_ section: String, _ kind: String, _ plural: String) throws -> Bool {
        let word = kind == "conn" ? "connection" : kind
        let known = try ask("get-\(plural)")
        let before = known.list(plural) ?? known.sections.map(\.name)
        let wanted = Self.tree(fragment.section(section) ?? SettingsFragment()).sections
        var count = 0
        for (name, fields) in wanted {
            let item = ViciTree([(name: name, element: .section(fields))])
            if try load("load-\(kind)", item, "\(word) '\(name)'") != nil { count += 1 }
        }
        var unloaded = 0
        for name in before where !wanted.contains(where: { $0.name == name }) {
            if try ask("unload-\(kind)", ViciTree { $0.set("name", name) })["success"] == "yes" { unloaded += 1 }
        }
        if raw == nil {
            let share = count == wanted.count ? "successfully loaded \(count)" : "loaded \(count) of \(wanted.count)"
            print("\(share) \(section), \(unloaded) unloaded")
        }
        return count == wanted.count
    }

    // MARK: Keys, certificates, secrets

    private func credentials(clears: Bool) throws -> Bool {
        if clears { _ = try ask("clear-creds") }
        let oldKeys = try ask("get-keys").list("keys") ?? []
        let oldSecrets = try ask("get-shared").list("keys") ?? []
        var failures = 0
        for certificate in loaded.credentials.certificates {
            let item = Self.certificate("x509", "none", certificate.der)
            if try load("load-cert", item, "certificate '\(certificate.name)'") == nil { failures += 1 }
        }
        for certificate in loaded.credentials.authorities {
            let item = Self.certificate("x509", "ca", certificate.der)
            if try load("load-cert", item, "certificate '\(certificate.name)'") == nil { failures += 1 }
        }
        for list in loaded.credentials.revocationLists {
            if try load("load-cert", Self.certificate("x509_crl", "none", list.der), "revocation list") == nil {
                failures += 1
            }
        }
        var keys: Set<String> = []
        for key in loaded.credentials.keys {
            let item = ViciTree { tree in
                tree.set("type", "any")
                tree[element: "data"] = key.pem().map { .secret($0) }
            }
            if let id = try load("load-key", item, "private key")?["id"] { keys.insert(id) } else { failures += 1 }
        }
        for secret in loaded.secrets where try !load(secret) { failures += 1 }
        for key in oldKeys where !keys.contains(key) { _ = try ask("unload-key", ViciTree { $0.set("id", key) }) }
        for name in oldSecrets where !loaded.secrets.contains(where: { $0.name == name }) {
            _ = try ask("unload-shared", ViciTree { $0.set("id", name) })
        }
        return failures == 0
    }

    private func load(_ secret: Secret) throws -> Bool {
        let fields = Self.tree(fragment.section("secrets")?.section(secret.name) ?? SettingsFragment())
        let item = ViciTree { tree in
            tree.set("id", secret.name)
            tree.set("type", secret.kind.rawValue)
            tree[element: "data"] = .secret(secret.value)
            tree.setList("owners", fields.entries.filter { $0.name.hasPrefix("id") }.compactMap { fields[$0.name] })
        }
        return try load("load-shared", item, "\(secret.kind.rawValue) secret '\(secret.name)'") != nil
    }

    private static func certificate(_ type: String, _ flag: String, _ der: [UInt8]) -> ViciTree {
        ViciTree { tree in
            tree.set("type", type)
            tree.set("flag", flag)
            tree[element: "data"] = .value(der)
        }
    }

    /// A fragment as a message.
    static func tree(_ fragment: SettingsFragment) -> ViciTree {
        ViciTree(
            fragment.entries.map { entry in
                switch entry.element {
                case .value(let octets): (name: entry.name, element: .value(octets))
                case .list(let items): (name: entry.name, element: .list(items))
                case .section(let inner): (name: entry.name, element: .section(tree(inner)))
                case .secret(let secret): (name: entry.name, element: .secret(secret))
                }
            })
    }
}
