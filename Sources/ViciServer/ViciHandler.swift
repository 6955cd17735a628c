public import Clockwork
public import GatewayModel

/// What the control protocol asks of the gateway behind it.
///
/// All calls come from the thread that drives the ``ViciServer``, and none may wait: `initiate` and `terminate` only
/// begin something, and their outcome goes to ``ViciServer/complete(_:_:)`` when it is known (which may be before the
/// call returns).
public protocol ViciHandler: AnyObject {
    /// The time on the clock of the summaries' instants.
    var now: Instant { get }
    /// The wall clock in seconds since 1970.
    var unixTime: Int64 { get }
    /// Who answers.
    func version() -> ViciVersion
    /// How busy it is.
    func statistics() -> ViciStatistics
    /// All IKE SAs, the oldest first.
    func ikeSAs() -> [ViciIKESA]
    /// All connections, in the order of the configuration.
    func connections() -> [Connection]
    /// What last went wrong with each connection, by name; nothing for one that came up since.
    func lastFailures() -> [String: ViciFailure]
    /// What last went wrong where no connection could be named, the newest first.
    func strayFailures() -> [ViciFailure]
    /// What the data plane has dropped, by reason.
    func dropCounts() -> [DropCount]
    /// How often tunnels failed, by connection and cause.
    func failureCounts() -> [ViciFailureCount]
    /// The algorithms that can be carried out: kinds (`encryption`, `integrity`, …) with their names, in order.
    func algorithms() -> [(kind: String, names: [String])]
    /// Reads the configuration again, all or nothing.
    func reloadSettings() -> ViciOutcome
    /// Brings something up; the outcome belongs to `ticket`.
    func initiate(_ request: ViciInitiation, ticket: ViciTicket)
    /// Takes something down; the outcome belongs to `ticket`.
    func terminate(_ request: ViciTermination, ticket: ViciTicket)
    /// Starts to replace something, and says how much; what comes of it is told by events.
    func rekey(_ target: Command.Target) -> ViciOutcome
    /// Begins to authenticate IKE SAs anew, with new ones in their place.
    func reauthenticate(_ target: Command.Target) -> ViciOutcome

    // What follows has defaults that say that it is not done here.

    /// The numbers of all IKE SAs, the oldest first.
    func ikeSAIDs() -> [IKESAID]
    /// One IKE SA; nil when it is gone.
    func ikeSA(_ id: IKESAID) -> ViciIKESA?
    /// Takes in what a client gives: all of it, or nothing. What has the same name is replaced.
    func load(_ items: [ViciItem]) -> ViciOutcome
    /// Forgets something that was loaded. SAs that came of it go on.
    func unload(_ kind: ViciItem.Kind, _ name: String) -> ViciOutcome
    /// The names of what is loaded, in order.
    func names(of kind: ViciItem.Kind) -> [String]
    /// Policies that are in force without a Child SA of their own.
    func policies() -> [ViciPolicy]
    /// Certificates, revocation lists and keys that are held.
    func certificates() -> [ViciCertificate]
    /// Whose this certificate in DER is; nil when it can't be read.
    func subject(of certificate: [UInt8]) -> String?
    /// Certification authorities that are configured.
    func authorities() -> [ViciAuthority]
    /// Pools of virtual addresses, with their leases.
    func pools() -> [ViciPool]
    /// Puts the trap policies of a child in force, or out of it.
    func install(_ wanted: Bool, child: String, connection: String?) -> ViciOutcome
    /// Sends peers to another gateway (RFC 5685).
    func redirect(_ redirection: ViciRedirection) -> ViciOutcome
    /// What was counted; empty when there is nothing of that name.
    func counters(_ scope: ViciCounterScope) -> [ViciCounters]
    /// Begins to count at zero again.
    func resetCounters(_ scope: ViciCounterScope)
    /// Forgets certificates and statements that were fetched; all types when none is named.
    func flushCertificates(_ type: String?)
    /// Forgets all secrets, keys and certificates.
    func clearCredentials()
    /// The last lines of the log, the oldest first, in full detail.
    func recentLog() -> [ViciLogLine]
    /// Lets another process take this one's place, with all tunnels. Whoever asked hears only when that is not done.
    func restart(ticket: ViciTicket)
    /// How the last such change went: names and values, none when there was none.
    func restartReport() -> [(name: String, value: String)]
}

extension ViciHandler {
    /// It is not done.
    public func reauthenticate(_ target: Command.Target) -> ViciOutcome {
        .failure("reauthentication is not done here")
    }
    /// Nothing is known of any.
    public func dropCounts() -> [DropCount] { [] }
    /// Nothing failed.
    public func failureCounts() -> [ViciFailureCount] { [] }
}

/// How often tunnels of a connection failed for one cause.
public struct ViciFailureCount: Hashable, Sendable {
    /// The connection; empty where none could be named.
    public var connection: String
    /// The cause's stable name.
    public var code: String
    /// How often.
    public var count: Int64

    /// So many failures of a connection, for one cause.
    public init(connection: String, code: String, count: Int64) {
        self.connection = connection
        self.code = code
        self.count = count
    }
}

/// The number of a command whose outcome comes later.
public struct ViciTicket: RawRepresentable, Hashable, Sendable {
    /// The number.
    public let rawValue: UInt64
    /// The command with this number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Who answers: `swanctl --version`.
public struct ViciVersion: Hashable, Sendable {
    /// The program's name.
    public var daemon: String
    /// Its version.
    public var version: String
    /// The system: `Linux`.
    public var system: String
    /// The kernel's release.
    public var release: String
    /// The machine: `x86_64`.
    public var machine: String

