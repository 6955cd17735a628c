import ArgumentParser
import Foundation
import Telemetry
import Trust
import ViciMessages
import ViciServer

/// `martlet doctor`.
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look for what is wrong with this gateway and its tunnels.",
        discussion: """
            Looks at the machine, at the gateway and at each connection, and prints a page: ✓ well, ! to be looked at, ✕ \
            broken, each with its cause and what to do. Nothing is changed, but for --rekey, which gives every tunnel new \
            keys to see whether the peer goes along (perfect forward secrecy that does not match shows only then).

            Exit status: 0 nothing is broken, 1 something is.
            """)

    @Argument(help: ArgumentHelp("One connection; all when left out.", valueName: "NAME")) var name: String?
    @Flag(help: "Rekey each Child SA, to see whether the peer goes along.") var rekey = false
    @Option(
        help: ArgumentHelp("A host behind the peer, to find the largest packet that arrives.", valueName: "ADDRESS"))
    var mtu: String?
    @Option(
        name: .customLong("from"),
        help: ArgumentHelp(
            "With --mtu, an address of this machine's that the tunnel carries.", valueName: "ADDRESS"))
    var source: String?
    @Flag(help: "Print JSON, for programs.") var json = false
    @OptionGroup var control: ControlSocketOption

    /// A name that is no connection's: not the gateway's fault.
    private struct Unknown: Error {
        let text: String
    }

    func run() throws {
        var page = DoctorPage()
        page.machine()
        do {
            let gateway = try GatewayClient(control)
            let report = try gateway.status()
            page.add(.well, "gateway", "The gateway answers on its control socket.")
            let wanted = report.connections.filter { name == nil || $0.name == name }
            if let name, wanted.isEmpty { throw Unknown(text: report.unknownToDoctor(name)) }
            for connection in wanted {
                page.connection(connection)
                if rekey { try page.rekey(connection, control) }
            }
            if name == nil { for refusal in report.refusals.prefix(5) { page.refusal(refusal) } }
            if let mtu { page.largestPacket(to: mtu) { DoctorPage.ping(mtu, from: source, $0) } }
            var certificates: [ViciTree] = []
            _ = try gateway.client.call("list-certs", streaming: "list-cert") { certificates.append($0) }
            page.ownCertificates(certificates)
        } catch let unknown as Unknown {
            throw CommandFailure(unknown.text)
        } catch let failure as CommandFailure {
            page.add(.broken, "gateway", failure.description)
        }
        if json { print(try Status.json(page.findings)) } else { for line in page.lines(.output) { print(line) } }
        if page.isBroken { throw ExitCode(1) }
    }
}

extension StatusReport {
    /// Why there is nothing to look at for a name that no configured connection has.
    fileprivate func unknownToDoctor(_ name: String) -> String {
        do { try requireConnection(name) } catch { return "\(error)" }
        return "'\(name)' is no longer configured: `martlet status` shows what is left of it."
    }
}

/// What the doctor has found.
struct DoctorPage {
    /// How bad it is.
    enum Verdict: String, Codable {
        case well
        case unwise
        case broken
    }

    /// One thing that was looked at.
    struct Finding: Codable, Equatable {
        var verdict: Verdict
        /// The connection, or the part of the machine.
        var subject: String
        var code: String?
        var text: String
    }

    private(set) var findings: [Finding] = []

    /// Whether anything is broken.
    var isBroken: Bool { findings.contains { $0.verdict == .broken } }

    /// Notes something.
    mutating func add(_ verdict: Verdict, _ subject: String, _ text: String, code: String? = nil) {
        findings.append(Finding(verdict: verdict, subject: subject, code: code, text: text))
    }

    mutating func add(_ verdict: Verdict, _ subject: String, _ diagnosis: Diagnosis) {
        add(verdict, subject, diagnosis.text, code: diagnosis.code)
    }

    // MARK: What is looked at

    /// The machine: device, forwarding, clock.
    mutating func machine() {
        let hasDevice = FileManager.default.fileExists(atPath: "/dev/net/tun")
        add(
            hasDevice ? .well : .broken, "machine",
            hasDevice
                ? "/dev/net/tun is there." : "/dev/net/tun is missing: no tunnel can carry packets. Try `modprobe tun`."
        )
        let forwarding = try? String(contentsOfFile: "/proc/sys/net/ipv4/ip_forward", encoding: .utf8)
        if forwarding?.hasPrefix("0") ?? false {
            add(.unwise, "machine", .forwardingIsOff)
        } else if forwarding != nil {
            add(.well, "machine", "Packets are forwarded between networks.")
        }
        let year = Calendar.current.component(.year, from: Date())
        if year < 2025 {
            add(.broken, "machine", .clockSkew(String(year)))
        } else {
            add(.well, "machine", "The clock is plausible.")
        }
    }

    /// Something that was refused and belongs to no connection.
    mutating func refusal(_ refusal: StatusReport.Failure) {
        guard refusal.age < 3600 else { return }
        add(.unwise, "somebody", refusal.text, code: refusal.code)
    }

