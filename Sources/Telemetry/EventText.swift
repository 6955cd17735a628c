public import GatewayModel
import IPsecCrypto
import NetworkTypes

/// An event as a log line.
///
/// It owns words; it never filters and never writes. The groups and levels are those by which this field's engineers
/// tune their logs (1: what an operator wants to know, 2: every message, 3: what was dropped).
public struct EventText: Sendable {
    /// Which part of the gateway speaks.
    public enum Group: String, Sendable {
        case ike = "IKE"
        case child = "CHD"
        case network = "NET"
    }

    /// Which part speaks.
    public let group: Group
    /// 0 for errors, 1 for what an operator wants to know, 2 and 3 for what a person looking for a fault wants to know.
    public let level: Int
    /// The words, without time or names.
    public let text: String

    /// The level of messages that come and go.
    public static let messageLevel = 2

    /// Whether an event's ``level`` may be as low as this: words cost time, and most events of a busy gateway are told to
    /// nobody. True where that is not known without the words.
    public static func mayConcern(level: Int, _ kind: Event.Kind) -> Bool {
        switch kind {
        case .ikeEstablished, .ikeClosed, .childInstalled, .childClosed, .pathChanged: level >= 1
        case .sent, .received, .ikeStateChanged, .ikeProposalChosen, .natDetected: level >= messageLevel
        case .dropped: level >= 3
        case .exchanged: level >= 4
        default: true
        }
    }

    /// Puts an event into words.
    public init(_ event: Event) {
        switch event.kind {
        case .ikeStateChanged(let from, let to):
            self.init(.ike, 2, "state \(from.rawValue) → \(to.rawValue)")
        case .ikeEstablished(let summary):
            self.init(
                .ike, 1,
                "IKE SA established between \(summary.path.local.address)[\(summary.localIdentity?.description ?? "?")] and "
                    + "\(summary.path.remote.address)[\(summary.remoteIdentity?.description ?? "?")]"
                    + (summary.algorithms.map { ", \($0)" } ?? ""))
        case .peerCertified(let certificate): self.init(.ike, 1, Self.describe(certificate))
        case .ikeClosed(let reason): self.init(.ike, 1, "IKE SA closed: \(Self.describe(reason))")
        case .ikeProposalChosen(let proposal): self.init(.ike, 2, "chose \(proposal)")
        case .natDetected(let local, let remote):
            let text =
                switch (local, remote) {
                case (true, true): "a NAT hides both ends"
                case (true, false): "a NAT hides us"
                case (false, true): "a NAT hides the peer"
                case (false, false): "no NAT on the way"
                }
            self.init(.ike, 2, text)
        case .hostConfigured(let settings): self.init(.ike, 1, "the peer gave us \(Self.describe(settings))")
        case .hostUnconfigured(let settings): self.init(.ike, 1, "given up: \(Self.describe(settings))")
        case .leased(let lease):
            let addresses = lease.loans.map { "\($0.address) of pool '\($0.pool)'" }
            let prefixes = lease.prefixLoans.map { "\($0.prefix) of pool '\($0.pool)'" }
            let loans = (addresses + prefixes).joined(separator: ", ")
            let lack = lease.shortfall.map { ", and no prefix: \($0)" } ?? ""
            self.init(.ike, 1, "assigned \(loans) to '\(lease.identity)'\(lack)")
        case .leftOut(let count):
            self.init(.ike, 1, "\(count) more about peers that have not proved who they are, which nobody was told")
        case .pathChanged(let from, let to): self.init(.ike, 1, "path changed from \(from) to \(to)")
        case .childInstalled(let child):
            self.init(
                .child, 1,
                "child '\(child.name)' installed: \(Self.list(child.localSelectors)) === "
                    + "\(Self.list(child.remoteSelectors)), \(child.algorithms)")
        case .childClosed(let child, let reason):
            self.init(.child, 1, "child '\(child.name)' closed: \(Self.describe(reason))")
        case .refused(let refusal, let child):
            let diagnosis = Diagnosis(refusal, child: child)
            self.init(child == nil ? .ike : .child, 0, "\(diagnosis.code): \(diagnosis.text)")
        case .sent(let summary, let bytes, let path):
            self.init(.network, 2, "sent \(summary) (\(bytes) octets) \(path.local) → \(path.remote)")
        case .received(let summary, let bytes, let path):
            self.init(.network, 2, "received \(summary) (\(bytes) octets) \(path.remote) → \(path.local)")
        case .exchanged(let kind):
            self.init(
                .network, 4,
                "\(kind.isSent ? "sent" : "received") \(kind.isResponse ? "a response" : "a request") of exchange "
                    + "\(kind.exchange)")
        case .retransmitted(let exchange, let messageID, let attempt):
            self.init(.ike, 1, "no answer to \(exchange) request \(messageID) yet, sent again (\(attempt))")
        case .answeredAgain(let messageID):
            self.init(.ike, 2, "request \(messageID) came again and got the same answer")
        case .dropped(let reason, let path):
            self.init(.network, 3, "dropped from \(path.remote): \(Self.describe(reason))")
        case .cookieDemanded(let byUs):
            self.init(.ike, 1, byUs ? "many half-open IKE SAs: asked for a cookie" : "the peer asks for a cookie")
        case .keyExchangeRetried(let from, let to):
            self.init(.ike, 1, "the peer wants \(to) in place of \(from) for the key exchange")
        case .redirected(let redirection, let byUs):
            self.init(.ike, 1, Self.describe(redirection, byUs: byUs))
        case .peerAlive: self.init(.ike, 2, "the peer answers")
        }
    }

