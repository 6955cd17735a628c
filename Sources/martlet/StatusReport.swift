import ViciMessages

/// What a gateway says of itself, as `martlet status --json` prints it: connections with their IKE SAs, and refusals
/// that no connection could be named for.
struct StatusReport: Codable, Equatable {
    var connections: [ConnectionStatus]
    /// IKE SAs whose connection is no longer configured.
    var other_ike_sas: [IKESAStatus]
    /// The newest first.
    var refusals: [Failure]
    /// Packets that went no further, by reason; reasons without any are left out.
    var drops: [String: Int64] = [:]
    /// How often tunnels failed since the gateway was started.
    var failures: [FailureCount] = []

    struct FailureCount: Codable, Equatable {
        /// Empty where no connection could be named.
        var connection: String
        var code: String
        var count: Int64
    }

    struct ConnectionStatus: Codable, Equatable {
        var name: String
        /// `up`, `established`, `connecting` or `down`.
        var state: String
        var remote_addrs: [String]
        var children: [String]
        /// Children that the next packet brings up.
        var traps: [String] = []
        var last_error: Failure?
        var ike_sas: [IKESAStatus]
    }

    struct Failure: Codable, Equatable {
        var code: String
        var text: String
        var remedy: String?
        /// Seconds since 1970.
        var time: Int64
        /// Seconds ago.
        var age: Int64
    }

    struct IKESAStatus: Codable, Equatable {
        var id: Int
        var connection: String
        var state: String
        var local: String
        var remote: String
        var local_id: String?
        var remote_id: String?
        var remote_eap_id: String?
        /// What the peer proved its identity with; nil for a shared key.
        var remote_certificate: CertificateStatus?
        var initiator: Bool
        var algorithms: String?
        /// Seconds since it was established.
        var established: Int64?
        var rekey_in: Int64?
        var setup_milliseconds: Int64?
        var nat: String?
        var children: [ChildStatus]
    }

    struct ChildStatus: Codable, Equatable {
        var id: Int
        var name: String
        var state: String
        var algorithms: String?
        var local_ts: [String]
        var remote_ts: [String]
        var spi_in: String
        var spi_out: String
        var bytes_in: Int64
        var packets_in: Int64
        var bytes_out: Int64
        var packets_out: Int64
        /// Seconds since the last packet came; nil before the first.
        var last_in: Int64?
        /// Seconds since the last packet went.
        var last_out: Int64?
        /// Packets that came again, or too late.
        var replays: Int64 = 0
        /// Packets whose integrity check failed.
        var forgeries: Int64 = 0
        /// Seconds since it was installed.
        var installed: Int64?
        var rekey_in: Int64?
    }
}

extension StatusReport {
    /// Reads the answer to `martlet-status`.
    init(_ tree: ViciTree) {
        let sas = (tree.section("sas")?.sections ?? []).map { IKESAStatus($0.tree) }
        connections = (tree.section("connections")?.sections ?? []).map { name, fields in
            ConnectionStatus(
                name: name, state: fields["state"] ?? "unknown", remote_addrs: fields.list("remote_addrs") ?? [],
                children: fields.list("children") ?? [], traps: fields.list("traps") ?? [],
                last_error: fields.section("last-error").map(Failure.init),
                ike_sas: sas.filter { $0.connection == name })
        }
        let known = Set(connections.map(\.name))
        other_ike_sas = sas.filter { !known.contains($0.connection) }
        drops = [:]
        for entry in tree.section("drops")?.entries ?? [] {
            drops[entry.name] = tree.section("drops")?[entry.name].flatMap { Int64($0) }
        }
        failures = (tree.section("failures")?.sections ?? []).map { _, fields in
            FailureCount(
                connection: fields["connection"] ?? "", code: fields["code"] ?? "", count: fields.number("count") ?? 0)
        }
        refusals = (tree.section("refusals")?.sections ?? []).map { Failure($0.tree) }
    }
}

