import Clockwork
import GatewayModel
import NetworkTypes
import RADIUS
import WireFormat

/// Makes ``RADIUSSettings`` from `plugins.eap-radius` of the sections `charon` and `martlet`.
///
/// It owns those keys' meaning, which is strongSwan's. What is not done here is refused by name. No message shows a
/// secret.
struct RADIUSReader {
    /// The section of `plugins`.
    static let known = KnownKeys.Entry(
        pattern: "eap-radius", defaultValue: nil,
        children: settings(
            ("load", "yes"), ("accounting", "no"), ("accounting_close_on_timeout", "yes"),
            ("accounting_interval", "0"), ("accounting_requires_vip", "no"), ("accounting_send_class", "no"),
            ("class_group", "no"), ("close_all_on_timeout", "no"), ("eap_start", "no"), ("filter_id", "no"),
            ("id_prefix", ""), ("nas_identifier", "martlet"), ("port", "1812"), ("auth_port", "1812"),
            ("acct_port", "1813"), ("secret", ""), ("server", ""), ("address", ""), ("sockets", "1"), ("source", ""),
            ("preference", "0"), ("station_id_with_port", "yes"), ("retransmit_tries", "4"),
            ("retransmit_timeout", "2.0"), ("retransmit_base", "1.4")) + [
                section("dae", settings(("enable", "no"), ("listen", "0.0.0.0"), ("port", "3799"), ("secret", ""))),
                section("forward", settings(("ike_to_radius", ""), ("radius_to_ike", ""))),
                section("xauth", []),
                section("servers", [section("<server>", serverKeys)]),
            ])

    private static let serverKeys = settings(
        ("address", ""), ("secret", ""), ("nas_identifier", "martlet"), ("port", "1812"), ("auth_port", "1812"),
        ("acct_port", "1813"), ("sockets", "1"), ("preference", "0"), ("source", ""), ("retransmit_tries", "4"),
        ("retransmit_timeout", "2.0"), ("retransmit_base", "1.4"))

    private static func settings(_ keys: (String, String)...) -> [KnownKeys.Entry] {
        keys.map { KnownKeys.Entry(pattern: $0.0, defaultValue: $0.1, children: []) }
    }

    private static func section(_ name: String, _ children: [KnownKeys.Entry]) -> KnownKeys.Entry {
        KnownKeys.Entry(pattern: name, defaultValue: nil, children: children)
    }

    /// Ports for one service of one server: each carries 256 requests at a time.
    private static let mostSockets = 64
    /// Servers.
    private static let mostServers = 32

    private var settings: RADIUSSettings

    /// Reads the section of `plugins`, if there is one, over what an earlier section said.
    static func read(_ plugins: inout SectionReader, into settings: inout RADIUSSettings) {
        guard var section = plugins.section("eap-radius") else { return }
        var reader = RADIUSReader(settings: settings)
        reader.read(&section)
        section.finish()
        settings = reader.settings
    }

    private mutating func read(_ section: inout SectionReader) {
        guard section.read("load", or: true, Self.loads) else { return }
        settings.accounts = section.read("accounting", or: settings.accounts, ValueSyntax.bool)
        settings.closesUnaccounted = section.read(
            "accounting_close_on_timeout", or: settings.closesUnaccounted, ValueSyntax.bool)
        settings.interimInterval = section.read("accounting_interval", or: settings.interimInterval) {
            text throws(ValueProblem) in try ValueSyntax.time(text)
        }
        settings.accountsAddressedOnly = section.read(
            "accounting_requires_vip", or: settings.accountsAddressedOnly, ValueSyntax.bool)
        settings.returnsClass = section.read("accounting_send_class", or: settings.returnsClass, ValueSyntax.bool)
        settings.classNamesGroups = section.read("class_group", or: settings.classNamesGroups, ValueSyntax.bool)
        settings.filterNamesGroups = section.read("filter_id", or: settings.filterNamesGroups, ValueSyntax.bool)
        settings.closesAll = section.read("close_all_on_timeout", or: settings.closesAll, ValueSyntax.bool)
        settings.beginsWithStart = section.read("eap_start", or: settings.beginsWithStart, ValueSyntax.bool)
        settings.identityPrefix = section.text("id_prefix") ?? settings.identityPrefix
        settings.stationsHavePorts = section.read(
            "station_id_with_port", or: settings.stationsHavePorts, ValueSyntax.bool)
        if var dae = section.section("dae") { readRequests(&dae) }
        if let forward = section.section("forward") { forward.finish() }
        readServers(&section)
    }

