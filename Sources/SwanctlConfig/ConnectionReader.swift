import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes

/// Makes a ``Connection`` from its section.
///
/// It owns the meaning of `connections.<conn>` and of its authentication rounds. Children are ``ChildReader``'s.
struct ConnectionReader {
    private var reader: SectionReader
    private let rounds: AuthenticationReader
    private var diagnostics: DiagnosticCollector { reader.diagnostics }

    init(_ reader: SectionReader, _ directory: CertificateDirectory) {
        self.reader = reader
        rounds = AuthenticationReader(directory: directory)
    }

    /// The connection. Where something is wrong it holds a default, and the mistake has been reported.
    mutating func connection() -> Connection {
        var connection = Connection(name: reader.view.name)
        let profile = reader.read("profile", or: nil) { text throws(ValueProblem) in try PeerProfile.named(text) }
        reader.defaults = profile?.connection ?? [:]
        connection.profile = profile?.name
        connection.largestChildCount = profile?.largestChildCount
        connection.refusesPortChange = profile?.refusesPortChange ?? false
        connection.hasFixedAlgorithms = profile?.ike != nil
        checkVersion()
        addresses(&connection)
        times(&connection)
        connection.proposals = ProposalReader.proposals(&reader, "proposals", for: .ike)
        connection.forcesEncapsulation = reader.read("encap", or: false, ValueSyntax.bool)
        connection.mobike = reader.read("mobike", or: true, ValueSyntax.bool)
        // Who says no means it; who says nothing leaves it to us.
        connection.avoidsEncapsulation = reader.text("encap") != nil && !connection.forcesEncapsulation
        connection.sendsVendorID = reader.read("send_vendor_id", or: false, ValueSyntax.bool)
        connection.uniqueness = reader.read("unique", or: .no) { text throws(ValueProblem) in
            try ValueSyntax.word(text, [("never", .never), ("no", .no), ("replace", .replace), ("keep", .keep)])
        }
        connection.keyingTries = reader.read("keyingtries", or: 1) { text throws(ValueProblem) in
            text == "%forever" ? 0 : try ValueSyntax.number(text, in: 0...1_000_000)
        }
        virtualAddresses(&connection)
        fragmentation(&connection)
        connection.ppkIdentity = reader.read("ppk_id", or: nil, IdentitySyntax.identity)
        connection.ppkRequired = reader.read("ppk_required", or: false, ValueSyntax.bool)
        connection.childless = reader.read("childless", or: .allow) { text throws(ValueProblem) in
            try ValueSyntax.word(
                text, [("allow", .allow), ("prefer", .prefer), ("force", .force), ("never", .never)])
        }
        redirection(&connection)
        acceptWithoutEffect()
        authentication(&connection)
        if var children = reader.section("children") {
            for child in children.sections("<child>") {
                var childReader = ChildReader(child, defaults: profile?.child ?? [:])
                connection.children.append(childReader.child())
            }
            children.finish()
        }
        checkEncapsulation(connection)
        if connection.children.isEmpty {
            diagnostics.warning(
                reader.view.location, "\(reader.path) has no children, so it can tunnel nothing",
                remedy: "add children { \(connection.name) { } }")
        }
        reader.finish()
        if let profile { report(profile.violations(connection)) }
        return connection
    }

    /// What the peer would refuse is a mistake here; what is unwise with it is worth a warning.
    private func report(_ violations: [PeerProfile.Violation]) {
        for violation in violations {
            let child = violation.child.flatMap { reader.view.section("children")?.section($0) }
            let view = child ?? reader.view
            let path = violation.child.map { "\(reader.path).children.\($0)" } ?? reader.path
            let key = violation.key
            let place = view.setting(key)?.location ?? view.section(key)?.location ?? view.location
            diagnostics.add(
                Diagnostic(
                    violation.isAdvice ? .warning : .error, place, "\(path).\(key): \(violation.message)",
                    remedy: violation.remedy))
        }
    }

    /// AH covers the addresses and can't travel in UDP.
    private mutating func checkEncapsulation(_ connection: Connection) {
        guard connection.forcesEncapsulation else { return }
        for child in connection.children where child.proposals.contains(where: { $0.securityProtocol == .ah }) {
            diagnostics.error(
                reader.location(of: "encap"),
                "\(reader.path).encap: the child '\(child.name)' uses AH, and there is no AH in UDP",
                remedy: "remove encap = yes, or replace ah_proposals with esp_proposals")
        }
    }

    /// Only IKEv2; 0 means "both" elsewhere.
    private mutating func checkVersion() {
        guard let text = reader.text("version") else { return }
        switch text {
        case "0", "2": break
        case "1":
            diagnostics.error(
                reader.location(of: "version"), "\(reader.path).version: IKEv1 is not supported yet",
                remedy: "write version = 2, on the peer as well")
        default:
            diagnostics.error(
                reader.location(of: "version"), "\(reader.path).version: '\(text)' is not an IKE version",
                remedy: "write version = 2")
        }
    }