extension StatusReport.Failure {
    init(_ tree: ViciTree) {
        code = tree["code"] ?? ""
        text = tree["text"] ?? ""
        remedy = tree["remedy"]
        time = tree.number("time") ?? 0
        age = tree.number("age") ?? 0
    }
}

extension StatusReport.IKESAStatus {
    init(_ tree: ViciTree) {
        id = tree.number("uniqueid").map { Int($0) } ?? 0
        connection = tree["connection"] ?? ""
        state = tree["state"] ?? ""
        local = "\(tree["local-host"] ?? "?")[\(tree["local-port"] ?? "?")]"
        remote = "\(tree["remote-host"] ?? "?")[\(tree["remote-port"] ?? "?")]"
        local_id = tree["local-id"]
        remote_id = tree["remote-id"]
        remote_eap_id = tree["remote-eap-id"]
        remote_certificate = tree.section("remote-certificate").map(StatusReport.CertificateStatus.init)
        initiator = tree["initiator"] == "yes"
        algorithms = tree.algorithms(["encr-alg", "integ-alg", "prf-alg", "dh-group"])
        established = tree.number("established")
        rekey_in = tree.number("rekey-time")
        setup_milliseconds = tree.number("setup-milliseconds")
        nat = [("nat-local", "local"), ("nat-remote", "remote")].filter { tree[$0.0] == "yes" }.map(\.1)
            .joined(separator: ",")
        if nat?.isEmpty == true { nat = nil }
        let drops = tree.section("child-drops")
        children = (tree.section("child-sas")?.sections ?? []).map { name, fields in
            StatusReport.ChildStatus(fields, drops: drops?.section(name) ?? ViciTree())
        }
    }
}

extension StatusReport {
    /// A peer's certificate.
    struct CertificateStatus: Codable, Equatable {
        /// The subjects, the peer's own first.
        var chain: [String]
        var serial: String?
        /// The end of its time, in seconds since 1970.
        var ends: Int64?
        var key: String
        var signature: String
        /// What is known about revocation, in words.
        var revocation: String
    }
}

extension StatusReport.CertificateStatus {
    init(_ tree: ViciTree) {
        chain = tree.list("chain") ?? []
        serial = tree["serial"]
        ends = tree.number("ends")
        key = tree["key"] ?? ""
        signature = tree["signature"] ?? ""
        revocation = tree["revocation"] ?? ""
    }
}

extension StatusReport.ChildStatus {
    init(_ tree: ViciTree, drops: ViciTree) {
        id = tree.number("uniqueid").map { Int($0) } ?? 0
        name = tree["name"] ?? ""
        state = tree["state"] ?? ""
        algorithms = tree.algorithms(["encr-alg", "integ-alg", "dh-group"])
        local_ts = tree.list("local-ts") ?? []
        remote_ts = tree.list("remote-ts") ?? []
        spi_in = tree["spi-in"] ?? ""
        spi_out = tree["spi-out"] ?? ""
        bytes_in = tree.number("bytes-in") ?? 0
        packets_in = tree.number("packets-in") ?? 0
        bytes_out = tree.number("bytes-out") ?? 0
        packets_out = tree.number("packets-out") ?? 0
        last_in = tree.number("use-in")
        last_out = tree.number("use-out")
        replays = drops.number("replays") ?? 0
        forgeries = drops.number("forgeries") ?? 0
        installed = tree.number("install-time")
        rekey_in = tree.number("rekey-time")
    }
}

extension ViciTree {
    fileprivate func number(_ name: String) -> Int64? { self[name].flatMap { Int64($0) } }

    /// The algorithms in the form in which this field writes them: `AES_GCM_16-128/PRF_HMAC_SHA2_256/CURVE_25519`.
    fileprivate func algorithms(_ keys: [String]) -> String? {
        let parts = keys.compactMap { key -> String? in
            guard let name = self[key] else { return nil }
            let size = key == "encr-alg" ? self["encr-keysize"].map { "-\($0)" } ?? "" : ""
            return name + size
        }
        return parts.isEmpty ? nil : parts.joined(separator: "/")
    }
}
