public import Clockwork
public import GatewayModel
public import RADIUS

/// How the daemon behaves whatever the connection: what strongswan.conf says in its section `charon`, and we also in one
/// called `martlet`.
///
/// It owns values only; nil where nothing was said, so that the defaults stay where they are at home.
public struct DaemonSettings: Hashable, Sendable {
    /// How requests are repeated (`retransmit_*`).
    public var retransmission = RetransmissionSchedule()
    /// How often a NAT's mapping is kept alive; zero never.
    public var keepAlive: Interval?
    /// How long a half-open IKE SA may take.
    public var halfOpenTimeout: Interval?
    /// Half-open IKE SAs above which a cookie is asked for.
    public var cookieThreshold: Int?
    /// Half-open IKE SAs from one address above which no more are accepted; 0 for no limit.
    public var blockThreshold: Int?
    /// Half-open IKE SAs above which each new one takes the place of another; 0 for no limit.
    public var halfOpenLimit: Int?
    /// Half-open IKE SAs above which `initiate` with `init-limits` begins nothing; 0 for no limit.
    public var initiationLimit = 0
    /// Octets of the longest IP packet that carries a sealed IKE message; 0 for 576 over IPv4 and 1280 over IPv6.
    public var fragmentSize = 1280
    /// The UDP port of IKE without a marker.
    public var port: UInt16 = 500
    /// The UDP port of NAT traversal.
    public var natTraversalPort: UInt16 = 4500
    /// The table of the routes into tunnels.
    public var routingTable: UInt32?
    /// The priority of the rule that looks into it.
    public var routingTablePriority: UInt32?
    /// The link that gets virtual addresses; nil for the TUN device.
    public var virtualAddressDevice: String?
    /// Pairs of packet threads of the data plane.
    public var workers = 1
    /// The most of them.
    static let mostWorkers = 64
    /// How long the first pause is before a connection that did not come up is tried again.
    public var retryInitiateInterval: Interval?
    /// Whether a reauthenticated IKE SA is up before its predecessor ends.
    public var makesBeforeBreaking = true
    /// Whether we follow gateways that send us to others (RFC 5685).
    public var followsRedirects = true
    /// The control socket, as `unix://PATH`.
    public var controlSocket: String?

    /// How it is found out whether certificates are revoked.
    public var revocation = RevocationSettings()
    /// The RADIUS servers, and how they are spoken to.
    public var radius = RADIUSSettings()

    /// This field's defaults.
    public init() {}

    /// Puts what connections know of it into each.
    public func apply(to connections: inout [Connection]) {
        for index in connections.indices {
            connections[index].retransmission = retransmission
            connections[index].fragmentSize = fragmentSize
            connections[index].makesBeforeBreaking = makesBeforeBreaking
            connections[index].followsRedirects = followsRedirects
        }
    }
}

/// Makes ``DaemonSettings`` from the sections `charon` and `martlet`.
///
/// It owns their keys. In `charon` a key of strongSwan's own is noted and passed over, since strongSwan's file may be
/// read as it is; in `martlet` what we do not know is a mistake.
enum DaemonSettingsReader {
    /// The sections; later ones win.
    static let sections = ["charon", "martlet"]

    /// Sections of strongswan.conf that are other programs' business.
    static let foreign: Set<String> = [
        "charon-systemd", "charon-nm", "charon-cmd", "libstrongswan", "libtls", "libtnccs", "libimcv", "starter",
        "stroke", "swanctl", "pki", "scepclient", "pool", "manager", "medsrv", "medcli", "aikgen", "attest",
        "sec-updater",
        "sw-collector", "checksum_builder", "openac", "scepd", "tkm", "charon-tkm", "libtpmtss",
    ]

