import Telemetry

/// What the doctor finds about connections, from the gateway's report alone.
extension DoctorPage {
    /// Packets below which nothing is said of a direction.
    private static let fewest: Int64 = 5
    /// Seconds within which a packet counts as traffic of now.
    private static let recent: Int64 = 30
    /// Seconds without a packet that no pause of a conversation explains while the other direction goes on.
    private static let long: Int64 = 60

    /// A connection: what went wrong last, and whether traffic goes both ways.
    mutating func connection(_ connection: StatusReport.ConnectionStatus) {
        let subject = connection.name
        // That the peer has to start it is said below.
        if let failure = connection.last_error, connection.canBeStarted || failure.code != "E-NO-PATH" {
            // Nobody refused anything: it may have been meant.
            let verdict: Verdict = failure.code == Diagnosis.deletedAtOnce(subject).code ? .unwise : .broken
            add(verdict, subject, failure.text, code: failure.code)
        }
        let children = connection.ike_sas.flatMap(\.children).filter {
            $0.state == "INSTALLED" || $0.state == "REKEYING"
        }
        switch connection.state {
        case "up": add(.well, subject, "Up: \(children.count) Child SA\(children.count == 1 ? "" : "s").")
        case "established": add(.broken, subject, "The IKE SA is up, but none of its children is.")
        case "connecting": add(.unwise, subject, "On its way; ask again in a moment.")
        default:
            if !connection.canBeStarted {
                add(
                    .unwise, subject,
                    "Down; only the peer can start it, since `remote_addrs` names no single address. Nobody has come.")
            } else if connection.last_error == nil {
                add(
                    .unwise, subject,
                    "Down; nobody has asked for it, or nobody has come. `martlet up \(subject)` tries.")
            }
        }
        for child in children { traffic(of: child, subject) }
        if let sa = connection.ike_sas.first, sa.nat != nil { translation(sa, subject) }
    }

    /// Whether packets go both ways, now and not only once.
    private mutating func traffic(of child: StatusReport.ChildStatus, _ subject: String) {
        /// For how long one direction has been silent while the other goes on; nil where it is not.
        func silence(_ missing: Int64?, while going: Int64?) -> Int64? {
            guard let missing, let going, going <= Self.recent, missing >= Self.long else { return nil }
            return missing
        }
        let (out, into) = (child.packets_out, child.packets_in)
        if out >= Self.fewest, into == 0 {
            add(.broken, subject, .oneWay(child.name, packetsOut: out, packetsIn: into, isDeaf: true))
        } else if into >= Self.fewest, out == 0 {
            add(.broken, subject, .oneWay(child.name, packetsOut: out, packetsIn: into, isDeaf: false))
        } else if out >= Self.fewest, let seconds = silence(child.last_in, while: child.last_out) {
            add(
                .broken, subject,
                .oneWay(child.name, packetsOut: out, packetsIn: into, isDeaf: true, silence: seconds))
        } else if into >= Self.fewest, let seconds = silence(child.last_out, while: child.last_in) {
            add(
                .broken, subject,
                .oneWay(child.name, packetsOut: out, packetsIn: into, isDeaf: false, silence: seconds))
        } else if into > 0, out > 0 {
            add(.well, subject, "'\(child.name)' carries traffic both ways.")
        } else {
            add(.well, subject, "'\(child.name)' has carried too little to say whether both ways work.")
        }
    }

    /// What stands between the two, or what the peer makes of it: who wants packets in UDP claims to be behind a NAT.
    private mutating func translation(_ sa: StatusReport.IKESAStatus, _ subject: String) {
        let sides = sa.nat?.split(separator: ",") ?? []
        if sides.contains("local") {
            add(.well, subject, "A NAT is in front of this gateway; packets travel in UDP.")
        }
        guard sides.contains("remote") else { return }
        let parts = sa.remote.split(separator: "[")
        let (host, port) = (parts.first.map(String.init) ?? "", parts.last.map { String($0.dropLast()) } ?? "")
        if host == sa.remote_id {
            add(
                .well, subject,
                "Packets travel in UDP because the peer wants it (`encap`): it calls itself by the address that we see, so "
                    + "that no NAT seems to be on the way.")
        } else if ["500", "4500"].contains(port) {
            add(
                .well, subject,
                "Packets travel in UDP: the peer wants it (`encap = yes`, or a Martlet with no `encap` at all), or there is a "
                    + "NAT in front of it, which leaves its port as it is.")
        } else {
            add(.well, subject, "A NAT is in front of the peer; packets travel in UDP.")
        }
    }
}

extension StatusReport.ConnectionStatus {
    /// Whether this end knows whom to call.
    var canBeStarted: Bool { !Diagnosis.namesNobody(remote_addrs.joined(separator: ",")) }
}
