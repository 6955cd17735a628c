public import Clockwork
public import NetworkTypes

/// To which other gateway a connection's clients are sent, and when (RFC 5685). Clients that do not announce that they
/// follow are served here.
public struct Redirection: Hashable, Sendable {
    /// When a client is sent away.
    public enum Moment: String, Hashable, Sendable {
        /// In IKE_SA_INIT: by its address, before anything is known of it, at next to no cost.
        case initiation = "init"
        /// At the end of IKE_AUTH: both have proved who they are, so that nobody else can send it anywhere.
        case authentication = "auth"
        /// Once it is connected: because somebody asks for it.
        case established = "active"
    }

    /// How long a client that was sent away may stay, so that it has time to connect to the other gateway.
    public static let grace = Interval.seconds(60)

    /// Where to.
    public var gateway: Host
    /// When.
    public var moment: Moment

    /// Clients are sent to `gateway` at this moment.
    public init(to gateway: Host, at moment: Moment) {
        self.gateway = gateway
        self.moment = moment
    }
}
