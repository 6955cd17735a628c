import LinuxSystem
import Trust
import ViciMessages
import WireFormat

/// What the exporter that most dashboards expect reads out of the control protocol besides the SAs' states.
///
/// It owns names and labels, from the listings as any client has them.
struct ExporterMetrics {
    typealias Samples = [([(String, String)], Double)]

    private var samples: [String: Samples] = [:]

    /// All gauges with their help, in order; those without a value are left out.
    var gauges: [(name: String, help: String, samples: Samples)] {
        Self.table.compactMap { name, help in samples[name].map { (name, help, $0) } }
    }

    private static let table: [(name: String, help: String)] = [
        ("ike_version", "IKE version of the IKE SA"),
        ("ike_encryption_key_size", "Bits of the key that IKE messages are encrypted with"),
        ("ike_integrity_key_size", "Bits of the key that IKE messages are authenticated with"),
        ("ike_reauth_seconds", "Seconds until the IKE SA is authenticated anew"),
        ("ike_children_size", "Child SAs of the IKE SA"), ("ike_nat_local", "Whether a NAT hides this end"),
        ("ike_nat_remote", "Whether a NAT hides the peer"), ("ike_nat_any", "Whether any NAT is on the way"),
        ("ike_nat_fake", "Whether a NAT was faked to have ESP in UDP"),
        ("sa_encap", "Whether ESP travels in UDP"),
        ("sa_encryption_key_size", "Bits of the key that packets are encrypted with"),
        ("sa_integrity_key_size", "Bits of the key that packets are authenticated with"),
        ("sa_lifetime_seconds", "Seconds until the Child SA ends"),
        ("sa_last_inbound_seconds", "Seconds since the last packet from the peer"),
        ("sa_last_outbound_seconds", "Seconds since the last packet to the peer"),
        ("conn_version", "IKE version of the connection"),
        ("conn_reauth_time", "Seconds from one authentication to the next, 0 for never"),
        ("conn_rekey_time", "Seconds from one IKE SA to the next"), ("conn_child_count", "Configured children"),
        ("conn_child_rekey_time", "Seconds from one Child SA to the next"),
        ("conn_child_rekey_bytes", "Octets from one Child SA to the next"),
        ("conn_child_rekey_packets", "Packets from one Child SA to the next"),
        ("cert_count", "Loaded certificates"), ("cert_valid", "Whether the certificate is within its time"),
        ("cert_expire_secs", "Seconds until the certificate ends"),
    ]

    private mutating func add(_ name: String, _ labels: [(String, String)], _ value: String?) {
        guard let value = value.flatMap({ Double($0) }) else { return }
        samples[name, default: []].append((labels, value))
    }

    private static func truth(_ value: String?) -> String { value == "yes" ? "1" : "0" }

    /// An IKE SA with its children.
    mutating func add(sa event: ViciTree) {
        for (name, sa) in event.sections {
            let labels = [("ike_name", name), ("ike_id", sa["uniqueid"] ?? "")]
            let suite = labels + [("algorithm", sa["encr-alg"] ?? ""), ("dh_group", sa["dh-group"] ?? "")]
            add("ike_version", labels, sa["version"])
            add("ike_encryption_key_size", suite, sa["encr-keysize"])
            add("ike_integrity_key_size", suite, sa["integ-keysize"])
            add("ike_reauth_seconds", labels, sa["reauth-time"])
            for kind in ["local", "remote", "any", "fake"] {
                add("ike_nat_\(kind)", labels, Self.truth(sa["nat-\(kind)"]))
            }
            let children = sa.section("child-sas")?.sections ?? []
            add("ike_children_size", labels, "\(children.count)")
            for (_, child) in children { add(child: child, of: labels) }
        }
    }

    private mutating func add(child: ViciTree, of owner: [(String, String)]) {
        let labels =
            owner + [
                ("child_name", child["name"] ?? ""), ("child_id", child["uniqueid"] ?? ""),
                ("local_ts", (child.list("local-ts") ?? []).joined(separator: ";")),
                ("remote_ts", (child.list("remote-ts") ?? []).joined(separator: ";")),
            ]
        let suite = labels + [("algorithm", child["encr-alg"] ?? ""), ("dh_group", child["dh-group"] ?? "")]
        add("sa_encap", labels, Self.truth(child["encap"]))
        add("sa_encryption_key_size", suite, child["encr-keysize"])
        add("sa_integrity_key_size", suite, child["integ-keysize"])
        add("sa_lifetime_seconds", labels, child["life-time"])
        add("sa_last_inbound_seconds", labels, child["use-in"])
        add("sa_last_outbound_seconds", labels, child["use-out"])
    }

    /// A configured connection.
    mutating func add(connection event: ViciTree) {
        for (name, connection) in event.sections {
            let labels = [("ike_name", name)]
            add("conn_version", labels, connection["version"].map { $0 == "IKEv1" ? "1" : $0 == "IKEv2" ? "2" : "0" })
            add("conn_reauth_time", labels, connection["reauth_time"])
            add("conn_rekey_time", labels, connection["rekey_time"])
            let children = connection.section("children")?.sections ?? []
            add("conn_child_count", labels, "\(children.count)")
            for (child, fields) in children {
                for kind in ["time", "bytes", "packets"] {
                    add("conn_child_rekey_\(kind)", labels + [("child_name", child)], fields["rekey_\(kind)"])
                }
            }
        }
    }

    /// A loaded certificate, its end seen from `now` (seconds since 1970).
    mutating func add(certificate event: ViciTree, now: Int64 = WallClock.now()) {
        guard event["type"] == "X509", case .value(let der)? = event[element: "data"],
            let certificate = (try? CertificateFile.certificates(der))?.first
        else { return }
        let (begins, ends) = certificate.validity
        let labels = [("subject", certificate.name), ("serial", Hex.encode(certificate.serial))]
        let count = (samples["cert_count"]?.first?.1 ?? 0) + 1
        samples["cert_count"] = [([], count)]
        add("cert_valid", labels, (begins...max(begins, ends)).contains(now) ? "1" : "0")
        add("cert_expire_secs", labels, "\(ends - now)")
    }
}
