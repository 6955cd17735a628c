import ArgumentParser
import Telemetry

/// `martlet explain`.
struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Explain a failure: what happened, why, and what to change.",
        discussion: """
            Without an argument, lists all codes. With a code, says what it means and what to do; this needs no gateway. \
            With a connection's name, explains what last went wrong with it.
            """)

    @Argument(help: ArgumentHelp("A code (E-SELECTORS), or a connection.", valueName: "CODE|NAME")) var subject: String?
    @Flag(help: "Print JSON, for programs.") var json = false
    @Flag(help: "Print the whole table of causes in Markdown.") var table = false
    @OptionGroup var control: ControlSocketOption

    func run() throws {
        if table { return print(DiagnosisCatalogue.table, terminator: "") }
        guard let subject else { return try list() }
        if let entry = DiagnosisCatalogue.entry(subject) { return try show(Explanation(entry)) }
        // Nothing but a code looks like this: no gateway need be asked.
        if subject.uppercased().hasPrefix("E-") || subject.allSatisfy(\.isNumber) {
            if let report = try? GatewayClient(control).status(), report.knows(subject) {
                return try explain(subject, report)
            }
            throw CommandFailure("There is no code '\(subject)'. `martlet explain` lists the codes.")
        }
        let report: StatusReport
        do { report = try GatewayClient(control).status() } catch let failure as CommandFailure {
            throw CommandFailure(
                "'\(subject)' is no code (`martlet explain` lists them), and whether it is a connection only a gateway "
                    + "knows. \(failure)")
        }
        guard report.knows(subject) else {
            throw CommandFailure(
                "'\(subject)' is neither a code nor a connection. `martlet explain` lists the codes. \(report.whatThereIs)"
            )
        }
        try explain(subject, report)
    }

    private func explain(_ name: String, _ report: StatusReport) throws {
        guard let failure = report.connections.first(where: { $0.name == name })?.last_error else {
            let isConfigured = report.connections.contains { $0.name == name }
            let text =
                isConfigured
                ? "Nothing went wrong with '\(name)' since it was last up."
                : "'\(name)' is no longer configured; its tunnel is there until it is closed: `martlet down \(name)`."
            if json {
                return print(
                    try Status.json(JSONValue.object(["connection": .text(name), "code": .null, "text": .text(text)])))
            }
            return print(text)
        }
        if json { return print(try Status.json(failure)) }
        let terminal = Terminal.output
        print("\(terminal.paint("! \(failure.code)", .red)), \(Readable.span(failure.age)) ago")
        for line in Wrapping.lines(failure.text, width: terminal.width, indentation: 2) { print(line) }
        print("\n`martlet explain \(failure.code)` says more about this kind of failure.")
    }

    private func list() throws {
        let explanations = DiagnosisCatalogue.entries.map(Explanation.init)
        if json { return print(try Status.json(explanations)) }
        for explanation in explanations {
            let code = explanation.code.padding(to: 24)
            print(code + explanation.summary)
        }
    }

    private func show(_ explanation: Explanation) throws {
        if json { return print(try Status.json(explanation)) }
        let width = Terminal.output.width
        print(Terminal.output.paint(explanation.code, .bold) + "  (noticed by \(explanation.noticed_by))")
        for line in Wrapping.lines(explanation.summary, width: width, indentation: 2) { print(line) }
        for (title, items) in [
            ("For example", explanation.example), ("Causes, the likeliest first", explanation.causes),
        ] {
            if items.isEmpty { continue }
            print("\(title):")
            for (index, item) in items.enumerated() {
                let lines = Wrapping.lines(item, width: width, indentation: 5)
                print("  \(index + 1). " + (lines.first?.drop { $0 == " " } ?? ""))
                for line in lines.dropFirst() { print(line) }
            }
        }
        print("What to do:")
        for line in Wrapping.lines(explanation.remedy, width: width, indentation: 2) { print(line) }
    }
}

extension StatusReport {
    /// Whether a connection of this name is configured, or has a tunnel left.
    fileprivate func knows(_ name: String) -> Bool {
        connections.contains { $0.name == name } || !ikeSAs(of: name).isEmpty
    }
}

/// One kind of failure, for programs.
struct Explanation: Codable, Equatable {
    var code: String
    var summary: String
    var noticed_by: String
    /// Facts as they would be told, with made-up values.
    var example: [String]
    var causes: [String]
    var remedy: String
}

extension Explanation {
    init(_ entry: DiagnosisCatalogue.Entry) {
        code = entry.code
        summary = entry.example.summary
        noticed_by = entry.observer.rawValue
        example = entry.example.facts
        causes = entry.causes.map { $0.cause }
        remedy = entry.remedies.joined(separator: " ")
    }
}

extension String {
    /// With blanks behind it, so many columns wide, and one blank at least.
    func padding(to width: Int) -> String { self + String(repeating: " ", count: Swift.max(1, width - count)) }
}
