import ArgumentParser
import Foundation
import LinuxSystem
import NetworkTypes
import Serving
import ViciMessages
import ViciServer

/// `martlet metrics`.
struct Metrics: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the gateway's metrics in Prometheus's text format.",
        discussion: """
            Names are those of the IPsec exporter that most dashboards expect (strongswan_…), with stable ones of our own \
            (martlet_…) beside them: every configured connection, whether it is up, failures by cause, traffic as counters.

            --textfile writes them whole or not at all, for the node exporter's textfile collector:

              martlet metrics --textfile /var/lib/prometheus/node-exporter/martlet.prom

            --listen serves them over HTTP on loopback as /metrics, made anew for each request, until it is ended:

              martlet metrics --listen 127.0.0.1:9814
            """)

    @Option(help: ArgumentHelp("Write to FILE, in one step.", valueName: "FILE")) var textfile: String?
    @Option(help: ArgumentHelp("Serve them at this loopback address and port.", valueName: "ADDRESS:PORT"))
    var listen: String?
    @OptionGroup var format: OutputFormat
    @OptionGroup var control: ControlSocketOption

    func run() throws {
        if let listen { return try serve(at: listen) }
        let page = try page()
        if let textfile {
            do { try RawFile.write(textfile, Array(page.text.utf8), mode: 0o644) } catch {
                throw CommandFailure("\(textfile) can't be written: \(error)")
            }
        }
        if format.json {
            try format.tell(["metrics": .list(page.samples)], [])
        } else if textfile == nil {
            print(page.text, terminator: "")
        }
    }

    /// Answers until somebody ends this process; while no gateway runs, there is no page.
    private func serve(at place: String) throws {
        let parts = place.split(separator: ":", omittingEmptySubsequences: false)
        let host = parts.dropLast().joined(separator: ":").trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        guard let address = IPAddress(host), let port = parts.last.flatMap({ UInt16($0) }) else {
            throw ValidationError("--listen takes an address and a port: 127.0.0.1:9814, or [::1]:9814.")
        }
        let server: PageServer
        do { server = try PageServer(Endpoint(address, port), path: "/metrics") } catch {
            throw CommandFailure("\(error)")
        }
        let shown = address.family == .v6 ? "[\(address)]" : "\(address)"
        Live.print("Serving http://\(shown):\(server.port)/metrics.")
        server.serve { (try? page()).map { Array($0.text.utf8) } }
    }

    private func page() throws -> MetricsPage {
        let gateway = try GatewayClient(control)
        let report = try gateway.status()
        var connections: [ViciTree] = []
        var exporter = ExporterMetrics()
        let counters: ViciTree
        let stats: ViciTree
        do {
            _ = try gateway.client.call("list-conns", streaming: "list-conn") { connections.append($0) }
            _ = try gateway.client.call("list-sas", streaming: "list-sa") { exporter.add(sa: $0) }
            _ = try gateway.client.call("list-certs", streaming: "list-cert") { exporter.add(certificate: $0) }
            counters = try gateway.client.call("get-counters", ViciTree { $0.set("all", true) })
            stats = try gateway.client.call("stats")
        } catch { throw CommandFailure(CommandFailure.sentence(error)) }
        for connection in connections { exporter.add(connection: connection) }
        var page = MetricsPage(report, connections, counters.section("counters") ?? ViciTree(), stats)
        page.add(exporter)
        return page
    }
}

/// The metrics as a page of text.
///
/// It owns names, help lines and the escaping of labels.
struct MetricsPage {
    private var lines: [String] = []
    /// The same as values: name, labels, value.
    private(set) var samples: [JSONValue] = []

    /// The page.
    var text: String { lines.joined(separator: "\n") + "\n" }

    init(_ report: StatusReport, _ connections: [ViciTree], _ counters: ViciTree, _ stats: ViciTree) {
        let sas = report.connections.flatMap(\.ike_sas) + report.other_ike_sas
        gauge("strongswan_ike_count", "Known IKE SAs", [([], Double(sas.count))])
        gauge("strongswan_conn_count", "Configured connections", [([], Double(connections.count))])
        gauge(
            "strongswan_ike_status", "IKE SA state: 0 up, 1 established, 2 down, 3 unknown",
            sas.map { ([("ike_name", $0.connection), ("ike_id", "\($0.id)")], $0.state == "ESTABLISHED" ? 1 : 3) })
        gauge(
            "strongswan_ike_initiator", "Whether we started the IKE SA",
            sas.map { ([("ike_name", $0.connection), ("ike_id", "\($0.id)")], $0.initiator ? 1 : 0) })
        gauge(
            "strongswan_ike_established_seconds", "Age of the IKE SA",
            sas.compactMap { sa in
                sa.established.map { ([("ike_name", sa.connection), ("ike_id", "\(sa.id)")], Double($0)) }
            })
        gauge(
            "strongswan_ike_rekey_seconds", "Seconds until the IKE SA is rekeyed",
            sas.compactMap { sa in
                sa.rekey_in.map { ([("ike_name", sa.connection), ("ike_id", "\(sa.id)")], Double($0)) }
            })
        children(sas)
        tunnels(report)
        failures(report)
        traffic(report)
        messages(counters)
        if let half = stats.section("ikesas")?["half-open"].flatMap({ Double($0) }) {
            gauge("martlet_ike_half_open", "IKE SAs that are not established yet", [([], half)])
        }
    }

