/// The sequence numbers of an outbound SA: counted up from 1, each given once, never again from the start.
struct OutboundSequence {
    /// The last one given.
    private(set) var last: UInt64
    private let limit: UInt64
    private let warning: UInt64

    /// With `extended`, 64 bits; else 32. `last` counts as given.
    init(extended: Bool, last: UInt64 = 0) {
        self.last = last
        limit = extended ? .max : UInt64(UInt32.max)
        // A sixteenth is left then: over a minute at a million packets a second, and a rekeying takes milliseconds.
        warning = limit - limit / 16
    }

    /// The next one; nil when all are gone (RFC 4303 §3.3.3: the SA must not be used any more).
    @inline(__always)
    mutating func take() -> UInt64? {
        guard last < limit else { return nil }
        last += 1
        return last
    }

    /// How many numbers another process leaves out when it goes on: a mistake in what was handed over must not make a
    /// number come twice. Peers' windows only ever move forward, and far less than to where numbers run out.
    static let jump: UInt64 = 1 << 16

    /// The last number that counts as given when another process has given `last`.
    static func resuming(after last: UInt64, extended: Bool) -> UInt64 {
        let limit = extended ? UInt64.max : UInt64(UInt32.max)
        return last < limit - jump ? last + jump : limit
    }

    /// Whether the SA should be replaced soon.
    var isRunningOut: Bool { last >= warning }
}

/// Finds the high half of an extended sequence number, of which only the low half travels (RFC 4303 appendix A2.2).
enum SequenceRecovery {
    /// The number whose low half is `low` and which lies nearest to a window of `size` numbers that ends at `highest`;
    /// nil when there is none: it would lie before the first or after the last number of all.
    static func sequence(low: UInt32, highest: UInt64, window size: Int) -> UInt64? {
        let top = UInt32(truncatingIfNeeded: highest)
        let epoch = UInt32(truncatingIfNeeded: highest >> 32)
        // Without a window there is nothing to be inside of: then half of the numbers count as late.
        let window = size > 0 ? UInt32(clamping: size) : 1 << 31
        let bottom = top &- (window - 1)
        let high: UInt32
        if top >= window - 1 {
            // The window lies within one epoch: what is below it belongs to the next.
            guard low < bottom else { return UInt64(epoch) << 32 | UInt64(low) }
            guard epoch < .max else { return nil }
            high = epoch + 1
        } else {
            // The window reaches back into the epoch before.
            guard low >= bottom else { return UInt64(epoch) << 32 | UInt64(low) }
            guard epoch > 0 else { return nil }
            high = epoch - 1
        }
        return UInt64(high) << 32 | UInt64(low)
    }
}
