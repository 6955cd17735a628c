import GatewayModel
import IPPackets
import LinuxSystem
import NetworkTypes

/// The sockets of a plane: IKE's, the ones that ESP and IKE share, and the raw ones for ESP without UDP.
///
/// The list is made once and never changes; any thread may send.
struct PlaneSockets: Sendable {
    /// What comes in by a socket.
    enum Use: Sendable {
        /// IKE messages without a marker.
        case ike
        /// ESP in UDP, IKE messages with a marker, keep-alives.
        case shared
        /// ESP as an IP protocol.
        case plainESP
        /// AH, which is an IP protocol always; packets have their IP headers.
        case authenticated
    }

    /// An object, so that who takes one out of the list counts one reference, and who borrows it counts none.
    final class Entry: Sendable {
        let socket: any DatagramSocket
        let use: Use
        /// The same socket where packets have their IP headers.
        let headers: HeaderSocket?
        let fragmentation = OuterFragmentation()

        init(socket: any DatagramSocket, use: Use, headers: HeaderSocket? = nil) {
            self.socket = socket
            self.use = use
            self.headers = headers
        }

        /// Whether it can send from this end.
        func serves(_ local: Endpoint) -> Bool {
            let bound = socket.localEndpoint
            return bound.address.family == local.address.family
                && (bound.address.isUnspecified || local.address.isUnspecified || bound.address == local.address)
        }
    }

    let entries: [Entry]

    init(_ configuration: PlaneConfiguration) throws(SystemError) {
        var options = SocketOptions()
        options.mark = configuration.mark
        var shared = options
        shared.sharePort = configuration.workers > 1
        var made: [Entry] = []
        for (endpoints, use) in [(configuration.ikeEndpoints, Use.ike), (configuration.sharedEndpoints, .shared)] {
            for endpoint in endpoints {
                let socket = try UDPSocket.bind(endpoint, options: use == .shared ? shared : options)
                // Without it, every datagram comes alone.
                if configuration.offload == .automatic, use == .shared { _ = socket.enableReceiveTrains() }
                made.append(Entry(socket: socket, use: use))
            }
        }
        if configuration.carriesPlainESP {
            for family in Set(configuration.sharedEndpoints.map(\.address.family)).sorted(by: {
                $0.rawValue < $1.rawValue
            }) {
                let socket = try RawSocket(
                    protocolNumber: IPProtocolNumber.esp.rawValue, address: .unspecified(family), options: options)
                made.append(Entry(socket: socket, use: .plainESP))
                let headers = try HeaderSocket(
                    protocolNumber: IPProtocolNumber.ah.rawValue, family: family, options: options)
                made.append(Entry(socket: headers, use: .authenticated, headers: headers))
            }
        }
        for entry in made {
            try entry.socket.setPathMTUPolicy(.fragment)
            // What routers say about paths that are narrower than they seem.
            if entry.use != .ike { try entry.socket.keepErrors() }
            try entry.socket.setReceiveBuffer(configuration.socketBuffer)
            try entry.socket.setSendBuffer(configuration.socketBuffer)
        }
        entries = made
    }

    /// The sockets of a further worker: those for ESP in UDP are its own, at the same ports, the others the first one's,
    /// which it never reads. To be called in the order of the workers.
    init(besides first: PlaneSockets, _ configuration: PlaneConfiguration) throws(SystemError) {
        var options = SocketOptions()
        options.mark = configuration.mark
        options.sharePort = true
        var made: [Entry] = []
        for entry in first.entries {
            guard entry.use == .shared else {
                made.append(entry)
                continue
            }
            let socket = try UDPSocket.bind(entry.socket.localEndpoint, options: options)
            if configuration.offload == .automatic { _ = socket.enableReceiveTrains() }
            try socket.setPathMTUPolicy(.fragment)
            try socket.keepErrors()
            try socket.setReceiveBuffer(configuration.socketBuffer)
            try socket.setSendBuffer(configuration.socketBuffer)
            made.append(Entry(socket: socket, use: .shared))
        }
        entries = made
    }

    /// Spreads what comes in over the workers, by the index in the SPI. To be called when all have their sockets.
    func spread(over workers: Int) throws(SystemError) {
        for entry in entries where entry.use == .shared {
            try (entry.socket as? UDPSocket)?.spread(over: workers, mask: SPILayout.mask)
        }
    }

    /// The socket to send ESP from this end with; nil when there is none.
    func index(forESPFrom local: Endpoint, inUDP: Bool) -> Int? {
        if !inUDP { return entries.firstIndex { $0.use == .plainESP && $0.serves(local) } }
        return entries.firstIndex {
            $0.use == .shared && $0.serves(local) && $0.socket.localEndpoint.port == local.port
        } ?? entries.firstIndex { $0.use == .shared && $0.serves(local) }
    }

    /// The socket to send AH from this end with; nil when there is none.
    func index(forAHFrom local: Endpoint) -> Int? {
        entries.firstIndex { $0.use == .authenticated && $0.serves(local) }
    }

    /// The socket to send an IKE message from this end with; nil when there is none.
    func index(forIKEFrom local: Endpoint, marker: Bool) -> Int? {
        entries.firstIndex {
            ($0.use == .ike || $0.use == .shared) && $0.serves(local) && $0.socket.localEndpoint.port == local.port
        } ?? entries.firstIndex { $0.use == (marker ? .shared : .ike) && $0.serves(local) }
    }
}
