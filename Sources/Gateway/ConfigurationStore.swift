import Clockwork
import GatewayModel
import StateRecords
import SwanctlConfig
import Trust
import ViciServer

/// What a gateway is configured to do, wherever it came from: the file, and what control clients have loaded since.
///
/// It owns the pieces and puts them together. Changes are taken over by the gateway at once when it needs them, and
/// together when they come in a row: ten thousand connections that are loaded one by one are not ten thousand
/// configurations. It never reads a file and never decides what a key means.
final class ConfigurationStore {
    /// How long a change waits for another one when nobody needs it, and how long at most while others keep coming.
    private static let patience = Interval.milliseconds(100)
    private static let longestPatience = Interval.seconds(2)

    private var file: LoadedConfiguration
    /// What the file says and clients have unloaded, or replaced, since.
    private var hidden: [ViciItem.Kind: Set<String>] = [:]
    private var pieces: [ViciItem.Kind: NamedPieces] = [:]
    /// The same as clients said it, for the process that goes on from here.
    private var items = LoadedItems()
    private var shelf = CredentialShelf()
    /// Children whose trap policies a client has put in force, or out of it, whatever the configuration says.
    private var installed: [String: [String: Bool]] = [:]
    private var waiting: [String] = []
    private var isDirty = false
    /// When a change is taken over at the latest; nil when there is none.
    private(set) var due: Instant?
    private var firstChange = Instant.zero
    private var anonymous = 0
    /// The connections that are there, as far as they have to be compared.
    private var tunnels: CloudflareTunnels

    /// Told the whole configuration and the connections that are new or different, when it changes.
    var onChange: ((LoadedConfiguration, _ changed: [String]) -> Void)?

    /// Told what is worth knowing of what clients load, a line each.
    var onWarning: ((String) -> Void)?

    /// A store that knows what the file says.
    init(_ file: LoadedConfiguration) {
        self.file = file
        tunnels = CloudflareTunnels(file.connections)
    }

    /// How the daemon behaves.
    var settings: DaemonSettings { file.settings }

    /// Everything together.
    var whole: LoadedConfiguration {
        var whole = file
        if let names = hidden[.connection], !names.isEmpty {
            whole.connections.removeAll { names.contains($0.name) }
        }
        if let names = hidden[.sharedSecret], !names.isEmpty {
            whole.secrets.removeAll { names.contains($0.name) }
        }
        if let names = hidden[.pool], !names.isEmpty { whole.pools.removeAll { names.contains($0.name) } }
        whole.credentials = shelf.together(with: file.credentials)
        if let names = hidden[.authority], !names.isEmpty { whole.forgetAuthorities(names) }
        for kind in ViciItem.Kind.allCases {
            for piece in pieces[kind]?.all ?? [] { whole.append(piece) }
        }
        CredentialBinding(whole.credentials).bind(&whole.connections)
        file.settings.apply(to: &whole.connections)
        if !installed.isEmpty {
            for index in whole.connections.indices { install(in: &whole.connections[index]) }
        }
        return whole
    }

    /// The file says something else now. What clients have loaded under the same names is gone, the rest stays.
    func replaceFile(_ next: LoadedConfiguration) {
        file = next
        hidden = [:]
        installed = [:]
        for kind in [ViciItem.Kind.connection, .sharedSecret, .pool, .authority] {
            for name in fileNames(kind) {
                pieces[kind]?.remove(name)
                items.forget(kind, name)
            }
        }
        shelf.fileIsNew()
        // A file is taken as it is; what clients have loaded stays, and may not get along with it.
        tunnels = CloudflareTunnels(file.connections)
        let loaded = pieces[.connection]?.all.flatMap(\.connections) ?? []
        for reason in loaded.compactMap({ tunnels.conflict(with: $0) }) { onWarning?(reason) }
        for connection in loaded { tunnels.set(connection) }
        isDirty = true
        waiting = []
        apply()
    }