    private mutating func children(_ sas: [StatusReport.IKESAStatus]) {
        let children = sas.flatMap { sa in sa.children.map { (sa, $0) } }
        let labels = { (sa: StatusReport.IKESAStatus, child: StatusReport.ChildStatus) in
            [
                ("ike_name", sa.connection), ("ike_id", "\(sa.id)"), ("child_name", child.name),
                ("child_id", "\(child.id)"), ("local_ts", child.local_ts.joined(separator: ";")),
                ("remote_ts", child.remote_ts.joined(separator: ";")),
            ]
        }
        let isUp = { (state: String) in ["INSTALLED", "REKEYING", "REKEYED"].contains(state) }
        gauge(
            "strongswan_sa_status", "Child SA state: 0 up, 2 down, 3 unknown",
            children.map { (labels($0, $1), isUp($1.state) ? 0 : 3) })
        for (name, help, value) in [
            ("inbound_bytes", "Octets from the peer", \StatusReport.ChildStatus.bytes_in),
            ("outbound_bytes", "Octets to the peer", \.bytes_out),
            ("inbound_packets", "Packets from the peer", \.packets_in),
            ("outbound_packets", "Packets to the peer", \.packets_out),
        ] {
            gauge("strongswan_sa_\(name)", help, children.map { (labels($0, $1), Double($1[keyPath: value])) })
        }
        gauge(
            "strongswan_sa_established_seconds", "Age of the Child SA",
            children.compactMap { sa, child in child.installed.map { (labels(sa, child), Double($0)) } })
        gauge(
            "strongswan_sa_rekey_seconds", "Seconds until the Child SA is rekeyed",
            children.compactMap { sa, child in child.rekey_in.map { (labels(sa, child), Double($0)) } })
    }

    /// What stays the same when keys change: one series for each configured tunnel, up or down.
    private mutating func tunnels(_ report: StatusReport) {
        gauge(
            "martlet_tunnel_up", "Whether a configured child has a Child SA that carries packets",
            report.connections.flatMap { connection in
                connection.children.map { name in
                    let isUp = connection.ike_sas.flatMap(\.children).contains {
                        $0.name == name && ["INSTALLED", "REKEYING"].contains($0.state)
                    }
                    return ([("connection", connection.name), ("tunnel", name)], isUp ? 1 : 0)
                }
            })
    }

    private mutating func failures(_ report: StatusReport) {
        gauge(
            "martlet_connection_failed", "The last failure of a connection that did not come up since, by cause",
            report.connections.compactMap { connection in
                connection.last_error.map { ([("connection", connection.name), ("cause", $0.code)], 1) }
            })
        gauge(
            "martlet_connection_failed_seconds", "How long ago that was",
            report.connections.compactMap { connection in
                connection.last_error.map { ([("connection", connection.name), ("cause", $0.code)], Double($0.age)) }
            })
    }

    /// What never goes down but when keys change, with labels that stay.
    private mutating func traffic(_ report: StatusReport) {
        for (name, help, value) in [
            ("received_bytes", "Octets from the peer", \StatusReport.ChildStatus.bytes_in),
            ("sent_bytes", "Octets to the peer", \.bytes_out),
            ("received_packets", "Packets from the peer", \.packets_in),
            ("sent_packets", "Packets to the peer", \.packets_out),
            ("replayed_packets", "Packets that came again", \.replays),
            ("forged_packets", "Packets that failed their integrity check", \.forgeries),
        ] {
            add(
                "martlet_tunnel_\(name)_total", "counter", help,
                report.connections.flatMap { connection in
                    connection.children.map { child in
                        let sas = connection.ike_sas.flatMap(\.children).filter { $0.name == child }
                        let sum = sas.reduce(0) { $0 + $1[keyPath: value] }
                        return ([("connection", connection.name), ("tunnel", child)], Double(sum))
                    }
                })
        }
        add(
            "martlet_failures_total", "counter", "Failures since the gateway was started, by cause",
            report.failures.map { ([("connection", $0.connection), ("cause", $0.code)], Double($0.count)) })
        add(
            "martlet_dropped_packets_total", "counter", "Packets that went no further, by reason",
            report.drops.sorted { $0.key < $1.key }.map { ([("reason", $0.key)], Double($0.value)) })
    }

    /// The names that dashboards made for the usual exporter ask for besides.
    mutating func add(_ exporter: ExporterMetrics) {
        for (name, help, samples) in exporter.gauges { gauge("strongswan_" + name, help, samples) }
    }

    private mutating func messages(_ counters: ViciTree) {
        add(
            "martlet_ike_messages_total", "counter", "IKE messages and rekeyings, by kind",
            counters.sections.flatMap { connection, kinds in
                kinds.entries.compactMap { entry in
                    kinds[entry.name].flatMap { Double($0) }.map {
                        ([("connection", connection), ("kind", entry.name)], $0)
                    }
                }
            })
    }

    private mutating func gauge(_ name: String, _ help: String, _ samples: [([(String, String)], Double)]) {
        add(name, "gauge", help, samples)
    }

    private mutating func add(_ name: String, _ type: String, _ help: String, _ samples: [([(String, String)], Double)])
    {
        guard !samples.isEmpty else { return }
        lines += ["# HELP \(name) \(help)", "# TYPE \(name) \(type)"]
        var seen: Set<String> = []
        for (labels, value) in samples {
            let text = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
            guard seen.insert(text).inserted else { continue }
            let number = value == value.rounded() ? String(Int64(value)) : String(value)
            lines.append(name + (text.isEmpty ? "" : "{\(text)}") + " " + number)
            self.samples.append(
                .object([
                    "name": .text(name), "value": .number(value),
                    "labels": .object(Dictionary(labels.map { ($0.0, .text($0.1)) }) { first, _ in first }),
                ]))
        }
    }

    private static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
            .replacingOccurrences(of: "\n", with: "\\n")
    }
}
