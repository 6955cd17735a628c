import Clockwork
import Fetching
import IKECore
import IKEMessages
import LinuxSystem
import Synchronization
import Trust

/// A thread that finds out whether peers' certificates are revoked, so that a slow server holds up only whom it concerns.
///
/// It owns the thread, what it is told, and the pool that fetches. What it knows of a peer comes with each case.
final class RevocationService: Sendable {
    private enum Message: Sendable {
        case judge(RevocationCase, @Sendable (Answer) -> Void)
        case fetched(RevocationClerk.Source, FetchOutcome)
        case bring(RevocationCase, @Sendable ([CertificatePayload]) -> Void)
        case brought(OwnStatusKeeper.Source, FetchOutcome)
        case flush(lists: Bool, answers: Bool)
    }

    private struct Papers {
        var messages: [Message] = []
        var lists: [RevocationList] = []
        var isClosed = false
    }

    /// What the threads share: it may outlive the service while something is still being fetched.
    private final class Desk: Sendable {
        let papers = Mutex(Papers())
        let work: Wakeup

        init() throws(SystemError) { work = try Wakeup() }

        func put(_ message: Message) {
            papers.withLock { if !$0.isClosed { $0.messages.append(message) } }
            work.signal()
        }
    }

    private let desk: Desk
    private let pool: FetchPool
    private let thread: WorkerThread

    /// Starts the thread; `moment` gives the time of day in seconds since 1970.
    init(
        pool: FetchPool = FetchPool(), moment: @escaping @Sendable () -> Int64,
        clock: @escaping @Sendable () -> Instant = MonotonicClock.now
    ) throws(SystemError) {
        let desk = try Desk()
        self.desk = desk
        self.pool = pool
        thread = try WorkerThread(name: "revocation") {
            let clerk = RevocationClerk(moment: moment, clock: clock) { source, request in
                pool.fetch(request) { desk.put(.fetched(source, $0)) }
            }
            let keeper = OwnStatusKeeper(moment: moment, clock: clock) { source, request in
                pool.fetch(request) { desk.put(.brought(source, $0)) }
            }
            Self.run(desk, clerk, keeper, clock)
        }
    }

    deinit {
        desk.papers.withLock { $0.isClosed = true }
        desk.work.signal()
        pool.close()
        thread.join()
    }

    /// Judges a case; `completion` is called once, on another thread, unless the service ends before.
    func judge(_ question: RevocationCase, _ completion: @escaping @Sendable (Answer) -> Void) {
        desk.put(.judge(question, completion))
    }

    /// Brings OCSP answers about a chain of ours; `completion` is called once, on another thread, unless the service ends
    /// before.
    func bring(_ chain: RevocationCase, _ completion: @escaping @Sendable ([CertificatePayload]) -> Void) {
        desk.put(.bring(chain, completion))
    }

    /// Forgets what was fetched.
    func flush(lists: Bool, answers: Bool) { desk.put(.flush(lists: lists, answers: answers)) }

    /// Lists that were fetched and are kept.
    var lists: [RevocationList] { desk.papers.withLock { $0.lists } }

    private static func run(
        _ desk: Desk, _ clerk: RevocationClerk, _ keeper: OwnStatusKeeper, _ clock: () -> Instant
    ) {
        guard let poller = try? Poller() else { return }
        do { try poller.add(desk.work.descriptor, token: 1, .readable) } catch { return }
        var events: [PollEvent] = []
        while true {
            desk.work.drain()
            let (messages, isClosed) = desk.papers.withLock { papers in
                defer { papers.messages = [] }
                return (papers.messages, papers.isClosed)
            }
            if isClosed { return }
            for message in messages {
                switch message {
                case .judge(let question, let completion): clerk.judge(question, completion)
                case .fetched(let source, let outcome): clerk.fetched(source, outcome)
                case .bring(let chain, let completion): keeper.bring(chain, completion)
                case .brought(let source, let outcome): keeper.fetched(source, outcome)
                case .flush(let lists, let answers):
                    clerk.flush(lists: lists, answers: answers)
                    if answers { keeper.flush() }
                }
            }
            clerk.expire()
            keeper.expire()
            desk.papers.withLock { $0.lists = clerk.cache.allLists }
            if messages.isEmpty {
                let deadline = [clerk.nextDeadline, keeper.nextDeadline].compactMap { $0 }.min()
                let pause = deadline.map { max(.zero, $0 - clock()) }
                do { try poller.wait(timeout: pause, into: &events) } catch { return }
            }
        }
    }
}
