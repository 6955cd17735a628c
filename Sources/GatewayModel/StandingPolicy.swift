public import NetworkTypes

/// A policy that holds whether or not a Child SA is there (RFC 4301 §4.4.1): the configuration's, or one that a Child SA
/// left behind when it went.
///
/// A data plane is told of them all at once, and again whenever the configuration changes. It carries no secret.
public struct StandingPolicy: Hashable, Sendable {
    /// What becomes of a packet that it selects, where no Child SA protects it.
    public enum Action: String, Hashable, Sendable {
        /// It is kept for a moment, and its child is asked for (PROTECT, without an SA yet).
        case trap
        /// It goes nowhere: its child is brought up by itself or by hand (PROTECT, without an SA yet).
        case block
        /// It goes in clear (BYPASS).
        case bypass
        /// It goes nowhere, whatever else there is (DISCARD).
        case discard
    }

    /// The connection that it is configured in.
    public var connection: String
    /// Its child's name.
    public var child: String
    /// What becomes of a packet.
    public var action: Action
    /// Packets on our side.
    public var local: [TrafficSelector]
    /// Packets on the peer's side.
    public var remote: [TrafficSelector]
    /// What comes first where policies overlap: the lower. Zero stands for ``automaticPriority(_:)``.
    public var priority: UInt32
    /// Whether it is about the packets of its child's own device, and nobody else's. It is not written down: who reads it
    /// knows which children have one.
    public var usesInterface = false

    /// A policy of a child.
    public init(
        connection: String, child: String, action: Action, local: [TrafficSelector], remote: [TrafficSelector],
        priority: UInt32 = 0
    ) {
        self.connection = connection
        self.child = child
        self.action = action
        self.local = local
        self.remote = remote
        self.priority = priority
    }

    /// What counts: the configured priority, or the action's own.
    public var precedence: UInt32 { priority > 0 ? priority : Self.automaticPriority(action) }

    /// The priority of Child SAs, and of what stands in for them, where none is configured.
    public static let protectPriority: UInt32 = 200_000

    /// The priority where none is configured: what is let through comes before what is protected, and what is dropped
    /// after it.
    public static func automaticPriority(_ action: Action) -> UInt32 {
        switch action {
        case .bypass: 100_000
        case .trap, .block: protectPriority
        case .discard: 300_000
        }
    }
}