    /// Lets the gateway have what has changed.
    func apply() {
        guard isDirty else { return }
        isDirty = false
        due = nil
        let changed = waiting
        waiting = []
        onChange?(whole, changed)
    }

    /// Puts the trap policies of a child in force, or out of it, until its connection is loaded again.
    func install(_ wanted: Bool, child: String, of connection: String, now: Instant) {
        installed[connection, default: [:]][child] = wanted
        touch(now)
    }

    private func install(in connection: inout Connection) {
        guard let wishes = installed[connection.name] else { return }
        for index in connection.children.indices {
            guard let wanted = wishes[connection.children[index].name] else { continue }
            connection.children[index].startAction = wanted ? .trap : .none
        }
    }

    // MARK: Loading

    /// Takes in what a client gives: all of it or, when any of it is wrong, nothing. Returns why not.
    func load(_ items: [ViciItem], now: Instant) -> String? { load(items, now: now, reviews: true) }

    /// With `reviews`, connections are compared with those that are there, and warnings told.
    private func load(_ items: [ViciItem], now: Instant, reviews: Bool) -> String? {
        var read: [(item: ViciItem, name: String, piece: LoadedConfiguration)] = []
        for item in items {
            switch item.kind {
            case .connection, .sharedSecret, .pool, .authority: break
            case .privateKey, .certificate, .token: return "\(item.kind.rawValue): these are loaded one by one"
            }
            let name = item.name ?? newName()
            do throws(ConfigurationErrors) {
                let piece = try LoadedConfiguration(
                    SettingsFragment(item, named: name), from: "control-client")
                for connection in piece.connections {
                    if reviews, let reason = tunnels.conflict(with: connection) {
                        if !read.isEmpty { compareAnew() }
                        return reason
                    }
                    tunnels.set(connection)
                }
                read.append((item, name, piece))
            } catch {
                if !read.isEmpty { compareAnew() }
                return Self.complaint(error)
            }
        }
        for (item, name, piece) in read {
            if reviews {
                for warning in piece.warnings { onWarning?(warning.description) }
                tellOfOverlaps(piece.pools)
            }
            enter(piece, item.kind, name, now)
            self.items.note(item, name)
        }
        return nil
    }

    /// Pools come one by one, and those that are to go are unloaded last: that two overlap for a moment is no mistake.
    private func tellOfOverlaps(_ pools: [AddressPool]) {
        guard !pools.isEmpty else { return }
        let gone = hidden[.pool] ?? []
        let others =
            file.pools.filter { !gone.contains($0.name) } + (pieces[.pool]?.all.flatMap(\.pools) ?? [])
        for pool in pools {
            for other in others where other.name != pool.name {
                guard let overlap = other.overlap(with: pool) else { continue }
                onWarning?("pools '\(other.name)' and '\(pool.name)' overlap: \(overlap.consequence)")
            }
        }
    }

    /// What was read is not taken in, or other connections are there than a moment ago.
    private func compareAnew() {
        let gone = hidden[.connection] ?? []
        tunnels = CloudflareTunnels(file.connections.lazy.filter { !gone.contains($0.name) })
        for connection in pieces[.connection]?.all.flatMap(\.connections) ?? [] { tunnels.set(connection) }
    }

    /// Takes in a private key, a certificate or a revocation list.
    func loadCredential(_ item: ViciItem, now: Instant) -> ViciOutcome {
        var outcome = ViciOutcome.success
        do throws(CredentialShelf.Refusal) {
            switch item.kind {
            case .privateKey:
                outcome.id = try shelf.addKey(item.fields)
                items.note(item, outcome.id ?? "")
            case .certificate:
                try shelf.addCertificate(item.fields)
                items.note(item, newName())
            default:
                throw .init(reason: "'\(item.name ?? "")': smart cards and other tokens (PKCS #11) are not supported")
            }
        } catch {
            return .failure(error.reason)
        }
        touch(now)
        return outcome
    }

