public import GatewayModel
public import NetworkTypes

/// Which of a gateway's two sockets: plain IKE, or the one that carries ESP as well and marks IKE with four zeros
/// (RFC 3948 §2.2). The marker itself is added and taken off outside the engine.
public enum IKESocket: Hashable, Sendable {
    /// Port 500 by default.
    case plain
    /// Port 4500 by default.
    case natTraversal
}

/// A datagram on its way in or out, without the non-ESP marker.
public struct Datagram: Hashable, Sendable {
    /// The IKE message.
    public var bytes: [UInt8]
    /// Both ends.
    public var path: Path
    /// Which of our sockets.
    public var socket: IKESocket

    /// A datagram.
    public init(_ bytes: [UInt8], path: Path, socket: IKESocket) {
        self.bytes = bytes
        self.path = path
        self.socket = socket
    }
}

/// Everything that can happen to an engine.
public enum Input: Sendable {
    /// A datagram came.
    case datagram(Datagram)
    /// Time has passed: ``Environment/now`` may have reached a deadline.
    case deadline
    /// A question was answered.
    case answer(Ticket, Answer)
    /// Somebody asks for something.
    case command(Command)
    /// The data plane tells something.
    case plane(PlaneEvent)
    /// The machine's own addresses are these, or the ways from them have changed.
    case localAddresses([IPAddress])
    /// The configuration is another one now. IKE SAs of connections that went away or changed stay until they are
    /// closed.
    case configuration(Configuration)
}
