public import Clockwork

/// Chance for the simulator: the same draws for the same seed, on every machine and in every process.
public struct Dice: Sendable {
    private var entropy: SeededEntropy

    /// The draws that belong to `seed`.
    public init(seed: UInt64) { entropy = SeededEntropy(seed: seed) }

    /// Dice of their own, so that more draws here do not change the draws there.
    public mutating func split() -> Dice { Dice(seed: entropy.next() ^ 0x5eed_d1ce) }

    /// The next 64 bits.
    public mutating func next() -> UInt64 { entropy.next() }

    /// A number below `bound`; 0 when there is none.
    public mutating func below(_ bound: Int) -> Int {
        let draw = entropy.next()
        return bound <= 0 ? 0 : Int(draw.multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// True in a `probability` part of the draws.
    public mutating func chance(_ probability: Double) -> Bool {
        Double(entropy.next() >> 11) / 9_007_199_254_740_992 < probability
    }

    /// A span of time from `low` up to, not including, `high`.
    public mutating func interval(_ low: Interval, _ high: Interval) -> Interval {
        low + Interval(nanoseconds: Int64(below(Int(max(0, (high - low).nanoseconds)))))
    }

    /// One of several, each as likely; `first` is one of them.
    public mutating func pick<Choice>(_ first: Choice, _ others: Choice...) -> Choice {
        let index = below(others.count + 1)
        return index == 0 ? first : others[index - 1]
    }
}
