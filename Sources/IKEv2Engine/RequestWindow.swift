import Clockwork
import IKEMessages
import StateRecords

/// Our requests on one IKE SA: which message ID is next, and the one request that is under way (RFC 7296 §2.1, §2.3).
///
/// It owns the exact datagrams of that request and the times at which they are sent again. It knows no keys and does not
/// look at answers: what they mean is the exchange's business. The window size is one.
struct RequestWindow {
    /// A request that was sent and not answered yet.
    struct InFlight {
        /// Its message ID.
        let id: UInt32
        /// Its exchange.
        let exchange: ExchangeType
        /// Its datagrams, exactly as sent.
        let datagrams: [[UInt8]]
        /// When it was sent first.
        let sent: Instant
        /// When it is sent again.
        fileprivate(set) var deadline: Instant
        /// How often it was sent again.
        fileprivate(set) var attempt: Int
        /// When it is sent again, where that differs from other requests.
        fileprivate var schedule: RetransmissionSchedule?
        /// How often it is sent again at most.
        fileprivate var limit: Int
        /// How often the peer gave a sign of life after the last try.
        fileprivate var reprieves = 0
        /// Whether nobody waits for its answer any more.
        fileprivate var isCurtailed = false
    }

    /// The most signs of life that earn a request one more try each: a peer that lives but never answers is given up.
    static let maximumReprieves = 3

    /// How often in all a request is sent again when only its successor matters: the peer takes no other before it.
    static let curtailedTries = 2
    /// The longest pause before each of them: somebody waits for the end.
    static let curtailedPause = Interval.seconds(1)

    /// What a moment brings.
    enum Tick: Equatable {
        /// Nothing is due.
        case idle
        /// Send these again.
        case resend([[UInt8]], attempt: Int)
        /// That was the last try.
        case gaveUp(ExchangeType, tries: Int, waited: Interval)
    }

    /// The message ID of the next request; nil when they are used up and the IKE SA has to end.
    private(set) var nextID: UInt32? = 0
    /// The request under way.
    private(set) var inFlight: InFlight?
    private let schedule: RetransmissionSchedule

    /// A window whose requests are repeated by this schedule.
    init(_ schedule: RetransmissionSchedule) { self.schedule = schedule }

    /// When something is due.
    var deadline: Instant? { inFlight?.deadline }

    /// Whether a request may be sent.
    var isFree: Bool { inFlight == nil && nextID != nil }

    /// Takes note of the request that is being sent with ``nextID``; does nothing while another one is under way.
    /// `tries` makes it give up earlier than the schedule says; `own` is a schedule for this request alone.
    mutating func open(
        _ exchange: ExchangeType, _ datagrams: [[UInt8]], tries: Int? = nil, own: RetransmissionSchedule? = nil,
        now: Instant,
        _ entropy: inout some Entropy
    ) {
        guard inFlight == nil, let id = nextID else { return }
        nextID = id == .max ? nil : id + 1
        let schedule = own ?? schedule
        let pause = schedule.pause(after: 0, &entropy) ?? schedule.timeout
        inFlight = InFlight(
            id: id, exchange: exchange, datagrams: datagrams, sent: now, deadline: now + pause, attempt: 0,
            schedule: own, limit: min(schedule.tries, tries ?? schedule.tries))
    }

    /// Whether a response with this message ID and exchange answers the request under way.
    func isAnswered(by id: UInt32, _ exchange: ExchangeType) -> Bool {
        inFlight.map { $0.id == id && $0.exchange == exchange } ?? false
    }

    /// The request was answered, or is given up.
    mutating func close() { inFlight = nil }

    /// Nobody cares much about the answer any more: if it has not been sent again twice yet, it is, after short
    /// pauses, and then given up. Without that a request which was lost would keep its successor from the peer.
    mutating func curtail(now: Instant) {
        guard var request = inFlight, !request.isCurtailed else { return }
        request.isCurtailed = true
        request.limit = max(request.attempt, min(request.limit, Self.curtailedTries))
        request.reprieves = Self.maximumReprieves
        request.deadline = min(request.deadline, now + Self.curtailedPause)
        inFlight = request
    }

    /// The request was refused before any key was agreed: its successor carries message ID 0 again (RFC 7296 §2.6).
    mutating func restart() {
        inFlight = nil
        nextID = 0
    }

    /// The peer gave a sign of life. After the last try it earns the request one more, at once: the network is back, and
    /// the peer would otherwise be given up although it is there.
    mutating func peerSpoke(now: Instant) {
        guard var request = inFlight, request.attempt > 0, request.attempt == request.limit,
            request.reprieves < Self.maximumReprieves
        else { return }
        request.reprieves += 1
        request.attempt -= 1
        request.deadline = now
        inFlight = request
    }

    /// The request is worth another try at once: there is another way now.
    mutating func sendSoon(now: Instant) {
        guard let request = inFlight, request.deadline > now, request.attempt < request.limit else { return }
        inFlight?.deadline = now
    }

    /// Looks whether the request is due again.
    mutating func tick(now: Instant, _ entropy: inout some Entropy) -> Tick {
        guard var request = inFlight, request.deadline <= now else { return .idle }
        request.attempt += 1
        let pause = (request.schedule ?? schedule).pause(after: request.attempt, &entropy)
        guard let pause, request.attempt <= request.limit else {
            inFlight = nil
            return .gaveUp(request.exchange, tries: request.attempt, waited: now - request.sent)
        }
        request.deadline = now + (request.isCurtailed ? min(pause, Self.curtailedPause) : pause)
        inFlight = request
        return .resend(request.datagrams, attempt: request.attempt)
    }
}

// MARK: From one process to the next

extension RequestWindow {
    /// Appends it, the request under way included.
    func write(to writer: RecordWriter) {
        writer.optional(nextID) { writer.uint32($0) }
        writer.optional(inFlight) { request in
            writer.uint32(request.id)
            writer.uint8(request.exchange.rawValue)
            writer.list(request.datagrams) { writer.octets($0) }
            writer.instant(request.sent)
            writer.instant(request.deadline)
            for count in [request.attempt, request.limit, request.reprieves] { writer.uint32(UInt32(clamping: count)) }
            writer.bool(request.isCurtailed)
        }
    }

    /// Reads it back; requests are repeated by `schedule`.
    init(from reader: inout RecordReader, _ schedule: RetransmissionSchedule) throws(RecordError) {
        self.schedule = schedule
        nextID = try reader.optional("message ID") { reader throws(RecordError) in try reader.uint32("message ID") }
        inFlight = try reader.optional("request") { reader throws(RecordError) in
            let id = try reader.uint32("request's message ID")
            let exchange = ExchangeType(rawValue: try reader.uint8("exchange"))
            let datagrams = try reader.list("request") { reader throws(RecordError) in try reader.octets("request") }
            let (sent, deadline) = (try reader.instant("sent"), try reader.instant("repetition"))
            let attempt = Int(try reader.uint32("attempts"))
            let limit = Int(try reader.uint32("tries"))
            let reprieves = Int(try reader.uint32("reprieves"))
            return InFlight(
                id: id, exchange: exchange, datagrams: datagrams, sent: sent, deadline: deadline, attempt: attempt,
                schedule: nil, limit: limit, reprieves: reprieves, isCurtailed: try reader.bool("curtailed"))
        }
    }

    /// The request under way is repeated by a schedule of its own.
    mutating func repeatInFlight(by own: RetransmissionSchedule?) { inFlight?.schedule = own }
}
