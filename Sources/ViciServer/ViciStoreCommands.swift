import GatewayModel
import ViciMessages
import WireFormat

/// The commands that give the gateway something to know, take it back, or name what it knows.
///
/// It owns their arguments, their answers and their complaints, as this field's clients know them. It never keeps
/// anything.
enum ViciStoreCommands {
    /// The answer to a command of this family; nil when it is none.
    static func answer(
        _ command: String, _ arguments: ViciTree, _ handler: any ViciHandler
    ) throws(ViciCommands.Refusal) -> ViciTree? {
        switch command {
        case "load-conn": outcome(handler.load(try sections(arguments, .connection)))
        case "load-pool": outcome(handler.load(try pools(arguments)))
        case "load-authority": outcome(handler.load(try sections(arguments, .authority)))
        case "load-shared": outcome(handler.load([try sharedSecret(arguments)]))
        case "load-key":
            outcome(handler.load([try blob(arguments, .privateKey, "private key", ["any", "rsa", "ecdsa", "bliss"])]))
        case "load-cert": outcome(handler.load([try certificate(arguments)]))
        case "load-token":
            outcome(
                handler.load([ViciItem(.token, name: try text(arguments, "handle", "keyid missing"), fields: arguments)]
                ))
        case "unload-conn":
            outcome(
                handler.unload(.connection, try text(arguments, "name", "unload: missing connection name")))
        case "unload-pool": outcome(handler.unload(.pool, try text(arguments, "name", "missing pool name")))
        case "unload-authority":
            outcome(handler.unload(.authority, try text(arguments, "name", "unload: missing authority name")))
        case "unload-shared":
            outcome(handler.unload(.sharedSecret, try text(arguments, "id", "shared key id missing")))
        case "unload-key": outcome(handler.unload(.privateKey, try text(arguments, "id", "key id missing")))
        case "get-conns": names(handler, .connection, "conns")
        case "get-shared": names(handler, .sharedSecret, "keys")
        case "get-keys": names(handler, .privateKey, "keys")
        case "get-authorities": names(handler, .authority, "authorities")
        case "get-pools": pools(handler.pools(), arguments)
        case "get-counters": try counters(handler, arguments)
        case "reset-counters": reset(handler, arguments)
        case "install", "uninstall":
            outcome(
                handler.install(
                    command == "install",
                    child: try text(arguments, "child", "missing configuration name"),
                    connection: name(arguments, "ike")))
        case "redirect": outcome(handler.redirect(try redirection(arguments)))
        case "flush-certs": flush(handler, arguments)
        case "clear-creds": clear(handler)
        default: nil
        }
    }

    private static func outcome(_ outcome: ViciOutcome) -> ViciTree { ViciReports.outcome(outcome) }

    private static func names(_ handler: any ViciHandler, _ kind: ViciItem.Kind, _ key: String) -> ViciTree {
        ViciTree { $0.setList(key, handler.names(of: kind)) }
    }

    private static func flush(_ handler: any ViciHandler, _ arguments: ViciTree) -> ViciTree {
        let type = name(arguments, "type")
        handler.flushCertificates(type?.uppercased() == "ANY" ? nil : type)
        return outcome(.success)
    }

    private static func clear(_ handler: any ViciHandler) -> ViciTree {
        handler.clearCredentials()
        return outcome(.success)
    }

    // MARK: Arguments

