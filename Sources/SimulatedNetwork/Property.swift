public import Clockwork
public import GatewayModel
public import IKECore

/// Something that must be true of every run: it watches, and says when it is not.
public protocol Property: AnyObject {
    /// What it is called in reports.
    var name: String { get }
    /// A datagram left a host, before the network did anything to it.
    func sent(_ datagram: Datagram, by host: SimulatedHost, _ report: inout Report)
    /// An engine took an input; everything that it wanted has been done.
    func handled(_ moment: Moment, _ report: inout Report)
    /// Nothing is heard from a host's engine any more: it was restarted.
    func restarted(_ host: SimulatedHost, _ report: inout Report)
    /// Time has come to this point.
    func reached(_ stage: Stage, _ simulation: Simulation, _ report: inout Report)
}

extension Property {
    /// Most look at inputs and effects only.
    public func sent(_ datagram: Datagram, by host: SimulatedHost, _ report: inout Report) {}
    /// Most forget nothing.
    public func restarted(_ host: SimulatedHost, _ report: inout Report) {}
    /// Most watch all the time.
    public func reached(_ stage: Stage, _ simulation: Simulation, _ report: inout Report) {}
}

/// Where a run is.
public enum Stage: Hashable, Sendable {
    /// The faults have stopped, and one failure period (the pause before liveness is asked for, and all its tries) has
    /// passed: nobody holds what the other end knows nothing of.
    case failurePeriodOver
    /// Exchanges that were under way then have ended as well.
    case settled
    /// A connection was initiated once more, without faults, and had its time.
    case triedAgain
    /// Everything was terminated, without faults, a few seconds ago.
    case terminated
    /// The longest that anything may linger has passed since.
    case over
}

/// One input of one engine, with everything around it.
public struct Moment {
    /// When, on the simulation's clock.
    public var time: Instant
    /// Where.
    public var host: SimulatedHost
    /// What happened.
    public var input: Input
    /// The datagram's header and what the network did to it, when the input is one.
    public var arrival: Arrival?
    /// The IKE SAs before it.
    public var before: [IKESASummary]
    /// What the engine wanted done.
    public var effects: [Effect]
    /// The IKE SAs after it: ``SimulatedHost/summaries``.
    public var after: [IKESASummary] { host.summaries }
}

/// A datagram that arrived.
public struct Arrival: Sendable {
    /// Its header, when it has one.
    public var header: WireHeader?
    /// Whether the network changed it.
    public var isCorrupted: Bool
    /// The place of the host that sent it.
    public var sender: Int
}

/// Collects what is not true.
public struct Report {
    /// A property that did not hold.
    public struct Violation: Hashable, Sendable, CustomStringConvertible {
        /// The property.
        public var property: String
        /// When.
        public var time: Instant
        /// Where; nil when it concerns several.
        public var host: String?
        /// What is wrong.
        public var text: String

        /// One line.
        public var description: String { "\(time) \(host ?? "*") \(property): \(text)" }
    }

    /// What was not true so far.
    public private(set) var violations: [Violation] = []
    var now: Instant = .zero

    /// Writes down that `property` did not hold.
    public mutating func violation(_ property: String, _ host: SimulatedHost?, _ text: String) {
        guard violations.count < 50 else { return }
        violations.append(Violation(property: property, time: now, host: host?.name, text: text))
    }
}
