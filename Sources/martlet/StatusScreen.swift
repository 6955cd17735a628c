import Telemetry

/// The status of a gateway on one screen.
///
/// It owns the layout. It never asks the gateway for anything.
struct StatusScreen {
    let terminal: Terminal

    /// The lines to print.
    func lines(_ report: StatusReport) -> [String] {
        if report.connections.isEmpty && report.other_ike_sas.isEmpty && report.refusals.isEmpty {
            return ["No connections are configured. `martlet run --config FILE` reads them from FILE."]
        }
        var lines: [String] = []
        lines += Self.headline(report)
        for connection in report.connections {
            let peer = connection.remote_addrs.joined(separator: ", ")
            lines.append("\(terminal.paint(connection.name, .bold))  \(terminal.state(connection.state))  peer \(peer)")
            for sa in connection.ike_sas { lines += ikeSA(sa) }
            if connection.ike_sas.isEmpty, !connection.children.isEmpty {
                let children = connection.children.joined(separator: ", ")
                if connection.canBeStarted {
                    let command = "`martlet up \(Self.word(connection.name))`"
                    lines.append(
                        "  \(children): \(command) brings \(connection.children.count == 1 ? "it" : "them") up"
                            + Self.trapped(connection))
                } else {
                    lines.append("  \(children): only the peer can start it, `remote_addrs` names no single address")
                }
            }
            if let failure = connection.last_error { lines += self.failure(failure) }
        }
        for sa in report.other_ike_sas {
            lines.append(
                "\(terminal.paint(sa.connection, .bold))  (no longer configured; `martlet down \(Self.word(sa.connection))` closes it)"
            )
            lines += ikeSA(sa)
        }
        if !report.refusals.isEmpty {
            lines.append("Refused, with no connection to name:")
            for failure in report.refusals.prefix(5) { lines += self.failure(failure) }
        }
        return lines
    }

    /// What packets do by themselves.
    private static func trapped(_ connection: StatusReport.ConnectionStatus) -> String {
        guard !connection.traps.isEmpty else { return "" }
        if connection.traps.count == connection.children.count { return ", and so does the next packet" }
        return ", and the next packet does so for \(connection.traps.joined(separator: ", "))"
    }

    /// How many are up, where there is more than one to look at; tunnels whose connection is gone are counted apart.
    private static func headline(_ report: StatusReport) -> [String] {
        let count = report.connections.count
        let others = report.other_ike_sas.count { !$0.isLeaving }
        guard count + others > 1 else { return [] }
        let up = report.connections.count { $0.state == "up" }
        var parts = count > 0 ? ["\(up) of \(count) connection\(count == 1 ? " is" : "s are") up"] : []
        if others > 0 { parts.append("\(others) tunnel\(others == 1 ? "" : "s") of what is no longer configured") }
        return [parts.joined(separator: ", and ") + "."]
    }

    private func ikeSA(_ sa: StatusReport.IKESAStatus) -> [String] {
        var facts = [
            "IKEv2 #\(sa.id)", terminal.state(sa.state), "\(sa.local) \(sa.initiator ? "→" : "←") \(sa.remote)",
        ]
        if let nat = sa.nat { facts.append("NAT: \(nat)") }
        var lines = ["  " + facts.joined(separator: "  ")]
        if let remote = sa.remote_id {
            let name = sa.remote_eap_id.map { ", '\($0)' in EAP" } ?? ""
            lines.append("    '\(sa.local_id ?? "?")' with '\(remote)'\(name)")
        }
        if let certificate = sa.remote_certificate {
            let chain = certificate.chain.map { "'\($0)'" }.joined(separator: " issued by ")
            lines.append(
                "    proved by \(Printable.text(chain)), \(certificate.key), revocation: \(certificate.revocation)")
        }
        var details: [String] = []
        if let algorithms = sa.algorithms { details.append(algorithms) }
        if let established = sa.established { details.append("up \(Readable.span(established))") }
        if let setup = sa.setup_milliseconds { details.append("took \(setup) ms") }
        if let rekey = sa.rekey_in { details.append("rekey in \(Readable.span(rekey))") }
        if !details.isEmpty { lines.append("    " + details.joined(separator: ", ")) }
        for child in sa.children { lines += self.child(child) }
        return lines
    }

    private func child(_ child: StatusReport.ChildStatus) -> [String] {
        let selectors = child.local_ts.joined(separator: " ") + " === " + child.remote_ts.joined(separator: " ")
        let traffic =
            "in \(Readable.bytes(child.bytes_in)) (\(child.packets_in) packets), "
            + "out \(Readable.bytes(child.bytes_out)) (\(child.packets_out) packets)"
        let algorithms = child.algorithms.map { "\($0), " } ?? ""
        return [
            "    \(child.name) #\(child.id)  \(terminal.state(child.state))  \(selectors)",
            "      \(algorithms)SPIs \(child.spi_in) \(child.spi_out)", "      \(traffic)",
        ]
    }

    private func failure(_ failure: StatusReport.Failure) -> [String] {
        ["  " + terminal.paint("! \(failure.code)", .red) + ", \(Readable.span(failure.age)) ago:"]
            + Wrapping.lines(failure.text, width: terminal.width, indentation: 4)
    }

    /// A name as a shell takes it for one word.
    static func word(_ name: String) -> String {
        let plain = name.utf8.allSatisfy { octet in
            switch octet {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: ":"), UInt8(ascii: "@"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
        return plain && !name.isEmpty
            ? name
            : "'"
                + name.split(separator: "'", omittingEmptySubsequences: false)
                .joined(separator: "'\\''") + "'"
    }
}
