/// An address and a UDP port.
public struct Endpoint: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The address.
    public var address: IPAddress
    /// The port.
    public var port: UInt16

    /// An address and a port.
    public init(_ address: IPAddress, _ port: UInt16) {
        self.address = address
        self.port = port
    }

    /// By address, then by port.
    public static func < (left: Endpoint, right: Endpoint) -> Bool {
        (left.address, left.port) < (right.address, right.port)
    }

    /// `192.0.2.1[500]`, as the field writes it.
    public var description: String { "\(address)[\(port)]" }
}

/// The two ends that a datagram travels between, seen from our side.
public struct Path: Hashable, Sendable, CustomStringConvertible {
    /// Our end.
    public var local: Endpoint
    /// The peer's end, or what a NAT shows of it.
    public var remote: Endpoint

    /// The two ends.
    public init(local: Endpoint, remote: Endpoint) {
        self.local = local
        self.remote = remote
    }

    /// The same path seen from the peer.
    public var reversed: Path { Path(local: remote, remote: local) }

    /// `local → remote`.
    public var description: String { "\(local) → \(remote)" }
}
