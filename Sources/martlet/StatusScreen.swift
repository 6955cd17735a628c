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
        for connection in report.connections {
            let peer = connection.remote_addrs.joined(separator: ", ")
            lines.append("\(terminal.paint(connection.name, .bold))  \(terminal.state(connection.state))  peer \(peer)")
            for sa in connection.ike_sas { lines += ikeSA(sa) }
            if connection.ike_sas.isEmpty, !connection.children.isEmpty {
                lines.append("  children \(connection.children.joined(separator: ", ")); `martlet up \(connection.name)` starts them")
            }
            if let failure = connection.last_error { lines += self.failure(failure) }
        }
        for sa in report.other_ike_sas {
            lines.append("\(terminal.paint(sa.connection, .bold))  (no longer configured)")
            lines += ikeSA(sa)
        }
        if !report.refusals.isEmpty {
            lines.append("Refused, with no connection to name:")
            for failure in report.refusals.prefix(5) { lines += self.failure(failure) }
        }
        return lines
    }

    private func ikeSA(_ sa: StatusReport.IKESAStatus) -> [String] {
        var facts = ["IKEv2 #\(sa.id)", terminal.state(sa.state), "\(sa.local) \(sa.initiator ? "→" : "←") \(sa.remote)"]
        if let remote = sa.remote_id { facts.append("'\(sa.local_id ?? "?")' with '\(remote)'") }
        if let nat = sa.nat { facts.append("NAT: \(nat)") }
        var lines = ["  " + facts.joined(separator: "  ")]
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
            "      \(algorithms)SPIs \(child.spi_in) \(child.spi_out), \(traffic)",
        ]
    }

    private func failure(_ failure: StatusReport.Failure) -> [String] {
        ["  " + terminal.paint("! \(failure.code)", .red) + ", \(Readable.span(failure.age)) ago: \(failure.text)"]
    }
}