    /// Everything that `list-certs` shows.
    var certificates: [ViciCertificate] {
        let whole = whole
        return whole.credentials.listing(whole.connections)
            + shelf.publicKeys.map { key in
                let isOurs = whole.credentials.key(ofInfo: key.info) != nil
                return ViciCertificate(
                    type: "PUBKEY", flag: nil, hasPrivateKey: isOurs, data: key.info, subject: nil)
            }
    }

    private func newName() -> String {
        anonymous += 1
        return "unnamed-\(anonymous)"
    }

    private func enter(_ piece: LoadedConfiguration, _ kind: ViciItem.Kind, _ name: String, _ now: Instant) {
        if kind == .connection {
            // A connection that says what it said before is left alone, and its tunnels with it.
            if piece.connections.first?.unbound == connection(name)?.unbound { return }
            installed[name] = nil
            waiting.append(name)
        }
        hidden[kind, default: []].insert(name)
        pieces[kind, default: NamedPieces()].set(name, piece)
        touch(now)
    }

    /// A connection as it was loaded, before settings of the daemon's came to it.
    private func connection(_ name: String) -> Connection? {
        if let piece = pieces[.connection]?[name] { return piece.connections.first }
        if hidden[.connection]?.contains(name) ?? false { return nil }
        guard var known = file.connections.first(where: { $0.name == name }) else { return nil }
        known.retransmission = RetransmissionSchedule()
        known.makesBeforeBreaking = true
        return known
    }

    private func touch(_ now: Instant) {
        if !isDirty { firstChange = now }
        isDirty = true
        due = min(now + Self.patience, firstChange + Self.longestPatience)
    }

    /// Forgets something; false when there is nothing of that name.
    func unload(_ kind: ViciItem.Kind, _ name: String, now: Instant) -> Bool {
        if kind == .privateKey {
            guard shelf.unloadKey(name, file: file.credentials) else { return false }
            items.forget(.privateKey, name.lowercased())
            touch(now)
            return true
        }
        let isLoaded = pieces[kind]?.remove(name) ?? false
        items.forget(kind, name)
        let isFiled = fileNames(kind).contains(name) && !(hidden[kind]?.contains(name) ?? false)
        guard isLoaded || isFiled else { return false }
        hidden[kind, default: []].insert(name)
        if kind == .connection { tunnels.remove(name) }
        waiting.removeAll { $0 == name }
        touch(now)
        return true
    }

    /// The names that can be unloaded, those of the file first.
    func names(of kind: ViciItem.Kind) -> [String] {
        if kind == .privateKey {
            return shelf.together(with: file.credentials).keys.map(CredentialShelf.identifier)
        }
        let gone = hidden[kind] ?? []
        let loaded = pieces[kind]?.names.filter { !$0.hasPrefix("unnamed-") } ?? []
        return fileNames(kind).filter { !gone.contains($0) } + loaded
    }

    private func fileNames(_ kind: ViciItem.Kind) -> [String] {
        switch kind {
        case .connection: file.connections.map(\.name)
        case .sharedSecret: file.secrets.map(\.name)
        case .pool: file.pools.map(\.name)
        case .authority: file.authorities.map(\.name)
        case .privateKey, .certificate, .token: []
        }
    }

    /// Forgets all secrets, keys and certificates, those of the file as well.
    func clearCredentials(now: Instant) {
        hidden[.sharedSecret, default: []].formUnion(file.secrets.map(\.name))
        pieces[.sharedSecret] = nil
        shelf.clear()
        items.forget([.sharedSecret, .privateKey, .certificate])
        touch(now)
    }

