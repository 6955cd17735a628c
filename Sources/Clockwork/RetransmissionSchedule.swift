/// When to send a request again, and when to give up.
///
/// The pause after try *n* (counted from 0) is `timeout × baseⁿ`, at most `limit`, less a random part of up to `jitter`.
/// With the defaults, a request goes out at 0, 4, 11, 24, 47 and 89 s and is given up at 165 s, as this field's users
/// know from strongSwan.
public struct RetransmissionSchedule: Hashable, Sendable {
    /// Retransmissions after the first transmission.
    public var tries: Int
    /// The first pause.
    public var timeout: Interval
    /// What each pause is multiplied by to get the next.
    public var base: Double
    /// The longest pause; zero for no limit.
    public var limit: Interval
    /// The largest part of a pause, 0 to 1, that chance may take off.
    public var jitter: Double

    /// 5 tries, 4 s × 1.8ⁿ, no limit, no jitter.
    public init(
        tries: Int = 5, timeout: Interval = .seconds(4), base: Double = 1.8, limit: Interval = .zero, jitter: Double = 0
    ) {
        self.tries = tries
        self.timeout = timeout
        self.base = base
        self.limit = limit
        self.jitter = jitter
    }

    /// How long to wait after transmission number `attempt` (0 is the first); nil when that was one too many.
    public func pause(after attempt: Int, _ entropy: inout some Entropy) -> Interval? {
        guard attempt >= 0, attempt <= tries else { return nil }
        let whole = fullPause(after: attempt)
        guard jitter > 0 else { return whole }
        return whole - whole.scaled(by: min(jitter, 1) * entropy.fraction())
    }

    /// The time from the first transmission to giving up, without jitter.
    public var total: Interval {
        (0...max(0, tries)).reduce(.zero) { $0 + fullPause(after: $1) }
    }

    private func fullPause(after attempt: Int) -> Interval {
        var pause = timeout
        for _ in 0..<attempt {
            pause = pause.scaled(by: base)
            if limit > .zero, pause > limit { return limit }
        }
        return pause
    }
}