    /// Who answers.
    public init(daemon: String, version: String, system: String, release: String, machine: String) {
        self.daemon = daemon
        self.version = version
        self.system = system
        self.release = release
        self.machine = machine
    }
}

/// How busy the gateway is: `swanctl --stats`.
public struct ViciStatistics: Hashable, Sendable {
    /// How long it runs.
    public var uptime: Interval
    /// Threads that keep tunnels and carry packets.
    public var workers: Int
    /// Those of them that wait for something to do.
    public var idleWorkers: Int
    /// Deadlines that are set.
    public var scheduled: Int
    /// IKE SAs.
    public var ikeSAs: Int
    /// Those of them that are not established yet.
    public var halfOpenIKESAs: Int
    /// Names of what is built in.
    public var features: [String]

    /// How busy the gateway is.
    public init(
        uptime: Interval, workers: Int, idleWorkers: Int, scheduled: Int, ikeSAs: Int, halfOpenIKESAs: Int,
        features: [String]
    ) {
        self.uptime = uptime
        self.workers = workers
        self.idleWorkers = idleWorkers
        self.scheduled = scheduled
        self.ikeSAs = ikeSAs
        self.halfOpenIKESAs = halfOpenIKESAs
        self.features = features
    }
}

/// An IKE SA with the traffic of its children.
public struct ViciIKESA: Hashable, Sendable {
    /// The IKE SA.
    public var summary: IKESASummary
    /// Traffic, by child; a child that is not in it has carried none.
    public var traffic: [ChildSAID: Traffic]

    /// An IKE SA with the traffic of its children.
    public init(_ summary: IKESASummary, traffic: [ChildSAID: Traffic] = [:]) {
        self.summary = summary
        self.traffic = traffic
    }

    /// Traffic of a Child SA.
    public struct Traffic: Hashable, Sendable {
        /// From the peer.
        public var inbound: SACounters
        /// To the peer.
        public var outbound: SACounters

        /// Traffic of a Child SA.
        public init(inbound: SACounters = SACounters(), outbound: SACounters = SACounters()) {
            self.inbound = inbound
            self.outbound = outbound
        }
    }
}

/// Why something did not come up, for people and for programs.
public struct ViciFailure: Hashable, Sendable {
    /// A code that programs may compare, `E-TS-MISMATCH`.
    public var code: String
    /// What happened, as a sentence.
    public var text: String
    /// What to do about it, as a sentence; nil when nothing useful can be said.
    public var remedy: String?
    /// When.
    public var time: Instant

    /// Why something did not come up.
    public init(code: String, text: String, remedy: String? = nil, time: Instant) {
        self.code = code
        self.text = text
        self.remedy = remedy
        self.time = time
    }
}

/// What to bring up. At least one of the two names is there.
public struct ViciInitiation: Hashable, Sendable {
    /// The connection's name; nil when the child's name is to find it.
    public var connection: String?
    /// The child's name; nil for the IKE SA.
    public var child: String?
    /// Whether limits may prevent it.
    public var respectsLimits: Bool
    /// How long the client waits. The server sees to it; it is told for the log's sake.
    public var wait: ViciWait
}

/// What to take down.
public struct ViciTermination: Hashable, Sendable {
    /// What.
    public var target: Command.Target
    /// Whether to do it without waiting for the peer.
    public var force: Bool
    /// How long the client waits. The server sees to it; it is told for the log's sake.
    public var wait: ViciWait
}

/// How long a client waits for an outcome.
public enum ViciWait: Hashable, Sendable {
    /// Not at all: it is answered at once.
    case none
    /// Until there is one.
    case untilDone
    /// At most so long.
    case atMost(Interval)
}

/// How a command ended.
public struct ViciOutcome: Hashable, Sendable {
    /// Whether all that was asked for is done.
    public var succeeded: Bool
    /// Why not; nil on success.
    public var message: String?
    /// For `terminate` and `rekey`: how many SAs were meant.
    public var matches: Int?
    /// For `terminate`: how many of them are gone.
    public var terminated: Int?
    /// For `load-key` and `load-token`: the key's identifier, hexadecimal.
    public var id: String?

    /// All is done.
    public static let success = ViciOutcome(succeeded: true, message: nil, matches: nil, terminated: nil)

    /// It is not; `message` is one clause that says why.
    public static func failure(_ message: String) -> ViciOutcome {
        ViciOutcome(succeeded: false, message: message, matches: nil, terminated: nil)
    }

    /// So many SAs were meant, and their replacement is on its way.
    public static func rekeying(_ matches: Int) -> ViciOutcome {
        ViciOutcome(
            succeeded: matches > 0, message: matches > 0 ? nil : "no matching SAs to rekey found", matches: matches,
            terminated: nil)
    }

    /// So many peers are being told to go to another gateway.
    public static func redirecting(_ matches: Int) -> ViciOutcome {
        ViciOutcome(succeeded: true, message: nil, matches: matches, terminated: nil)
    }

    /// So many SAs were meant and so many are gone.
    public static func terminated(_ terminated: Int, of matches: Int) -> ViciOutcome {
        let message: String? =
            matches == 0
            ? "no matching SAs to terminate found"
            : terminated < matches ? "not all matching SAs could be terminated" : nil
        return ViciOutcome(succeeded: message == nil, message: message, matches: matches, terminated: terminated)
    }
}
