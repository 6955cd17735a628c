import Clockwork
import GatewayModel

/// How much is told about peers that have not proved who they are: anybody can make us say it as often as he likes.
///
/// It owns four measures, so that a flood of one kind hides nothing of another: what was dropped; what only floods bring;
/// why a first request was refused; and why a peer that has made a key exchange with us does not come in, of which a
/// whole crowd may be told that something shuts out at once. Counters count everything; what is left out for readers is
/// told as a number.
struct Reticence {
    /// How long what is left out adds up before the number is told.
    static let pause = Interval.seconds(10)

    private var drops = TokenBucket(rate: 2, burst: 50, now: .zero)
    private var floods = TokenBucket(rate: 2, burst: 50, now: .zero)
    private var requests = TokenBucket(rate: 2, burst: 50, now: .zero)
    private var attempts = TokenBucket(rate: 10, burst: 2000, now: .zero)
    private var leftOut = 0
    /// When the number is told; nil while nothing is left out.
    private(set) var due: Instant?

    /// Nothing was told yet.
    init() {}

    /// Whether this one is told.
    mutating func tells(_ kind: Event.Kind, now: Instant) -> Bool {
        let tells =
            switch kind {
            case .dropped: drops.take(now: now)
            case .refused(let refusal, _), .ikeClosed(.failed(let refusal)):
                switch refusal {
                case .tooManyHalfOpen, .notGoneOn, .malformed, .badKeyExchange: floods.take(now: now)
                case .noConnection, .noIKEProposal: requests.take(now: now)
                default: attempts.take(now: now)
                }
            default: floods.take(now: now)
            }
        if !tells {
            leftOut += 1
            due = due ?? now + Self.pause
        }
        return tells
    }

    /// How many were left out since this was asked last; nil while it is too early, or when there were none.
    mutating func takeLeftOut(now: Instant) -> Int? {
        guard let due, due <= now else { return nil }
        defer { (self.due, leftOut) = (nil, 0) }
        return leftOut
    }
}

extension Event.Kind {
    /// Whether it is told for its own sake, and not for a counter or a person who follows every message.
    var isTold: Bool {
        switch self {
        case .refused, .dropped, .cookieDemanded, .redirected, .ikeClosed: true
        default: false
        }
    }
}
