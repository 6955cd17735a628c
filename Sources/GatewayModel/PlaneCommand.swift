public import Clockwork
public import NetworkTypes

/// What a data plane is asked to do, in an order that has meaning: an inbound SA is installed before the peer may use it,
/// the outbound one and the policies after.
public enum PlaneCommand: Sendable {
    /// Adds one direction of a Child SA.
    case install(SecurityAssociation)
    /// Takes one direction of a Child SA away. The SPI alone would not do: outbound ones are chosen by peers, and two
    /// peers may choose the same.
    case remove(SecurityAssociation.Direction, spi: UInt32, of: ChildSAID)
    /// Takes the inbound SA of a Child SA away that another one has replaced, once what the peer sent before it changed
    /// over can no longer be on its way: a plane that carries packets waits some seconds. Nothing is asked of the SA any
    /// more meanwhile.
    case retire(spi: UInt32, of: ChildSAID)
    /// Sends the packets that these selectors pair through the outbound SA `spi`, in place of what the Child SA's
    /// policies said before, and blocks them in clear from now on.
    case protect(ChildSAID, local: [TrafficSelector], remote: [TrafficSelector], spi: UInt32)
    /// Ends the protection: the packets go in clear again, or stay blocked because nobody asked for them to.
    case unprotect(ChildSAID, staysBlocked: Bool)
    /// From now on a packet that this policy selects asks for its child (``PlaneEvent/acquire(connection:child:)``)
    /// where no SA protects it. It stays until the configuration no longer has the child.
    case trap(StandingPolicy)
    /// The outer addresses of a Child SA are others now.
    case move(ChildSAID, Path, SecurityAssociation.Encapsulation)
    /// Keeps the NAT's mapping of this path alive, one octet every `interval`; zero stops it.
    case keepAlive(Path, every: Interval)
    /// The host has this address from now on: a peer gave it to us on this IKE SA. Several may give us the same one.
    case addAddress(IPAddress, for: IKESAID)
    /// One IKE SA fewer gives us this address.
    case removeAddress(IPAddress, for: IKESAID)
}

/// What a data plane tells by itself.
public enum PlaneEvent: Sendable, Hashable {
    /// An authenticated packet came from another address than the SA's.
    case mappingChanged(ChildSAID, Path)
    /// A packet came for an SPI that is nobody's.
    case unknownSPI(UInt32, Path)
    /// The outbound SA is about to run out of sequence numbers.
    case sequenceExhausted(ChildSAID)
    /// One of the Child SA's directions has carried as much as its limits say.
    case volumeReached(ChildSAID, VolumeMark)
    /// A packet wants a protected path that has no SA. It is told again, but not for every packet, while that lasts.
    case acquire(connection: String, child: String)
}

/// Traffic of one direction of a Child SA.
public struct SACounters: Hashable, Sendable {
    /// Packets carried.
    public var packets: UInt64
    /// Octets of inner packets carried.
    public var bytes: UInt64
    /// When the last packet was carried.
    public var lastUse: Instant?
    /// Packets dropped since their sequence number was old or seen.
    public var replays: UInt64
    /// Packets dropped since their integrity check failed.
    public var forgeries: UInt64

    /// Nothing yet.
    public init(
        packets: UInt64 = 0, bytes: UInt64 = 0, lastUse: Instant? = nil, replays: UInt64 = 0, forgeries: UInt64 = 0
    ) {
        self.packets = packets
        self.bytes = bytes
        self.lastUse = lastUse
        self.replays = replays
        self.forgeries = forgeries
    }
}

/// Where SAs and policies live and packets are carried: in user space, in a kernel, or in a simulation.
///
/// Commands are obeyed in order. A plane never negotiates and never forgets an SA by itself.
public protocol DataPlane: AnyObject {
    /// Obeys one command. Throws when the system refuses; the message says what and why.
    func obey(_ command: PlaneCommand) throws
    /// The traffic of an SA's direction; nil when there is no such SA.
    func counters(_ direction: SecurityAssociation.Direction, spi: UInt32) -> SACounters?
    /// Takes out what the plane has to tell.
    func takeEvents() -> [PlaneEvent]
    /// How many packets were dropped since the plane is there, by the reason's name, in a fixed order; reasons for which
    /// there were none are left out.
    func dropCounts() -> [DropCount]
    /// The traps that Child SAs left behind when they ended.
    var leftBehind: [StandingPolicy] { get }
    /// From now on, changes that go to the system may wait until ``commitChanges()``: a plane makes many together for
    /// less than one by one.
    func beginChanges()
    /// Whether changes wait. Whoever is told of what was done hears of it after they are made.
    var hasChanges: Bool { get }
    /// Makes the changes that wait; those that the system refuses.
    func commitChanges() -> [PlaneRefusal]
}

/// What a data plane could not do for a Child SA, or for none of them.
public struct PlaneRefusal: Hashable, Sendable {
    /// Whose it was.
    public let child: ChildSAID?
    /// What and why.
    public let reason: String

    /// Something that was refused.
    public init(child: ChildSAID?, reason: String) {
        self.child = child
        self.reason = reason
    }
}

extension DataPlane {
    /// A plane that sets no traps.
    public var leftBehind: [StandingPolicy] { [] }
    /// A plane that does everything at once.
    public func beginChanges() {}
    /// A plane that does everything at once.
    public var hasChanges: Bool { false }
    /// A plane that does everything at once.
    public func commitChanges() -> [PlaneRefusal] { [] }
    /// A plane that drops nothing by itself.
    public func dropCounts() -> [DropCount] { [] }
}

/// Packets that went no further for one reason.
public struct DropCount: Hashable, Sendable {
    /// The reason's name.
    public let reason: String
    /// How many.
    public let count: UInt64

    /// So many for this reason.
    public init(reason: String, count: UInt64) {
        self.reason = reason
        self.count = count
    }
}