    private static let keys: [(name: String, fallback: String)] = [
        ("retransmit_tries", "5"), ("retransmit_timeout", "4.0"), ("retransmit_base", "1.8"), ("retransmit_limit", "0"),
        ("retransmit_jitter", "0"), ("keep_alive", "20s"), ("half_open_timeout", "30"), ("cookie_threshold", "30"),
        ("block_threshold", "0"), ("half_open_limit", "10000"), ("dos_protection", "yes"),
        ("init_limit_half_open", "0"),
        ("port", "500"), ("port_nat_t", "4500"), ("routing_table", "220"), ("routing_table_prio", "220"),
        ("threads", "16"),
        ("fragment_size", "1280"),
        ("install_virtual_ip_on", ""), ("retry_initiate_interval", "10s"), ("make_before_break", "yes"),
        ("follow_redirects", "yes"),
        ("workers", "1"),
        ("cache_crls", "no"),
    ]

    /// The table of `name`, in the form that section readers want.
    private static func known(_ name: String) -> KnownKeys.Entry {
        let socket = KnownKeys.Entry(pattern: "socket", defaultValue: "", children: [])
        let vici = KnownKeys.Entry(pattern: "vici", defaultValue: nil, children: [socket])
        let plugins = KnownKeys.Entry(
            pattern: "plugins", defaultValue: nil, children: [vici, RevocationSettings.known, RADIUSReader.known])
        return KnownKeys.Entry(
            pattern: name, defaultValue: nil,
            children: keys.map { KnownKeys.Entry(pattern: $0.name, defaultValue: $0.fallback, children: []) } + [
                plugins
            ])
    }

    /// What the sections say together.
    static func settings(_ root: inout SectionReader) -> DaemonSettings {
        var settings = DaemonSettings()
        for name in sections {
            guard let view = root.view.section(name) else { continue }
            var reader = SectionReader(view, known: known(name), path: name, diagnostics: root.diagnostics)
            read(&reader, into: &settings)
            if name == "martlet" { reader.finish() } else { note(reader) }
        }
        return settings
    }

    private static func read(_ reader: inout SectionReader, into settings: inout DaemonSettings) {
        var schedule = settings.retransmission
        schedule.tries = reader.read("retransmit_tries", or: schedule.tries) { text throws(ValueProblem) in
            try ValueSyntax.number(text, in: 0...100)
        }
        schedule.timeout = reader.read("retransmit_timeout", or: schedule.timeout) { text throws(ValueProblem) in
            .milliseconds(Int64(try decimal(text, in: 0.1...600) * 1000))
        }
        schedule.base = reader.read("retransmit_base", or: schedule.base) { text throws(ValueProblem) in
            try decimal(text, in: 1...10)
        }
        schedule.limit = reader.read("retransmit_limit", or: schedule.limit, ValueSyntax.time)
        schedule.jitter =
            reader.read("retransmit_jitter", or: schedule.jitter * 100) { text throws(ValueProblem) in
                try decimal(text, in: 0...20)
            } / 100
        settings.retransmission = schedule
        settings.keepAlive = reader.read("keep_alive", or: settings.keepAlive) { text throws(ValueProblem) in
            try ValueSyntax.time(text)
        }
        settings.halfOpenTimeout = reader.read("half_open_timeout", or: settings.halfOpenTimeout) {
            text throws(ValueProblem) in try ValueSyntax.time(text)
        }
        settings.cookieThreshold = reader.read("cookie_threshold", or: settings.cookieThreshold, count)
        settings.blockThreshold = reader.read("block_threshold", or: settings.blockThreshold, count)
        settings.halfOpenLimit = reader.read("half_open_limit", or: settings.halfOpenLimit, count)
        if !reader.read("dos_protection", or: true, ValueSyntax.bool) {
            settings.cookieThreshold = .max
            settings.blockThreshold = 0
        }
        settings.initiationLimit =
            reader.read("init_limit_half_open", or: settings.initiationLimit, count) ?? settings.initiationLimit
        settings.fragmentSize = reader.read("fragment_size", or: settings.fragmentSize) { text throws(ValueProblem) in
            let size = try ValueSyntax.number(text, in: 0...65_535)
            guard size == 0 || size >= 576 else {
                throw ValueProblem(
                    "'\(text)' octets are less than every host takes",
                    remedy: "write 576 or more, or 0 for the smallest")
            }
            return size
        }
        settings.port = port(&reader, "port", settings.port)
        settings.natTraversalPort = port(&reader, "port_nat_t", settings.natTraversalPort)
        settings.routingTable = table(&reader, "routing_table", settings.routingTable)
        settings.routingTablePriority = table(&reader, "routing_table_prio", settings.routingTablePriority)
        settings.virtualAddressDevice = reader.text("install_virtual_ip_on") ?? settings.virtualAddressDevice
        settings.retryInitiateInterval = reader.read("retry_initiate_interval", or: settings.retryInitiateInterval) {
            text throws(ValueProblem) in try ValueSyntax.time(text)
        }
        settings.makesBeforeBreaking = reader.read(
            "make_before_break", or: settings.makesBeforeBreaking, ValueSyntax.bool)
        settings.followsRedirects = reader.read(
            "follow_redirects", or: settings.followsRedirects, ValueSyntax.bool)
        settings.workers = reader.read("workers", or: settings.workers) { text throws(ValueProblem) in
            try ValueSyntax.number(text, in: 1...DaemonSettings.mostWorkers)
        }
        _ = reader.read("threads", or: 16) { text throws(ValueProblem) in try ValueSyntax.number(text, in: 1...10_000) }
        if reader.setting("threads") != nil {
            reader.diagnostics.note(
                reader.location(of: "threads"),
                "\(reader.path).threads has no effect: one thread keeps the tunnels and never waits",
                remedy: "it may stay or go")
        }
        settings.revocation.read(&reader)
        if var plugins = reader.section("plugins") { RADIUSReader.read(&plugins, into: &settings.radius) }
        if var plugins = reader.section("plugins"), var vici = plugins.section("vici") {
            settings.controlSocket = vici.read("socket", or: settings.controlSocket) { text throws(ValueProblem) in
                guard text.hasPrefix("unix://"), text.count > 7 else {
                    throw ValueProblem("'\(text)' is no socket that is served", remedy: "write unix://PATH")
                }
                return text
            }
        }
    }

