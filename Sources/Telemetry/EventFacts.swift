public import GatewayModel
import NetworkTypes

/// What an event is about, as values by which programs choose: the journal's fields.
///
/// It owns the events' stable names. It has no sentence (``EventText`` does) and, like events, no secret.
public struct EventFacts: Hashable, Sendable {
    /// `child-installed`, `refused`…
    public let name: String
    /// The child's name; nil when it is about none.
    public private(set) var child: String?
    /// The peer's address; nil where it is not known.
    public private(set) var peer: String?
    /// The diagnosis's code, `E-SELECTORS`; nil when nothing failed.
    public private(set) var code: String?

    /// What is known of an event by itself.
    public init(_ event: Event) {
        peer = event.peer?.description
        switch event.kind {
        case .ikeStateChanged: name = "ike-state"
        case .ikeEstablished: name = "ike-established"
        case .peerCertified: name = "peer-certified"
        case .ikeClosed(let reason):
            name = "ike-closed"
            code = Self.code(reason, nil)
        case .ikeProposalChosen: name = "ike-proposal"
        case .natDetected: name = "nat"
        case .pathChanged(_, let path):
            name = "path-changed"
            peer = path.remote.address.description
        case .childInstalled(let summary):
            name = "child-installed"
            child = summary.name
        case .childClosed(let summary, let reason):
            name = "child-closed"
            child = summary.name
            code = Self.code(reason, summary.name)
        case .refused(let refusal, let child):
            name = "refused"
            self.child = child
            peer = peer ?? Self.peer(refusal)
            code = Diagnosis(refusal, child: child).code
        case .sent(_, _, let path):
            name = "sent"
            peer = path.remote.address.description
        case .exchanged: name = "exchanged"
        case .received(_, _, let path):
            name = "received"
            peer = path.remote.address.description
        case .retransmitted: name = "retransmitted"
        case .answeredAgain: name = "answered-again"
        case .dropped(_, let path):
            name = "dropped"
            peer = path.remote.address.description
        case .cookieDemanded: name = "cookie"
        case .keyExchangeRetried: name = "key-exchange-retried"
        case .redirected: name = "redirected"
        case .peerAlive: name = "peer-alive"
        case .hostConfigured: name = "host-configured"
        case .hostUnconfigured: name = "host-unconfigured"
        case .leased: name = "leased"
        case .leftOut: name = "left-out"
        }
    }

    private static func code(_ reason: Event.CloseReason, _ child: String?) -> String? {
        guard case .failed(let refusal) = reason else { return nil }
        return Diagnosis(refusal, child: child).code
    }

    private static func peer(_ refusal: Refusal) -> String? {
        switch refusal {
        case .noConnection(let path), .notGoneOn(let path, _), .noAnswer(_, let path, _, _):
            path.remote.address.description
        default: nil
        }
    }
}
