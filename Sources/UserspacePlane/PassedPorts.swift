public import LinuxSystem
public import NetworkTypes

/// UDP ports that somebody else has opened for the plane: a service manager, by socket activation.
///
/// It owns duplicates of the sockets for as long as the process may need them again, and the judgement which of them fit.
/// Ports that it does not have are opened by the plane itself.
public struct PassedPorts: Sendable {
    /// Why a descriptor is of no use as a port.
    public struct Refusal: Error, CustomStringConvertible {
        /// What it is, and what would be of use.
        public let description: String
    }

    private struct Port {
        let endpoint: Endpoint
        let descriptor: Descriptor
    }

    private var ports: [Port] = []

    /// None.
    public init() {}

    /// Judges what was passed, for a plane of this configuration: UDP sockets of one family each, at its ports of all
    /// addresses, one at each, or one for each worker where ESP comes.
    public init(_ passed: [PassedDescriptors.Passed], for configuration: PlaneConfiguration) throws(Refusal) {
        for each in passed {
            let name = each.name.isEmpty ? "descriptor \(each.number)" : "'\(each.name)', descriptor \(each.number)"
            func refusal(_ reason: String) -> Refusal {
                Refusal(description: "\(name), which the service manager passes, \(reason)")
            }
            // Its own number, so that what becomes of the plane's leaves this one.
            let descriptor = Descriptor(owning: each.number)
            let facts: SocketFacts
            do throws(SystemError) { facts = try SocketFacts(descriptor) } catch {
                throw refusal("is no socket")
            }
            guard facts.isDatagram, facts.isInternet else {
                throw refusal("is \(facts), and what Martlet needs is UDP (ListenDatagram=)")
            }
            let endpoint: Endpoint
            do throws(SystemError) { endpoint = try UDPSocket.adopt(descriptor).localEndpoint } catch {
                throw refusal("is no UDP socket: \(error)")
            }
            guard endpoint.address.family == .v4 || facts.isOnlyIPv6 else {
                throw refusal("is for IPv4 and IPv6 at once: it needs BindIPv6Only=ipv6-only")
            }
            let isShared = configuration.sharedEndpoints.contains(endpoint)
            guard isShared || configuration.ikeEndpoints.contains(endpoint) else {
                let wanted = (configuration.ikeEndpoints + configuration.sharedEndpoints).map(\.description)
                throw refusal("is UDP \(endpoint), and what Martlet needs is UDP \(wanted.joined(separator: ", "))")
            }
            let most = isShared ? max(configuration.workers, 1) : 1
            guard ports.count(where: { $0.endpoint == endpoint }) < most else {
                throw refusal("is one more socket at UDP \(endpoint) than the \(most) that there may be")
            }
            ports.append(Port(endpoint: endpoint, descriptor: descriptor))
        }
    }

    /// Whether there are none.
    public var isEmpty: Bool { ports.isEmpty }

    /// Their numbers, which stay valid as long as this.
    public var numbers: [Int32] { ports.map(\.descriptor.number) }

    /// What they are, for the log.
    public var endpoints: [Endpoint] { ports.map(\.endpoint) }

    /// The socket of a worker at an endpoint, as its owner would have opened it; nil when none was passed.
    func socket(at endpoint: Endpoint, worker: Int, options: SocketOptions) throws(SystemError) -> UDPSocket? {
        let fitting = ports.filter { $0.endpoint == endpoint }
        guard fitting.indices.contains(worker) else { return nil }
        return try UDPSocket.adopt(try fitting[worker].descriptor.duplicate(), options: options)
    }
}
