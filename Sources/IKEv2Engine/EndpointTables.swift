import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import StateRecords

/// What all IKE SAs of one endpoint share: numbers, SPIs, tickets, limits, and who is connected.
///
/// It owns bookkeeping only. Nothing in it starts or ends an IKE SA, and no result depends on the order of a dictionary.
final class EndpointTables {
    /// The connections and the limits.
    var configuration: Configuration
    /// The connections, to be found.
    var directory: ConnectionDirectory
    /// Inbound SPIs of Child SAs.
    var spis = SPIAllocator()
    /// What Child SAs protect, by number.
    var protections = ProtectionNumbers()
    /// Half-open IKE SAs that peers started.
    var governor = HalfOpenGovernor()
    /// Cookies for peers.
    var cookies = CookieJar()
    /// The machine's addresses, as far as somebody tells.
    var localAddresses: [IPAddress] = []
    /// What is to be tried again later.
    var retries = Retries()
    /// Why connections did not come up.
    var refusals = RefusalLog()
    /// How much is told about strangers.
    var reticence = Reticence()
    /// Packets for Child SAs that are not there.
    var strayPackets = StrayPackets()
    /// Children that packets asked for.
    var acquires = AcquireLedger()
    /// Whether the gateway stops: nothing new is accepted or started.
    var isShuttingDown = false

    /// Whether another process is about to go on from here: nothing new is begun meanwhile.
    var isHandingOver = false
    /// What was to be initiated meanwhile.
    var putOff: [(connection: String, children: [String]?, revival: Revival?)] = []

    private var keptAlive: [Path: Int] = [:]
    private var lastTicket: UInt64 = 0
    private var ticketOwners: [Ticket: IKESAID] = [:]
    private var lastIKESA: UInt32 = 0
    private var lastChild: UInt32 = 0
    private var lastCompression: UInt16?
    private var established: [IdentityPair: [IKESAID]] = [:]

    /// Two identities, ours first.
    private struct IdentityPair: Hashable {
        var local: Identity
        var remote: Identity
    }

    /// What belongs to no IKE SA yet.
    init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        directory = ConnectionDirectory(configuration.connections)
    }

    /// Questions without an answer.
    var openTickets: Int { ticketOwners.count }

    /// A new question's number.
    func newTicket(for owner: IKESAID) -> Ticket {
        lastTicket &+= 1
        let ticket = Ticket(rawValue: lastTicket)
        ticketOwners[ticket] = owner
        return ticket
    }

    /// Who asked; nil when nobody waits for the answer any more. Each ticket is taken once.
    func takeOwner(of ticket: Ticket) -> IKESAID? { ticketOwners.removeValue(forKey: ticket) }

    /// Nobody waits for this answer any more.
    func forget(_ ticket: Ticket) { ticketOwners[ticket] = nil }

    /// One more IKE SA needs a path to be kept alive.
    /// - Returns: Whether it is the first.
    func keepAlive(_ path: Path) -> Bool {
        keptAlive[path, default: 0] += 1
        return keptAlive[path] == 1
    }

    /// One fewer needs it.
    /// - Returns: Whether it was the last.
    func stopKeepingAlive(_ path: Path) -> Bool {
        guard let count = keptAlive[path] else { return false }
        keptAlive[path] = count > 1 ? count - 1 : nil
        return count <= 1
    }

    /// A new IKE SA's number.
    func newIKESAID() -> IKESAID {
        lastIKESA &+= 1
        return IKESAID(rawValue: lastIKESA)
    }

    /// A new Child SA's number.
    func newChildSAID() -> ChildSAID {
        lastChild &+= 1
        return ChildSAID(rawValue: lastChild)
    }

    /// A CPI, which comes again only after all others: a peer's system may tell SAs by it and our address alone. The first
    /// one is chance, since a peer may still have some of an earlier process.
    func newCompressionIndex(_ entropy: inout some Entropy) -> UInt16 {
        let range = CompressionOffer.negotiated
        let next: UInt16
        if let last = lastCompression {
            next = last < range.upperBound ? last + 1 : range.lowerBound
        } else {
            next = range.lowerBound + UInt16(entropy.uint32() % UInt32(range.count))
        }
        lastCompression = next
        return next
    }

    /// Appends the numbers that were given out last, so that none comes twice.
    func writeNumbers(to writer: RecordWriter) {
        writer.uint32(lastIKESA)
        writer.uint32(lastChild)
        writer.optional(lastCompression) { writer.uint16($0) }
        writer.uint32(UInt32(clamping: spis.next))
        writer.list(localAddresses)
    }

    /// Reads them back.
    func readNumbers(from reader: inout RecordReader) throws(RecordError) {
        lastIKESA = try reader.uint32("last IKE SA")
        lastChild = try reader.uint32("last Child SA")
        lastCompression = try reader.optional("last CPI") { reader throws(RecordError) in try reader.uint16("CPI") }
        spis = SPIAllocator(from: Int(try reader.uint32("next SPI")))
        localAddresses = try reader.list("addresses")
    }

    /// The established IKE SAs between two identities, the oldest first.
    func established(local: Identity, remote: Identity) -> [IKESAID] {
        established[IdentityPair(local: local, remote: remote)] ?? []
    }

    /// One more between two identities.
    func enter(_ id: IKESAID, local: Identity, remote: Identity) {
        established[IdentityPair(local: local, remote: remote), default: []].append(id)
    }

    /// It is gone.
    func leave(_ id: IKESAID, local: Identity, remote: Identity) {
        guard let place = established.index(forKey: IdentityPair(local: local, remote: remote)) else { return }
        established.values[place].removeAll { $0 == id }
        if established.values[place].isEmpty { established.remove(at: place) }
    }
}

/// Why connections did not come up: the last reason of each configured connection, and the last few that belong to none.
///
/// It is bounded by the number of configured connections and ``RefusalLog/capacity``.
struct RefusalLog {
    /// How many that belong to no connection are kept.
    static let capacity = 32

    private var byConnection: [String: (time: Event, refusal: Refusal)] = [:]
    /// Those that no connection could be found for, the oldest first.
    private(set) var unattributed: [Event] = []

    /// Takes note of a refusal.
    mutating func record(_ event: Event, _ refusal: Refusal) {
        if let connection = event.connection {
            byConnection[connection] = (event, refusal)
        } else {
            if unattributed.count >= Self.capacity { unattributed.removeFirst() }
            unattributed.append(event)
        }
    }

    /// The last one of a connection.
    func last(of connection: String) -> (event: Event, refusal: Refusal)? {
        byConnection[connection].map { ($0.time, $0.refusal) }
    }

    /// It came up: the reason is history.
    mutating func clear(_ connection: String) { if !byConnection.isEmpty { byConnection[connection] = nil } }

    /// Forgets connections that are configured no longer.
    mutating func keep(_ names: Set<String>) { byConnection = byConnection.filter { names.contains($0.key) } }
}
