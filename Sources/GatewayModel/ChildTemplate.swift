public import Clockwork
public import IPsecCrypto
public import NetworkTypes

/// What a connection may tunnel, and how: the model of every Child SA made from it.
public struct ChildTemplate: Hashable, Sendable {
    /// The name by which people know it, unique within its connection.
    public var name: String
    /// ESP and AH proposals, the preferred first.
    public var proposals: [Proposal]
    /// Packets on our side.
    public var localSelectors: [SelectorTemplate]
    /// Packets on the peer's side.
    public var remoteSelectors: [SelectorTemplate]
    /// Whole packets in a tunnel, or payloads between the two hosts.
    public var mode: Mode
    /// What to do when the configuration is loaded.
    public var startAction: StartAction
    /// What to do when the peer closes it.
    public var closeAction: CloseAction
    /// What to do when the peer is found dead.
    public var dpdAction: CloseAction
    /// When it is to be rekeyed, counted from its installation; zero never.
    public var rekeyTime: Interval
    /// When it is closed if it has not been rekeyed; zero never.
    public var lifeTime: Interval
    /// Up to how much earlier than ``rekeyTime`` it is rekeyed, by chance, so that both ends seldom start at once.
    public var randTime: Interval
    /// Packets that may arrive out of order; 0 switches the replay protection off.
    public var replayWindow: Int
    /// Whether HMAC-SHA2-256 is cut to 96 bits, as kernels before Linux 2.6.33 and their likes do.
    public var truncatesSHA256: Bool
    /// Whether each worker of the data plane is to have a Child SA of its own (RFC 9611), where the peer agrees.
    public var usesPerResourceSAs: Bool
    /// How its packets are fitted to the path.
    public var tunnel: TunnelBehaviour
    /// How much it may carry.
    public var volume: VolumeLifetime
    /// What its packets meet when it is no tunnel at all but a policy (`mode = pass`, `mode = drop`); nil for a tunnel.
    /// Such a child is never negotiated.
    public var shunt: Shunt?
    /// What comes first where policies overlap: the lower; 0 for the mode's own place
    /// (``StandingPolicy/automaticPriority(_:)``).
    public var priority: UInt32
    /// The device that it has for itself; nil when it shares the gateway's, with routes for its selectors.
    public var interface: VirtualInterface?
    /// Whether payloads are to be compressed where the peer can do that too (RFC 3173, DEFLATE).
    public var compresses: Bool
    /// After how long without a packet in either direction it is closed; zero never.
    public var inactivity: Interval
    /// The program that is told when its tunnel comes up and goes down: its path and its arguments; empty for none.
    public var updown: [String]

    /// The window where nothing is configured: 2,048 packets, since 32 (as swanctl has it) loses packets on fast links.
    public static let defaultReplayWindow = 2048

    /// A child with this field's defaults.
    public init(name: String) {
        self.name = name
        proposals = []
        localSelectors = [.dynamic]
        remoteSelectors = [.dynamic]
        mode = .tunnel
        startAction = .none
        closeAction = .none
        dpdAction = .none
        rekeyTime = .hours(1)
        lifeTime = .minutes(66)
        randTime = .minutes(6)
        replayWindow = Self.defaultReplayWindow
        truncatesSHA256 = false
        usesPerResourceSAs = false
        tunnel = TunnelBehaviour()
        volume = VolumeLifetime()
        shunt = nil
        priority = 0
        interface = nil
        compresses = false
        inactivity = .zero
        updown = []
    }

    /// What becomes of packets that are not tunnelled.
    public enum Shunt: String, Hashable, Sendable {
        /// They go in clear.
        case pass = "PASS"
        /// They go nowhere.
        case drop = "DROP"
    }

    /// What is inside the ESP packets.
    public enum Mode: String, Hashable, Sendable {
        /// Whole IP packets.
        case tunnel = "TUNNEL"
        /// Payloads between the two hosts.
        case transport = "TRANSPORT"
    }

    /// What to do when the configuration is loaded.
    public enum StartAction: String, Hashable, Sendable {
        /// Nothing.
        case none
        /// Bring it up when a packet wants to use it.
        case trap
        /// Bring it up.
        case start
        /// Both.
        case trapAndStart
    }

    /// What to do when it is gone.
    public enum CloseAction: String, Hashable, Sendable {
        /// Nothing.
        case none
        /// Bring it up when a packet wants to use it.
        case trap
        /// Bring it up again.
        case start
    }
}

/// A selector as a configuration names it: fixed, or made from the tunnel's own end when that is known.
public struct SelectorTemplate: Hashable, Sendable, CustomStringConvertible {
    /// The addresses; nil stands for the end's own address (`dynamic`).
    public var addresses: AddressRange?
    /// The protocol.
    public var ipProtocol: IPProtocolNumber
    /// The ports.
    public var ports: TrafficSelector.Ports

    /// A selector whose addresses are known (or `nil` for the end's own).
    public init(_ addresses: AddressRange?, ipProtocol: IPProtocolNumber = .any, ports: TrafficSelector.Ports = .any) {
        self.addresses = addresses
        self.ipProtocol = ipProtocol
        self.ports = ports
    }

    /// All packets of a block.
    public init(_ prefix: IPPrefix) { self.init(prefix.range) }

    /// The end's own address, all protocols.
    public static let dynamic = SelectorTemplate(nil)

    /// The selector, with `end` in place of a dynamic address.
    public func resolved(for end: IPAddress) -> TrafficSelector {
        TrafficSelector(addresses ?? AddressRange(host: end), ipProtocol: ipProtocol, ports: ports)
    }

    /// As a configuration file writes it.
    public var description: String {
        if let addresses { return TrafficSelector(addresses, ipProtocol: ipProtocol, ports: ports).description }
        let text = TrafficSelector(IPPrefix.everything(.v4).range, ipProtocol: ipProtocol, ports: ports).description
        return "dynamic" + text.dropFirst("0.0.0.0/0".count)
    }
}
