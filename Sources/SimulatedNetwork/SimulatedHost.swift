public import Clockwork
public import GatewayModel
public import IKECore
public import NetworkTypes

/// One gateway: an engine, a plane, a clock of its own, chance of its own.
///
/// It owns what a restart loses and what it keeps. It never looks at another host.
public final class SimulatedHost {
    /// Its place among the hosts.
    public let index: Int
    /// A short name for traces.
    public let name: String
    /// Its own addresses, possibly private ones behind a NAT; it speaks from the first.
    public private(set) var addresses: [IPAddress]
    /// Addresses that it had before.
    private var formerAddresses: [IPAddress] = []
    /// Addresses of its own by which nothing goes in or out.
    private(set) var obstructedAddresses: [IPAddress] = []
    /// Whether its engine is told which addresses it has.
    private(set) var tellsAddresses = false
    /// The address at which others see it.
    public let publicAddress: IPAddress
    /// The address of a box that it may come to lie behind.
    var translatedAddress: IPAddress?
    /// What its engine is configured to do.
    public let configuration: Configuration
    /// The engine.
    public internal(set) var engine: any SimulatedEngine
    /// The data plane.
    public internal(set) var plane = SimulatedPlane()
    /// How often it was started, counted from 0.
    public internal(set) var incarnation = 0
    /// How far its clock is ahead of the simulation's.
    public internal(set) var clockLead: Interval = .zero
    /// The engine's IKE SAs after its last input.
    public internal(set) var summaries: [IKESASummary] = []
    /// Chance for its answers and links.
    var dice: Dice
    var entropy: any Entropy
    var link: LinkBehaviour
    var isCutOff = false

    /// A host whose engine has just started.
    public init(
        index: Int, name: String, address: IPAddress, publicAddress: IPAddress, configuration: Configuration,
        engine: any SimulatedEngine, dice: Dice, entropy: any Entropy, link: LinkBehaviour = LinkBehaviour()
    ) {
        self.index = index
        self.name = name
        addresses = [address]
        self.publicAddress = publicAddress
        self.configuration = configuration
        self.engine = engine
        self.dice = dice
        self.entropy = entropy
        self.link = link
    }

    /// The address that it speaks from.
    public var address: IPAddress { addresses.first ?? publicAddress }

    /// From now on it has these addresses, of which there is at least one, and its engine is to know them.
    func move(to wanted: [IPAddress]) {
        guard !wanted.isEmpty else { return }
        formerAddresses += addresses.filter { !wanted.contains($0) }
        addresses = wanted
        tellsAddresses = true
    }

    /// Nothing goes in or out by this address, or does so again.
    func obstruct(_ address: IPAddress, _ isObstructed: Bool) {
        obstructedAddresses.removeAll { $0 == address }
        if isObstructed { obstructedAddresses.append(address) }
    }

    /// Every address can be reached.
    func clearObstructions() { obstructedAddresses = [] }

    /// Whether packets go in and out by this address.
    func canUse(_ address: IPAddress) -> Bool {
        addresses.contains(address) && !obstructedAddresses.contains(address)
    }

    /// Whether this is an address of its own, or was one.
    func hasHeld(_ address: IPAddress) -> Bool { addresses.contains(address) || formerAddresses.contains(address) }

    /// Whether others may know it by this address.
    func isKnown(as address: IPAddress) -> Bool {
        [publicAddress, translatedAddress].contains(address) || hasHeld(address)
    }

    /// When it wants to be woken, on the simulation's clock.
    var wakeTime: Instant? { engine.nextDeadline.map { $0 - clockLead } }

    /// The summary of the IKE SA with these SPIs.
    func ikeSA(_ spis: WireHeader.SPIs) -> IKESASummary? {
        summaries.first { $0.initiatorSPI == spis.initiator && $0.responderSPI == spis.responder }
    }

    /// Whether the engine knows a Child SA with this inbound SPI.
    func knowsChild(inboundSPI spi: UInt32) -> Bool {
        summaries.contains { $0.children.contains { $0.inboundSPI == spi } }
    }
}