    private static func count(_ text: String) throws(ValueProblem) -> Int? {
        try ValueSyntax.number(text, in: 0...1_000_000)
    }

    private static func port(_ reader: inout SectionReader, _ key: String, _ fallback: UInt16) -> UInt16 {
        reader.read(key, or: fallback) { text throws(ValueProblem) in
            UInt16(try ValueSyntax.number(text, in: 1...65_535))
        }
    }

    private static func table(_ reader: inout SectionReader, _ key: String, _ fallback: UInt32?) -> UInt32? {
        reader.read(key, or: fallback) { text throws(ValueProblem) in
            UInt32(try ValueSyntax.number(text, in: 1...32_765))
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

    /// Says what in a section of strongSwan's has no effect here, and warns of what was probably meant to have one.
    private static func note(_ reader: SectionReader) {
        for setting in reader.view.settings where reader.known.setting(setting.name) == nil {
            let path = "\(reader.path).\(setting.name)"
            if !StrongSwanKeys.has(setting.name, in: reader.path),
                let meant = reader.known.suggestion(for: setting.name, isSection: false)
            {
                reader.diagnostics.warning(
                    setting.location, "\(path): unknown key '\(setting.name)', which has no effect",
                    remedy: "did you mean '\(meant)'?")
            } else {
                reader.diagnostics.note(
                    setting.location, "\(path) has no effect here: it is strongSwan's own", remedy: "it may stay")
            }
        }
        for section in reader.view.sections {
            let path = "\(reader.path).\(section.name)"
            if let known = reader.known.section(section.name) {
                // Who reads that one judges it whole.
                if section.name == RADIUSReader.known.pattern { continue }
                note(SectionReader(section, known: known, path: path, diagnostics: reader.diagnostics))
            } else if !StrongSwanKeys.has(section.name, in: reader.path),
                let meant = reader.known.suggestion(for: section.name, isSection: true)
            {
                reader.diagnostics.warning(
                    section.location, "\(path): unknown section '\(section.name)', which has no effect",
                    remedy: "did you mean '\(meant)'?")
            }
        }
    }
}
