public import Clockwork

/// What a link does to the datagrams that a host sends.
public struct LinkBehaviour: Hashable, Sendable {
    /// The part that is lost, 0 to 1.
    public var loss: Double
    /// The part that arrives twice.
    public var duplication: Double
    /// The part that is held back long enough for others to overtake it.
    public var reordering: Double
    /// The part in which a bit is wrong, or whose end is missing.
    public var corruption: Double
    /// The time that every datagram takes.
    public var delay: Interval
    /// The most that chance adds to it.
    public var jitter: Interval
    /// How long a datagram may be held back.
    public var holdBack: Interval

    /// A link that does nothing wrong and takes `delay`.
    public init(delay: Interval = .milliseconds(20)) {
        loss = 0
        duplication = 0
        reordering = 0
        corruption = 0
        self.delay = delay
        jitter = .zero
        holdBack = .zero
    }

    /// One copy of a datagram on its way.
    public struct Copy: Sendable {
        /// How long it takes.
        public var delay: Interval
        /// Its octets, with what the link did to them.
        public var bytes: [UInt8]
        /// Whether the link did anything to them.
        public var isCorrupted: Bool
    }

    /// What becomes of one datagram: none, one or two copies.
    public func fate(of bytes: [UInt8], _ dice: inout Dice) -> [Copy] {
        guard !dice.chance(loss) else { return [] }
        var copies: [Copy] = []
        for _ in 0..<(dice.chance(duplication) ? 2 : 1) {
            var copy = Copy(delay: delay + dice.interval(.zero, jitter), bytes: bytes, isCorrupted: false)
            if dice.chance(reordering) { copy.delay = copy.delay + dice.interval(.zero, holdBack) }
            if dice.chance(corruption), !bytes.isEmpty {
                if dice.chance(0.2) {
                    copy.bytes = Array(bytes.prefix(dice.below(bytes.count)))
                } else {
                    copy.bytes[dice.below(bytes.count)] ^= 1 << UInt8(dice.below(8))
                }
                copy.isCorrupted = true
            }
            copies.append(copy)
        }
        return copies
    }
}
