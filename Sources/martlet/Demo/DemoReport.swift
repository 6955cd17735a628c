import Clockwork
import Gateway
import GatewayModel
import IPsecCrypto
import NetworkTypes

/// What the demonstration found: what `martlet demo` shows and `--json` prints.
struct DemoReport: Codable, Equatable {
    /// Whether everything held: both sides up, all pings answered, the digests equal.
    var succeeded: Bool
    /// What did not hold.
    var failures: [String]
    /// The tunnel as each side sees it.
    var sides: [Side]
    /// From the first IKE message to the installed Child SA, in milliseconds.
    var establishment_ms: Double
    /// Round trips of the pings, in milliseconds.
    var ping_ms: [Double]
    var transfer: Transfer?
    /// What the kernel's own `ping` printed, with `--netns`.
    var kernel_ping: [String]?

    struct Side: Codable, Equatable {
        var name: String
        var ike_state: String
        var child_state: String
        var ike_algorithms: String
        var child_algorithms: String
        var local: String
        var remote: String
        var local_ts: [String]
        var remote_ts: [String]
        var packets_in: UInt64
        var packets_out: UInt64
        var bytes_in: UInt64
        var bytes_out: UInt64
    }

    struct Transfer: Codable, Equatable {
        var bytes: Int
        var seconds: Double
        var megabits_per_second: Double
        var packets_sent_again: Int
        var sha256_sent: String
        var sha256_received: String
    }
}

extension DemoReport.Side {
    /// One side as it stands; nil while it has no IKE SA.
    init?(_ name: String, _ station: GatewayStation) {
        guard let ike = station.gateway.ikeSAs.last else { return nil }
        let child = ike.children.last
        let inbound = child.map { station.gateway.counters(.inbound, spi: $0.inboundSPI) }
        let outbound = child.map { station.gateway.counters(.outbound, spi: $0.outboundSPI) }
        self.init(
            name: name, ike_state: ike.state.rawValue, child_state: child?.state.rawValue ?? "none",
            ike_algorithms: ike.algorithms?.description ?? "", child_algorithms: child?.algorithms.description ?? "",
            local: "\(ike.path.local)", remote: "\(ike.path.remote)",
            local_ts: child?.localSelectors.map(\.description) ?? [],
            remote_ts: child?.remoteSelectors.map(\.description) ?? [], packets_in: inbound?.packets ?? 0,
            packets_out: outbound?.packets ?? 0, bytes_in: inbound?.bytes ?? 0, bytes_out: outbound?.bytes ?? 0)
    }
}

/// The report on one screen.
struct DemoScreen {
    let terminal: Terminal

    func lines(_ report: DemoReport) -> [String] {
        var lines: [String] = [""]
        for side in report.sides {
            lines.append(
                "  \(terminal.paint(side.name.padded(8), .bold)) IKE \(terminal.state(side.ike_state))  child "
                    + "\(terminal.state(side.child_state))  \(side.local) ↔ \(side.remote)")
            lines.append(
                "           \(side.local_ts.joined(separator: " ")) === \(side.remote_ts.joined(separator: " "))")
            lines.append(
                "           in \(side.packets_in) packets, \(Readable.bytes(Int64(side.bytes_in)));  out "
                    + "\(side.packets_out) packets, \(Readable.bytes(Int64(side.bytes_out)))")
        }
        if let side = report.sides.first {
            lines.append("")
            lines.append(row("IKE algorithms", side.ike_algorithms))
            lines.append(row("ESP algorithms", side.child_algorithms))
        }
        lines.append(row("established in", DemoCommandText.milliseconds(report.establishment_ms)))
        if !report.ping_ms.isEmpty {
            lines.append(row("ping", report.ping_ms.map(DemoCommandText.milliseconds).joined(separator: ", ")))
        }
        if let transfer = report.transfer {
            let rate = Readable.rate(bitsPerSecond: transfer.megabits_per_second * 1e6)
            lines.append(
                row(
                    "transfer",
                    "\(Readable.bytes(Int64(transfer.bytes))) in \(DemoCommandText.seconds(transfer.seconds)), \(rate)"
                        + (transfer.packets_sent_again == 0
                            ? "" : ", \(transfer.packets_sent_again) packets sent again")))
            let isSame = transfer.sha256_sent == transfer.sha256_received
            lines.append(
                row(
                    "digest",
                    "\(transfer.sha256_received.prefix(16))… " + (isSame ? "the same at both ends" : "DIFFERENT")))
        }
        for line in report.kernel_ping ?? [] { lines.append("  \(line)") }
        lines.append("")
        for failure in report.failures { lines.append("  " + terminal.paint("✕ \(failure)", .red)) }
        if report.succeeded {
            lines.append(
                "  " + terminal.paint("● It works.", .green)
                    + " Next: README.md has a first tunnel between two machines in five minutes.")
        }
        return lines
    }

    private func row(_ name: String, _ value: String) -> String { "  \(name.padded(15)) \(value)" }
}

/// Figures of the demonstration as text.
enum DemoCommandText {
    static func milliseconds(_ value: Double) -> String { "\((value * 100).rounded() / 100) ms" }
    static func seconds(_ value: Double) -> String { "\((value * 100).rounded() / 100) s" }
}

extension String {
    /// The text with spaces behind it, up to `width` characters.
    func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
