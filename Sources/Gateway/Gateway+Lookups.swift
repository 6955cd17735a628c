public import Clockwork
public import GatewayModel
public import IKEv2Engine

/// What can be seen of a gateway from outside.
extension Gateway {
    /// The time on the engine's clock.
    public var now: Instant { clock() }

    /// When ``deadlineReached()`` has something to do.
    public var nextDeadline: Instant? { endpoint.nextDeadline }

    /// All IKE SAs, the oldest first.
    public var ikeSAs: [IKESASummary] { endpoint.summaries() }

    /// The numbers of all IKE SAs, the oldest first.
    public var ikeSAIDs: [IKESAID] { endpoint.identifiers }

    /// One IKE SA; nil when it is gone.
    public func ikeSA(_ id: IKESAID) -> IKESASummary? { endpoint.summary(of: id) }

    /// The IKE SAs of a connection, the oldest first; no others are looked at.
    public func ikeSAs(of connection: String) -> [IKESASummary] { endpoint.summaries(of: connection) }

    /// The configured connection of this name.
    public func connection(named name: String) -> Connection? { endpoint.connection(named: name) }

    /// What the engine holds: for statistics, and to see that nothing leaks.
    public var counts: IKEv2Endpoint.Counts { endpoint.counts }

    /// What last went wrong with a connection that did not come up since.
    public func lastRefusal(of connection: String) -> (time: Instant, refusal: Refusal)? {
        let refusals = [endpoint.lastRefusal(ofConnection: connection), planeRefusal(of: connection)]
        return refusals.compactMap { $0 }.max { $0.time < $1.time }
    }

    /// Refusals for which no connection could be found, the oldest first.
    public var recentRefusals: [Event] { endpoint.recentRefusals }

    /// All pools of virtual addresses, with who has which.
    public var pools: [PoolSummary] { leases.summaries }

    /// The traffic of an SA's direction.
    public func counters(_ direction: SecurityAssociation.Direction, spi: UInt32) -> SACounters {
        plane.counters(direction, spi: spi) ?? SACounters()
    }

    /// The traps that Child SAs left behind when they ended.
    var leftBehind: [StandingPolicy] { plane.leftBehind }

    /// What the data plane has dropped, by reason.
    public var dropCounts: [DropCount] { plane.dropCounts() }
}
