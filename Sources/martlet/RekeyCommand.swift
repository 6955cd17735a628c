import ArgumentParser
import Foundation
import ViciMessages

/// `martlet rekey`.
struct Rekey: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Give a tunnel new keys now, and say whether the peer agreed.",
        discussion: """
            A connection's name replaces its IKE SA, and with --children its children; a child's name replaces that child. \
            Traffic goes on meanwhile. Exit status 1 when the peer refuses.
            """)

    @Argument(help: ArgumentHelp("A connection, or one of its children.", valueName: "NAME")) var name: String
    @Flag(help: "Replace the connection's children, not its IKE SA.") var children = false
    @Option(help: ArgumentHelp("Wait at most so many seconds.", valueName: "SECONDS")) var timeout = 30
    @Flag(help: "Print JSON, for programs.") var json = false
    @OptionGroup var control: ControlSocketOption

    func run() throws {
        let report = try GatewayClient(control).status()
        let named = try Named(anyOf: name, report)
        let targets = try Self.targets(named, report, children: children)
        let outcome = try Rekeying(control).carryOut(targets, connection: named.owner, seconds: timeout)
        if json {
            print(try Status.json(outcome))
            if outcome.error != nil { throw ExitCode(1) }
            return
        }
        if let error = outcome.error { throw CommandFailure("'\(name)' has no new keys. \(error)") }
        print("'\(name)' has new keys (\(outcome.replaced) of \(outcome.matches) SAs replaced).")
    }
}

extension Rekey {
    /// What is to be replaced: with `children`, each child of the connection that has a Child SA.
    static func targets(_ named: Named, _ report: StatusReport, children: Bool) throws -> [ViciTree] {
        guard children, case .connection(let owner) = named else { return [named.arguments] }
        var names: [String] = []
        for child in report.ikeSAs(of: owner).filter({ !$0.isLeaving }).flatMap(\.children)
        where !names.contains(child.name) { names.append(child.name) }
        if names.isEmpty { throw CommandFailure("No child of '\(owner)' is up: there is nothing to rekey.") }
        return names.map { Named.child($0, connection: owner).arguments }
    }
}

/// A rekeying that is watched until it is done.
struct Rekeying {
    /// How it went.
    struct Outcome: Codable {
        var matches: Int
        var replaced: Int
        var error: String?
    }

    private let control: ControlSocketOption

    init(_ control: ControlSocketOption) { self.control = control }

    /// Begins to replace what `targets` name and waits until all of it is replaced, or one is refused.
    func carryOut(_ targets: [ViciTree], connection: String, seconds: Int) throws -> Outcome {
        let stream = try EventStream(control, ["ike-rekey", "child-rekey", "log"])
        let gateway = try GatewayClient(control)
        var outcome = Outcome(matches: 0, replaced: 0, error: nil)
        for target in targets {
            let answer = try gateway.call("rekey", target)
            outcome.matches += answer["matches"].flatMap { Int($0) } ?? 0
            if answer["matches"] == "0" {
                outcome.error = "It is not up: there is nothing to rekey."
                return outcome
            }
            if answer["success"] != "yes" {
                outcome.error = "\(answer["errmsg"] ?? "It was refused")."
                return outcome
            }
        }
        let end = Date().addingTimeInterval(Double(seconds))
        while outcome.replaced < outcome.matches {
            guard let event = try stream.next(within: end.timeIntervalSinceNow), end.timeIntervalSinceNow > 0 else {
                outcome.error = "The peer did not answer within \(seconds) s."
                return outcome
            }
            guard event.connection == connection else { continue }
            if event.name != "log" {
                outcome.replaced += 1
            } else if event.tree["level"] == "0" {
                outcome.error = event.tree["msg"]
                return outcome
            }
        }
        return outcome
    }
}
