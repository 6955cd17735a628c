import Clockwork
import ESPEngine
import GatewayModel
import NetworkTypes

/// What is known of an outbound SA's path when it is installed or moved.
struct PathFit: Hashable, Sendable {
    /// The longest packet that goes out to the peer, as the kernel's routes say.
    var mtu: Int
    /// Whether the outer addresses are IPv6.
    var isV6: Bool
    /// Whether ESP travels in UDP.
    var inUDP: Bool
}

/// For each outbound SA, what is done to its packets before they are sealed, and what was learnt of its path since.
///
/// It owns numbers, and belongs to the thread that transmits. What was learnt is forgotten after ten minutes
/// (RFC 1191 §6.3), and then tried again by the packets themselves.
struct TunnelTable {
    private struct Origin {
        var behaviour: TunnelBehaviour
        var fit: PathFit
        var shape: SealedShape
        var remote: IPAddress
    }

    private var rules: [TunnelRules] = []
    private var origins: [Origin] = []
    private var learnt: [IPAddress: (mtu: Int, until: Instant)] = [:]
    /// When the next of what was learnt is to be forgotten.
    private(set) var next: Instant?

    private static let memory = Interval.minutes(10)

    /// What is done to the packets of the SA at `place`, which is there.
    @inline(__always)
    subscript(_ place: Int) -> TunnelRules { rules[place] }

    /// An SA is there.
    mutating func install(
        _ place: Int, _ behaviour: TunnelBehaviour, _ fit: PathFit, _ shape: SealedShape, remote: IPAddress
    ) {
        let origin = Origin(behaviour: behaviour, fit: fit, shape: shape, remote: remote)
        while origins.count <= place {
            origins.append(origin)
            rules.append(made(origin))
        }
        origins[place] = origin
        rules[place] = made(origin)
    }

    /// An SA's path is another one.
    mutating func move(_ place: Int, _ fit: PathFit, remote: IPAddress) {
        guard origins.indices.contains(place) else { return }
        origins[place].fit = fit
        origins[place].remote = remote
        rules[place] = made(origins[place])
    }

    /// Packets to `remote` may have `mtu` octets; true when that is news.
    @discardableResult
    mutating func learn(_ remote: IPAddress, _ mtu: Int, now: Instant) -> Bool {
        let places = origins.indices.filter { origins[$0].remote == remote }
        // What is wider than the way out is no news, and what nobody sends to is none of our business.
        guard places.contains(where: { mtu < origins[$0].fit.mtu }) else { return false }
        learnt[remote] = (mtu, now + Self.memory)
        next = learnt.values.map(\.until).min()
        for place in places { rules[place] = made(origins[place]) }
        return true
    }

    /// Forgets what was learnt long ago.
    mutating func forget(now: Instant) {
        learnt = learnt.filter { $0.value.until > now }
        next = learnt.values.map(\.until).min()
        for place in origins.indices { rules[place] = made(origins[place]) }
    }

    private func made(_ origin: Origin) -> TunnelRules {
        TunnelRules(
            origin.behaviour, shape: origin.shape, isV6: origin.fit.isV6, inUDP: origin.fit.inUDP,
            pathMTU: min(origin.fit.mtu, learnt[origin.remote]?.mtu ?? .max))
    }
}
