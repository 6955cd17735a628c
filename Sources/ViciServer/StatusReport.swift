import Clockwork
import GatewayModel
import ViciMessages

/// What `martlet status` shows: all connections with what last went wrong, all IKE SAs, and the refusals for which no
/// connection could be named.
///
/// It owns our own extension of the control protocol. The answer is one tree with the sections `connections`, `sas`,
/// `refusals`, `drops` and `failures`; since a segment cannot hold thousands of SAs, a client may have it in parts, each a
/// tree of the same shape.
struct StatusReport {
    /// The command, and the event that carries a part.
    static let name = "martlet-status"
    /// The sections, in order.
    static let sections = ["connections", "sas", "refusals", "drops", "failures"]

    /// What one part tells.
    enum Part {
        case connection(Connection, [ViciIKESA], ViciFailure?, traps: [String])
        case ikeSA(ViciIKESA)
        case refusal(Int, ViciFailure)
        case drops([DropCount])
        case failure(Int, ViciFailureCount)
    }

    let parts: [Part]
    private let now: Instant
    private let unixTime: Int64

    /// What the gateway knows at this moment.
    init(_ handler: any ViciHandler) {
        now = handler.now
        unixTime = handler.unixTime
        let ikeSAs = handler.ikeSAs()
        let byConnection = Dictionary(grouping: ikeSAs) { $0.summary.connection }
        let failures = handler.lastFailures()
        let traps = Dictionary(grouping: handler.policies().filter { $0.action == .trap }) { $0.connection }
        var parts = handler.connections().map { connection in
            Part.connection(
                connection, byConnection[connection.name] ?? [], failures[connection.name],
                traps: traps[connection.name]?.map(\.child) ?? [])
        }
        parts += ikeSAs.map { .ikeSA($0) }
        parts += handler.strayFailures().enumerated().map { .refusal($0.offset, $0.element) }
        let drops = handler.dropCounts()
        if !drops.isEmpty { parts.append(.drops(drops)) }
        parts += handler.failureCounts().enumerated().map { .failure($0.offset, $0.element) }
        self.parts = parts
    }

    /// Everything at once.
    var whole: ViciTree { Self.joined(parts.map(tree)) }

    /// The parts' sections, put together.
    static func joined(_ parts: [ViciTree]) -> ViciTree {
        ViciTree(
            sections.map { name in
                let inner = parts.flatMap { $0.section(name)?.entries ?? [] }
                return (name: name, element: .section(ViciTree(inner.map { (name: $0.name, element: $0.element) })))
            })
    }

    /// One part.
    func tree(_ part: Part) -> ViciTree {
        ViciTree { tree in
            switch part {
            case .connection(let connection, let ikeSAs, let failure, let traps):
                tree.setSection("connections") { section in
                    section.setSection(connection.name) { fields in
                        fields.set("state", Self.stateWord(ikeSAs))
                        fields.setList("remote_addrs", ViciReports.addresses(connection.remoteAddresses))
                        fields.setList("children", connection.children.map(\.name))
                        if !traps.isEmpty { fields.setList("traps", traps) }
                        if let failure { fields.setSection("last-error") { self.fields(of: failure, into: &$0) } }
                    }
                }
            case .ikeSA(let sa):
                tree.setSection("sas") { section in
                    section.setSection("\(sa.summary.connection)-\(sa.summary.id)") { fields in
                        fields.set("connection", sa.summary.connection)
                        if let setup = sa.summary.setupTime {
                            fields.set("setup-milliseconds", setup.nanoseconds / 1_000_000)
                        }
                        if let certificate = sa.summary.remoteCertificate {
                            fields.setSection("remote-certificate") { Self.fields(of: certificate, into: &$0) }
                        }
                        let report = ViciReports.ikeSA(sa, now: now).section(sa.summary.connection) ?? ViciTree()
                        for entry in report.entries { fields[element: entry.name] = entry.element }
                        fields.setSection("child-drops") { drops in
                            for child in sa.summary.children {
                                let counters = sa.traffic[child.id]?.inbound ?? SACounters()
                                drops.setSection("\(child.name)-\(child.id)") {
                                    $0.set("replays", counters.replays)
                                    $0.set("forgeries", counters.forgeries)
                                }
                            }
                        }
                    }
                }
            case .refusal(let index, let failure):
                tree.setSection("refusals") { section in
                    section.setSection(String(index)) { fields(of: failure, into: &$0) }
                }
            case .failure(let index, let count):
                tree.setSection("failures") { section in
                    section.setSection(String(index)) {
                        $0.set("connection", count.connection)
                        $0.set("code", count.code)
                        $0.set("count", count.count)
                    }
                }
            case .drops(let counts):
                tree.setSection("drops") { section in for drop in counts { section.set(drop.reason, drop.count) } }
            }
        }
    }

    /// How far the connection is: established with a child, established, on its way, or down.
    private static func stateWord(_ ikeSAs: [ViciIKESA]) -> String {
        let established = ikeSAs.filter { $0.summary.state == .established || $0.summary.state == .rekeying }
        if established.contains(where: {
            $0.summary.children.contains { $0.state == .installed || $0.state == .rekeying }
        }) {
            return "up"
        }
        if !established.isEmpty { return "established" }
        return ikeSAs.contains { $0.summary.state == .connecting || $0.summary.state == .created }
            ? "connecting" : "down"
    }

    private static func fields(of certificate: PeerCertificate, into tree: inout ViciTree) {
        tree.setList("chain", certificate.chain)
        if !certificate.serial.isEmpty { tree.set("serial", certificate.serial) }
        if let ends = certificate.ends { tree.set("ends", ends) }
        tree.set("key", certificate.key)
        tree.set("signature", certificate.signature)
        switch certificate.revocation {
        case .notChecked: tree.set("revocation", "not checked")
        case .good(let source): tree.set("revocation", "not revoked, says \(source)")
        case .unknown(let reason): tree.set("revocation", "unknown: \(reason)")
        }
    }

    private func fields(of failure: ViciFailure, into tree: inout ViciTree) {
        let age = max(0, (now - failure.time).wholeSeconds)
        tree.set("code", failure.code)
        tree.set("text", failure.text)
        if let remedy = failure.remedy { tree.set("remedy", remedy) }
        tree.set("time", unixTime - age)
        tree.set("age", age)
    }
}
