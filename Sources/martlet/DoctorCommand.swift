import ArgumentParser
import Foundation
import Telemetry
import ViciMessages

/// `martlet doctor`.
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look for what is wrong with this gateway and its tunnels.",
        discussion: """
            Looks at the machine, at the gateway and at each connection, and prints a page: ✓ well, ! unwise or one-way, ✕ \
            broken, each with its cause and what to do. Nothing is changed, but for --rekey, which gives every tunnel new \
            keys to see whether the peer goes along (perfect forward secrecy that does not match shows only then).

            Exit status: 0 all is well, 1 something is broken.
            """)

    @Argument(help: ArgumentHelp("One connection; all when left out.", valueName: "NAME")) var name: String?
    @Flag(help: "Rekey each Child SA, to see whether the peer goes along.") var rekey = false
    @Option(
        help: ArgumentHelp("A host behind the peer, to find the largest packet that arrives.", valueName: "ADDRESS"))
    var mtu: String?
    @Flag(help: "Print JSON, for programs.") var json = false
    @OptionGroup var control: ControlSocketOption

    func run() throws {
        var page = DoctorPage()
        page.machine()
        do {
            let report = try GatewayClient(control).status()
            page.add(.well, "gateway", "The gateway answers on its control socket.")
            let wanted = report.connections.filter { name == nil || $0.name == name }
            if let name, wanted.isEmpty { throw CommandFailure("No connection is called '\(name)'.") }
            for connection in wanted {
                page.connection(connection)
                if rekey { try page.rekey(connection, control) }
            }
            if name == nil { for refusal in report.refusals.prefix(5) { page.refusal(refusal) } }
            if let mtu { page.largestPacket(to: mtu) }
        } catch let failure as CommandFailure {
            page.add(.broken, "gateway", failure.description)
        }
        if json { print(try Status.json(page.findings)) } else { for line in page.lines(.output) { print(line) } }
        if page.isBroken { throw ExitCode(1) }
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

    private mutating func add(_ verdict: Verdict, _ subject: String, _ diagnosis: Diagnosis) {
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

    /// A connection: what went wrong last, and whether traffic goes both ways.
    mutating func connection(_ connection: StatusReport.ConnectionStatus) {
        let subject = connection.name
        if let failure = connection.last_error { add(.broken, subject, failure.text, code: failure.code) }
        let children = connection.ike_sas.flatMap(\.children).filter {
            $0.state == "INSTALLED" || $0.state == "REKEYING"
        }
        switch connection.state {
        case "up": add(.well, subject, "Up: \(children.count) Child SA\(children.count == 1 ? "" : "s").")
        case "established": add(.broken, subject, "The IKE SA is up, but none of its children is.")
        case "connecting": add(.unwise, subject, "On its way; ask again in a moment.")
        default:
            if connection.last_error == nil {
                add(
                    .unwise, subject,
                    "Down; nobody has asked for it, or nobody has come. `martlet up \(subject)` tries.")
            }
        }
        for child in children {
            if child.packets_out >= 5, child.packets_in == 0 {
                add(.broken, subject, .oneWay(child.name, packetsOut: child.packets_out, packetsIn: child.packets_in))
            } else if child.packets_in >= 5, child.packets_out == 0 {
                add(.broken, subject, .oneWay(child.name, packetsOut: 0, packetsIn: child.packets_in))
            } else if child.packets_in > 0, child.packets_out > 0 {
                add(.well, subject, "'\(child.name)' carries traffic both ways.")
            } else {
                add(.well, subject, "'\(child.name)' has carried too little to say whether both ways work.")
            }
        }
        if let nat = connection.ike_sas.first?.nat {
            add(.well, subject, "A NAT is on the way (\(nat)); packets travel in UDP.")
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

    /// The largest packet that reaches a host and is answered.
    mutating func largestPacket(to address: String) {
        let overhead = address.contains(":") ? 48 : 28
        guard answers(address, 100 - overhead) else {
            return add(
                .broken, "mtu", "\(address) does not answer a small ping, so that nothing can be said of large ones.")
        }
        var arrives = 100
        var fails = 1501
        while fails - arrives > 1 {
            let middle = (arrives + fails) / 2
            if answers(address, middle - overhead) { arrives = middle } else { fails = middle }
        }
        if arrives >= 1280 {
            add(.well, "mtu", "Packets up to \(arrives) octets arrive at \(address) and come back.")
        } else {
            add(.broken, "mtu", .mtuBlackHole(arrives, fails))
        }
    }

    private func answers(_ address: String, _ size: Int) -> Bool {
        let ping = Process()
        ping.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        ping.arguments = ["ping", "-n", "-q", "-M", "do", "-c", "1", "-W", "1", "-s", String(size), address]
        ping.standardOutput = FileHandle.nullDevice
        ping.standardError = FileHandle.nullDevice
        guard (try? ping.run()) != nil else { return false }
        ping.waitUntilExit()
        return ping.terminationStatus == 0
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
        let broken = findings.count { $0.verdict == .broken }
        lines.append(broken == 0 ? "All is well." : "\(broken) thing\(broken == 1 ? " is" : "s are") broken.")
        return lines
    }
}
