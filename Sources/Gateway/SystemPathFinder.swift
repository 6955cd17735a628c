public import GatewayModel
public import IKECore
public import LinuxSystem
import NetworkTypes

/// Asks the kernel which of our addresses reaches a peer.
///
/// It owns a netlink socket. It never looks up a name and never changes a route. The question carries the mark of
/// Martlet's own packets, so that the answer is not a tunnel of ours.
public final class SystemPathFinder: PathFinder {
    private let routes: RouteSocket
    private let mark: UInt32?

    /// Asks on behalf of packets with `mark`.
    public init(mark: UInt32?) throws(SystemError) {
        routes = try RouteSocket()
        self.mark = mark
    }

    /// The first remote address that is one address, from the configured local address or the one that the route has.
    public func path(for connection: Connection) -> Answer {
        guard let remote = connection.remoteAddresses.lazy.compactMap(\.single).first else {
            return .noPath("`remote_addrs` names no single address, so that only the peer can start")
        }
        let configured = connection.localAddresses.lazy.compactMap(\.single).first { $0.family == remote.family }
        do {
            let local = try configured ?? source(toward: remote)
            return .path(
                Path(
                    local: Endpoint(local, connection.localPort), remote: Endpoint(remote, connection.remotePort)))
        } catch {
            return .noPath(String(describing: error))
        }
    }

    private struct NoSource: Error, CustomStringConvertible {
        let description: String
    }

    private func source(toward remote: IPAddress) throws -> IPAddress {
        switch try routes.lookup(remote, mark: mark) {
        case .reachable(let route):
            guard let source = route.preferredSource else {
                throw NoSource(description: "the route to \(remote) has no source address")
            }
            return source
        case .unreachable(let reason):
            throw NoSource(description: "there is no route to \(remote): \(reason)")
        }
    }
}
