public import NetworkTypes

/// How a user-space plane is set up. The defaults are what an operator expects of strongSwan.
public struct PlaneConfiguration: Sendable {
    /// Where inner packets come from and go to.
    public enum Inside: Sendable {
        /// A TUN device of this name, with routes, rules and blocks in the kernel.
        case tun(name: String)
        /// Something in the process; nothing in the kernel is changed.
        case port(any PacketPort)
        /// The same, one for each worker.
        case ports([any PacketPort])

        /// One for each of so many workers; none for a device, which has queues.
        func ports(_ workers: Int) -> [any PacketPort] {
            switch self {
            case .tun: []
            case .port(let port): Array(repeating: port, count: workers)
            case .ports(let ports): ports.isEmpty ? [] : (0..<workers).map { ports[$0 % ports.count] }
            }
        }
    }

    /// Whether the kernel may hand over and take packets that are still to be cut, and trains of datagrams.
    public enum Offload: Sendable {
        /// Whatever of it the kernel can do; each part is tried, and left alone where it fails.
        case automatic
        /// One packet at a time.
        case off
    }

    /// Where inner packets come from and go to.
    public var inside: Inside
    /// Whether packets travel in trains.
    public var offload: Offload
    /// The device's MTU, in octets; nil for what the widest of the tunnels has room for. What a tunnel takes is another
    /// thing: it follows from its path and its algorithms, and hosts whose packets are longer are told.
    public var mtu: Int?
    /// Where IKE without a marker is heard.
    public var ikeEndpoints: [Endpoint]
    /// Where ESP in UDP and IKE with a marker are heard.
    public var sharedEndpoints: [Endpoint]
    /// Whether ESP without UDP is carried too; needs CAP_NET_RAW.
    public var carriesPlainESP: Bool
    /// The mark of our own outer packets, by which rules tell them from what goes into the tunnel; nil sets none.
    public var mark: UInt32?
    /// The routing table for protected blocks.
    public var routeTable: UInt32
    /// The priority of the rule that looks into it.
    public var rulePriority: UInt32
    /// By which our routes and rules are told from others (RTPROT_…).
    public var routeProtocol: UInt8
    /// Whether packets that come in clear are discarded where a policy protects them. With ``Inside/tun(name:)`` only.
    public var discardsClear: Bool
    /// The link that gets virtual addresses; nil for the TUN device.
    public var virtualAddressDevice: String?
    /// Pairs of packet threads. With more than one, each has a queue of the device and sockets of its own; every SA belongs
    /// to one of them, and those with a ``GatewayModel/SecurityAssociation/resource`` spread one tunnel's packets.
    public var workers: Int
    /// Whether IKE that comes where ESP in UDP does has a socket of its own there, which the control thread reads: the
    /// kernel tells them apart. Where it cannot, a packet thread hands IKE over.
    public var separatesIKE: Bool
    /// Octets asked for as buffer of each socket, each way.
    public var socketBuffer: Int
    /// What the plane of an earlier process has left open for this one; its ``PlaneInheritance/shape`` must be this one's.
    public var inheritance: PlaneInheritance?

    /// Ports that were opened for this plane; it opens the others itself.
    public var ports: PassedPorts

    /// A gateway's plane: TUN `martlet0`, ports 500 and 4500 of both families.
    public init() {
        inside = .tun(name: "martlet0")
        offload = .automatic
        mtu = nil
        ikeEndpoints = [Endpoint(.unspecified(.v4), 500), Endpoint(.unspecified(.v6), 500)]
        sharedEndpoints = [Endpoint(.unspecified(.v4), 4500), Endpoint(.unspecified(.v6), 4500)]
        carriesPlainESP = true
        mark = 0xdc
        routeTable = 220
        rulePriority = 220
        routeProtocol = 77
        discardsClear = true
        workers = 1
        separatesIKE = true
        socketBuffer = 4 << 20
        inheritance = nil
        ports = PassedPorts()
    }

    /// A plane without privileges: inner packets by `port`, two UDP ports of the kernel's choice at `address`.
    public init(port: any PacketPort, at address: IPAddress = .loopback(.v4)) {
        self.init()
        inside = .port(port)
        ikeEndpoints = [Endpoint(address, 0)]
        sharedEndpoints = [Endpoint(address, 0)]
        carriesPlainESP = false
        mark = nil
    }
}
