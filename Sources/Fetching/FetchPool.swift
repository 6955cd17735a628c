public import Clockwork
import LinuxSystem
import Synchronization

/// Fetches many things at once on threads of its own, so that nobody waits for a server but who asked it.
///
/// It owns the threads, which come when there is something to do and go when there is nothing, and what waits: bounded
/// altogether and for each server; the same thing that many ask for is fetched once. A server that does not answer is left
/// alone for a while. It never looks into what it fetches.
public final class FetchPool: Sendable {
    /// How much of anything there may be.
    public struct Limits: Sendable {
        /// Exchanges at the same time.
        public var threads = 16
        /// Exchanges with one server at the same time.
        public var perServer = 4
        /// What may wait.
        public var waiting = 2048
        /// How long a server that did not answer is left alone.
        public var pause = Interval.seconds(30)
        /// How long one exchange may take.
        public var timeout = Interval.seconds(10)

        /// The usual ones.
        public init() {}
    }

    /// Carries one exchange out on the thread that calls it.
    public typealias Fetch = @Sendable (FetchRequest) -> FetchOutcome
    /// Told what came of it, on a thread of the pool's or the caller's own.
    public typealias Completion = @Sendable (FetchOutcome) -> Void

    private struct Job {
        var request: FetchRequest
        var completions: [Completion]
    }

    private struct Papers {
        /// In the order in which they came.
        var waiting: [Job] = []
        var running: [FetchRequest: [Completion]] = [:]
        var busy: [String: Int] = [:]
        var down: [String: (until: Instant, words: String)] = [:]
        var threads = 0
        var isClosed = false
    }

    private let limits: Limits
    private let papers = Mutex(Papers())
    private let carryOut: Fetch
    private let exchange: HTTPExchange?
    private let clock: @Sendable () -> Instant

    /// A pool that fetches by HTTP.
    public convenience init(_ limits: Limits = Limits()) {
        let exchange = HTTPExchange()
        let timeout = Int(clamping: limits.timeout.nanoseconds / 1_000_000)
        self.init(limits, exchange: exchange, clock: MonotonicClock.now) { exchange.fetch($0, timeout: timeout) }
    }

    /// A pool that fetches by `carryOut`.
    public convenience init(
        _ limits: Limits, clock: @escaping @Sendable () -> Instant, carryOut: @escaping Fetch
    ) {
        self.init(limits, exchange: nil, clock: clock, carryOut: carryOut)
    }

    private init(
        _ limits: Limits, exchange: HTTPExchange?, clock: @escaping @Sendable () -> Instant,
        carryOut: @escaping Fetch
    ) {
        self.limits = limits
        self.exchange = exchange
        self.clock = clock
        self.carryOut = carryOut
    }

    /// Takes nothing more; what is under way is given up.
    public func close() {
        let dropped = papers.withLock { papers in
            papers.isClosed = true
            defer { papers.waiting = [] }
            return papers.waiting
        }
        exchange?.stop()
        for job in dropped { for completion in job.completions { completion(.failure(.stopped)) } }
    }

    private enum Entry {
        case waits, needsThread
        case fails(FetchProblem)
    }

    /// Fetches something; `completion` is called once.
    public func fetch(_ request: FetchRequest, _ completion: @escaping Completion) {
        let now = clock()
        let entry = papers.withLock { enter(request, completion, now, &$0) }
        switch entry {
        case .waits: break
        case .fails(let problem): completion(.failure(problem))
        case .needsThread:
            do {
                _ = try WorkerThread(name: "martlet-fetch") { [self] in work() }
            } catch {
                let dropped = papers.withLock { papers in
                    papers.threads -= 1
                    guard papers.threads == 0 else { return [Job]() }
                    defer { papers.waiting = [] }
                    return papers.waiting
                }
                for job in dropped { for each in job.completions { each(.failure(.failed("no thread: \(error)"))) } }
            }
        }
    }

    private func enter(
        _ request: FetchRequest, _ completion: @escaping Completion, _ now: Instant, _ papers: inout Papers
    ) -> Entry {
        if papers.isClosed { return .fails(.stopped) }
        if let down = papers.down[request.host] {
            if down.until > now { return .fails(.isDown(down.words)) }
            papers.down[request.host] = nil
        }
        if papers.running[request] != nil {
            papers.running[request]?.append(completion)
            return .waits
        }
        if let index = papers.waiting.firstIndex(where: { $0.request == request }) {
            papers.waiting[index].completions.append(completion)
            return .waits
        }
        guard papers.waiting.count < limits.waiting else { return .fails(.busy) }
        papers.waiting.append(Job(request: request, completions: [completion]))
        guard papers.threads < limits.threads, papers.busy[request.host, default: 0] < limits.perServer else {
            return .waits
        }
        papers.threads += 1
        return .needsThread
    }

    private func work() {
        while let request = papers.withLock({ next(&$0) }) {
            let outcome = carryOut(request)
            let now = clock()
            let told = papers.withLock { finish(request, outcome, now, &$0) }
            for (completion, outcome) in told { completion(outcome) }
        }
    }

    /// The first that waits for a server that has room; nil ends the thread.
    private func next(_ papers: inout Papers) -> FetchRequest? {
        let index = papers.waiting.firstIndex { papers.busy[$0.request.host, default: 0] < limits.perServer }
        guard !papers.isClosed, let index else {
            papers.threads -= 1
            return nil
        }
        let job = papers.waiting.remove(at: index)
        papers.running[job.request] = job.completions
        papers.busy[job.request.host, default: 0] += 1
        return job.request
    }

    /// Who is to be told what: those who asked, and, when the server is down, all who wait for it.
    private func finish(
        _ request: FetchRequest, _ outcome: FetchOutcome, _ now: Instant, _ papers: inout Papers
    ) -> [(Completion, FetchOutcome)] {
        var told = (papers.running.removeValue(forKey: request) ?? []).map { ($0, outcome) }
        let host = request.host
        let left = papers.busy[host, default: 1] - 1
        papers.busy[host] = left > 0 ? left : nil
        if case .failure(let problem) = outcome, problem.speaksOfServer {
            papers.down[host] = (now + limits.pause, problem.description)
            if papers.down.count > 1024 { papers.down = papers.down.filter { $0.value.until > now } }
            let given = papers.waiting.filter { $0.request.host == host }
            papers.waiting.removeAll { $0.request.host == host }
            told += given.flatMap(\.completions).map { ($0, .failure(.isDown(problem.description))) }
        }
        return told
    }
}
