import GatewayModel
import IKECore
import NetworkTypes

/// Connections that are for the members of a group.
///
/// It owns what happens when somebody else knows the peer's groups, and tells them only once the peer has proved itself.
extension SessionContext {
    /// Stays with the connection where the peer is in one of its groups, or goes on with the first that serves the same
    /// two ends in the same way and has such a group. Who is in none gets nothing.
    func heedGroups(_ outcome: EAPOutcome, _ local: Identity, _ remote: Identity, _ turn: Turn) throws(Refusal) {
        guard !connection.admits(outcome.groups) else { return }
        let others = candidates(turn.tables).filter { candidate in
            let other = candidate.connection
            return other.name != connection.name && other.admits(outcome.groups) && !other.remote.groups.isEmpty
                && other.remote.method == .eap && other.remote.eap.isRelayed == connection.remote.eap.isRelayed
                // What was proved before is proved for this one as well.
                && other.local == connection.local && other.furtherRemote == connection.furtherRemote
                && other.furtherLocal == connection.furtherLocal
                && other.expectedIdentity(of: path.remote.address).matches(remote)
                && other.ownIdentity(at: path.local.address) == local
                && other.remote.eapIdentity == connection.remote.eapIdentity
        }
        guard let other = others.first else {
            throw .eapFailed(
                identity: remote, isPeer: true,
                .notMember(
                    name: (outcome.identity ?? remote).description, wanted: connection.remote.groups,
                    found: outcome.groups))
        }
        configured = other
    }
}

extension Connection {
    /// Whether it is for members of these groups.
    fileprivate func admits(_ groups: [String]) -> Bool {
        remote.groups.isEmpty || groups.contains(where: remote.groups.contains)
    }
}
