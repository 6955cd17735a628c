import GatewayModel
import NetworkTypes

/// Whom a request is about, and where: what every request to a server says of an IKE SA (RFC 2865 §5, RFC 3580).
struct Station: Hashable, Sendable {
    /// The IKE SA with which it began; it is called by this number all its life.
    var origin: IKESAID
    /// What no other session has, of this process or an earlier one (RFC 2866 §5.5).
    var sessionID: String
    /// The connection's name.
    var connection: String
    /// Both ends.
    var path: Path

    /// The attributes that say it.
    func attributes(withPorts: Bool) -> [RADIUSAttribute] {
        let own = path.local.address
        return [
            // Virtual (RFC 2865 §5.41), Framed (§5.6).
            RADIUSAttribute(.nasPortType, number: 5), RADIUSAttribute(.serviceType, number: 2),
            RADIUSAttribute(.nasPort, number: origin.rawValue), RADIUSAttribute(.nasPortID, text: connection),
            RADIUSAttribute(own.family == .v4 ? .nasIPAddress : .nasIPv6Address, own),
            RADIUSAttribute(.calledStationID, text: Self.name(path.local, withPorts)),
            RADIUSAttribute(.callingStationID, text: Self.name(path.remote, withPorts)),
            RADIUSAttribute(.acctSessionID, text: sessionID),
        ]
    }

    private static func name(_ end: Endpoint, _ withPort: Bool) -> String {
        withPort ? "\(end)" : "\(end.address)"
    }
}
