import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes
import ViciMessages
import WireFormat

/// Turns what the gateway knows into the trees that this field's clients read.
///
/// It owns key names, their order and their spelling. It never asks for anything: all facts come in.
enum ViciReports {
    /// The answer to `version`.
    static func version(_ version: ViciVersion) -> ViciTree {
        ViciTree { tree in
            tree.set("daemon", version.daemon)
            tree.set("version", version.version)
            tree.set("sysname", version.system)
            tree.set("release", version.release)
            tree.set("machine", version.machine)
        }
    }

    /// The answer to `stats`.
    static func statistics(_ facts: ViciStatistics, unixTime: Int64) -> ViciTree {
        ViciTree { tree in
            tree.setSection("uptime") {
                $0.set("running", ReadableTime.span(facts.uptime))
                $0.set("since", ReadableTime.text(unixTime: unixTime - facts.uptime.wholeSeconds))
            }
            tree.setSection("workers") {
                $0.set("total", facts.workers)
                $0.set("idle", facts.idleWorkers)
                // We have no priorities among workers: those that work are all alike.
                $0.setSection("active") { priorities(medium: max(0, facts.workers - facts.idleWorkers), into: &$0) }
            }
            tree.setSection("queues") { priorities(medium: 0, into: &$0) }
            tree.set("scheduled", facts.scheduled)
            tree.setSection("ikesas") {
                $0.set("total", facts.ikeSAs)
                $0.set("half-open", facts.halfOpenIKESAs)
            }
            tree.setList("plugins", facts.features)
        }
    }

    private static func priorities(medium: Int, into tree: inout ViciTree) {
        tree.set("critical", 0)
        tree.set("high", 0)
        tree.set("medium", medium)
        tree.set("low", 0)
    }

    /// A `list-sa` event: one IKE SA and those of its children that `includes` lets through.
    static func ikeSA(
        _ sa: ViciIKESA, now: Instant, includesChildren: Bool = true, includes: (ChildSASummary) -> Bool = { _ in true }
    ) -> ViciTree {
        ViciTree { tree in
            tree.setSection(sa.summary.connection) { section in
                ikeSAFields(sa.summary, now: now, into: &section)
                guard includesChildren else { return }
                section.setSection("child-sas") { children in
                    for child in sa.summary.children where includes(child) {
                        children.setSection("\(child.name)-\(child.id)") {
                            childSAFields(child, sa.traffic[child.id] ?? .init(), now: now, into: &$0)
                        }
                    }
                }
            }
        }
    }

    private static func ikeSAFields(_ sa: IKESASummary, now: Instant, into tree: inout ViciTree) {
        tree.set("uniqueid", sa.id)
        tree.set("version", sa.version)
        tree.set("state", sa.state.rawValue)
        tree.set("local-host", sa.path.local.address)
        tree.set("local-port", sa.path.local.port)
        tree.set("local-id", sa.localIdentity?.whole ?? "%any")
        tree.set("remote-host", sa.path.remote.address)
        tree.set("remote-port", sa.path.remote.port)
        tree.set("remote-id", sa.remoteIdentity?.whole ?? "%any")
        if let name = sa.remoteEAPIdentity { tree.set("remote-eap-id", name) }
        if sa.isInitiator { tree.set("initiator", true) }
        tree.set("initiator-spi", Hex.encode(sa.initiatorSPI))
        tree.set("responder-spi", Hex.encode(sa.responderSPI))
        if sa.isBehindNAT { tree.set("nat-local", true) }
        if sa.isPeerBehindNAT { tree.set("nat-remote", true) }
        if sa.isBehindNAT || sa.isPeerBehindNAT { tree.set("nat-any", true) }
        if let algorithms = sa.algorithms { algorithmFields(algorithms, includesPRF: true, into: &tree) }
        // In other states clients do not expect it.
        if let established = sa.established, sa.state == .established {
            tree.set("established", (now - established).wholeSeconds)
        }
        if let due = sa.rekeyDue, sa.state == .established { tree.set("rekey-time", (due - now).wholeSeconds) }
        if let due = sa.reauthenticationDue, sa.state == .established {
            tree.set("reauth-time", (due - now).wholeSeconds)
        }
        if !sa.localVirtualAddresses.isEmpty { tree.setList("local-vips", sa.localVirtualAddresses) }
        if !sa.remoteVirtualAddresses.isEmpty { tree.setList("remote-vips", sa.remoteVirtualAddresses) }
        if !sa.localPrefixes.isEmpty { tree.setList("local-prefixes", sa.localPrefixes) }
        if !sa.remotePrefixes.isEmpty { tree.setList("remote-prefixes", sa.remotePrefixes) }
        if !sa.queuedTasks.isEmpty { tree.setList("tasks-queued", sa.queuedTasks) }
        if !sa.activeTasks.isEmpty { tree.setList("tasks-active", sa.activeTasks) }
    }

