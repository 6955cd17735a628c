import ArgumentParser
import Clockwork
import Foundation
import Gateway
import GatewayModel
import IKECore
import LinuxSystem
import NetworkTypes
import Telemetry
import UserspacePlane
import WireFormat

/// `martlet demo`.
struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "See two gateways join two networks, here and now, without preparation.",
        discussion: """
            Starts two gateways, hq and branch, in this process, each with two UDP sockets on loopback. They establish \
            an IKEv2 tunnel; a host behind hq pings one behind branch and sends data through the tunnel; the digests \
            are compared. Needs no privilege and changes nothing on this machine.

            With --netns, as root: the two gateways stand in network namespaces of their own, with TUN devices and \
            routes, and the kernel's own ping crosses the tunnel. Everything is removed afterwards.

            Exit status 0 means that all of it worked.
            """)

    @Flag(help: "Print JSON, for programs.") var json = false
    @Flag(help: "Use two network namespaces and TUN devices (needs root).") var netns = false
    @Option(help: ArgumentHelp("How much to send.", valueName: "MB")) var megabytes = 64

    func validate() throws {
        guard (1...4096).contains(megabytes) else { throw ValidationError("--megabytes is 1 to 4096.") }
    }

    func run() throws {
        let report: DemoReport
        do {
            let stage: any DemoStage = netns ? try NamespaceStage() : try LoopbackStage(bytes: megabytes * 1_000_000)
            report = try DemoRun(stage, say: say).carryOut()
        } catch {
            throw CommandFailure("The demonstration could not start: \(error)")
        }
        if json {
            print(try Status.json(report))
        } else {
            for line in DemoScreen(terminal: .output).lines(report) { print(line) }
        }
        if !report.succeeded { throw ExitCode.failure }
    }

    /// Progress for people; programs get none.
    private func say(_ text: String) {
        guard !json else { return }
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }
}

/// Where the demonstration takes place.
protocol DemoStage: AnyObject {
    /// What people are told at the beginning.
    var introduction: String { get }
    /// The two sites on `loop`.
    func makeSites(on loop: ControlLoop) throws -> DemoSites
    /// Begins what is to happen when the tunnel is up; calls `done` on the loop's thread at the end.
    func begin(on loop: ControlLoop, say: @escaping (String) -> Void, done: @escaping () -> Void) throws
    /// Adds what it found.
    func complete(_ report: inout DemoReport)
    /// Removes everything.
    func strike()
}

/// One demonstration from the first message to the last.
final class DemoRun {
    private let stage: any DemoStage
    private let say: (String) -> Void
    private var installed: Set<String> = []
    private var refusals: [String] = []
    private var started = MonotonicClock.now()
    private var establishment: Interval?
    private static let patience = Interval.seconds(20)
    private static let limit = Interval.seconds(300)

    init(_ stage: any DemoStage, say: @escaping (String) -> Void) {
        self.stage = stage
        self.say = say
    }

    func carryOut() throws -> DemoReport {
        defer { stage.strike() }
        let loop = try ControlLoop()
        say(stage.introduction)
        let sites = try stage.makeSites(on: loop)
        defer {
            for station in [sites.hq, sites.branch] { try? station.plane.stop() }
        }
        for (name, station) in [("hq", sites.hq), ("branch", sites.branch)] {
            station.gateway.observe { [unowned self] event in observe(event, at: name, loop) }
        }
        started = MonotonicClock.now()
        let giveUp = started + Self.patience
        loop.addDeadline({ [unowned self] in establishment == nil ? giveUp : nil }, { loop.stop() })
        let end = started + Self.limit
        loop.addDeadline({ end }, { loop.stop() })
        sites.hq.gateway.handle(.command(.initiate(connection: "tunnel", child: "net")))
        try loop.run()

        var report = DemoReport(
            succeeded: false, failures: refusals,
            sides: [("hq", sites.hq), ("branch", sites.branch)].compactMap { DemoReport.Side($0.0, $0.1) },
            establishment_ms: (establishment ?? .zero).seconds * 1000, ping_ms: [], transfer: nil, kernel_ping: nil)
        if establishment == nil { report.failures.append("the tunnel did not come up") }
        stage.complete(&report)
        report.succeeded = report.failures.isEmpty && report.sides.count == 2
        return report
    }

    private func observe(_ event: Event, at name: String, _ loop: ControlLoop) {
        switch event.kind {
        case .sent(let summary, _, _): say("  \(name.padded(7))→ \(summary)")
        case .refused(let refusal, let child):
            refusals.append("\(name): \(Diagnosis(refusal, child: child).text)")
            loop.stop()
        case .childInstalled:
            installed.insert(name)
            guard installed.count == 2, establishment == nil else { return }
            establishment = MonotonicClock.now() - started
            do {
                try stage.begin(on: loop, say: say) { loop.stop() }
            } catch {
                refusals.append("\(error)")
                loop.stop()
            }
        default: return
        }
    }
}
