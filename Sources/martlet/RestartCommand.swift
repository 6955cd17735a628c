import ArgumentParser
import Clockwork
import Foundation
import LinuxSystem
import ViciMessages
import ViciServer

/// `martlet restart`.
struct Restart: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Restart the gateway, or take an upgrade into use, without losing a tunnel.",
        discussion: """
            The running process hands its tunnels to a new one of the program that lies at its path now: keys, sequence \
            numbers, the device and the sockets. Peers notice nothing; packets wait for a moment. The configuration \
            file is read again; what clients have loaded over the control socket stays.

            Where the new program or the configuration can't go on from there, the old process goes on, and the command \
            says why and ends with status 1. A tunnel whose peer does not answer in the middle of an exchange is \
            connected anew; the command says how many were.

            A plain stop is another thing: it tells the peers.
            """)

    @Flag(help: "Print JSON, for programs.") var json = false
    @OptionGroup var control: ControlSocketOption

    private static let command = "martlet-restart"
    private static let report = "martlet-restarted"

    /// What came of it.
    private struct Outcome: Codable {
        var ikeSAs: Int
        var childSAs: Int
        var left: Int
        var gapMilliseconds: Int
    }

    func run() throws {
        let gateway = try GatewayClient(control)
        let before = try gateway.call(Self.report)["moment"]
        if !json { print("Handing over to a new process...") }
        let answer: ViciTree?
        do throws(ViciClientError) {
            answer = try gateway.client.call(Self.command, ViciTree(), streaming: nil, timeout: .seconds(90)) { _ in }
        } catch {
            // The process that was asked is not there any more: that is how it should be.
            answer = nil
        }
        if let answer {
            throw CommandFailure("The gateway was not restarted. \(answer["errmsg"] ?? "It did not say why").")
        }
        let outcome = try waitForSuccessor(before)
        if json {
            print(try Status.json(outcome))
        } else {
            print(
                "Restarted: \(outcome.ikeSAs) tunnels (\(outcome.childSAs) Child SAs) kept; packets waited for "
                    + "\(outcome.gapMilliseconds) ms.")
            if outcome.left > 0 { print("\(outcome.left) tunnels could not be kept and are connected anew.") }
        }
    }

    private func waitForSuccessor(_ before: String?) throws -> Outcome {
        let end = MonotonicClock.now() + .seconds(60)
        while MonotonicClock.now() < end {
            if let client = try? GatewayClient(control), let tree = try? client.call(Self.report),
                let moment = tree["moment"], moment != before
            {
                func number(_ key: String) -> Int { tree[key].flatMap { Int($0) } ?? 0 }
                return Outcome(
                    ikeSAs: number("ike-sas"), childSAs: number("child-sas"), left: number("left"),
                    gapMilliseconds: number("gap-ms"))
            }
            Thread.sleep(forTimeInterval: 0.02)
        }
        throw CommandFailure(
            "The former process is gone, and the new one does not answer at \(try control.address()). Its log says why."
        )
    }
}
