public import Clockwork
public import GatewayModel

/// All that an engine may know besides its inputs.
public struct Environment {
    /// The time.
    public var now: Instant
    /// Chance: the system's generator, or a seed in the simulator.
    public var entropy: any Entropy
    /// Whether anybody wants to hear of every message that comes and goes (`Event.Kind.sent`, `.received`): putting one
    /// into words costs more than parsing it.
    public var tellsMessages: Bool
    /// Whether the keys of IKE SAs are put out as effects, for reading captures. Never, unless somebody insists.
    public var exposesKeys: Bool

    /// An environment.
    public init(now: Instant, entropy: any Entropy) {
        self.now = now
        self.entropy = entropy
        tellsMessages = true
        exposesKeys = false
    }
}

/// What an engine is configured to do: connections and limits. A value; a change is a new one.
public struct Configuration: Hashable, Sendable {
    /// The connections, in the order of the file.
    public var connections: [Connection]
    /// The limits.
    public var limits: Limits
    /// Whether ESP travels in UDP on every connection, NAT or not. It works as `forcesEncapsulation` on each of them does:
    /// our NAT detection hash is made to mismatch, so that both ends move to the NAT traversal ports. A plane that can
    /// only carry ESP in UDP needs it.
    public var prefersUDPEncapsulation: Bool
    /// Our UDP port of ``IKESocket/natTraversal``.
    public var natTraversalPort: UInt16
    /// Workers of the data plane, each of which may have Child SAs of its own (RFC 9611).
    public var resources: Int
    /// Ports, ours and peers', on which messages carry no non-ESP marker: 500 on any real network.
    public var plainPorts: [UInt16]

    /// A configuration.
    public init(connections: [Connection] = [], limits: Limits = Limits()) {
        self.connections = connections
        self.limits = limits
        prefersUDPEncapsulation = true
        natTraversalPort = 4500
        plainPorts = [500]
        resources = 1
    }

    /// The connection of this name.
    public func connection(named name: String) -> Connection? { connections.first { $0.name == name } }
}

/// What protects an engine from too much of anything.
public struct Limits: Hashable, Sendable {
    /// Half-open IKE SAs above which a cookie is asked for.
    public var cookieThreshold: Int
    /// Half-open IKE SAs from one address that have shown that they come from there, above which no more are accepted;
    /// 0 for no limit. In IPv6, addresses with the same 64 bits in front are one.
    public var halfOpenPerAddress: Int
    /// Half-open IKE SAs above which each new one takes the place of another, of an address that has the most of them; 0
    /// for no limit.
    public var halfOpenTotal: Int
    /// How long a half-open IKE SA may take.
    public var halfOpenTimeout: Interval
    /// How long a question may take.
    public var answerTimeout: Interval
    /// How long the first pause is before something that came to nothing is tried again; later pauses are longer.
    public var retryInitiateInterval: Interval
    /// How often the path through a NAT is kept alive; zero never.
    public var keepAlive: Interval

    /// This field's defaults.
    public init() {
        cookieThreshold = 30
        halfOpenPerAddress = 0
        halfOpenTotal = 10_000
        halfOpenTimeout = .seconds(30)
        answerTimeout = .seconds(30)
        retryInitiateInterval = .seconds(10)
        keepAlive = .seconds(20)
    }
}