    /// Whether a plugin is loaded: a truth, or a number that is its priority.
    private static func loads(_ text: String) throws(ValueProblem) -> Bool {
        if let number = Int(text) { return number > 0 }
        return try ValueSyntax.bool(text)
    }

    // MARK: Servers

    private mutating func readServers(_ section: inout SectionReader) {
        // What holds for all of them stands beside them.
        let shared = ServerDefaults(&section)
        var servers: [RADIUSSettings.Server] = []
        if let name = section.text("server") ?? section.text("address"), !name.isEmpty {
            let key = section.setting("server") == nil ? "address" : "server"
            if let server = server(&section, "server", key, shared) { servers.append(server) }
        } else {
            _ = section.text("address")
        }
        if var group = section.section("servers") {
            for var reader in group.sections("<server>") {
                if let server = server(&reader, reader.view.name, "address", shared) { servers.append(server) }
                reader.finish()
            }
            group.finish()
        }
        if servers.count > Self.mostServers {
            section.diagnostics.error(
                section.view.location, "\(section.path) has \(servers.count) servers, more than \(Self.mostServers)",
                remedy: "remove some")
        }
        guard !servers.isEmpty else { return }
        settings.servers = servers
    }

    private func server(
        _ reader: inout SectionReader, _ name: String, _ key: String, _ shared: ServerDefaults
    ) -> RADIUSSettings.Server? {
        let address = reader.read(key, or: nil, Self.address)
        if reader.text(key) == nil {
            reader.diagnostics.missing(
                reader.view.location, "\(reader.path) has no \(key)", remedy: "add \(key) = the server's IP address")
        }
        guard let secret = Self.secret(&reader) ?? shared.secret else {
            reader.diagnostics.missing(
                reader.view.location, "\(reader.path) has no secret",
                remedy: "add secret = … , the same as for this gateway in the server's list of clients")
            return nil
        }
        var own = shared
        own.read(&reader)
        guard let address else { return nil }
        var server = RADIUSSettings.Server(
            name: name, authentication: Endpoint(address, own.authenticationPort),
            accounting: Endpoint(address, own.accountingPort), secret: secret)
        server.nasIdentifier = own.nasIdentifier
        server.sockets = own.sockets
        server.preference = own.preference
        server.retransmission = own.retransmission
        server.source = own.source
        if let source = own.source, source.family != address.family {
            reader.diagnostics.error(
                reader.location(of: "source"),
                "\(reader.path).source: '\(source)' and '\(address)' are of two families",
                remedy: "write an address of the same family")
        }
        return server
    }

    private static func address(_ text: String) throws(ValueProblem) -> IPAddress? {
        guard let address = IPAddress(text), !address.isUnspecified, !address.isMulticast else {
            throw ValueProblem(
                "'\(text)' is not a server's address",
                remedy: "write its IPv4 or IPv6 address; names are not looked up here")
        }
        return address
    }

    /// The shared secret as the server's own file has it: text, octet by octet.
    private static func secret(_ reader: inout SectionReader) -> SecretBytes? {
        guard let setting = reader.setting("secret"), let octets = setting.value, !octets.isEmpty else { return nil }
        if octets.count < 16 {
            reader.diagnostics.warning(
                setting.location, "\(reader.path): a secret of \(octets.count) octets can be guessed",
                remedy: "take at least 16 octets of chance, for example from: openssl rand -base64 32")
        }
        return SecretBytes(octets)
    }

    /// What servers have in common unless they say otherwise.
    private struct ServerDefaults {
        var secret: SecretBytes?
        var nasIdentifier = "martlet"
        var authenticationPort: UInt16 = 1812
        var accountingPort: UInt16 = 1813
        var sockets = 1
        var preference = 0
        var source: IPAddress?
        var retransmission = RADIUSSettings.retransmission

