import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes
import WireFormat

/// What one kind of peer demands: defaults for what a configuration leaves out, and rules for what it says.
///
/// It owns no connection. A rule says what the peer would refuse, so that the mistake shows here and now, with its reason,
/// and not as an answer without words from far away. One file per peer holds its facts.
struct PeerProfile: Sendable {
    /// What a configuration writes: `profile = …`.
    let name: String
    /// Who it is, in messages.
    let peer: String
    /// Keys of the connection that are read as if they stood there, where they do not.
    var connection: [String: String] = [:]
    /// The same for each of its children.
    var child: [String: String] = [:]
    /// The IKE algorithms that the peer takes; nil where it takes anything.
    var ike: AlgorithmTable?
    /// The ESP algorithms that the peer takes; nil where it takes anything.
    var esp: AlgorithmTable?
    /// Whether the peer proves itself, and wants us to, with pre-shared keys only.
    var needsSharedKeys = false
    /// Lifetimes of the IKE SA that the peer takes.
    var ikeLifetime: ClosedRange<Interval>?
    /// Lifetimes of a Child SA that the peer takes.
    var childLifetime: ClosedRange<Interval>?
    /// Replay windows that the peer gets along with.
    var replayWindow: ClosedRange<Int>?
    /// Whether 64-bit sequence numbers may be offered.
    var allowsExtendedSequenceNumbers = true
    /// Additional key exchanges (RFC 9370) that the peer takes; nil where it takes anything.
    var additionalKeyExchanges: [String]? = []
    /// Whether packets may be protected by AH.
    var allowsAH = false
    /// Whether we refuse a peer that goes on from another port than the one on which it started.
    var refusesPortChange = false
    /// What is wrong with a pre-shared key, in words that tell nothing of it; nil where any will do.
    var secretRule: (@Sendable (SecretBytes) -> String?)?
    /// The most Child SAs at once.
    var largestChildCount: Int?
    /// What no table holds.
    var rules: [@Sendable (Connection) -> [Violation]] = []

    /// Something that the peer would refuse, or that is unwise with it.
    struct Violation: Hashable {
        /// The key that says it.
        let key: String
        /// The child in which it stands; nil for the connection.
        var child: String?
        /// What is wrong, and who says so.
        let message: String
        /// What to write.
        let remedy: String
        /// Whether it works, and is unwise all the same.
        var isAdvice = false
    }

    /// Names of algorithms by role, as proposals write them.
    struct AlgorithmTable: Sendable {
        var encryption: [String]
        var integrity: [String]
        var prf: [String] = []
        var groups: [String]

        /// The names for one role; nil where anything is allowed.
        func allowed(_ type: TransformType) -> [String]? {
            switch type {
            case .encryption: encryption
            case .integrity: integrity
            case .prf: prf.isEmpty ? nil : prf
            case .keyExchange: groups
            default: nil
            }
        }
    }

    /// All profiles, by name.
    static let all: [PeerProfile] = [
        .cloudflare, .cloudflareGateway, .zscaler, .zscalerGateway, .aws, .azure, .google, .windows, .apple, .android,
    ]

    /// The profile of a connection.
    static func named(_ text: String) throws(ValueProblem) -> PeerProfile {
        try ValueSyntax.word(text, all.map { ($0.name, $0) })
    }

    /// Everything that the peer would refuse about a connection, and what is unwise with it.
    func violations(_ connection: Connection) -> [Violation] {
        var found = algorithms(connection.proposals, ike, "proposals", child: nil)
        for child in connection.children where child.shunt == nil {
            found += childAlgorithms(child)
            found += childViolations(child)
        }
        if needsSharedKeys {
            for (end, method) in [("local", connection.local.method), ("remote", connection.remote.method)]
            where method != .sharedKey {
                found.append(
                    Violation(
                        key: end, message: "\(peer) knows pre-shared keys only",
                        remedy: "write auth = psk in the section '\(end)'"))
            }
        }
        if let ikeLifetime {
            found += lifetime(connection.rekeyTime, ikeLifetime, "rekey_time", child: nil)
            found += lifetime(connection.reauthTime, ikeLifetime, "reauth_time", child: nil)
        }
        let tunnels = connection.children.filter { $0.shunt == nil }
        if let largestChildCount, tunnels.count > largestChildCount {
            found.append(
                Violation(
                    key: "children",
                    message:
                        "\(peer) takes \(largestChildCount) \(largestChildCount == 1 ? "child" : "children") at most",
                    remedy: "put several networks into local_ts and remote_ts of one child"))
        }
        for rule in rules { found += rule(connection) }
        return found
    }

    private func childViolations(_ child: ChildTemplate) -> [Violation] {
        var found: [Violation] = []
        if let replayWindow, !replayWindow.contains(child.replayWindow) {
            let wanted = replayWindow.upperBound == 0 ? "0" : "\(replayWindow.lowerBound) to \(replayWindow.upperBound)"
            found.append(
                Violation(
                    key: "replay_window", child: child.name,
                    message: "\(peer) needs a replay window of \(wanted)", remedy: "write replay_window = \(wanted)"))
        }
        if child.mode != .tunnel {
            found.append(
                Violation(
                    key: "mode", child: child.name, message: "\(peer) knows tunnel mode only",
                    remedy: "write mode = tunnel"))
        }
        if let childLifetime {
            found += lifetime(child.rekeyTime, childLifetime, "rekey_time", child: child.name)
        }
        return found
    }

    private func lifetime(
        _ time: Interval, _ range: ClosedRange<Interval>, _ key: String, child: String?
    ) -> [Violation] {
        // Never is the other end's choice.
        guard time > .zero, !range.contains(time) else { return [] }
        return [
            Violation(
                key: key, child: child,
                message:
                    "\(peer) has lifetimes of \(range.lowerBound.wholeSeconds) to \(range.upperBound.wholeSeconds) s",
                remedy: "write \(key) between \(range.lowerBound.wholeSeconds)s and \(range.upperBound.wholeSeconds)s")
        ]
    }
}

extension PeerProfile {
    /// A range of lifetimes in seconds.
    static func seconds(_ lower: Int64, _ upper: Int64) -> ClosedRange<Interval> { .seconds(lower)...(.seconds(upper)) }
}
