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
        /// ESP in UDP, keep-alives, and IKE messages with a marker where these have no socket of their own.
        case shared
        /// IKE messages with a marker.
        case marked
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
        /// The address and port that the socket is bound to.
        let bound: Endpoint
        let fragmentation = OuterFragmentation()

        init(socket: any DatagramSocket, use: Use, headers: HeaderSocket? = nil) {
            self.socket = socket
            self.use = use
            self.headers = headers
            bound = socket.localEndpoint
        }

        /// Whether it can send from this end.
        func serves(_ local: Endpoint) -> Bool {
            bound.address.family == local.address.family
                && (bound.address.isUnspecified || local.address.isUnspecified || bound.address == local.address)
        }
    }

    let entries: [Entry]

    /// Opens them, or takes over those of an earlier process, in the same order.
    init(_ configuration: PlaneConfiguration, adopting numbers: [Int32]? = nil) throws(SystemError) {
        if let numbers {
            entries = try Self.adopted(configuration, numbers)
            return
        }
        var options = SocketOptions()
        options.mark = configuration.mark
        var shared = options
        shared.sharePort = configuration.workers > 1 || configuration.separatesIKE
        var made: [Entry] = []
        for (endpoints, use) in [(configuration.ikeEndpoints, Use.ike), (configuration.sharedEndpoints, .shared)] {
            for endpoint in endpoints {
                let socket = try Self.port(
                    endpoint, use == .shared ? shared : options, configuration, use: use, worker: 0)
                made.append(Entry(socket: socket, use: use))
            }
        }
        if configuration.carriesPlainESP {
            for family in Self.plainFamilies(configuration) {
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

    /// A socket at a port: one that was opened for us, or one of our own.
    private static func port(
        _ endpoint: Endpoint, _ options: SocketOptions, _ configuration: PlaneConfiguration, use: Use, worker: Int
    ) throws(SystemError) -> UDPSocket {
        let passed = try configuration.ports.socket(at: endpoint, worker: worker, options: options)
        let socket: UDPSocket
        if let passed {
            socket = passed
            // As an earlier process may have left it.
            socket.disableReceiveTrains()
        } else {
            do throws(SystemError) { socket = try UDPSocket.bind(endpoint, options: options) } catch {
                guard error.errno == .addressInUse, configuration.ports.endpoints.contains(endpoint) else {
                    throw error
                }
                throw SystemError(
                    call: error.call, errno: error.errno,
                    context: "UDP \(endpoint): each of the \(configuration.workers) workers needs a socket of its own, "
                        + "from the service manager too (ListenDatagram= as often, ReusePort=yes)")
            }
        }
        // Without it, every datagram comes alone.
        if configuration.offload == .automatic, use == .shared { _ = socket.enableReceiveTrains() }
        return socket
    }

    private static let unfit = SystemError(
        call: "socket", errno: .invalidArgument, context: "the sockets of an earlier process are not those wanted here")

    /// The sockets that an earlier process has opened for the same configuration. They have all their options.
    private static func adopted(
        _ configuration: PlaneConfiguration, _ numbers: [Int32]
    ) throws(SystemError) -> [Entry] {
        var left = numbers[...]
        func next() throws(SystemError) -> Descriptor {
            guard let number = left.popFirst() else { throw unfit }
            return Descriptor(owning: number)
        }
        var made: [Entry] = []
        for (endpoints, use) in [(configuration.ikeEndpoints, Use.ike), (configuration.sharedEndpoints, .shared)] {
            for _ in endpoints { made.append(Entry(socket: try UDPSocket.adopt(next()), use: use)) }
        }
        if configuration.carriesPlainESP {
            for family in plainFamilies(configuration) {
                made.append(
                    Entry(socket: RawSocket(adopting: try next(), address: .unspecified(family)), use: .plainESP))
                let headers = HeaderSocket(
                    adopting: try next(), protocolNumber: IPProtocolNumber.ah.rawValue, family: family)
                made.append(Entry(socket: headers, use: .authenticated, headers: headers))
            }
        }
        guard left.isEmpty else { throw unfit }
        return made
    }

    private static func plainFamilies(_ configuration: PlaneConfiguration) -> [IPAddress.Family] {
        Set(configuration.sharedEndpoints.map(\.address.family)).sorted { $0.rawValue < $1.rawValue }
    }

    /// The sockets of a further worker: those for ESP in UDP are its own, at the same ports, the others the first one's,
    /// which it never reads. To be called in the order of the workers.
    init(
        besides first: PlaneSockets, worker: Int, _ configuration: PlaneConfiguration, adopting numbers: [Int32]? = nil
    ) throws(SystemError) {
        if let numbers {
            guard numbers.count == first.entries.count else { throw Self.unfit }
            var made: [Entry] = []
            for (entry, number) in zip(first.entries, numbers) {
                made.append(
                    entry.use == .shared
                        ? Entry(socket: try UDPSocket.adopt(Descriptor(owning: number)), use: .shared) : entry)
            }
            entries = made
            return
        }
        var options = SocketOptions()
        options.mark = configuration.mark
        options.sharePort = true
        var made: [Entry] = []
        for entry in first.entries {
            guard entry.use == .shared else {
                made.append(entry)
                continue
            }
            let socket = try Self.port(
                entry.socket.localEndpoint, options, configuration, use: .shared, worker: worker)
            try socket.setPathMTUPolicy(.fragment)
            try socket.keepErrors()
            try socket.setReceiveBuffer(configuration.socketBuffer)
            try socket.setSendBuffer(configuration.socketBuffer)
            made.append(Entry(socket: socket, use: .shared))
        }
        entries = made
    }

    /// Sockets at the same ports for IKE alone. To be called before another worker has its sockets, and to no effect
    /// before ``spread(over:ikeApart:)``. Ports that somebody else has opened are his: none is opened beside them.
    func besidesForIKE(_ configuration: PlaneConfiguration) throws(SystemError) -> [Entry] {
        guard configuration.ports.isEmpty else { return [] }
        var options = SocketOptions()
        options.mark = configuration.mark
        options.sharePort = true
        var made: [Entry] = []
        for entry in entries where entry.use == .shared {
            let socket = try UDPSocket.bind(entry.socket.localEndpoint, options: options)
            try socket.setReceiveBuffer(configuration.socketBuffer)
            made.append(Entry(socket: socket, use: .marked))
        }
        return made
    }

    /// How many of an earlier process's sockets are those of a worker; the others are for IKE alone.
    static func count(_ configuration: PlaneConfiguration) -> Int {
        configuration.ikeEndpoints.count + configuration.sharedEndpoints.count
            + (configuration.carriesPlainESP ? 2 * plainFamilies(configuration).count : 0)
    }

    /// Spreads what comes in over the workers, by the index in the SPI, and IKE to the sockets that are for it alone,
    /// where there are some. To be called when all are bound.
    func spread(over workers: Int, ikeApart: Bool) throws(SystemError) {
        for entry in entries where entry.use == .shared {
            try (entry.socket as? UDPSocket)?.spread(over: workers, mask: SPILayout.mask, zerosApart: ikeApart)
        }
    }

    /// The socket to send ESP from this end with; nil when there is none.
    func index(forESPFrom local: Endpoint, inUDP: Bool) -> Int? {
        if !inUDP { return entries.firstIndex { $0.use == .plainESP && $0.serves(local) } }
        return entries.firstIndex {
            $0.use == .shared && $0.bound.port == local.port && $0.serves(local)
        } ?? entries.firstIndex { $0.use == .shared && $0.serves(local) }
    }

    /// The socket to send AH from this end with; nil when there is none.
    func index(forAHFrom local: Endpoint) -> Int? {
        entries.firstIndex { $0.use == .authenticated && $0.serves(local) }
    }

    /// The socket to send an IKE message from this end with; nil when there is none.
    func index(forIKEFrom local: Endpoint, marker: Bool) -> Int? {
        entries.firstIndex {
            ($0.use == .ike || $0.use == .shared) && $0.bound.port == local.port && $0.serves(local)
        } ?? entries.firstIndex { $0.use == (marker ? .shared : .ike) && $0.serves(local) }
    }
}