    private mutating func addresses(_ connection: inout Connection) {
        connection.localAddresses = addressList("local_addrs")
        connection.remoteAddresses = addressList("remote_addrs")
        connection.localPort = port("local_port")
        connection.remotePort = port("remote_port")
        // Who names another port than 500 wants every message there, from the first one on.
        if connection.remotePort != 500 { connection.remoteNATTraversalPort = connection.remotePort }
    }

    /// Empty for any. `%any` beside others lets everybody in, and leaves them as what to start to.
    private mutating func addressList(_ key: String) -> [AddressPattern] {
        let patterns = reader.readList(key, or: []) { text throws(ValueProblem) in
            [try ValueSyntax.addressPattern(text)]
        }
        return patterns.allSatisfy { $0 == .any } ? [] : patterns
    }

    private mutating func port(_ key: String) -> UInt16 {
        reader.read(key, or: 500) { text throws(ValueProblem) in
            UInt16(try ValueSyntax.number(text, in: 1...65_535))
        }
    }

    private mutating func virtualAddresses(_ connection: inout Connection) {
        let wanted = reader.readList("vips", or: []) { text throws(ValueProblem) in [try Self.wanted(text)] }
        connection.virtualAddresses = wanted.filter(\.isHost).map(\.address)
        connection.virtualPrefixes = wanted.filter { !$0.isHost }
        connection.pools = reader.readList("pools", or: []) { text throws(ValueProblem) in [text] }
    }

    /// An address as a host, or a prefix.
    private static func wanted(_ text: String) throws(ValueProblem) -> IPPrefix {
        switch text.lowercased() {
        case "%any", "%any4", "%config", "%config4": return IPPrefix(host: .unspecified(.v4))
        case "%any6", "%config6": return IPPrefix(host: .unspecified(.v6))
        default: break
        }
        if let address = IPAddress(text) { return IPPrefix(host: address) }
        guard let prefix = IPPrefix(text) else {
            throw ValueProblem(
                "'\(text)' is not an address", remedy: "write 0.0.0.0 or :: for any, or the address that you want")
        }
        guard prefix.family == .v6, prefix.length > 0, !prefix.isHost else {
            throw ValueProblem(
                "'\(text)' is no prefix that can be asked for",
                remedy: "write ::/64 for any IPv6 prefix of that length or longer, or an address without a length")
        }
        return prefix
    }

    private mutating func times(_ connection: inout Connection) {
        connection.dpdDelay = reader.read("dpd_delay", or: .zero, ValueSyntax.time)
        connection.dpdInterval = reader.read("dpd_interval", or: .zero, ValueSyntax.time)
        connection.dpdTries = reader.read("dpd_tries", or: 5) { text throws(ValueProblem) in
            try ValueSyntax.number(text, in: 1...100)
        }
        if connection.dpdInterval > .zero, connection.dpdDelay == .zero {
            diagnostics.warning(
                reader.location(of: "dpd_interval"), "\(reader.path).dpd_interval has no effect without dpd_delay",
                remedy: "add dpd_delay: the silence after which the peer is asked")
        }
        connection.reauthTime = reader.read("reauth_time", or: .zero, ValueSyntax.time)
        // Who wants a new authentication needs no other keys in between, unless that is said.
        connection.rekeyTime = reader.read(
            "rekey_time", or: connection.reauthTime > .zero ? .zero : .hours(4), ValueSyntax.time)
        let longer = max(connection.rekeyTime, connection.reauthTime)
        connection.overTime = reader.read(
            "over_time", or: Interval(nanoseconds: longer.nanoseconds / 10), ValueSyntax.time)
        connection.randTime = reader.read("rand_time", or: connection.overTime, ValueSyntax.time)
        connection.rekeyBytes = reader.read("rekey_bytes", or: 0, TunnelReader.octets)
    }

    private mutating func fragmentation(_ connection: inout Connection) {
        connection.fragmentation = reader.read("fragmentation", or: .yes) { text throws(ValueProblem) in
            try ValueSyntax.word(text, [("yes", .yes), ("accept", .accept), ("force", .force), ("no", .no)])
        }
    }

    private mutating func redirection(_ connection: inout Connection) {
        let gateway = reader.read("redirect_to", or: nil) { text throws(ValueProblem) -> Host? in
            guard let host = Host(text) else {
                throw ValueProblem(
                    "'\(text)' is neither an address nor a domain name", remedy: "write the gateway to go to")
            }
            return host
        }
        let moment = reader.read("redirect_at", or: .authentication) { text throws(ValueProblem) in
            try ValueSyntax.word(text, [("init", .initiation), ("auth", Redirection.Moment.authentication)])
        }
        connection.redirectionGrace = reader.read("redirect_grace", or: Redirection.grace, ValueSyntax.time)
        connection.redirection = gateway.map { Redirection(to: $0, at: moment) }
        if gateway == nil, reader.text("redirect_at") != nil {
            diagnostics.warning(
                reader.location(of: "redirect_at"), "\(reader.path).redirect_at has no effect without redirect_to",
                remedy: "add redirect_to: the gateway that clients are to go to")
        }
    }

