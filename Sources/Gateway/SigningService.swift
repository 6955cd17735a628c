import IKECore
import LinuxSystem
import Synchronization

/// Answers questions about signatures, at once or later.
protocol SignatureService: AnyObject {
    /// Puts a question to `store`; its answer comes by ``takeAnswers()``.
    func ask(_ ticket: Ticket, _ query: Query, _ store: SignatureStore)
    /// The answers that are there, each once.
    func takeAnswers() -> [(ticket: Ticket, answer: Answer)]
}

/// A thread that answers questions about signatures, so that one that takes long holds up nobody else.
///
/// It owns the thread and both of its queues. What it knows comes with each question. When too many wait, a question gets
/// no answer, and the engine that asked gives up in its own time.
final class SigningService: SignatureService {
    /// Questions that may wait: more than a core answers while an engine waits.
    static let mostWaiting = 4096

    private let desk: Desk
    private let thread: WorkerThread

    /// Readable when there are answers.
    var descriptor: Descriptor { desk.done.descriptor }

    /// Starts the thread; `moment` gives the time of day in seconds since 1970. Without `revocation` nobody is asked
    /// whether certificates are revoked: what is loaded has to do.
    init(
        moment: @escaping @Sendable () -> Int64, revocation: RevocationService? = nil
    ) throws(SystemError) {
        let desk = Desk(work: try Wakeup(), done: try Wakeup(), revocation: revocation)
        self.desk = desk
        thread = try WorkerThread(name: "signatures") { desk.run(moment) }
    }

    deinit {
        desk.close()
        thread.join()
    }

    func ask(_ ticket: Ticket, _ query: Query, _ store: SignatureStore) {
        desk.put(Desk.Question(ticket: ticket, query: query, store: store))
    }

    func takeAnswers() -> [(ticket: Ticket, answer: Answer)] { desk.takeAnswers() }

    /// What both threads have.
    private final class Desk: Sendable {
        /// One question, and who knows the answer.
        struct Question {
            let ticket: Ticket
            let query: Query
            let store: SignatureStore
        }

        private struct Papers {
            var questions: [Question] = []
            var answers: [(ticket: Ticket, answer: Answer)] = []
            var isClosed = false
        }

        private let papers = Mutex(Papers())
        private let work: Wakeup
        let done: Wakeup
        private let revocation: RevocationService?

        init(work: Wakeup, done: Wakeup, revocation: RevocationService?) {
            self.work = work
            self.done = done
            self.revocation = revocation
        }

        /// An answer that came later.
        private func give(_ ticket: Ticket, _ answer: Answer) {
            papers.withLock { $0.answers.append((ticket, answer)) }
            done.signal()
        }

        /// The answer to a question; nil when it comes later, or never.
        private func answer(_ question: Question, _ moment: Int64) -> Answer? {
            guard let revocation else { return question.store.answer(question.query, at: moment) }
            switch question.store.consider(question.query, at: moment) {
            case .answer(let answer): return answer
            case .open(let open):
                // Weakly: who asks on our behalf belongs to us.
                revocation.judge(open) { [weak self] in self?.give(question.ticket, $0) }
                return nil
            case .doubtful(let step, let conversation, let open):
                let store = question.store
                revocation.judge(open) { [weak self] verdict in
                    self?.give(question.ticket, store.resolve(step, conversation, verdict))
                }
                return nil
            case .staple(let authentication, let certificates, let chain):
                revocation.bring(chain) { [weak self] status in
                    self?.give(question.ticket, .signed(authentication, certificates: certificates + status))
                }
                return nil
            }
        }

        func put(_ question: Question) {
            papers.withLock { if $0.questions.count < SigningService.mostWaiting { $0.questions.append(question) } }
            work.signal()
        }

        func takeAnswers() -> [(ticket: Ticket, answer: Answer)] {
            done.drain()
            return papers.withLock { papers in
                defer { papers.answers = [] }
                return papers.answers
            }
        }

        func close() {
            papers.withLock { $0.isClosed = true }
            work.signal()
        }

        func run(_ moment: () -> Int64) {
            guard let poller = try? Poller() else { return }
            do { try poller.add(work.descriptor, token: 1, .readable) } catch { return }
            var events: [PollEvent] = []
            while true {
                work.drain()
                let (questions, isClosed) = papers.withLock { papers in
                    defer { papers.questions = [] }
                    return (papers.questions, papers.isClosed)
                }
                if isClosed { return }
                for question in questions {
                    let answer = answer(question, moment())
                    let goesOn = papers.withLock { papers in
                        if let answer { papers.answers.append((question.ticket, answer)) }
                        return !papers.isClosed
                    }
                    done.signal()
                    if !goesOn { return }
                }
                if questions.isEmpty {
                    do { try poller.wait(timeout: nil, into: &events) } catch { return }
                }
            }
        }
    }
}
