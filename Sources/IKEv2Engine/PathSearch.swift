import Clockwork
import GatewayModel
import IKECore
import NetworkTypes

/// The initiator before its first message: which of our addresses reaches which of the peer's?
///
/// It owns nothing but the question.
struct PathSearch: ~Copyable {
    /// Asks.
    static func start(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.ask(.path(context.connection), &turn)
        return .findingPath(PathSearch())
    }

    /// The way is known, or there is none.
    consuming func answer(_ answer: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        let connection = context.connection
        switch answer {
        case .path(let found):
            // Ports that the answer leaves open are the connection's.
            var path = found
            if path.local.port == 0 { path.local.port = connection.localPort }
            if path.remote.port == 0 { path.remote.port = connection.remotePort }
            context.path = path
            // On any port but 500, messages carry the non-ESP marker from the start.
            let plain = turn.configuration.plainPorts
            let isPlain = plain.contains(connection.localPort) && plain.contains(connection.remotePort)
            context.socket = isPlain ? .plain : .natTraversal
            context.localIdentity = connection.ownIdentity(at: path.local.address)
            if case .exactly(let peer) = connection.expectedIdentity(of: path.remote.address) {
                context.remoteIdentity = peer
            }
            context.enter(.connecting, &turn)
            return InitInitiator.start(context, &turn)
        case .noPath(let reason):
            return Self.failed(context, reason, &turn)
        case .proof, .verified, .verifiedInReturn, .falseProof, .nearMiss, .noSecret, .encapsulated, .publicKeyRefused,
            .mixed, .leased, .noLease, .lastUse, .eap, .signed, .noPrivateKey, .certified, .untrusted:
            return Self.failed(context, "the answer is not a path", &turn)
        }
    }

    private static func failed(_ context: SessionContext, _ reason: String, _ turn: inout Turn) -> Phase {
        let remote = context.connection.remoteAddresses.map(\.description).joined(separator: ", ")
        let refusal = Refusal.noPath(remote: remote, reason: reason)
        context.refuse(refusal, &turn)
        return .closed(.failed(refusal))
    }
}