    /// Keys whose value can't do any harm: what they ask for never happens here, or does not matter with IKEv2 and
    /// shared keys.
    private mutating func acceptWithoutEffect() {
        _ = reader.read("dpd_timeout", or: .zero, ValueSyntax.time)
        noteWithoutEffect(
            "dpd_timeout", unless: ["0", "0s"], "in IKEv2 the retransmissions decide when a peer is dead")
        _ = reader.read("pull", or: true, ValueSyntax.bool)
        if reader.read("aggressive", or: false, ValueSyntax.bool) {
            diagnostics.warning(
                reader.location(of: "aggressive"),
                "\(reader.path).aggressive: aggressive mode with a shared key lets whoever listens guess the key at leisure"
                    + " (IKEv1 only; it has no effect with IKEv2)", remedy: "remove it")
        }
    }

    private mutating func noteWithoutEffect(_ key: String, unless harmless: Set<String>, _ reason: String) {
        guard let text = reader.text(key), !harmless.contains(text.lowercased()) else { return }
        diagnostics.note(
            reader.location(of: key), "\(reader.path).\(key) has no effect: \(reason)", remedy: "it may stay or go")
    }

    // MARK: Authentication

    private mutating func authentication(_ connection: inout Connection) {
        connection.requestsCertificate = reader.read("send_certreq", or: true, ValueSyntax.bool)
        connection.sendsCertificate = reader.read("send_cert", or: .ifAsked) { text throws(ValueProblem) in
            try ValueSyntax.word(
                text, [("ifasked", .ifAsked), ("always", .always), ("never", .never), ("yes", .always), ("no", .never)])
        }
        connection.statusExchange = reader.read("ocsp", or: .reply) { text throws(ValueProblem) in
            try ValueSyntax.word(
                text, [("reply", .reply), ("request", .request), ("both", .both), ("never", .never)])
        }
        let local = inOrder("local<suffix>", "local").map { round in
            var round = round
            defer { round.finish() }
            return rounds.local(&round)
        }
        let remote = inOrder("remote<suffix>", "remote").map { round in
            var round = round
            defer { round.finish() }
            return rounds.remote(&round)
        }
        if let first = local.first { connection.local = first }
        if let first = remote.first { connection.remote = first }
        connection.furtherLocal = Array(local.dropFirst())
        connection.furtherRemote = Array(remote.dropFirst())
        checkEAPRounds(connection)
    }

    /// EAP proves an end to a gateway that proves itself once, and not by EAP unless that is all that happens.
    private func checkEAPRounds(_ connection: Connection) {
        let local = [connection.local.method] + connection.furtherLocal.map(\.method)
        let remote = [connection.remote.method] + connection.furtherRemote.map(\.method)
        let views = [(client: local, gateway: remote, name: "remote"), (client: remote, gateway: local, name: "local")]
        for (client, gateway, name) in views where client.contains(.eap) {
            if gateway.count > 1 {
                diagnostics.error(
                    reader.view.location,
                    "\(reader.path): a gateway that others prove themselves to by EAP proves itself once",
                    remedy: "leave one \(name) section")
            } else if gateway.first == .eap, client.count > 1 || client.first != .eap {
                diagnostics.error(
                    reader.view.location, "\(reader.path): where EAP proves both ends nothing else is proved",
                    remedy: "leave one local and one remote section, or let the gateway use a certificate")
            }
        }
    }

    /// The rounds of an end (RFC 4739), by their number, then in the order of the file.
    private mutating func inOrder(_ pattern: String, _ name: String) -> [SectionReader] {
        var numbered: [(round: Int, reader: SectionReader)] = []
        for var round in reader.sections(pattern) {
            // What is no number is complained about with the rest of the section.
            numbered.append((round.text("round").flatMap { Int($0) } ?? 0, round))
        }
        let rounds = numbered.enumerated().sorted { ($0.element.round, $0.offset) < ($1.element.round, $1.offset) }
            .map(\.element.reader)
        if rounds.count > Self.mostRounds {
            diagnostics.error(
                rounds[Self.mostRounds].view.location,
                "\(reader.path) has \(rounds.count) \(name) authentication rounds, more than \(Self.mostRounds)",
                remedy: "remove some")
        }
        if rounds.isEmpty, !isPolicyOnly {
            diagnostics.missing(
                reader.view.location, "\(reader.path) has no '\(name)' section", remedy: "add \(name) { auth = psk }")
        }
        return rounds
    }

    /// Rounds of an end: each costs a peer two messages and us a proof.
    private static let mostRounds = 8

    /// Whether all children say that they are policies: nobody proves anything to anybody then.
    private var isPolicyOnly: Bool {
        guard let children = reader.view.section("children")?.sections, !children.isEmpty else { return false }
        return children.allSatisfy { child in
            let mode = child.setting("mode")?.value.flatMap { String(validating: $0, as: UTF8.self) } ?? ""
            return ChildTemplate.Shunt(rawValue: mode.uppercased()) != nil
        }
    }
}
