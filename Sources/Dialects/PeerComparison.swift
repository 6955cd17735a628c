import Clockwork
public import GatewayModel
import IPsecCrypto
import NetworkTypes

/// Something in which two ends of a tunnel do not agree.
public struct PeerMismatch: Hashable, Sendable {
    /// What comes of it.
    public enum Severity: String, Hashable, Sendable {
        /// The tunnel can't come up.
        case fatal
        /// It comes up and fails later, or does less than somebody wanted.
        case later
    }

    /// What comes of it.
    public var severity: Severity
    /// What it is about.
    public var subject: String
    /// What we have.
    public var ours: String
    /// What the other end has.
    public var theirs: String
    /// What happens, and what to change: one sentence.
    public var remedy: String

    /// A disagreement.
    public init(severity: Severity, subject: String, ours: String, theirs: String, remedy: String) {
        self.severity = severity
        self.subject = subject
        self.ours = ours
        self.theirs = theirs
        self.remedy = remedy
    }
}

/// Compares our connection with the other end's, as that end would load it.
///
/// It owns what has to meet for a tunnel to come up and stay up. Secrets are compared by whoever holds them.
public enum PeerComparison {
    /// Everything in which they do not meet, in the order of a tunnel's life; empty when nothing stands in the way.
    public static func mismatches(ours: Connection, theirs: Connection) -> [PeerMismatch] {
        addresses(ours, theirs) + proposals(ours, theirs) + authentication(ours, theirs) + children(ours, theirs)
    }

    private static func fatal(_ subject: String, _ ours: String, _ theirs: String, _ remedy: String) -> PeerMismatch {
        PeerMismatch(severity: .fatal, subject: subject, ours: ours, theirs: theirs, remedy: remedy)
    }

    private static func later(_ subject: String, _ ours: String, _ theirs: String, _ remedy: String) -> PeerMismatch {
        PeerMismatch(severity: .later, subject: subject, ours: ours, theirs: theirs, remedy: remedy)
    }

    // MARK: Addresses

    private static func addresses(_ ours: Connection, _ theirs: Connection) -> [PeerMismatch] {
        var found: [PeerMismatch] = []
        let pairs = [
            ("the peer's address", ours.remoteAddresses, theirs.localAddresses),
            ("our address", ours.localAddresses, theirs.remoteAddresses),
        ]
        for (subject, mine, its) in pairs where !mine.isEmpty && !its.isEmpty {
            let singles = its.compactMap(\.single)
            let meets =
                singles.isEmpty || singles.contains { address in mine.contains { $0.contains(address) } }
                || mine.compactMap(\.single).contains { address in its.contains { $0.contains(address) } }
            if !meets {
                found.append(
                    fatal(
                        subject, list(mine), list(its),
                        "Packets go to an address where nobody waits for them, unless a NAT in between explains it."))
            }
        }
        if ours.remoteAddresses.compactMap(\.single).isEmpty, theirs.remoteAddresses.compactMap(\.single).isEmpty,
            !hasName(ours.remoteAddresses), !hasName(theirs.remoteAddresses)
        {
            found.append(
                fatal("who starts", "any address", "any address", "Neither end knows where the other is: name one."))
        }
        return found
    }

    private static func hasName(_ patterns: [AddressPattern]) -> Bool {
        patterns.contains { if case .name = $0 { true } else { false } }
    }

    private static func list(_ patterns: [some CustomStringConvertible]) -> String {
        patterns.map(\.description).joined(separator: ", ")
    }

    // MARK: IKE

    private static func proposals(_ ours: Connection, _ theirs: Connection) -> [PeerMismatch] {
        if Proposal.select(from: theirs.proposals, configured: ours.proposals) != nil { return [] }
        let nearest = Proposal.mismatch(of: ours.proposals, against: theirs.proposals)
        return [
            fatal(
                "IKE algorithms", list(ours.proposals), list(theirs.proposals),
                "NO_PROPOSAL_CHOSEN. "
                    + (nearest.map { "The nearest pair differs in \($0)." } ?? "Nothing is in common."))
        ]
    }

    private static func authentication(_ ours: Connection, _ theirs: Connection) -> [PeerMismatch] {
        var found: [PeerMismatch] = []
        if ours.local.method != theirs.remote.method {
            found.append(
                fatal(
                    "how we prove ourselves", ours.local.method.rawValue, theirs.remote.method.rawValue,
                    "AUTHENTICATION_FAILED: both have to name the same method for this end."))
        }
        if theirs.local.method != ours.remote.method {
            found.append(
                fatal(
                    "how the peer proves itself", ours.remote.method.rawValue, theirs.local.method.rawValue,
                    "AUTHENTICATION_FAILED: both have to name the same method for this end."))
        }
        found += identity("our identity", of: ours, at: theirs, isOurs: true)
        found += identity("the peer's identity", of: theirs, at: ours, isOurs: false)
        return found
    }

    /// Whether who proves itself is whom the other end expects.
    private static func identity(
        _ subject: String, of prover: Connection, at verifier: Connection, isOurs: Bool
    ) -> [PeerMismatch] {
        let shown =
            prover.local.identity.map { [$0] } ?? prover.localAddresses.compactMap(\.single).map { Identity($0) }
        guard !shown.isEmpty else { return [] }
        let patterns =
            verifier.remote.identity.map { [$0] }
            ?? verifier.remoteAddresses.compactMap(\.single).map { .exactly(Identity($0)) }
        if patterns.isEmpty || shown.contains(where: { identity in patterns.contains { $0.matches(identity) } }) {
            return []
        }
        let (said, expected) = (words(shown), patterns.map(\.description).joined(separator: ", "))
        let kinds = Set(shown.map(\.kind))
        let hasOtherKind = patterns.contains { pattern in
            if case .exactly(let wanted) = pattern { !kinds.contains(wanted.kind) } else { false }
        }
        return [
            fatal(
                subject, isOurs ? said : expected, isOurs ? expected : said,
                "AUTHENTICATION_FAILED: "
                    + (hasOtherKind
                        ? "the two are of different types, which counts even where the text is the same."
                        : "the two texts have to be the same."))
        ]
    }