    /// Appends what clients have changed of what the file says.
    func write(to writer: RecordWriter) {
        items.write(to: writer)
        let kinds = ViciItem.Kind.allCases.filter { hidden[$0]?.isEmpty == false }
        writer.list(kinds) { kind in
            writer.text(kind.rawValue)
            writer.list((hidden[kind] ?? []).sorted()) { writer.text($0) }
        }
        writer.list(installed.sorted { $0.key < $1.key }) { entry in
            writer.text(entry.key)
            writer.list(entry.value.sorted { $0.key < $1.key }) { wish in
                writer.text(wish.key)
                writer.bool(wish.value)
            }
        }
        writer.uint32(UInt32(clamping: anonymous))
    }

    /// Reads it back into a store that knows what the file says now; what can't be loaded any more is named.
    func read(from reader: inout RecordReader, now: Instant) throws(RecordError) -> [String] {
        var refused: [String] = []
        for (name, item) in try LoadedItems.read(from: &reader) {
            var named = item
            switch item.kind {
            case .privateKey, .certificate, .token:
                let outcome = loadCredential(item, now: now)
                if !outcome.succeeded { refused.append("\(item.kind.rawValue): \(outcome.message ?? "")") }
            case .connection, .sharedSecret, .pool, .authority:
                named.name = name
                if let reason = load([named], now: now, reviews: false) { refused.append("\(name): \(reason)") }
            }
        }
        let kinds = try reader.list("hidden") { reader throws(RecordError) in
            let kind = ViciItem.Kind(rawValue: try reader.text("kind"))
            return (kind, try reader.list("hidden") { reader throws(RecordError) in try reader.text("name") })
        }
        for case (let kind?, let names) in kinds { hidden[kind, default: []].formUnion(names) }
        let wishes = try reader.list("policies") { reader throws(RecordError) in
            let connection = try reader.text("connection")
            return (
                connection,
                try reader.list("policies") { reader throws(RecordError) in
                    let child = try reader.text("child")
                    return (child, try reader.bool("policy"))
                }
            )
        }
        for (connection, children) in wishes {
            for (child, wanted) in children { installed[connection, default: [:]][child] = wanted }
        }
        anonymous = max(anonymous, Int(try reader.uint32("names")))
        compareAnew()
        // Whoever reads it asks for ``whole`` next.
        isDirty = false
        due = nil
        waiting = []
        return refused
    }

    /// Names that nobody knows, a few of them, or else the first mistake; and how many more there are.
    private static func complaint(_ errors: ConfigurationErrors) -> String {
        let unknown = errors.errors.filter(\.isUnknownName).prefix(5)
        let told = unknown.isEmpty ? errors.errors.prefix(1) : unknown
        guard !told.isEmpty else { return "it can't be read" }
        let words = told.map { $0.message + ($0.remedy.map { "; \($0)" } ?? "") }.joined(separator: " - ")
        let rest = errors.errors.count - told.count
        return words + (rest > 0 ? " (and \(rest) more)" : "")
    }
}

/// Pieces by name, in the order in which the names first came; taking one out costs no more than one step.
struct NamedPieces {
    private var places: [String: Int] = [:]
    private var slots: [(name: String, piece: LoadedConfiguration)?] = []

    /// All of them.
    var all: [LoadedConfiguration] { slots.compactMap { $0?.piece } }
    /// Their names.
    var names: [String] { slots.compactMap { $0?.name } }

    /// The piece of this name.
    subscript(name: String) -> LoadedConfiguration? { places[name].flatMap { slots[$0]?.piece } }

    /// Puts a piece in, in place of an earlier one of its name.
    mutating func set(_ name: String, _ piece: LoadedConfiguration) {
        if let place = places[name] {
            slots[place] = (name, piece)
        } else {
            places[name] = slots.count
            slots.append((name, piece))
        }
    }

    /// Takes a piece out; whether it was there.
    @discardableResult
    mutating func remove(_ name: String) -> Bool {
        guard let place = places.removeValue(forKey: name) else { return false }
        slots[place] = nil
        if slots.count > 64, places.count < slots.count / 2 {
            slots = slots.filter { $0 != nil }
            for (index, slot) in slots.enumerated() { if let slot { places[slot.name] = index } }
        }
        return true
    }
}
