import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes

/// What an IKE SA waits for besides datagrams.
enum SessionTimer: Hashable {
    /// Our request is to be sent again, or given up.
    case retransmission
    /// The peer has taken too long to authenticate.
    case halfOpen
    /// A question has taken too long.
    case answer
    /// A side question has taken too long.
    case sideAnswer
    /// The peer has been silent.
    case liveness
    /// A Child SA's lifetime ends.
    case childExpiry(ChildSAID)
    /// It is to be replaced.
    case ikeRekey
    /// Its lifetime ends.
    case ikeExpiry
    /// Both ends are to prove again who they are.
    case reauthentication
    /// A Child SA may have been without packets for too long.
    case childInactivity(ChildSAID)
    /// A Child SA is to be replaced.
    case childRekey(ChildSAID)
    /// Children that the peer could not make a while ago are to be tried again.
    case childCreation
    /// A message's missing fragments are not waited for any longer.
    case reassembly
    /// The peer's next additional key exchange is not waited for any longer.
    case followup
}

/// Where a message came from.
struct Arrival {
    /// Both ends, seen from ours.
    let path: Path
    /// Which of our sockets.
    let socket: IKESocket
    /// The datagram, exactly as it came.
    let bytes: [UInt8]

    /// Octets of the datagram.
    var byteCount: Int { bytes.count }
}

