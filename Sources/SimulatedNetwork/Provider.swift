public import Clockwork
public import GatewayModel
public import IKECore
import NetworkTypes
import WireFormat

/// What answers an engine's questions: which way, proofs, verdicts. The same question has the same answer.
public protocol Provider {
    /// The answer, however long it takes to arrive; nil when nobody will ever answer.
    func answer(_ query: Query, for host: SimulatedHost) -> Answer?
    /// A host gives virtual addresses back.
    func takeBack(_ lease: Lease, from host: SimulatedHost)
}

/// When answers arrive: at once, late, in another order, or never.
public struct AnswerTiming: Hashable, Sendable {
    /// The part that arrives at the same moment.
    public var atOnce: Double
    /// The part that never arrives.
    public var never: Double
    /// The longest that the others take.
    public var latest: Interval

    /// Everything arrives at once.
    public static let prompt = AnswerTiming(atOnce: 1, never: 0, latest: .zero)

    /// When answers arrive.
    public init(atOnce: Double, never: Double, latest: Interval) {
        self.atOnce = atOnce
        self.never = never
        self.latest = latest
    }

    /// How long one answer takes; nil for ever.
    func delay(_ dice: inout Dice) -> Interval? {
        if dice.chance(never) { return nil }
        return dice.chance(atOnce) ? .zero : dice.interval(.milliseconds(1), max(latest, .milliseconds(2)))
    }
}
