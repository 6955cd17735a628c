public import Clockwork
public import IPsecCrypto
public import NetworkTypes

/// The state of an IKE SA, as the field names it.
public enum IKESAState: String, Hashable, Sendable, CaseIterable {
    case created = "CREATED"
    case connecting = "CONNECTING"
    case established = "ESTABLISHED"
    case passive = "PASSIVE"
    case rekeying = "REKEYING"
    case rekeyed = "REKEYED"
    case deleting = "DELETING"
    case destroying = "DESTROYING"
}

/// The state of a Child SA, as the field names it.
public enum ChildSAState: String, Hashable, Sendable, CaseIterable {
    case created = "CREATED"
    case routed = "ROUTED"
    case installing = "INSTALLING"
    case installed = "INSTALLED"
    case updating = "UPDATING"
    case rekeying = "REKEYING"
    case rekeyed = "REKEYED"
    case retrying = "RETRYING"
    case deleting = "DELETING"
    case deleted = "DELETED"
    case destroying = "DESTROYING"
}

/// An IKE SA as status shows it: a copy, taken at one moment.
public struct IKESASummary: Hashable, Sendable {
    /// Its number.
    public var id: IKESAID
    /// The connection's name.
    public var connection: String
    /// The state.
    public var state: IKESAState
    /// 1 or 2.
    public var version: Int
    /// Whether we started it.
    public var isInitiator: Bool
    /// The initiator's SPI.
    public var initiatorSPI: UInt64
    /// The responder's SPI; zero until it is known.
    public var responderSPI: UInt64
    /// Both ends.
    public var path: Path
    /// Whom we say we are; nil until said.
    public var localIdentity: Identity?
    /// Whom the peer proved to be, or is expected to be.
    public var remoteIdentity: Identity?
    /// Who the peer proved to be by EAP; nil where it proved itself in another way.
    public var remoteEAPIdentity: Identity?
    /// Whether a NAT hides us.
    public var isBehindNAT: Bool
    /// Whether a NAT hides the peer.
    public var isPeerBehindNAT: Bool
    /// The algorithms; nil until chosen.
    public var algorithms: Proposal?
    /// When it was established.
    public var established: Instant?
    /// When it is to be rekeyed.
    public var rekeyDue: Instant?
    /// When both ends are to prove again who they are; nil for never.
    public var reauthenticationDue: Instant?
    /// How long it took from the first message to establishment.
    public var setupTime: Interval?
    /// Exchanges that wait, and the one in flight, by name.
    public var queuedTasks: [String]
    /// The exchange in flight, by name.
    public var activeTasks: [String]
    /// What the peer proved its identity with; nil for a shared key.
    public var remoteCertificate: PeerCertificate?
    /// Virtual addresses that the peer gave us.
    public var localVirtualAddresses: [IPAddress] = []
    /// Virtual addresses that we lent to the peer.
    public var remoteVirtualAddresses: [IPAddress] = []
    /// IPv6 prefixes that the peer lent us (RFC 5739).
    public var localPrefixes: [IPPrefix] = []
    /// IPv6 prefixes that we lent to the peer.
    public var remotePrefixes: [IPPrefix] = []
    /// Whether the peer may be sent to another gateway: it has started, and follows (RFC 5685).
    public var canBeRedirected = false
    /// The IKE SA with which it began: its own number, unless it took the place of another by rekeying.
    public var origin: IKESAID
    /// Its children, the oldest first.
    public var children: [ChildSASummary]

    /// A summary with what is known from the start.
    public init(
        id: IKESAID, connection: String, state: IKESAState, isInitiator: Bool, initiatorSPI: UInt64,
        responderSPI: UInt64, path: Path
    ) {
        self.id = id
        self.connection = connection
        self.state = state
        version = 2
        self.isInitiator = isInitiator
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
        self.path = path
        isBehindNAT = false
        isPeerBehindNAT = false
        queuedTasks = []
        activeTasks = []
        origin = id
        children = []
    }
}

/// A Child SA as status shows it: a copy, taken at one moment. Counters are the data plane's.
public struct ChildSASummary: Hashable, Sendable {
    /// Its number.
    public var id: ChildSAID
    /// The child's name in the configuration.
    public var name: String
    /// The state.
    public var state: ChildSAState
    /// Whole packets in a tunnel, or payloads between the two hosts.
    public var mode: ChildTemplate.Mode
    /// How ESP travels.
    public var encapsulation: SecurityAssociation.Encapsulation
    /// Our SPI, in the packets that we receive.
    public var inboundSPI: UInt32
    /// The peer's SPI, in the packets that we send.
    public var outboundSPI: UInt32
    /// The algorithms.
    public var algorithms: Proposal
    /// Packets on our side.
    public var localSelectors: [TrafficSelector]
    /// Packets on the peer's side.
    public var remoteSelectors: [TrafficSelector]
    /// When it was installed.
    public var installed: Instant?
    /// When it is to be rekeyed.
    public var rekeyDue: Instant?
    /// When it is closed if it has not been rekeyed.
    public var expires: Instant?
    /// The CPIs, where payloads are compressed.
    public var compression: CompressionIndices?
    /// The number of what it protects, the same for the Child SAs that take each other's place: what others call reqid.
    public var protection: UInt32

    /// A summary of one that is the first to protect what it does.
    public init(
        id: ChildSAID, name: String, state: ChildSAState, mode: ChildTemplate.Mode,
        encapsulation: SecurityAssociation.Encapsulation, inboundSPI: UInt32, outboundSPI: UInt32, algorithms: Proposal,
        localSelectors: [TrafficSelector], remoteSelectors: [TrafficSelector], installed: Instant? = nil,
        rekeyDue: Instant? = nil, expires: Instant? = nil
    ) {
        self.id = id
        protection = id.rawValue
        self.name = name
        self.state = state
        self.mode = mode
        self.encapsulation = encapsulation
        self.inboundSPI = inboundSPI
        self.outboundSPI = outboundSPI
        self.algorithms = algorithms
        self.localSelectors = localSelectors
        self.remoteSelectors = remoteSelectors
        self.installed = installed
        self.rekeyDue = rekeyDue
        self.expires = expires
    }
}