    private static func name(_ arguments: ViciTree, _ key: String) -> String? {
        arguments[key].flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func text(
        _ arguments: ViciTree, _ key: String, _ complaint: String
    ) throws(ViciCommands.Refusal) -> String {
        guard let text = name(arguments, key) else { throw ViciCommands.Refusal(reason: complaint) }
        return text
    }

    private static func sections(
        _ arguments: ViciTree, _ kind: ViciItem.Kind
    ) throws(ViciCommands.Refusal) -> [ViciItem] {
        for entry in arguments.entries {
            if case .section = entry.element { continue }
            throw ViciCommands.Refusal(reason: "'\(entry.name)' is no section")
        }
        return arguments.sections.map { ViciItem(kind, name: $0.name, fields: $0.tree) }
    }

    private static func pools(_ arguments: ViciTree) throws(ViciCommands.Refusal) -> [ViciItem] {
        let items = try sections(arguments, .pool)
        for item in items where item.fields["addrs"] == nil {
            throw ViciCommands.Refusal(reason: "missing addrs for pool '\(item.name ?? "")'")
        }
        return items
    }

    private static func sharedSecret(_ arguments: ViciTree) throws(ViciCommands.Refusal) -> ViciItem {
        let type = try text(arguments, "type", "shared key type missing")
        guard ["ike", "eap", "xauth", "ntlm", "ppk"].contains(type.lowercased()) else {
            throw ViciCommands.Refusal(reason: "invalid shared key type: \(type)")
        }
        guard arguments.secret("data")?.isEmpty == false else {
            throw ViciCommands.Refusal(reason: "shared key data missing")
        }
        return ViciItem(.sharedSecret, name: name(arguments, "id"), fields: arguments)
    }

    private static func certificate(_ arguments: ViciTree) throws(ViciCommands.Refusal) -> ViciItem {
        let item = try blob(
            arguments, .certificate, "certificate", ["x509", "x509_ac", "x509_crl", "x509_ocsp_response", "pubkey"])
        if let flag = name(arguments, "flag"), !["none", "ca", "aa", "ocsp"].contains(flag.lowercased()) {
            throw ViciCommands.Refusal(reason: "invalid certificate flag: \(flag)")
        }
        return item
    }

    private static func blob(
        _ arguments: ViciTree, _ kind: ViciItem.Kind, _ word: String, _ types: [String]
    ) throws(ViciCommands.Refusal) -> ViciItem {
        let type = try text(arguments, "type", "\(word) type missing")
        guard types.contains(type.lowercased()) else {
            throw ViciCommands.Refusal(reason: "invalid \(word) type: \(type)")
        }
        guard arguments.secret("data")?.isEmpty == false else {
            throw ViciCommands.Refusal(reason: "\(word) data missing")
        }
        return ViciItem(kind, name: nil, fields: arguments)
    }

    private static func redirection(_ arguments: ViciTree) throws(ViciCommands.Refusal) -> ViciRedirection {
        let gateway = try text(arguments, "gateway", "missing target gateway")
        let redirection = ViciRedirection(
            connection: name(arguments, "ike"), ikeSA: name(arguments, "ike-id").flatMap { UInt32($0) },
            peerAddress: name(arguments, "peer-ip"), peerIdentity: name(arguments, "peer-id"), gateway: gateway)
        guard
            redirection.connection != nil || redirection.ikeSA != nil || redirection.peerAddress != nil
                || redirection.peerIdentity != nil
        else { throw ViciCommands.Refusal(reason: "missing redirect selector") }
        return redirection
    }

    // MARK: Answers

    private static func pools(_ pools: [ViciPool], _ arguments: ViciTree) -> ViciTree {
        let wanted = name(arguments, "name")
        let showsLeases = arguments["leases"] == "yes"
        return ViciTree { tree in
            for pool in pools where wanted == nil || wanted == pool.name {
                tree.setSection(pool.name) { section in
                    section.set("base", pool.base)
                    section.set("size", pool.size)
                    section.set("online", pool.leases.count { $0.isOnline })
                    section.set("offline", pool.leases.count { !$0.isOnline })
                    if let prefixes = pool.prefixes {
                        section.set("prefixes", prefixes.block)
                        section.set("prefix-length", prefixes.length)
                        section.set("prefixes-size", prefixes.size)
                        section.set("prefixes-online", prefixes.leases.count { $0.isOnline })
                        section.set("prefixes-offline", prefixes.leases.count { !$0.isOnline })
                    }
                    guard showsLeases else { return }
                    section.setSection("leases") { leases in
                        for (index, lease) in (pool.leases + (pool.prefixes?.leases ?? [])).enumerated() {
                            leases.setSection(String(index)) {
                                $0.set("address", lease.address)
                                $0.set("identity", lease.identity)
                                $0.set("status", lease.isOnline ? "online" : "offline")
                            }
                        }
                    }
                }
            }
        }
    }

    private static func scope(_ arguments: ViciTree) -> ViciCounterScope {
        if let name = name(arguments, "name") { return .connection(name) }
        return arguments["all"] == "yes" ? .each : .global
    }

    private static func counters(
        _ handler: any ViciHandler, _ arguments: ViciTree
    ) throws(ViciCommands.Refusal) -> ViciTree {
        let scope = scope(arguments)
        let found = handler.counters(scope)
        if found.isEmpty, case .connection = scope {
            throw ViciCommands.Refusal(reason: "no counters found for this connection")
        }
        return ViciTree { tree in
            tree.setSection("counters") { section in
                for counters in found {
                    section.set(counters)
                }
            }
            tree.set("success", true)
        }
    }

    private static func reset(_ handler: any ViciHandler, _ arguments: ViciTree) -> ViciTree {
        handler.resetCounters(scope(arguments))
        return outcome(.success)
    }
}

extension ViciTree {
    fileprivate mutating func set(_ counters: ViciCounters) {
        setSection(counters.name) { section in
            for (name, count) in counters.values { section.set(name, count) }
        }
    }
}
