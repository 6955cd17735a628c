/// Lets through `rate` events a second on average and `burst` at once.
public struct TokenBucket: Hashable, Sendable {
    /// Tokens that come back each second.
    public let rate: Double
    /// The most tokens that are kept.
    public let burst: Double
    private var tokens: Double
    private var updated: Instant

    /// A full bucket at `now`.
    public init(rate: Double, burst: Double, now: Instant) {
        self.rate = rate
        self.burst = burst
        tokens = burst
        updated = now
    }

    /// Takes a token; false when there is none.
    public mutating func take(now: Instant) -> Bool {
        if now > updated {
            tokens = min(burst, tokens + (now - updated).seconds * rate)
            updated = now
        }
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }
}