    private static func algorithmFields(_ proposal: Proposal, includesPRF: Bool, into tree: inout ViciTree) {
        if let encryption = proposal.first(.encryption) {
            tree.set("encr-alg", encryption.displayName)
            if let bits = encryption.keyBits { tree.set("encr-keysize", bits) }
        }
        if let integrity = proposal.first(.integrity), integrity.id != 0 {
            tree.set("integ-alg", integrity.displayName)
            if let bits = integrity.keyBits { tree.set("integ-keysize", bits) }
        }
        if includesPRF, let prf = proposal.first(.prf) { tree.set("prf-alg", prf.displayName) }
        if let group = proposal.first(.keyExchange), group.id != 0 { tree.set("dh-group", group.displayName) }
        for transform in proposal.additionalKeyExchanges {
            guard let number = transform.type.additionalKeyExchange else { continue }
            tree.set("ake\(number)", transform.displayName)
        }
        if !includesPRF, let numbers = proposal.first(.sequenceNumbers), numbers.id == 1 { tree.set("esn", 1) }
    }

    static func childSAFields(
        _ child: ChildSASummary, _ traffic: ViciIKESA.Traffic, now: Instant, into tree: inout ViciTree
    ) {
        tree.set("name", child.name)
        tree.set("uniqueid", child.id)
        tree.set("reqid", child.protection)
        tree.set("state", child.state.rawValue)
        tree.set("mode", child.mode.rawValue)
        if child.state != .created, child.state != .routed {
            tree.set("protocol", child.algorithms.securityProtocol.description)
            if child.encapsulation == .udp { tree.set("encap", true) }
            tree.set("spi-in", Hex.encode(child.inboundSPI))
            tree.set("spi-out", Hex.encode(child.outboundSPI))
            if let compression = child.compression {
                tree.set("cpi-in", Hex.encode(compression.inbound))
                tree.set("cpi-out", Hex.encode(compression.outbound))
            }
            algorithmFields(child.algorithms, includesPRF: false, into: &tree)
            counters("in", traffic.inbound, now: now, into: &tree)
            counters("out", traffic.outbound, now: now, into: &tree)
            if let due = child.rekeyDue {
                tree.set("rekey-time", (due - now).wholeSeconds)
            }
            if let end = child.expires { tree.set("life-time", (end - now).wholeSeconds) }
            if let installed = child.installed { tree.set("install-time", (now - installed).wholeSeconds) }
        }
        tree.setList("local-ts", child.localSelectors)
        tree.setList("remote-ts", child.remoteSelectors)
    }

    private static func counters(
        _ direction: String, _ counters: SACounters, now: Instant, into tree: inout ViciTree
    ) {
        tree.set("bytes-\(direction)", counters.bytes)
        tree.set("packets-\(direction)", counters.packets)
        if let use = counters.lastUse { tree.set("use-\(direction)", (now - use).wholeSeconds) }
    }

    /// The answer to `get-algorithms`.
    static func algorithms(_ kinds: [(kind: String, names: [String])]) -> ViciTree {
        ViciTree { tree in
            for kind in kinds {
                tree.setSection(kind.kind) { section in for name in kind.names { section.set(name, "martlet") } }
            }
        }
    }

    /// Text that fits into a value, in ASCII: of one with any other character, strongSwan's clients show nothing at all.
    static func text(_ text: String) -> String {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return String(decoding: text.utf8.prefix(60_000), as: UTF8.self) }
        let plain = text.flatMap { plainly[$0] ?? ($0.isASCII ? String($0) : "?") }
        return String(plain.prefix(60_000))
    }

    private static let plainly: [Character: String] = [
        "→": "->", "←": "<-", "…": "...", "–": "-", "—": "-", "×": "x", "≤": "<=", "≥": ">=", "²": "^2",
        "§": "section ",
        "µ": "u", "‘": "'", "’": "'", "“": "\"", "”": "\"", "·": "-", "•": "-", "✓": "ok", "✗": "not ok",
    ]

    /// The answer to a command that was carried out or not.
    static func outcome(_ outcome: ViciOutcome) -> ViciTree {
        ViciTree { tree in
            tree.set("success", outcome.succeeded)
            if let matches = outcome.matches { tree.set("matches", matches) }
            if let terminated = outcome.terminated { tree.set("terminated", terminated) }
            if let message = outcome.message { tree.set("errmsg", text(message)) }
            if let id = outcome.id { tree.set("id", id) }
        }
    }
}
