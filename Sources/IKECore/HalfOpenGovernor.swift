public import NetworkTypes

/// How many IKE SAs are half open, and whether one more may come (RFC 7296 §2.6).
///
/// It owns the counts. It never looks at a message: making and checking cookies is the cookie jar's business.
public struct HalfOpenGovernor: Sendable {
    /// What a new request meets.
    public enum Verdict: Hashable, Sendable {
        /// Let it in.
        case admit
        /// Let it in when it brings a cookie.
        case demandCookie
        /// There are too many.
        case refuse
    }

    private var counts: [IPAddress: Int] = [:]

    /// Half-open IKE SAs.
    public private(set) var total = 0

    /// Starts with none.
    public init() {}

    /// What a new request from `address` meets.
    public func verdict(for address: IPAddress, _ limits: Limits) -> Verdict {
        if limits.halfOpenTotal > 0, total >= limits.halfOpenTotal { return .refuse }
        if limits.halfOpenPerAddress > 0, counts[address, default: 0] >= limits.halfOpenPerAddress { return .refuse }
        return total >= limits.cookieThreshold ? .demandCookie : .admit
    }

    /// One more from `address`.
    public mutating func opened(from address: IPAddress) {
        total += 1
        counts[address, default: 0] += 1
    }

    /// One fewer from `address`: it was established, or it is gone.
    public mutating func closed(from address: IPAddress) {
        guard let count = counts[address] else { return }
        total -= 1
        counts[address] = count > 1 ? count - 1 : nil
    }
}