/// What all states of one IKE SA share: its numbers and names, its path, its windows, its timers and its children.
///
/// It is confined to its endpoint's thread. It holds no key: keys belong to the states, and end with them. It never
/// decides what comes next.
final class SessionContext {
    /// Its number.
    let id: IKESAID
    /// Whether we started it.
    let isInitiator: Bool
    /// When it was made.
    private(set) var created: Instant
    /// The connection; as a responder the likely one, until the identities are known.
    var connection: Connection {
        get { configured.connection }
        set { configured = ConfiguredConnection(newValue) }
    }
    /// The same by reference: as many IKE SAs as there are may have one.
    var configured: ConfiguredConnection
    /// The connection's name as the endpoint's register has it; nil while this IKE SA is not in it.
    var filedUnder: String?
    /// Both ends.
    var path: Path
    /// Which of our sockets.
    var socket: IKESocket
    /// Which it was at first.
    let firstSocket: IKESocket
    /// The initiator's SPI.
    let initiatorSPI: UInt64
    /// The responder's SPI; zero until it is known.
    var responderSPI: UInt64
    /// Our requests.
    var requests: RequestWindow
    /// The peer's requests.
    var responses: ResponseWindow
    /// What we want to do next.
    var agenda = Agenda()
    /// Children that are to be brought up with the IKE SA, by name.
    var wanted: [String] = []
    /// Children that the peer could not make for the moment.
    var postponed = PostponedChildren()
    /// The IKE SA that took this one's place.
    weak var successor: IKESession?
    /// The Child SAs.
    var children = ChildTable()
    /// Inbound SPIs that are taken and belong to no Child SA (yet).
    var heldSPIs: [UInt32] = []
    /// The inbound SPI of a Child SA that waits for additional key exchanges of the peer's.
    var pendingSPI: UInt32?
    /// SPIs of Child SAs that the peer has closed while our request to make one was under way.
    var earlyDeletions: [UInt32] = []
    /// What our request under way is about.
    var activity = Activity.none
    /// The Child SA that we closed last, and why.
    var closing: (child: ChildSAID, reason: Event.CloseReason)? {
        get { heldClosing?.wrappedValue }
        set { heldClosing = newValue.map { Held(wrappedValue: $0) } }
    }
    // What few of them have takes a word where it is not: there are as many of these as there are tunnels.
    private var heldClosing: Held<(child: ChildSAID, reason: Event.CloseReason)>?
    private var heldCertificate: Held<PeerCertificate>?
    /// The peer's replacement of a Child SA that we replace at the same time.
    var childRival: ChildRival?
    /// Whether another IKE SA has taken its place, and its Child SAs.
    var isReplaced = false
    /// The peer's replacement of it, while we make one ourselves.
    var ikeRival: IKERival?
    /// Whether it is such a replacement, and nobody knows yet whether it stays.
    var awaitsContest = false
    /// What it is to replace then.
    weak var predecessor: SessionContext?
    /// IKE SAs that have come to be, or have inherited, since the endpoint looked last.
    var newcomers: [IKESession] = []
    /// When it is to be replaced.
    var rekeyDue: Instant?
    /// What is waited for.
    var timers = DeadlineList<SessionTimer>()
    /// The state that people see.
    private(set) var state: IKESAState = .created
    /// What NAT detection found.
    var nat = NATDetection()
    /// The path that the plane keeps alive for it.
    var keptAlivePath: Path?
    /// Whether ESP travels in UDP.
    var encapsulation = SecurityAssociation.Encapsulation.none
    /// Who we are.
    var localIdentity: Identity?
    /// Who the peer is; before it has proved it, who it says it is.
    var remoteIdentity: Identity?
    /// Which rounds of authentication are done.
    var rounds = AuthenticationRounds()
    /// What EAP has come to.
    var eap = EAPProgress()
    /// What is known about the peer's signatures.
    var signatures = SignatureAgreement()
    /// What the peer proved its identity with.
    var remoteCertificate: PeerCertificate? {
        get { heldCertificate?.wrappedValue }
        set { heldCertificate = newValue.map { Held(wrappedValue: $0) } }
    }
    /// The IKE algorithms.
    var algorithms: Proposal?
    /// When it was established.
    var established: Instant?
    /// When the last authentic message came that was not a repetition: those anybody can send again (RFC 7296 §2.4).
    var lastHeard: Instant
    /// Whether the peer said that it has no other IKE SA with us.
    var saidInitialContact = false
    /// Whether the uniqueness policy was applied, once, when it was established.
    var isUnique = false
    /// Whether the peer takes fragments (RFC 7383).
    var peerTakesFragments = false
    /// Whether the peer knows post-quantum preshared keys (RFC 8784).
    var peerKnowsPPKs = false
    /// The identity of the one that is mixed in.
    var ppkInUse: [UInt8]?
    /// Whether the peer names one that we do not have.
    var isPPKUnknown = false
    /// Our proof without it, for a peer that does not have it.
    var proofWithoutPPK: [UInt8]?
    /// Whether the peer takes an IKE_AUTH without a child (RFC 6023).
    var peerIsChildless = false
    /// Fragments of messages that are not complete.
    var reassembly = Reassembly()
    /// How often this connection was tried before, one after the other.
    var earlierTries = 0
    /// Whether the peer showed strongSwan's vendor ID: it understands the numbers that strongSwan gave out.
    var peerIsStrongSwan = false
    /// How often one after the other it came to nothing: the more often, the longer the next pause.
    var failures = 0
    /// Whether its children are to be up by themselves, whatever the configuration says about them now.
    var isMeantToBeUp = false
    /// Whether our own NAT detection hash is made to mismatch.
    let pretendsNAT: Bool
    /// The question of the phase without an answer.
    var question: Ticket?
    /// The question beside it.
    var sideQuestion: SideQuestion?
    /// Virtual addresses, ours and the peer's.
    var assignment = AddressAssignment()
    /// What MOBIKE knows.
    var mobility = MobilityState()
    /// When both ends are to prove again who they are.
    var reauthentication: Reauthentication
    /// Where gateways have sent us, or whether the peer goes where we send it.
    var redirects = RedirectTrail()
    /// How many octets of messages there were, and after how many it is to be replaced.
    var volume = SessionVolume()
    /// The IKE SA with which it began.
    var origin: IKESAID

    /// A new IKE SA.
    init(
        id: IKESAID, isInitiator: Bool, connection: ConfiguredConnection, path: Path, socket: IKESocket,
        initiatorSPI: UInt64, responderSPI: UInt64, _ turn: borrowing Turn
    ) {
        self.id = id
        origin = id
        self.isInitiator = isInitiator
        configured = connection
        self.path = path
        self.socket = socket
        firstSocket = socket
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
        reauthentication = Reauthentication(isOurs: isInitiator)
        created = turn.now
        lastHeard = turn.now
        pretendsNAT = connection.pretendsNAT(turn.configuration)
        requests = RequestWindow(connection.connection.retransmission)
        responses = ResponseWindow(expecting: isInitiator ? 0 : 1)
    }

    /// The SPI by which the peer addresses us.
    var ownSPI: UInt64 { isInitiator ? initiatorSPI : responderSPI }