        init(_ section: inout SectionReader) {
            read(&section)
            secret = RADIUSReader.secret(&section)
        }

        mutating func read(_ reader: inout SectionReader) {
            nasIdentifier = reader.read("nas_identifier", or: nasIdentifier) { text throws(ValueProblem) in
                guard (1...253).contains(text.utf8.count) else {
                    throw ValueProblem("it has no or more than 253 octets", remedy: "write a short name")
                }
                return text
            }
            authenticationPort = port(&reader, "port", authenticationPort)
            authenticationPort = port(&reader, "auth_port", authenticationPort)
            accountingPort = port(&reader, "acct_port", accountingPort)
            sockets = reader.read("sockets", or: sockets) { text throws(ValueProblem) in
                try ValueSyntax.number(text, in: 1...RADIUSReader.mostSockets)
            }
            preference = reader.read("preference", or: preference) { text throws(ValueProblem) in
                try ValueSyntax.number(text, in: -10_000...10_000)
            }
            source = reader.read("source", or: source, RADIUSReader.address)
            retransmission.tries = reader.read("retransmit_tries", or: retransmission.tries) {
                text throws(ValueProblem) in try ValueSyntax.number(text, in: 0...20)
            }
            retransmission.timeout = reader.read("retransmit_timeout", or: retransmission.timeout) {
                text throws(ValueProblem) in .milliseconds(Int64(try RADIUSReader.decimal(text, in: 0.1...60) * 1000))
            }
            retransmission.base = reader.read("retransmit_base", or: retransmission.base) {
                text throws(ValueProblem) in try RADIUSReader.decimal(text, in: 1...10)
            }
        }

        private func port(_ reader: inout SectionReader, _ key: String, _ fallback: UInt16) -> UInt16 {
            reader.read(key, or: fallback) { text throws(ValueProblem) in
                UInt16(try ValueSyntax.number(text, in: 1...65_535))
            }
        }
    }

    private static func decimal(_ text: String, in range: ClosedRange<Double>) throws(ValueProblem) -> Double {
        guard let value = Double(text), range.contains(value) else {
            throw ValueProblem(
                "'\(text)' is not a number from \(range.lowerBound) to \(range.upperBound)",
                remedy: "write a number, with a point where it has decimals")
        }
        return value
    }

    // MARK: Requests from outside

    private mutating func readRequests(_ dae: inout SectionReader) {
        defer { dae.finish() }
        let isOn = dae.read("enable", or: settings.dynamicAuthorization != nil, ValueSyntax.bool)
        let address = dae.read("listen", or: IPAddress.unspecified(.v4)) { text throws(ValueProblem) in
            guard let address = IPAddress(text) else {
                throw ValueProblem(
                    "'\(text)' is not an address", remedy: "write an address of this machine, or 0.0.0.0")
            }
            return address
        }
        let port = dae.read("port", or: 3799) { text throws(ValueProblem) in
            UInt16(try ValueSyntax.number(text, in: 1...65_535))
        }
        let secret = Self.secret(&dae)
        guard isOn else {
            settings.dynamicAuthorization = nil
            return
        }
        guard let secret else {
            dae.diagnostics.missing(
                dae.view.location, "\(dae.path) has no secret",
                remedy: "add secret = … ; whoever has it can end sessions")
            return
        }
        var requests = RADIUSSettings.DynamicAuthorization(secret: secret)
        requests.listen = Endpoint(address, port)
        settings.dynamicAuthorization = requests
    }

    // MARK: What connections and servers mean together

    /// Connections that leave EAP to servers, where there are none.
    static func review(
        _ connections: [Connection], _ locations: [SourceLocation], _ settings: RADIUSSettings,
        _ diagnostics: DiagnosticCollector
    ) {
        guard settings.servers.isEmpty else { return }
        for (connection, location) in zip(connections, locations) where connection.remote.eap.isRelayed {
            diagnostics.error(
                location, "connection '\(connection.name)' has auth = eap-radius, and there is no RADIUS server",
                remedy: "add martlet { plugins { eap-radius { servers { main { address = … secret = … } } } } }")
        }
    }
}
