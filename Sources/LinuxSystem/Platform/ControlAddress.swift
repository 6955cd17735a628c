public import NetworkTypes

/// Where a gateway's control protocol is spoken: a Unix socket, or TCP on this machine alone.
///
/// It owns the spelling, which is strongSwan's: `unix://PATH`, a path, `tcp://127.0.0.1:4502`.
public enum ControlAddress: Hashable, Sendable, CustomStringConvertible {
    /// A Unix socket, whose file says who may connect.
    case path(String)
    /// TCP on loopback, where whoever has an account on this machine may connect.
    case loopback(Endpoint)

    /// Why a text is no such address.
    public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        /// What it is, and what would do.
        public let description: String
    }

    private static let tcp = "tcp://"

    /// Reads it. What would be heard from other machines is refused: nobody proves who they are in this protocol, and
    /// whoever speaks it may do everything.
    public init(_ text: String) throws(Problem) {
        guard !text.isEmpty, text != "unix://" else {
            throw Problem(description: "no socket is named; write unix://PATH or tcp://127.0.0.1:PORT")
        }
        if text.hasPrefix("unix://") {
            self = .path(String(text.dropFirst("unix://".count)))
            return
        }
        guard text.hasPrefix(Self.tcp) else {
            guard !text.contains("://") else {
                throw Problem(description: "'\(text)' is neither unix://PATH nor tcp://127.0.0.1:PORT")
            }
            self = .path(text)
            return
        }
        let place = text.dropFirst(Self.tcp.count)
        guard let colon = place.lastIndex(of: ":"), let port = UInt16(place[place.index(after: colon)...]), port != 0
        else { throw Problem(description: "'\(text)' names no port; write tcp://127.0.0.1:PORT") }
        var host = place[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard let address = IPAddress(String(host)) else {
            throw Problem(description: "'\(host)' is no address; write tcp://127.0.0.1:\(port) or tcp://[::1]:\(port)")
        }
        guard address.isLoopback else {
            throw Problem(
                description: "\(address) is not on loopback: whoever reaches the control protocol may do everything, "
                    + "unasked and unseen. Use tcp://127.0.0.1:\(port), and ssh -L from elsewhere")
        }
        self = .loopback(Endpoint(address, port))
    }

    /// As it can be read again; a path without `unix://`.
    public var description: String {
        switch self {
        case .path(let path): path
        case .loopback(let endpoint):
            endpoint.address.family == .v4
                ? "\(Self.tcp)\(endpoint.address):\(endpoint.port)"
                : "\(Self.tcp)[\(endpoint.address)]:\(endpoint.port)"
        }
    }

    /// As other programs take it.
    public var uri: String { if case .path(let path) = self { "unix://\(path)" } else { description } }
}