    private static func words(_ identities: [Identity]) -> String {
        identities.map { "\($0) (\($0.kind))" }.joined(separator: ", ")
    }

    // MARK: Children

    private static func children(_ ours: Connection, _ theirs: Connection) -> [PeerMismatch] {
        var found: [PeerMismatch] = []
        let theirChildren = theirs.children.filter { $0.shunt == nil }
        for child in ours.children where child.shunt == nil {
            let fitting = theirChildren.filter { meet(child, $0, ours, theirs) }
            guard let other = fitting.first(where: { $0.mode == child.mode }) ?? fitting.first else {
                let nearest = theirChildren.first
                found.append(
                    fatal(
                        "networks of '\(child.name)'", text(child.localSelectors, child.remoteSelectors),
                        nearest.map { text($0.remoteSelectors, $0.localSelectors) } ?? "nothing",
                        "TS_UNACCEPTABLE: what is local here has to be remote there. (Theirs is shown from our side.)"))
                continue
            }
            found += compare(child, other, ours, theirs)
        }
        return found
    }

    private static func compare(
        _ child: ChildTemplate, _ other: ChildTemplate, _ ours: Connection, _ theirs: Connection
    ) -> [PeerMismatch] {
        var found: [PeerMismatch] = []
        func bare(_ proposals: [Proposal]) -> [Proposal] { proposals.map { $0.removing(.keyExchange) } }
        if Proposal.select(from: bare(other.proposals), configured: bare(child.proposals)) == nil {
            let nearest = Proposal.mismatch(of: bare(child.proposals), against: bare(other.proposals))
            found.append(
                fatal(
                    "algorithms of '\(child.name)'", list(child.proposals), list(other.proposals),
                    "NO_PROPOSAL_CHOSEN. " + (nearest.map { "The nearest pair differs in \($0)." } ?? "")))
        } else if Proposal.select(from: other.proposals, configured: child.proposals) == nil {
            found.append(
                later(
                    "forward secrecy of '\(child.name)'", list(child.proposals), list(other.proposals),
                    "The tunnel comes up, and fails when it is rekeyed: both need the same group, or none."))
        }
        if child.mode != other.mode {
            found.append(
                later(
                    "mode of '\(child.name)'", child.mode.rawValue, other.mode.rawValue,
                    "Transport mode needs both ends to want it."))
        }
        if child.truncatesSHA256 != other.truncatesSHA256,
            child.proposals.contains(where: { $0.transforms.contains(.sha256) })
        {
            found.append(
                later(
                    "sha256_96 of '\(child.name)'", child.truncatesSHA256 ? "yes" : "no",
                    other.truncatesSHA256 ? "yes" : "no", "Every packet fails its integrity check."))
        }
        let (mine, its) = (selectors(child, ours), selectors(other, theirs))
        if let mine, let its, !contains(its.remote, mine.local) || !contains(its.local, mine.remote) {
            found.append(
                later(
                    "networks of '\(child.name)'", text(child.localSelectors, child.remoteSelectors),
                    text(other.remoteSelectors, other.localSelectors),
                    "The other end narrows them: only what both name is tunnelled."))
        }
        return found
    }

    private static func meet(
        _ child: ChildTemplate, _ other: ChildTemplate, _ ours: Connection, _ theirs: Connection
    ) -> Bool {
        // An end whose address nobody knows can't be compared.
        guard let mine = selectors(child, ours), let its = selectors(other, theirs) else { return true }
        func intersect(_ left: [TrafficSelector], _ right: [TrafficSelector]) -> Bool {
            left.contains { selector in right.contains { selector.intersection($0) != nil } }
        }
        return intersect(mine.local, its.remote) && intersect(mine.remote, its.local)
    }

    private static func contains(_ wide: [TrafficSelector], _ narrow: [TrafficSelector]) -> Bool {
        narrow.allSatisfy { selector in wide.contains { $0.contains(selector) } }
    }

    /// A child's selectors with addresses in place of dynamic ones; nil where one is not known.
    private static func selectors(
        _ child: ChildTemplate, _ connection: Connection
    ) -> (local: [TrafficSelector], remote: [TrafficSelector])? {
        func resolved(_ templates: [SelectorTemplate], _ patterns: [AddressPattern]) -> [TrafficSelector]? {
            var result: [TrafficSelector] = []
            for template in templates {
                if let addresses = template.addresses {
                    result.append(TrafficSelector(addresses, ipProtocol: template.ipProtocol, ports: template.ports))
                } else if let end = patterns.lazy.compactMap(\.single).first {
                    result.append(template.resolved(for: end))
                } else {
                    return nil
                }
            }
            return result
        }
        guard let local = resolved(child.localSelectors, connection.localAddresses),
            let remote = resolved(child.remoteSelectors, connection.remoteAddresses)
        else { return nil }
        return (local, remote)
    }

    private static func text(_ local: [SelectorTemplate], _ remote: [SelectorTemplate]) -> String {
        "\(list(local)) === \(list(remote))"
    }
}