    /// Goes to another state that people see.
    func enter(_ next: IKESAState, _ turn: inout Turn) {
        guard next != state else { return }
        publish(.ikeStateChanged(from: state, to: next), &turn)
        state = next
    }

    /// It was made then, and people see it like this: another process has handed it over.
    func goOn(since created: Instant, as state: IKESAState) {
        self.created = created
        self.state = state
    }

    /// Says that something happened to this IKE SA.
    func publish(_ kind: Event.Kind, _ turn: inout Turn) {
        turn.publish(
            kind, ikeSA: id, connection: connection.name, peer: path.remote.address, ofStranger: isWithStranger)
    }

    /// Whether the peer came by itself and has not proved who it is.
    private var isWithStranger: Bool { !isInitiator && established == nil }

    /// Says that a message came or went on this IKE SA, if anybody wants to know.
    func publish(message kind: @autoclosure () -> Event.Kind, _ turn: inout Turn) {
        turn.publish(message: kind(), ikeSA: id, connection: connection.name)
    }

    /// Says that a message came or went on this IKE SA, for counters.
    func count(_ header: IKEHeader, isSent: Bool, _ turn: inout Turn) {
        turn.count(header, isSent: isSent, ikeSA: id, connection: connection.name)
    }

    /// Says that something was refused on this IKE SA.
    func refuse(_ refusal: Refusal, child: String? = nil, _ turn: inout Turn) {
        turn.refuse(
            refusal, child: child, ikeSA: id, connection: connection.name, peer: path.remote.address,
            ofStranger: isWithStranger)
    }

    /// Puts a question; its answer is waited for as long as the limits say.
    func ask(_ query: consuming Query, _ turn: inout Turn) {
        let ticket = turn.tables.newTicket(for: id)
        question = ticket
        timers.set(.answer, to: turn.now + turn.configuration.limits.answerTimeout)
        turn.effects.append(.ask(ticket, query))
    }

    /// The question was answered, or nobody waits for the answer any more.
    func settleQuestion(_ turn: inout Turn) {
        if let question { turn.tables.forget(question) }
        question = nil
        timers.remove(.answer)
    }

    /// What we sent, for a refusal of the peer's.
    func offer(
        _ proposals: [Proposal], localSelectors: [TrafficSelector] = [], remoteSelectors: [TrafficSelector] = []
    ) -> Refusal.Offer {
        var offer = Refusal.Offer(
            path: path, proposals: proposals, localIdentity: localIdentity,
            remoteIdentity: connection.expectedIdentity(of: path.remote.address), method: connection.local.method,
            expectedMethod: connection.remote.method, localSelectors: localSelectors, remoteSelectors: remoteSelectors)
        offer.usesPPK = ppkInUse != nil
        return offer
    }

    /// A copy for status.
    var summary: IKESASummary {
        var summary = IKESASummary(
            id: id, connection: connection.name, state: state, isInitiator: isInitiator, initiatorSPI: initiatorSPI,
            responderSPI: responderSPI, path: path)
        summary.localIdentity = localIdentity
        summary.remoteIdentity = remoteIdentity
        summary.remoteEAPIdentity = eap.peer
        summary.isBehindNAT = nat.isLocal
        summary.isPeerBehindNAT = nat.isRemote
        summary.algorithms = algorithms
        summary.remoteCertificate = remoteCertificate
        summary.established = established
        if let established { summary.setupTime = established - created }
        summary.rekeyDue = rekeyDue
        summary.reauthenticationDue = reauthentication.due
        summary.queuedTasks = agenda.intents.map { $0.description }
        summary.activeTasks = requests.inFlight.map { [$0.exchange.description] } ?? []
        summary.localVirtualAddresses = assignment.settings?.addresses ?? []
        summary.remoteVirtualAddresses = assignment.lease?.addresses ?? []
        summary.localPrefixes = assignment.settings?.prefixes ?? []
        summary.remotePrefixes = assignment.lease?.prefixes ?? []
        summary.canBeRedirected = canRedirect
        summary.origin = origin
        summary.children = children.all.map { $0.summary }
        return summary
    }
}

extension ChildTemplate {
    /// The ESP and AH proposals; where none are configured, this gateway's defaults for ESP.
    var offer: [Proposal] { proposals.isEmpty ? Proposal.defaults(for: .esp) : proposals }
}
