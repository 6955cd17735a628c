public import Clockwork
public import GatewayModel
public import IKECore

/// What the simulator needs of an engine: inputs in, effects out, and what it holds.
///
/// The IKEv2 endpoint is one; tests bring toy engines and engines that were spoilt on purpose.
public protocol SimulatedEngine: AnyObject {
    /// Takes one input and appends what is to be done, in order.
    func handle(_ input: Input, _ environment: inout Environment, _ effects: inout Effects)
    /// When it wants to be woken; nil when it waits for nothing.
    var nextDeadline: Instant? { get }
    /// The IKE SAs that it holds.
    func summaries() -> [IKESASummary]
    /// How much it holds of everything.
    var census: Census { get }
}

/// How much an engine holds: all zero when nothing is left behind.
public struct Census: Hashable, Sendable, CustomStringConvertible {
    /// IKE SAs in any state.
    public var ikeSAs: Int
    /// IKE SAs whose peer has not proved itself.
    public var halfOpen: Int
    /// Child SAs in any state.
    public var childSAs: Int
    /// Deadlines that wait.
    public var deadlines: Int
    /// Questions that were not answered.
    public var openTickets: Int
    /// SPIs that are taken.
    public var spis: Int

    /// A count of everything.
    public init(
        ikeSAs: Int = 0, halfOpen: Int = 0, childSAs: Int = 0, deadlines: Int = 0, openTickets: Int = 0, spis: Int = 0
    ) {
        self.ikeSAs = ikeSAs
        self.halfOpen = halfOpen
        self.childSAs = childSAs
        self.deadlines = deadlines
        self.openTickets = openTickets
        self.spis = spis
    }

    /// Whether nothing is held.
    public var isEmpty: Bool { self == Census() }

    /// The counts by name.
    public var description: String {
        "IKE SAs \(ikeSAs), half-open \(halfOpen), Child SAs \(childSAs), deadlines \(deadlines), "
            + "open tickets \(openTickets), SPIs \(spis)"
    }
}
