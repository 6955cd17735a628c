public import Clockwork
import GatewayModel
public import IKECore
import IPsecCrypto
public import NetworkTypes
public import WireFormat

/// Everything that a run is made of, as its seed drew it: gateways, boxes, weather, what is done when.
public struct Scenario: Sendable {
    /// What kind of run is wanted.
    public enum Profile: String, CaseIterable, Sendable {
        /// Any of the others.
        case mixed
        /// No faults at all, one side initiates.
        case calm
        /// Loss, delay, reordering, duplication, corruption; late answers, restarts, everything.
        case storm
        /// Like a storm, behind NAT boxes whose mappings change.
        case nat
        /// Gateways restart.
        case restart
        /// The ends do not suit each other.
        case refusal
        /// Both ends initiate, at once or nearly.
        case collision
        /// Nothing is lost, much arrives late, twice or out of order.
        case echo
        /// Three gateways.
        case triangle
        /// SAs are rekeyed every few seconds.
        case rekey
        /// SAs are made and rekeyed with several key exchanges, and messages are cut into small fragments.
        case hybrid

        /// Virtual addresses, post-quantum keys, several rounds of authentication, reauthentication, IKE SAs that begin
        /// without a child.
        case extended
        /// A client is sent to another gateway.
        case redirect
        /// Gateways are handed over to another process, at any moment, while SAs are rekeyed.
        case handover
        /// A client's addresses change, and its gateway may be reached by several, some of which fail (MOBIKE).
        case roaming

        /// Whether SAs are replaced all the time, by new keys or new proofs.
        var isRestless: Bool { rekeys || self == .extended }
        /// Whether SAs are rekeyed every few seconds.
        var rekeys: Bool { [.rekey, .hybrid, .handover, .roaming].contains(self) }
    }

    /// What must come of a connection.
    public enum Outcome: String, Sendable {
        /// It comes up.
        case works
        /// The ends must not come together.
        case neverEstablished
        /// The ends know each other but agree on no tunnel.
        case neverAChild
    }

    /// One host.
    public struct Gateway: Sendable {
        /// Its name.
        public var name: String
        /// Its own address.
        public var address: IPAddress
        /// The address at which others see it.
        public var publicAddress: IPAddress
        /// The box that hides it, if any: whether it forwards, and how long its mappings live.
        public var box: NATBox?
        /// Whether it can be reached by who has not heard of it.
        public var isReachable: Bool { box?.forwards ?? true }
        /// What its engine is configured to do.
        public var configuration = Configuration()
    }

    /// One connection between two hosts.
    public struct Pair: Sendable {
        /// Its name at both ends.
        public var connection: String
        /// One end; it can always initiate.
        public var left: Int
        /// The other end.
        public var right: Int
        /// Whether the right end can initiate as well.
        public var bothWays: Bool
        /// What must come of it.
        public var outcome: Outcome
        /// Why it does not work, for the trace.
        public var defect: String
    }

    /// What is done when.
    public struct Step: Sendable {
        /// When.
        public var time: Instant
        /// What.
        public var action: Action
    }

    /// The seed.
    public var seed: UInt64
    /// The kind of run; never ``Profile/mixed``.
    public var profile: Profile
    /// The hosts.
    public var gateways: [Gateway]
    /// The connections.
    public var pairs: [Pair]
    /// The shared keys, as ``SharedKeyProvider`` wants them.
    public var keys: [String: SecretBytes]
    /// The links while there are faults.
    public var weather: LinkBehaviour
    /// The answers while there are faults.
    public var timing: AnswerTiming
    /// When the faults stop.
    public var faultsEnd: Instant
    /// What is done, in no order.
    public var steps: [Step]
    /// The dice for everything that the run itself draws.
    var dice: Dice

    var connections: [Connection] { gateways.flatMap { $0.configuration.connections } }
    var answerTimeout: Interval { gateways.map { $0.configuration.limits.answerTimeout }.max() ?? .zero }
    var halfOpenTimeout: Interval { gateways.map { $0.configuration.limits.halfOpenTimeout }.max() ?? .zero }
    var retransmission: Interval { connections.map { $0.retransmission.total }.max() ?? .zero }

    /// The longest pause between two tries of a request.
    public var longestPause: Interval {
        connections.map { connection in
            var whole = connection.retransmission
            whole.jitter = 0
            var chance = SeededEntropy(seed: 0)
            return whole.pause(after: whole.tries, &chance) ?? .zero
        }.max() ?? .zero
    }

    /// The longest from the first silence to the verdict that the peer is dead.
    public var failurePeriod: Interval { (connections.map { $0.dpdDelay }.max() ?? .zero) + retransmission }

    /// The longest that something which was under way when the faults stopped may take to arrive: a datagram that was held
    /// back, or the answer to a question. An IKE SA may begin with it.
    public var latestArrival: Interval {
        weather.delay + weather.jitter + weather.holdBack + timing.latest
    }

    /// The longest that bringing up a connection may take: the way, IKE_SA_INIT with two detours, IKE_AUTH with two
    /// questions, additional key exchanges with one each, or the half-open SA's own end.
    public var initiationBound: Interval {
        let additional = connections.flatMap(\.proposals).map { $0.additionalKeyExchanges.count }.max() ?? 0
        // Further rounds, a key to be mixed in, an address: a question each, and another exchange for most of them. Who is
        // sent away begins anew.
        let rounds = connections.map { max($0.furtherLocal.count, $0.furtherRemote.count) }.max() ?? 0
        let questions = connections.contains { $0.ppkIdentity != nil || !$0.pools.isEmpty } ? 3 : 0
        let beginnings = connections.contains { $0.redirection != nil } ? 2 : 1
        let once = initiation(exchanges: 4 + additional + rounds, questions: 3 + additional + 2 * rounds + questions)
        return once.scaled(by: Double(beginnings))
    }

    private func initiation(exchanges: Int, questions: Int) -> Interval {
        retransmission.scaled(by: Double(exchanges)) + answerTimeout.scaled(by: Double(questions))
            + halfOpenTimeout + .seconds(5)
    }
}
