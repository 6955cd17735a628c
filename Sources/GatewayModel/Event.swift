public import Clockwork
public import IPsecCrypto
public import NetworkTypes

/// Something that happened, in the one vocabulary that the log, the metrics, the control protocol and the tests read.
public struct Event: Hashable, Sendable {
    /// When.
    public var time: Instant
    /// To which IKE SA; nil when it belongs to none.
    public var ikeSA: IKESAID?
    /// To which connection, by name; nil when none is known (yet).
    public var connection: String?
    /// What.
    public var kind: Kind
    /// The peer's address; nil where it is not known, or where the kind says it.
    public var peer: IPAddress?
    /// Whether it is for counters only: strangers make too many of its kind for anybody to read.
    public var isForCountersOnly: Bool

    /// Something that happened.
    public init(
        time: Instant, ikeSA: IKESAID?, connection: String?, kind: Kind, peer: IPAddress? = nil,
        isForCountersOnly: Bool = false
    ) {
        self.time = time
        self.ikeSA = ikeSA
        self.connection = connection
        self.kind = kind
        self.peer = peer
        self.isForCountersOnly = isForCountersOnly
    }

    /// What happened. What tells much is indirect: events are handed on many times, and then one reference is copied
    /// instead of all of it.
    public enum Kind: Hashable, Sendable {
        /// An IKE SA went from one state to another.
        case ikeStateChanged(from: IKESAState, to: IKESAState)
        /// The IKE SA is up.
        indirect case ikeEstablished(IKESASummary)
        /// The peer proved its identity with a certificate or a raw public key.
        indirect case peerCertified(PeerCertificate)
        /// The IKE SA is gone.
        indirect case ikeClosed(CloseReason)
        /// IKE algorithms were chosen.
        indirect case ikeProposalChosen(Proposal)
        /// NAT was looked for.
        case natDetected(local: Bool, remote: Bool)
        /// The ends moved to another path.
        indirect case pathChanged(from: Path, to: Path)
        /// A Child SA is up.
        indirect case childInstalled(ChildSASummary)
        /// A Child SA is gone.
        indirect case childClosed(ChildSASummary, CloseReason)
        /// We or the peer refused, or nobody answered. `child` names the child when the IKE SA goes on without it.
        indirect case refused(Refusal, child: String?)
        /// A message was sent: its one-line summary and size.
        indirect case sent(String, bytes: Int, Path)
        /// A message was sent or received: told always, while its words are told to those who want them only.
        case exchanged(MessageKind)
        /// A message was received: its one-line summary and size.
        indirect case received(String, bytes: Int, Path)
        /// A request was sent again: how often so far.
        indirect case retransmitted(exchange: String, messageID: UInt32, attempt: Int)
        /// A request came again and got the same answer.
        case answeredAgain(messageID: UInt32)
        /// A datagram was dropped.
        indirect case dropped(DropReason, Path)
        /// A cookie was asked for, by us or by the peer.
        case cookieDemanded(byUs: Bool)
        /// The peer wants another key exchange group.
        indirect case keyExchangeRetried(from: Transform, to: Transform)
        /// A client was sent to another gateway (RFC 5685): by us, or we are the client.
        indirect case redirected(Redirection, byUs: Bool)
        /// The peer was asked whether it lives, and does.
        case peerAlive
        /// The peer gave us virtual addresses and what goes with them.
        indirect case hostConfigured(HostSettings)
        /// What the peer gave us is void.
        indirect case hostUnconfigured(HostSettings)
        /// We lent virtual addresses to the peer.
        indirect case leased(Lease)
        /// So many events about peers that have not proved who they are were for counters only.
        indirect case leftOut(Int)
    }

    /// What counters need to know of a message.
    public struct MessageKind: Hashable, Sendable {
        /// The exchange's number (IANA's registry): 34 IKE_SA_INIT, 35 IKE_AUTH, 36 CREATE_CHILD_SA, 37 INFORMATIONAL.
        public var exchange: UInt8
        /// Whether it is an answer.
        public var isResponse: Bool
        /// Whether it is ours.
        public var isSent: Bool

        /// A message's kind.
        public init(exchange: UInt8, isResponse: Bool, isSent: Bool) {
            self.exchange = exchange
            self.isResponse = isResponse
            self.isSent = isSent
        }
    }

    /// Why an SA ended.
    public enum CloseReason: Hashable, Sendable {
        /// Somebody here asked for it.
        case asked
        /// The peer deleted it.
        case byPeer
        /// It could not be set up, or came down.
        case failed(Refusal)
        /// The peer no longer answers.
        case peerDead
        /// Its IKE SA ended.
        case ikeSAEnded
        /// Its lifetime ended.
        case expired
        /// It carried nothing for as long as its configuration allows.
        case inactive
        /// A newer one took its place.
        case replaced
        /// The gateway stops.
        case shutdown
    }

    /// Why a datagram was dropped without an answer.
    public enum DropReason: Hashable, Sendable {
        /// It can't be parsed; the clause says what is wrong.
        case malformed(String)
        /// Its SPIs are nobody's.
        case unknownSPI
        /// Its integrity check failed.
        case forged
        /// Its message ID lies outside the window.
        case outsideWindow(messageID: UInt32)
        /// It came where it makes no sense: a request before authentication, a response to nothing.
        case unexpected(String)
        /// Too many half-open IKE SAs.
        case tooManyHalfOpen
        /// Too many answers of this kind in this second.
        case rateLimited
    }
}
