import GatewayModel
import IKECore
import NetworkTypes

/// What a gateway's parts want to know of all connections together.
extension Configuration {
    /// The peers' networks of the children that are meant, as far as they are known before anybody has connected.
    func remotePrefixes(where isMeant: (ChildTemplate) -> Bool) -> [IPPrefix] {
        connections.flatMap(\.children).filter { $0.shunt == nil && $0.interface == nil && isMeant($0) }.flatMap(
            \.remoteSelectors
        ).flatMap {
            $0.addresses?.prefixes ?? []
        }
    }

    /// Whether any child has a program to be told of tunnels.
    var hasUpdown: Bool { connections.contains { $0.children.contains { !$0.updown.isEmpty } } }
}