    private init(_ group: Group, _ level: Int, _ text: String) {
        self.group = group
        self.level = level
        self.text = Printable.text(text)
    }

    private static func describe(_ redirection: Redirection, byUs: Bool) -> String {
        let moment =
            switch redirection.moment {
            case .initiation: "before anything is known of it"
            case .authentication: "now that it is known"
            case .established: "while it is connected"
            }
        return byUs
            ? "sent the client to \(redirection.gateway), \(moment)" : "the gateway sends us to \(redirection.gateway)"
    }

    /// Why an SA ended, as a clause.
    public static func describe(_ reason: Event.CloseReason) -> String {
        switch reason {
        case .asked: "asked for here"
        case .byPeer: "deleted by the peer"
        case .failed(let refusal): Diagnosis(refusal).summary
        case .peerDead: "the peer no longer answers"
        case .ikeSAEnded: "its IKE SA ended"
        case .expired: "its lifetime ended"
        case .inactive: "nothing used it"
        case .replaced: "a newer one took its place"
        case .shutdown: "the gateway stops"
        }
    }

    /// A peer's certificate as a clause: chain, key, signature, revocation.
    public static func describe(_ certificate: PeerCertificate) -> String {
        let ends = certificate.ends.map { ", valid until \(CalendarText.moment($0))" } ?? ""
        let chain = certificate.chain.map { "'\($0)'" }.joined(separator: " issued by ")
        return "the peer proved its identity with \(chain)"
            + " (\(certificate.key), \(certificate.signature)\(ends)); \(describe(certificate.revocation))"
    }

    /// What is known about revocation, as a clause.
    public static func describe(_ revocation: PeerCertificate.Revocation) -> String {
        switch revocation {
        case .notChecked: "revocation was not checked"
        case .good(let source): "not revoked, says \(source)"
        case .unknown(let reason): "revocation unknown: \(reason)"
        }
    }

    private static func describe(_ reason: Event.DropReason) -> String {
        switch reason {
        case .malformed(let clause): clause
        case .unknownSPI: "its SPIs are nobody's"
        case .forged: "its integrity check failed"
        case .outsideWindow(let messageID): "message ID \(messageID) lies outside the window"
        case .unexpected(let clause): clause
        case .tooManyHalfOpen: "too many half-open IKE SAs"
        case .rateLimited: "too many answers of this kind"
        }
    }

    private static func list(_ selectors: [TrafficSelector]) -> String {
        selectors.map(\.description).joined(separator: " ")
    }
}
