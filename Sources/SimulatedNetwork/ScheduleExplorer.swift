/// Tries every order in which a few operations on a tunnel and the messages that they cause can happen, with a loss, a
/// copy and a delay beyond a repetition or without, up to a number of choices.
///
/// It owns nothing but the list of what was tried. A run is made again from its first message for each order, so that an
/// engine needs no copies of itself.
public struct ScheduleExplorer {
    /// What came of the orders of the same operations.
    public struct Outcome: Sendable {
        /// The operations.
        public var operations: [ScheduledOperation]
        /// Orders that were tried.
        public var runs: Int
        /// The first few that went wrong: the choices, in words, and what was wrong.
        public var failures: [Failure]
    }

    /// An order that went wrong.
    public struct Failure: Sendable, CustomStringConvertible {
        /// The choices.
        public var choices: [Int]
        /// The choices in words.
        public var words: [String]
        /// What was wrong.
        public var problem: String

        /// One line.
        public var description: String { "\(problem) after \(words.joined(separator: ", ")) \(choices)" }
    }

    /// How often in one run the way may do something to a datagram.
    public struct Chances: Hashable, Sendable {
        /// Datagrams that are lost.
        public var losses: Int
        /// Datagrams that arrive twice.
        public var copies: Int
        /// Times that everything on its way is late, so that somebody repeats what it sent.
        public var delays: Int

        /// So often.
        public init(losses: Int = 1, copies: Int = 1, delays: Int = 1) {
            self.losses = losses
            self.copies = copies
            self.delays = delays
        }
    }

    private static let mostFailures = 5

    /// Choices that are tried in every way; what comes after happens in turn.
    public var depth: Int
    /// What may happen to datagrams in one run.
    public var chances: Chances
    private let makeEngine: ScenarioRun.EngineMaker

    /// Explores engines made by `makeEngine`.
    public init(depth: Int, chances: Chances = Chances(), makeEngine: @escaping ScenarioRun.EngineMaker) {
        self.depth = depth
        self.chances = chances
        self.makeEngine = makeEngine
    }

    /// Every choice of `count` operations without regard to their order, an operation with itself included.
    public static func combinations(of count: Int) -> [[ScheduledOperation]] {
        let all = ScheduledOperation.all
        func extended(_ indices: [Int]) -> [[Int]] {
            if indices.count == count { return [indices] }
            return ((indices.last ?? 0)..<all.count).flatMap { extended(indices + [$0]) }
        }
        return extended([]).map { $0.map { all[$0] } }
    }

    /// Tries every order of these operations.
    public func explore(_ operations: [ScheduledOperation]) -> Outcome {
        var outcome = Outcome(operations: operations, runs: 0, failures: [])
        var choices: [Int] = []
        while true {
            let run = ScheduleRun(operations, chances, depth: depth, choices: choices, makeEngine)
            let problem = run.run()
            outcome.runs += 1
            let taken = run.ways.indices.map { $0 < choices.count ? choices[$0] : 0 }
            if let problem, outcome.failures.count < Self.mostFailures {
                outcome.failures.append(Failure(choices: taken, words: run.words, problem: problem))
            }
            guard let next = Self.next(after: taken, ways: run.ways) else { return outcome }
            choices = next
        }
    }

    /// The next list of choices: the last one that has another way takes it, those behind it start again.
    private static func next(after taken: [Int], ways: [Int]) -> [Int]? {
        guard let place = taken.indices.last(where: { taken[$0] + 1 < ways[$0] }) else { return nil }
        return Array(taken[..<place]) + [taken[place] + 1]
    }
}