    /// Whether the peer goes along with new keys.
    mutating func rekey(_ connection: StatusReport.ConnectionStatus, _ control: ControlSocketOption) throws {
        let names = Set(connection.ike_sas.flatMap(\.children).map(\.name)).sorted()
        for child in names {
            let target = ViciTree {
                $0.set("child", child)
                $0.set("ike", connection.name)
            }
            let outcome = try Rekeying(control).carryOut([target], connection: connection.name, seconds: 15)
            if let error = outcome.error {
                add(.broken, connection.name, .rekeyFails(child, error))
            } else {
                add(.well, connection.name, "'\(child)' was rekeyed, and the peer went along.")
            }
        }
    }

    /// Whether the clock agrees with the certificates that we show to others.
    mutating func ownCertificates(_ listed: [ViciTree], now: Int64 = Int64(Date().timeIntervalSince1970)) {
        for one in listed where one["type"] == "X509" && one["has_privkey"] == "yes" {
            guard case .value(let der)? = one[element: "data"], let certificate = try? Certificate(der: der) else {
                continue
            }
            let (begins, ends) = certificate.validity
            if now < begins {
                let own = (name: certificate.name, begins: CalendarText.moment(begins))
                add(.broken, "machine", .clockSkew(CalendarText.moment(now), certificate: own))
            } else if now > ends {
                add(
                    .broken, "machine",
                    "Our own certificate '\(certificate.name)' ended on \(CalendarText.moment(ends)): issue a new one.")
            } else {
                add(.well, "machine", "Our certificate '\(certificate.name)' ends on \(CalendarText.moment(ends)).")
            }
        }
    }

    /// What becomes of a packet that may not be cut.
    enum Fate {
        case answered
        /// Somebody on the way, or our own device, says that it is too long.
        case refused
        case lost
    }

    /// The largest packet that reaches a host and is answered; `send` tries one of so many octets.
    mutating func largestPacket(to address: String, send: (Int) -> Fate) {
        // Any packet may get lost once for another reason.
        func fate(_ size: Int) -> Fate {
            let first = send(size)
            return first == .lost ? send(size) : first
        }
        guard fate(100) == .answered else {
            return add(
                .broken, "mtu", "\(address) does not answer a small ping, so that nothing can be said of large ones.")
        }
        var (arrives, fails, end) = (100, 1501, Fate.refused)
        while fails - arrives > 1 {
            let middle = (arrives + fails) / 2
            let found = fate(middle)
            if found == .answered { arrives = middle } else { (fails, end) = (middle, found) }
        }
        if end == .lost {
            add(.broken, "mtu", .mtuBlackHole(arrives, fails))
        } else {
            add(.well, "mtu", "Packets up to \(arrives) octets arrive at \(address) and come back.")
        }
    }

    /// Sends a ping of so many octets, headers included.
    static func ping(_ address: String, from source: String?, _ size: Int) -> Fate {
        let ping = Process()
        ping.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let payload = size - (address.contains(":") ? 48 : 28)
        let words = ["ping", "-n", "-M", "do", "-c", "1", "-W", "1", "-s", String(payload), address]
        ping.arguments = words + (source.map { ["-I", $0] } ?? [])
        let said = Pipe()
        ping.standardOutput = said
        ping.standardError = said
        guard (try? ping.run()) != nil else { return .lost }
        let text = String(decoding: said.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        ping.waitUntilExit()
        if ping.terminationStatus == 0 { return .answered }
        return text.contains("mtu") || text.contains("too long") || text.contains("too big") ? .refused : .lost
    }

    // MARK: The page

    /// The lines to print, the broken first.
    func lines(_ terminal: Terminal) -> [String] {
        var lines: [String] = []
        for (verdict, sign) in [
            (Verdict.broken, terminal.paint("✕", .red)), (.unwise, terminal.paint("!", .orange)),
            (.well, terminal.paint("✓", .green)),
        ] {
            for finding in findings where finding.verdict == verdict {
                let code = finding.code.map { "\($0): " } ?? ""
                let text = Wrapping.lines(
                    "\(finding.subject): \(code)\(finding.text)", width: terminal.width, indentation: 2)
                lines.append("\(sign) " + (text.first?.dropFirst(2) ?? ""))
                lines += text.dropFirst()
            }
        }
        lines.append(sum)
        return lines
    }

    /// The last line: how many things are broken, and how many are to be looked at.
    private var sum: String {
        func things(_ verdict: Verdict) -> (count: Int, text: String) {
            let count = findings.count { $0.verdict == verdict }
            return (count, "\(count) thing\(count == 1 ? "" : "s")")
        }
        let (broken, unwise) = (things(.broken), things(.unwise))
        switch (broken.count, unwise.count) {
        case (0, 0): return "All is well."
        case (0, _): return "Nothing is broken, \(unwise.text) to look at."
        case (_, 0): return "\(broken.text) \(broken.count == 1 ? "is" : "are") broken."
        default: return "\(broken.text) \(broken.count == 1 ? "is" : "are") broken, \(unwise.text) to look at."
        }
    }
}
