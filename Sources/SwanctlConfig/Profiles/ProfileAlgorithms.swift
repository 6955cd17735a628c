import GatewayModel
import IPsecCrypto

/// What a profile says of proposals.
///
/// It owns the comparison with the peer's tables; the tables themselves stand with the peers.
extension PeerProfile {
    private static let roles: [TransformType] = [.encryption, .integrity, .prf, .keyExchange]

    /// What the peer does not take in the proposals of an IKE SA, or of ESP or AH (`table`).
    func algorithms(_ proposals: [Proposal], _ table: AlgorithmTable?, _ key: String, child: String?) -> [Violation] {
        var found: [Violation] = []
        if let table {
            for type in Self.roles {
                guard let allowed = table.allowed(type) else { continue }
                let names = proposals.flatMap { $0.transforms(of: type) }.map(\.description)
                found += refusal(of: names, allowed, key, child)
            }
            if child != nil, !table.groups.contains("none"),
                proposals.contains(where: { $0.transforms(of: .keyExchange).isEmpty })
            {
                found.append(
                    Violation(
                        key: key, child: child,
                        message: "\(peer) takes no Child SA without a key exchange of its own (PFS)",
                        remedy: "add a group to every proposal: \(table.groups.joined(separator: ", "))"))
            }
        }
        if let additionalKeyExchanges {
            let names = proposals.flatMap(\.transforms).filter { $0.type.additionalKeyExchange != nil && $0.id != 0 }
                .map(\.keyExchangeMethod.description)
            found += refusal(of: names, additionalKeyExchanges, key, child, isAdditional: true)
        }
        return found
    }

    /// The same for a child, whose proposals are for ESP, for AH, or for both.
    func childAlgorithms(_ child: ChildTemplate) -> [Violation] {
        let authenticated = child.proposals.filter { $0.securityProtocol == .ah }
        var found = algorithms(
            child.proposals.filter { $0.securityProtocol != .ah }, esp, "esp_proposals", child: child.name)
        if !authenticated.isEmpty {
            if allowsAH {
                found += algorithms(authenticated, esp, "ah_proposals", child: child.name)
            } else {
                found.append(
                    Violation(
                        key: "ah_proposals", child: child.name, message: "\(peer) has no AH",
                        remedy: "write esp_proposals in its place"))
            }
        }
        if !allowsExtendedSequenceNumbers, let odd = child.proposals.first(where: { $0.transforms.contains(.esn) }) {
            found.append(
                Violation(
                    key: odd.securityProtocol == .ah ? "ah_proposals" : "esp_proposals", child: child.name,
                    message: "\(peer) has no extended sequence numbers", remedy: "remove esn from the proposals"))
        }
        return found
    }

    private func refusal(
        of names: [String], _ allowed: [String], _ key: String, _ child: String?, isAdditional: Bool = false
    ) -> [Violation] {
        var refused: [String] = []
        for name in names where !allowed.contains(name) && !refused.contains(name) { refused.append(name) }
        guard !refused.isEmpty else { return [] }
        let place = refused.count > 1 ? "their" : "its"
        return [
            Violation(
                key: key, child: child,
                message: "\(peer) does not take \(refused.joined(separator: ", "))"
                    + (isAdditional ? " in an additional key exchange" : ""),
                remedy: allowed.isEmpty
                    ? "remove the words that begin with ke1_ to ke7_"
                    : "write \(allowed.joined(separator: ", ")) in \(place) place")
        ]
    }

    /// Refuses a connection none of whose IKE proposals the peer could choose: it has what `table` names. What stands
    /// beside a proposal that fits does no harm.
    static func fitting(_ connection: Connection, _ table: AlgorithmTable, _ peer: String, write: String) -> [Violation]
    {
        let fits = connection.proposals.contains { proposal in
            proposal.additionalKeyExchanges.isEmpty
                && roles.allSatisfy { type in
                    let names = proposal.transforms(of: type).map(\.description)
                    guard let allowed = table.allowed(type), !names.isEmpty else { return true }
                    return names.contains { allowed.contains($0) }
                }
        }
        guard !fits else { return [] }
        return [
            Violation(
                key: "proposals", message: "\(peer) has no combination of these algorithms",
                remedy: "add \(write)")
        ]
    }

    /// Advises against packets and TCP segments that are longer than what gets through at the peer's. One of the two
    /// limits serves for both where `either` is set.
    static func sizes(
        _ connection: Connection, _ peer: String, mtu: Int, segment: Int?, either: Bool = false
    ) -> [Violation] {
        connection.children.filter { $0.shunt == nil }.flatMap { child -> [Violation] in
            let tunnel = child.tunnel
            let packetsFit = tunnel.mtu.map { $0 <= mtu } ?? false
            let segmentsFit =
                switch tunnel.segmentSize {
                case .automatic: packetsFit
                case .octets(let octets): segment.map { octets <= $0 } ?? true
                case .unlimited: segment == nil
                }
            guard !(either && (packetsFit || segmentsFit)) else { return [] }
            var found: [Violation] = []
            if !packetsFit {
                found.append(
                    Violation(
                        key: "mtu", child: child.name, message: "\(peer) wants packets of \(mtu) octets at most",
                        remedy: "write mtu = \(mtu)", isAdvice: true))
            }
            if let segment, !segmentsFit {
                found.append(
                    Violation(
                        key: "mss", child: child.name,
                        message: "\(peer) wants TCP segments of \(segment) octets at most",
                        remedy: "write mss = \(segment)", isAdvice: true))
            }
            return found
        }
    }
}
