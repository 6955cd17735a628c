public import GatewayModel
import NetworkTypes

/// Which connections are Cloudflare's tunnels, or those of its customers, and between which addresses each is: of two
/// between the same addresses, none can be told by an address. Other peers do not mind.
///
/// It owns what it takes to compare them. One more is compared with those alone that may have the same peer, so that ten
/// thousand of them can be loaded one by one.
public struct CloudflareTunnels {
    private struct Tunnel {
        let name: String
        let isGateway: Bool
        /// Whether an address names it.
        let isAddressed: Bool
        let local: [AddressPattern]
        let remote: [AddressPattern]

        /// Nil when the connection is no tunnel of Cloudflare's.
        init?(_ connection: Connection) {
            isGateway = connection.profile == PeerProfile.cloudflareGateway.name
            guard isGateway || connection.profile == PeerProfile.cloudflare.name else { return nil }
            name = connection.name
            local = connection.localAddresses
            remote = connection.remoteAddresses
            let identity = isGateway ? connection.remote.identity : connection.local.identity.map { .exactly($0) }
            switch identity {
            case .exactly(let exact)?: isAddressed = exact.kind == .ipv4Address
            case nil: isAddressed = true
            default: isAddressed = false
            }
        }

        /// The peer's addresses; nil when they are not all written down.
        var peers: [IPAddress]? {
            let known = remote.compactMap(\.single)
            return known.count == remote.count && !known.isEmpty ? known : nil
        }

        func meets(_ other: Tunnel) -> Bool {
            isGateway == other.isGateway && name != other.name && AddressPattern.overlap(remote, other.remote)
                && AddressPattern.overlap(local, other.local)
        }
    }

    private var tunnels: [String: Tunnel] = [:]
    /// Names, by each address of the peer; of those whose peer may be anywhere; and of those that an address names.
    private var byPeer: [IPAddress: Set<String>] = [:]
    private var anywhere: Set<String> = []
    private var addressed: Set<String> = []

    /// None yet.
    public init() {}

    /// These are there, those that are no tunnels of Cloudflare's passed over.
    public init(_ connections: some Sequence<Connection>) { for connection in connections { set(connection) } }

    /// Takes a connection in, in place of the one of its name.
    public mutating func set(_ connection: Connection) {
        remove(connection.name)
        guard let tunnel = Tunnel(connection) else { return }
        tunnels[tunnel.name] = tunnel
        if tunnel.isAddressed { addressed.insert(tunnel.name) }
        guard let peers = tunnel.peers else {
            anywhere.insert(tunnel.name)
            return
        }
        for peer in peers { byPeer[peer, default: []].insert(tunnel.name) }
    }

    /// Takes one out.
    public mutating func remove(_ name: String) {
        guard let tunnel = tunnels.removeValue(forKey: name) else { return }
        addressed.remove(name)
        anywhere.remove(name)
        for peer in tunnel.peers ?? [] {
            byPeer[peer]?.remove(name)
            if byPeer[peer]?.isEmpty == true { byPeer[peer] = nil }
        }
    }

    /// Why a connection can't stand among those that are there: an address names it or another one, and both are between
    /// the same two addresses. Nil when nothing speaks against it; one of its own name does not.
    public func conflict(with connection: Connection) -> String? {
        guard let tunnel = Tunnel(connection), let other = rival(of: tunnel) else { return nil }
        let (named, beside) = tunnel.isAddressed ? (tunnel, other) : (other, tunnel)
        let found = Self.violation(named, beside)
        return "connection '\(named.name)', \(found.key): \(found.message); \(found.remedy)"
    }

    /// What is wrong with a connection that an address names, beside those that are there.
    func violation(of connection: Connection) -> PeerProfile.Violation? {
        guard let tunnel = Tunnel(connection), tunnel.isAddressed, let other = rival(of: tunnel) else { return nil }
        return Self.violation(tunnel, other)
    }

    private static func violation(_ tunnel: Tunnel, _ other: Tunnel) -> PeerProfile.Violation {
        PeerProfile.Violation(
            key: tunnel.isGateway ? "remote" : "local",
            message: "an address names this tunnel, and another tunnel, '\(other.name)', has the same two addresses",
            remedy: "give it the tunnel's FQDN, user FQDN or key-id")
    }

    /// One that meets `tunnel`, the first by name, where an address names either.
    private func rival(of tunnel: Tunnel) -> Tunnel? {
        var rival: Tunnel?
        func look(_ names: some Sequence<String>) {
            for name in names {
                guard let other = tunnels[name], tunnel.isAddressed || other.isAddressed, tunnel.meets(other) else {
                    continue
                }
                if rival.map({ other.name < $0.name }) ?? true { rival = other }
            }
        }
        guard let peers = tunnel.peers else {
            if tunnel.isAddressed { look(tunnels.keys) } else { look(addressed) }
            return rival
        }
        for peer in peers { look(byPeer[peer] ?? []) }
        look(!tunnel.isAddressed && addressed.count < anywhere.count ? addressed : anywhere)
        return rival
    }
}

extension AddressPattern {
    /// Whether an address may be in both lists; an empty one stands for any. What a name stands for is not known.
    fileprivate static func overlap(_ left: [AddressPattern], _ right: [AddressPattern]) -> Bool {
        guard !left.isEmpty, !right.isEmpty else { return true }
        return left.contains { one in right.contains { one.overlaps($0) } }
    }

    private func overlaps(_ other: AddressPattern) -> Bool {
        if self == .any || other == .any { return true }
        guard let range = addresses, let others = other.addresses else { return self == other }
        return range.intersection(others) != nil
    }

    private var addresses: AddressRange? {
        switch self {
        case .prefix(let prefix): prefix.range
        case .range(let range): range
        case .any, .name: nil
        }
    }
}
