public import NetworkTypes

/// What people and programs ask an engine to do.
public enum Command: Hashable, Sendable {
    /// Bring up a child of a connection, and the IKE SA when there is none; without a child, all that the connection
    /// names.
    case initiate(connection: String, child: String?)
    /// Close IKE SAs with their children, or single children.
    case terminate(Target)
    /// Close an IKE SA with its children at once: the peer is told, and not waited for.
    case abandon(IKESAID)
    /// Replace SAs by new ones with new keys; single children, or IKE SAs, whose children live on with the new ones.
    case rekey(Target)
    /// Authenticate IKE SAs anew that we have started: new ones with the same children, from the beginning.
    case reauthenticate(Target)
    /// Send the peer of an IKE SA, which it has started, to another gateway (RFC 5685 §5).
    case redirect(IKESAID, to: Host)
    /// Close everything and accept nothing new: the gateway stops.
    case shutdown

    /// What is meant.
    public enum Target: Hashable, Sendable {
        /// All IKE SAs of a connection.
        case connection(String)
        /// All Child SAs of this name; of one connection when it is named.
        case child(String, connection: String?)
        /// One IKE SA.
        case ikeSA(IKESAID)
        /// One Child SA.
        case childSA(ChildSAID)
    }
}
