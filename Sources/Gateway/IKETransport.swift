public import GatewayModel
public import IKECore

/// Carries IKE messages between an engine and the network.
public protocol IKETransport: AnyObject {
    /// Sends a message; what can't be sent is lost, as on any network.
    func send(_ datagram: Datagram)
}

/// Finds the way to a connection's peer.
public protocol PathFinder: AnyObject {
    /// The addresses and ports with which to start, or why there are none.
    func path(for connection: Connection) -> Answer
}
